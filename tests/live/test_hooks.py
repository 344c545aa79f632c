"""Hooks: the gateways ask a backend who may come in, subscribe and publish, and obey."""

import pytest
from kit import CentrifugeClient, Closed, CommandError, Deployment, PlainClient
from kit.waiting import eventually_async

_SECRET = "the-secret-of-the-backend"
_PATIENT = {"hooks.timeout": "60s", "gateway.stale": "120s"}  # slow machines are no slow backends


@pytest.fixture(scope="module")
def warren(broker, server):
    urls = {f"hooks.{hook}_url": server.url(hook) for hook in ("connect", "subscribe", "publish")}
    settings = {**urls, **_PATIENT, "hooks.secret": _SECRET, "hooks.headers": "Cookie, X-Team",
                "auth.anonymous": "no",
                "origin.allow": "* https://ours.example"}
    with Deployment(broker, gateway=settings, config="""
[room "ask"]
hook_subscribe = yes
hook_publish = yes
""") as running:
        yield running


@pytest.fixture(name="backend")
def _backend(backend):
    """The backend, which takes everybody for whom he says he is."""
    backend.answers["connect"] = lambda question: {
        "result": {"user": question.body.get("data", {}).get("who", "ann")}}
    return backend


async def _connect(gateway, who="ann", **fields):
    return await CentrifugeClient.connect(gateway, data={"who": who}, **fields)


async def _session(client):
    command = client.command("rpc")
    command["rpc"] = {"method": "session"}
    [reply] = await client.call_all(command)
    return reply["rpc"]["data"]


async def test_the_backend_says_who_somebody_is(warren, backend):
    backend.answers["connect"] = lambda _: {"result": {
        "user": "ann", "name": "Ann", "roles": ["moderator"], "info": {"team": 7},
        "data": {"hello": ["Ann"]}, "channels": ["ask:own"]}}
    async with await CentrifugeClient.open(
            warren.gateways[0].centrifuge_url,
            headers={"Cookie": "sid=1", "X-Team": "7", "X-Other": "8"}) as ann:
        [reply] = await ann.call_all(ann.command("connect", data={"key": [1]}, name="js",
                                                 version="5"))
        assert reply["connect"]["data"] == {"hello": ["Ann"]}
        assert "ask:own" in reply["connect"]["subs"]
        session = await _session(ann)
        assert (session["user"], session["name"], session["roles"]) == ("ann", "Ann", ["moderator"])
        assert session["rooms"] == ["ask:own"]
    [question] = backend.asked
    assert question.hook == "connect"
    assert question.body.pop("address").startswith("127.0.0.1")
    assert question.body == {"client": reply["connect"]["client"], "transport": "websocket",
                             "protocol": "json", "encoding": "json", "name": "js", "version": "5",
                             "data": {"key": [1]}}
    assert question.headers["X-Warren-Secret"] == _SECRET
    assert question.headers["Content-Type"] == "application/json"
    assert (question.headers["Cookie"], question.headers["X-Team"]) == ("sid=1", "7")
    assert not {"X-Other", "Authorization", "Sec-WebSocket-Key"} & set(question.headers)


async def test_cookies_that_a_foreign_page_sends_are_not_passed_on(warren, backend):
    for origin in (None, "https://ours.example", "https://evil.example"):
        async with await CentrifugeClient.open(
                warren.gateways[0].centrifuge_url, headers={"Cookie": "sid=1"},
                origin=origin) as ann:
            await ann.call("connect")
    assert ["Cookie" in question.headers for question in backend.asked] == [True, True, False]


async def test_who_has_a_token_is_not_asked_about(warren, backend):
    async with await CentrifugeClient.connect(warren.gateways[0], warren.token("tom")) as tom:
        assert (await _session(tom))["user"] == "tom"
    async with await PlainClient.settled(warren.gateways[1], "open", token=warren.token("tom")):
        pass
    assert not backend.asked


async def test_who_is_refused_does_not_come_in(warren, backend):
    backend.answers["connect"] = lambda _: {"error": {"code": 1001, "message": "not \"you\""}}
    with pytest.raises(CommandError) as error:
        await _connect(warren.gateways[0])
    assert (error.value.code, error.value.message, error.value.temporary) == (
        1001, 'not "you"', False)
    async with await PlainClient.join(warren.gateways[1], "open") as plain:
        assert await plain.expect() == {"error": {"code": 1001, "message": 'not "you"'}}
        assert (await plain.expect_closed())[0] == 3501
    backend.answers["connect"] = lambda _: {"disconnect": {"code": 4005, "reason": "go away"}}
    for attempt in (_connect(warren.gateways[1]), _plain(warren.gateways[0])):
        with pytest.raises(Closed) as closed:
            await attempt
        assert (closed.value.code, closed.value.reason) == (4005, "go away")


async def _plain(gateway):
    async with await PlainClient.join(gateway, "open") as plain:
        await plain.expect()


async def test_what_the_session_says_meanwhile_waits(warren, backend):
    backend.hang()
    async with await CentrifugeClient.open(warren.gateways[0].centrifuge_url) as ann:
        await ann.send(ann.command("connect"), ann.command("subscribe", channel="open"),
                       ann.command("publish", channel="open", data=1))
        await ann.send(ann.command("publish", channel="open", data=2))
        await eventually_async(lambda: backend.asked)
        assert not ann.received
        backend.go_on()
        for number in (1, 2):
            await ann.expect_pub("open", number)
        assert [m["id"] for m in ann.received if m.get("id") in (1, 2)] == [1, 2]


async def test_a_plain_session_is_known_by_the_backend(warren, backend):
    backend.answers["connect"] = lambda question: {
        "result": {"user": "ann", "name": "Ann of " + question.body["channel"]}}
    async with await PlainClient.settled(warren.gateways[0], "open") as ann:
        await ann.send({"username": "eve", "message": "hello"})
        assert await ann.expect({"message": "hello"}) == {
            "username": "Ann of open", "message": "hello"}
    assert backend.asked[0].body["protocol"] == "plain"


async def test_others_go_on_while_the_backend_hangs(warren, backend):
    gateway = warren.gateways[0]
    async with await CentrifugeClient.connect(gateway, warren.token("tom")) as tom:
        await tom.subscribe("open")
        backend.hang()
        async with await CentrifugeClient.open(gateway.centrifuge_url) as ann:
            await ann.send(ann.command("connect"))
            await eventually_async(lambda: backend.asked)
            assert gateway.metric("warren_gateway_hook_questions") == 1
            for number in range(5):
                await tom.publish("open", number)
                await tom.expect_pub("open", number)
            assert not ann.received
            backend.go_on()
            await ann.expect({"id": 1})


async def test_who_goes_takes_the_question_along(warren, backend):
    gateway = warren.gateways[1]
    def cancelled():
        return gateway.metric("warren_gateway_hook_ends_total", hook="connect", end="cancelled")

    before = cancelled()
    backend.hang()
    async with await CentrifugeClient.open(gateway.centrifuge_url) as ann:
        await ann.send(ann.command("connect"))
        await eventually_async(lambda: backend.asked)
    await eventually_async(lambda: cancelled() == before + 1)
    assert gateway.metric("warren_gateway_hook_questions") == 0
