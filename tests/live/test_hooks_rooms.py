"""Hooks of rooms: the backend decides who subscribes and what is published."""

import time

import pytest
from kit import CentrifugeClient, Closed, CommandError, Deployment, PlainClient
from kit.sdk import Sdk
from kit.waiting import eventually_async


@pytest.fixture(scope="module")
def warren(broker, server):
    urls = {f"hooks.{hook}_url": server.url(hook) for hook in ("subscribe", "publish")}
    settings = {**urls, "hooks.timeout": "60s"}  # slow machines are no slow backends
    with Deployment(broker, gateway=settings, config="""
[room "ask"]
hook_subscribe = yes
hook_publish = yes
[room "say"]
hook_publish = yes
""") as running:
        yield running


async def _connect(warren, number, user):
    return await CentrifugeClient.connect(warren.gateways[number], warren.token(user))


async def _rpc(client, method, data=None):
    command = client.command("rpc")
    command["rpc"] = {"method": method, "data": data or {}}
    [reply] = await client.call_all(command)
    return reply["rpc"]["data"]


async def test_the_backend_is_asked_who_subscribes(warren, backend):
    backend.answers["subscribe"] = lambda _: {"result": {"data": {"topic": 1}, "info": {"at": 2}}}
    async with await _connect(warren, 0, "ann") as ann, await _connect(warren, 1, "bob") as bob:
        reply = await ann.subscribe("ask:1", data={"why": "so"})
        assert reply["data"] == {"topic": 1}
        assert (await bob.subscribe("ask:1"))["data"] == {"topic": 1}
        [there] = [member for member in (await bob.call("presence", channel="ask:1"))[
            "presence"].values() if member["user"] == "ann"]
        assert there["chan_info"] == {"at": 2}
        await ann.subscribe("open")
        assert [q.body["user"] for q in backend.asked] == ["ann", "bob"]
        assert {key: backend.asked[0].body[key] for key in ("client", "channel", "data")} == {
            "client": ann.client, "channel": "ask:1", "data": {"why": "so"}}


async def test_a_subscription_ends_when_the_backend_said_and_may_come_again(warren, backend):
    """There is no token to renew: nobody is told to get one."""
    backend.answers["subscribe"] = lambda _: {"result": {"expire_at": int(time.time()) + 2}}
    async with await _connect(warren, 0, "ann") as ann:
        reply = await ann.subscribe("ask:end")
        assert "expires" not in reply and "ttl" not in reply
        end = await ann.expect(lambda m: "unsubscribe" in m.get("push", {}))
        assert end["push"]["unsubscribe"]["code"] == 2501
        await ann.subscribe("ask:end")
        assert len(backend.asked) == 2


async def test_who_is_refused_does_not_subscribe(warren, backend):
    answers = {
        "ask:own": {"error": {"code": 1002, "message": "full"}},
        "ask:known": {"error": {"code": 103}},
        "ask:later": {"error": {"code": 1003, "message": "wait", "temporary": True}},
    }
    backend.answers["subscribe"] = lambda question: answers[question.body["channel"]]
    async with await _connect(warren, 0, "ann") as ann:
        seen = []
        for room in answers:
            with pytest.raises(CommandError) as error:
                await ann.subscribe(room)
            seen.append((error.value.code, error.value.message, error.value.temporary))
        assert seen == [(1002, "full", False), (103, "permission denied", False),
                        (1003, "wait", True)]
        assert (await _rpc(ann, "session"))["rooms"] == []
        answers["ask:out"] = {"disconnect": {"code": 4001, "reason": "no more"}}
        with pytest.raises(Closed) as closed:
            await ann.subscribe("ask:out")
        assert (closed.value.code, closed.value.reason) == (4001, "no more")
    async with await PlainClient.join(warren.gateways[1], "ask:own") as plain:
        assert await plain.expect() == {"error": {"code": 1002, "message": "full"}}
        assert (await plain.expect_closed())[0] == 3501


async def test_subscribes_are_asked_about_at_once_and_the_rest_waits(warren, backend):
    async with await _connect(warren, 0, "ann") as ann:
        await ann.subscribe("open")
        backend.hang()
        await ann.send(*[ann.command("subscribe", channel=f"ask:{number}") for number in range(3)],
                       ann.command("subscribe", channel="open:free"),
                       ann.command("subscribe", channel="ask:0"),
                       ann.command("publish", channel="open", data="behind"))
        await eventually_async(lambda: len(backend.asked) == 3)
        await ann.expect(lambda message: message.get("id") == 6)  # asked about by nobody
        assert not ann.pubs("open")
        backend.go_on()
        await ann.expect_pub("open", "behind")
        assert [m["error"]["code"] for m in ann.received if "error" in m] == [105]
        assert len(backend.asked) == 3


