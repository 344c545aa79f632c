"""What backends, brokers and operators know is in no log either, and no text of others breaks one.

What people send is in test_secrets.py.
"""

import json
import os
import re
import signal
import socket
import subprocess

import pika
import pytest
from kit import CentrifugeClient, Closed, CommandError, Deployment, PlainClient, eventually
from kit.api import Api
from kit.programs import WithPika
from kit.services import build_folder

_SAID = "sesame-said"  # in all that people, programs and backends say
_KEYS = {"api.key": "sesame-of-the-api-key", "hooks.secret": "sesame-of-the-hooks"}
_DESK = "sesame-of-the-desk-key"
_SHORT = "sesame-short"  # a key that is refused
_WRONG = "sesame-wrong"  # keys and passwords that are not right
_QUERY = "sesame-query"  # in the address of a hook
_COOKIE = "sesame-cookie"
_FORGED = "2026-01-01T00:00:00.000Z error forged"
_HOSTILE = f"\n{_FORGED}\r\x1b[31m\x07\x7f\u0085\u202e"
# Of the log; or what is wrong with the settings, as at the start.
_LINE = re.compile(rb"(\d{4}-\d\d-\d\dT[\d:.]+Z (debug|info|warn|error)|warren-gateway:) [ -~]+")
_CONFIG = '[room "ask"]\nhook_subscribe = yes\nhook_publish = yes\n[api "desk"]\nkey = {}\n'


@pytest.fixture(scope="module", name="warren")
def _warren(broker, server):
    settings = {f"hooks.{hook}_url": f"{server.url(hook)}?key={_QUERY}"
                for hook in ("connect", "subscribe", "publish")}
    settings |= {"hooks.headers": "Cookie, Origin, User-Agent", "hooks.timeout": "60s",
                 "hooks.breaker_failures": "1000", "gateway.stale": "120s",
                 "auth.anonymous": "no", "origin.allow": "*", "log.level": "debug",
                 "hooks.secret": _KEYS["hooks.secret"]}
    running = Deployment(broker, gateways=1, broadcasters=1, gateway=settings,
                         broadcaster={"log.level": "debug"}, config=_CONFIG.format(_DESK))
    running.gateways[0].open_api(_KEYS["api.key"])
    with running:
        yield running


def _call_the_api(gateway):
    for key in (_KEYS["api.key"], _DESK, _WRONG, ""):
        api = Api(gateway, key)
        message = json.dumps({"channel": "lobby", "data": {"message": _SAID}})
        for path, body in (
                ("publish", message), (f"publish?api_key={_WRONG}", message),
                ("publish", f'{{"channel":"lobby","data":{{{_SAID}'),
                ("publish", json.dumps({"channel": f"no room{_HOSTILE}", "data": _SAID})),
                ("ban", json.dumps({"user": f"u{_HOSTILE}", "ttl": 1})),
                ("subscribe", json.dumps({"user": "ann", "channel": "a", "data": _SAID})),
                ("batch", json.dumps({"commands": [{"publish": {"data": _SAID}}]})),
                (f"m-{_SAID}", "{}")):
            api.request(f"/api/{path}", body, headers={"Authorization": f"apikey {_WRONG}"})
        api.hang_up()


