"""The real JavaScript SDK talks to warren: nothing in it was written or changed by us."""

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
