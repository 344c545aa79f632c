"""A TCP relay whose connections can be cut one way or both, slowed down and reset.

While a way is cut, what is sent that way waits, as it does in a network that loses packets: the
ends notice nothing but silence, and what was on its way arrives late, if the other end is still
there. A connection can be chosen by what its client said first: an AMQP connection by its name.
"""

import socket
import struct
import threading
import time

import ports

OUT, IN = "out", "in"  # to the server, from the server

_CHUNK = 65536
_HEAD = 4096  # bytes of what a client said first
_LINGER_NONE = struct.pack("ii", 1, 0)  # closing sends a reset


class _Way:
    """One direction of a connection; a thread of its own passes on what comes."""

    def __init__(self, connection, source, sink):
        self.connection, self.source, self.sink = connection, source, sink
        self.flows = threading.Event()
        self.flows.set()
        self.rate = None  # bytes a second
        self.head = b""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while data := self._receive():
            self.flows.wait()
            try:
                self.sink.sendall(data)
            except OSError:
                continue  # nobody there any more; what comes is lost
        self.flows.wait()  # the end, too, waits for a cut
        _shutdown(self.sink, socket.SHUT_WR)
        self.connection.ended()

    def _receive(self):
        rate = self.rate
        try:
            data = self.source.recv(max(1, rate // 10) if rate else _CHUNK)
        except OSError:
            return b""
        if rate:
            time.sleep(len(data) / rate)
        if len(self.head) < _HEAD:
            self.head += data[:_HEAD]
        return data


class _Connection:
    """Both ways of a connection."""

    def __init__(self, relay, client, server):
        self._relay = relay
        self._sockets = client, server
        self._left = 2
        self._lock = threading.Lock()
        self.ways = {OUT: _Way(self, client, server), IN: _Way(self, server, client)}

    def is_of(self, who):
        return who is None or who.encode() in self.ways[OUT].head

    def reset(self):
        for end in self._sockets:
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
            except OSError:
                continue  # it has just ended
            _shutdown(end, socket.SHUT_RD)  # wakes its reader
            end.close()
        self.heal()

    def heal(self):
        for way in self.ways.values():
            way.rate = None
            way.flows.set()

    def ended(self):
        """One way is over; the last one takes the sockets with it."""
        with self._lock:
            self._left -= 1
            if self._left > 0:
                return
        for end in self._sockets:
            end.close()
        self._relay.forget(self)


class Relay:
    """Listens on `port` and passes on to `target`, both of this machine; a context manager."""

    def __init__(self, target):
        self.port = ports.claim_any()
        self._target = target
        self._connections = set()
        self._lock = threading.Lock()
        self._whole = threading.Event()  # new connections pass
        self._whole.set()
        self._door = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def url(self, user):
        """The AMQP address for an account that has its name as the password."""
        return f"amqp://{user}:{user}@127.0.0.1:{self.port}/"

    def cut(self, *ways, who=None):
        """What is sent these ways waits from now on. `who`: only on connections whose client has
        said so, and new ones pass; else on all, and new ones wait."""
        if who is None:
            self._whole.clear()
        for connection in self._of(who):
            for way in ways:
                connection.ways[way].flows.clear()

    def slow(self, rate, way, who=None):
        """Only so many bytes a second pass that way on connections that are there."""
        for connection in self._of(who):
            connection.ways[way].rate = rate

    def heal(self):
        """All is whole and fast again."""
        self._whole.set()
        for connection in self._of(None):
            connection.heal()

    def reset(self, who=None):
        """Resets connections that are there, at both ends."""
        for connection in self._of(who):
            connection.reset()

    def count(self, who=None):
        """How many connections are there."""
        return len(self._of(who))

    def stop(self):
        _shutdown(self._door, socket.SHUT_RDWR)
        self._door.close()
        self._whole.set()
        self.reset()

    def forget(self, connection):
        with self._lock:
            self._connections.discard(connection)

    def _of(self, who):
        with self._lock:
            return [one for one in self._connections if one.is_of(who)]

    def _accept(self):
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=[client], daemon=True).start()

    def _connect(self, client):
        self._whole.wait()
        server = socket.socket()
        try:
            # Little is on its way, so that a slow way is soon felt at its beginning.
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _CHUNK)
            server.connect(("127.0.0.1", self._target))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            client.close()
            server.close()
            return
        with self._lock:
            self._connections.add(_Connection(self, client, server))


def _shutdown(end, how):
    try:
        end.shutdown(how)
    except OSError:
        pass  # it is over already
