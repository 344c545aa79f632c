"""Many people in many rooms who stay: they come back by themselves, and nothing may be missing."""

import asyncio
import secrets
import time

import websockets

from kit.centrifuge import CentrifugeClient, CommandError
from kit.client import Closed
from kit.waiting import PATIENCE, eventually_async

_PAUSE = 0.2  # before another try to connect, in full jitter; nobody waits for it


class Resident:
    """One person in one room. `data` is all that was heard, in its order."""

    def __init__(self, gateways, room, home):
        self.gateways, self.room = gateways, room
        self.data = []
        self.outages = []  # seconds
        self.returns = {}  # how often a connection ended, by code
        self.client = None
        self._turn = home
        self._position = None
        self._random = secrets.SystemRandom()

    async def enter(self):
        """Connects somewhere and subscribes, with what it knows. False: not there."""
        gateway = self.gateways[self._turn % len(self.gateways)]
        try:
            self.client = await CentrifugeClient.connect(gateway)
            known = {"recover": True, **self._position} if self._position else {}
            reply = await self.client.subscribe(self.room, recoverable=True, positioned=True,
                                                **known)
        except (Closed, CommandError, OSError, TimeoutError, websockets.WebSocketException):
            await self.leave()
            self._turn += 1
            return False
        assert not known or reply.get("recovered"), f"{self.room}: what was missed is gone"
        if not known:
            self._position = {"epoch": reply.get("epoch", ""), "offset": reply.get("offset", 0)}
        for publication in reply.get("publications", []):
            self._hear(publication)
        if not reply.get("publications"):
            self._position["epoch"] = reply.get("epoch", self._position["epoch"])
        return True

    def _hear(self, publication):
        assert publication["offset"] == self._position["offset"] + 1, (self.room, publication)
        self._position["offset"] += 1
        self.data.append(publication["data"])

    async def live(self):
        """Listens, and comes back whenever its connection ends."""
        while True:
            try:
                push = await self.client.expect_push("pub", self.room, timeout=3600)
                if not self._position["epoch"]:
                    self._position["epoch"] = push.get("epoch", "")
                self._hear(push)
            except Closed as closed:
                self.returns[closed.code] = self.returns.get(closed.code, 0) + 1
                await self._come_back()

    async def _come_back(self):
        since = time.monotonic()
        self._turn += 1  # as a balancer would choose another
        while not await self.enter():
            await asyncio.sleep(self._random.uniform(0, _PAUSE))
        self.outages.append(time.monotonic() - since)

    async def leave(self):
        if self.client is not None:
            await self.client.close()
            self.client = None


class Speaker(Resident):
    """Says 0, 1, 2 ... in a room, each once: what got no answer is said again under its key."""

    def __init__(self, gateways, room, home, pause):
        super().__init__(gateways, room, home)
        self.said = 0
        self._pause = pause
        self.stops = False

    async def enter(self):
        try:
            gateway = self.gateways[self._turn % len(self.gateways)]
            self.client = await CentrifugeClient.connect(gateway)
            return True
        except (Closed, CommandError, OSError, TimeoutError, websockets.WebSocketException):
            await self.leave()
            self._turn += 1
            return False

    async def live(self):
        while not self.stops:
            key = f"{self.room}-{self.said}"
            while not await self._say(key):
                pass
            self.said += 1
            await asyncio.sleep(self._pause)

    async def _say(self, key):
        try:
            await self.client.call("publish", channel=self.room, data=self.said,
                                   idempotency_key=key)
            return True
        except CommandError as error:
            assert error.code == 100 and error.temporary, error
            await asyncio.sleep(_PAUSE)
        except (Closed, websockets.ConnectionClosed):
            code, _ = await self.client.expect_closed()
            self.returns[code] = self.returns.get(code, 0) + 1
            await self._come_back()
        return False


class Town:
    """`rooms` rooms with `size` residents and a speaker each, spread over the gateways."""

    def __init__(self, gateways, rooms, size, pause):
        self.residents = [Resident(gateways, f"town-{room}", home)
                          for room in range(rooms) for home in range(size)]
        self.speakers = [Speaker(gateways, f"town-{room}", room, pause) for room in range(rooms)]
        self._tasks = []

    async def __aenter__(self):
        people = self.residents + self.speakers
        for start in range(0, len(people), 100):  # not all at one door at once
            entered = await asyncio.gather(*(one.enter() for one in people[start:start + 100]))
            assert all(entered)
        self._tasks = [asyncio.create_task(one.live()) for one in people]
        return self

    async def __aexit__(self, *_):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for one in self.residents + self.speakers:
            await one.leave()

    def check(self):
        """Raises what went wrong in a life so far."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception():
                raise task.exception()

    async def goes_on(self, count=3):
        """Waits until so much more was said and heard in every room."""
        wanted = {one.room: one.said + count for one in self.speakers}

        def all_heard():
            self.check()
            return all(len(one.data) >= wanted[one.room] for one in self.residents)
        await eventually_async(all_heard, 4 * PATIENCE, what="the town goes on")

    async def finish(self):
        """Ends the talk; everybody has heard everything, once and in order."""
        for one in self.speakers:
            one.stops = True
        said = {one.room: one for one in self.speakers}

        def all_done():
            self.check()
            return (all(task.done() for task in self._tasks[len(self.residents):]) and
                    all(len(one.data) >= said[one.room].said for one in self.residents))
        await eventually_async(all_done, 4 * PATIENCE, what="all was heard")
        for one in self.residents:
            assert one.data == list(range(said[one.room].said)), one.room

    def outages(self):
        """Of all residents, in seconds, the shortest first."""
        return sorted(outage for one in self.residents for outage in one.outages)

    def endings(self):
        """How often connections ended, by code."""
        sums = {}
        for one in self.residents + self.speakers:
            for code, count in one.returns.items():
                sums[code] = sums.get(code, 0) + count
        return sums


async def restart_one_by_one(town, gateways):
    """A rolling restart, as an operator does it: SIGTERM, its end, start, ready, the next."""
    for gateway in gateways:
        await asyncio.to_thread(gateway.restart)
        await town.goes_on()


def outage_at(town, percentile):
    """How long somebody was away: longer than so many per cent of all times, in seconds."""
    outages = town.outages()
    return outages[len(outages) * percentile // 100]


def report(town):
    """One line on how long people were away."""
    outages = town.outages()
    return (f"{len(town.residents) + len(town.speakers)} sessions, "
            f"{sum(one.said for one in town.speakers)} records, {len(outages)} returns, away: "
            f"p50 {outage_at(town, 50):.2f} s, p99 {outage_at(town, 99):.2f} s, "
            f"longest {outages[-1]:.2f} s; closed with {town.endings()}")
