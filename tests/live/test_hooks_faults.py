"""Hooks: whatever the backend does, nobody comes in unasked, and it is left alone for a while."""

import asyncio
import contextlib
import signal
import subprocess

import pytest
from kit import CentrifugeClient, CommandError, Deployment, PlainClient, certs
from kit.backend import Backend
from kit.services import build_folder
from kit.waiting import eventually_async

_MANY = 1000000
_LIMITS = {"late": "hooks.timeout", "full": "hooks.in_flight", "too_big": "hooks.answer",
           "open": "hooks.breaker_failures"}


@pytest.fixture(scope="module", name="safe")
def _safe(tmp_path_factory):
    """A backend with TLS; its authority is in authority.pem of the folder."""
    folder = tmp_path_factory.mktemp("hooks")
    certs.make(folder, "authority")
    certs.make(folder, "stranger")
    certs.make(folder, "server", "authority", "localhost")
    with Backend(folder / "server.pem", folder / "server.key") as running:
        running.folder = folder
        yield running


@pytest.fixture(scope="module", name="running")
def _running(broker):
    """One gateway; its hooks stand in the file."""
    with Deployment(broker, gateways=1, broadcasters=1, gateway={"gateway.stale": "120s"},
                    config="") as running:
        yield running


def _configure(running, **hooks):
    """The gateway goes by these settings of [hooks] from now on."""
    settings = {"timeout": "60s", "breaker_failures": _MANY, **hooks}
    lines = [f"{key} = {value}" for key, value in settings.items()]
    running.config.write_text("\n".join(["[hooks]", *lines, ""]), encoding="utf-8")
    [gateway] = running.gateways
    before = gateway.metric("warren_gateway_reloads_total")
    gateway.send_signal(signal.SIGHUP)
    gateway.wait_metric("warren_gateway_reloads_total", before + 1)
    return gateway


def _ends(gateway, end):
    return gateway.metric("warren_gateway_hook_ends_total", hook="connect", end=end)


async def _is_refused(gateway, end):
    """Nobody comes in, with an error that invites to try again, and it is counted as `end`."""
    before = _ends(gateway, end)
    with pytest.raises(CommandError) as error:
        await CentrifugeClient.connect(gateway)
    assert (error.value.code, error.value.temporary) == (100, True)
    assert _ends(gateway, end) == before + 1
    if end in _LIMITS:
        assert gateway.metric("warren_gateway_limits_met_total", limit=_LIMITS[end]) == before + 1


async def _comes_in(gateway):
    async with await CentrifugeClient.connect(gateway):
        pass


@pytest.mark.parametrize("end, answer", [
    ("bad", b""), ("bad", b"<html>"), ("bad", b'{"result":{}'), ("bad", {"results": {}}),
    ("bad", b"\xff\xfe"), ("bad", {"error": "no"}), ("bad", b"[" * 60000),
    ("status", (500, {})), ("status", (204, {})), ("status", (302, {"Location": "/other"})),
    ("too_big", b'{"result":{"data":"' + b"x" * 70000 + b'"}}'),
    ("too_big", (200, {f"X-{n}": "y" * 1000 for n in range(50)})),
    ("result", {"result": {"user": 7}}), ("result", {"result": {"channels": ["open"]}}),
])
async def test_an_answer_that_makes_no_sense_lets_nobody_in(running, backend, end, answer):
    gateway = _configure(running, connect_url=backend.url("connect"))
    backend.answers["connect"] = lambda _: answer
    await _is_refused(gateway, end)
    assert [question.hook for question in backend.asked] == ["connect"]  # no redirect is followed
    backend.answers.clear()
    await _comes_in(gateway)


async def test_who_does_not_answer_in_time_is_given_up(running, backend):
    gateway = _configure(running, connect_url=backend.url("connect"), timeout="50ms")
    backend.hang()
    await _is_refused(gateway, "late")
    async with await PlainClient.join(gateway, "open") as plain:
        assert await plain.expect() == {"error": {
            "code": 100, "message": "internal server error", "temporary": True}}
        assert (await plain.expect_closed())[0] == 3004
    assert gateway.metric("warren_gateway_hook_questions") == 0


class _Trickler:
    """Accepts everybody, and sends an answer that never ends, a bit now and then; or nothing."""

    def __init__(self, head, bit):
        self.head, self.bit = head, bit
        self.came = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/connect"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        self.came += 1
        writer.write(self.head)
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(self.bit)
                await writer.drain()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(reader.read(65536), 0.01)
        writer.close()


