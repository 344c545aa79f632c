"""A gateway that is told to end: what it still does, who hears what, what it leaves behind."""

import asyncio
import signal

import pytest
from kit import CentrifugeClient, Deployment, PlainClient
from kit.waiting import eventually_async

_ROOM = "drain"


def _objects(running):
    return running.broker.names("queues", f"{running.prefix}.gateway") + \
        running.broker.names("exchanges", f"{running.prefix}.gateway")


async def test_it_lets_people_in_until_balancers_have_noticed(broker):
    with Deployment(broker, gateways=1, broadcasters=1,
                    gateway={"gateway.drain_accept": "10m"}) as running:
        [gateway] = running.gateways
        async with await CentrifugeClient.connect(gateway) as ann:
            await ann.subscribe(_ROOM)
            gateway.send_signal(signal.SIGTERM)
            await eventually_async(lambda: gateway.get("/ready") == (503, "draining\n"))
            assert gateway.get("/live")[0] == 200
            async with await PlainClient.settled(gateway, _ROOM) as late:
                await late.say("late", "hello")
                await ann.expect_pub(_ROOM, {"username": "late", "message": "hello"})
            assert not ann.closed
            # The second one ends it now: nobody is told.
            gateway.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(gateway.process.wait) == 1
            assert (await ann.expect_closed())[0] == 1006
        gateway.process = None


async def test_it_ends_all_in_order_and_leaves_nothing_behind(broker):
    with Deployment(broker, gateways=1, broadcasters=1,
                    gateway={"gateway.drain": "1s"}) as running:
        [gateway] = running.gateways
        clients = [await CentrifugeClient.connect(gateway) for _ in range(20)]
        plain = await PlainClient.settled(gateway, _ROOM)
        assert len(_objects(running)) >= 2
        gateway.send_signal(signal.SIGTERM)
        for client in [*clients, plain]:
            assert await client.expect_closed() == (3001, "shutdown")
        assert await asyncio.to_thread(gateway.process.wait) == 0
        gateway.process = None
        gateway.check_log()
        with pytest.raises(OSError):
            await CentrifugeClient.connect(gateway)
        await eventually_async(lambda: not _objects(running), what="they are gone")


async def _publish_until_refused(client, gateway):
    """The publishes; the broker has refused the last one but one, and one is behind it."""
    def is_refused():
        return gateway.metric("warren_gateway_limits_met_total",
                              limit="topology.in_max_length") > 0

    said = []
    while not is_refused():
        said.append(asyncio.create_task(client.publish(_ROOM, len(said))))
        await eventually_async(lambda: said[-1].done() or is_refused())
    said.append(asyncio.create_task(client.publish(_ROOM, len(said))))
    await eventually_async(lambda: gateway.metric("warren_gateway_publishes_waiting") == 2)
    return said


async def test_what_is_on_its_way_is_answered(broker):
    """Nobody takes batches from the input, which is full: so the last publish is in doubt."""
    settings = {"topology.in_max_length": 100, "gateway.publish_wait": "1m",
                "gateway.drain": "10m"}
    with Deployment(broker, gateways=2, broadcasters=1, settings=settings) as running:
        gateway, other = running.gateways
        async with await CentrifugeClient.connect(gateway) as ann, \
                await CentrifugeClient.connect(other) as bob:
            await bob.subscribe(_ROOM)
            await asyncio.to_thread(running.broadcasters[0].kill)
            said = await _publish_until_refused(ann, gateway)
            gateway.send_signal(signal.SIGTERM)
            await eventually_async(lambda: gateway.get("/ready") == (503, "draining\n"))
            await asyncio.to_thread(running.broadcasters[0].start)
            await asyncio.gather(*said)
            assert await ann.expect_closed() == (3001, "shutdown")
            assert await asyncio.to_thread(gateway.process.wait) == 0
            gateway.process = None
            await bob.expect_pub(_ROOM, len(said) - 1)
            assert [pub["data"] for pub in bob.pubs(_ROOM)] == list(range(len(said)))
