"""The real JavaScript SDK talks to warren: nothing in it was written or changed by us."""

import time

import pytest
from kit import Deployment
from kit.sdk import Sdk


@pytest.fixture
def warren(broker):
    with Deployment(broker) as running:
        yield running


async def test_the_sdk_connects_subscribes_publishes_and_unsubscribes(warren):
    one, two = warren.gateways
    async with await Sdk.start(one, warren.token("ann", name="Ann")) as ann, \
            await Sdk.start(two, warren.token("bob")) as bob:
        for person, gateway in ((ann, one), (bob, two)):
            await person.do("connect")
            assert (await person.expect("connected"))["data"] == {"gateway": gateway.name}
            await person.do("subscribe", channel="sdk")
            assert (await person.expect("subscribed"))["recoverable"] is True
        assert "error" not in await ann.do("publish", channel="sdk", data={"text": "hello"})
        heard = await bob.expect("publication")
        assert heard["data"] == {"text": "hello"} and heard["offset"] == 1
        assert heard["info"]["user"] == "ann"
        presence = (await bob.do("presence", channel="sdk"))["result"]["clients"]
        assert sorted(p["user"] for p in presence.values()) == ["ann", "bob"]
        stats = (await bob.do("presenceStats", channel="sdk"))["result"]
        assert stats == {"numClients": 2, "numUsers": 2}
        await bob.do("unsubscribe", channel="sdk")
        await bob.expect("unsubscribed", code=0)
        await ann.do("publish", channel="sdk", data={"text": "anybody?"})
        await ann.expect("publication", data={"text": "anybody?"})
        assert bob.pubs() == [{"text": "hello"}]
        for person in (ann, bob):  # all of it was held against the schemas
            assert [next(iter(one)) for one in person.wire["says"][:2]] == ["connect", "subscribe"]
            assert "connect" in person.wire["told"][0]
            assert any("pub" in one.get("push", {}) for one in person.wire["told"])


async def test_the_sdk_repeats_a_publish_under_its_key_by_rpc(warren):
    one, two = warren.gateways
    async with await Sdk.start(one, warren.token("ann")) as ann, \
            await Sdk.start(two, warren.token("ann")) as again:
        for person in (ann, again):
            await person.do("connect")
            await person.do("subscribe", channel="sdk-once")
            await person.expect("subscribed")
        for person in (ann, again, ann):
            data = {"channel": "sdk-once", "data": "hello", "idempotency_key": "7f3a-01"}
            assert (await person.do("rpc", method="publish", data=data))["result"] == {"data": {}}
        await again.do("publish", channel="sdk-once", data="end")
        for person in (ann, again):
            await person.expect("publication", data="end")
            assert person.pubs() == ["hello", "end"]
        assert (await ann.do("rpc", method="dance", data={}))["error"]["code"] == 104


async def test_the_sdk_comes_back_by_itself_when_its_gateway_was_killed(warren):
    one, two = warren.gateways
    async with await Sdk.start(one) as ann, await Sdk.start(two) as bob:
        for person in (ann, bob):
            await person.do("connect")
            await person.do("subscribe", channel="back")
            await person.expect("subscribed")
        await bob.do("publish", channel="back", data=1)
        await ann.expect("publication", data=1)
        one.kill()
        await ann.expect("connecting")
        await bob.do("publish", channel="back", data=2)
        one.start()
        await ann.expect("connected")
        again = await ann.expect("subscribed")
        assert again["wasRecovering"] is True and again["recovered"] is True
        await bob.do("publish", channel="back", data=3)
        await ann.expect("publication", data=3)
        assert ann.pubs() == [1, 2, 3]  # what it missed came with the recovery


async def test_the_sdk_stops_for_good_at_a_wrong_token(warren):
    async with await Sdk.start(warren.gateways[0], "not.a.token") as eve:
        await eve.do("connect")
        ended = await eve.expect("disconnected")
        assert ended["code"] == 3500


