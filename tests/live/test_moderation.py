"""Moderation through the API of one gateway, obeyed by two."""

import contextlib
import time

import pytest
from kit import CentrifugeClient, Closed, CommandError, PlainClient
from kit.api import deployed
from kit.waiting import eventually_async

_CONFIG = """
[room "strict"]
muted = refused
"""


@pytest.fixture(scope="module")
def warren(broker):
    with deployed(broker, config=_CONFIG, gateway={"gateway.trusted": "127.0.0.1"}) as running:
        yield running


@contextlib.asynccontextmanager
async def _both(warren, user, room=None, **claims):
    """A session of a user on each gateway, in a room."""
    async with contextlib.AsyncExitStack() as stack:
        sessions = []
        for gateway in warren.gateways:
            client = await CentrifugeClient.connect(gateway, warren.token(user, **claims))
            sessions.append(await stack.enter_async_context(client))
            if room:
                await client.subscribe(room)
        yield sessions


async def _all_obeyed(warren, api):
    """Everything ordered so far is done on all gateways: the last order is."""
    async with _both(warren, "witness") as witnesses:
        api.disconnect(user="witness")
        for witness in witnesses:
            await witness.expect_closed()


async def _refused(warren, code, token=None, **more):
    """Both gateways refuse whoever comes with it."""
    for gateway in warren.gateways:
        with pytest.raises(Closed) as closed:
            await CentrifugeClient.connect(gateway, token, **more)
        assert closed.value.code == code


async def _history(client, room):
    answer = await client.call("history", channel=room, limit=-1)
    return [pub["data"] for pub in answer["publications"]]


async def test_the_muted_are_heard_by_themselves_and_moderators_alone(warren, api):
    async with _both(warren, "pest", "yard") as pest, _both(warren, "bob", "yard") as bob, \
            _both(warren, "mod", "yard", roles=["moderator"]) as mod:
        everybody = [("pest", p) for p in pest] + [("bob", b) for b in bob] + \
            [("mod", m) for m in mod]
        api[0].mute(user="pest", channel="yard", ttl=3600)
        await _all_obeyed(warren, api[1])
        for number, session in enumerate(pest):
            await session.publish("yard", f"muted {number}")
        await bob[0].publish("yard", "free")
        some = ["muted 0", "muted 1"]
        # Two gateways publish: their order is the owner's affair, so wait for one by one.
        await eventually_async(lambda: all(len(c.pubs("yard")) >= 3 for who, c in everybody
                                           if who != "bob"))
        for who, client in everybody:
            await client.expect_pub("yard", "free")
            seen = sorted(pub["data"] for pub in client.pubs("yard"))
            assert seen == (["free"] if who == "bob" else ["free", *some]), who
            assert sorted(await _history(client, "yard")) == seen, who
        await pest[0].subscribe("other")  # muted in that room alone
        await bob[1].subscribe("other")
        await pest[0].publish("other", "hello")
        await bob[1].expect_pub("other", "hello")
        api[1].unmute(user="pest", channel="yard")
        await _all_obeyed(warren, api[0])
        await pest[1].publish("yard", "again")
        for _, client in everybody:
            await client.expect_pub("yard", "again")


async def test_a_mute_without_a_room_is_of_all_rooms_and_can_be_a_refusal(warren, api):
    async with _both(warren, "loud", "strict") as loud, _both(warren, "eve", "den") as eve:
        api[1].mute(user="loud")
        await _all_obeyed(warren, api[0])
        for session in loud:
            with pytest.raises(CommandError) as error:
                await session.publish("strict", 1)
            assert error.value.code == 103
            await session.subscribe("den")
            await session.publish("den", "psst")
        api[1].publish(channel="den", data="the API is heard")
        for session in eve:
            await session.expect_pub("den", "the API is heard")
        api[0].unmute(user="loud")
        await _all_obeyed(warren, api[1])
        for session in loud:
            await session.publish("strict", 2)
        await loud[0].publish("den", "free")
        for session in eve:
            await session.expect_pub("den", "free")
            assert "psst" not in [pub["data"] for pub in session.pubs("den")]


async def test_the_banned_come_back_when_they_are_let(warren, api):
    async with _both(warren, "villain", "inn") as villain:
        plain = await PlainClient.settled(warren.gateways[0], "inn", token=warren.token("villain"))
        api[1].ban(user="villain")
        for session in [*villain, plain]:
            assert (await session.expect_closed())[0] == 3507
    await _refused(warren, 3507, warren.token("villain"))
    await _refused(warren, 3507, warren.token("villain", channels=["inn"]))
    plain = await PlainClient.join(warren.gateways[1], "inn", token=warren.token("villain"))
    assert (await plain.expect_closed())[0] == 3507
    api[0].unban(user="villain")
    await _all_obeyed(warren, api[1])
    async with _both(warren, "villain", "inn"):
        pass


async def test_a_banned_address_is_out_whoever_comes_from_it(warren, api):
    for told, address, lifted in (
            ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8::7", "2001:0DB8:0:0:0:0:0:7", "2001:db8::7/128"),
            ("192.0.2.133", "192.0.2.129/25", "192.0.2.128/25")):
        there = {"open_options": {"headers": {"X-Forwarded-For": told}}}
        near = {"open_options": {"headers": {"X-Forwarded-For": "192.0.2.77"}}}
        ann = [await CentrifugeClient.connect(g, **there) for g in warren.gateways]
        async with await CentrifugeClient.connect(warren.gateways[0], **near) as neighbour:
            api[0].ban(address=address, ttl=3600)
            for session in ann:
                assert (await session.expect_closed())[0] == 3507
            await _refused(warren, 3507, **there)
            await _refused(warren, 3507, warren.token("somebody"), **there)
            await neighbour.subscribe("street")
        api[1].unban(address=lifted)
        await _all_obeyed(warren, api[0])
        for gateway in warren.gateways:
            await (await CentrifugeClient.connect(gateway, **there)).close()


