"""Programs listen: a durable queue bound to PREFIX.events is told of the rooms that it names."""

import asyncio
import json
import secrets

import pytest
from kit import CentrifugeClient, Deployment
from kit.programs import LIBRARIES
from kit.schemas import validator
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


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.__name__)
def program(request, broker):
    with request.param(broker, "listener") as one:
        yield one


class Told:
    """What a queue has been told, as (type, decoded body); bodies are as their schema says."""

    def __init__(self, program, warren, keys):
        self._program = program
        self._queue = f"app.{warren.prefix}-{secrets.token_hex(4)}"
        self.all = []
        program.listen(self._queue, f"{warren.prefix}.events", keys)

    def take(self):
        for kind, body in self._program.take(self._queue):
            part = "record" if kind == "record" else "move"
            validator("event", part).validate(json.loads(body))
            self.all.append((kind, json.loads(body)))
        return self.all

    def records(self):
        return [body for kind, body in self.take() if kind == "record"]


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


async def test_an_owner_may_be_killed(broker, warren, program):
    room = f"half:kill-{type(program).__name__}"
    told = Told(program, warren, [f"record.{room}"])
    async with await CentrifugeClient.connect(warren.gateways[1]) as bob:
        await bob.subscribe(room)
        for number in range(20):
            await bob.publish(room, number)
        await asyncio.to_thread(warren.broadcasters[0].kill)
        for number in range(20, 40):
            await bob.publish(room, number)
        warren.broadcasters[0].start(wait=False)
        await asyncio.to_thread(warren.broadcasters[0].wait_ready)
        await bob.expect_pub(room, 39)
    await eventually_async(lambda: 39 in [body["data"] for _, body in told.take()])
    offsets = [body["offset"] for _, body in told.all]
    assert offsets == sorted(set(offsets))  # in order, each once; what is missing shows as a hole
    assert offsets[-1] == 40
