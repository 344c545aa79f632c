"""Bad inputs behind the door: commands, rooms and rates, each with its exact answer.

The numbers are those of one list of bad inputs; see test_bad_inputs.py. After each of them somebody
else on the same gateway hears what is said, and at the end nothing of them is left.
"""

import json

import pytest
from kit import Deployment
from kit.raw import CLOSE, TEXT, Peer, frame
from kit.table import table

_ROOMS = 4
_CONFIG = """
[room "closed"]
subscribe = none
publish = none
[room "short"]
history_size = 2
"""


@pytest.fixture(scope="module")
def warren(broker):
    settings = {"auth.anonymous": "yes", "gateway.stale": "4s", "gateway.rooms": _ROOMS,
                "gateway.max_payload": "1k", "gateway.max_message": "64k", "gateway.errors": "20",
                "gateway.publish_rate": "50", "gateway.publish_burst": "100"}
    with Deployment(broker, gateways=1, broadcasters=1, gateway=settings,
                    config=_CONFIG) as running:
        yield running


_PATH = "/connection/websocket"
_CONNECT = '{"id":1,"connect":{}}'
_BAD_REQUEST = (3501, "bad request")
_INVALID = 107
_MESSAGES = {101: "unauthorized", 103: "permission denied", 104: "method not found",
             105: "already subscribed", 106: "limit exceeded", 107: "bad request",
             108: "not available", 111: "too many requests"}


def _replies(peer):
    """All messages until the end, and the end as (code, reason)."""
    found = peer.until_closed()
    assert found and found[-1][0] == CLOSE, found
    lines = [line for opcode, text in found if opcode == TEXT for line in text.split(b"\n")]
    code, reason = int.from_bytes(found[-1][1][:2], "big"), found[-1][1][2:].decode()
    return [json.loads(line) for line in lines if line and line != b"{}"], (code, reason)


def _reply(peer, number):
    """Waits for the reply with that id; what stands before it is passed."""
    while (one := peer.next()) is not None:
        assert one[0] == TEXT, one
        for line in one[1].split(b"\n"):
            if json.loads(line).get("id") == number:
                return json.loads(line)
    raise AssertionError("the connection ended")


def _say(peer, number, room, data):
    """Publishes, and waits for the answer and for the record, which its owner numbers later."""
    peer.send(frame(json.dumps(
        {"id": number, "publish": {"channel": room, "data": data}}).encode()))
    is_answered = is_heard = False
    while not (is_answered and is_heard):
        for line in peer.next()[1].split(b"\n"):
            message = json.loads(line)
            is_answered |= message.get("id") == number
            is_heard |= message.get("push", {}).get("pub", {}).get("data") == data


def _subscribe(room, **more):
    return json.dumps({"id": 7, "subscribe": {"channel": room, **more}})


def _publish(data, room="bad", **more):
    return json.dumps({"id": 7, "publish": {"channel": room, "data": data, **more}})


@table(
    (63, "not JSON", "hello", _BAD_REQUEST),
    (63, "cut off", '{"id":7,"ping"', _BAD_REQUEST),
    (63, "trailing bytes", _publish(1) + " x", _BAD_REQUEST),
    (63, "byte order mark", "\ufeff" + _publish(1), _BAD_REQUEST),
    (63, "NaN", '{"id":NaN,"ping":{}}', _BAD_REQUEST),
    (63, "comment", '{"id":7,/* */"ping":{}}', _BAD_REQUEST),
    (63, "single quotes", "{'id':7,'ping':{}}", _BAD_REQUEST),
    (63, "trailing comma", '{"id":7,"ping":{},}', _BAD_REQUEST),
    (64, "array", "[]", _BAD_REQUEST),
    (64, "string", '"x"', _BAD_REQUEST),
    (64, "number", "42", _BAD_REQUEST),
    (64, "null", "null", _BAD_REQUEST),
    (66, "10,000 brackets", "[" * 10000, _BAD_REQUEST),
    (66, "10,000 objects", '{"a":' * 10000, _BAD_REQUEST),
    (67, "id of 1e999", '{"id":1e999,"ping":{}}', _BAD_REQUEST),
    (67, "id of 2^63", '{"id":9223372036854775808,"ping":{}}', _BAD_REQUEST),
    (67, "id of 1.0", '{"id":1.0,"ping":{}}', _BAD_REQUEST),
    (67, "id of -0", '{"id":-0,"ping":{}}', _BAD_REQUEST),
    (69, "unknown method", '{"id":7,"dance":{}}', _BAD_REQUEST),
    (70, "no id", '{"ping":{}}', _BAD_REQUEST),
    (70, "id of 0", '{"id":0,"subscribe":{"channel":"in"}}', _BAD_REQUEST),
    (70, "negative id", '{"id":-1,"ping":{}}', _BAD_REQUEST),
    (70, "id in quotes", '{"id":"7","ping":{}}', _BAD_REQUEST),
    (75, "connect again", '{"id":7,"connect":{"token":"x"}}', _BAD_REQUEST),
    (76, "room without a name", _subscribe(""), _BAD_REQUEST),
)
def test_a_command_that_ends_the_session(gateway, others, given, answer):
    with Peer.open(gateway, _PATH) as peer:
        peer.send(frame(_CONNECT.encode()) + frame(given.encode()))
        replies, end = _replies(peer)
        assert [reply["id"] for reply in replies] == [1] and end == answer
    del others


