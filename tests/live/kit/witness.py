"""Somebody who just wants to talk, while others on the same gateway behave badly."""

import asyncio
import os
import threading
from contextlib import contextmanager
from pathlib import Path

from kit.centrifuge import CentrifugeClient, CommandError
from kit.waiting import PATIENCE, eventually

_ROOM = "roof"
_PAUSE = 0.1  # between two records
_GROWTH = 96 << 20  # what a sanitizer and the allocator may keep of what was freed
_GAUGES = [f"warren_gateway_{name}" for name in (
    "sessions", "rooms", "subscriptions", "connections", "handshakes", "publishes_waiting")]


def descriptors(service):
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{service.pid}/fd"))


def memory(service):
    """Its resident bytes."""
    for line in Path(f"/proc/{service.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


class Witness:
    """A session that listens and one that speaks all the time, in a thread of their own."""

    def __init__(self, gateway, token, url, open_options):
        self.refusals = 0  # by a broker that took nothing; what was refused is said again
        self._gateway = gateway
        self._said = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._speaker, self._listener = (
            self._wait(CentrifugeClient.connect(url, token, open_options)) for _ in range(2))
        self._wait(self._listener.subscribe(_ROOM))
        self._name = f"of {gateway.name}"
        self._turn = asyncio.Lock()
        self._talk = asyncio.run_coroutine_threadsafe(self._speak(), self._loop)
        self.hears_all()
        self._before = gateway.metrics()
        self._descriptors, self._memory = descriptors(gateway), memory(gateway)

    async def _speak(self):
        while True:
            await self._utter()
            await asyncio.sleep(_PAUSE)

    async def _utter(self):
        """Says its next words; returns them."""
        async with self._turn:
            while True:
                words = f"{self._said} {self._name}"
                try:
                    await self._speaker.call("publish", timeout=None, channel=_ROOM, data=words)
                    self._said += 1
                    return words
                except CommandError as error:
                    assert error.code == 100 and error.temporary, error
                    self.refusals += 1
                    await asyncio.sleep(_PAUSE)

    def hears_all(self):
        """What is said now arrives; all so far came once and in order, and nobody was closed."""
        self._wait(self._listener.expect_pub(_ROOM, self._wait(self._utter())))
        assert not self._talk.done() and not self._speaker.closed
        pubs = self._listener.pubs(_ROOM)
        offsets = [pub["offset"] for pub in pubs]
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))
        own = [pub["data"] for pub in pubs if pub["data"].endswith(self._name)]
        assert own == [f"{number} {self._name}" for number in range(len(own))]

    def finds_nothing_left(self):
        """The gateway has the objects, descriptors and memory that it had before."""
        def back():
            now = self._gateway.metrics()
            for name in _GAUGES:
                assert now[name] == self._before[name], (name, now[name], self._before[name])
            return True
        eventually(back, what="sessions, rooms and connections are back")
        eventually(lambda: descriptors(self._gateway) <= self._descriptors,
                   what="descriptors are back")
        eventually(lambda: memory(self._gateway) <= self._memory + _GROWTH, what="memory is back")

    def is_undisturbed(self):
        self.hears_all()
        self.finds_nothing_left()

    def close(self):
        self._talk.cancel()
        self._wait(self._speaker.close())
        self._wait(self._listener.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, what):
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(2 * PATIENCE)


@contextmanager
def undisturbed(gateway, token=None, url=None, open_options=None):
    """A witness on a gateway, which is well at the end, as well."""
    witness = Witness(gateway, token, url or gateway.centrifuge_url, open_options or {})
    yield witness
    witness.is_undisturbed()
    witness.close()
