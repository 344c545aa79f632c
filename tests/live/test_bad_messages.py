"""Bad inputs from the broker: messages that no gateway of ours sends, each with its exact answer.

The numbers are those of one list of bad inputs; see test_bad_inputs.py. After each of them people
on a gateway hear what is said.
"""

import json

import pytest
from kit import Deployment, eventually, witness
from kit.raw import Peer, frame
from pika_gateway import ROOMS, PikaGateway, record

_LOBBY = ROOMS.index("lobby")
_LABEL = "warren_broadcaster_dead_total"


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker, gateways=1, broadcasters=1) as running:
        yield running


@pytest.fixture(scope="module")
def byhand(broker, warren):
    with PikaGateway(broker, warren.prefix) as made:
        made.attach_when_served(_LOBBY, {"room": "lobby"})
        yield made


@pytest.fixture(scope="module")
def listener(warren):
    with witness.undisturbed(warren.gateways[0]) as one:
        yield one


def _headers(byhand, **more):
    headers = {"partition": _LOBBY, "gateway": byhand.name, "boot": byhand.boot,
               "batch": 1000, **more}
    return {name: value for name, value in headers.items() if value is not None}


def _nested(levels):
    table = {"end": 1}
    for _ in range(levels):
        table = {"t": table}
    return table


_GOOD = record("lobby", "1")


_DEAD = [
    (103, "empty body", "publish", {}, ""),
    (103, "truncated body", "publish", {}, _GOOD[:20]),
    (103, "half a record", "publish", {}, _GOOD + '{"room":"lobby"}\n'),
    (103, "unknown type", "publish/2", {}, _GOOD),
    (103, "not UTF-8", "publish", {}, b"\xff\xfe\n\x00\n"),
    (104, "body of 17 MiB", "publish", {}, b"x" * (17 << 20)),
    (105, "header of another type", "publish", {"batch": "one"}, _GOOD),
    (105, "header that is a table", "publish", {"boot": {"a": 1}}, _GOOD),
    (105, "header that is missing", "publish", {"boot": None}, _GOOD),
    (105, "1,000 headers and no batch", "publish",
     {"batch": None, **{f"h{n}": n for n in range(1000)}}, _GOOD),
    (105, "100 tables deep and no batch", "publish", {"batch": None, "t": _nested(100)}, _GOOD),
]


def _letter(byhand):
    """The next dead letter: its properties and its body."""
    def letter():
        method, properties, copy = byhand.channel.basic_get(f"{byhand.prefix}.dead", auto_ack=True)
        return method and (properties, copy)
    return eventually(letter, what="a dead letter")


@pytest.mark.parametrize("type_, change, body", [row[2:] for row in _DEAD],
                         ids=[f"{row[0]}: {row[1]}" for row in _DEAD])
def test_a_message_that_is_dead(warren, byhand, others, type_, change, body):
    service = warren.broadcasters[0]
    before = service.metric(_LABEL)
    dead = f"{warren.prefix}.dead"
    byhand.send("in", _LOBBY, type_, _headers(byhand, **change), body)
    service.wait_metric(_LABEL, before + 1)
    properties, copy = _letter(byhand)
    assert copy == (body.encode() if isinstance(body, str) else body)
    if "x-death" in properties.headers:  # rejected as it is, for it is too big to copy
        assert properties.headers["x-death"][0]["reason"] == "rejected"
    else:
        assert properties.headers["reason"] and properties.headers["key"] == str(_LOBBY)
    assert byhand.channel.basic_get(dead, auto_ack=True)[0] is None
    del others


def test_103_content_of_another_type(byhand, others):
    byhand.send("in", _LOBBY, "publish", _headers(byhand), _GOOD, content_type="text/plain")
    properties, copy = _letter(byhand)
    assert properties.headers["reason"] == "unknown content type" and copy == _GOOD.encode()
    del others


def test_107_a_batch_whose_consumers_die_every_time(warren, byhand, others):
    service, queue = warren.broadcasters[0], f"{warren.prefix}.in.{_LOBBY}"
    service.stop()
    byhand.publish(_LOBBY, record("lobby", '"held by many"'))
    for _ in range(30):
        method = eventually(lambda: byhand.channel.basic_get(queue)[0], what="the batch")
        byhand.channel.basic_nack(method.delivery_tag, requeue=True)
    service.start()
    byhand.attach_when_served(_LOBBY, {"room": "lobby"})
    byhand.publish(_LOBBY, record("lobby", '"behind it"'))
    byhand.wait_records("lobby", 1)
    assert _history(warren)[-2:] == ['"held by many"', '"behind it"']
    del others