async def test_a_token_is_taken_back_and_others_of_its_user_are_not(warren, api):
    stolen, good = warren.token("ann", jti="st\u00f6len"), warren.token("ann", jti="good")
    async with await CentrifugeClient.connect(warren.gateways[0], good) as kept:
        thieves = [await CentrifugeClient.connect(g, stolen) for g in warren.gateways]
        api[1].revoke(token="st\u00f6len", ttl=7200)
        for thief in thieves:
            assert (await thief.expect_closed())[0] == 3500
        await _refused(warren, 3500, stolen)
        await kept.subscribe("mine")


async def test_all_tokens_of_a_user_are_taken_back_and_new_ones_are_good(warren, api):
    now = int(time.time())
    old, new = (warren.token("uma", iat=at) for at in (now - 600, now - 60))
    async with await CentrifugeClient.connect(warren.gateways[1], new) as kept:
        sessions = [await CentrifugeClient.connect(g, old) for g in warren.gateways]
        nameless = await CentrifugeClient.connect(warren.gateways[0], warren.token("uma"))
        api[0].revoke(user="uma", before=now - 300, ttl=7200)
        for session in [*sessions, nameless]:
            assert (await session.expect_closed())[0] == 3500
        await _refused(warren, 3500, old)
        await kept.subscribe("mine")
        api[1].revoke(user="uma")  # all that there are
        assert (await kept.expect_closed())[0] == 3500
        await _refused(warren, 3500, new)


async def test_the_server_subscribes_and_unsubscribes(warren, api):
    async with _both(warren, "sue") as sue, _both(warren, "tim") as tim:
        api[0].subscribe(user="sue", channel="$lounge", data={"seat": 4})
        for session in sue:
            push = await session.expect_push("subscribe", "$lounge")
            assert push["data"] == {"seat": 4}
        api[1].publish(channel="$lounge", data="welcome")
        for session in sue:
            await session.expect_pub("$lounge", "welcome")
        api[1].subscribe(client=tim[1].client, channel="$lounge")
        await tim[1].expect_push("subscribe", "$lounge")
        api[0].unsubscribe(user="sue", channel="$lounge")
        for session in sue:
            assert (await session.expect_push("unsubscribe", "$lounge"))["code"] == 2000
        api[0].publish(channel="$lounge", data="gone")
        await tim[1].expect_pub("$lounge", "gone")
        for session in [*sue, tim[0]]:
            assert "gone" not in [pub["data"] for pub in session.pubs("$lounge")]


async def test_refresh_says_when_a_session_ends(warren, api):
    async with _both(warren, "fay") as fay, _both(warren, "gus", ttl=3600) as gus:
        api[0].refresh(user="fay", expired=True)
        for session in fay:
            assert (await session.expect_closed())[0] == 3005
        api[1].refresh(client=gus[0].client, expire_at=int(time.time()) - 100)
        assert (await gus[0].expect_closed())[0] == 3005
        await gus[1].subscribe("stays")
        api[1].refresh(client=gus[1].client, expire_at=int(time.time()) + 7200)
        push = await gus[1].expect_push("refresh")
        assert push["expires"] is True and 7100 < push["ttl"] <= 7200
        api[0].refresh(user="gus")  # for ever
        assert await gus[1].expect_push("refresh") == {}


async def test_a_closed_room_is_closed_for_tokens_too(warren, api):
    claims = {"channels": ["$club", "hall"]}
    async with _both(warren, "hal", **claims) as hal, \
            await CentrifugeClient.connect(warren.gateways[0], warren.token("ida")) as ida:
        assert await ida.subscribe("hall") is not None
        plain = await PlainClient.settled(warren.gateways[1], "hall")
        api[1].close(channel="hall")
        for session in [*hal, ida]:
            assert (await session.expect_push("unsubscribe", "hall"))["code"] == 2000
        assert (await plain.expect_closed())[0] == 3503
        [reply] = await ida.call_all(ida.command("subscribe", channel="hall"))
        assert reply["error"]["code"] == 103
        api[0].subscribe(user="ida", channel="hall")  # nobody comes in by this door, either
        api[0].subscribe(user="ida", channel="yard")
        await ida.expect_push("subscribe", "yard")
        [reply] = await ida.call_all(ida.command("presence", channel="hall"))
        assert reply["error"]["code"] == 103
    for gateway in warren.gateways:
        client = await CentrifugeClient.open(gateway.centrifuge_url)
        answer = await client.call("connect", token=warren.token("hal", **claims))
        assert list(answer["subs"]) == ["$club"]
        await client.close()
    api[0].open(channel="hall")
    await _all_obeyed(warren, api[1])
    client = await CentrifugeClient.open(warren.gateways[0].centrifuge_url)
    answer = await client.call("connect", token=warren.token("hal", **claims))
    assert sorted(answer["subs"]) == ["$club", "hall"]
    await client.close()
