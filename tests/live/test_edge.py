"""Who is at the door: addresses that balancers tell, crowds of one address, handshakes."""

import asyncio
import socket
import ssl
import struct
import subprocess
from contextlib import ExitStack, contextmanager

import ports
import process
import pytest
from kit import Deployment, certs, eventually, eventually_async
from kit.client import Socket
from kit.services import build_folder

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_UPGRADE = ("GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n")


def _header(client, command=0x21, more=b""):
    """A PROXY header, version 2, for an IPv4 client."""
    addresses = socket.inet_aton(client) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 4, 5)
    rest = addresses + more
    return _SIGNATURE + bytes([command, 0x11]) + struct.pack("!H", len(rest)) + rest


@contextmanager
def _gateway(broker, **settings):
    settings = {"gateway.echo": "yes", "log.level": "debug",
                **{f"gateway.{key}": value for key, value in settings.items()}}
    with Deployment(broker, gateways=1, broadcasters=0, gateway=settings) as running:
        yield running.gateways[0]


def _knock(gateway, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=60,
                                    source_address=(source, 0))


def _answer(connection, said=b""):
    """The status of the answer to these bytes; 0: the connection was closed without one."""
    try:
        connection.sendall(said)
        head = b""
        while b"\r\n\r\n" not in head and (chunk := connection.recv(4096)):
            head += chunk
    except (BrokenPipeError, ConnectionResetError):
        return 0
    if b"429" in head.split(b"\r\n")[0] or b"503" in head.split(b"\r\n")[0]:
        assert b"Retry-After: " in head
    return int(head.split(b" ")[1]) if head else 0


def _peer(gateway, address):
    """Waits until a session of that address has been opened."""
    eventually(lambda: f" peer={address}" in gateway.log_text(), what=f"peer={address}")


def _upgrade(forwarded=None):
    more = f"X-Forwarded-For: {forwarded}\r\n" if forwarded else ""
    return (_UPGRADE + more + "\r\n").encode()


def test_an_address_has_so_many_connections_and_others_are_not_concerned(broker):
    with _gateway(broker, per_address=3) as gateway, ExitStack() as open_ones:
        held = [open_ones.enter_context(_knock(gateway)) for _ in range(3)]
        assert [_answer(one, _upgrade()) for one in held[:2]] == [101, 101]  # a session, or not yet
        with _knock(gateway) as refused:
            assert _answer(refused) == 429
        with _knock(gateway, "127.0.0.2") as other:
            assert _answer(other, _upgrade()) == 101
        assert gateway.metric("warren_gateway_crowded_total") == 1
        assert gateway.metric("warren_gateway_requests_refused_total", status="429") == 1
        held[0].close()
        gateway.wait_metric("warren_gateway_sessions", lambda n: n <= 2)
        with _knock(gateway) as again:
            assert _answer(again, _upgrade()) == 101


def test_a_trusted_balancer_says_whom_it_speaks_for(broker):
    with _gateway(broker, per_address=2, trusted="127.0.0.1") as gateway, ExitStack() as held:
        def ask(forwarded, source="127.0.0.1"):
            return _answer(held.enter_context(_knock(gateway, source)), _upgrade(forwarded))

        assert [ask("192.0.2.7") for _ in range(3)] == [101, 101, 429]
        assert ask("192.0.2.7, 192.0.2.8") == 101  # what stands left of it was said by a stranger
        assert [ask(None) for _ in range(4)] == [101] * 4  # the balancer itself is not counted
        _peer(gateway, "192.0.2.7")
        _peer(gateway, "192.0.2.8")
        assert [ask(f"192.0.2.{n}", "127.0.0.3") for n in range(50, 53)] == [101, 101, 429]
        assert "192.0.2.50" not in gateway.log_text()  # nobody asked 127.0.0.3


