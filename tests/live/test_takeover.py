"""Owners come and go, are killed and frozen: numbers go on, nobody sees a record twice."""

import asyncio

import pytest
from kit import CentrifugeClient, CommandError, Deployment
from kit.waiting import eventually_async


class Talk:
    """One writer and one reader of a room on two gateways; the room must stay whole."""

    def __init__(self, room, writer, reader):
        self.room, self.writer, self.reader = room, writer, reader
        self.sent = 0
        self.confirmed = 0
        self._stops = False
        self._task = None

    @classmethod
    async def start(cls, room, one, two):
        talk = cls(room, await CentrifugeClient.connect(one), await CentrifugeClient.connect(two))
        await talk.reader.subscribe(room)
        talk._task = asyncio.create_task(talk._write())
        return talk

    async def _write(self):
        while not self._stops:
            try:
                await self.writer.publish(self.room, self.sent)
                self.confirmed += 1
            except CommandError as error:
                assert error.code == 100 and error.temporary
                continue  # refused: it was never accepted, so the number is used again
            self.sent += 1

    async def goes_on(self, count=20):
        """Waits until that many more records have arrived."""
        wanted = len(self.pubs()) + count
        await eventually_async(lambda: len(self.pubs()) >= wanted, what=f"{self.room} goes on")

    def pubs(self):
        return self.reader.pubs(self.room)

    async def finish(self):
        self._stops = True
        await self._task
        await eventually_async(lambda: len(self.pubs()) >= self.confirmed, what="all arrived")
        assert [p["data"] for p in self.pubs()] == list(range(self.confirmed))
        assert [p["offset"] for p in self.pubs()] == list(range(1, self.confirmed + 1))
        await self.writer.close()
        await self.reader.close()


async def _talks(running, rooms=8):
    one, two = running.gateways
    return [await Talk.start(f"take-{i}", one, two) for i in range(rooms)]


async def _all_go_on(talks):
    await asyncio.gather(*(talk.goes_on() for talk in talks))


async def _finish(talks):
    await asyncio.gather(*(talk.finish() for talk in talks))


async def test_a_killed_owner_is_followed_by_another(broker):
    with Deployment(broker) as running:
        talks = await _talks(running)
        await _all_go_on(talks)
        for _ in range(3):
            for victim in running.broadcasters:
                await asyncio.to_thread(victim.kill)
                await _all_go_on(talks)
                await asyncio.to_thread(victim.start)
                await _all_go_on(talks)
        await _finish(talks)
        takeovers = sum(b.metric("warren_broadcaster_takeovers_total")
                        for b in running.broadcasters)
        assert takeovers >= 4  # the last ones, by processes that are still here


async def test_all_owners_killed_at_once_lose_nothing(broker):
    with Deployment(broker) as running:
        talks = await _talks(running)
        await _all_go_on(talks)
        for victim in running.broadcasters:
            await asyncio.to_thread(victim.kill)
        for victim in running.broadcasters:
            await asyncio.to_thread(victim.start)
        await _all_go_on(talks)
        await _finish(talks)


async def test_broadcasters_come_and_leave_while_people_talk(broker):
    with Deployment(broker, broadcasters=1) as running:
        talks = await _talks(running)
        await _all_go_on(talks)
        more = [await asyncio.to_thread(running.add_broadcaster) for _ in range(2)]

        def owned():
            return [b.metric("warren_broadcaster_owned_partitions") for b in running.broadcasters]

        await eventually_async(lambda: sorted(owned()) in ([0, 2, 2], [1, 1, 2]),
                               what="four partitions are shared by three")
        await _all_go_on(talks)
        for leaver in more:
            await asyncio.to_thread(leaver.stop)
            await _all_go_on(talks)
        await eventually_async(
            lambda: running.broadcasters[0].metric("warren_broadcaster_owned_partitions") == 4,
            what="the one that stays owns all")
        await _finish(talks)


async def test_a_frozen_owner_that_wakes_up_does_no_harm(broker):
    with Deployment(broker) as running:
        talks = await _talks(running)
        await _all_go_on(talks)
        sleeper, other = running.broadcasters
        sleeper.pause()
        try:
            await eventually_async(
                lambda: other.metric("warren_broadcaster_owned_partitions") == 4,
                what="the broker missed its heartbeats")
            await _all_go_on(talks)
        finally:
            sleeper.resume()
        await _all_go_on(talks)
        await eventually_async(
            lambda: sleeper.metric("warren_broadcaster_owned_partitions") == 2,
            what="it has its share again")
        await _all_go_on(talks)
        await _finish(talks)


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_a_gateway_that_ends_takes_nothing_with_it(broker, end):
    with Deployment(broker, gateways=3) as running:
        one, two, third = running.gateways
        talks = [await Talk.start(f"gone-{i}", one, two) for i in range(4)]
        watchers = [await CentrifugeClient.connect(third) for _ in range(4)]
        for i, watcher in enumerate(watchers):
            await watcher.subscribe(f"gone-{i}")
        await _all_go_on(talks)
        await asyncio.to_thread(getattr(third, end))
        code, _ = await watchers[0].expect_closed()
        assert code == (3001 if end == "stop" else 1006)
        await _all_go_on(talks)
        await asyncio.to_thread(third.start)
        again = await CentrifugeClient.connect(third)
        position = await again.subscribe("gone-0")
        await talks[0].goes_on()
        first = await again.expect_push("pub", "gone-0")
        assert first["offset"] == position["offset"] + 1
        await again.close()
        await _finish(talks)
