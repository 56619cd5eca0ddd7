"""A recorded stream that is replayed for ever: read from an FLV file, serialised as RTMP messages.

Specifications: Video File Format Specification 10.1 (Adobe, 2010), annex E; RTMP 1.0, section 5.3.
"""

import bisect
import struct
from dataclasses import dataclass

AUDIO, VIDEO, SCRIPT = 8, 9, 18
CHUNK_STREAMS = {AUDIO: 4, VIDEO: 6, SCRIPT: 3}
STREAM_ID = 1


def message(kind, timestamp_ms, body, chunk_size, stream_id=STREAM_ID, chunk_stream=None):
    """One RTMP message: a type 0 header and as many type 3 chunks as it takes."""
    csid = chunk_stream or CHUNK_STREAMS[kind]
    # Extended timestamps begin at 2^24 - 1 ms, 4.6 hours: longer than any of these runs.
    head = bytes([csid]) + timestamp_ms.to_bytes(3, "big") + len(body).to_bytes(3, "big")
    out = [head + bytes([kind]) + struct.pack("<I", stream_id)]
    for at in range(0, len(body), chunk_size):
        if at:
            out.append(bytes([0xC0 | csid]))
        out.append(body[at : at + chunk_size])
    return b"".join(out)


@dataclass
class Recording:
    """What an encoder sends first, and the frames of one loop in order."""

    opening: list  # (kind, body): metadata and sequence headers
    times_ms: list
    frames: list  # (kind, body)
    loop_ms: int

    @property
    def bytes_per_second(self):
        """Bytes of message bodies a second."""
        return sum(len(body) for _, body in self.frames) * 1000 / self.loop_ms

    def between(self, from_ms, until_ms):
        """Frames with from_ms <= t < until_ms on an endless time line: (t_ms, kind, body)."""
        while from_ms < until_ms:
            turn, offset = divmod(from_ms, self.loop_ms)
            end = min(until_ms - turn * self.loop_ms, self.loop_ms)
            first, last = bisect.bisect_left(self.times_ms, offset), bisect.bisect_left(self.times_ms, end)
            for i in range(first, last):
                yield turn * self.loop_ms + self.times_ms[i], *self.frames[i]
            from_ms = turn * self.loop_ms + end


def read(path, loop_ms):
    """Reads a file whose frames fill `loop_ms`."""
    with open(path, "rb") as file:
        data = file.read()
    opening, times, frames, at = [], [], [], 9 + 4
    while at + 11 <= len(data):
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        t_ms = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        body = data[at + 11 : at + 11 + size]
        at += 11 + size + 4
        if kind == SCRIPT:
            opening.append((kind, b"\x02\x00\x0d@setDataFrame" + body))
        elif body[1:2] == b"\x00":
            opening.append((kind, body))
        elif not (kind == VIDEO and body[1] == 2) and t_ms < loop_ms:
            times.append(t_ms)
            frames.append((kind, body))
    order = sorted(range(len(times)), key=times.__getitem__)
    return Recording(opening, [times[i] for i in order], [frames[i] for i in order], loop_ms)
