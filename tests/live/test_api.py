"""The HTTP API of the gateways: what a backend asks for, on whichever gateway."""

import base64
import json
import socket

import pytest
from kit import CentrifugeClient, PlainClient, eventually
from kit.api import KEY, Api, ApiError, deployed
from kit.waiting import eventually_async


@pytest.fixture(scope="module")
def warren(broker):
    with deployed(broker, config="""
[api "news"]
key = the key of the news desk
allow = publish, batch
[room "quiet"]
presence = no
""") as running:
        yield running


async def test_what_is_published_comes_in_order_with_all_else(warren, api):
    async with await CentrifugeClient.connect(warren.gateways[1]) as bob, \
            await PlainClient.settled(warren.gateways[0], "desk") as ann:
        await bob.subscribe("desk")
        for number in range(5):
            assert api[number % 2].publish(channel="desk", data={"n": number}) == {}
        for number in range(5):
            assert await ann.expect({"n": number}) == {"n": number}
        await eventually_async(lambda: len(bob.pubs("desk")) >= 5)
        pubs = bob.pubs("desk")[-5:]
        assert [p["data"] for p in pubs] == [{"n": number} for number in range(5)]
        assert [p["offset"] for p in pubs] == list(range(pubs[0]["offset"], pubs[0]["offset"] + 5))


async def test_a_key_makes_a_publish_idempotent_on_all_gateways(warren, api):
    async with await CentrifugeClient.connect(warren.gateways[0]) as bob:
        await bob.subscribe("once")
        for _ in range(3):
            for one in api:
                one.publish(channel="once", data="first", idempotency_key="key 1")
        api[1].publish(channel="once", data="last")
        await bob.expect_pub("once", "last")
        assert [p["data"] for p in bob.pubs("once")] == ["first", "last"]


async def test_a_broadcast_goes_to_many_rooms_and_answers_for_each(warren, api):
    async with await CentrifugeClient.connect(warren.gateways[1]) as bob:
        for room in ("cast:1", "cast:2"):
            await bob.subscribe(room)
        answer = api[0].broadcast(channels=["cast:1", "no room", "cast:2", 7], data=[1, {"a": "b"}])
        assert [list(part) for part in answer["responses"]] == [
            ["result"], ["error"], ["result"], ["error"]]
        assert answer["responses"][1]["error"]["code"] == 107
        for room in ("cast:1", "cast:2"):
            await bob.expect_pub(room, [1, {"a": "b"}])


async def test_a_batch_does_many_things_and_answers_in_order(warren, api):
    async with await CentrifugeClient.connect(warren.gateways[0]) as bob:
        await bob.subscribe("batch")
        status, answer, _ = api[1].request("/api/batch", json.dumps({"commands": [
            {"publish": {"channel": "batch", "data": 1}},
            {"dance": {}},
            {"broadcast": {"channels": ["batch", "other"], "data": 2}},
            {"presence_stats": {"channel": "batch"}},
            {"publish": {"channel": "batch"}},
            {"batch": {"commands": [{"info": {}}]}},
        ]}))
        assert status == 200
        kinds = [list(reply) for reply in answer["replies"]]
        assert kinds == [["publish"], ["error"], ["broadcast"], ["presence_stats"], ["error"],
                         ["error"]]
        assert answer["replies"][2]["broadcast"] == {"responses": [{"result": {}}] * 2}
        assert [answer["replies"][at]["error"]["code"] for at in (1, 4, 5)] == [104, 107, 104]
        assert (await bob.expect_pub("batch", 1))["offset"] < \
            (await bob.expect_pub("batch", 2))["offset"]


async def test_who_is_in_a_room_is_told_by_any_gateway(warren, api):
    async with await CentrifugeClient.connect(warren.gateways[0], warren.token("a\"nn")) as ann, \
            await CentrifugeClient.connect(warren.gateways[1], warren.token("bob")) as bob:
        for one in (ann, bob):
            await one.subscribe("seen")

        def both_are_there():
            return all(one.presence_stats(channel="seen") == {"num_clients": 2, "num_users": 2}
                       for one in api)
        await eventually_async(both_are_there)
        found = api[0].presence(channel="seen")["presence"]
        assert {client: who["user"] for client, who in found.items()} == {
            ann.client: 'a"nn', bob.client: "bob"}
        assert api[1].presence(channel="nobody") == {"presence": {}}
        with pytest.raises(ApiError) as error:
            api[0].presence(channel="quiet:1")
        assert error.value.code == 108
        for one in api:
            assert one.channels()["channels"]["seen"] == {"num_clients": 2}
            assert one.channels(pattern="se?n") == {"channels": {"seen": {"num_clients": 2}}}


