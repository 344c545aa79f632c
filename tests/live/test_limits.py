"""Rights to presence and history, people without a token, and how much a session may do."""

import pytest
from kit import CentrifugeClient, CommandError, Deployment, PlainClient, eventually_async

_CONFIG = """
[room "members"]
subscribe = known
publish = known

[room "suggestions"]
publish = anonymous, staff

[room "private"]
presence_for = staff
history_for = staff

[room "small"]
subscribers = 2
"""


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker, config=_CONFIG) as running:
        yield running


@pytest.fixture(scope="module")
def limited(broker):
    # A rate so low that it makes no difference how slow a machine is.
    with Deployment(broker, broadcasters=1, gateway={
            "gateway.user_sessions": 3, "gateway.publish_rate": 1, "gateway.publish_burst": 100,
            "gateway.user_publish_rate": 1, "gateway.user_publish_burst": 100}) as running:
        yield running


async def _connect(warren, user=None, gateway=0, **claims):
    token = warren.token(user, **claims) if user else None
    return await CentrifugeClient.connect(warren.gateways[gateway], token=token)


async def _refused(answer, code):
    with pytest.raises(CommandError) as error:
        await answer
    assert error.value.code == code


async def test_rooms_can_be_for_people_with_a_token_or_without(warren):
    async with await _connect(warren, "ann") as ann, await _connect(warren) as nobody, \
            await _connect(warren, "eve", gateway=1, roles=["staff"]) as eve:
        await _refused(nobody.subscribe("members:1"), 103)
        await _refused(nobody.publish("members:1", 1), 103)
        await ann.subscribe("members:1")
        await ann.publish("members:1", 2)
        await ann.expect_pub("members:1", 2)
        await ann.subscribe("suggestions")
        await _refused(ann.publish("suggestions", 3), 103)
        await nobody.publish("suggestions", 4)
        await eve.publish("suggestions", 5)
        await ann.expect_pub("suggestions", 5)
        assert [pub["data"] for pub in ann.pubs("suggestions")] == [4, 5]


async def test_presence_and_history_are_for_those_whom_the_room_names(warren):
    room = "private:1"
    gateway = warren.gateways[0]
    before = {what: gateway.metric("warren_gateway_denied_total", what=what)
              for what in ("presence", "history")}
    async with await _connect(warren, "eve", roles=["staff"]) as eve:
        await eve.subscribe(room)
        await eve.publish(room, "old")
        await eve.expect_pub(room, "old")
        page = await eve.call("history", channel=room, limit=5)
        assert [pub["data"] for pub in page["publications"]] == ["old"]
        async with await _connect(warren, "ann") as ann:
            answer = await ann.subscribe(room, recover=True, offset=0, epoch=page["epoch"])
            assert "recovered" not in answer and "publications" not in answer
            for method in ("presence", "presence_stats", "history"):
                await _refused(ann.call(method, channel=room), 103)
            assert set((await eve.call("presence", channel=room))["presence"]) \
                == {eve.client, ann.client}
    assert gateway.metric("warren_gateway_denied_total", what="presence") == before["presence"] + 2
    assert gateway.metric("warren_gateway_denied_total", what="history") == before["history"] + 2


async def test_a_room_takes_so_many_sessions_of_a_gateway(warren):
    room = "small:1"
    async with await _connect(warren, "a") as a, await _connect(warren, "b") as b, \
            await _connect(warren, "c") as c, await _connect(warren, "d", gateway=1) as d:
        await a.subscribe(room)
        await b.subscribe(room)
        await _refused(c.subscribe(room), 106)
        plain = await PlainClient.join(warren.gateways[0], room, token=warren.token("c"))
        assert (await plain.expect())["error"]["code"] == 106
        assert (await plain.expect_closed())[0] == 3501
        await d.subscribe(room)  # each gateway counts for itself
        await b.unsubscribe(room)
        await c.subscribe(room)


async def test_a_user_has_so_many_sessions_on_a_gateway(limited):
    token = limited.token("ann")
    async with await _connect(limited, "ann"), await _connect(limited, "ann") as other, \
            await PlainClient.join(limited.gateways[0], token=token), \
            await _connect(limited, "ann", gateway=1), await _connect(limited, "bob"):
        for _ in range(2):
            plain = await PlainClient.join(limited.gateways[0], token=token)
            assert (await plain.expect_closed())[0] == 3504
        await other.close()

        # Three are left: one of ann's, the plain one, bob.
        await eventually_async(
            lambda: limited.gateways[0].metric("warren_gateway_sessions") == 3)
        async with await PlainClient.settled(limited.gateways[0], token=token):
            pass  # he came in, and heard himself


async def test_publishes_are_as_fast_as_they_may_be(limited):
    room = "fast"
    gateway = limited.gateways[0]
    async with await _connect(limited, "fay") as fay, await _connect(limited, "fay") as other, \
            await _connect(limited, "gus") as gus:
        answers = await fay.call_all(*[
            fay.command("publish", channel=room, data=i) for i in range(130)])
        errors = [answer["error"] for answer in answers if "error" in answer]
        assert errors and all(error == {"code": 111, "message": "too many requests",
                                        "temporary": True, "retry_after": 1} for error in errors)
        assert 100 <= len(answers) - len(errors) < 130
        assert gateway.metric("warren_gateway_denied_total", what="session_rate") == len(errors)
        await gus.publish(room, "fine")
        answers = await other.call_all(*[
            other.command("publish", channel=room, data=i) for i in range(40)])
        assert any("error" in answer for answer in answers)  # the user's rate, not the session's
        assert gateway.metric("warren_gateway_denied_total", what="user_rate") > 0