async def _ask_the_backend(gateway, server):
    """All who come, and what one does in the room, is asked about; answers are of all kinds."""
    hook = f"connect?key={_QUERY}"
    headers = {"Cookie": f"sid={_COOKIE}", "User-Agent": f"agent {_SAID}"}
    for answer in (_SAID.encode(), {"result": {"user": f"u{_HOSTILE}"}}, {"result": _SAID},
                   {"error": {"code": 1000, "message": f"no {_SAID}{_HOSTILE}"}},
                   {"disconnect": {"code": 4000, "reason": f"{_SAID}{_HOSTILE}"}},
                   {"result": {"info": _SAID, "roles": [f"r{_HOSTILE}"]}}, (500, {"X": _SAID})):
        server.answers[hook] = lambda _, given=answer: given
        client = await CentrifugeClient.open(gateway.centrifuge_url, headers=headers)
        await client.send_text(json.dumps({"id": 1, "connect": {
            "data": _SAID, "name": f"n\x1b[31m{_SAID}", "version": f"v\n{_SAID}"}}))
        await client.connection.close()
    server.answers[hook] = lambda _: {"result": {"user": "ann", "data": _SAID}}
    ann = await CentrifugeClient.connect(gateway, data=_SAID)
    await ann.subscribe("ask:1")
    for answer in ({"result": {}}, {"result": {"data": _SAID * 2}}, _SAID.encode()):
        server.answers[f"publish?key={_QUERY}"] = lambda _, given=answer: given
        try:
            await ann.publish("ask:1", {"message": _SAID})
        except CommandError:
            continue
    for name in (f"ask:{_HOSTILE}", f"ask:\x1b{_SAID}"):
        with pytest.raises((CommandError, Closed)):
            await ann.subscribe(name)
    await ann.connection.close(4000, f"{_SAID}\n\x1b[31m")


def _publish_by_rabbitmq(warren):
    """Bad ones of all kinds, and messages and orders that are none of ours."""
    with WithPika(warren.broker) as program:
        for room, body, properties in (
                ("lobby", {"message": _SAID}, {}), ("lobby", f"no json {_SAID}".encode(), {}),
                (f"tag-room{_HOSTILE}", {"message": _SAID}, {}),
                ("lobby", {"message": _SAID}, {"message_id": f"{_SAID}{_HOSTILE}"}),
                ("lobby", b"\xff\xfe\x00" + _SAID.encode(), {"content_type": f"t{_HOSTILE}"})):
            program.publish(f"{warren.prefix}.publish", room, body, **properties)
    with warren.broker.channel() as channel:
        for exchange, key, kind in (("control", "", "control"), ("control", "", f"c{_HOSTILE}"),
                                    ("gateways", "all", f"tag-type{_HOSTILE}"),
                                    ("in", "0", f"i{_HOSTILE}"), ("owner", "all", f"o{_HOSTILE}")):
            channel.basic_publish(f"{warren.prefix}.{exchange}", key, f'{{"{_SAID}":1}}\n{_SAID}\n',
                                  pika.BasicProperties(
                                      type=kind, content_type="application/x-ndjson",
                                      headers={"partition": 0, "boot": f"b{_HOSTILE}", "batch": 1,
                                               "gateway": f"g{_HOSTILE}"}))


def _knock(gateway):
    """Requests of strange bytes; of the first the log shows the path."""
    strange = (b"Origin: http://\x1b[31m\xff", b"User-Agent: \x1b]0;title\x07",
               f"Cookie: a={_COOKIE}{_HOSTILE}".encode(), b"\x1b[31m: x")
    for path, fields in ((b'/tag-path"\\%0a%1b', ()), (b"/tag-path\x1b[31m\xff\x7f", ()),
                         *((b"/ws", (field,)) for field in strange)):
        said = b"\r\n".join([b"GET " + path + b" HTTP/1.1", b"Host: x", *fields, b"", b""])
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
            connection.sendall(said)
            try:
                while connection.recv(4096):
                    pass
            except ConnectionResetError:
                pass  # it had seen enough


def _reload(warren, key, wanted):
    """The settings anew, with a key that is good or is not."""
    [gateway] = warren.gateways
    before = gateway.metric(wanted)
    warren.config.write_text(_CONFIG.format(key), encoding="utf-8")
    gateway.send_signal(signal.SIGHUP)
    gateway.wait_metric(wanted, lambda n: n > before)


def _come_with_a_wrong_password(warren):
    """Two more services, which RabbitMQ does not let in. They end with the deployment."""
    url = re.sub(r"//(\w+):[^@]*@", rf"//\1:{_WRONG}@", warren.broker.url("gateway"))
    return [warren.add_gateway(start=False, amqp__url=url).start(wait=False),
            warren.add_broadcaster(start=False, amqp__url=url.replace("gateway", "broadcaster"))
            .start(wait=False)]