async def test_what_was_said_can_be_read(warren, api):
    for number in range(5):
        api[0].publish(channel="past", data=number)

    def told():
        return len(api[1].history(channel="past", limit=-1)["publications"]) == 5
    await eventually_async(told)
    top = api[1].history(channel="past")
    assert top["publications"] == [] and top["offset"] == 5
    page = api[0].history(channel="past", limit=2, since={"offset": 2, "epoch": top["epoch"]})
    assert [(p["offset"], p["data"]) for p in page["publications"]] == [(3, 2), (4, 3)]
    back = api[0].history(channel="past", limit=2, reverse=True)
    assert [p["data"] for p in back["publications"]] == [4, 3]
    with pytest.raises(ApiError) as error:
        api[0].history(channel="past", limit=2, since={"offset": 2, "epoch": "other"})
    assert error.value.code == 112
    for epoch in ('a"b', "a\\b", "a\nb", '","limit":9,"a', "caf\u00e9", "x" * 17, 7):
        with pytest.raises(ApiError) as error:
            api[0].history(channel="past", limit=2, since={"offset": 2, "epoch": epoch})
        assert error.value.code == 107, epoch
    assert api[0].history(channel="past", since={"offset": 2, "epoch": ""})["offset"] == 5


def test_each_gateway_tells_about_all(warren, api):
    for one in api:
        found = one.info()
        assert list(found) == ["nodes"]  # none is missing
        nodes = {node["name"]: node for node in found["nodes"]}
        assert sorted(nodes) == sorted(gateway.name for gateway in warren.gateways)
        for node in nodes.values():
            assert set(node) == {"uid", "name", "version", "num_clients", "num_users", "num_subs",
                                 "num_channels", "uptime"}
            assert node["version"] and node["num_clients"] >= 0 and node["uptime"] >= 0


async def test_what_one_gateway_is_told_all_do(warren, api):
    ann = [await CentrifugeClient.connect(g, warren.token("ann")) for g in warren.gateways]
    for session in ann:
        await session.subscribe("inn")
    assert api[0].unsubscribe(user="ann", channel="inn") == {}
    for session in ann:
        assert (await session.expect_push("unsubscribe", "inn"))["code"] == 2000
    assert api[1].disconnect(user="ann", disconnect={"code": 4000, "reason": "come back"}) == {}
    for session in ann:
        assert await session.expect_closed() == (4000, "come back")


async def test_moderation(warren, api):
    def sessions(user):
        return [CentrifugeClient.connect(g, warren.token(user)) for g in warren.gateways]

    pest = [await one for one in sessions("pe\u017fst \"x\"")]
    for session in pest:
        await session.subscribe("pub")
    api[0].kick(user="pe\u017fst \"x\"", channel="pub")
    for session in pest:
        await session.expect_push("unsubscribe", "pub")
    api[1].ban(user="pe\u017fst \"x\"", ttl=3600)
    for session in pest:
        assert await session.expect_closed() == (3507, "permission denied")
    guest = [await one for one in sessions("guest")]
    for session in guest:
        await session.subscribe("pub")
    api[0].close(channel="pub")
    for session in guest:
        await session.expect_push("unsubscribe", "pub")
        [reply] = await session.call_all(session.command("publish", channel="pub", data=1))
        assert reply["error"]["code"] == 103
    api[0].open(channel="pub")
    api[0].kick(user="guest")
    for session in guest:
        assert await session.expect_closed() == (3503, "force disconnect")


async def test_orders_that_mean_nobody_are_refused(api):
    for name, params in (
            ("disconnect", {}), ("disconnect", {"user": ""}), ("unsubscribe", {"user": "ann"}),
            ("unsubscribe", {"channel": "room"}), ("ban", {}), ("mute", {"channel": "room"}),
            ("ban", {"user": "ann", "address": "10.0.0.1"}), ("close", {}),
            ("ban", {"address": "nowhere"}), ("ban", {"address": "10.0.0.1:80"}),
            ("unban", {"address": "10.0.0.0/33"}), ("unban", {"address": "10.0.0"}), ("revoke", {}),
            ("close", {"channel": "no room"}), ("disconnect", {"user": 7}),
            ("disconnect", {"user": "ann", "client": 'a"b'}), ("ban", {"user": "ann", "ttl": -1}),
            ("ban", {"user": "ann", "ttl": 1, "until": 2}), ("ban", {"user": "a" * 129}),
            ("disconnect", {"user": "ann", "code": 70000}),
            ("disconnect", {"user": "ann", "whitelist": "c"}),
            ("disconnect", {"user": "ann", "whitelist": ["c", 7]}),
            ("disconnect", {"user": "ann", "whitelist": [f"{n:032}" for n in range(300)]}),
            ("subscribe", {"user": "ann", "channel": "room", "b64info": "MQ=="})):
        with pytest.raises(ApiError) as error:
            api[0].call(name, **params)
        assert error.value.code == 107, (name, params)


