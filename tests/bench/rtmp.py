"""As much RTMP as a publisher and a sink need until media flows: handshake, chunks in, AMF0, a few commands.

Specifications: RTMP 1.0 (Adobe, 2012), sections 5.2, 5.3 and 7.2; AMF0 (Adobe, 2007).
"""

import os
import socket
import struct
from urllib.parse import urlsplit

import flv

HANDSHAKE_BYTES = 1536
COMMAND, DATA, SET_CHUNK_SIZE = 20, 18, 1
DEFAULT_CHUNK_SIZE = 128
CONNECT_TIMEOUT_S = 10


def amf0(*values):
    """The values in a row."""
    out = []
    for value in values:
        if value is None:
            out.append(b"\x05")
        elif isinstance(value, (int, float)):
            out.append(b"\x00" + struct.pack(">d", value))
        elif isinstance(value, str):
            out.append(b"\x02" + _text(value))
        else:
            fields = (_text(name) + amf0(field) for name, field in value.items())
            out.append(b"\x03" + b"".join(fields) + b"\x00\x00\x09")
    return b"".join(out)


def _text(text):
    return struct.pack(">H", len(text.encode())) + text.encode()


def read_amf0(data):
    """The values of a payload; what is of another kind than servers use in commands ends the list."""
    values, at = [], 0
    while at < len(data):
        value, at = _value(data, at)
        values.append(value)
    return values


def _value(data, at):
    kind, at = data[at], at + 1
    if kind == 0:
        return struct.unpack_from(">d", data, at)[0], at + 8
    if kind == 1:
        return bool(data[at]), at + 1
    if kind == 2:
        end = at + 2 + struct.unpack_from(">H", data, at)[0]
        return data[at + 2 : end].decode(errors="replace"), end
    if kind in (3, 8):
        fields, at = {}, at + (4 if kind == 8 else 0)
        while data[at : at + 3] not in (b"\x00\x00\x09", b""):
            name_end = at + 2 + struct.unpack_from(">H", data, at)[0]
            name = data[at + 2 : name_end].decode(errors="replace")
            fields[name], at = _value(data, name_end)
        return fields, at + 3
    if kind in (5, 6):
        return None, at
    return None, len(data)


class Chunks:
    """Puts messages together again."""

    def __init__(self):
        self.input = bytearray()
        self.size = DEFAULT_CHUNK_SIZE
        self.streams = {}

    def messages(self, data):
        """Takes bytes and yields (kind, payload) of what they complete."""
        self.input += data
        while (found := self._chunk()) is not None:
            kind, payload = found
            if kind == SET_CHUNK_SIZE:
                self.size = int.from_bytes(payload[:4], "big")
            elif kind:
                yield found

    def _chunk(self):
        """One chunk: the message it ends, (0, b"") in the middle of one, None if it is not all there."""
        data, at = self.input, 1
        if not data:
            return None
        form, csid = data[0] >> 6, data[0] & 63
        if csid < 2:
            at += csid + 1
            csid = bytes(data[1:at])
        head = (11, 7, 3, 0)[form]
        if len(data) < at + head:
            return None
        stamp, length, kind, rest = self.streams.get(csid, (0, 0, 0, b""))
        if form < 3:
            stamp = int.from_bytes(data[at : at + 3], "big")
        if form < 2:
            length, kind = int.from_bytes(data[at + 3 : at + 6], "big"), data[at + 6]
        at += head + (4 if stamp == 0xFFFFFF else 0)
        take = min(self.size, length - len(rest))
        if len(data) < at + take:
            return None
        rest = rest + bytes(data[at : at + take])
        del data[: at + take]
        done = len(rest) == length
        self.streams[csid] = (stamp, length, kind, b"" if done else rest)
        return (kind, rest) if done else (0, b"")


def command(*values, stream_id=0, chunk_size=DEFAULT_CHUNK_SIZE):
    """A command message."""
    return flv.message(COMMAND, 0, amf0(*values), chunk_size, stream_id, chunk_stream=3)


class Failed(Exception):
    """A server did not do what was asked."""


def publish(url, chunk_size):
    """Dials `rtmp://HOST:PORT/APP/NAME`, publishes there, and gives the socket, ready for media."""
    parts = urlsplit(url)
    app, name = parts.path.lstrip("/").split("/", 1)
    name += f"?{parts.query}" if parts.query else ""
    peer = socket.create_connection((parts.hostname, parts.port), timeout=CONNECT_TIMEOUT_S)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.sendall(b"\x03" + bytes(8) + os.urandom(HANDSHAKE_BYTES - 8))
    answer = b""
    while len(answer) < 1 + 2 * HANDSHAKE_BYTES:
        answer += _receive(peer)
    peer.sendall(answer[1 : 1 + HANDSHAKE_BYTES])
    chunks, early = Chunks(), answer[1 + 2 * HANDSHAKE_BYTES :]
    peer.sendall(flv.message(SET_CHUNK_SIZE, 0, struct.pack(">I", chunk_size), chunk_size, 0, chunk_stream=2))
    told = {"app": app, "type": "nonprivate", "tcUrl": f"rtmp://{parts.netloc}/{app}", "flashVer": "FMLE/3.0 (bench)"}
    peer.sendall(command("connect", 1, told, chunk_size=chunk_size))
    _await(peer, chunks, early, lambda values: values[:2] == ["_result", 1.0])
    for ask in [("releaseStream", 2, None, name), ("FCPublish", 3, None, name), ("createStream", 4, None)]:
        peer.sendall(command(*ask, chunk_size=chunk_size))
    stream_id = int(_await(peer, chunks, b"", lambda values: values[:2] == ["_result", 4.0])[3])
    if stream_id != flv.STREAM_ID:
        raise Failed(f"{url}: message stream {stream_id}; replayed bytes are shared and carry {flv.STREAM_ID}")
    peer.sendall(command("publish", 5, None, name, "live", stream_id=stream_id, chunk_size=chunk_size))
    _await(peer, chunks, b"", lambda v: v[0] == "onStatus" and v[3].get("code") == "NetStream.Publish.Start")
    peer.setblocking(False)
    return peer


def _receive(peer):
    data = peer.recv(65536)
    if not data:
        raise Failed("the server closed the connection")
    return data


def _await(peer, chunks, early, wanted):
    data = early
    while True:
        for kind, payload in chunks.messages(data):
            if kind != COMMAND:
                continue
            values = read_amf0(payload)
            if wanted(values):
                return values
            refused = values[0] == "_error" and values[1] not in (2.0, 3.0)
            if refused or (values[0] == "onStatus" and values[3].get("level") == "error"):
                raise Failed(f"the server said {values}")
        data = _receive(peer)
