"""Orders to all gateways: one stream in RabbitMQ, readable and writable by hand."""

import asyncio
import itertools
import json
import time

import pika
import pytest
from kit import CentrifugeClient, Deployment, PlainClient
from kit.client import Closed
from kit.waiting import eventually_async

_REQUESTS = itertools.count(1)


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker) as running:
        yield running


def order(warren, what, when=None, **members):
    """Tells all gateways something, as an operator with pika could."""
    with warren.broker.channel() as channel:
        channel.confirm_delivery()
        channel.basic_publish(
            f"{warren.prefix}.control", "", json.dumps({"do": what, **members}).encode() + b"\n",
            pika.BasicProperties(
                type="control", content_type="application/x-ndjson", delivery_mode=2,
                headers={"gateway": "operator", "boot": "00000000000000aa",
                         "request": next(_REQUESTS), "time": when or int(time.time() * 1000)}))


async def both(warren, user, room=None):
    """A session of a user on each gateway."""
    sessions = [await CentrifugeClient.connect(g, warren.token(user)) for g in warren.gateways[:2]]
    for session in sessions if room else ():
        await session.subscribe(room)
    return sessions


async def test_what_one_says_all_gateways_do(warren):
    ann, bob = await both(warren, "ann"), await both(warren, "bob", "stays")
    order(warren, "disconnect", user="ann")
    for session in ann:
        assert await session.expect_closed() == (3503, "force disconnect")
    for session in bob:
        await session.publish("stays", "still here")
        await session.close()


async def test_code_and_reason_of_a_disconnect_can_be_told(warren):
    ann = await both(warren, "ann2")
    order(warren, "disconnect", user="ann2", code=4501, reason="bye \"bye\"")
    for session in ann:
        assert await session.expect_closed() == (4501, 'bye "bye"')


async def test_one_session_of_a_user_can_be_meant(warren):
    one, two = await both(warren, "twin", "twins")
    order(warren, "disconnect", user="twin", client=one.client)
    assert (await one.expect_closed())[0] == 3503
    await two.publish("twins", "alone")
    await two.close()


async def test_an_order_that_names_nobody_means_nobody(warren):
    ann = await both(warren, "any", "quiet")
    order(warren, "disconnect")
    order(warren, "unsubscribe", user="any", room="quiet")  # read after the other one
    for session in ann:
        assert await session.expect_push("unsubscribe", "quiet") == {
            "code": 2000, "reason": "server unsubscribe"}
        await session.close()


async def test_the_banned_are_out_on_all_gateways_and_cannot_come_back(warren):
    ann = await both(warren, "villain")
    plain = await PlainClient.settled(warren.gateways[1], "den", token=warren.token("villain"))
    order(warren, "ban", user="villain")
    for session in [*ann, plain]:
        assert await session.expect_closed() == (3507, "permission denied")
    for gateway in warren.gateways:
        with pytest.raises(Closed) as closed:
            await CentrifugeClient.connect(gateway, warren.token("villain"))
        assert closed.value.code == 3507
    late = warren.add_gateway()  # reads what was ordered before it started
    with pytest.raises(Closed) as closed:
        await CentrifugeClient.connect(late, warren.token("villain"))
    assert closed.value.code == 3507
    order(warren, "unban", user="villain")
    for gateway in warren.gateways:
        async def is_let_in(gateway=gateway):
            try:
                await (await CentrifugeClient.connect(gateway, warren.token("villain"))).close()
                return True
            except Closed:
                return False
        await eventually_async(is_let_in)


async def test_a_ban_ends_by_itself(warren):
    [ann, _] = sessions = await both(warren, "shortly", "short")
    order(warren, "ban", user="shortly", until=int(time.time() * 1000) - 1)
    order(warren, "unsubscribe", user="shortly", room="short")
    for session in sessions:
        await session.expect_push("unsubscribe", "short")  # the ban had ended when it came
    await ann.subscribe("short")
    for session in sessions:
        await session.close()


async def test_a_closed_room_is_empty_and_stays_so_until_it_is_opened(warren):
    ann = await both(warren, "guest", "bar")
    order(warren, "close", room="bar")
    for session in ann:
        assert await session.expect_push("unsubscribe", "bar") == {
            "code": 2000, "reason": "room closed"}
        for command in (session.command("subscribe", channel="bar"),
                        session.command("publish", channel="bar", data=1)):
            [reply] = await session.call_all(command)
            assert reply["error"]["code"] == 103
    order(warren, "open", room="bar")
    order(warren, "disconnect", user="guest")
    for session in ann:
        await session.expect_closed()
    for session in await both(warren, "guest", "bar"):
        await session.close()


async def test_what_is_done_once_is_not_done_again_for_a_late_gateway(warren):
    order(warren, "disconnect", user="early", when=1)
    late = warren.add_gateway()
    async with await CentrifugeClient.connect(late, warren.token("early")) as early:
        await early.subscribe("alive")
        await early.publish("alive", 1)


async def test_what_is_no_order_harms_nobody(warren):
    before = [g.metric("warren_gateway_poisoned_total") for g in warren.gateways[:2]]
    order(warren, "dance", user="ann")
    order(warren, "ban", user="a", address="10.0.0.1")
    for gateway, count in zip(warren.gateways, before):
        await asyncio.to_thread(gateway.wait_metric, "warren_gateway_poisoned_total", count + 2)
        assert gateway.ready()


async def test_orders_go_on_after_the_broker_was_away(own_broker):
    with Deployment(own_broker) as running:
        order(running, "ban", user="villain")
        async with await CentrifugeClient.connect(running.gateways[0], running.token("ann")) as ann:
            await ann.subscribe("room")
            await asyncio.to_thread(own_broker.restart)
            for gateway in running.gateways:
                await asyncio.to_thread(gateway.wait_ready)
            order(running, "unsubscribe", user="ann", room="room")
            await ann.expect_push("unsubscribe", "room")
        for gateway in running.gateways:
            with pytest.raises(Closed):
                await CentrifugeClient.connect(gateway, running.token("villain"))
