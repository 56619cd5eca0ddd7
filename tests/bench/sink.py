"""Servers that take what is pushed to them and drop it: sink.py COUNTERS PORT… [--relay].

With --relay they say what an edge says on a relay link: a greeting that knows nothing, then heartbeats. COUNTERS is a
file of two numbers of 8 bytes (little endian) that is kept up to date: bytes of media dropped, and links that are open.
Media is dropped inside the kernel (MSG_TRUNC), so that many links fit on one core.
"""

import json
import mmap
import selectors
import socket
import struct
import sys
import time

import flv
import rtmp

TICK_S = 0.01
HEARTBEAT_S = 0.5
READ_BYTES = 1 << 20


def relay_message(content):
    """A message of the relay protocol: the name `@lectern` and JSON as a long string."""
    text = json.dumps(content).encode()
    payload = rtmp.amf0("@lectern") + b"\x0c" + struct.pack(">I", len(text)) + text
    return flv.message(rtmp.DATA, 0, payload, rtmp.DEFAULT_CHUNK_SIZE)


GREETING = relay_message({"type": "greeting", "profiles": [1]})


class Link:
    """One connection: handshake, commands, then nothing but dropping."""

    def __init__(self, peer, relay):
        self.peer, self.relay = peer, relay
        self.input = b""
        self.chunks = None
        self.open = False

    def read(self, scratch):
        """Reads once; the bytes that were dropped, or None at the end of the connection."""
        if self.open:
            taken = self.peer.recv_into(scratch, READ_BYTES, socket.MSG_TRUNC)
            return taken or None
        data = self.peer.recv(65536)
        if not data:
            return None
        if self.chunks is None:
            data = self._handshake(data)
        if self.chunks is not None:
            for kind, payload in self.chunks.messages(data):
                if kind == rtmp.COMMAND:
                    self._answer(*rtmp.read_amf0(payload)[:2])
        return 0

    def _handshake(self, data):
        before, self.input = len(self.input), self.input + data
        client_one = 1 + rtmp.HANDSHAKE_BYTES
        if before < client_one <= len(self.input):
            # Zero where a version may stand: the handshake without digests.
            own = bytes(8) + bytes(range(256)) * 5 + bytes(rtmp.HANDSHAKE_BYTES - 8 - 5 * 256)
            self.peer.sendall(b"\x03" + own + self.input[1:client_one])
        end = client_one + rtmp.HANDSHAKE_BYTES
        if len(self.input) < end:
            return b""
        self.chunks = rtmp.Chunks()
        return self.input[end:]

    def _answer(self, name, transaction):
        say = lambda *values, **more: self.peer.sendall(rtmp.command(*values, **more))
        if name == "connect":
            info = {"level": "status", "code": "NetConnection.Connect.Success", "description": "welcome"}
            say("_result", transaction, {"fmsVer": "FMS/3,0,1,123", "capabilities": 31}, info)
        elif name == "createStream":
            say("_result", transaction, None, flv.STREAM_ID)
        elif name == "publish":
            info = {"level": "status", "code": "NetStream.Publish.Start", "description": "go on"}
            say("onStatus", 0, None, info, stream_id=flv.STREAM_ID)
            if self.relay:
                self.peer.sendall(GREETING)
            self.open = True

    def heartbeat(self):
        """Greets a relay."""
        if self.open and self.relay:
            self.peer.send(relay_message({"type": "heartbeat", "nowMs": int(time.time() * 1000)}))


def main():
    """Runs until it is told to stop."""
    relay = "--relay" in sys.argv
    with open(sys.argv[1], "r+b") as file:
        counters = mmap.mmap(file.fileno(), 16)
    watch, links, scratch = selectors.DefaultSelector(), set(), bytearray(READ_BYTES)
    for port in [int(a) for a in sys.argv[2:] if a.isdigit()]:
        listener = socket.create_server(("127.0.0.1", port), backlog=512)
        watch.register(listener, selectors.EVENT_READ, None)
    print("ready", flush=True)
    total, beat = 0, time.monotonic()
    while True:
        for key, _ in watch.select(0.1):
            if key.data is None:
                peer, _ = key.fileobj.accept()
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                links.add(link := Link(peer, relay))
                watch.register(peer, selectors.EVENT_READ, link)
                continue
            link = key.data
            try:
                taken = link.read(scratch)
            except ConnectionError:
                taken = None
            if taken is None:
                watch.unregister(link.peer)
                links.discard(link)
                link.peer.close()
            else:
                total += taken
        if time.monotonic() - beat >= HEARTBEAT_S:
            beat += HEARTBEAT_S
            for link in links:
                try:
                    link.heartbeat()
                except (ConnectionError, BlockingIOError):
                    pass  # its end is seen by the next read
        struct.pack_into("<QQ", counters, 0, total, sum(link.open for link in links))
        time.sleep(TICK_S)


if __name__ == "__main__":
    main()
