"""Any program publishes to the exchange PREFIX.publish and is delivered like everyone else."""

import asyncio
import threading

import pika
import pytest
from kit import CentrifugeClient, Deployment, PlainClient
from kit.programs import LIBRARIES, WithPika
from kit.waiting import eventually, eventually_async

ROOMS = ["one", "two", "three"]
PUBLISHED = "warren_gateway_amqp_publishes_total"
DEAD = "warren_gateway_amqp_publishes_dead_total"


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker, gateway={"gateway.max_payload": "1k"}) as running:
        yield running


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.__name__)
def program(request, broker):
    with request.param(broker) as one:
        yield one


async def test_it_is_delivered_in_order_under_the_name_of_its_account(warren, program):
    exchange = f"{warren.prefix}.publish"
    room = f"order-{type(program).__name__}"
    async with await CentrifugeClient.connect(warren.gateways[0]) as ann, \
            await CentrifugeClient.connect(warren.gateways[1]) as bob, \
            await PlainClient.settled(warren.gateways[0], f"plain-{room}") as carl:
        for client in (ann, bob):
            await client.subscribe(room)
        for number in range(20):
            program.publish(exchange, room, {"n": number}, user_id="backend")
        program.publish(exchange, f"plain-{room}", b' {"message":\n"hello"} ')
        for client in (ann, bob):
            await client.expect_pub(room, {"n": 19})
            assert [pub["data"]["n"] for pub in client.pubs(room)] == list(range(20))
            assert [pub["offset"] for pub in client.pubs(room)] == list(range(1, 21))
            assert {pub["info"]["user"] for pub in client.pubs(room)} == {"backend"}
        await carl.expect({"message": "hello"})


async def test_a_message_id_makes_a_repeat_harmless(warren, program):
    exchange = f"{warren.prefix}.publish"
    room = f"once-{type(program).__name__}"
    async with await CentrifugeClient.connect(warren.gateways[1]) as bob:
        await bob.subscribe(room)
        for _ in range(3):
            program.publish(exchange, room, "first", message_id="m-1")
        program.publish(exchange, room, "second", message_id="m-2")
        program.publish(exchange, room, "last")
        await bob.expect_pub(room, "last")
        assert [pub["data"] for pub in bob.pubs(room)] == ["first", "second", "last"]


async def test_what_can_be_no_record_is_a_dead_letter_with_its_reason(warren, broker, program):
    exchange = f"{warren.prefix}.publish"
    before = {reason: sum(g.metric(DEAD, reason=reason) for g in warren.gateways)
              for reason in ("bad room", "bad message id", "too large", "no JSON")}
    sent = [("no room", 1, {}, "bad room"), ("", 1, {}, "bad room"),
            ("dead", 1, {"message_id": "x" * 65}, "bad message id"),
            ("dead", "x" * 1023, {}, "too large"),
            ("dead", "x" * 150000, {"user_id": "backend"}, "too large"),  # in two frames
            ("dead", b"{", {"user_id": "backend"}, "no JSON"), ("dead", b"", {}, "no JSON")]
    async with await CentrifugeClient.connect(warren.gateways[0]) as ann:
        await ann.subscribe("dead")
        for room, body, properties, _ in sent:
            program.publish(exchange, room, body, **properties)
        program.publish(exchange, "dead", "end")
        await ann.expect_pub("dead", "end")
        assert len(ann.pubs("dead")) == 1
        await ann.unsubscribe("dead")
    with broker.channel() as channel:
        letters = []

        def all_are_there():
            while (letter := channel.basic_get(f"{warren.prefix}.dead", auto_ack=True))[0]:
                letters.append(letter)
            return len(letters) == len(sent)
        eventually(all_are_there)
    assert [(p.headers["reason"], p.headers["key"]) for _, p, _ in letters] == [
        (reason, room) for room, _, _, reason in sent]
    assert letters[5][2] == b"{"
    assert [letters[n][1].headers["user"] for n in (4, 5)] == ["backend", "backend"]
    assert letters[2][1].message_id == "x" * 65
    for reason, count in before.items():
        more = len([one for one in sent if one[3] == reason])
        assert sum(g.metric(DEAD, reason=reason) for g in warren.gateways) == count + more
    await eventually_async(lambda: _waiting(broker, warren) == 0, what="all is acked")


def test_the_broker_can_restrict_an_account_to_some_rooms(warren, broker):
    exchange = f"{warren.prefix}.publish"
    rule = {"exchange": exchange, "write": "^news:", "read": "^$"}
    broker.api("topic-permissions/%2F/backend", method="PUT", body=rule)
    with WithPika(broker) as program:
        program.publish(exchange, "news:today", 1)
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
            program.publish(exchange, "lobby", 1)
        assert refused.value.reply_code == 403
    broker.api("topic-permissions/%2F/backend", method="DELETE")


