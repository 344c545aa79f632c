"""Each limit of a connection is met by what is too much for it: the answer, and the counter.

tests/unit/test_limits_*.c have those of a session and of calls, test_partition_limits.c those of a
partition; test_limits_told.py sees that none is forgotten.
"""

import random
import socket
import zlib
from contextlib import ExitStack

import pika
import pytest
from kit import Deployment, certs, eventually, raw
from kit.api import KEY, Api

_FAMILY = "warren_gateway_limits_met_total"
_REFUSALS = 256
_DAY = 24 * 3600


def _met(gateway, name):
    return gateway.metric(_FAMILY, limit=name)


def _status(answer):
    return int(answer.split(b" ")[1]) if answer else 0


@pytest.fixture(scope="module", name="strict")
def _strict(broker):
    """A gateway on which little is allowed, with an API."""
    running = Deployment(broker, gateways=1, broadcasters=0, gateway={
        "gateway.handshake": "1s", "gateway.bad_tokens": 2, "auth.max_age": "1h",
        "gateway.per_address": 2, "gateway.echo": "yes", "gateway.reads": 1,
        "gateway.max_line": "2k", "gateway.max_fields": 32,
        "gateway.message_rate": 100, "gateway.message_burst": 400, "gateway.stale": "60s",
        "api.body": "100k", "api.connections": 1, "api.wait": "200ms"})
    running.gateways[0].open_api(KEY)
    with running:
        running.one = running.gateways[0]
        yield running


def _offers(count):
    return ", ".join(["x-unknown"] * (count - 1) + ["permessage-deflate"])


def _fields(count):
    return raw.request("GET /echo HTTP/1.1", [*raw.HEAD.items(),
                                              *((f"X-{n}", "1") for n in range(count - 5))])


# Name of the limit, the request that is just within it and its status, the one that meets it and
# its status; each from an address of its own.
_HEADS = [
    ("gateway.max_line", raw.request(f"GET /{'x' * 2030} HTTP/1.1", raw.HEAD), 404,
     raw.request(f"GET /{'x' * 2040} HTTP/1.1", raw.HEAD), 414),
    ("gateway.max_fields", _fields(32), 101, _fields(33), 431),
    ("gateway.max_head", raw.upgrade("/echo", X_Big="x" * 7500), 101,
     raw.upgrade("/echo", X_Big="x" * 8192), 431),
    ("extension_offers", raw.upgrade("/echo", Sec_WebSocket_Extensions=_offers(8)), 101,
     raw.upgrade("/echo", Sec_WebSocket_Extensions=_offers(9)), 101),
    ("room_name", raw.upgrade(f"/ws?room={'r' * 128}"), 101,
     raw.upgrade(f"/ws?room={'r' * 129}"), 400),
]


@pytest.mark.parametrize("number", range(len(_HEADS)), ids=[row[0] for row in _HEADS])
def test_a_request_has_limits(strict, number):
    name, good, good_status, bad, bad_status = _HEADS[number]
    for met, data, status in ((0, good, good_status), (1, bad, bad_status)):
        with raw.knock(strict.one, f"127.0.1.{number + 1}") as connection:
            connection.sendall(data)
            assert _status(connection.recv(200)) == status
        eventually(lambda want=met: _met(strict.one, name) == want, what=name)


def test_a_token_has_so_many_bytes_and_lives_so_long(strict):
    def ask(token, source):
        return _status(raw.ask(strict.one, raw.upgrade("/ws", Authorization=f"Bearer {token}"),
                               source))

    assert ask(strict.token("ann", ttl=_DAY), "127.0.2.1") == 401
    assert _met(strict.one, "auth.max_age") == 1
    assert ask(strict.token("ann", more="x" * 4000), "127.0.2.2") == 401
    assert _met(strict.one, "token") == 1
    for _ in range(2):
        assert ask("no.token.this", "127.0.2.3") == 401
    assert _met(strict.one, "gateway.bad_tokens") == 0
    assert ask("no.token.this", "127.0.2.3") == 429
    assert _met(strict.one, "gateway.bad_tokens") == 1


def test_a_request_has_so_much_time(strict):
    before = _met(strict.one, "gateway.handshake")
    with raw.knock(strict.one, "127.0.3.1") as silent, raw.knock(strict.one, "127.0.3.2") as slow:
        slow.sendall(b"GET /ws HTTP/1.1\r\n")
        assert _status(raw.rest(slow)) == 408
        assert raw.rest(silent) == b""
        assert _met(strict.one, "gateway.handshake") == before + 2