def test_publishes_that_cannot_be_are_refused(api):
    for params, code in (
            ({"data": 1}, 107), ({"channel": "room"}, 107),
            ({"channel": "no room", "data": 1}, 107),
            ({"channel": "room", "data": 1, "idempotency_key": "k" * 65}, 107),
            ({"channel": "room", "data": 1, "idempotency_key": 7}, 107),
            ({"channel": "room", "data": "x" * 65537}, 106),
            ({"channel": "room", "data": 1, "tags": {"a": "b"}}, 108),
            ({"channel": "room", "data": 1, "skip_history": True}, 108),
            ({"channel": "room", "data": 1, "version": 3, "version_epoch": "e"}, 108),
            ({"channel": "room", "b64data": "eA=="}, 107),
            ({"channel": "room", "b64data": "!"}, 107), ({"channel": "room", "b64data": 7}, 107),
            ({"channel": "room", "b64data": "bnVsbA"}, 107),
            ({"channel": "room", "data": 1, "b64data": "MQ=="}, 107)):
        with pytest.raises(ApiError) as error:
            api[0].publish(**params)
        assert error.value.code == code, params


def test_what_would_mean_something_elsewhere_is_not_left_out_in_silence(api):
    someone = {"user": "ann", "channel": "room"}
    for name, params in (
            ("subscribe", {**someone, "recover_since": {"offset": 1, "epoch": "e"}}),
            ("subscribe", {**someone, "override": {"presence": {"value": False}}}),
            ("subscribe", {**someone, "session": "s"}),
            ("unsubscribe", {**someone, "session": "s"}),
            ("disconnect", {"user": "ann", "session": "s"}),
            ("refresh", {"user": "ann", "info": {"a": 1}}),
            ("broadcast", {"channels": ["room"], "data": 1, "tags": {"a": "b"}})):
        with pytest.raises(ApiError) as error:
            api[0].call(name, **params)
        assert error.value.code == 108, (name, params)
    # What Centrifugo's libraries send when nothing is asked for, and what is so in any case.
    empty = {"tags": None, "skip_history": False, "version": 0, "version_epoch": "", "delta": True}
    assert api[0].publish(channel="room", data=1, **empty) == {}
    assert api[0].broadcast(channels=["room"], data=1, **empty)["responses"] == [{"result": {}}]
    assert api[0].subscribe(**someone, session="", recover_since=None, override={
        "force_recovery": {"value": True}, "force_positioning": {"value": True}}) == {}
    assert api[0].disconnect(user="nobody", session="", client="", whitelist=[]) == {}


async def test_values_can_come_in_base64(warren, api):
    async with await CentrifugeClient.connect(warren.gateways[1], warren.token("bea")) as bea:
        api[0].subscribe(
            user="bea", channel="coded", b64data="eyJhIjogMX0=", b64info="eyJiIjoyfQ==",
            override={"force_push_join_leave": {"value": True}})
        assert (await bea.expect_push("subscribe", "coded"))["data"] == {"a": 1}
        assert (await bea.expect_push("join", "coded"))["info"]["chan_info"] == {"b": 2}
        assert api[1].publish(channel="coded", b64data="eyJjIjogM30=") == {}
        await bea.expect_pub("coded", {"c": 3})
        answer = api[0].broadcast(channels=["coded"], b64data="WzRd")
        assert answer["responses"] == [{"result": {}}]
        await bea.expect_pub("coded", [4])


def _nested(levels):
    value = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def _coded(levels):
    return base64.b64encode(json.dumps(_nested(levels)).encode()).decode()


async def test_what_no_gateway_could_read_is_refused(warren, api):
    async with await CentrifugeClient.connect(warren.gateways[0], warren.token("deep")) as deep:
        for number, (most, more) in enumerate((
                ({"info": _nested(15)}, {"info": _nested(16)}),
                ({"b64info": _coded(15)}, {"b64info": _coded(16)}),
                ({"b64data": _coded(63)}, {"b64data": _coded(64)}))):
            with pytest.raises(ApiError) as error:
                api[1].subscribe(user="deep", channel=f"deep:{number}", **more)
            assert error.value.code == 107, more
            assert api[1].subscribe(user="deep", channel=f"deep:{number}", **most) == {}
            await deep.expect_push("subscribe", f"deep:{number}")


async def test_some_sessions_of_a_user_can_be_spared(warren, api):
    ann = [await CentrifugeClient.connect(g, warren.token("spare")) for g in warren.gateways * 2]
    api[0].disconnect(user="spare", whitelist=[ann[0].client, "nobody", ann[1].client])
    for session in ann[2:]:
        assert (await session.expect_closed())[0] == 3503
    for session in ann[:2]:
        await session.subscribe("still-here")
        await session.close()


