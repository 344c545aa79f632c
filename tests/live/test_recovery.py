"""Sessions that come back get exactly what they missed, or are told that they cannot."""

import asyncio

import pytest
from kit import CentrifugeClient, Deployment
from kit.waiting import eventually_async


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker) as running:
        yield running


async def _say(client, room, count, first=1):
    """Publishes first, first + 1 ... and waits until the last one is back."""
    await asyncio.gather(*(client.publish(room, n) for n in range(first, first + count)))
    await eventually_async(lambda: len(client.pubs(room)) >= first + count - 1, what="all are back")


async def _come_back(gateway, room, offset, epoch, **more):
    client = await CentrifugeClient.connect(gateway)
    reply = await client.subscribe(room, recover=True, recoverable=True, offset=offset,
                                   epoch=epoch, **more)
    await client.close()
    return reply


def _missed(reply):
    return [pub["offset"] for pub in reply.get("publications", [])]


@pytest.mark.parametrize("which", [0, 1])
async def test_who_comes_back_gets_exactly_what_was_missed(warren, which):
    room = f"back-{which}"
    gateway = warren.gateways[which]  # the one that follows the room, and one that does not
    async with await CentrifugeClient.connect(warren.gateways[0]) as ann:
        await ann.subscribe(room)
        await _say(ann, room, 400)
        epoch = (await ann.call("history", channel=room, limit=0))["epoch"]
        for offset in (399, 395, 350, 100):
            reply = await _come_back(gateway, room, offset, epoch)
            assert reply["was_recovering"] and reply["recovered"]
            assert reply["offset"] == offset and reply["epoch"] == epoch
            assert _missed(reply) == list(range(offset + 1, 401))
        nothing = await _come_back(gateway, room, 400, epoch)
        assert nothing["recovered"] and not _missed(nothing)
        for offset, of in ((99, epoch), (0, epoch), (390, "other")):
            reply = await _come_back(gateway, room, offset, of)
            assert reply["was_recovering"] and not reply.get("recovered")
            assert reply["offset"] == 400 and not _missed(reply)


async def test_a_position_of_the_beginning_gives_all(warren):
    async with await CentrifugeClient.connect(warren.gateways[0]) as ann:
        epoch = (await ann.subscribe("begin")).get("epoch", "")
        await _say(ann, "begin", 40)
        for gateway in warren.gateways:
            reply = await _come_back(gateway, "begin", 0, epoch)
            assert reply["recovered"] and _missed(reply) == list(range(1, 41))


async def test_a_position_in_the_future_is_not_recovered(warren):
    async with await CentrifugeClient.connect(warren.gateways[0]) as ann:
        await ann.subscribe("future")
        await _say(ann, "future", 3)
        epoch = (await ann.call("history", channel="future", limit=0))["epoch"]
        reply = await _come_back(warren.gateways[1], "future", 9, epoch)
        assert reply["was_recovering"] and not reply.get("recovered")
        assert reply["offset"] == 3


async def test_a_crowd_that_comes_back_costs_the_owner_nothing(warren):
    one = warren.gateways[0]
    async with await CentrifugeClient.connect(one) as ann:
        await ann.subscribe("crowd")
        await _say(ann, "crowd", 60)
        epoch = (await ann.call("history", channel="crowd", limit=0))["epoch"]
        before = one.metrics()
        replies = await asyncio.gather(*(_come_back(one, "crowd", 40, epoch) for _ in range(200)))
        after = one.metrics()
        assert all(_missed(reply) == list(range(41, 61)) for reply in replies)

        def grown(name):
            return after[f"warren_gateway_{name}"] - before[f"warren_gateway_{name}"]

        assert grown("recovered_local_total") == 200
        assert grown("recovered_owner_total") == 0


async def test_sessions_of_a_killed_gateway_recover_on_the_other(broker):
    with Deployment(broker) as running:
        one, two = running.gateways
        async with await CentrifugeClient.connect(two) as ann:
            await ann.subscribe("moved")
            people = [await CentrifugeClient.connect(one) for _ in range(10)]
            for bob in people:
                await bob.subscribe("moved")
            await _say(ann, "moved", 20)
            for bob in people:
                await eventually_async(lambda b=bob: len(b.pubs("moved")) == 20, what="all heard")
            epoch = (await ann.call("history", channel="moved", limit=0))["epoch"]
            await asyncio.to_thread(one.kill)
            await _say(ann, "moved", 10, first=21)
            for bob in people:
                last = bob.pubs("moved")[-1]["offset"]
                reply = await _come_back(two, "moved", last, epoch)
                assert reply["recovered"] and _missed(reply) == list(range(21, 31))
            await asyncio.to_thread(one.start)
            reply = await _come_back(one, "moved", 20, epoch)
            assert reply["recovered"] and _missed(reply) == list(range(21, 31))


async def test_what_was_missed_is_there_after_all_owners_were_killed(broker):
    settings = {"broadcaster.checkpoint_bytes": "64k"}
    with Deployment(broker, broadcaster=settings) as running:
        async with await CentrifugeClient.connect(running.gateways[0]) as ann:
            await ann.subscribe("owners")
            await _say(ann, "owners", 250)
            epoch = (await ann.call("history", channel="owners", limit=0))["epoch"]
            for victim in running.broadcasters:
                await asyncio.to_thread(victim.kill)
            for victim in running.broadcasters:
                await asyncio.to_thread(victim.start)
            await _say(ann, "owners", 30, first=251)
            for gateway in running.gateways:
                reply = await _come_back(gateway, "owners", 5, epoch)
                assert reply["recovered"] and _missed(reply) == list(range(6, 281))


async def test_a_gateway_that_was_cut_off_from_a_busy_room_misses_nothing(broker):
    with Deployment(broker) as running:
        one, two = running.gateways
        ends = {"destination": f"{running.prefix}.gateway.{two.name}",
                "source": f"{running.prefix}.gateways", "routing_key": two.name}
        async with await CentrifugeClient.connect(one) as ann, \
                await CentrifugeClient.connect(two) as bob:
            await ann.subscribe("cut")
            await bob.subscribe("cut")
            await _say(ann, "cut", 10)
            await eventually_async(lambda: len(bob.pubs("cut")) == 10, what="bob heard")
            with broker.channel() as channel:
                channel.exchange_unbind(**ends)
                for part in range(15):  # much more than history shows
                    await _say(ann, "cut", 100, first=11 + 100 * part)
                channel.exchange_bind(**ends)
            await _say(ann, "cut", 1, first=1511)
            await eventually_async(lambda: len(bob.pubs("cut")) == 1511, what="bob heard all")
            assert [p["offset"] for p in bob.pubs("cut")] == list(range(1, 1512))
            assert two.metric("warren_gateway_positions_lost_total") == 0