async def test_what_is_published_is_what_the_backend_makes_of_it(warren, backend):
    def judge(question):
        data = question.body["data"]
        if data == "bad":
            return {"error": {"code": 1100, "message": "mind your words"}}
        return {"result": {} if data == "good" else {"data": {"was": data, "by": "backend"}}}

    backend.answers["publish"] = judge
    async with await _connect(warren, 0, "ann") as ann, await _connect(warren, 1, "bob") as bob:
        for one in (ann, bob):
            await one.subscribe("say:1")
        with pytest.raises(CommandError) as error:
            await ann.publish("say:1", "bad")
        assert (error.value.code, error.value.message) == (1100, "mind your words")
        await ann.publish("say:1", "good")
        await bob.publish("say:1", "other")
        await _rpc(ann, "publish",
                   {"channel": "say:1", "data": "again", "idempotency_key": "k1"})
        for one in (ann, bob):
            await one.expect_pub("say:1", {"was": "again", "by": "backend"})
            assert [pub["data"] for pub in one.pubs("say:1")] == [
                "good", {"was": "other", "by": "backend"}, {"was": "again", "by": "backend"}]
        assert (backend.asked[0].body["channel"], backend.asked[0].body["user"]) == ("say:1", "ann")


async def test_plain_sessions_publish_what_the_backend_makes_of_it(warren, backend):
    def judge(question):
        data = question.body["data"]
        if data.get("message") == "bad":
            return {"error": {"code": 1100, "message": "mind your words"}}
        return {"result": {"data": {**data, "seen": True}}}

    backend.answers["publish"] = judge
    async with await PlainClient.settled(warren.gateways[0], "ask:plain",
                                         token=warren.token("ann", name="Ann")) as ann:
        await ann.say("eve", "bad")
        assert await ann.expect(lambda m: "error" in m) == {
            "error": {"code": 1100, "message": "mind your words"}}
        await ann.say("eve", "good")
        assert await ann.expect({"message": "good"}) == {
            "username": "Ann", "message": "good", "seen": True}


@pytest.mark.parametrize("many", [10, 1500])
async def test_publishes_keep_their_order(warren, backend, many):
    """However many there are: more than are kept wait in their socket."""
    gateway = warren.gateways[0]

    def held():
        return gateway.metric("warren_gateway_limits_met_total", limit="asking")

    before = held()
    backend.hang()
    async with await _connect(warren, 0, "ann") as ann, await _connect(warren, 1, "bob") as bob:
        room = f"say:many{many}"
        await bob.subscribe(room)
        for number in range(many):
            # Every other one is asked about.
            where = room if number % 100 == 0 else "open"
            await ann.send(ann.command("publish", channel=where, data=number))
        await ann.send(ann.command("publish", channel=room, data="last"))
        await eventually_async(lambda: backend.asked)
        if many > 1000:
            await eventually_async(lambda: held() == before + 1)
        backend.go_on()
        await bob.expect_pub(room, "last")
        assert [pub["data"] for pub in bob.pubs(room)] == [*range(0, many, 100), "last"]
        await ann.expect(lambda message: message.get("id") == many + 2)
        ids = [message["id"] for message in ann.received if message.get("id", 1) > 1]
        assert len(ids) == len(set(ids)) == many + 1


async def test_others_and_pongs_go_on_meanwhile(warren, backend):
    async with await _connect(warren, 0, "ann") as ann, await _connect(warren, 0, "bob") as bob:
        await bob.subscribe("open:2")
        backend.hang()
        await ann.send(ann.command("publish", channel="say:2", data=1))
        await eventually_async(lambda: backend.asked)
        for number in range(5):
            await bob.publish("open:2", number)
            await bob.expect_pub("open:2", number)
        assert not any(message.get("id") == 2 for message in ann.received)
        backend.go_on()
        assert await ann.expect(lambda message: message.get("id") == 2) == {"id": 2, "publish": {}}


async def test_the_sdk_obeys_in_protobuf_too(warren, backend):
    backend.answers["publish"] = lambda question: (
        {"error": {"code": 1100, "message": "mind your words"}}
        if question.body["data"] == "bad" else {"result": {"data": [question.body["data"]]}})
    async with await Sdk.start(warren.gateways[0], warren.token("ann"), "protobuf") as ann, \
            await _connect(warren, 1, "bob") as bob:
        await bob.subscribe("ask:sdk")
        await ann.do("connect")
        await ann.do("subscribe", channel="ask:sdk")
        await ann.expect("subscribed")
        error = (await ann.do("publish", channel="ask:sdk", data="bad"))["error"]
        assert (error["code"], error["message"]) == (1100, "mind your words")
        await ann.do("publish", channel="ask:sdk", data="good")
        await bob.expect_pub("ask:sdk", ["good"])
        await ann.expect("publication", data=["good"])
    assert {q.body["protocol"] for q in backend.asked} == {"json", "protobuf"}
