"""What becomes of sessions and of their rooms when tokens are changed or taken back."""

import pytest
from kit import CentrifugeClient, CommandError
from kit.api import deployed
from kit.waiting import eventually_async

_SERVER = {"code": 2000, "reason": "server unsubscribe"}


@pytest.fixture(scope="module")
def warren(broker):
    with deployed(broker) as running:
        yield running


def _vip(warren, user, **claims):
    """A subscription token."""
    return warren.token(user, channel="$vip", **claims)


def _said(client, room):
    return [pub["data"] for pub in client.pubs(room)]


async def test_publications_show_what_the_token_for_the_room_says(warren, api):
    async with await CentrifugeClient.connect(warren.gateways[0], warren.token("ann")) as ann, \
            await CentrifugeClient.connect(warren.gateways[1], warren.token("bob")) as bob:
        await ann.subscribe("$vip", token=_vip(warren, "ann", info={"seat": 7}))
        await bob.subscribe("$vip", token=_vip(warren, "bob"))
        for client in (ann, bob):
            await client.publish("$vip", client is ann)
        pub = await bob.expect_pub("$vip", True)
        assert pub["info"]["chan_info"] == {"seat": 7} and pub["info"]["user"] == "ann"
        assert "chan_info" not in (await ann.expect_pub("$vip", False))["info"]
        told = await bob.call("history", channel="$vip", limit=-1)
        for publications in (told["publications"],
                             api[0].history(channel="$vip", limit=10)["publications"]):
            shown = {pub["info"]["user"]: pub["info"].get("chan_info") for pub in publications}
            assert (shown["ann"], shown["bob"]) == ({"seat": 7}, None)


async def test_the_rooms_of_tokens_change_with_the_token(warren):
    def named(*rooms):
        return warren.token("ann", channels=list(rooms))

    async with await CentrifugeClient.connect(warren.gateways[0], named("old", "both")) as ann, \
            await CentrifugeClient.connect(warren.gateways[1], warren.token("bob")) as bob:
        await ann.subscribe("own")
        await ann.call("refresh", token=named("both", "new"))
        assert await ann.expect_push("unsubscribe", "old") == _SERVER
        assert (await ann.expect_push("subscribe", "new"))["recoverable"] is True
        for number, room in enumerate(("old", "both", "new", "own")):
            await bob.publish(room, number)
        for number, room in enumerate(("old", "both", "new", "own")):
            if room != "old":  # rooms have no common order
                await eventually_async(lambda r=room, n=number: n in _said(ann, r))
        assert ann.pubs("old") == []
        await ann.call("refresh", token=warren.token("ann"))
        for _ in ("both", "new"):
            assert await ann.expect_push("unsubscribe") == _SERVER
        await bob.publish("own", "still here")
        await ann.expect_pub("own", "still here")


@pytest.mark.parametrize("claims, order", [
    ({"jti": "s1"}, {"token": "s1"}),
    ({"iat": 1000}, {"user": "user", "before": 2000, "ttl": 7200}),
    ({"iat": 1000}, {"before": 2001}),
], ids=["id", "user", "time"])
async def test_a_revoked_subscription_token_takes_the_room_and_leaves_the_session(
        warren, api, claims, order, request):
    user = request.node.callspec.id
    sessions = [await CentrifugeClient.connect(g, warren.token(user, iat=9000))
                for g in warren.gateways]
    token = _vip(warren, user, **{"iat": 9000, **claims})
    for session in sessions:
        await session.subscribe("$vip", token=token)
    api[1].revoke(**order)
    for session in sessions:
        assert await session.expect_push("unsubscribe", "$vip") == {
            "code": 2502, "reason": "state invalidated"}
        with pytest.raises(CommandError) as error:
            await session.subscribe("$vip", token=token)
        assert error.value.code == 103
        await session.subscribe("$vip", token=_vip(warren, user, iat=9000))
        await session.close()


async def test_the_token_that_a_session_has_now_is_the_one_that_counts(warren, api):
    # Whoever runs before has revoked all that do not say when they were made.
    sessions = [await CentrifugeClient.connect(g, warren.token("joe", iat=9000, jti=f"first {i}"))
                for i, g in enumerate(warren.gateways)]
    for i, session in enumerate(sessions):
        await session.call("refresh", token=warren.token("joe", iat=9000,
                                                        jti=f"second {i}"))
        api[i].revoke(token=f"first {i}")
    api[0].revoke(token="second 1")
    assert await sessions[1].expect_closed() == (3500, "invalid token")
    await sessions[0].subscribe("mine")
    api[1].revoke(token="second 0")
    assert await sessions[0].expect_closed() == (3500, "invalid token")