async def test_the_sdk_is_told_who_comes_and_goes(warren):
    one, two = warren.gateways
    async with await Sdk.start(one, warren.token("ann")) as ann, \
            await Sdk.start(two, warren.token("bob", name="Bob")) as bob:
        for person in (ann, bob):
            await person.do("connect")
            await person.do("subscribe", channel="sdk-door", joinLeave=True)
            await person.expect("subscribed")
        joined = await ann.expect("join")
        while joined["info"]["user"] != "bob":
            joined = await ann.expect("join")
        assert joined["info"]["connInfo"] == {"name": "Bob", "gateway": two.name}
        await bob.do("unsubscribe", channel="sdk-door")
        assert (await ann.expect("leave"))["info"]["user"] == "bob"


async def test_the_sdk_follows_rooms_that_its_token_names_and_recovers_them(warren):
    one, two = warren.gateways
    token = warren.token("ann", channels=["sdk:news"], subs={"#ann": {"data": {"hello": 1}}})
    async with await Sdk.start(one, token) as ann, await Sdk.start(two) as bob:
        await bob.do("connect")
        await ann.do("connect")
        subscribed = [await ann.expect("serverSubscribed") for _ in range(2)]
        assert {s["channel"]: s.get("data") for s in subscribed} == \
            {"sdk:news": None, "#ann": {"hello": 1}}
        await bob.do("publish", channel="sdk:news", data=1)
        await ann.expect("serverPublication", channel="sdk:news", data=1)
        one.kill()
        await ann.expect("connecting")
        await bob.do("publish", channel="sdk:news", data=2)
        one.start()
        again = await ann.expect("serverSubscribed", channel="sdk:news")
        assert again["wasRecovering"] is True and again["recovered"] is True
        await bob.do("publish", channel="sdk:news", data=3)
        await ann.expect("serverPublication", channel="sdk:news", data=3)
        assert [e["data"] for e in ann.events if e["event"] == "serverPublication"] == [1, 2, 3]
        assert (await bob.do("publish", channel="#ann", data=1))["error"]["code"] == 103


async def test_the_sdk_refreshes_its_token(warren):
    async with await Sdk.start(warren.gateways[0], warren.token("ann", ttl=2)) as ann:
        await ann.do("connect")
        await ann.expect("connected")
        await ann.expect("getToken")
        await ann.do("token", token=warren.token("ann", ttl=3600))
        mine = (await ann.do("rpc", method="session", data={}))["result"]["data"]
        while mine["expires_at"] < time.time() + 1800:  # the refresh is on its way
            mine = (await ann.do("rpc", method="session", data={}))["result"]["data"]
        assert mine["user"] == "ann" and mine["gateway"] == warren.gateways[0].name
        assert not [e for e in ann.events if e["event"] in ("disconnected", "connecting")][1:]


async def test_the_sdk_shows_tokens_for_rooms_and_refreshes_them(warren):
    async with await Sdk.start(warren.gateways[0], warren.token("ann")) as ann:
        await ann.do("connect")
        await ann.do("subscribe", channel="$vip", withToken=True)
        assert (await ann.expect("getToken"))["channel"] == "$vip"
        await ann.do("token", token=warren.token("ann", ttl=2, channel="$vip"))
        await ann.expect("subscribed", channel="$vip")
        await ann.expect("getToken", channel="$vip")  # it ends soon
        await ann.do("token", token=warren.token("ann", ttl=3600, channel="$vip"))
        await ann.do("publish", channel="$vip", data=1)
        await ann.expect("publication", channel="$vip", data=1)
        await ann.do("subscribe", channel="$other")
        await ann.expect("unsubscribed", channel="$other", code=103)


async def test_the_sdk_calls_and_sends(warren):
    async with await Sdk.start(warren.gateways[0], warren.token("ann")) as ann:
        await ann.do("connect")
        await ann.expect("connected")
        before = time.time()
        assert "error" not in await ann.do("send", data={"typing": True})
        answer = (await ann.do("rpc", method="time", data={}))["result"]["data"]
        assert before - 5 < answer["time"] / 1000 < time.time() + 5
