"""Commands of the Centrifuge protocol that are wrong, early, late or too much: the answers."""

import json

import pytest
from kit import CentrifugeClient, CommandError, Deployment, PlainClient
from kit.client import Socket


@pytest.fixture(scope="module")
def warren(broker):
    settings = {"gateway.stale": "2s", "gateway.rooms": "3", "gateway.max_payload": "1k",
                "gateway.max_message": "8k", "gateway.errors": "20"}
    with Deployment(broker, gateway=settings) as running:
        yield running


async def _closed_after(gateway, *texts):
    """(code, reason) of a fresh connection that sent these messages."""
    socket = await Socket.open(gateway.centrifuge_url)
    for text in texts:
        await socket.send_text(text)
    return await socket.expect_closed()


_CONNECT = '{"id":1,"connect":{}}'


@pytest.mark.parametrize("texts", [
    ['{"id":1,"subscribe":{"channel":"a"}}'],          # connect comes first
    [_CONNECT, '{"id":2,"connect":{}}'],               # and once
    ["{}"],                                            # nobody asked for a pong
    [_CONNECT, "{}"],
    ["hello"], ["[]"], ["42"], ["null"], ['"x"'], ["{"], ['{"id":1,"connect":{}} x'],
    ['{"id":1}'],                                      # no method
    ['{"id":1,"connect":{},"publish":{}}'],            # two
    ['{"connect":{}}'], ['{"id":0,"connect":{}}'],     # no id
    ['{"id":-1,"connect":{}}'], ['{"id":"1","connect":{}}'], ['{"id":1.5,"connect":{}}'],
    [_CONNECT, '{"id":2,"subscribe":{"channel":""}}'],
    [_CONNECT, '{"id":2,"refresh":{"token":"x"}}'],    # was not announced
])
async def test_a_bad_request_ends_with_3501(gateway, texts):
    assert await _closed_after(gateway, *texts) == (3501, "bad request")


async def test_no_connect_in_time_is_stale(gateway):
    assert await _closed_after(gateway) == (3502, "stale")


@pytest.mark.parametrize("method, fields, code", [
    ("subscribe", {"channel": "with space"}, 107),
    ("subscribe", {"channel": "a" * 129}, 107),
    ("subscribe", {"channel": "a*"}, 107),
    ("subscribe", {"channel": "a..b"}, 107),
    ("subscribe", {"channel": "caf\u00e9"}, 107),
    ("subscribe", {"channel": 7}, 107),
    ("subscribe", {"channel": "m", "type": 1}, 108),
    ("subscribe", {"channel": "m", "tf": {"op": ""}}, 107),
    ("publish", {"channel": "m"}, 107),                # no data
    ("publish", {"channel": "", "data": 1}, 107),
    ("publish", {"channel": "m", "data": "x" * 1100}, 106),
    ("presence", {"channel": "not-mine"}, 103),
    ("history", {"channel": "not-mine"}, 103),
    ("ping", {}, 108),
    ("sub_refresh", {"channel": "m", "token": "x"}, 103),
    ("rpc", {"method": "x", "data": {}}, 104),
])
async def test_a_command_that_cannot_be_done_is_answered(gateway, method, fields, code):
    async with await CentrifugeClient.connect(gateway) as client:
        [reply] = await client.call_all({"id": 2, method: fields})
        assert reply["error"]["code"] == code
        assert "temporary" not in reply["error"]
        client.command("skipped")  # its id is taken
        assert await client.unsubscribe("never-there") == {}  # and the session goes on


async def test_a_room_is_entered_once_and_not_more_than_allowed(gateway):
    async with await CentrifugeClient.connect(gateway) as client:
        for room in ("r1", "r2", "r3"):
            await client.subscribe(room)
        for room, code in (("r1", 105), ("r4", 106)):
            with pytest.raises(CommandError) as error:
                await client.subscribe(room)
            assert error.value.code == code
        await client.unsubscribe("r1")
        await client.subscribe("r4")


async def test_several_commands_in_one_message_are_each_answered(gateway):
    socket = await Socket.open(gateway.centrifuge_url)
    await socket.send_text("\n".join([
        '{"connect":{"name":"js"},"id":1}',
        '{"subscribe":{"channel":"several","flag":1},"id":2}',
        '{"unsubscribe":{"channel":"another"},"id":3}']))
    lines = []
    while len(lines) < 3:
        lines += [json.loads(line) for line in (await socket.expect()).split("\n")]
    assert lines[0]["id"] == 1 and lines[0]["connect"]["pong"] is True
    assert sorted(line["id"] for line in lines) == [1, 2, 3]
    await socket.send_text('{"publish":{"channel":"several","data":{"a":1}},"id":4}')
    await socket.expect(lambda text: '"pub"' in text)
    await socket.close()


async def test_unknown_members_are_ignored(gateway):
    async with await CentrifugeClient.connect(gateway, colour="red") as client:
        await client.subscribe("extra", whatever={"deep": [1, 2]})


async def test_a_send_gets_no_reply(gateway):
    async with await CentrifugeClient.connect(gateway) as client:
        await client.send({"send": {"data": {"typing": True}}})
        assert await client.unsubscribe("x") == {}
        assert all("id" in message for message in client.received)


async def test_who_errs_again_and_again_is_closed(gateway):
    client = await CentrifugeClient.connect(gateway)
    await client.send(*[client.command("ping") for _ in range(30)])
    assert await client.expect_closed() == (3509, "too many errors")


async def test_forged_fields_of_a_publish_are_ignored(gateway):
    async with await CentrifugeClient.connect(gateway) as client:
        await client.subscribe("forged")
        await client.call("publish", channel="forged", data="x", offset=99, epoch="zz",
                          info={"user": "root"}, user="root")
        pub = await client.expect_pub("forged", "x")
        assert pub["offset"] == 1 and pub["info"]["user"] == ""


@pytest.mark.parametrize("text, code", [
    ("not json", 107), ("[1]", 107), ('"text"', 107), ("{", 107), ("", 107),
    ('{"message":"' + "x" * 1100 + '"}', 106),
])
async def test_the_plain_dialect_tells_what_is_wrong(gateway, text, code):
    async with await PlainClient.join(gateway, "plain-errors") as client:
        await client.send_text(text)
        answer = await client.expect(lambda m: "error" in m)
        assert answer["error"]["code"] == code


async def test_a_binary_message_is_refused(gateway):
    client = await CentrifugeClient.connect(gateway)
    await client.connection.send(b"{}")
    assert await client.expect_closed() == (1003, "text messages only")


async def test_a_message_that_is_too_big_is_refused(gateway):
    client = await CentrifugeClient.connect(gateway)
    await client.send_text("x" * 9000)
    assert await client.expect_closed() == (1009, "message too big")
