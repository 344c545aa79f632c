"""The broker stalls, dies and comes back: sessions stay, publishes are refused, nothing is lost."""

import asyncio
import time

import pytest
from kit import CentrifugeClient, CommandError, Deployment
from kit.waiting import eventually_async

_FROZEN_S = 20
_SETTINGS = {"gateway.ping": "1s", "gateway.pong": "900ms"}


async def _publish_until_refused(client, room, count):
    """Publishes `count` records at once; (numbers that succeeded, numbers that were refused)."""
    async def one(number):
        try:
            await client.publish(room, number)
            return number, True
        except CommandError as error:
            assert error.code == 100 and error.temporary
            return number, False

    results = await asyncio.gather(*(one(number) for number in range(count)))
    return [n for n, ok in results if ok], [n for n, ok in results if not ok]


async def _publish_until_it_works(client, room, data):
    while True:
        try:
            await client.publish(room, data)
            return
        except CommandError as error:
            assert error.code == 100 and error.temporary


async def test_a_frozen_broker_stalls_no_session(own_broker):
    with Deployment(own_broker, broadcasters=1, settings=_SETTINGS) as running:
        one, two = running.gateways
        async with await CentrifugeClient.connect(one) as ann, \
                await CentrifugeClient.connect(two) as bob:
            for client in (ann, bob):
                await client.subscribe("frozen")
            await ann.publish("frozen", "before")
            own_broker.pause()
            try:
                frozen = time.monotonic()
                pings = ann.pings
                # The first record is in doubt: it gets its answer when the broker is back. What
                # waits behind it is refused, and soon.
                doubt = asyncio.create_task(ann.publish("frozen", "in doubt"))
                await eventually_async(
                    lambda: one.metric("warren_gateway_batches_sent_total") >= 2)
                done, refused = await _publish_until_refused(ann, "frozen", 50)
                assert not done and len(refused) == 50
                await eventually_async(lambda: ann.pings >= pings + _FROZEN_S)
                assert time.monotonic() - frozen > _FROZEN_S - 2  # the pings were not made up
                assert not ann.closed and not bob.closed
                assert not doubt.done()
            finally:
                own_broker.resume()
            await doubt
            await _publish_until_it_works(ann, "frozen", "after")
            for client in (ann, bob):
                await client.expect_pub("frozen", "after")
                assert [p["data"] for p in client.pubs("frozen")] == ["before", "in doubt", "after"]
                assert [p["offset"] for p in client.pubs("frozen")] == [1, 2, 3]


async def test_a_broker_that_comes_back_has_lost_and_doubled_nothing(own_broker):
    with Deployment(own_broker, settings=_SETTINGS) as running:
        one, two = running.gateways
        async with await CentrifugeClient.connect(one) as ann, \
                await CentrifugeClient.connect(two) as bob:
            for client in (ann, bob):
                await client.subscribe("restart")
            said = {"ok": [], "refused": [], "doubt": []}
            # Stopped first: RabbitMQ keeps what it knows of a new stream in memory for a while.
            for end in ("stop", "kill"):
                talking = asyncio.create_task(_talk(ann, "restart", said))
                heard = len(bob.pubs("restart"))
                await eventually_async(lambda: len(bob.pubs("restart")) > heard + 20)
                await asyncio.to_thread(getattr(own_broker, end))
                await asyncio.to_thread(own_broker.start)
                await asyncio.to_thread(own_broker.wait_ready)
                await _publish_until_it_works(bob, "restart", f"after {end}")
                await ann.expect_pub("restart", f"after {end}")
                talking.cancel()
                await talking
            await _publish_until_it_works(ann, "restart", "last")
            for client in (ann, bob):
                await client.expect_pub("restart", "last")
                pubs = client.pubs("restart")
                assert [p["offset"] for p in pubs] == list(range(1, len(pubs) + 1))
                heard = [p["data"] for p in pubs if isinstance(p["data"], int)]
                assert heard == sorted(set(heard))
                assert set(said["ok"]) <= set(heard) <= set(said["ok"]) | set(said["doubt"])
                assert not set(said["refused"]) & set(heard)


async def _talk(client, room, said):
    """Publishes numbers, each one higher, until cancelled; `said` tells what became of each."""
    number = 1 + max(sum(said.values(), [-1]))
    while True:
        publish = asyncio.ensure_future(client.publish(room, number))
        try:
            await asyncio.shield(publish)
            said["ok"].append(number)
        except CommandError as error:
            assert error.code == 100 and error.temporary
            said["refused"].append(number)
        except asyncio.CancelledError:
            said["doubt"].append(number)
            publish.cancel()
            return
        number += 1


async def test_sessions_may_come_while_the_broker_is_away(own_broker):
    settings = {"gateway.subscribe_wait": "500ms"}
    with Deployment(own_broker, gateways=1, broadcasters=1, settings=settings) as running:
        gateway = running.gateways[0]
        async with await CentrifugeClient.connect(gateway) as ann:
            await ann.subscribe("known")
            await asyncio.to_thread(own_broker.stop)
            assert await asyncio.to_thread(lambda: gateway.get("/live")[0]) == 200
            await eventually_async(lambda: gateway.get("/ready")[0] == 503)
            async with await CentrifugeClient.connect(gateway) as bob:
                await bob.subscribe("known")  # the gateway knows where that room is
                with pytest.raises(CommandError) as error:
                    await bob.subscribe("unknown")
                assert error.value.code == 100 and error.value.temporary
                await asyncio.to_thread(own_broker.start)
                await asyncio.to_thread(own_broker.wait_ready)

                async def subscribed():
                    try:
                        await bob.subscribe("unknown")
                        return True
                    except CommandError as again:
                        assert again.temporary
                        return False

                await eventually_async(subscribed)
                await _publish_until_it_works(ann, "known", "hello")
                await bob.expect_pub("known", "hello")