def test_a_proxy_header_comes_first_and_names_the_client(broker):
    with _gateway(broker, per_address=2, trusted="127.0.0.1", proxy_protocol="yes",
                  handshake="2s") as gateway, ExitStack() as held:
        def ask(said, source="127.0.0.1"):
            return _answer(held.enter_context(_knock(gateway, source)), said)

        assert [ask(_header("192.0.2.7") + _upgrade()) for _ in range(3)] == [101, 101, 429]
        assert ask(_header("192.0.2.8", more=b"\x04\0\x02hi") + _upgrade()) == 101
        assert ask(_header("192.0.2.9", command=0x20) + _upgrade()) == 101  # its own check
        _peer(gateway, "192.0.2.7:4")
        assert "192.0.2.9" not in gateway.log_text()
        bad = [_upgrade(), b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + _upgrade(),
               _header("192.0.2.9", command=0x22) + _upgrade(), b"\r\n\r\n\0\r\nQUIX\n" + b"!" * 9]
        for said in bad:
            assert ask(said) == 0
        assert gateway.metric("warren_gateway_proxy_bad_total") == len(bad)
        assert ask(_header("192.0.2.9")[:20]) == 0  # the rest does not come: closed in time
        # Others may speak for themselves, and only for themselves.
        assert ask(_upgrade(), "127.0.0.5") == 101
        assert ask(_header("192.0.2.9") + _upgrade(), "127.0.0.5") == 400
        with _knock(gateway) as slow:
            for byte in _header("192.0.2.10"):
                slow.sendall(bytes([byte]))
            assert _answer(slow, _upgrade()) == 101


async def test_haproxy_speaks_for_clients_whose_tls_it_passes_on(broker, tmp_path):
    certs.make(tmp_path, "authority")
    certs.make(tmp_path, "chat", authority="authority", host="chat.test")
    with _gateway(broker, trusted="127.0.0.1", proxy_protocol="yes",
                  tls_cert=tmp_path / "chat.pem", tls_key=tmp_path / "chat.key") as gateway:
        port = ports.claim_any()
        (tmp_path / "haproxy.cfg").write_text(f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen all
    bind 127.0.0.1:{port}
    server gateway 127.0.0.1:{gateway.port} send-proxy-v2 proxy-v2-options crc32c,ssl,unique-id
""")
        balancer = process.spawn(["haproxy", "-db", "-f", str(tmp_path / "haproxy.cfg")],
                                 tmp_path / "haproxy.log")
        try:
            await eventually_async(lambda: ports.taken(port), what="haproxy listens")
            context = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
            async with await Socket.open(f"wss://127.0.0.1:{port}/echo", ssl=context,
                                         server_hostname="chat.test",
                                         local_addr=("127.0.0.77", 0)) as client:
                await client.send_text("hello")
                await client.expect("hello")
            await asyncio.to_thread(_peer, gateway, "127.0.0.77:")
        finally:
            process.end(balancer)


def test_unfinished_handshakes_are_not_kept_without_end(broker):
    with _gateway(broker, handshakes=5) as gateway, ExitStack() as held:
        session = held.enter_context(_knock(gateway))
        assert _answer(session, _upgrade()) == 101
        waiting = [held.enter_context(_knock(gateway)) for _ in range(5)]
        gateway.wait_metric("warren_gateway_handshakes", 5)
        with _knock(gateway) as refused:
            assert _answer(refused) == 503
        assert gateway.metric("warren_gateway_handshakes_refused_total") == 1
        assert _answer(waiting[0], _upgrade()) == 101  # a session, and so there is room again
        gateway.wait_metric("warren_gateway_handshakes", 4)
        with _knock(gateway) as welcome:
            assert _answer(welcome, _upgrade()) == 101


def test_a_request_head_has_as_many_bytes_as_it_may(broker):
    with _gateway(broker, max_head="2k") as gateway:
        for size, status in ((1500, 101), (2500, 431)):
            with _knock(gateway) as one:
                more = f"X-Big: {'x' * size}\r\n\r\n"
                assert _answer(one, (_UPGRADE + more).encode()) == status


async def test_who_speaks_too_fast_is_read_more_slowly_and_nothing_is_lost(broker):
    with _gateway(broker, message_rate=200, message_burst=20, ping="1s", pong="500ms") as gateway:
        async with await Socket.open(f"ws://127.0.0.1:{gateway.port}/echo") as fast, \
                await Socket.open(f"ws://127.0.0.1:{gateway.port}/echo") as other:
            for number in range(500):  # more than two pings' time
                await fast.send_text(f"{number}")
            await other.send_text("not concerned")
            await other.expect("not concerned")
            await eventually_async(lambda: len(fast.received) == 500)
            assert fast.received == [f"{number}" for number in range(500)]
        assert gateway.metric("warren_gateway_paced_total") > 0
        assert gateway.metric("warren_gateway_sessions_closed_total", reason="no_pong") == 0


def test_who_reads_nothing_is_closed_in_time(broker):
    with _gateway(broker, out_queue_age="1s", out_queue="64m") as gateway:
        with _knock(gateway) as lazy:
            assert _answer(lazy, _upgrade()) == 101
            text = b"x" * 60000
            frame = b"\x81\xfe" + struct.pack("!H", len(text)) + b"\0\0\0\0" + text
            lazy.settimeout(0.2)
            sent = 0

            def is_late():
                nonlocal sent
                try:
                    sent += lazy.send(frame[sent % len(frame):])
                except (TimeoutError, BrokenPipeError, ConnectionResetError):
                    pass
                return gateway.metric("warren_gateway_out_queue_late_total") == 1
            eventually(is_late)
        assert gateway.metric("warren_gateway_sessions_closed_total", reason="slow") == 1
        assert gateway.metric("warren_gateway_limits_met_total", limit="gateway.out_queue_age") == 1


async def test_a_fast_talker_has_its_share_of_a_turn(broker):
    with _gateway(broker, reads=1, message_rate=0) as gateway:
        async with await Socket.open(f"ws://127.0.0.1:{gateway.port}/echo") as fast:
            for number in range(100):
                await fast.send_text(f"{number}" * 5000)
            await eventually_async(lambda: len(fast.received) == 100)
        assert gateway.metric("warren_gateway_limits_met_total", limit="gateway.reads") > 0


def _limit_descriptors(service, count):
    subprocess.run(["prlimit", f"--nofile={count}:", "--pid", str(service.pid)], check=True)


def test_accepting_pauses_when_descriptors_run_out_and_says_so_once(broker):
    with _gateway(broker) as gateway, ExitStack() as held:
        session = held.enter_context(_knock(gateway))
        assert _answer(session, _upgrade()) == 101
        used = int(gateway.metric("warren_gateway_process_open_fds"))
        _limit_descriptors(gateway, used + 3)
        crowd = [held.enter_context(_knock(gateway)) for _ in range(8)]
        eventually(lambda: "accepting pauses" in gateway.log_text())
        session.sendall(b"\x81\x82\0\0\0\0hi")  # who is in goes on
        assert session.recv(4) == b"\x81\x02hi"
        _limit_descriptors(gateway, used + 100)
        assert [_answer(one, _upgrade()) for one in crowd] == [101] * 8
        assert gateway.log_text().count("accepting pauses") == 1
        assert gateway.metric("warren_gateway_accept_pauses_total") >= 1


@pytest.mark.parametrize("settings, complaint", [
    ({"TRUSTED": "10.0.0.0/40"}, '[gateway] trusted: "10.0.0.0/40" is no address or network'),
    ({"TRUSTED": "balancer"}, '[gateway] trusted: "balancer" is no address or network'),
    ({"PROXY_PROTOCOL": "yes"}, "[gateway] proxy_protocol: nobody is trusted to speak it"),
    ({"PER_ADDRESS": "-1"}, "per_address: must be a number from 0"),
    ({"HANDSHAKES": "0"}, "handshakes: must be a number from 1"),
    ({"MAX_HEAD": "100"}, "max_head: must be a size"),
    ({"OUT_QUEUE_AGE": "1ms"}, "out_queue_age: must be a duration"),
    ({"READS": "0"}, "reads: must be a number from 1"),
    ({"MESSAGE_RATE": "x"}, "message_rate: must be a number"),
    ({"MESSAGE_BURST": "0"}, "message_burst: must be a number from 1"),
])
def test_a_bad_setting_is_told_in_one_line(settings, complaint):
    env = {"WARREN_AUTH_ANONYMOUS": "yes",
           **{f"WARREN_GATEWAY_{key}": value for key, value in settings.items()}}
    done = subprocess.run([str(build_folder() / "gateway/warren-gateway"), "--check-config"],
                          env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and complaint in done.stderr.replace("WARREN_GATEWAY_", "").lower()
    assert done.stderr.count("\n") == 1