@table(
    *[(73, f"{method} before connect", '{"id":7,"%s":{"channel":"bad","data":1}}' % method,
       _BAD_REQUEST) for method in ("subscribe", "publish", "presence", "history", "rpc", "ping")],
    (73, "send before connect", '{"send":{"data":1}}', _BAD_REQUEST),
    (74, "nothing", None, (3502, "stale")),
)
def test_who_has_not_connected(gateway, others, given, answer):
    with Peer.open(gateway, _PATH) as peer:
        if given:
            peer.send(frame(given.encode()))
        assert _replies(peer) == ([], answer)
    del others


@table(
    (65, "key that stands twice", '{"id":7,"subscribe":{"channel":"a","channel":"b"}}', _INVALID),
    (66, "payload of 17 levels", _publish(0).replace(" 0", "[" * 17 + "]" * 17), _INVALID),
    (66, "payload of 65 levels", _publish(0).replace(" 0", "[" * 65 + "]" * 65), _INVALID),
    (67, "limit of 1e999", '{"id":7,"history":{"channel":"in","limit":1e999}}', _INVALID),
    (67, "limit of 2^63", '{"id":7,"history":{"channel":"in","limit":9223372036854775808}}',
     _INVALID),
    (67, "limit of 1.0", '{"id":7,"history":{"channel":"in","limit":1.0}}', _INVALID),
    (68, "\\u0000 in a room", '{"id":7,"subscribe":{"channel":"a\\u0000"}}', _INVALID),
    (68, "half a surrogate in a room", '{"id":7,"subscribe":{"channel":"\\ud800"}}', _INVALID),
    (69, "unknown rpc", '{"id":7,"rpc":{"method":"x","data":{}}}', 104),
    (72, "payload above its limit", _publish("x" * 1100), 106),
    (76, "room of 129 bytes", _subscribe("a" * 129), _INVALID),
    (76, "control character in a room", _subscribe("a\tb"), _INVALID),
    (76, "not in normal form", _subscribe("cafe\u0301"), _INVALID),
    (76, "dots in a room", _subscribe("a..b"), _INVALID),
    (76, "* in a room", _subscribe("a*"), _INVALID),
    (76, "# in a room, and others behind it", _subscribe("a#bob"), 103),
    (77, "closed room", _subscribe("closed"), 103),
    (77, "room that is not there", _subscribe("closed:nowhere"), 103),
    (78, "join twice", _subscribe("in"), 105),
    (78, "join twice, and back to a position", _subscribe("in", recover=True, offset=0, epoch="x"),
     105),
    (82, "offset in quotes", _subscribe("in2", recover=True, offset="1", epoch="x"), _INVALID),
    (82, "offset of 2^64", _subscribe("in2", recover=True, offset=2 ** 64, epoch="x"), _INVALID),
    (82, "negative offset", _subscribe("in2", recover=True, offset=-1, epoch="x"), _INVALID),
    (79, "history of a room of others", '{"id":7,"history":{"channel":"out"}}', 103),
    (79, "presence of a room of others", '{"id":7,"presence":{"channel":"out"}}', 103),
    (79, "publish where it may not", _publish(1, "closed"), 103),
)
def test_a_command_that_is_answered_with_an_error(gateway, others, warren, given, answer):
    with Peer.open(gateway, _PATH, Authorization=f"Bearer {warren.token('ann')}") as peer:
        peer.send(frame(_CONNECT.encode()) + frame(b'{"id":2,"subscribe":{"channel":"in"}}'))
        _reply(peer, 2)
        peer.send(frame(given.encode()))
        assert _reply(peer, 7) == {"id": 7, "error": {"code": answer, "message": _MESSAGES[answer]}}
        peer.send(frame(b'{"id":8,"unsubscribe":{"channel":"never"}}'))  # it goes on
        assert _reply(peer, 8) == {"id": 8, "unsubscribe": {}}
    del others


