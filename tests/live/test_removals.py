"""Records taken out of a room's history through the API: nobody sees them again, on any gateway."""

import asyncio
import contextlib

import pytest
from kit import CentrifugeClient, Closed, CommandError
from kit.api import Api, ApiError, deployed
from kit.waiting import PATIENCE


@pytest.fixture(scope="module")
def warren(broker):
    with deployed(broker, settings={"room.history_size": 20}) as running:
        yield running


@contextlib.asynccontextmanager
async def _both(warren, room):
    """A session on each gateway, in the room."""
    async with contextlib.AsyncExitStack() as stack:
        sessions = []
        for gateway in warren.gateways:
            client = await stack.enter_async_context(await CentrifugeClient.connect(gateway))
            await client.subscribe(room)
            sessions.append(client)
        yield sessions


async def _say(sessions, room, first, last):
    """Numbers are said and heard by all."""
    for number in range(first, last + 1):
        await sessions[0].publish(room, number)
    for session in sessions:
        await session.expect_pub(room, last)


async def _past(session, room, **which):
    answer = await session.call("history", channel=room, limit=-1, **which)
    return [pub["data"] for pub in answer["publications"]]


async def _all_show(sessions, apis, room, expected):
    """Both gateways and their APIs come to show just these, and then to who was away as well."""
    async with asyncio.timeout(PATIENCE):
        while [await _past(session, room) for session in sessions] != [expected] * len(sessions):
            await asyncio.sleep(0.02)
    for api in apis:
        assert [pub["data"] for pub in api.history(channel=room, limit=100)["publications"]] \
            == expected


async def _recovered(gateway, room, epoch, offset):
    """What somebody gets who comes back with that position."""
    async with await CentrifugeClient.connect(gateway) as client:
        answer = await client.call("subscribe", channel=room, recover=True, epoch=epoch,
                                   offset=offset)
        assert answer["recovered"]
        return [pub["data"] for pub in answer.get("publications", [])]


async def test_one_record_is_deleted(warren, api):
    async with _both(warren, "one") as sessions:
        await _say(sessions, "one", 1, 5)
        epoch = api[0].history(channel="one")["epoch"]
        assert await _recovered(warren.gateways[1], "one", epoch, 1) == [2, 3, 4, 5]
        assert api[0].delete(channel="one", offset=3) == {}
        await _all_show(sessions, api, "one", [1, 2, 4, 5])
        for gateway in warren.gateways:  # it counts as seen: its number stays
            assert await _recovered(gateway, "one", epoch, 1) == [2, 4, 5]
        await _say(sessions, "one", 6, 6)
        await _all_show(sessions, api, "one", [1, 2, 4, 5, 6])
        assert await _past(sessions[0], "one", since={"offset": 2, "epoch": epoch}) == [4, 5, 6]


async def test_a_room_forgets_what_was_said(warren, api):
    async with _both(warren, "all") as sessions:
        await _say(sessions, "all", 1, 5)
        before = api[0].history(channel="all")
        assert api[1].history_remove(channel="all") == {}
        await _all_show(sessions, api, "all", [])
        assert await _recovered(warren.gateways[0], "all", before["epoch"], 2) == []
        after = api[0].history(channel="all")
        assert (after["epoch"], after["offset"]) == (before["epoch"], before["offset"])
        await _say(sessions, "all", 6, 7)
        await _all_show(sessions, api, "all", [6, 7])


async def test_a_page_is_full_though_some_were_removed(warren, api):
    async with _both(warren, "page") as sessions:
        await _say(sessions, "page", 1, 12)
        epoch = api[0].history(channel="page")["epoch"]
        for offset in (2, 3, 4, 10, 11, 12):
            api[0].delete(channel="page", offset=offset)

        def page(limit, **which):
            answer = api[1].history(channel="page", limit=limit, **which)
            assert (answer["epoch"], answer["offset"]) == (epoch, 12)
            return [pub["data"] for pub in answer["publications"]]

        start = {"offset": 0, "epoch": epoch}
        assert page(3) == page(3, since=start) == [1, 5, 6]
        assert page(2, since={"offset": 1, "epoch": epoch}) == [5, 6]
        assert page(3, reverse=True) == [9, 8, 7]
        assert page(1, since={"offset": 5, "epoch": epoch}, reverse=True) == [1]
        assert page(6) == page(7) == page(-1) == [1, 5, 6, 7, 8, 9]
        assert page(7, reverse=True) == [9, 8, 7, 6, 5, 1]
        assert page(5, since={"offset": 9, "epoch": epoch}) == []


