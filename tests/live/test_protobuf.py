"""Protobuf: the real SDK's Protobuf build, alone and beside JSON; and frames of the wrong kind."""

import asyncio
import json
import shutil
import time
from pathlib import Path

import pytest
from kit import CentrifugeClient, Deployment, PlainClient, eventually_async
from kit.client import Socket
from kit.sdk import Sdk

CODECS = ("protobuf", "json")
_TESTS = Path(__file__).parents[1]


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


def _vectors(name):
    text = (_TESTS / "wire/vectors" / f"{name}.json").read_text(encoding="utf-8")
    return json.loads(text)


def _bare(value):
    """Without what is zero or empty: JSON insists on some of it, Protobuf never writes it."""
    if isinstance(value, dict):
        bare = {key: _bare(inner) for key, inner in value.items()}
        return {key: inner for key, inner in bare.items() if inner not in (0, "", [])}
    return [_bare(inner) for inner in value] if isinstance(value, list) else value


async def test_the_golden_bytes_are_those_of_the_sdk():
    """The SDK reads our replies as what their JSON says, and writes commands in the same bytes."""
    # JavaScript's numbers are not ours, and what is unknown it does not write.
    strange = ("1.0", "1e400", "9223372036854775807", "dance", "more")
    commands = [vector for vector in _vectors("protobuf_command")
                if "text" in vector and not any(word in vector["text"] for word in strange)]
    exchange = _vectors("exchange")
    commands += [vector for vector in exchange if vector["from"] == "client"]
    told = [vector for vector in exchange + _vectors("reply")
            if vector.get("from") != "client" and "hex" in vector]
    replies = _vectors("protobuf_reply") + told
    process = await asyncio.create_subprocess_exec(
        shutil.which("node"), "vectors.mjs", cwd=_TESTS / "live/sdk",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate(json.dumps({
        "replies": [vector["hex"] for vector in replies],
        "commands": [json.loads(vector["text"]) for vector in commands]}).encode())
    by_sdk = json.loads(said)
    in_json = {vector["name"]: json.loads(vector["text"]) for vector in told}
    compared = 0
    for vector, read in zip(replies, by_sdk["replies"], strict=True):
        text = json.loads(vector["text"]) if "text" in vector else in_json.get(vector["name"])
        if text is not None:
            compared += 1
            text.get("error", {}).pop("retry_after", None)  # Protobuf has no field for it
            assert _bare(read) == [_bare(text)], vector["name"]
    assert compared > 90
    for vector, written in zip(commands, by_sdk["commands"], strict=True):
        assert written == vector["hex"], vector["text"]
    assert len(commands) > 25


async def test_what_the_server_decides_comes_in_both_codecs(warren):
    one, two = warren.gateways
    named = {"ttl": 3600, "channels": ["news"], "subs": {"#ann": {"data": {"hello": 1}}}}
    for codec in CODECS:
        token = warren.token("ann", **named)
        async with await Sdk.start(one, token, codec) as ann, \
                await Sdk.start(two, warren.token("bob"), "json") as bob:
            for person in (ann, bob):
                await person.do("connect")
            rooms = [await ann.expect("serverSubscribed") for _ in range(2)]
            assert {room["channel"]: room.get("data") for room in rooms} == \
                {"news": None, "#ann": {"hello": 1}}
            await ann.do("subscribe", channel="$vip", withToken=True, joinLeave=True)
            await ann.expect("getToken", channel="$vip")
            await ann.do("token", token=warren.token("ann", channel="$vip", info={"seat": 7}))
            joined = await ann.expect("join", channel="$vip")
            assert joined["info"]["user"] == "ann" and joined["info"]["chanInfo"] == {"seat": 7}
            await bob.do("publish", channel="news", data=codec)
            await ann.expect("serverPublication", channel="news", data=codec)
            assert "error" not in await ann.do("send", data={"typing": True})
            mine = (await ann.do("rpc", method="session", data={}))["result"]["data"]
            assert sorted(mine["rooms"]) == ["#ann", "$vip", "news"]
            await ann.do("unsubscribe", channel="$vip")
            await ann.expect("unsubscribed", channel="$vip", code=0)


async def test_a_token_is_refreshed_in_protobuf(warren):
    token = warren.token("ann", ttl=2)
    async with await Sdk.start(warren.gateways[0], token, "protobuf") as ann:
        await ann.do("connect")
        await ann.expect("getToken")
        await ann.do("token", token=warren.token("ann", ttl=3600))

        async def ends_late():
            reply = await ann.do("rpc", method="session", data={})
            return reply["result"]["data"]["expires_at"] > time.time() + 1800
        await eventually_async(ends_late, what="the refresh")
        assert not [e for e in ann.events if e["event"] == "disconnected"]
