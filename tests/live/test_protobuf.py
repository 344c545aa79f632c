"""Protobuf: the real SDK's Protobuf build, alone and beside JSON; and frames of the wrong kind."""

import pytest
from kit import CentrifugeClient, Deployment, PlainClient, eventually_async
from kit.client import Socket
from kit.sdk import Sdk

CODECS = ("protobuf", "json")


@pytest.fixture
def warren(broker):
    with Deployment(broker, settings={"gateway.ping": "5s", "gateway.pong": "4s"}) as running:
        yield running


async def test_json_protobuf_and_plain_clients_hear_each_other(warren):
    one, two = warren.gateways
    async with await Sdk.start(one, warren.token("ann", name="Ann \"A\""), "protobuf") as ann, \
            await Sdk.start(two, warren.token("bob"), "json") as bob, \
            await PlainClient.settled(two, "mixed", token=warren.token("joe")) as joe:
        for person, gateway in ((ann, one), (bob, two)):
            await person.do("connect")
            assert (await person.expect("connected"))["data"] == {"gateway": gateway.name}
            await person.do("subscribe", channel="mixed")
            assert (await person.expect("subscribed"))["recoverable"] is True
        said = {"text": "hello – ünïcode \u2028 \"quoted\"", "n": [1.5, None, {"deep": True}]}
        assert "error" not in await ann.do("publish", channel="mixed", data=said)
        for person in (ann, bob):
            heard = await person.expect("publication")
            assert heard["data"] == said
            assert heard["info"]["user"] == "ann"
            assert heard["info"]["connInfo"] == {"name": "Ann \"A\"", "gateway": one.name}
        await joe.expect(lambda message: message.get("text") == said["text"])
        await bob.do("publish", channel="mixed", data="and back")
        await ann.expect("publication", data="and back")

        clients = {}
        for person in (ann, bob):
            presence = (await person.do("presence", channel="mixed"))["result"]["clients"]
            clients[person] = {key: value["user"] for key, value in presence.items()}
            stats = (await person.do("presenceStats", channel="mixed"))["result"]
            assert stats == {"numClients": 3, "numUsers": 3}
        assert clients[ann] == clients[bob]
        assert sorted(clients[ann].values()) == ["ann", "bob", "joe"]

        pasts = [(await person.do("history", channel="mixed", limit=10))["result"]
                 for person in (ann, bob)]
        for past in pasts:
            assert [p["data"] for p in past["publications"][-2:]] == [said, "and back"]
        assert pasts[0]["epoch"] == pasts[1]["epoch"] and pasts[0]["offset"] == pasts[1]["offset"]


async def test_errors_and_rpc_are_told_in_protobuf(warren):
    async with await Sdk.start(warren.gateways[0], warren.token("ann"), "protobuf") as ann:
        await ann.do("connect")
        assert (await ann.do("rpc", method="dance", data={}))["error"]["code"] == 104
        assert (await ann.do("history", channel="other"))["error"]["code"] == 103
        data = {"channel": "x", "data": "once", "idempotency_key": "7f3a-02"}
        assert (await ann.do("rpc", method="publish", data=data))["result"] == {"data": {}}
        await ann.do("subscribe", channel="not a room")
        await ann.expect("unsubscribed", code=107)
    async with await Sdk.start(warren.gateways[0], "not.a.token", "protobuf") as eve:
        await eve.do("connect")
        assert (await eve.expect("disconnected"))["code"] == 3500


async def test_what_was_missed_comes_in_protobuf(warren):
    one, two = warren.gateways
    async with await Sdk.start(one, warren.token("ann"), "protobuf") as ann, \
            await Sdk.start(two, warren.token("bob"), "json") as bob:
        for person in (ann, bob):
            await person.do("connect")
            await person.do("subscribe", channel="back")
            await person.expect("subscribed")
        await bob.do("publish", channel="back", data=1)
        await ann.expect("publication", data=1)
        one.kill()
        await ann.expect("connecting")
        for n in (2, 3):
            await bob.do("publish", channel="back", data=n)
        one.start()
        await ann.expect("connected")
        again = await ann.expect("subscribed")
        assert again["wasRecovering"] is True and again["recovered"] is True
        await bob.do("publish", channel="back", data=4)
        await ann.expect("publication", data=4)
        assert ann.pubs() == [1, 2, 3, 4]


@pytest.mark.parametrize("codec", CODECS)
async def test_the_sdk_answers_pings(warren, codec):
    gateway = warren.gateways[0]
    async with await Sdk.start(gateway, warren.token("ann"), codec) as ann:
        await ann.do("connect")
        await ann.expect("connected")
        await eventually_async(lambda: gateway.metric("warren_gateway_pongs_total") >= 2)


async def test_messages_of_the_wrong_kind_are_refused(warren):
    url = warren.gateways[0].centrifuge_url
    for query, options in (("?format=protobuf", {}), ("?cf_protocol=protobuf", {}),
                           ("", {"subprotocols": ["centrifuge-protobuf"]})):
        async with await Socket.open(url + query, **options) as socket:
            assert socket.connection.subprotocol == (options.get("subprotocols") or [None])[0]
            await socket.send_text("{}")
            assert await socket.expect_closed() == (1003, "binary messages only")
    async with await CentrifugeClient.connect(warren.gateways[0],
                                              token=warren.token("ann")) as ann:
        await ann.send_text(b"\0")
        assert await ann.expect_closed() == (1003, "text messages only")
