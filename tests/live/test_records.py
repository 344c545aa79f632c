"""A backend reads RabbitMQ with pika and finds what people said, readable as README promises."""

import json

import pytest
from kit import CentrifugeClient, Deployment, eventually
from kit.waiting import eventually_async


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker) as running:
        yield running


def _records(body):
    """The records in a message: what warren says, and the line as the user said it."""
    lines = body.decode().split("\n")
    assert lines.pop() == "" and len(lines) % 2 == 0
    return [(json.loads(said), lines[at + 1]) for at, said in enumerate(lines) if at % 2 == 0]


def _log(broker, prefix, partition):
    """All messages of a partition's stream that are there now: (properties, body)."""
    found = []
    with broker.channel() as channel:
        channel.basic_qos(prefetch_count=100)
        channel.basic_consume(f"{prefix}.log.{partition}", lambda *_: None,
                              arguments={"x-stream-offset": "first"}, consumer_tag="reader")
        for method, properties, body in channel.consume(
                f"{prefix}.log.{partition}", inactivity_timeout=1,
                arguments={"x-stream-offset": "first"}):
            if method is None:
                break
            found.append((properties, body))
            channel.basic_ack(method.delivery_tag)
        channel.connection.close()  # a cancel would nack, which streams refuse
    return found


async def test_the_log_holds_each_record_as_two_lines(warren):
    one, two = warren.gateways
    token = warren.token("ann", name="Ann")
    async with await CentrifugeClient.connect(one, token) as ann, \
            await CentrifugeClient.connect(two) as bob:
        await bob.subscribe("readable")
        for number in range(3):
            await ann.publish("readable", {"username": "ann", "n": number})
        await eventually_async(lambda: len(bob.pubs("readable")) == 3)
    found = {}
    for partition in range(4):
        for properties, body in _log(warren.broker, warren.prefix, partition):
            assert properties.type in ("append", "claim", "term", "checkpoint")
            assert properties.content_type == "application/x-ndjson"
            assert properties.headers["partition"] == partition
            assert properties.app_id.startswith("warren-broadcaster/")
            if properties.type == "append":
                assert properties.headers["term"] >= 1
                for said, line in _records(body):
                    if said["room"] == "readable":
                        found[said["offset"]] = (said, line)
    assert sorted(found) == [1, 2, 3]
    for offset, (said, line) in found.items():
        assert said["user"] == "ann" and said["client"] == ann.client
        assert said["info"] == {"name": "Ann", "gateway": one.name}
        assert isinstance(said["time"], int) and said["epoch"]
        assert json.loads(line) == {"username": "ann", "n": offset - 1}
    assert len({said["epoch"] for said, _ in found.values()}) == 1


async def test_what_nobody_has_taken_yet_can_be_read_in_the_input(broker):
    with Deployment(broker, gateways=1, broadcasters=0) as running:
        async with await CentrifugeClient.connect(running.gateways[0]) as ann:
            assert await ann.publish("waiting", {"message": "is anybody there?"}) == {}
        with broker.channel() as channel:
            found = [channel.basic_get(f"{running.prefix}.in.{p}", auto_ack=True)
                     for p in range(4)]
        [(method, properties, body)] = [one for one in found if one[0] is not None]
        assert properties.type == "publish" and properties.delivery_mode == 2
        assert method.exchange == f"{running.prefix}.in"
        assert properties.app_id == f"warren-gateway/{running.gateways[0].name}"
        assert properties.headers["batch"] == 1
        assert properties.headers["partition"] == int(method.routing_key)
        [(said, line)] = _records(body)
        assert said["room"] == "waiting" and "offset" not in said
        assert line == '{"message": "is anybody there?"}'


def test_the_page_shows_who_is_who(warren):
    broker, prefix = warren.broker, warren.prefix
    for kind, names in (
            ("queues", ["broadcasters", "dead", *(f"in.{p}" for p in range(4)),
                        *(f"log.{p}" for p in range(4)), *(f"owner.{p}" for p in range(4)),
                        *(f"gateway.{g.name}" for g in warren.gateways)]),
            ("exchanges", ["in", "log", "owner", "gateways", "dead", "unrouted.4",
                           *(f"gateway.{g.name}" for g in warren.gateways)])):
        there = broker.names(kind, prefix)
        assert not {f"{prefix}.{name}" for name in names} - set(there)

    def connections():
        return {row.get("user_provided_name") for row in broker.api("connections")}

    wanted = {f"warren-gateway {g.name} {role}" for g in warren.gateways
              for role in ("publish", "consume")}
    wanted |= {f"warren-broadcaster {b.name}" for b in warren.broadcasters}
    eventually(lambda: wanted <= connections(), what="connections have names")

    def owners():
        return {row["consumer_tag"] for row in broker.api("consumers")
                if row["queue"]["name"].startswith(f"{prefix}.in.")}

    tags = eventually(lambda: len(owners()) == 4 and owners(), what="each input has its owner")
    assert {tag.split("/")[0] for tag in tags} == {b.name for b in warren.broadcasters}
    assert {tag.split("/")[1] for tag in tags} == {f"in.{p}" for p in range(4)}
