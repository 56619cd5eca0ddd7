"""Publishers in numbers: replay.py FILE LOOP_MS NUMBER URL. `{n}` in the URL is the publisher's number, from 0.

Says `ready` once all publish, then replays for ever. Publishers begin up to two seconds after each other, so that their
key frames do not coincide. Bytes are serialised once for all that are at the same place.
"""

import os
import select
import sys
import time

import flv
import rtmp

TICK_S = 0.02
PHASES, PHASE_MS = 8, 240
# What ffmpeg, OBS and nginx-rtmp use or suggest.
CHUNK_SIZE = 4096
UNSENT_BYTES_MAX = 4 << 20


class Phase:
    """Publishers that send the same bytes at the same time."""

    def __init__(self, recording):
        self.recording, self.sent_until_ms = recording, 0
        self.peers = []  # [socket, unsent bytes]

    def open(self, peer):
        """One more; sends what an encoder sends first."""
        opening = b"".join(flv.message(kind, 0, body, CHUNK_SIZE) for kind, body in self.recording.opening)
        self.peers.append([peer, bytearray(opening)])

    def tick(self, elapsed_ms):
        """Sends what is due."""
        due = self.recording.between(self.sent_until_ms, elapsed_ms)
        self.sent_until_ms = elapsed_ms
        fresh = b"".join(flv.message(kind, t_ms, body, CHUNK_SIZE) for t_ms, kind, body in due)
        for entry in self.peers:
            peer, unsent = entry
            out = bytes(unsent) + fresh if unsent else fresh
            if not out:
                continue
            try:
                sent = peer.send(out)
            except BlockingIOError:
                sent = 0
            entry[1] = bytearray(out[sent:])
            if len(entry[1]) > UNSENT_BYTES_MAX:
                raise rtmp.Failed("the server does not take what is published")


def main():
    """Runs until it is told to stop, or a server hangs up."""
    path, loop_ms, number, url = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    try:
        os.nice(-10)  # an encoder that comes late would be measured as a stall of the server
    except PermissionError:
        pass
    recording = flv.read(path, loop_ms)
    phases = [Phase(recording) for _ in range(min(PHASES, number))]
    poll = select.poll()
    sockets = {}
    for n in range(number):
        peer = rtmp.publish(url.replace("{n}", str(n)), CHUNK_SIZE)
        phases[n % len(phases)].open(peer)
        sockets[peer.fileno()] = peer
        poll.register(peer, select.POLLIN)
    print("ready", flush=True)
    started = time.monotonic()
    while True:
        elapsed_ms = int((time.monotonic() - started) * 1000)
        for n, phase in enumerate(phases):
            if elapsed_ms > n * PHASE_MS:
                phase.tick(elapsed_ms - n * PHASE_MS)
        for descriptor, _ in poll.poll(0):
            if not sockets[descriptor].recv(65536):
                raise rtmp.Failed("a server hung up")
        time.sleep(TICK_S)


if __name__ == "__main__":
    main()
