"""Every code of the protocol is provoked, in both codecs: errors, closes, unsubscribe pushes.

Some are met only when the backend chooses them. Error 101: without a token the connection is
closed. 102: there is no namespace that is not known. 113: it is of a kind of subscription that is
answered with 108. Close 3000: nobody is closed without a cause. 3006: a room whose token is over is
left by a push, 2501. 3009: whoever cannot be written to cannot be told. 3014: 2502 takes single
rooms. 3506: a message of the wrong kind is 1003, as RFC 6455 has it. 3508: nothing is refused by
closing.
"""

import json
import re
from pathlib import Path

import pytest
from kit import CentrifugeClient, CommandError, PlainClient
from kit.api import deployed
from kit.protobuf import ProtobufClient
from kit.waiting import eventually_async

_ROOT = Path(__file__).resolve().parents[2]
_CODECS = pytest.mark.parametrize("client", [CentrifugeClient, ProtobufClient])
_DIALECTS = [CentrifugeClient, ProtobufClient, PlainClient]
_ERRORS = {int(code): (text, temporary == "true") for code, temporary, text in re.findall(
    r'^ERROR\(\w+, (\d+), (\w+), "(.*)"\)$',
    (_ROOT / "proto/error.def").read_text(encoding="utf-8"), re.MULTILINE)}
_CLOSES = {vector["code"]: vector["reason"] for vector in json.loads(
    (_ROOT / "tests/wire/vectors/close.json").read_text(encoding="utf-8"))}
_UNSUBSCRIBES = {2000: "server unsubscribe", 2500: "insufficient state",
                 2501: "subscription expired", 2502: "state invalidated"}
_SETTINGS = {"gateway.rooms": "3", "gateway.publish_rate": "1", "gateway.publish_burst": "20",
             "gateway.stale": "60s", "hooks.timeout": "60s"}
CONFIG = """
[room "ask"]
hook_subscribe = yes
[room "quiet"]
presence = no
"""


@pytest.fixture(scope="module")
def warren(broker, server):
    settings = {**_SETTINGS, "hooks.subscribe_url": server.url("subscribe")}
    with deployed(broker, gateway=settings, config=CONFIG) as running:
        yield running


async def _answer(client, method, **fields):
    """The error that the command is answered with."""
    command = client.command(method, **{"channel": "a", **fields})
    if "name" in fields:
        command[method] = {"method": fields["name"]}
    [reply] = await client.call_all(command)
    return reply["error"]


async def _twice(client, _):
    await client.subscribe("a")
    return await _answer(client, "subscribe")


async def _too_many(client, _):
    for number in range(3):
        await client.subscribe(f"a:{number}")
    return await _answer(client, "subscribe", channel="a:3")


async def _expired_later(client, warren):
    await client.subscribe("$vip", token=warren.token("ann", channel="$vip"))
    return await _answer(client, "sub_refresh", channel="$vip",
                         token=warren.token("ann", channel="$vip", ttl=-60))


async def _too_fast(client, _):
    replies = await client.call_all(*[
        client.command("publish", channel="fast", data=n) for n in range(40)])
    return next(reply["error"] for reply in replies if "error" in reply)


async def _another_epoch(client, _):
    await client.subscribe("a")
    return await _answer(client, "history", limit=5, since={"offset": 1, "epoch": "old"})


_PROVOKED = {
    103: lambda client, _: _answer(client, "subscribe", channel="$vip"),
    104: lambda client, _: _answer(client, "rpc", name="dance"),
    105: _twice,
    106: _too_many,
    107: lambda client, _: _answer(client, "subscribe", channel="no room"),
    108: lambda client, _: _answer(client, "ping"),
    109: lambda client, warren: _answer(client, "subscribe", channel="$vip",
                                        token=warren.token("ann", channel="$vip", ttl=-60)),
    110: _expired_later,
    111: _too_fast,
    112: _another_epoch,
}


def _told(client, code):
    """The error as a client gets it."""
    text, is_temporary = _ERRORS[code]
    told = {"code": code, "message": text}
    if is_temporary:
        told["temporary"] = True
    if code == 111 and client is CentrifugeClient:  # Protobuf has no field for it
        told["retry_after"] = 1
    return told


@_CODECS
@pytest.mark.parametrize("code", _PROVOKED)
async def test_each_error_is_told_with_its_words(warren, client, code):
    async with await client.connect(warren.gateways[0], warren.token("ann")) as ann:
        assert await _PROVOKED[code](ann, warren) == _told(client, code)
        assert await ann.unsubscribe("a") == {}  # and the session goes on


@_CODECS
@pytest.mark.parametrize("code", _ERRORS)
async def test_an_error_that_the_backend_chooses_has_the_same_words(warren, backend, client, code):
    backend.answers["subscribe"] = lambda _: {
        "error": {"code": code, "message": "in other words"}}
    async with await client.connect(warren.gateways[1], warren.token("ann")) as ann:
        assert await _answer(ann, "subscribe", channel="ask:me") == _told(client, code)


@_CODECS
async def test_a_backend_that_fails_is_an_internal_error(warren, backend, client):
    backend.answers["subscribe"] = lambda _: b"no JSON"
    async with await client.connect(warren.gateways[0], warren.token("ann")) as ann:
        assert await _answer(ann, "subscribe", channel="ask:me") == {
            "code": 100, "message": "internal server error", "temporary": True}


@_CODECS
async def test_who_comes_with_a_token_that_is_over_is_told_so(warren, client):
    with pytest.raises(CommandError) as error:
        await client.connect(warren.gateways[0], warren.token("ann", ttl=-60))
    assert (error.value.code, error.value.message, error.value.temporary) == (
        109, *_ERRORS[109])


