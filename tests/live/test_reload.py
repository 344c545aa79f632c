"""SIGHUP: settings change while conversations go on."""

import signal
from contextlib import ExitStack, contextmanager

import pytest
from kit import CentrifugeClient, Closed, CommandError, Deployment, PlainClient
from kit.api import KEY, Api
from kit.raw import knock, request, rest
from kit.waiting import eventually_async

_OLD = "o" * 40
_NEW = "n" * 40


@pytest.fixture(scope="module", name="running")
def _running(broker):
    settings = {"auth.hmac_key": None}  # it stands in the file
    config = _config(_OLD)
    with Deployment(broker, gateways=1, broadcasters=1, gateway=settings, config=config) as running:
        running.broadcasters[0].wait_metric("warren_broadcaster_owned_partitions", 4)
        yield running


@pytest.fixture
def warren(running):
    """All of it with the first settings again."""
    running.key = _OLD
    running.config.write_text(_config(_OLD), encoding="utf-8")
    for service in running.gateways + running.broadcasters:
        _reload(service)
    return running


def _config(key, origin="https://old.example", more=""):
    return f"[auth]\nhmac_key = {key}\n[origin]\nallow = {origin}\n{more}"


def _reload(service, what="reloads"):
    name = f"warren_{service.program.split('/')[0]}_{what}_total"
    before = service.metric(name)
    service.send_signal(signal.SIGHUP)
    service.wait_metric(name, before + 1)


def test_the_level_of_the_log_changes(warren):
    for service in warren.gateways + warren.broadcasters:
        told = service.log_text().count("reloaded")
        warren.config.write_text(_config(_OLD, more="[log]\nlevel = error\n"), encoding="utf-8")
        _reload(service)
        assert service.log_text().count("reloaded") == told
        warren.config.write_text(_config(_OLD), encoding="utf-8")
        _reload(service)
        assert service.log_text().count("reloaded") == told + 1


async def test_a_key_is_rotated_and_nobody_is_interrupted(warren):
    gateway = warren.gateways[0]
    old_token = warren.token("ann")
    async with await CentrifugeClient.connect(gateway, old_token) as ann:
        await ann.subscribe("reload")
        warren.config.write_text(_config(_NEW, "https://new.example"), encoding="utf-8")
        _reload(gateway)
        with pytest.raises(Closed) as closed:
            await CentrifugeClient.connect(gateway, old_token)
        assert closed.value.code == 3500
        warren.key = _NEW
        origin = {"origin": "https://new.example"}
        async with await CentrifugeClient.connect(
                gateway, warren.token("bob"), open_options=origin) as bob:
            await bob.publish("reload", "hello")
        await ann.expect_pub("reload", "hello")


async def test_bad_settings_leave_the_old_ones(warren):
    gateway, broadcaster = warren.gateways[0], warren.broadcasters[0]
    warren.config.write_text(_config(_NEW, more="[room]\nnonsense = yes\n"), encoding="utf-8")
    _reload(gateway, "reloads_failed")
    _reload(broadcaster, "reloads_failed")
    warren.config.write_text(_config(_NEW, more="[key \"a\"]\nalgorithm = RS256\nfile = /x\n"),
                             encoding="utf-8")
    _reload(gateway, "reloads_failed")
    _reload(broadcaster)  # keys are none of its business
    async with await CentrifugeClient.connect(gateway, warren.token("ann")) as ann:
        assert ann.client
    assert "the old ones stay" in gateway.log_text()


async def test_who_lost_the_right_loses_the_subscription(warren):
    gateway = warren.gateways[0]
    ann = await CentrifugeClient.connect(gateway, warren.token("ann"))
    boss = await CentrifugeClient.connect(gateway, warren.token("boss", roles=["admin"]))
    for client in (ann, boss):
        await client.subscribe("staff:1")
        await client.subscribe("open")
    plain = await PlainClient.settled(gateway, "staff:1")
    warren.config.write_text(_config(_OLD, more='[room "staff"]\nsubscribe = admin\n'),
                             encoding="utf-8")
    _reload(gateway)
    assert (await ann.expect_push("unsubscribe", "staff:1"))["code"] == 2000
    assert (await plain.expect_closed())[0] >= 3000
    with pytest.raises(CommandError) as refused:
        await ann.subscribe("staff:1")
    assert refused.value.code == 103
    for room in ("open", "staff:1"):
        await boss.publish(room, room)
        await boss.expect_pub(room, room)
    await ann.expect_pub("open", "open")
    assert "staff:1" not in [pub["data"] for pub in ann.pubs("staff:1")]
    await ann.close()
    await boss.close()


async def test_limits_and_who_is_told_of_joins_change_for_those_who_are_here(warren):
    gateway = warren.gateways[0]
    async with await CentrifugeClient.connect(gateway, warren.token("ann")) as ann:
        await ann.subscribe("told")
        warren.config.write_text(
            _config(_OLD, more='[room "told"]\njoin_leave = yes\n'
                               "[gateway]\nrooms = 1\nuser_sessions = 1\n"), encoding="utf-8")
        _reload(gateway)
        with pytest.raises(CommandError) as refused:
            await ann.subscribe("second")
        assert refused.value.code == 106
        with pytest.raises(Closed) as closed:
            await CentrifugeClient.connect(gateway, warren.token("ann"))
        assert closed.value.code == 3504
        async with await CentrifugeClient.connect(gateway, warren.token("bob")) as bob:
            await bob.subscribe("told")
            assert (await ann.expect_push("join", "told"))["info"]["user"] == "bob"
        assert "restart" not in gateway.log_text().rsplit("settings reloaded", 1)[1]


