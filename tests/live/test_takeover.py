"""Owners come and go, are killed and frozen: numbers go on, nobody sees a record twice."""

import asyncio

import pytest
from kit import CentrifugeClient, Deployment
from kit.talk import Talk, all_go_on, finish_all
from kit.waiting import eventually_async


async def _talks(running, rooms=8):
    one, two = running.gateways
    return [await Talk.start(f"take-{i}", one, two) for i in range(rooms)]


async def test_a_killed_owner_is_followed_by_another(broker):
    with Deployment(broker) as running:
        talks = await _talks(running)
        await all_go_on(talks)
        for _ in range(3):
            for victim in running.broadcasters:
                await asyncio.to_thread(victim.kill)
                await all_go_on(talks)
                await asyncio.to_thread(victim.start)
                await all_go_on(talks)
        await finish_all(talks)
        takeovers = sum(b.metric("warren_broadcaster_takeovers_total")
                        for b in running.broadcasters)
        assert takeovers >= 4  # the last ones, by processes that are still here


async def test_all_owners_killed_at_once_lose_nothing(broker):
    with Deployment(broker) as running:
        talks = await _talks(running)
        await all_go_on(talks)
        for victim in running.broadcasters:
            await asyncio.to_thread(victim.kill)
        for victim in running.broadcasters:
            await asyncio.to_thread(victim.start)
        await all_go_on(talks)
        await finish_all(talks)


async def test_broadcasters_come_and_leave_while_people_talk(broker):
    with Deployment(broker, broadcasters=1) as running:
        talks = await _talks(running)
        await all_go_on(talks)
        more = [await asyncio.to_thread(running.add_broadcaster) for _ in range(2)]

        def owned():
            return [b.metric("warren_broadcaster_owned_partitions") for b in running.broadcasters]

        await eventually_async(lambda: sorted(owned()) in ([0, 2, 2], [1, 1, 2]),
                               what="four partitions are shared by three")
        await all_go_on(talks)
        for leaver in more:
            await asyncio.to_thread(leaver.stop)
            await all_go_on(talks)
        await eventually_async(
            lambda: running.broadcasters[0].metric("warren_broadcaster_owned_partitions") == 4,
            what="the one that stays owns all")
        await finish_all(talks)


async def test_a_frozen_owner_that_wakes_up_does_no_harm(broker):
    with Deployment(broker) as running:
        talks = await _talks(running)
        await all_go_on(talks)
        sleeper, other = running.broadcasters
        sleeper.pause()
        try:
            await eventually_async(
                lambda: other.metric("warren_broadcaster_owned_partitions") == 4,
                what="the broker missed its heartbeats")
            await all_go_on(talks)
        finally:
            sleeper.resume()
        await all_go_on(talks)
        await eventually_async(
            lambda: sleeper.metric("warren_broadcaster_owned_partitions") == 2,
            what="it has its share again")
        await all_go_on(talks)
        await finish_all(talks)


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_a_gateway_that_ends_takes_nothing_with_it(broker, end):
    with Deployment(broker, gateways=3) as running:
        one, two, third = running.gateways
        talks = [await Talk.start(f"gone-{i}", one, two) for i in range(4)]
        watchers = [await CentrifugeClient.connect(third) for _ in range(4)]
        for i, watcher in enumerate(watchers):
            await watcher.subscribe(f"gone-{i}")
        await all_go_on(talks)
        await asyncio.to_thread(getattr(third, end))
        code, _ = await watchers[0].expect_closed()
        assert code == (3001 if end == "stop" else 1006)
        await all_go_on(talks)
        await asyncio.to_thread(third.start)
        again = await CentrifugeClient.connect(third)
        position = await again.subscribe("gone-0")
        await talks[0].goes_on()
        first = await again.expect_push("pub", "gone-0")
        assert first["offset"] == position["offset"] + 1
        await again.close()
        await finish_all(talks)