def _history(warren):
    """The texts of the lobby's records, as a gateway tells them."""
    commands = [{"connect": {}}, {"subscribe": {"channel": "lobby"}},
                {"history": {"channel": "lobby", "limit": -1}}]
    with Peer.open(warren.gateways[0], "/connection/websocket") as peer:
        for number, command in enumerate(commands):
            peer.send(frame(json.dumps({"id": number + 1, **command}).encode()))
        while (one := peer.next()) is not None:
            for line in one[1].split(b"\n"):
                message = json.loads(line)
                if message.get("id") == len(commands):
                    return [json.dumps(pub["data"]) for pub in message["history"]["publications"]]
    raise AssertionError("the connection ended")


def _last_append(warren, byhand):
    """The newest append in the log: its properties and its body."""
    channel = byhand.connection.channel()
    channel.basic_qos(prefetch_count=100)
    found = None
    for method, properties, body in channel.consume(
            f"{warren.prefix}.log.{_LOBBY}", arguments={"x-stream-offset": "first"},
            inactivity_timeout=2):
        if method is None and found:
            break
        if method is not None:
            channel.basic_ack(method.delivery_tag)
            found = (properties, body) if properties.type == "append" else found
    channel.close()
    return found


def test_111_a_record_in_the_log_of_an_owner_of_the_past(warren, byhand, others):
    service = warren.broadcasters[0]
    byhand.attach_when_served(_LOBBY, {"room": "lobby"})
    byhand.publish(_LOBBY, record("lobby", '"true"'))
    byhand.wait_records("lobby", 1)
    properties, body = _last_append(warren, byhand)
    forged = {**properties.headers, "term": properties.headers["term"] - 1,
              "number": properties.headers["number"] + 1}
    byhand.send("log", _LOBBY, "append", forged, body.replace(b'"true"', b'"forged"'))
    for _ in range(2):  # the second one reads what the first one wrote
        service.kill()
        service.start()
        byhand.attach_when_served(_LOBBY, {"room": "lobby"})
        byhand.publish(_LOBBY, record("lobby", '"on"'))
        byhand.wait_records("lobby", 1)
        texts = _history(warren)
        assert '"true"' in texts and '"forged"' not in texts
    del others


def test_106_a_batch_that_comes_again(warren, byhand, others):
    number = byhand.publish(_LOBBY, record("lobby", '"once"'))
    for _ in range(3):
        byhand.publish(_LOBBY, record("lobby", '"again"'), batch=number)
    byhand.publish(_LOBBY, record("lobby", '"next"'))
    found = eventually(lambda: [
        payload for _, payload in byhand.records("lobby") if payload != "1"][-1:] == ['"next"'] and
        byhand.records("lobby"), what="the next record")
    assert [payload for _, payload in found][-2:] == ['"once"', '"next"']
    warren.broadcasters[0].wait_metric("warren_broadcaster_duplicates_dropped_total", 3)
    del others


def test_110_a_connection_that_is_closed_by_force(warren, byhand, others):
    broker, service = warren.broker, warren.broadcasters[0]
    before = service.metric("warren_broadcaster_reconnects_total")
    name = f"warren-broadcaster {service.name}"

    def close():
        found = [c["name"] for c in broker.api("connections")
                 if c["client_properties"].get("connection_name") == name]
        for one in found:
            broker.api(f"connections/{one.replace(' ', '%20').replace('>', '%3E')}",
                       method="DELETE")
        return found
    eventually(close, what="its connection")
    service.wait_metric("warren_broadcaster_reconnects_total", lambda now: now > before)
    service.wait_metric("warren_broadcaster_owned_partitions", 4)
    byhand.attach_when_served(_LOBBY, {"room": "lobby"})
    byhand.publish(_LOBBY, record("lobby", '"on"'))
    assert byhand.wait_records("lobby", 1)[-1][1] == '"on"'
    del others