@pytest.mark.parametrize("head, bit", [
    (b"", b""), (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"1"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b"1"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n1\r\n")],
    ids=["nothing", "head", "body", "chunks"])
async def test_who_trickles_an_answer_is_given_up_and_delays_nobody(running, head, bit):
    async with _Trickler(head, bit) as slow:
        gateway = _configure(running, connect_url=slow.url, timeout="60s")
        async with await CentrifugeClient.open(gateway.centrifuge_url) as ann, \
                await CentrifugeClient.connect(gateway, running.token("tom")) as tom:
            await ann.send(ann.command("connect"))
            await eventually_async(lambda: slow.came)
            await tom.subscribe("open")  # while the backend goes on and on
            await tom.publish("open", 1)
            await tom.expect_pub("open", 1)
        gateway = _configure(running, connect_url=slow.url, timeout="100ms")
        await _is_refused(gateway, "late")
        await eventually_async(lambda: gateway.metric("warren_gateway_hook_questions") == 0)


async def test_who_is_not_there_lets_nobody_in(running, backend):
    with Backend() as gone:
        pass
    gateway = _configure(running, connect_url=gone.url("connect"))
    await _is_refused(gateway, "unreached")
    gateway = _configure(running, connect_url=gone.url("connect", host="nowhere.invalid"))
    await _is_refused(gateway, "unreached")
    gateway = _configure(running, connect_url=backend.url("connect", host="localhost"))
    await _comes_in(gateway)


async def test_more_questions_than_may_be_are_refused(running, backend):
    gateway = _configure(running, connect_url=backend.url("connect"), in_flight=1)
    backend.hang()
    async with await CentrifugeClient.open(gateway.centrifuge_url) as ann:
        await ann.send(ann.command("connect"))
        await eventually_async(lambda: backend.asked)
        await _is_refused(gateway, "full")
        backend.go_on()
        await ann.expect({"id": 1})


async def test_https_is_checked(running, safe):
    good, other = safe.folder / "authority.pem", safe.folder / "stranger.pem"
    url = safe.url("connect", "https", "localhost")
    await _comes_in(_configure(running, connect_url=url, ca_file=good))
    await _is_refused(_configure(running, connect_url=url, ca_file=other), "unreached")
    await _is_refused(_configure(running, connect_url=url), "unreached")
    wrong_host = safe.url("connect", "https", "127.0.0.1")
    await _is_refused(_configure(running, connect_url=wrong_host, ca_file=good), "unreached")
    await _comes_in(_configure(running, connect_url=url, ca_file=good))


async def test_a_changed_ca_file_counts_from_the_reload_on(running, safe):
    file = safe.folder / "believed.pem"
    settings = {"connect_url": safe.url("connect", "https", "localhost"), "ca_file": file}
    for _ in range(2):
        file.write_bytes((safe.folder / "authority.pem").read_bytes())
        await _comes_in(_configure(running, **settings))
        file.write_bytes((safe.folder / "stranger.pem").read_bytes())
        gateway = running.gateways[0]
        await _comes_in(gateway)  # nobody has said so yet
        await _is_refused(_configure(running, **settings), "unreached")


async def test_who_fails_too_often_is_left_alone_until_a_probe_succeeds(running, backend):
    failing = {"connect_url": backend.url("connect"), "breaker_failures": 3}
    gateway = _configure(running, **failing, breaker_wait="1h")
    backend.answers["connect"] = lambda _: (500, {})

    def is_open():
        return gateway.metric("warren_gateway_hook_breaker_open", hook="connect")

    for _ in range(3):
        assert is_open() == 0
        await _is_refused(gateway, "status")
    assert is_open() == 1
    for _ in range(3):
        await _is_refused(gateway, "open")
    assert len(backend.asked) == 3
    async with await CentrifugeClient.connect(gateway, running.token("tom")):
        pass  # who has a token is not asked about


async def test_a_probe_finds_out_that_the_backend_is_back(running, backend):
    gateway = _configure(running, connect_url=backend.url("connect"), breaker_failures=1,
                         breaker_wait="10ms")
    backend.answers["connect"] = lambda _: (500, {})

    async def attempt():
        try:
            await _comes_in(gateway)
        except CommandError as error:
            assert error.code == 100
            return False
        return True

    while len(backend.asked) < 4:  # again and again it is found dead
        assert not await attempt()
    backend.answers.clear()
    await eventually_async(attempt)
    assert gateway.metric("warren_gateway_hook_breaker_open", hook="connect") == 0
    assert "hook answers again hook=connect" in gateway.log_text()


async def test_a_gateway_that_ends_gives_its_questions_up(broker, backend):
    settings = {"hooks.connect_url": backend.url("connect"), "hooks.timeout": "60s",
                "gateway.stale": "120s", "gateway.drain": "0s"}
    backend.hang()
    with Deployment(broker, gateways=1, broadcasters=1, gateway=settings) as own:
        [gateway] = own.gateways
        async with await CentrifugeClient.open(gateway.centrifuge_url) as ann, \
                await PlainClient.join(gateway, "open") as plain:
            await ann.send(ann.command("connect"), ann.command("subscribe", channel="open"))
            await eventually_async(lambda: len(backend.asked) == 2)
            gateway.send_signal(signal.SIGTERM)
            for client in (ann, plain):
                assert (await client.expect_closed())[0] == 3001
        await eventually_async(lambda: not gateway.alive())
        gateway.stop()  # well, and without a leak


def test_settings_that_cannot_be_are_named(running):
    for line, words in [
            ("connect_url = ftp://backend/", "connect_url: must be an http or https URL"),
            ("headers = Cookie, Host", "headers: cannot be passed on"),
            ("secret = short", "secret: must be 16"),
            ("ca_file = /nowhere/ca.pem", "ca_file"),
            ("timeout = 0s", "timeout"),
            ("[room]\nhook_publish = yes", "set [hooks] publish_url"),
            ("[room \"x\"]\nhook_subscribe = yes", "set [hooks] subscribe_url")]:
        running.config.write_text(f"[hooks]\n{line}\n", encoding="utf-8")
        result = subprocess.run(
            [str(build_folder() / "gateway/warren-gateway"), "--check-config", "--config",
             str(running.config)],
            env={"WARREN_AUTH_ANONYMOUS": "yes"}, capture_output=True, text=True, check=False)
        assert result.returncode == 2 and words in result.stderr, (line, result.stderr)
