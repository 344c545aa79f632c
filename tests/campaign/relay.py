"""A TCP relay that can be cut: one way, both ways, by resets, and then be whole again.

While a way is cut, what is sent that way waits, as it does in a network that loses packets: the
ends notice nothing but silence. When the cut is healed the bytes flow on, or find the connection
reset. All relays of a program share one thread.
"""

import asyncio
import socket
import struct
import threading

import ports

_CHUNK = 65536
_LINGER_NONE = struct.pack("ii", 1, 0)  # closing sends a reset

OUT, IN = "out", "in"  # to the server, from the server


def _reset(writer):
    door = writer.get_extra_info("socket")
    if door is not None and door.fileno() >= 0:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    writer.transport.abort()


class Relay:
    """Listens on `port` and passes on to `target` of the same machine."""

    def __init__(self, loop, target):
        self.port = ports.claim_any()
        self._target = target
        self._loop = loop
        self._flows = {}
        self._refuses = False
        self._writers = set()

    def cut(self, *ways):
        """What is sent these ways waits from now on; so do new connections."""
        self._call(lambda: [self._flows[way].clear() for way in ways])

    def refuse(self):
        """Resets all connections, and new ones, until heal()."""
        def act():
            self._refuses = True
            self._reset_all()
        self._call(act)

    def heal(self, reset=False):
        """All is whole again; `reset`: but the connections that were there are not."""
        def act():
            self._refuses = False
            if reset:
                self._reset_all()
            for flow in self._flows.values():
                flow.set()
        self._call(act)

    async def listen(self):
        for way in (OUT, IN):
            self._flows[way] = asyncio.Event()
            self._flows[way].set()
        await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def _call(self, action):
        done = threading.Event()

        def act():
            action()
            done.set()
        self._loop.call_soon_threadsafe(act)
        done.wait()

    def _reset_all(self):
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        server = None
        try:
            if self._refuses:
                return
            await self._flows[OUT].wait()
            server_reader, server = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(server)
            pumps = [asyncio.ensure_future(self._pump(reader, server, OUT)),
                     asyncio.ensure_future(self._pump(server_reader, writer, IN))]
            _, rest = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in rest:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass
        finally:
            for end in (writer, server):
                if end is not None:
                    self._writers.discard(end)
                    _reset(end) if self._refuses else end.close()

    async def _pump(self, reader, writer, way):
        """Passes one way on until it ends; the end waits for a cut, too."""
        flow = self._flows[way]
        while True:
            try:
                data = await reader.read(_CHUNK)
            except OSError:
                data = b""
            await flow.wait()
            if not data:
                return
            writer.write(data)
            await writer.drain()


class Relays:
    """The thread of all relays."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda loop, context: None)  # ends of cut connections
        threading.Thread(target=self._loop.run_forever, name="relays", daemon=True).start()

    def add(self, target):
        relay = Relay(self._loop, target)
        asyncio.run_coroutine_threadsafe(relay.listen(), self._loop).result()
        return relay

    def stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