@pytest.mark.parametrize("client", _DIALECTS)
async def test_each_close_code_is_told_with_its_words(warren, api, client):
    for code, words in _CLOSES.items():
        user = f"{client.__name__}-{code}"
        if client is PlainClient:
            session = await client.settled(warren.gateways[0], token=warren.token(user))
        else:
            session = await client.connect(warren.gateways[0], warren.token(user))
        api[code % 2].disconnect(user=user, disconnect={"code": code})
        assert await session.expect_closed() == (code, words)
        if client is not PlainClient:  # it was told before
            comes_back = {"reconnect": True} if code < 3500 else {}
            assert session.received[-1] == {"push": {"disconnect": {
                "code": code, "reason": words, **comes_back}}}


@_CODECS
async def test_each_unsubscribe_is_told_with_its_words(warren, api, client):
    user = f"{client.__name__}-left"
    async with await client.connect(warren.gateways[1], warren.token(user)) as ann:
        for code, words in _UNSUBSCRIBES.items():
            await ann.subscribe("left")
            api[0].unsubscribe(user=user, channel="left", code=code)
            assert await ann.expect_push("unsubscribe", "left") == {"code": code, "reason": words}


@_CODECS
@pytest.mark.parametrize("method, fields, answer", [
    ("subscribe", {"type": 1}, 108),  # maps, polls
    ("subscribe", {"tf": {"key": "a", "cmp": "eq", "val": "b"}}, 107),
    ("presence", {"channel": "quiet:1"}, 108),
    ("presence_stats", {"channel": "quiet:1"}, 108),
    ("sub_refresh", {"channel": "elsewhere", "token": "x"}, 103),
    ("sub_refresh", {"channel": "quiet:1"}, 107),
    ("rpc", {"name": "dance"}, 104),
    ("ping", {}, 108),
    ("unsubscribe", {"channel": "elsewhere"}, None),
])
async def test_what_is_not_served_is_refused_as_the_protocol_says(warren, client, method, fields,
                                                                  answer):
    async with await client.connect(warren.gateways[0], warren.token("ann")) as ann:
        await ann.subscribe("quiet:1")
        if answer is None:
            assert await ann.call(method, **fields) == {}
        else:
            assert (await _answer(ann, method, **fields))["code"] == answer


@_CODECS
@pytest.mark.parametrize("method, fields", [
    ("subscribe", {"channel": "a", "delta": "dance"}), ("subscribe", {"channel": ""}),
    ("connect", {}), ("connect", {"name": "n" * 17}), ("refresh", {"token": ""})])
async def test_what_no_client_may_say_ends_the_session(warren, client, method, fields):
    ann = await client.connect(warren.gateways[0])
    await ann.send(ann.command(method, **fields))
    assert await ann.expect_closed() == (3501, "bad request")


@_CODECS
async def test_what_is_not_served_and_does_no_harm_is_left_out(warren, client):
    """Deltas, numbers for channels, dictionaries: the reply does not have them, and all goes on."""
    async with await client.connect(warren.gateways[0], warren.token("ann"), flag=1, profile="p",
                                    headers={"a": "b"}) as ann:
        answer = await ann.subscribe("plain", delta="fossil", flag=1, positioned=True,
                                     recoverable=True)
        assert set(answer) <= {"recoverable", "positioned", "epoch", "offset"}
        await ann.send({"send": {"data": {"typing": True}}})
        for number in range(3):
            await ann.publish("plain", {"text": "nearly the same", "n": number})
            pub = await ann.expect_pub("plain", {"text": "nearly the same", "n": number})
            assert set(pub) <= {"data", "info", "offset", "time"}


@_CODECS
async def test_who_asks_for_the_pings_of_websockets_is_told_of_no_others(warren, client):
    for query, has_pings in (("", True), ("?cf_ws_frame_ping_pong=true", False)):
        async with await client.open(warren.gateways[0].centrifuge_url + query) as one:
            answer = await one.call("connect")
            assert ("ping" in answer, "pong" in answer) == (has_pings, has_pings)


def _alike(messages, names):
    """The messages, in an order that is always the same, without what differs each time."""
    text = json.dumps(messages)
    for name, instead in names.items():
        text = text.replace(name, instead)
    text = re.sub(r'"(ttl|time|expires_at)": \d+', r'"\1": 0', text)
    return sorted(json.loads(text), key=lambda message: json.dumps(message, sort_keys=True))


async def test_both_codecs_are_told_the_same(warren):
    """Whole replies and pushes, but for who somebody is and when it was."""
    one, two = warren.gateways
    told = []
    for client, room in ((CentrifugeClient, "same:1"), (ProtobufClient, "same:2")):
        async with await client.connect(one, warren.token("ann", info={"as": 1}, ttl=600)) as ann, \
                await CentrifugeClient.connect(two, warren.token("bob")) as bob:
            await ann.subscribe(room, join_leave=True)
            await bob.subscribe(room)
            await ann.publish(room, ["h\u00e9", {"n": 1.5, "\u2028": None}])
            await eventually_async(lambda a=ann, r=room: a.pubs(r))
            session = ann.command("rpc")
            session["rpc"] = {"method": "session"}
            await ann.call_all(
                ann.command("presence", channel=room), session,
                ann.command("presence_stats", channel=room),
                ann.command("history", channel=room, limit=9),
                ann.command("history", channel=room, limit=1, reverse=True),
                ann.command("refresh", token=warren.token("ann", ttl=700)))
            await bob.unsubscribe(room)
            await ann.expect_push("leave", room)
            await ann.unsubscribe(room)
            epoch = next(m["history"]["epoch"] for m in ann.received if "history" in m)
            told.append(_alike(ann.received, {ann.client: "client of ann", room: "room",
                                              bob.client: "client of bob", epoch: "epoch"}))
    assert told[0] == told[1]
