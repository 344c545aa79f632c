"""Every kind of AMQP message is overheard as it is really sent, and is as its schema says."""

import json
import re
from collections import Counter
from pathlib import Path

import jsonschema
import pika
import pytest
from kit import CentrifugeClient, PlainClient
from kit.api import deployed
from kit.schemas import message, validator
from kit.waiting import eventually_async

_TABLE = Path(__file__).resolve().parents[2] / "proto/message.def"
_KINDS = set(re.findall(r'^MESSAGE\(\w+, "(\w+)"', _TABLE.read_text(encoding="utf-8"),
                        re.MULTILINE))
_PARTITIONS = 4
CONFIG = """
[room]
join_leave = yes
events = record, join, leave
"""


@pytest.fixture(scope="module")
def warren(broker):
    with deployed(broker, config=CONFIG) as running:
        yield running


class Tap:
    """A queue that gets a copy of all that services of a deployment say; most of it to each other.

    It is in nobody's way: only what goes to a gateway that is gone would not come back.
    """

    def __init__(self, channel, warren):
        self._channel = channel
        self._prefix = warren.prefix
        self.queue = channel.queue_declare("", exclusive=True).method.queue
        self.kinds = Counter()
        partitions = [str(p) for p in range(_PARTITIONS)]
        for exchange, keys in (
                ("in", partitions), ("log", partitions), ("owner", [*partitions, "all"]),
                ("gateways", [*(gateway.name for gateway in warren.gateways), "all"]),
                ("control", [""]), ("events", ["#"]), ("dead", [""])):
            for key in keys:
                channel.queue_bind(self.queue, f"{self._prefix}.{exchange}", key)

    def take(self):
        """Holds what has come against the schemas; which kinds there have been."""
        while (found := self._channel.basic_get(self.queue, auto_ack=True))[0]:
            method, properties, body = found
            exchange = method.exchange.removeprefix(f"{self._prefix}.")
            assert exchange != "dead", (properties, body)
            if exchange == "events":
                validator("event").validate(json.loads(body))
                self.kinds["event"] += 1
                continue
            assert properties.content_type == "application/x-ndjson"
            said = message(properties.type, properties.headers, body.decode())
            validator("message", properties.type).validate(said)
            validator("message").validate(said)
            self.kinds[properties.type] += 1
        return set(self.kinds)


@pytest.fixture
def tap(broker, warren):
    with broker.channel() as channel:
        yield Tap(channel, warren)


async def test_all_that_is_sent_is_as_the_schemas_say(warren, api, tap):
    rooms = [f"room:{n}" for n in range(8)]
    one, two = warren.gateways
    async with await CentrifugeClient.connect(one, warren.token("ann", info={"a": 1})) as ann, \
            await CentrifugeClient.connect(two, warren.token("bo\u00df \"b\"")) as bob, \
            await PlainClient.settled(two, rooms[0], token=warren.token("joe")) as joe:
        for room in rooms:
            for client in (ann, bob):
                await client.subscribe(room, join_leave=True)
            await ann.publish(room, {"text": "one\nand \u2028 \"two\"", "n": [1.10, 1e2, None]})
            await bob.call("publish", channel=room, data="again", idempotency_key="k 1")
            await ann.call("presence", channel=room)
            await bob.call("history", channel=room, limit=10)
        await joe.say("joe", "hello")
        api[0].mute(user="joe", channel=rooms[0], ttl=600)
        api[1].publish(channel=rooms[1], data="from the backend")
        api[0].unsubscribe(user="ann", channel=rooms[2])
        await ann.expect_push("unsubscribe", rooms[2])
        warren.broadcasters[0].stop()  # its partitions go to the other one
        for room in rooms:
            await bob.publish(room, "somebody else numbers this")
            await bob.unsubscribe(room)
        warren.broadcasters[0].start()
        missing = set()

        def all_were_sent():
            missing.clear()
            missing.update(_KINDS - tap.take())
            assert not missing, missing
            return tap.kinds["event"] > 0

        await eventually_async(all_were_sent, what=f"each of {sorted(_KINDS)} is sent")


@pytest.mark.parametrize("kind, headers, body", [
    ("owner", {"partition": 1, "owner": "o"}, b""),  # no term
    ("owner", {"partition": "1", "owner": "o", "term": 1}, b""),
    ("owner", {"partition": 1, "owner": "o", "term": 1}, b'{"room":"a"}\n'),
    ("dance", {"partition": 1, "owner": "o", "term": 1}, b""),
])
def test_what_is_not_as_the_schemas_say_is_noticed(warren, tap, kind, headers, body):
    good = pika.BasicProperties("application/x-ndjson", type="owner",
                                headers={"partition": 1, "owner": "o", "term": 1})
    bad = pika.BasicProperties("application/x-ndjson", type=kind, headers=headers)
    with warren.broker.channel() as channel:
        channel.confirm_delivery()
        channel.basic_publish("", tap.queue, b"", good)
        tap.take()
        channel.basic_publish("", tap.queue, body, bad)
        with pytest.raises((jsonschema.ValidationError, jsonschema.RefResolutionError)):
            tap.take()