async def test_presence_appears_and_goes(warren):
    gateway = warren.gateways[0]
    async with await CentrifugeClient.connect(gateway, warren.token("ann")) as ann:
        await ann.subscribe("seen")

        async def persons():
            return len((await ann.call("presence", channel="seen"))["presence"])

        assert await persons() == 1
        warren.config.write_text(_config(_OLD, more='[room "seen"]\npresence = no\n'),
                                 encoding="utf-8")
        _reload(gateway)
        with pytest.raises(CommandError) as refused:
            await persons()
        assert refused.value.code == 108
        warren.config.write_text(_config(_OLD), encoding="utf-8")
        _reload(gateway)

        async def is_back():
            return await persons() == 1
        await eventually_async(is_back)


async def test_a_broadcaster_keeps_by_new_rules_without_a_take_over(warren):
    gateway, broadcaster = warren.gateways[0], warren.broadcasters[0]
    async with await CentrifugeClient.connect(gateway, warren.token("ann")) as ann:
        await ann.subscribe("kept:1")
        for n in range(6):
            await ann.publish("kept:1", n)
        await ann.expect_pub("kept:1", 5)

        async def history():
            found = await ann.call("history", channel="kept:1", limit=100)
            return [pub["data"] for pub in found.get("publications", [])]

        assert await history() == list(range(6))
        terms = broadcaster.metric("warren_broadcaster_takeovers_total")
        warren.config.write_text(_config(_OLD, more='[room "kept"]\nhistory_size = 2\n'),
                                 encoding="utf-8")
        _reload(broadcaster)
        assert await history() == [4, 5]
        warren.config.write_text(_config(_OLD), encoding="utf-8")
        _reload(broadcaster)
        await ann.publish("kept:1", 6)
        await ann.expect_pub("kept:1", 6)
        assert (await history())[-3:] == [4, 5, 6]
        assert broadcaster.metric("warren_broadcaster_takeovers_total") == terms


def test_settings_that_need_a_restart_are_named(warren):
    gateway, broadcaster = warren.gateways[0], warren.broadcasters[0]
    warren.config.write_text(
        _config(_OLD, more="[gateway]\nrecent = 7\n[broadcaster]\nmemory = 32m\n"),
        encoding="utf-8")
    _reload(gateway)
    _reload(broadcaster)
    assert "need a restart to change: [gateway] recent" in gateway.log_text()
    assert "need a restart to change: [broadcaster] memory" in broadcaster.log_text()


def test_keys_of_the_api_are_changed(broker):
    def config(key, allow):
        return f'[api "desk"]\nkey = {key}\nallow = {allow}\n'

    running = Deployment(broker, gateways=1, broadcasters=1, config=config(_OLD, "info"))
    gateway = running.gateways[0]
    gateway.open_api(KEY)
    with running:
        old, new = Api(gateway, _OLD), Api(gateway, _NEW)
        assert old.request("/api/info")[0] == 200 and new.request("/api/info")[0] == 401
        running.config.write_text(config(_NEW, "info publish"), encoding="utf-8")
        _reload(gateway)
        assert old.request("/api/info")[0] == 401  # on a connection that was there before
        assert new.publish(channel="desk", data=1) == {}
        assert new.request("/api/ban")[0] == 403 and Api(gateway).info()


def test_a_call_is_judged_by_the_keys_that_hold_when_it_is_whole(broker):
    def config(keys):
        return "".join(f'[api "{name}"]\nkey = {key}\nallow = {allow}\n'
                       for name, key, allow in keys)

    first = (("a", "a" * 40, "publish"), ("b", "b" * 40, "publish"), ("c", "c" * 40, "publish"))
    then = (("a", "a" * 40, "info"), ("b", "d" * 40, "publish"), ("c", "c" * 40, "publish"))
    body = b'{"channel":"desk","data":1}'
    running = Deployment(broker, gateways=1, broadcasters=1, config=config(first))
    gateway = running.gateways[0]
    gateway.open_api(KEY)
    with running, ExitStack() as calls:
        open_calls = [calls.enter_context(_let_in(gateway, key, "/api/publish", len(body)))
                      for _, key, _ in first]
        running.config.write_text(config(then), encoding="utf-8")
        _reload(gateway)
        for call, status in zip(open_calls, (403, 401, 200)):
            call.sendall(body)
            assert rest(call).startswith(b"HTTP/1.1 %d " % status)


@contextmanager
def _let_in(gateway, key, path, size):
    """A call whose head was good, and whose body has not come yet."""
    with knock(gateway, port=gateway.api_port) as call:
        call.sendall(request(f"POST {path} HTTP/1.1", {
            "Host": "a", "X-API-Key": key, "Content-Length": str(size),
            "Expect": "100-continue", "Connection": "close"}))
        assert call.recv(1024).startswith(b"HTTP/1.1 100 ")
        yield call
