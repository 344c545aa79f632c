"""Programs listen: a durable queue bound to PREFIX.events is told of the rooms that it names."""

import asyncio

import pytest
from kit import CentrifugeClient, Deployment
from kit.programs import Told, WithPika
from kit.waiting import PATIENCE, eventually_async

CONFIG = """
[room "told"]
events = record, join, leave
[room "half"]
events = record
"""


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker, config=CONFIG) as running:
        yield running


async def test_it_is_told_of_records_in_order_and_of_who_comes_and_goes(warren, program):
    name = type(program).__name__
    room, half, silent = f"told:{name}", f"half:{name}", f"silent:{name}"
    told = Told(program, warren, [f"record.{room}", f"join.{room}", f"leave.{room}",
                                  f"record.{half}", "record.silent:#", "join.#"])
    async with await CentrifugeClient.connect(warren.gateways[0], warren.token("ann")) as ann, \
            await CentrifugeClient.connect(warren.gateways[1], warren.token("bob")) as bob:
        for client in (ann, bob):
            for each in (room, half, silent):
                await client.subscribe(each)
        for number in range(10):
            await ann.publish(silent, number)
            await ann.publish(room, {"n": number, "x": 1.10})
            await bob.publish(half, number)
        await eventually_async(lambda: len(told.records()) == 20, what="all records are told")
        records = told.records()
        for each, user in ((room, "ann"), (half, "bob")):
            of_room = [body for body in records if body["room"] == each]
            assert [body["offset"] for body in of_room] == list(range(1, 11))
            assert {body["user"] for body in of_room} == {user}
            assert len({body["epoch"] for body in of_room}) == 1
        assert [body["data"]["n"] for body in records if body["room"] == room] == list(range(10))
        # Hints: who comes while a partition goes from owner to owner is not told.
        async with asyncio.timeout(PATIENCE):
            while not {("join", "bob"), ("leave", "bob")} <= {
                    (kind, body["user"]) for kind, body in told.take()}:
                await bob.unsubscribe(room)
                await bob.subscribe(room)
        clients = {"ann": ann.client, "bob": bob.client}
        for kind, body in told.all:
            if kind != "record":
                assert (body["room"], body["client"]) == (room, clients[body["user"]])
                assert kind == "join" or body["user"] == "bob"


async def _talk(warren, gateway, room, name, until, acknowledged):
    """Publishes until it is told to stop; what was acknowledged is noted."""
    number = 0
    async with await CentrifugeClient.connect(warren.gateways[gateway]) as client:
        while not until.is_set():
            await client.publish(room, f"{name}-{number}")
            acknowledged.append(f"{name}-{number}")
            number += 1


async def test_owners_may_be_killed_and_every_acknowledged_record_is_told(broker, warren):
    with WithPika(broker, "listener") as program:
        await _owners_are_killed(warren, program)


async def _owners_are_killed(warren, program):
    rooms = [f"half:kill-{number}" for number in range(4)]
    told = Told(program, warren, [f"record.{room}" for room in rooms])
    until, acknowledged = asyncio.Event(), []
    talks = [asyncio.create_task(_talk(warren, number % 2, room, room, until, acknowledged))
             for number, room in enumerate(rooms)]
    for kill in range(6):
        before = len(acknowledged)
        await eventually_async(lambda: len(acknowledged) >= before + 40, what="people talk")
        victim = warren.broadcasters[kill % 2]
        await asyncio.to_thread(victim.kill)
        victim.start(wait=False)
        await asyncio.to_thread(victim.wait_ready)
    until.set()
    await asyncio.gather(*talks)
    await eventually_async(
        lambda: set(acknowledged) <= {body["data"] for _, body in told.take()},
        what="every acknowledged record is told")
    first = {}
    for _, body in told.all:
        first.setdefault((body["room"], body["epoch"], body["offset"]), body["data"])
    for room in rooms:  # whoever drops what it knows has them in order, without a hole
        offsets = [offset for name, _, offset in first if name == room]
        assert offsets == list(range(1, len(offsets) + 1))
    assert len(set(first.values())) == len(first)


async def test_a_listener_that_refuses_stops_nobody(broker, warren, program):
    room, full = f"told:full-{type(program).__name__}", f"app.{warren.prefix}-full"
    told = Told(program, warren, [f"record.{room}"])
    with broker.channel() as channel:
        channel.queue_declare(full, durable=True, arguments={
            "x-max-length": 3, "x-overflow": "reject-publish"})
        channel.queue_bind(full, f"{warren.prefix}.events", f"record.{room}")
    async with await CentrifugeClient.connect(warren.gateways[0]) as ann:
        await ann.subscribe(room)
        for number in range(20):
            await ann.publish(room, number)
        await ann.expect_pub(room, 19)
        await eventually_async(lambda: len(told.records()) == 20)
        await eventually_async(lambda: sum(
            each.metric("warren_broadcaster_events_refused_total")
            for each in warren.broadcasters) > 0, what="refusals are counted")
        await eventually_async(lambda: sum(
            each.metric("warren_broadcaster_events_unconfirmed")
            for each in warren.broadcasters) == 0, what="nothing is owed")
    with broker.channel() as channel:
        channel.queue_delete(full)
