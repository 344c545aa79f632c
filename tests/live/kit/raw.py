"""WebSockets byte by byte: what no honest client sends, and what comes back for it."""

import socket
import struct
from contextlib import contextmanager
from pathlib import Path

import process

from kit.waiting import PATIENCE

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
HEAD = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version": "13"}


def frame(payload, opcode=TEXT, fin=True, mask=b"\1\2\3\4", rsv=0):
    """A frame as a client sends it."""
    head = bytes([fin << 7 | rsv << 4 | opcode])
    size = len(payload)
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += bytes([0x80 | 126]) + struct.pack(">H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", size)
    return head + mask + _masked(payload, mask)


def _masked(payload, mask):
    """RFC 6455 5.3, as one operation on two large numbers."""
    key = (mask * (len(payload) // 4 + 1))[:len(payload)]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return masked.to_bytes(len(payload), "big")


def closing(code, reason=b""):
    """A Close frame as a client sends it."""
    return frame(struct.pack(">H", code) + reason, CLOSE)


def request(line, headers):
    """A request head; `headers` are a dict (None: left out) or pairs, to have one of them twice."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    lines = [line, *(f"{name}: {value}" for name, value in pairs if value is not None)]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def upgrade(path, **more):
    """The request for a WebSocket; `more` headers have _ for -."""
    more = {name.replace("_", "-"): value for name, value in more.items()}
    return request(f"GET {path} HTTP/1.1", {**HEAD, **more})


@contextmanager
def knock(gateway, source="127.0.0.1", port=None):
    """A TCP connection to a gateway."""
    with socket.create_connection(("127.0.0.1", port or gateway.port), timeout=PATIENCE,
                                  source_address=(source, 0)) as connection:
        yield connection


def rest(connection):
    """All that comes until the other side ends the connection, in one way or another."""
    found = b""
    try:
        while chunk := connection.recv(65536):
            found += chunk
    except ConnectionResetError:
        pass
    return found


def ask(gateway, data, source="127.0.0.1"):
    """Sends these bytes on a connection of their own; the whole answer."""
    with knock(gateway, source) as connection:
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was answered before its end
        return rest(connection)


def _queued(here, there):
    """(not acknowledged, not read) bytes of the end `here` of a connection of this machine."""
    ends = [f"{struct.unpack('<I', socket.inet_aton(host))[0]:08X}:{port:04X}"
            for host, port in (here, there)]
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, *found, _, queues = line.split()[:5]
        if found == ends:
            return tuple(int(size, 16) for size in queues.split(":"))
    return 0, 0


def send_in_pieces(connection, data, size):
    """Sends bytes so that the other side, on this machine, reads so many of them at a time."""
    here, there = connection.getsockname(), connection.getpeername()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(data), size):
        connection.sendall(data[at:at + size])
        process.until(lambda: _queued(here, there)[0] == 0 and _queued(there, here)[1] == 0,
                      PATIENCE, "it is read", pause=0.002)


class Peer:
    """The client's end of a WebSocket."""

    def __init__(self, connection):
        self.connection = connection
        self.was_reset = False  # and so TCP has ended
        self.head = b""
        self._came = b""

    @classmethod
    @contextmanager
    def open(cls, gateway, path, more=b"", source="127.0.0.1", **headers):
        """A WebSocket; `more` is sent in one packet with the request for it."""
        with knock(gateway, source) as connection:
            peer = cls(connection)
            connection.sendall(upgrade(path, **headers) + more)
            while b"\r\n\r\n" not in peer._came:
                assert peer._more(), peer._came
            peer.head, peer._came = peer._came.split(b"\r\n\r\n", 1)
            assert peer.head.startswith(b"HTTP/1.1 101 "), peer.head
            yield peer

    def send(self, data):
        """Sends bytes; the other side may have ended already."""
        try:
            self.connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def next(self):
        """(opcode, payload) of the next frame, RSV1 as 0x40 in the opcode; None: TCP has ended."""
        while (found := self._frame()) is None:
            if not self._more():
                return None
        return found

    def until_closed(self):
        """All frames until the other side closes; that one is answered, and TCP has then ended."""
        found = []
        while (one := self.next()) is not None:
            found.append(one)
            if one[0] == CLOSE:
                self.send(frame(one[1], CLOSE))
                assert self.next() is None, "something after a Close"
                return found
        return found

    def _more(self):
        try:
            chunk = self.connection.recv(65536)
        except ConnectionResetError:
            self.was_reset = True
            return False
        self._came += chunk
        return bool(chunk)

    def _frame(self):
        if len(self._came) < 2:
            return None
        first, size = self._came[:2]
        at = 2
        if size == 126:
            size, at = int.from_bytes(self._came[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(self._came[2:10], "big"), 10
        if len(self._came) < at or len(self._came) < at + size:
            return None
        payload, self._came = self._came[at:at + size], self._came[at + size:]
        assert first & 0x80, "the gateway sends no fragments"
        return first & 0x4f, payload
