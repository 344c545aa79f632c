"""Who is in a room, and who comes and goes, on all gateways."""

import asyncio

import pytest
from kit import CentrifugeClient, CommandError, Deployment, PlainClient
from kit.waiting import eventually_async

_CONFIG = """
[room "told"]
join_leave = yes

[room "small"]
presence_max = 2

[room "hushed"]
join_leave_rate = 0

[room "secret"]
presence = no
join_leave = yes
"""


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker, config=_CONFIG) as running:
        yield running


async def _connect(warren, user, gateway=0, **claims):
    token = warren.token(user, **claims)
    return await CentrifugeClient.connect(warren.gateways[gateway], token=token)


async def _enter_told(client, room):
    """Enters a room and is told of itself, in the first moments of gateway and owner, too."""
    await client.subscribe(room, join_leave=True)
    push = await client.expect_push("join", room)
    assert push["info"]["client"] == client.client


def _moves(client, room):
    """What the client was told, as "+user" and "-user"."""
    pushes = [message.get("push", {}) for message in client.received]
    return [sign + push[kind]["info"]["user"] for push in pushes if push.get("channel") == room
            for kind, sign in (("join", "+"), ("leave", "-")) if kind in push]


def _moves_since_own(client, room, user):
    """Likewise, from the moment that it was told of itself."""
    told = _moves(client, room)
    return told[told.index(f"+{user}"):]


async def test_who_asks_is_told_who_comes_and_goes_on_every_gateway(warren):
    async with await _connect(warren, "ann") as ann, await _connect(warren, "bob", 1) as bob, \
            await _connect(warren, "cid", 1, name="Cid") as cid:
        await _enter_told(ann, "door")
        await bob.subscribe("door")
        await cid.subscribe("door")
        info = (await ann.expect(lambda m: "cid" in str(m)))["push"]["join"]["info"]
        assert info == {"user": "cid", "client": cid.client,
                        "conn_info": {"name": "Cid", "gateway": warren.gateways[1].name}}
        await cid.unsubscribe("door")
        await ann.expect_push("leave", "door")
        await bob.close()
        await ann.expect_push("leave", "door")
        assert _moves_since_own(ann, "door", "ann") == ["+ann", "+bob", "+cid", "-cid", "-bob"]
        assert _moves(cid, "door") == []  # it did not ask
        await ann.unsubscribe("door")
        await cid.subscribe("door", join_leave=True)
        await cid.expect_push("join", "door")
        assert _moves_since_own(ann, "door", "ann") == ["+ann", "+bob", "+cid", "-cid", "-bob"]


async def test_a_rule_tells_everybody_and_no_presence_nobody(warren):
    async with await _connect(warren, "ann") as ann, await _connect(warren, "bob", 1) as bob:
        await _enter_told(ann, "told:1")
        await ann.subscribe("secret:1", join_leave=True)
        for room in ("told:1", "secret:1"):
            await bob.subscribe(room)
        await ann.expect(lambda m: "join" in str(m) and "bob" in str(m))
        await bob.expect_push("join", "told:1")
        assert _moves_since_own(ann, "told:1", "ann") == ["+ann", "+bob"]
        await ann.publish("secret:1", "end")
        await ann.expect_pub("secret:1", "end")
        assert _moves(ann, "secret:1") == _moves(bob, "secret:1") == []


async def test_a_list_that_is_too_long_is_refused_and_the_numbers_are_told(warren):
    async with await _connect(warren, "ann") as ann, await _connect(warren, "ann", 1) as again, \
            await _connect(warren, "bob", 1) as bob:
        async def numbers():
            stats = await ann.call("presence_stats", channel="small:1")
            return stats["num_clients"], stats["num_users"]

        for count, client in enumerate((ann, again, bob), start=1):
            await client.subscribe("small:1")
            while (await numbers())[0] != count:
                pass
            if count <= 2:
                assert len((await ann.call("presence", channel="small:1"))["presence"]) == count
        assert await numbers() == (3, 2)
        with pytest.raises(CommandError) as error:
            await ann.call("presence", channel="small:1")
        assert error.value.code == 106


async def test_a_room_above_its_rate_of_joins_is_not_told_of_them(warren):
    async with await _connect(warren, "ann") as ann, await _connect(warren, "bob", 1) as bob:
        await ann.subscribe("hushed:1", join_leave=True)
        await bob.subscribe("hushed:1", join_leave=True)
        await eventually_async(lambda: sum(
            b.metric("warren_broadcaster_limits_met_total", limit="room.join_leave_rate")
            for b in warren.broadcasters) >= 2)
        await bob.publish("hushed:1", "end")
        await ann.expect_pub("hushed:1", "end")
        assert _moves(ann, "hushed:1") == []