def _waiting(broker, warren):
    """Messages of the publish queue that are not acked yet."""
    columns = "columns=name,messages&disable_stats=true&enable_queue_totals=true"
    rows = broker.api(f"queues/%2F?{columns}")
    return next(row["messages"] for row in rows if row["name"] == f"{warren.prefix}.publish")


class Flood:
    """A program that publishes numbers to some rooms until it is told to end."""

    def __init__(self, library, broker, prefix, with_id=True):
        self.counts = dict.fromkeys(ROOMS, 0)
        self._ends = threading.Event()
        self._arguments = (library, broker, f"{prefix}.publish", with_id)
        self._thread = threading.Thread(target=self._run)
        self.failure = None

    def _run(self):
        library, broker, exchange, with_id = self._arguments
        try:
            with library(broker) as program:
                while not self._ends.is_set():
                    for room in ROOMS:
                        number = self.counts[room]
                        name = {"message_id": f"{room}-{number}"} if with_id else {}
                        program.publish(exchange, room, number, **name)
                        self.counts[room] += 1
        except Exception as error:  # pylint: disable=broad-except # told by the test
            self.failure = error

    async def more(self, count=60):
        """Waits until it has published so many more in each room."""
        goal = min(self.counts.values()) + count
        await eventually_async(
            lambda: self.failure or min(self.counts.values()) >= goal, what="more is published")
        assert self.failure is None, self.failure

    async def __aenter__(self):
        self._thread.start()
        return self

    async def __aexit__(self, *_):
        self._ends.set()
        await asyncio.to_thread(self._thread.join)
        assert self.failure is None, self.failure


async def _consuming(warren):
    """The gateway that has the queue, and another one."""
    def found():
        return [g for g in warren.gateways if g.metric(PUBLISHED) > 0]
    [active] = await eventually_async(found, what="a gateway consumes")
    return active, next(g for g in warren.gateways if g is not active)


async def _heard_all(client, flood):
    """All numbers arrive once, in order."""
    for room in ROOMS:
        wanted = list(range(flood.counts[room]))
        await eventually_async(
            lambda r=room, w=wanted: w[-1] in [pub["data"] for pub in client.pubs(r)])
        assert [pub["data"] for pub in client.pubs(room)] == wanted
        assert [pub["offset"] for pub in client.pubs(room)] == [n + 1 for n in wanted]


async def _listen(gateway):
    client = await CentrifugeClient.connect(gateway)
    for room in ROOMS:
        await client.subscribe(room)
    return client


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)
async def test_the_gateway_that_consumes_may_be_killed(broker, library):
    with Deployment(broker) as running:
        with WithPika(broker) as program:
            program.publish(f"{running.prefix}.publish", "first", 0)
        active, other = await _consuming(running)
        async with await _listen(other) as bob:
            async with Flood(library, broker, running.prefix) as flood:
                await flood.more()
                await asyncio.to_thread(active.kill)
                await flood.more()
            await _heard_all(bob, flood)
            assert other.metric(PUBLISHED) > 0
        await eventually_async(lambda: _waiting(broker, running) == 0, what="all is acked")


async def test_an_owner_may_be_killed(broker):
    with Deployment(broker) as running:
        async with await _listen(running.gateways[1]) as bob:
            async with Flood(WithPika, broker, running.prefix) as flood:
                await flood.more()
                await asyncio.to_thread(running.broadcasters[0].kill)
                await flood.more()
            await _heard_all(bob, flood)


async def test_a_gateway_that_ends_well_leaves_no_double_even_without_ids(broker):
    with Deployment(broker) as running:
        with WithPika(broker) as program:
            program.publish(f"{running.prefix}.publish", "first", 0)
        active, other = await _consuming(running)
        async with await _listen(other) as bob:
            async with Flood(WithPika, broker, running.prefix, with_id=False) as flood:
                await flood.more()
                await asyncio.to_thread(active.stop)
                await flood.more()
            await _heard_all(bob, flood)


async def test_what_was_published_while_no_gateway_was_there_waits(broker):
    with Deployment(broker, gateways=1, broadcasters=1) as running:
        [gateway] = running.gateways
        await asyncio.to_thread(gateway.stop)
        with WithPika(broker) as program:
            for number in range(500):  # more than a gateway works on at once
                program.publish(f"{running.prefix}.publish", "one", number)
        await asyncio.to_thread(gateway.start)
        async with await CentrifugeClient.connect(gateway) as bob:
            await eventually_async(lambda: gateway.metric(PUBLISHED) == 500)
            await eventually_async(lambda: _waiting(broker, running) == 0, what="all is acked")
            await bob.subscribe("one")
            await bob.publish("one", "end")
            assert (await bob.expect_pub("one", "end"))["offset"] == 501
