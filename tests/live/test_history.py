"""What was said in a room: the history command, and that it is still there when owners change."""

import asyncio

import pytest
from kit import CentrifugeClient, CommandError, Deployment


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker, settings={"room.history_size": 20}) as running:
        yield running


async def _say(client, room, count, first=1):
    """Publishes first, first + 1 ... and waits until the last one is back."""
    for number in range(first, first + count):
        await client.publish(room, number)
    await client.expect_pub(room, first + count - 1)


async def _offsets(client, room, **fields):
    past = await client.call("history", channel=room, **fields)
    return [pub["offset"] for pub in past.get("publications", [])]


async def test_history_gives_what_was_asked_for(warren):
    async with await CentrifugeClient.connect(warren.gateways[0]) as ann:
        place = await ann.subscribe("asked")
        await _say(ann, "asked", 30)
        top = await ann.call("history", channel="asked", limit=0)
        assert top["offset"] == 30 and not top.get("publications")
        assert place["epoch"] == top["epoch"]  # it had it before anybody spoke
        epoch = top["epoch"]

        def since(offset):
            return {"offset": offset, "epoch": epoch}

        cases = [
            ({}, []),  # without a limit: only the position
            ({"limit": -1}, range(11, 31)),
            ({"limit": 5}, range(11, 16)),
            ({"limit": 1000}, range(11, 31)),
            ({"limit": -1, "reverse": True}, range(30, 10, -1)),
            ({"limit": 3, "reverse": True}, range(30, 27, -1)),
            ({"limit": -1, "since": since(25)}, range(26, 31)),
            ({"limit": 2, "since": since(25)}, range(26, 28)),
            ({"limit": -1, "since": since(30)}, []),
            ({"limit": -1, "since": since(2)}, range(11, 31)),  # as far back as there is history
            ({"limit": 2, "since": since(15), "reverse": True}, (14, 13)),
        ]
        for fields, wanted in cases:
            assert await _offsets(ann, "asked", **fields) == list(wanted), fields
        with pytest.raises(CommandError) as error:
            await ann.call("history", channel="asked", limit=5,
                           since={"offset": 3, "epoch": "other"})
        assert error.value.code == 112


async def test_a_room_where_nobody_spoke_has_an_empty_history(warren):
    async with await CentrifugeClient.connect(warren.gateways[1]) as ann:
        await ann.subscribe("silence")
        past = await ann.call("history", channel="silence", limit=-1)
        assert not past.get("publications") and past.get("offset", 0) == 0


async def test_a_busy_room_costs_no_other_one_its_history(broker):
    settings = {"topology.partitions": 1, "broadcaster.memory": "1m"}
    with Deployment(broker, gateways=1, broadcasters=1, settings=None,
                    gateway={"topology.partitions": 1}, broadcaster=settings) as running:
        async with await CentrifugeClient.connect(running.gateways[0]) as ann:
            for room in ("quiet", "busy"):
                await ann.subscribe(room)
            await _say(ann, "quiet", 5)
            for _ in range(20):
                await asyncio.gather(*(ann.publish("busy", "x" * 4000) for _ in range(20)))
            await _say(ann, "busy", 1)
            before = running.broadcasters[0].metric("warren_broadcaster_fetches_total")
            assert await _offsets(ann, "quiet", limit=-1) == [1, 2, 3, 4, 5]
            after = running.broadcasters[0].metric("warren_broadcaster_fetches_total")
            assert before == after == 0  # it was in memory all the time


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_history_is_complete_again_after_all_owners_have_gone(broker, end):
    settings = {"topology.partitions": 1, "broadcaster.checkpoint_bytes": "64k"}
    with Deployment(broker, gateways=1, broadcasters=2, gateway={"topology.partitions": 1},
                    broadcaster=settings) as running:
        async with await CentrifugeClient.connect(running.gateways[0]) as ann:
            for room in ("quiet", "busy"):
                await ann.subscribe(room)
            await _say(ann, "quiet", 30)
            for _ in range(15):  # so much that a new owner does not read back so far to begin
                await asyncio.gather(*(ann.publish("busy", "x" * 8000) for _ in range(20)))
            await _say(ann, "busy", 1)
            for victim in running.broadcasters:
                await asyncio.to_thread(getattr(victim, end))
            for victim in running.broadcasters:
                await asyncio.to_thread(victim.start)
            past = await ann.expect_history("quiet", [(n, n) for n in range(1, 31)])
            assert past["offset"] == 30
            await _say(ann, "quiet", 3, first=31)
            await ann.expect_history("quiet", [(n, n) for n in range(1, 34)])