async def test_the_list_is_right_after_a_gateway_and_a_broadcaster_died(warren):
    """And while another gateway hangs, whose sessions come again when it goes on."""
    async def users(client):
        return sorted(member["user"] for member in
                      (await client.call("presence", channel="frail"))["presence"].values())

    third = warren.add_gateway()
    async with await _connect(warren, "ann") as ann:
        cid = await CentrifugeClient.connect(third, token=warren.token("cid"))
        await _enter_told(ann, "frail")
        await cid.subscribe("frail")
        await ann.expect(lambda m: "join" in str(m) and "cid" in str(m))
        eve = await _connect(warren, "eve", 1)
        await eve.subscribe("frail")
        await ann.expect(lambda m: "join" in str(m) and "eve" in str(m))
        assert await users(ann) == ["ann", "cid", "eve"]
        third.kill()
        warren.gateways[1].pause()
        try:
            await eventually_async(lambda: {"-cid", "-eve"} <= set(_moves(ann, "frail")))
            assert await users(ann) == ["ann"]
        finally:
            warren.gateways[1].resume()
        await eventually_async(lambda: _moves(ann, "frail")[-1] == "+eve")

        async def are_two():  # its links may begin anew more than once
            return await users(ann) == ["ann", "eve"]
        await eventually_async(are_two)
        await eve.close()
        await eventually_async(lambda: _moves(ann, "frail")[-1] == "-eve")
        await cid.close()
        warren.gateways.remove(third)
        for broadcaster in warren.broadcasters:
            broadcaster.kill()
            broadcaster.start()

            async def is_right():
                try:
                    return await users(ann) == ["ann"]
                except CommandError as error:
                    assert error.temporary
                    return False

            await eventually_async(is_right)
        async with await _connect(warren, "bob", 1) as bob:
            await bob.subscribe("frail")
            await ann.expect(lambda m: "join" in str(m) and "bob" in str(m))
        # A new owner does not take those who were there for newcomers.
        told = [move for move in _moves_since_own(ann, "frail", "ann") if "eve" not in move]
        assert told[:4] == ["+ann", "+cid", "-cid", "+bob"]


async def test_who_comes_and_goes_while_nobody_owns_the_room_is_told_as_well(warren):
    """And once: whoever was told under the old owner is not told again by the next one."""
    patient = warren.add_gateway(gateway__subscribe_wait="60s")
    async with await _connect(warren, "ann") as ann, \
            await CentrifugeClient.connect(patient, warren.token("cid")) as cid:
        await _enter_told(ann, "gap")
        await cid.subscribe("gap")
        await ann.expect(lambda m: "join" in str(m) and "cid" in str(m))
        for round_ in range(2):
            for broadcaster in warren.broadcasters:
                broadcaster.kill()
            bob = await CentrifugeClient.connect(patient, warren.token(f"bob{round_}"))
            entering = asyncio.ensure_future(bob.subscribe("gap"))
            if round_ == 0:
                await cid.close()
            for broadcaster in warren.broadcasters:
                broadcaster.start()
            await entering
            await ann.expect(lambda m, who=f"bob{round_}": "join" in str(m) and who in str(m))
            await bob.close()
            await ann.expect(lambda m, who=f"bob{round_}": "leave" in str(m) and who in str(m))
        patient.stop()
        warren.gateways.remove(patient)
        told = _moves_since_own(ann, "gap", "ann")
        assert sorted(told) == sorted(["+ann", "+cid", "-cid", "+bob0", "-bob0", "+bob1", "-bob1"])


async def test_a_plain_client_is_told_more_when_it_asks(warren):
    url = f"{warren.gateways[0].ws_url('plain')}&events=1"
    async with await PlainClient.join(url, token=warren.token("joe")) as joe:
        await joe.expect({"event": "entered", "room": "plain"})
        async with await _connect(warren, "ann", 1) as ann:
            await ann.subscribe("plain")
            joined = await joe.expect({"event": "join", "user": "ann"})
            assert joined["client"] == ann.client
            assert joined["info"]["gateway"] == warren.gateways[1].name
            await ann.publish("plain", {"message": "hello"})
            await joe.expect({"message": "hello"})
        await joe.expect({"event": "leave", "user": "ann"})
    async with await PlainClient.settled(warren.gateways[0], "plain",
                                         token=warren.token("joe")) as quiet:
        assert not [message for message in quiet.received if "event" in message]
