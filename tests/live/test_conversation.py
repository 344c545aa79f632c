"""People on two gateways talk: both dialects, order, rooms, names, who is here."""

import asyncio

import pytest
from kit import CentrifugeClient, Deployment, PlainClient
from kit.waiting import eventually_async


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker) as running:
        yield running


def _said(client):
    """The messages that a plain client has heard."""
    return [m["message"] for m in client.received if "message" in m]


async def test_what_one_says_on_a_gateway_is_heard_on_the_other(warren):
    one, two = warren.gateways
    async with await PlainClient.settled(one, "talk") as ann, \
            await PlainClient.settled(two, "talk") as bob:
        await ann.say("ann", "hello bob")
        await bob.expect({"username": "ann", "message": "hello bob"})
        await bob.say("bob", "hello ann")
        await ann.expect({"username": "bob", "message": "hello ann"})


async def test_a_publisher_hears_itself_once(warren):
    async with await PlainClient.settled(warren.gateways[0], "echo") as ann:
        await ann.say("ann", "one")
        await ann.say("ann", "two")
        await ann.expect({"message": "two"})
        assert _said(ann) == ["one", "two"]


async def test_who_speaks_at_once_hears_its_first_words(warren):
    for n in range(20):  # rooms that no gateway follows yet
        async with await PlainClient.join(warren.gateways[n % 2], f"haste-{n}") as ann:
            await ann.say("ann", "first")
            await ann.say("ann", "second")
            await ann.expect({"message": "second"})
            assert _said(ann) == ["first", "second"]


async def test_rooms_do_not_hear_each_other(warren):
    one, two = warren.gateways
    async with await PlainClient.settled(one, "room-a") as ann, \
            await PlainClient.settled(two, "room-b") as bob, \
            await PlainClient.settled(two, "room-a") as eve:
        await ann.say("ann", "for a")
        await eve.expect({"message": "for a"})
        await bob.say("bob", "for b")
        await bob.expect({"message": "for b"})
        assert _said(bob) == ["for b"]
        assert _said(ann) + _said(eve) == ["for a", "for a"]


async def test_the_two_dialects_share_a_room(warren):
    one, two = warren.gateways
    async with await CentrifugeClient.connect(one) as ann, \
            await PlainClient.settled(two, "both") as bob:
        await ann.subscribe("both")
        await bob.say("bob", "plain")
        await ann.expect_pub("both", {"username": "bob", "message": "plain"})
        assert await ann.publish("both", {"username": "ann", "message": "sdk"}) == {}
        await bob.expect({"username": "ann", "message": "sdk"})


async def test_a_payload_arrives_byte_for_byte(warren):
    odd = '{"n":1.10, "e":1e2,"u":"\\u00e9\\/", "big":18446744073709551616, "n":-0}'
    one, two = warren.gateways
    async with await PlainClient.settled(one, "bytes") as ann, \
            await PlainClient.settled(two, "bytes") as bob:
        bob.take = lambda text: [text]  # from now on
        await ann.send_text(odd)
        await bob.expect(lambda text: text == odd)


async def test_the_subscribe_reply_comes_before_the_first_publication(warren):
    async with await CentrifugeClient.connect(warren.gateways[0]) as ann, \
            await CentrifugeClient.connect(warren.gateways[1]) as bob:
        await bob.subscribe("first")
        talking = asyncio.create_task(_talk(bob, "first", 200))
        for _ in range(10):
            subscribe = ann.command("subscribe", channel="first")
            [reply] = await ann.call_all(subscribe)
            position = reply["subscribe"].get("offset", 0)
            at = ann.received.index(reply)
            assert not [m for m in ann.received[:at] if "push" in m]
            pub = await ann.expect_push("pub", "first")
            assert pub["offset"] == position + 1
            await ann.unsubscribe("first")
            ann.received.clear()
            ann._seen = 0
            if talking.done():
                break
        await talking


async def _talk(client, room, count):
    for number in range(count):
        await client.publish(room, {"number": number})


async def test_all_sessions_see_one_order_without_a_hole(warren):
    one, two = warren.gateways
    clients = [await CentrifugeClient.connect(gateway) for gateway in (one, two, one, two)]
    for client in clients:
        await client.subscribe("order")
    await asyncio.gather(*(_talk(client, "order", 100) for client in clients))
    for client in clients:
        await eventually_async(lambda c=client: len(c.pubs("order")) == 400, what="all arrive")
    seen = [[(p["offset"], p["data"]["number"]) for p in c.pubs("order")] for c in clients]
    assert [offset for offset, _ in seen[0]] == list(range(1, 401))
    assert all(other == seen[0] for other in seen)
    for client in clients:  # and each publisher's own order is kept
        numbers = [p["data"]["number"] for p in clients[0].pubs("order")
                   if p["info"]["client"] == client.client]
        assert numbers == list(range(100))
        await client.close()


async def test_a_known_users_name_replaces_what_the_message_claims(warren):
    token = warren.token("u1", name="Ann \"the\" First")
    async with await PlainClient.settled(warren.gateways[0], "names", token=token) as ann, \
            await PlainClient.settled(warren.gateways[1], "names") as bob:
        await ann.say("somebody else", "hi")
        await bob.expect({"username": "Ann \"the\" First", "message": "hi"})
        await ann.send({"message": "no name given"})
        await bob.expect({"username": "Ann \"the\" First", "message": "no name given"})


async def test_a_record_tells_who_said_it_and_where(warren):
    token = warren.token("u7", name="Ann")
    async with await CentrifugeClient.connect(warren.gateways[0], token) as ann, \
            await CentrifugeClient.connect(warren.gateways[1]) as bob:
        await bob.subscribe("who")
        await ann.publish("who", "hello")
        pub = await bob.expect_pub("who", "hello")
        assert pub["info"] == {"user": "u7", "client": ann.client,
                               "conn_info": {"name": "Ann", "gateway": warren.gateways[0].name}}


async def test_presence_lists_the_sessions_of_all_gateways(warren):
    one, two = warren.gateways
    async with await CentrifugeClient.connect(one, warren.token("ann", name="Ann")) as ann:
        await ann.subscribe("here")
        bob = await CentrifugeClient.connect(two, warren.token("bob"))
        await bob.subscribe("here")

        async def here():
            return (await ann.call("presence", channel="here"))["presence"]

        both = await here()
        assert set(both) == {ann.client, bob.client}
        assert both[ann.client] == {"user": "ann", "client": ann.client,
                                    "conn_info": {"name": "Ann", "gateway": one.name}}
        assert (await ann.call("presence_stats", channel="here")) == \
            {"num_clients": 2, "num_users": 2}
        bob.abort()  # gone without a word
        async with asyncio.timeout(60):
            while set(await here()) != {ann.client}:
                pass
