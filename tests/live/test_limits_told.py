"""Each limit of either program has a name, a default, a counter, a line in README and a test."""

import re
import sys
from contextlib import ExitStack
from pathlib import Path

import pika
import pytest
from kit import Deployment, raw
from kit.services import build_folder

_TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_TOP / "tests"))

import limits  # noqa: E402 (needs the path)
import settings  # noqa: E402

_PROGRAMS = ["gateway", "broadcaster"]
_ADMIN_CLIENTS = 32

# Settings with a number that are no limit for anybody outside.
_NO_LIMITS = {
    "topology.partitions", "topology.log_max_bytes",  # of the broker's topology
    "room.history_ttl", "room.idempotency_window",  # how long something is known
    # the gateway's own pace
    "gateway.ping", "gateway.drain", "gateway.drain_accept", "gateway.refresh_wait",
    "gateway.defer_accept",
    "gateway.compression_level", "gateway.compression_min", "gateway.compression_memory",
    "gateway.recent", "gateway.recent_bytes", "auth.remember",  # memory that saves work
    "auth.leeway",  # makes limits wider
    # part of a rate
    "gateway.message_burst", "gateway.publish_burst", "gateway.user_publish_burst",
    "hooks.connections", "hooks.breaker_wait",
    "broadcaster.checkpoint_bytes",  # the broadcaster's own pace; what goes by it has a name
}
# Of these sections some settings are limits of the one program, some of the other one.
_SHARED = ("topology.", "room.")


def _family(program):
    return f"warren_{program}_limits_met_total"


def _known(program):
    """Settings of a program that are limits."""
    return {name for name in limits.limits(build_folder(), program) if "." in name}


@pytest.fixture(scope="module", name="running")
def _running(broker):
    with Deployment(broker, gateways=1, broadcasters=1) as running:
        yield running


@pytest.mark.parametrize("program", _PROGRAMS)
def test_every_setting_with_a_number_is_a_limit_or_known_to_be_none(program):
    numbers = {f"{section}.{key}" for (section, key), (default, meaning) in
               settings.keys(build_folder(), settings.PROGRAMS[program]).items()
               if re.fullmatch(r"\d+([kmgsdh]|ms)?", default) and not meaning.startswith("(")}
    others = {name for other in _PROGRAMS for name in _known(other) if name.startswith(_SHARED)}
    assert numbers - _known(program) - others - _NO_LIMITS == set()
    assert _known(program) <= numbers


@pytest.mark.parametrize("program", _PROGRAMS)
def test_every_limit_is_a_metric_and_stands_in_readme(running, program):
    readme = (_TOP / "README.md").read_text(encoding="utf-8")
    table = "\n".join(limits.table(build_folder(), program))
    assert table in readme, "tests/limits.py prints what README should say"
    service = {"gateway": running.gateways, "broadcaster": running.broadcasters}[program][0]
    printed = service.metrics()
    for name in limits.limits(build_folder(), program):
        assert f'{_family(program)}{{limit="{name}"}}' in printed


def test_a_batch_has_so_many_bytes_and_headers(broker, running):
    broadcaster, family = running.broadcasters[0], _family("broadcaster")

    def send(body, headers):
        with broker.channel() as channel:
            channel.basic_publish(f"{running.prefix}.in", "0", body,
                                  pika.BasicProperties(headers=headers))

    assert broadcaster.metric(family, limit="amqp_body") == 0
    send(b"x" * ((16 << 20) + 1), {})
    broadcaster.wait_metric(family, 1, limit="amqp_body")
    assert broadcaster.metric(family, limit="amqp_headers") == 0
    send(b"x", {f"x-{n}": n for n in range(13)})
    broadcaster.wait_metric(family, 1, limit="amqp_headers")


def test_the_admin_address_serves_so_many_at_once_and_each_so_long(running):
    services = {"gateway": running.gateways[0], "broadcaster": running.broadcasters[0]}
    for program, service in services.items():
        assert service.metric(_family(program), limit="admin_clients") == 0
        assert service.metric(_family(program), limit="admin_time") == 0
    with ExitStack() as held:
        silent = [[held.enter_context(raw.knock(service, port=service.admin_port))
                   for _ in range(_ADMIN_CLIENTS + 1)] for service in services.values()]
        for first, *_ in silent:
            assert raw.rest(first) == b""
        for program, service in services.items():
            for name in ("admin_clients", "admin_time"):
                service.wait_metric(_family(program), lambda met: met > 0, limit=name)


def _texts(pattern):
    return "".join(file.read_text(encoding="utf-8") for file in (_TOP / "tests").glob(pattern))


# The first word of a limit's name in C, and how a live test says that it is met.
@pytest.mark.parametrize("folder, word, live", [
    ("gateway", "LIMIT", '"{}"'),
    ("broadcaster", "OWNER_LIMIT", 'broadcaster.{{0,60}}"{}"'),
    ("common", "LIMIT", '"{}"'),
])
def test_every_limit_is_met_in_some_test(folder, word, live):
    rows = re.findall(r'^(LIMIT|SHARE|FIXED|LOGGED)\((\w+), "(\w+)", (?:"(\w+)")?', (
        _TOP / folder / "limit.def").read_text(encoding="utf-8"), re.MULTILINE)
    units, lives = _texts("unit/*.c"), _texts("live/test_*.py")
    assert rows
    for kind, name, first, second in rows:
        label = f"{first}.{second}" if kind == "LIMIT" else first
        assert (re.search(rf"\b{word}_{name}\b", units)
                or re.search(live.format(re.escape(label)), lives)), label
