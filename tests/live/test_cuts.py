"""Connections between gateways and the broker are cut: sessions stay, their rooms stay whole."""

import asyncio
from contextlib import contextmanager

import pytest
from kit import CentrifugeClient, Deployment
from kit.relay import IN, OUT, Relay
from kit.talk import Talk, all_go_on, finish_all
from kit.waiting import eventually_async

_PUBLISH, _CONSUME = " publish", " consume"  # ends of the names of a gateway's connections
_CONNECTS = "warren_gateway_bus_connects_total"
_HOLES = "warren_gateway_link_holes_total"
_ATTACHES = "warren_gateway_attaches_total"
_PAGE = "x" * 16384
_QUEUE_BYTES = 200_000  # that may wait for a gateway; with this, a few records too many suffice


@contextmanager
def _behind_relays(broker, count, **more):
    """A gateway that has a connection as it should be, and `count` behind a relay each."""
    relays = [Relay(broker.amqp_port) for _ in range(count)]
    try:
        with Deployment(broker, gateways=1, **more) as running:
            for relay in relays:
                running.add_gateway(start=False, amqp__url=relay.url("gateway")).start(wait=False)
            for gateway in running.gateways:
                gateway.wait_ready()
            yield running, relays
            for relay in relays:
                relay.heal()
    finally:
        for relay in relays:
            relay.stop()


@pytest.mark.parametrize("who", [_PUBLISH, _CONSUME, None])
async def test_a_reset_is_a_delay_and_nothing_else(broker, who):
    with _behind_relays(broker, 1) as (running, [relay]):
        whole, cut = running.gateways
        talks = [await Talk.start(f"from-{i}", cut, whole) for i in range(3)]
        talks += [await Talk.start(f"to-{i}", whole, cut) for i in range(3)]
        talks += [await Talk.start("within", cut, cut)]
        for _ in range(5):
            await all_go_on(talks)
            connects = cut.metric(_CONNECTS)
            relay.reset(who)
            await eventually_async(lambda before=connects: cut.metric(_CONNECTS) > before)
        await all_go_on(talks)
        await finish_all(talks)


async def test_what_is_swallowed_is_said_again_and_counts_once(broker):
    """Each gateway loses another way; none is told, all find out by the broker's silence."""
    cuts = [([OUT], _PUBLISH), ([IN], _PUBLISH), ([OUT, IN], _PUBLISH), ([IN], _CONSUME),
            ([OUT, IN], _CONSUME), ([OUT], None), ([IN], None), ([OUT, IN], None)]
    settings = {"room.history_size": 10000}  # all that is said in the outage
    with _behind_relays(broker, len(cuts), settings=settings) as (running, relays):
        whole, *lossy = running.gateways
        talks = []
        for i, gateway in enumerate(lossy):
            talks.append(await Talk.start(f"from-{i}", gateway, whole, pause=0.02))
            talks.append(await Talk.start(f"to-{i}", whole, gateway, pause=0.02))
        await all_go_on(talks)
        before = [gateway.metric(_CONNECTS) for gateway in lossy]
        for relay, (ways, who) in zip(relays, cuts):
            relay.cut(*ways, who=who)
        for gateway, relay, (ways, who), connects in zip(lossy, relays, cuts, before):
            def noticed(gateway=gateway, connects=connects, who=who):
                if who is None:  # new connections find nobody either
                    return gateway.get("/ready")[0] == 503
                return gateway.metric(_CONNECTS) > connects
            await eventually_async(noticed, what=f"{ways} of {who} is missed")
            assert gateway.get("/live")[0] == 200
        # What was on its way is let go now; its sender has said it again meanwhile.
        for relay in relays:
            relay.heal()
        await all_go_on(talks)
        await finish_all(talks)


@contextmanager
def _little_room(broker, prefix):
    """The broker keeps less for a gateway than the gateway has asked for."""
    path = f"policies/%2F/{prefix}-little"
    broker.api(path, "PUT", {"pattern": rf"^{prefix}\.gateway\.", "apply-to": "queues",
                             "definition": {"max-length-bytes": _QUEUE_BYTES}})
    try:
        yield
    finally:
        broker.api(path, "DELETE")


async def _overflow(running, relay, room):
    """Says more than the broker keeps for a gateway that takes its deliveries slowly; returns how
    much it said, and has woken that gateway up."""
    whole, slow = running.gateways
    attaches = slow.metric(_ATTACHES)
    relay.slow(20_000, IN, who=_CONSUME)
    async with await CentrifugeClient.connect(whole) as writer:
        for number in range(1200):
            await writer.publish(room, {"n": number, "page": _PAGE})
        relay.heal()
        # A hole, or the gateway was so long without an answer that it began anew by itself.
        await eventually_async(lambda: slow.metric(_HOLES) > 0 or slow.metric(_ATTACHES) > attaches,
                               what="a hole in the link")
        await writer.publish(room, {"n": 1200, "page": "last"})
    return 1201


async def test_an_overflow_of_deliveries_heals(broker):
    settings = {"room.history_size": 2000, "gateway.out_queue": "64m"}
    with _behind_relays(broker, 1, broadcasters=1, settings=settings) as (running, [relay]), \
            _little_room(broker, running.prefix):
        whole, slow = running.gateways
        async with await CentrifugeClient.connect(whole) as ann, \
                await CentrifugeClient.connect(slow) as bob:
            for client in (ann, bob):
                await client.subscribe("pages")
            count = await _overflow(running, relay, "pages")
            for client in (ann, bob):
                await eventually_async(lambda c=client: len(c.pubs("pages")) >= count)
                assert [p["data"]["n"] for p in client.pubs("pages")] == list(range(count))
                assert [p["offset"] for p in client.pubs("pages")] == list(range(1, count + 1))
        assert slow.metric("warren_gateway_positions_lost_total") == 0


async def test_an_overflow_that_cannot_heal_is_told(broker):
    """The owner has forgotten what is missing, or finds it in the log; but nobody is left out."""
    settings = {"room.history_size": 10, "gateway.out_queue": "64m"}
    with _behind_relays(broker, 1, broadcasters=1, settings=settings,
                        broadcaster={"broadcaster.memory": "1m"}) as (running, [relay]), \
            _little_room(broker, running.prefix):
        whole, slow = running.gateways
        async with await CentrifugeClient.connect(whole) as ann, \
                await CentrifugeClient.connect(slow) as bob:
            await ann.subscribe("pages")
            await ann.publish("pages", "first")
            await ann.expect_pub("pages", "first")
            place = await bob.subscribe("pages", positioned=True, recoverable=True)
            count = 1 + await _overflow(running, relay, "pages")

            def heard():
                offsets = [p["offset"] for p in bob.pubs("pages")]
                assert offsets == list(range(2, len(offsets) + 2))
                return 1 + len(offsets)

            def told():
                return [m["push"]["unsubscribe"]["code"] for m in bob.received
                        if "unsubscribe" in m.get("push", {})]
            await eventually_async(lambda: told() or heard() == count, what="healed or told")
            print("told" if told() else "healed", "at", heard(), "of", count)
            if told():
                assert told() == [2500] and heard() < count
                again = await bob.subscribe("pages", positioned=True, recover=True,
                                            epoch=place["epoch"], offset=heard())
                missed = [p["offset"] for p in again.get("publications", [])]
                assert missed == (list(range(heard() + 1, count + 1)) if again.get("recovered")
                                  else [])
            await eventually_async(lambda: len(ann.pubs("pages")) >= count)
            assert [p["offset"] for p in ann.pubs("pages")] == list(range(1, count + 1))