@table(
    (66, "payload of 16 levels", _publish(0, "in").replace(" 0", "[" * 16 + "]" * 16),
     {"publish"}),
    (79, "leave a room that one is not in", '{"id":7,"unsubscribe":{"channel":"out"}}',
     {"unsubscribe"}),
    (83, "limit of -2 is all", '{"id":7,"history":{"channel":"in","limit":-2}}', {"history"}),
    (71, "unknown field", _subscribe("bad71", colour={"deep": [1]}), {"subscribe"}),
    (83, "limit of 10^9", '{"id":7,"history":{"channel":"in","limit":1000000000}}', {"history"}),
    (83, "limit of -1 is all", '{"id":7,"history":{"channel":"in","limit":-1}}', {"history"}),
    (82, "position in the future", _subscribe("in3", recover=True, offset=99, epoch="EPOCH"),
     {"subscribe"}),
    (82, "epoch that is not known", _subscribe("in3", recover=True, offset=0, epoch="nope"),
     {"subscribe"}),
)
def test_a_command_that_is_done_all_the_same(gateway, others, given, answer):
    with Peer.open(gateway, _PATH) as peer:
        peer.send(frame(_CONNECT.encode()))
        for number, room in ((2, "in"), (3, "in3")):
            peer.send(frame(json.dumps({"id": number, "subscribe": {"channel": room}}).encode()))
            epoch = _reply(peer, number)["subscribe"].get("epoch", "")
        _say(peer, 4, "in3", 1)
        peer.send(frame(b'{"id":5,"unsubscribe":{"channel":"in3"}}'))
        _reply(peer, 5)
        peer.send(frame(given.replace("EPOCH", epoch).encode()))
        reply = _reply(peer, 7)
        assert set(reply) - {"id"} == answer
        if "recover" in given:
            assert "recovered" not in reply["subscribe"] and reply["subscribe"]["epoch"]
            assert reply["subscribe"]["was_recovering"] and reply["subscribe"]["offset"] >= 1
    del others


@table(
    (82, "older than the history, yet in the log", "short", True),
    (82, "of another room", "other", None),
)
def test_a_position_of_the_past(gateway, others, given, answer):
    with Peer.open(gateway, _PATH) as peer:
        peer.send(frame(_CONNECT.encode()) + frame(_subscribe(given).encode()))
        epoch = _reply(peer, 7)["subscribe"]["epoch"]
        for number in range(10, 16):
            _say(peer, number, given, number)
        peer.send(frame(json.dumps({"id": 20, "unsubscribe": {"channel": given}}).encode()))
        _reply(peer, 20)
        position = {"offset": 1, "epoch": epoch if given != "other" else "x" * len(epoch)}
        peer.send(frame(json.dumps({"id": 21, "subscribe": {
            "channel": given, "recover": True, **position}}).encode()))
        found = _reply(peer, 21)["subscribe"]
        assert found.get("recovered") is answer and found["was_recovering"]
        assert len(found.get("publications", [])) == (5 if answer else 0)
        assert found["offset"] == (1 if answer else 6) and found["epoch"] == epoch
    del others


def test_80_more_rooms_than_a_session_may_have(gateway, others):
    with Peer.open(gateway, _PATH) as peer:
        peer.send(frame(_CONNECT.encode()))
        for number in range(2, 2 + _ROOMS + 1):
            peer.send(frame(json.dumps(
                {"id": number, "subscribe": {"channel": f"many{number}"}}).encode()))
            reply = _reply(peer, number)
            assert ("error" in reply) == (number == 2 + _ROOMS), reply
        assert reply["error"] == {"code": 106, "message": _MESSAGES[106]}
    del others


def test_70_a_number_that_was_used_before(gateway, others):
    with Peer.open(gateway, _PATH) as peer:
        peer.send(frame(_CONNECT.encode()))
        for _ in range(2):  # each command is answered under the number it came with
            peer.send(frame(b'{"id":7,"unsubscribe":{"channel":"never"}}'))
            assert _reply(peer, 7) == {"id": 7, "unsubscribe": {}}
    del others


def test_81_forged_fields_of_a_publish(gateway, others, warren):
    with Peer.open(gateway, _PATH, Authorization=f"Bearer {warren.token('ann')}") as peer:
        peer.send(frame(_CONNECT.encode()) + frame(b'{"id":2,"subscribe":{"channel":"forged"}}'))
        _reply(peer, 2)
        peer.send(frame(_publish("x", "forged", offset=99, epoch="zz", user="root", seq=9, ts=1,
                                 info={"user": "root"}, **{"from": "root"}).encode()))
        pub = None
        while pub is None:
            for line in peer.next()[1].split(b"\n"):
                pub = json.loads(line).get("push", {}).get("pub", pub)
        assert (pub["offset"], pub["info"]["user"], pub["data"]) == (1, "ann", "x")
    del others


def test_84_faster_than_the_rate(gateway, others):
    with Peer.open(gateway, _PATH) as peer:
        peer.send(frame(_CONNECT.encode()))
        commands = [json.dumps({"id": n, "publish": {"channel": "fast", "data": n}})
                    for n in range(2, 602)]
        peer.send(frame("\n".join(commands).encode()))
        replies, end = _replies(peer)
        errors = [reply["error"] for reply in replies if "error" in reply]
        assert errors and all(error == {"code": 111, "message": _MESSAGES[111], "temporary": True}
                              for error in errors)
        assert end == (3013, "too many requests")
    del others
