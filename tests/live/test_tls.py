"""TLS in the gateway, spoken to by Python's and OpenSSL's own clients."""

import asyncio
import shutil
import signal
import socket
import ssl
import subprocess

import pytest
from kit import CentrifugeClient, Deployment, PlainClient, certs, eventually
from kit.client import Socket
from kit.raw import frame
from kit.services import build_folder

_REQUEST = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An authority, and pairs that it signed."""
    made = tmp_path_factory.mktemp("certs")
    certs.make(made, "authority")
    certs.make(made, "chat", authority="authority", host="chat.test")
    certs.make(made, "talk", authority="authority", host="*.talk.test", kind="rsa")
    certs.make(made, "later", authority="authority", host="chat.test")
    certs.make(made, "twin", authority="authority", host="chat.test", kind="rsa")
    return made


@pytest.fixture(scope="module")
def gateway(broker, folder):
    names = ("chat", "talk", "twin")
    for name in names:
        for kind in ("pem", "key"):
            shutil.copy(folder / f"{name}.{kind}", folder / f"used-{name}.{kind}")
    settings = {
        "gateway.tls_cert": ", ".join(f"{folder}/used-{name}.pem" for name in names),
        "gateway.tls_key": ", ".join(f"{folder}/used-{name}.key" for name in names),
        "gateway.echo": "yes", "gateway.out_queue": "64m", "gateway.max_message": "1m",
        "gateway.handshake": "5s", "log.level": "debug"}
    with Deployment(broker, gateways=1, broadcasters=1, gateway=settings) as running:
        yield running.gateways[0]


def _context(folder, **options):
    context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    for key, value in options.items():
        setattr(context, key, value)
    return context


def _connect(gateway, context, name="chat.test"):
    plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=60)
    return context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False)


def _read_all(connection):
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    return answer


def _tls(folder, name="chat.test", **options):
    return {"ssl": _context(folder, **options), "server_hostname": name}


def _wss(gateway, path):
    return f"wss://127.0.0.1:{gateway.port}{path}"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_people_talk_through_tls(gateway, folder, version):
    options = _tls(folder, minimum_version=version, maximum_version=version)
    ann = await CentrifugeClient.connect(_wss(gateway, "/connection/websocket"),
                                         open_options=options)
    await ann.subscribe("tls")
    bob = await PlainClient.settled(_wss(gateway, "/ws?room=tls"), **options)
    await ann.publish("tls", {"message": "x" * 60000})
    await bob.expect({"message": "x" * 60000})
    await bob.send({"message": "back"})
    await ann.expect(lambda m: m.get("push", {}).get("pub", {}).get("data", {})
                     .get("message") == "back")
    await bob.close()
    await ann.close()


def test_an_answer_ends_with_close_notify(gateway, folder):
    with _connect(gateway, _context(folder)) as connection:
        connection.sendall(_REQUEST)
        assert _read_all(connection).startswith(b"HTTP/1.1 404 ")  # not SSLEOFError


@pytest.mark.parametrize("name, shown", [
    ("chat.test", "chat.test"), ("a.talk.test", "*.talk.test"), ("b.talk.test", "*.talk.test"),
    ("talk.test", "chat.test"), ("other.test", "chat.test"), (None, "chat.test"),
])
def test_the_name_asked_for_chooses_the_certificate(gateway, folder, name, shown):
    context = _context(folder, check_hostname=False)
    with _connect(gateway, context, name) as connection:
        subject = dict(pair for part in connection.getpeercert()["subject"] for pair in part)
        assert subject["commonName"] == shown


@pytest.mark.parametrize("ciphers, shown", [
    ("ECDHE-RSA-AES128-GCM-SHA256", "twin"), ("ECDHE-ECDSA-AES128-GCM-SHA256", "chat")])
def test_two_kinds_of_keys_for_one_name_serve_clients_of_either(gateway, folder, ciphers, shown):
    context = _context(folder, maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(ciphers)
    with _connect(gateway, context) as connection:
        pem = ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))
    assert pem in (folder / f"used-{shown}.pem").read_text(encoding="ascii")


@pytest.mark.parametrize("options", [
    {"minimum_version": ssl.TLSVersion.TLSv1, "maximum_version": ssl.TLSVersion.TLSv1_1},
    {"maximum_version": ssl.TLSVersion.TLSv1_2, "ciphers": "AES128-SHA:AES256-GCM-SHA384"},
    {"maximum_version": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-ECDSA-AES128-SHA"},
    {"protocols": ["h2"]},
])
def test_what_is_old_or_weak_or_not_ours_is_refused(gateway, folder, options):
    context = _context(folder)
    context.set_ciphers(options.pop("ciphers", "ALL") + ":@SECLEVEL=0")
    if protocols := options.pop("protocols", None):
        context.set_alpn_protocols(protocols)
    for key, value in options.items():
        setattr(context, key, value)
    before = gateway.metric("warren_gateway_tls_failed_total")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        _connect(gateway, context)
    gateway.wait_metric("warren_gateway_tls_failed_total", lambda n: n > before)


def test_http_1_1_is_the_protocol_chosen(gateway, folder):
    context = _context(folder)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with _connect(gateway, context) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
        assert connection.compression() is None


def test_a_ticket_shortens_the_next_handshake(gateway, folder):
    context = _context(folder, maximum_version=ssl.TLSVersion.TLSv1_2)
    with _connect(gateway, context) as connection:
        session = connection.session
    plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=60)
    with context.wrap_socket(plain, server_hostname="chat.test", session=session) as connection:
        assert connection.session_reused


def test_nobody_renegotiates(gateway):
    told = subprocess.run(
        ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{gateway.port}"],
        input=b"R\n", capture_output=True, timeout=60, check=False)
    assert b"RENEGOTIATING" in told.stdout + told.stderr
    assert b"no renegotiation" in told.stdout + told.stderr


@pytest.mark.parametrize("said", [_REQUEST, b"\x16\x03\x01\x00\x05hello", b"\x00" * 600])
def test_what_is_no_tls_is_closed(gateway, said):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.sendall(said)
        try:
            answer = _read_all(connection)
        except ConnectionResetError:
            answer = b""
        assert not answer.startswith(b"HTTP")


async def test_who_does_not_finish_the_handshake_is_closed_in_time(gateway, folder):
    async with await Socket.open(_wss(gateway, "/echo"), **_tls(folder)) as other:
        silent = [socket.create_connection(("127.0.0.1", gateway.port), timeout=60)
                  for _ in range(20)]
        hello = ssl.MemoryBIO()
        half = _context(folder).wrap_bio(ssl.MemoryBIO(), hello, server_hostname="chat.test")
        with pytest.raises(ssl.SSLWantReadError):
            half.do_handshake()
        hello = hello.read()
        for number, connection in enumerate(silent):
            connection.sendall(hello[:number * 20])  # nothing, some, all of a hello
        await other.send_text("hello")
        await other.expect("hello")
        for connection in silent:
            with connection:
                assert b"HTTP" not in await asyncio.to_thread(_read_all, connection)
    gateway.wait_metric("warren_gateway_handshakes", 0)


async def test_a_reader_that_pauses_gets_everything_in_order(gateway, folder):
    """What its socket does not take waits in an encrypted record and in the queue."""
    texts = [f"{number}:" + chr(97 + number % 26) * (number * 977 % 50000) for number in range(300)]
    async with await Socket.open(_wss(gateway, "/echo"), **_tls(folder)) as other:
        with await asyncio.to_thread(_upgraded, gateway, folder) as paused:
            said = b"".join(frame(text.encode()) for text in texts)
            await asyncio.to_thread(paused.sendall, said)
            await other.send_text("others go on")
            await other.expect("others go on")
            with paused.makefile("rb") as stream:
                for text in texts:
                    assert await asyncio.to_thread(_read_frame, stream) == text


def _upgraded(gateway, folder):
    connection = _connect(gateway, _context(folder))
    connection.sendall(b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                       b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                       b"Sec-WebSocket-Version: 13\r\n\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return connection


def _read_frame(stream):
    size = stream.read(2)[1]
    if size == 126:
        size = int.from_bytes(stream.read(2), "big")
    return stream.read(size).decode()


def _serial(gateway, folder):
    with _connect(gateway, _context(folder)) as connection:
        return connection.getpeercert()["serialNumber"]


async def test_new_certificates_come_in_and_nobody_goes(gateway, folder):
    async with await Socket.open(_wss(gateway, "/echo"), **_tls(folder)) as other:
        before = _serial(gateway, folder)
        reloads = gateway.metric("warren_gateway_tls_reloads_total")
        for kind in ("pem", "key"):
            shutil.copy(folder / f"later.{kind}", folder / f"used-chat.{kind}")
        gateway.send_signal(signal.SIGHUP)
        gateway.wait_metric("warren_gateway_tls_reloads_total", reloads + 1)
        after = _serial(gateway, folder)
        assert after != before
        shutil.copy(folder / "chat.key", folder / "used-chat.key")  # of another certificate
        gateway.send_signal(signal.SIGHUP)
        eventually(lambda: "certificates stay as they were" in gateway.log_text())
        assert "does not belong to the certificate" in gateway.log_text()
        assert _serial(gateway, folder) == after
        assert gateway.metric("warren_gateway_tls_reloads_total") == reloads + 1
        await other.send_text("still here")
        await other.expect("still here")


def test_metrics_say_when_the_certificate_expires(gateway):
    assert gateway.metric("warren_gateway_tls_expires_seconds") > 1_700_000_000
    assert gateway.metric("warren_gateway_tls_handshakes_total") > 0


def _check(folder, cert, key):
    """What --check-config says, and its status."""
    env = {"WARREN_AUTH_ANONYMOUS": "yes", "WARREN_GATEWAY_TLS_CERT": cert,
           "WARREN_GATEWAY_TLS_KEY": key}
    done = subprocess.run([str(build_folder() / "gateway/warren-gateway"), "--check-config"],
                          cwd=folder, env=env, capture_output=True, text=True, timeout=60,
                          check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("cert, key, complaint", [
    ("absent.pem", "chat.key", '[gateway] tls_cert: "absent.pem" No such file or directory'),
    ("chat.pem", "absent.key", '[gateway] tls_key: "absent.key" No such file or directory'),
    (".", "chat.key", '[gateway] tls_cert: "." cannot be read'),
    ("chat.key", "chat.key", '[gateway] tls_cert: "chat.key" holds no certificate in PEM form'),
    ("chat.pem", "chat.pem", '[gateway] tls_key: "chat.pem" holds no private key'),
    ("chat.pem", "locked.key", '[gateway] tls_key: "locked.key" holds no private key'),
    ("chat.pem", "later.key", '[gateway] tls_key: "later.key" does not belong'),
    ("chat.pem", "talk.key", '[gateway] tls_key: "talk.key" does not belong'),
    ("chat.pem, talk.pem", "chat.key", "as many keys as certificates"),
    ("chat.pem", "chat.key, talk.key", "as many keys as certificates"),
    (", ,", ",", "no file is named"),
    (",".join(["chat.pem"] * 17), ",".join(["chat.key"] * 17), "more than 16"),
    ("chat.pem", "", "one needs the other"),
    ("", "chat.key", "one needs the other"),
])
def test_files_that_are_not_good_are_told_in_one_line(folder, cert, key, complaint):
    certs.openssl(folder, "ec", "-in", "chat.key", "-aes256", "-passout", "pass:secret",
                  "-out", "locked.key")
    status, said = _check(folder, cert, key)
    assert status == 2 and complaint in said, said
    assert said.count("\n") == 1 and said.startswith("warren-gateway: ")


def test_a_certificate_of_another_time_is_a_warning(folder):
    certs.openssl(folder, "req", "-new", "-key", "chat.key", "-subj", "/CN=old", "-out", "old.csr")
    certs.openssl(folder, "x509", "-req", "-in", "old.csr", "-signkey", "chat.key", "-days", "-1",
                  "-out", "old.pem")
    assert _check(folder, "chat.pem", "chat.key") == (0, "")
    status, said = _check(folder, "chat.pem,old.pem", "chat.key,chat.key")
    assert status == 0 and 'certificate has expired file="old.pem"' in said