def test_an_address_has_so_many_connections(strict):
    with raw.Peer.open(strict.one, "/echo", source="127.0.4.1"), \
            raw.Peer.open(strict.one, "/echo", source="127.0.4.1"):
        assert _met(strict.one, "gateway.per_address") == 0
        answer = raw.ask(strict.one, raw.upgrade("/echo"), "127.0.4.1")
        assert _status(answer) == 429 and b"\r\nRetry-After: " in answer
        assert _met(strict.one, "gateway.per_address") == 1


def test_an_address_comes_so_often_and_says_so_much_at_once(broker):
    with Deployment(broker, gateways=1, broadcasters=0, gateway={
            "gateway.address_rate": 5, "gateway.address_handshakes": 2, "gateway.per_address": 9,
            "gateway.handshake": "60s", "gateway.echo": "yes", "gateway.out_queue": "64m",
            "gateway.out_queue_age": "10m", "gateway.message_rate": 0,
            "gateway.tcp_timeout": "1s"}) as running:
        gateway = running.gateways[0]
        # Whoever has said nothing yet counts, whoever has a session does not.
        with raw.Peer.open(gateway, "/echo"), raw.knock(gateway), raw.knock(gateway):
            assert _met(gateway, "gateway.address_handshakes") == 0
            answer = raw.ask(gateway, raw.upgrade("/echo"))
            assert _status(answer) == 429 and b"\r\nRetry-After: " in answer
            assert _met(gateway, "gateway.address_handshakes") == 1
        # Windows of 10 s: within one of them, or within the next one, it comes too often.
        assert _met(gateway, "gateway.address_rate") == 0
        page = raw.request("GET / HTTP/1.1", raw.HEAD)
        eventually(lambda: _status(raw.ask(gateway, page)) == 429, what="it comes too often")
        assert _met(gateway, "gateway.address_rate") >= 1
        # Who takes nothing at all is gone for TCP.
        with raw.Peer.open(gateway, "/echo", source="127.0.0.9") as lazy:
            lazy.connection.settimeout(0.2)

            lazy.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            text, sent = raw.frame(b"x" * 60000), 0

            def is_gone():
                nonlocal sent
                try:
                    for _ in range(50):
                        sent += lazy.connection.send(text[sent % len(text):])
                except OSError:
                    pass
                return _met(gateway, "gateway.tcp_timeout") == 1
            eventually(is_gone)


def test_who_says_nothing_need_not_be_known(broker):
    with Deployment(broker, gateways=1, broadcasters=0, gateway={
            "gateway.defer_accept": "60s", "gateway.echo": "yes"}) as running:
        gateway = running.gateways[0]
        with raw.knock(gateway), raw.knock(gateway), raw.Peer.open(gateway, "/echo"):
            assert gateway.metric("warren_gateway_connections_accepted_total") == 1


def test_who_is_refused_has_to_go(strict):
    with raw.knock(strict.one, "127.0.5.1") as lazy:
        lazy.sendall(raw.request("GET /nowhere HTTP/1.1", raw.HEAD))
        assert _status(raw.rest(lazy)) == 404
        eventually(lambda: _met(strict.one, "linger") > 0, what="it was closed")
    with raw.knock(strict.one, "127.0.5.2") as chatty:
        chatty.sendall(raw.request("GET /nowhere HTTP/1.1", raw.HEAD))
        assert _status(raw.rest(chatty)) == 404
        before = _met(strict.one, "linger_bytes")
        try:
            for _ in range(40):
                chatty.sendall(b"x" * 16384)
        except (BrokenPipeError, ConnectionResetError):
            pass
        eventually(lambda: _met(strict.one, "linger_bytes") + _met(strict.one, "linger") > before,
                   what="it was closed")


def test_a_session_has_its_share_of_a_turn(strict):
    text = raw.frame(b"x" * 60000)
    with raw.Peer.open(strict.one, "/echo", source="127.0.6.1") as fast:
        for _ in range(10):
            fast.send(text)
            assert fast.next() == (raw.TEXT, b"x" * 60000)
        assert _met(strict.one, "gateway.reads") > 0
        for _ in range(600):
            fast.send(raw.frame(b"x"))
        for _ in range(600):
            assert fast.next() == (raw.TEXT, b"x")
        assert _met(strict.one, "gateway.message_rate") > 0


