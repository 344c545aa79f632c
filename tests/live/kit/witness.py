"""Somebody who just wants to talk, while others on the same gateway behave badly."""

import asyncio
import os
import threading
from contextlib import contextmanager
from pathlib import Path

import process

from kit.centrifuge import CentrifugeClient, CommandError
from kit.waiting import PATIENCE, eventually

_ROOM = "roof"
_PAUSE = 0.1  # between two records
_SILENCE = 100  # pauses in which nothing of what it says is heard: 10 s of a thread that ran
_GROWTH = 1 << 20  # bytes of memory: what is made when it is needed first is kept
_LOOKS = 6
_GAUGES = [f"warren_gateway_{name}" for name in (
    "sessions", "rooms", "subscriptions", "connections", "handshakes", "publishes_waiting")]


def descriptors(service):
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{service.pid}/fd"))


def allocated(service):
    """The bytes that it has allocated, as a sanitizer counts them; None without one."""
    kind = service.program.split("/", maxsplit=1)[0]
    return service.metrics().get(f"warren_{kind}_process_allocated_bytes")


def memory(service):
    """Its allocated bytes, or, if nobody counts them, its resident ones."""
    counted = allocated(service)
    return resident(service) if counted is None else counted


def resident(service):
    """Its resident bytes."""
    for line in Path(f"/proc/{service.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


class Belongings:
    """What a process has now: it is to have no more than that again, unless it is another one.
    `growth`: so many bytes of memory may be more, if not the usual ones."""

    def __init__(self, service, growth=None):
        self._service, self._growth = service, growth or _GROWTH
        self._pid = service.pid
        self._descriptors, self._memory = descriptors(service), memory(service)

    def are_back(self):
        if self._service.pid != self._pid:
            return
        name = self._service.name
        eventually(lambda: descriptors(self._service) <= self._descriptors,
                   what=f"descriptors of {name} are back")
        eventually(self._has_its_memory, what=f"memory of {name} is back")

    def _has_its_memory(self):
        grown = memory(self._service) - self._memory
        assert grown <= self._growth, f"{grown} bytes more"
        return True


class _Listener(CentrifugeClient):
    """Counts what it hears of one speaker."""

    heard = 0
    speaker = None

    def take(self, text):
        messages = super().take(text)
        self.heard += sum(message.get("push", {}).get("pub", {}).get("data", "").endswith(
            self.speaker) for message in messages if self.speaker)
        return messages


class Witness:
    """A session that listens and one that speaks all the time, in a thread of their own."""

    def __init__(self, gateway, token, url, open_options):
        self._gateway = gateway
        self._said = 0
        self._refusals = 0  # by a broker that took nothing; what was refused is said again
        self._silence = 0  # the longest one, in pauses
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._speaker, self._listener = (
            self._wait(kind.connect(url, token, open_options))
            for kind in (CentrifugeClient, _Listener))
        self._wait(self._listener.subscribe(_ROOM))
        self._name = self._listener.speaker = f"of {gateway.name}"
        self._turn = asyncio.Lock()
        self._tasks = [asyncio.run_coroutine_threadsafe(task, self._loop)
                       for task in (self._speak(), self._watch())]
        self.hears_all()
        self._before = gateway.metrics()

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
                    self._refusals += 1
                    await asyncio.sleep(_PAUSE)

    async def _watch(self):
        """Counts pauses of its own: a machine that stands still is no silence."""
        heard, silence = 0, 0
        while True:
            await asyncio.sleep(_PAUSE)
            silence = silence + 1 if self._listener.heard == heard else 0
            heard = self._listener.heard
            self._silence = max(self._silence, silence)

    def hears_all(self):
        """What is said now arrives; all so far came once and in order, and nobody was closed."""
        self._wait(self._listener.expect_pub(_ROOM, self._wait(self._utter())))
        assert not any(task.done() for task in self._tasks) and not self._speaker.closed
        pubs = self._listener.pubs(_ROOM)
        offsets = [pub["offset"] for pub in pubs]
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))
        own = [pub["data"] for pub in pubs if pub["data"].endswith(self._name)]
        assert own == [f"{number} {self._name}" for number in range(len(own))]

    def finds_nothing_left(self):
        """The gateway has the objects that it had before."""
        def back():
            left = self._left()
            assert not left, left
            return True
        eventually(back, what="sessions, rooms and connections are back")

    def _left(self):
        """Of what there are more or fewer than before: how many now, and before."""
        now = self._gateway.metrics()
        return {name: (now[name], self._before[name]) for name in _GAUGES
                if now[name] != self._before[name]}

    def is_undisturbed(self, had_outage=False):
        """Nothing was refused and no silence was long since the last time, but for an outage."""
        self.hears_all()
        silence, self._silence = self._silence, 0
        refusals, self._refusals = self._refusals, 0
        assert had_outage or (silence < _SILENCE and refusals == 0), (silence, refusals)
        self.finds_nothing_left()

    def keeps(self, act, times, little):
        """How many bytes of memory are kept when this is done so many times, if somebody counts.

        Whoever talks meanwhile takes and gives back some: so it is what the least of some looks
        shows, or the first that shows no more than a `little`.
        """
        before, least = allocated(self._gateway), None
        for _ in range(_LOOKS if before is not None else 0):
            for _ in range(times):
                act()
            process.until(lambda: not self._left(), PATIENCE, "nothing is left", pause=0.005)
            after = allocated(self._gateway)
            least = after - before if least is None else min(least, after - before)
            if least <= little:
                break
            before = after
        return least or 0

    def close(self):
        for task in self._tasks:
            task.cancel()
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
