"""No secret, token or message is ever in a log, and nobody can write a line of his own there."""

import json
import re
import socket

import pika
import pytest
import websockets
from kit import CentrifugeClient, Closed, CommandError, Deployment, PlainClient, eventually

_SAID = "opensesame"  # stands in every payload
_QUERY = "querysecret"  # in the query of a request
_FORGED = "2026-01-01 00:00:00 ERROR forged"


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker, gateways=1, broadcasters=1, settings={"log.level": "debug"},
                    gateway={"gateway.echo": "yes", "gateway.trusted": "127.0.0.1"}) as running:
        yield running


def _ask(gateway, line, *fields):
    """A request of any bytes; its answer is of no interest here."""
    said = "\r\n".join([line, "Host: x", *fields, "", ""]).encode("utf-8", "surrogateescape")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        try:
            connection.sendall(said)
            while connection.recv(4096):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass


_UPGRADE = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")


def _requests(gateway, tokens):
    for token in tokens:
        _ask(gateway, f"GET /nowhere?token={token}&x={_QUERY} HTTP/1.1")
        _ask(gateway, "GET /ws HTTP/1.1", f"Authorization: Bearer {token}x", *_UPGRADE)
        _ask(gateway, "GET /ws HTTP/1.1", f"Cookie: warren_token={token}", *_UPGRADE)
        _ask(gateway, "GET /ws?room=a HTTP/1.1", f"Authorization: Bearer {token}",
             f"Cookie: warren_token={token}x", *_UPGRADE)
        _ask(gateway, f"POST /ws?{_QUERY} HTTP/1.1", f"Authorization: Bearer {token}")
    for hostile in (f"/x\n{_FORGED}", f"/x\r{_FORGED}", "/\x1b[31mred", "/\x7f\x00", "/%0a%0d",
                    '/"quoted\\', "/\udcff\udcfe", "/" + "x" * 300):
        _ask(gateway, f"GET {hostile} HTTP/1.1")
    _ask(gateway, "GET /nowhere HTTP/1.1", f"X-Forwarded-For: 1.2.3.4\t{_FORGED}")


async def _sessions(gateway, token, rotten):
    client = await CentrifugeClient.connect(gateway, token)
    await client.subscribe("secrets")
    await client.publish("secrets", {"message": _SAID})
    await client.call("publish", channel="secrets", data=_SAID, idempotency_key=f"{_SAID}-key")
    for method, fields in (("publish", {"channel": f"no\nroom{_FORGED}", "data": _SAID}),
                           ("publish", {"channel": "secrets", "data": _SAID * 20000}),
                           (f"m{_SAID}", {}), ("rpc", {"data": _SAID})):
        with pytest.raises((CommandError, Closed)):
            await client.call(method, **fields)
            raise Closed(0, "no error, too")
    await client.close()
    for text in (f'{{"id":1,"connect":{{"token":"{rotten}"}}}}', f"not json {_SAID}\n{_FORGED}",
                 json.dumps({"id": 1, "publish": {"channel": "secrets", "data": _SAID}})):
        client = await CentrifugeClient.open(gateway.centrifuge_url)
        await client.send_text(text)
        await client.expect_closed()
    bob = await PlainClient.settled(gateway, "secrets", token=token)
    await bob.say("bob", _SAID)
    await bob.expect(lambda m: m.get("message") == _SAID)
    await bob.send_text(f"[{_SAID}")
    await bob.expect(lambda m: "error" in m)
    await bob.connection.close(4000, f"{_SAID}")
    with pytest.raises(websockets.InvalidStatusCode):
        await PlainClient.join(gateway, "secrets", token=rotten)


def _poison(warren):
    """Messages in the broker that are none of ours."""
    with warren.broker.channel() as channel:
        for p in range(4):
            record = f'{{"room":"{_SAID}"}}\n"{_SAID}"\n'
            for body, kind in ((_SAID, "publish"), (record, "publish"), (_SAID, f"t\n{_FORGED}")):
                channel.basic_publish(f"{warren.prefix}.in", str(p), body, pika.BasicProperties(
                    type=kind, content_type="application/x-ndjson",
                    headers={"partition": p, "boot": _SAID, "batch": 1}))
        channel.basic_publish(f"{warren.prefix}.gateways", "all", _SAID,
                              pika.BasicProperties(type=f"x\n{_FORGED}"))


async def test_the_logs_of_a_busy_life_hold_nothing_that_is_nobodys_business(warren):
    [gateway], [broadcaster] = warren.gateways, warren.broadcasters
    token = warren.token("ann", name="Ann")
    rotten = warren.token("eve", exp=1, name=f"Eve\n{_FORGED}")
    _requests(gateway, [token, rotten])
    await _sessions(gateway, token, rotten)
    _poison(warren)
    broadcaster.wait_metric("warren_broadcaster_dead_total", lambda n: n >= 4)
    gateway.wait_metric("warren_gateway_poisoned_total", lambda n: n >= 1)
    eventually(lambda: "session closed" in gateway.log_text())

    password = gateway.settings["amqp.url"].split("@")[0].split(":")[-1]
    secrets = [_SAID, _QUERY, warren.key, token, rotten, token.split(".")[1], token.split(".")[2],
               f":{password}@"]
    for service in (gateway, broadcaster):
        text = service.log.read_bytes()
        assert len(text) > 1000 and (service is broadcaster or b" debug " in text)
        for secret in secrets:
            assert secret.encode() not in text, (service.name, secret)
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]", text), service.name
        for line in text.splitlines():
            assert not line.startswith(_FORGED.encode()), line
