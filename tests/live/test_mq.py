"""The AMQP connection of both services, tested by C programs against a RabbitMQ of their own."""

import os
import subprocess

import pytest

from kit.services import build_folder

_PATIENCE = 500.0  # for one program, under sanitizers, on a busy machine


def _start(program, broker):
    env = dict(os.environ, WARREN_TEST_AMQP=broker.url(), WARREN_TEST_BROKER_PID=str(broker.pid))
    return subprocess.Popen(
        [str(build_folder() / "tests" / "broker" / program)], env=env, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")


def _run(program, broker):
    with _start(program, broker) as process:
        said, _ = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 0, f"{program} ended with {process.returncode}:\n{said}"


@pytest.mark.parametrize("program", ["test_mq_requests", "test_mq_messages", "test_mq_topology"])
def test_a_connection_keeps_its_promises(broker, program):
    _run(program, broker)


def test_a_connection_survives_silence_and_gives_up_a_frozen_broker(own_broker):
    try:
        _run("test_mq_frozen", own_broker)
    finally:
        own_broker.resume()


def test_an_alarm_is_announced_and_taken_back(own_broker):
    orders = {"raise the alarm": "0.00001", "clear the alarm": "0.4"}
    said = []
    with _start("test_mq_alarm", own_broker) as process:
        for line in process.stdout:
            said.append(line)
            if line.strip() in orders:
                own_broker.ctl("set_vm_memory_high_watermark", orders[line.strip()])
                process.stdin.write("done\n")
                process.stdin.flush()
        assert process.wait(_PATIENCE) == 0, "".join(said)