def test_requests_that_are_none_are_refused_with_their_status(warren):
    for key, method, path, body, status in (
            (None, "POST", "/api/publish", "{}", 401), ("wrong", "POST", "/api/publish", "{}", 401),
            (KEY[:-1], "POST", "/api/info", "{}", 401), (KEY + "x", "POST", "/api/info", "{}", 401),
            (None, "GET", "/nowhere", None, 401), (KEY, "POST", "/nowhere", "{}", 404),
            (KEY, "POST", "/api/", "{}", 404), (KEY, "POST", "/api/dance", "{}", 404),
            (KEY, "PUT", "/api/info", "{}", 405), (KEY, "GET", "/api/info", None, 405),
            (KEY, "POST", "/api/info", "[]", 400), (KEY, "POST", "/api/info", "{", 400),
            (KEY, "POST", "/api/info", "{} {}", 400),
            (KEY, "POST", "/api/info", b"{\"\xff\":1}", 400),
            (KEY, "POST", "/api/info", "x" * (1 << 20) + "x", 413),
            ("the key of the news desk", "POST", "/api/ban", "{}", 403)):
        api = Api(warren.gateways[0], key)
        found, answer, _ = api.request(path, body, method)
        api.hang_up()
        assert found == status, (key, method, path, found)
        assert answer["error"]["code"] == status and answer["error"]["message"]


def test_a_key_with_few_rights_has_these(warren):
    api = Api(warren.gateways[0], None)
    desk = {"Authorization": "ApiKey the key of the news desk"}
    status, answer, _ = api.request("/api/publish", '{"channel":"news","data":1}', headers=desk)
    assert (status, answer) == (200, {"result": {}})
    status, answer, _ = api.request(
        "/api/batch", '{"commands":[{"publish":{"channel":"news","data":1}},{"ban":{"user":"a"}}]}',
        headers=desk)
    assert answer["replies"][0] == {"publish": {}}
    assert answer["replies"][1]["error"]["code"] == 103
    api.hang_up()


def _raw(gateway, text):
    """All that comes back for these bytes until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", gateway.api_port), timeout=60) as peer:
        peer.sendall(text)
        found = b""
        while piece := peer.recv(65536):
            found += piece
        return found


def _post(path, body, *fields):
    head = [f"POST {path} HTTP/1.1", "Host: a", f"X-API-Key: {KEY}", *fields]
    return "\r\n".join([*head, "", ""]).encode() + body


def test_bodies_have_a_length(warren):
    gateway = warren.gateways[0]
    found = _raw(gateway, _post("/api/info", b"2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"))
    assert found.startswith(b"HTTP/1.1 501 ")
    assert _raw(gateway, _post("/api/info", b"{}")).startswith(b"HTTP/1.1 411 ")
    found = _raw(gateway, _post("/api/info", b"{}", "Content-Length: 2",
                                "Transfer-Encoding: chunked"))
    assert found.startswith(b"HTTP/1.1 400 ")


def test_requests_that_follow_each_other_at_once_are_answered_in_order(warren):
    some = b"".join(_post("/api/" + name, b'{"channel":"r","data":1}', "Content-Length: 24")
                    for name in ("publish", "presence_stats", "info") * 20)
    found = _raw(warren.gateways[0], some + _post("/api/info", b"", "Content-Length: 0",
                                                  "Connection: close"))
    assert found.count(b"HTTP/1.1 200 OK\r\n") == 61
    places = [found.index(word) for word in (b'{"result":{}}', b"num_users", b"nodes")]
    assert places == sorted(places)
    found = _raw(warren.gateways[0], _post("/api/info", b"", "Content-Length: 2",
                                           "Expect: 100-continue", "Connection: close") + b"{}")
    assert b"200 OK" in found


def test_calls_are_counted(warren, api):
    gateway = warren.gateways[0]
    before = gateway.metric("warren_gateway_api_calls_total")
    api[0].info()
    eventually(lambda: gateway.metric("warren_gateway_api_calls_total") == before + 1)
    assert gateway.metric("warren_gateway_api_open") == 0


def test_without_the_broker_calls_end_with_an_error(own_broker):
    with deployed(own_broker, gateways=1, gateway={"api.wait": "1s"}) as running:
        api = Api(running.gateways[0])
        own_broker.stop()
        for name, params in (("publish", {"channel": "room", "data": 1}), ("ban", {"user": "ann"}),
                             ("history", {"channel": "room"}), ("info", {}), ("channels", {})):
            with pytest.raises(ApiError) as error:
                api.call(name, **params)
            assert error.value.code == 100
        api.hang_up()
        own_broker.restart()
        running.gateways[0].wait_ready()