async def test_what_others_trust_us_with_and_write_to_us_is_in_no_log(warren, server):
    [gateway], [broadcaster] = warren.gateways, warren.broadcasters
    _knock(gateway)
    eventually(lambda: "tag-path" in gateway.log_text())
    _call_the_api(gateway)
    await _ask_the_backend(gateway, server)
    async with await PlainClient.settled(gateway, "lobby", token=warren.token("bob")) as bob:
        await bob.send_text(f'{{"message":"{_SAID}"')
        await bob.expect(lambda m: "error" in m)
    _publish_by_rabbitmq(warren)
    gateway.wait_metric("warren_gateway_amqp_publishes_dead_total", lambda n: n >= 4)
    gateway.wait_metric("warren_gateway_poisoned_total", lambda n: n >= 2)
    broadcaster.wait_metric("warren_broadcaster_dead_total", lambda n: n >= 1)
    _reload(warren, _SHORT, "warren_gateway_reloads_failed_total")
    _reload(warren, _DESK, "warren_gateway_reloads_total")
    strangers = _come_with_a_wrong_password(warren)
    for stranger in strangers:
        eventually(lambda one=stranger: "ACCESS_REFUSED" in one.log_text())

    secrets = [_SAID, _SHORT, _WRONG, _QUERY, _COOKIE, _DESK, warren.key, *_KEYS.values()]
    places = {one.name: one.log.read_bytes() for one in (gateway, broadcaster, *strangers)}
    for name, text in places.items():
        assert b"\n" in text
        for line in text.splitlines():
            assert _LINE.fullmatch(line), (name, line)
    for tag in (b"tag-path", b"tag-room", b"tag-type"):
        assert places[gateway.name].count(tag) == 1, tag
    places["RabbitMQ"] = warren.broker.log.read_bytes()
    places |= {f"{one.name}/metrics": one.get("/metrics")[1].encode()
               for one in (gateway, broadcaster)}
    for place, text in places.items():
        for secret in secrets:
            assert secret.encode() not in text, (place, secret)


@pytest.mark.parametrize("kind", ["gateway", "broadcaster"])
@pytest.mark.parametrize("key, value", [
    ("AMQP_URL", f"http://ann:{_SAID}@127.0.0.1/"), ("AMQP_URL", f"amqp://ann:{_SAID}@h:port/"),
    ("AMQP_URL", f"amqp://ann:{_SAID}@h:1:2/"), ("AMQP_URL", f"ann:{_SAID}"),
    ("AMQP_URL", f"amqp://a:b@h/,amqp://ann:{_SAID}@h:99999999/"),
    ("AMQP_URL", f"amqp://ann:{_SAID}\x1b[31m\n{_FORGED}"), ("AUTH_HMAC_KEY", _SAID),
    ("API_KEY", f"{_SAID}"), ("HOOKS_SECRET", f"{_SAID}"),
    ("FILE", f"[auth]\nhmac_key {_SAID}\n"), ("FILE", f"[auth]\nhmac-key = {_SAID}\n"),
    ("FILE", f"[auth]\nhmac_key = {_SAID}\n"), ("FILE", f'[api "desk"]\nkey = {_SAID}\n'),
    ("FILE", f"[amqp]\nurl = amqp://ann:{_SAID}@h:port/\n"),
])
def test_a_setting_that_is_wrong_is_told_without_it(tmp_path, kind, key, value):
    env = {k: v for k, v in os.environ.items() if not k.startswith("WARREN_")}
    env["WARREN_AUTH_ANONYMOUS"] = "yes"
    command = [str(build_folder() / kind / f"warren-{kind}"), "--check-config"]
    if key == "FILE":
        (tmp_path / "warren.ini").write_text(value, encoding="utf-8")
        command += ["--config", str(tmp_path / "warren.ini")]
    else:
        env[f"WARREN_{key}"] = value
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    assert _SAID not in said
    assert len(said.splitlines()) <= 1 and said.isascii()
    is_mine = kind == "gateway" or key in ("AMQP_URL",) or "[amqp]" in value
    assert done.returncode != 0 or not is_mine, said