def _packed(size):
    """A compressed message of a text of that size, a twentieth of which does not compress."""
    data = random.Random(size).randbytes(size // 40).hex().encode()
    pack = zlib.compressobj(wbits=-15)
    packed = pack.compress(data + b"x" * (size - len(data))) + pack.flush(zlib.Z_SYNC_FLUSH)
    return raw.frame(packed.removesuffix(b"\0\0\xff\xff"), rsv=4)


def test_what_a_session_has_inflated_in_a_turn_is_bounded(strict):
    many = _packed(60000) * 12
    with raw.Peer.open(strict.one, "/echo", source="127.0.7.1",
                       Sec_WebSocket_Extensions="permessage-deflate") as one:
        def is_met():
            one.send(many)
            for _ in range(12):
                assert one.next()[0] & 15 == raw.TEXT
            return _met(strict.one, "inflated") > 0
        eventually(is_met)


def test_a_message_of_the_broker_has_so_many_bytes(broker, strict):
    assert _met(strict.one, "amqp_body") == 0
    with broker.channel() as channel:
        channel.basic_publish(f"{strict.prefix}.publish", "room", b"x" * ((16 << 20) + 1))
    strict.one.wait_metric(_FAMILY, 1, limit="amqp_body")


def test_a_message_of_the_broker_has_so_many_headers(broker, strict):
    with broker.channel() as channel:
        for count in (12, 13):
            assert _met(strict.one, "amqp_headers") == 0
            headers = {f"x-{n}": n for n in range(count)}
            channel.basic_publish(f"{strict.prefix}.publish", "room", b"{}",
                                  pika.BasicProperties(headers=headers))
    strict.one.wait_metric(_FAMILY, 1, limit="amqp_headers")


def test_what_other_programs_publish_has_so_many_bytes_and_levels(broker, strict):
    for name, least in (("amqp_payload", b'"%s"' % (b"x" * (65536 - 2))),
                        ("amqp_depth", b"[" * 64 + b"]" * 64)):
        assert _met(strict.one, name) == 0
        more = least.replace(b'"', b'"x', 1) if name == "amqp_payload" else b"[" + least + b"]"
        with broker.channel() as channel:
            for body in (least, more):
                channel.basic_publish(f"{strict.prefix}.publish", "room", body)
        strict.one.wait_metric(_FAMILY, 1, limit=name)


def test_a_call_has_limits(strict):
    api = Api(strict.one)
    assert api.request("/api/channels", '{"pattern": "a"}')[0] == 200
    assert _met(strict.one, "api.connections") == 0
    with raw.knock(strict.one, port=strict.one.api_port):  # has to wait
        eventually(lambda: _met(strict.one, "api.connections") == 1)
    for met, size, status in ((0, 7900, 200), (1, 8200, 431)):
        assert api.request("/api/channels", "{}", headers={"X-Big": "x" * size})[0] == status
        assert _met(strict.one, "api_head") == met
    assert _met(strict.one, "api.body") == 0
    assert api.request("/api/channels", '{"pattern": "' + "a" * 102400 + '"}')[0] == 413
    assert _met(strict.one, "api.body") == 1
    for depth, status in ((64, 200), (65, 400)):
        body = '{"pattern": "a", "more": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
        assert api.request("/api/channels", body)[0] == status
        assert _met(strict.one, "api_depth") == (0 if status == 200 else 1)
    many = '{"commands": [' + ",".join(["{}"] * 20001) + "]}"
    answer = api.request("/api/batch", many)[1]
    assert answer["error"]["code"] == 111
    assert _met(strict.one, "api_tasks") == 1
    answer = api.request("/api/presence", '{"channel": "a"}')[1]
    assert answer["error"]["code"] == 100  # there is no owner to ask
    assert _met(strict.one, "api.wait") == 1


def test_a_call_has_so_much_time(broker):
    running = Deployment(broker, gateways=1, broadcasters=0, gateway={"api.request": "300ms"})
    gateway = running.gateways[0]
    gateway.open_api(KEY)
    with running:
        assert _met(gateway, "api.request") == 0
        with raw.knock(gateway, port=gateway.api_port) as slow:
            slow.sendall(b"POST /api/info HT")
            assert _status(raw.rest(slow)) == 408
        assert _met(gateway, "api.request") == 1


def test_a_gateway_has_room_for_so_many(broker, tmp_path):
    certs.make(tmp_path, "chat")
    tls = {"tls_cert": tmp_path / "chat.pem", "tls_key": tmp_path / "chat.key"}
    with Deployment(broker, gateways=1, broadcasters=0, gateway={
            "gateway.connections": 3, "gateway.handshakes": 2, "gateway.handshake": "120s",
            **{f"gateway.{key}": value for key, value in tls.items()}}) as running, \
            ExitStack() as held:
        gateway = running.gateways[0]
        # None of them begins its TLS, so each of them waits, for good or to be refused.
        for _ in range(3):
            held.enter_context(raw.knock(gateway))
        gateway.wait_metric(_FAMILY, 1, limit="gateway.handshakes")
        assert _met(gateway, "gateway.connections") == 0
        for _ in range(_REFUSALS - 1):
            held.enter_context(raw.knock(gateway))
        gateway.wait_metric(_FAMILY, _REFUSALS - 1, limit="gateway.connections")
        assert _met(gateway, "refusals") == 0
        with raw.knock(gateway) as last:
            assert raw.rest(last) == b""
        assert _met(gateway, "refusals") == 1
