"""What the server decides about a real SDK's session: rooms, tokens, ends; in both its builds.

And the manners of the Python SDK, which is not run here: what it sends and what it needs.
"""

import time

import pytest
from kit import CentrifugeClient, CommandError
from kit.api import deployed
from kit.sdk import Sdk

CODECS = ["json", "protobuf"]


@pytest.fixture(scope="module")
def warren(broker):
    with deployed(broker) as running:
        yield running


async def _connected(warren, number, user, codec, **claims):
    sdk = await Sdk.start(warren.gateways[number], warren.token(user, **claims), codec)
    await sdk.do("connect")
    await sdk.expect("connected")
    return sdk


@pytest.mark.parametrize("codec", CODECS)
async def test_it_asks_for_another_token_when_one_of_a_room_is_revoked(warren, api, codec):
    ann = await _connected(warren, 0, "ann", codec)
    async with ann:
        await ann.do("subscribe", channel="$vip", withToken=True)
        for life in ("first", "second"):
            await ann.expect("getToken", channel="$vip")
            await ann.do("token", token=warren.token("ann", channel="$vip", jti=f"{life} {codec}"))
            await ann.expect("subscribed", channel="$vip")
            if life == "first":
                api[1].revoke(token=f"first {codec}", ttl=7200)
                await ann.expect("subscribing", channel="$vip", code=2502)
        api[0].publish(channel="$vip", data="back")
        await ann.expect("publication", channel="$vip", data="back")
        assert not [e for e in ann.events if e["event"] == "disconnected"]


@pytest.mark.parametrize("codec", CODECS)
async def test_it_follows_what_the_server_does_to_its_rooms(warren, api, codec):
    user = f"bob-{codec}"
    bob = await _connected(warren, 1, user, codec)
    async with bob:
        await bob.do("subscribe", channel="own")
        await bob.expect("subscribed", channel="own")
        api[0].subscribe(user=user, channel="given", data={"a": 1})
        given = await bob.expect("serverSubscribed", channel="given")
        api[0].publish(channel="given", data=1)
        await bob.expect("serverPublication", channel="given", data=1)
        api[1].refresh(user=user, expire_at=int(time.time()) + 7200)  # a push that it passes over
        api[1].unsubscribe(user=user, channel="given")
        await bob.expect("serverUnsubscribed", channel="given")
        api[0].unsubscribe(user=user, channel="own")
        await bob.expect("unsubscribed", channel="own", code=2000)
        if codec == "json":  # the message Subscribe of Protobuf has `data` as well, as bytes
            assert given["data"] == {"a": 1}
        assert "error" not in await bob.do("rpc", method="time", data={})


@pytest.mark.parametrize("codec", CODECS)
async def test_it_follows_the_rooms_of_its_token_when_that_is_refreshed(warren, api, codec):
    dan = await _connected(warren, 0, "dan", codec, ttl=2, channels=["old", "both"])
    async with dan:
        await dan.expect("getToken")
        await dan.do("token", token=warren.token("dan", channels=["both", "new"]))
        await dan.expect("serverUnsubscribed", channel="old")
        await dan.expect("serverSubscribed", channel="new")
        for room in ("both", "new"):
            api[1].publish(channel=room, data=codec)
            await dan.expect("serverPublication", channel=room, data=codec)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("code, comes_back", [
    (3001, True), (3499, True), (4000, True), (4499, True), (3503, False), (3999, False),
    (4500, False), (4999, False)])
async def test_it_comes_back_or_not_as_the_code_of_its_end_says(warren, api, codec, code,
                                                                 comes_back):
    user = f"cid-{codec}-{code}"
    cid = await _connected(warren, 0, user, codec)
    async with cid:
        api[1].disconnect(user=user, disconnect={"code": code, "reason": "as told"})
        if comes_back:
            assert (await cid.expect("connecting", code=code))["reason"] == "as told"
            await cid.expect("connected")
        else:
            assert (await cid.expect("disconnected"))["code"] == code


def _whole(message):
    """The Python SDK raises KeyError if one of these is missing."""
    for part in (message, message.get("connect", {}), message.get("refresh", {}),
                 message.get("subscribe", {}), message.get("sub_refresh", {})):
        assert ("expires" in part) == ("ttl" in part)
    assert "connect" not in message or message["connect"]["client"]
    if "error" in message:
        assert message["error"]["code"] and message["error"]["message"]
    push = message.get("push", {})
    for kind, needed in (("unsubscribe", {"code", "reason"}), ("join", {"info"}),
                         ("leave", {"info"})):
        assert kind not in push or needed <= set(push[kind])
        assert kind not in push or "info" not in needed or \
            {"user", "client"} <= set(push[kind]["info"])


async def test_what_the_python_sdk_sends_and_needs(warren, api):
    """An empty sub-protocol, a refresh that does not name its room, pongs only when asked."""
    quiet = {"open_options": {"headers": {"Sec-WebSocket-Protocol": ""}}}
    token = warren.token("eva", ttl=600)
    eva = await CentrifugeClient.connect(warren.gateways[0], token, name="python", version="0.5.0",
                                         **quiet)
    async with eva, await CentrifugeClient.connect(warren.gateways[1],
                                                   warren.token("joe")) as joe:
        assert eva.connection.subprotocol is None
        await eva.subscribe("$vip", token=warren.token("eva", channel="$vip", ttl=600),
                            join_leave=True)
        answer = await eva.call("sub_refresh", token=warren.token("eva", channel="$vip", ttl=900))
        assert answer["expires"] is True and 800 < answer["ttl"] <= 900
        await joe.subscribe("$vip", token=warren.token("joe", channel="$vip"))
        await eva.expect(lambda m: m.get("push", {}).get("join", {}).get("info", {}).get("user")
                         == "joe")
        await joe.unsubscribe("$vip")
        await eva.expect_push("leave", "$vip")
        answer = await eva.call("refresh", token=warren.token("eva", ttl=900))
        assert answer["client"] == eva.client
        with pytest.raises(CommandError):
            await eva.subscribe("not a room")
        api[1].unsubscribe(user="eva", channel="$vip")
        await eva.expect_push("unsubscribe", "$vip")
        for message in eva.received:
            _whole(message)