@contextlib.contextmanager
def _door(gateway):
    api = Api(gateway)
    try:
        yield api
    finally:
        api.hang_up()


async def test_what_was_removed_stays_so_whoever_ends(broker):
    with deployed(broker) as running:
        async with _both(running, "gone") as sessions:
            await _say(sessions, "gone", 1, 6)
            with _door(running.gateways[0]) as api:
                epoch = api.history(channel="gone")["epoch"]
                api.delete(channel="gone", offset=2, epoch=epoch)
                api.history_remove(channel="gone")
                api.ban(user="villain", ttl=3600)
                api.mute(user="pest")
                api.close(channel="bar")
            await _say(sessions, "gone", 7, 8)
            with _door(running.gateways[1]) as api:
                api.delete(channel="gone", offset=8)
            await _all_show(sessions, [], "gone", [7])
        for service in running.broadcasters + running.gateways:
            service.kill()
        for service in running.broadcasters + running.gateways:
            service.start()
        async with _both(running, "gone") as sessions:
            await _all_show(sessions, [], "gone", [7])
            for gateway in running.gateways:
                assert await _recovered(gateway, "gone", epoch, 1) == [7]
            for gateway in running.gateways:
                await _still_moderated(running, gateway, sessions)


async def _still_moderated(running, gateway, sessions):
    """Who was banned and muted, and the room that was closed, before all gateways were killed."""
    with pytest.raises(Closed) as closed:
        await CentrifugeClient.connect(gateway, running.token("villain"))
    assert closed.value.code == 3507
    async with await CentrifugeClient.connect(gateway, running.token("pest")) as pest:
        with pytest.raises(CommandError) as refused:
            await pest.subscribe("bar")
        assert refused.value.code == 103
        await pest.subscribe("gone")
        await pest.publish("gone", f"spam by {gateway.name}")
        await pest.expect_pub("gone", f"spam by {gateway.name}")
    await sessions[0].publish("gone", f"end by {gateway.name}")
    for session in sessions:
        await session.expect_pub("gone", f"end by {gateway.name}")
        assert not any("spam" in str(pub["data"]) for pub in session.pubs("gone"))


async def test_what_was_removed_stays_so_beyond_memory_and_checkpoints(broker):
    """Its record is found in the log again, by an owner that had to look for it there."""
    settings = {"topology.partitions": 1, "room.history_size": 1000}
    more = {"broadcaster.checkpoint_bytes": "64k", "broadcaster.memory": "1m"}
    with deployed(broker, settings=settings, broadcaster=more) as running:
        async with _both(running, "old") as sessions:
            await sessions[0].subscribe("busy")
            await _say(sessions, "old", 1, 10)
            with _door(running.gateways[1]) as api:
                epoch = api.history(channel="old")["epoch"]
                api.history_remove(channel="old")
                await _say(sessions, "old", 11, 20)
                api.delete(channel="old", offset=13)
            for _ in range(15):
                await asyncio.gather(*(sessions[0].publish("busy", "x" * 8000) for _ in range(20)))
        for service in running.broadcasters + running.gateways:
            service.kill()
        for service in running.broadcasters + running.gateways:
            service.start()
        left = [11, 12, *range(14, 21)]
        async with _both(running, "old") as sessions:
            await _all_show(sessions, [], "old", left)
            for gateway in running.gateways:
                assert await _recovered(gateway, "old", epoch, 1) == left
                assert await _recovered(gateway, "old", epoch, 12) == left[2:]
        assert sum(b.metric("warren_broadcaster_fetches_total") for b in running.broadcasters) > 0


def _fails(code, method, **params):
    with pytest.raises(ApiError) as failed:
        method(**params)
    assert failed.value.code == code


async def test_what_cannot_be_meant_is_refused(warren, api):
    async with _both(warren, "odd") as sessions:
        await _say(sessions, "odd", 1, 2)
        _fails(107, api[0].delete, channel="odd", offset=3)
        _fails(107, api[0].delete, channel="odd", offset=0)
        _fails(107, api[0].delete, channel="odd")
        _fails(107, api[0].delete, offset=1)
        _fails(112, api[0].delete, channel="odd", offset=1, epoch="another")
        _fails(107, api[0].history_remove, channel="od d")
        assert api[0].history_remove(channel="nobody-spoke-here") == {}
        await _all_show(sessions, api, "odd", [1, 2])
