"""A WebSocket client that may do anything, and that judges all it hears strictly."""

import asyncio
import base64
import hashlib
import os
import re
import struct
import zlib

from kit import raw
from kit.raw import BINARY, CLOSE, PING, PONG, TEXT

CONT = 0
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
PATIENCE = 60.0  # for one answer; ends only what hangs
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
_TAIL = b"\x00\x00\xff\xff"  # RFC 7692 7.2.1
_ANSWER = re.compile(r"permessage-deflate((?:; \w+(?:=\d+)?)*)")


class Wrong(Exception):
    """The server did what it must not."""


def frame(opcode, payload=b"", first=FIN):
    """A client's frame; `first`: FIN and the reserved bits."""
    return raw.frame(payload, opcode, bool(first & FIN), rsv=first >> 4 & 7)


def cut(data, size):
    return [data[at:at + size] for at in range(0, len(data), size)] or [b""]


def fragments(opcode, parts, first=0):
    """One message in as many frames; `first`: reserved bits of its first frame."""
    last = len(parts) - 1
    return [frame(CONT if number else opcode, part,
                  (FIN if number == last else 0) | (0 if number else first))
            for number, part in enumerate(parts)]


class Packing:
    """What was negotiated (RFC 7692 7.1), and both directions of it."""

    def __init__(self, answer, offers):
        found = _ANSWER.fullmatch(answer)
        if not found:
            raise Wrong(f"no legal answer to an offer: {answer}")
        pairs = [part.partition("=")[::2] for part in found[1].split("; ")[1:]]
        said = dict(pairs)
        if len(said) != len(pairs) or not any(_fits(said, offer) for offer in offers):
            raise Wrong(f"{answer} answers none of {offers}")
        self._keeps = "client_no_context_takeover" not in said
        self._hears_anew = "server_no_context_takeover" in said
        self._bits = int(said.get("client_max_window_bits", 15))
        self._their_bits = int(said.get("server_max_window_bits", 15))
        self._packer = self._unpacker = None

    def pack(self, payload):
        if self._packer is None or not self._keeps:
            self._packer = zlib.compressobj(wbits=-self._bits)
        packed = self._packer.compress(payload) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        return packed.removesuffix(_TAIL)

    def unpack(self, payload):
        if self._unpacker is None or self._hears_anew:
            self._unpacker = zlib.decompressobj(-self._their_bits)
        try:
            return self._unpacker.decompress(payload + _TAIL)
        except zlib.error as error:
            raise Wrong(f"broken compressed data: {error}") from error


def _fits(said, offer):
    """Whether these parameters may answer that offer (RFC 7692 7.1.1, 7.1.2)."""
    asked = dict(part.partition("=")[::2] for part in offer.split("; ")[1:])
    for name in set(asked) & {"server_no_context_takeover", "server_max_window_bits"}:
        if name not in said or int(said[name] or 0) > int(asked[name] or 0):
            return False
    legal = {"server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits"}
    return set(said) <= legal | (set(asked) & {"client_max_window_bits"})


class Client:
    """One connection, and what was heard on it."""

    def __init__(self, reader, writer, packing):
        self._reader, self._writer, self.packing = reader, writer, packing

    @classmethod
    async def open(cls, port, offers=()):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        key = base64.b64encode(os.urandom(16))
        offer = "".join(f"Sec-WebSocket-Extensions: {one}\r\n" for one in offers)
        writer.write(f"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                     f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     f"Sec-WebSocket-Key: {key.decode()}\r\n{offer}\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
        if not head.startswith(b"HTTP/1.1 101 ") or f"Accept: {accept}\r\n" not in head.decode():
            raise Wrong(f"no upgrade: {head!r}")
        extension = re.findall(r"^Sec-WebSocket-Extensions: (.*)\r$", head.decode(), re.M | re.I)
        if not offers and extension:
            raise Wrong(f"an extension that nobody offered: {extension}")
        packing = Packing(extension[0] if extension else "", offers) if offers else None
        return cls(reader, writer, packing)

    async def say(self, parts):
        """Sends these bytes, each part by a write of its own; stops when nobody hears any more."""
        for part in parts:
            self._writer.write(part)
            try:
                await self._writer.drain()
            except ConnectionError:
                return

    async def say_message(self, opcode, payload, piece=None):
        """One message, compressed if that was negotiated, in frames of `piece` bytes if given."""
        packed = self.packing.pack(payload) if self.packing else payload
        parts = cut(packed, piece) if piece else [packed]
        await self.say([b"".join(fragments(opcode, parts, RSV1 if self.packing else 0))])

    async def hear(self):
        """The next frame as (opcode, payload), which must be one that a server may send and is
        unpacked; None at the end of the connection."""
        try:
            return await asyncio.wait_for(self._hear(), PATIENCE)
        except (asyncio.IncompleteReadError, ConnectionError) as ended:
            if getattr(ended, "partial", b""):
                raise Wrong("the connection ended within a frame") from ended
            return None
        except asyncio.TimeoutError as late:
            raise Wrong("nothing is heard") from late

    async def _hear(self):
        first, second = await self._reader.readexactly(2)
        opcode, size, least = first & 0x0F, second, 0
        if size == 126:
            size, least = struct.unpack(">H", await self._reader.readexactly(2))[0], 126
        elif size == 127:
            size, least = struct.unpack(">Q", await self._reader.readexactly(8))[0], 1 << 16
        is_packed = first & 0x70 == RSV1 and self.packing and opcode in (TEXT, BINARY)
        if (size < least or not first & FIN or (first & 0x70 and not is_packed)
                or opcode not in (TEXT, BINARY, CLOSE, PING, PONG) or second & 0x80):
            raise Wrong(f"a frame that a server may not send: {first:02x} {second:02x}")
        payload = await self._reader.readexactly(size)
        payload = self.packing.unpack(payload) if is_packed else payload
        if opcode == TEXT:
            payload.decode()
        return opcode, payload

    async def hang_up(self):
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass
