"""The AMQP connection of both services, tested by C programs against a RabbitMQ of their own."""

import os
import subprocess

import ports
import pytest

from kit import Broker, Deployment, PlainClient, certs, eventually_async
from kit.services import build_folder

_PATIENCE = 500.0  # for one program, under sanitizers, on a busy machine


def _start(program, broker, **more):
    env = dict(os.environ, WARREN_TEST_AMQP=broker.url(), WARREN_TEST_BROKER_PID=str(broker.pid))
    env.update(more)
    return subprocess.Popen(
        [str(build_folder() / "tests" / "broker" / program)], env=env, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")


def _run(program, broker, **more):
    with _start(program, broker, **more) as process:
        said, _ = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 0, f"{program} ended with {process.returncode}:\n{said}"


@pytest.fixture(scope="module")
def tls_broker(tmp_path_factory):
    """A broker with a TLS door, whose certificate for localhost authority.pem has signed."""
    folder = tmp_path_factory.mktemp("tls")
    certs.make(folder, "authority")
    certs.make(folder, "stranger")
    certs.make(folder, "localhost", authority="authority")
    node = Broker(folder / "broker")
    node.tls_port = ports.claim_any()
    node.certificates = folder
    extra = folder / "broker" / "conf.d"
    extra.mkdir(parents=True)
    (extra / "tls.conf").write_text("\n".join([
        f"listeners.ssl.local = 127.0.0.1:{node.tls_port}",
        f"ssl_options.cacertfile = {folder / 'authority.pem'}",
        f"ssl_options.certfile = {folder / 'localhost.pem'}",
        f"ssl_options.keyfile = {folder / 'localhost.key'}",
        "ssl_options.verify = verify_none",
    ]) + "\n", encoding="utf-8")
    try:
        node.start()
        node.wait_ready()
        yield node
    finally:
        node.remove()


@pytest.mark.parametrize("program", ["test_mq_requests", "test_mq_messages", "test_mq_topology"])
def test_a_connection_keeps_its_promises(broker, program):
    _run(program, broker)


def test_a_connection_survives_silence_and_gives_up_a_frozen_broker(own_broker):
    try:
        _run("test_mq_frozen", own_broker)
    finally:
        own_broker.resume()


def test_an_alarm_is_announced_and_taken_back(own_broker):
    said = []

    def set_limit(share):
        own_broker.ctl("set_vm_memory_high_watermark", share)

    with _start("test_mq_alarm", own_broker) as process:
        def answer():
            process.stdin.write("done\n")
            process.stdin.flush()

        for line in process.stdout:
            said.append(line)
            if line.strip() == "raise the alarm":
                set_limit("0.00001")
                answer()
            elif line.strip() == "soon clear the alarm":
                answer()
                set_limit("0.4")
        assert process.wait(_PATIENCE) == 0, "".join(said)


def _url(node, user="warren", host="localhost"):
    return f"amqps://{user}:{user}@{host}:{node.tls_port}/"


def test_messages_go_through_tls(tls_broker):
    _run("test_mq_messages", tls_broker, WARREN_TEST_AMQP=_url(tls_broker),
         WARREN_TEST_CA_FILE=str(tls_broker.certificates / "authority.pem"))


@pytest.mark.parametrize("host, authority, reason", [
    ("localhost", "stranger.pem", "verification failed"),
    ("127.0.0.1", "authority.pem", "hostname verification failed"),
    ("localhost", "absent.pem", "are there CA certificates in"),
])
def test_a_certificate_that_does_not_fit_is_refused(tls_broker, host, authority, reason):
    process = _start("test_mq_messages", tls_broker,
                     WARREN_TEST_AMQP=_url(tls_broker, host=host),
                     WARREN_TEST_CA_FILE=str(tls_broker.certificates / authority))
    said, _ = process.communicate(timeout=_PATIENCE)
    assert process.returncode != 0
    assert reason in said


async def test_people_talk_while_both_services_are_behind_tls(tls_broker):
    """And a gateway that trusts another authority never comes near."""
    with Deployment(
            tls_broker, gateways=1, broadcasters=1,
            settings={"amqp.ca_file": str(tls_broker.certificates / "authority.pem")},
            gateway={"amqp.url": _url(tls_broker, "gateway")},
            broadcaster={"amqp.url": _url(tls_broker, "broadcaster")}) as warren:
        async with await PlainClient.settled(warren.gateways[0]) as ann, \
                await PlainClient.settled(warren.gateways[0]) as bob:
            await ann.say("ann", "hello")
            await bob.expect({"username": "ann", "message": "hello"})
        stranger = warren.add_gateway(
            start=False, amqp__ca_file=str(tls_broker.certificates / "stranger.pem"))
        stranger.start(wait=False)
        await eventually_async(lambda: "verification failed" in stranger.log_text())
        assert stranger.get("/ready")[0] == 503
