"""Broadcasters alone, with gateways made by hand: order, take-overs, dead letters, fair shares."""

import itertools
import json
import signal
import subprocess

import pytest
from kit import Broadcaster, Deployment, eventually
from kit.services import build_folder
from pika_gateway import ROOMS, PikaGateway, record

_OWNED = "warren_broadcaster_owned_partitions"
_LOBBY = ROOMS.index("lobby")


@pytest.fixture
def alone(broker):
    """One broadcaster."""
    with Deployment(broker, gateways=0, broadcasters=1) as running:
        running.broadcasters[0].wait_metric(_OWNED, 4)
        yield running


@pytest.fixture
def gateway(broker, alone):
    with PikaGateway(broker, alone.prefix) as made:
        yield made


def _offsets(records):
    return [envelope["offset"] for envelope, _ in records]


def _depth(broker, prefix, queue):
    """Messages in a queue that are ready; those with a consumer are not counted."""
    with broker.channel() as channel:
        return channel.queue_declare(f"{prefix}.{queue}", passive=True).method.message_count


def _owner_of(deployment, partition):
    """The broadcaster that serves a partition."""
    def owners():
        return [b for b in deployment.broadcasters if b.alive() and
                b.metric("warren_broadcaster_partition_state", partition=partition) == 2]
    return eventually(owners, what=f"an owner of partition {partition}")[0]


def _wait_shares(broadcasters, *shares):
    """Waits until the broadcasters serve so many partitions each, in any order."""
    def shared():
        found = sorted(b.metric(_OWNED) for b in broadcasters)
        assert found == sorted(shares), found
        return True
    eventually(shared, what=f"shares of {shares}")


def test_records_get_offsets_and_reach_the_gateways_that_follow_the_room(gateway):
    gateway.attach(_LOBBY, {"room": "lobby"})
    positions = gateway.expect("positions")
    position = json.loads(positions.lines[0])
    assert (position["room"], position["offset"]) == ("lobby", 0)
    odd = '{"n":1.50e+3,"s":"\\u00e9\\/","long":12345678901234567890123}'
    gateway.publish(_LOBBY, record("lobby", odd), record("lobby", "[]"))
    gateway.publish(_LOBBY, record("lobby", '"three"'))
    found = gateway.wait_records("lobby", 3)
    assert [payload for _, payload in found] == [odd, "[]", '"three"']
    assert _offsets(found) == [1, 2, 3]
    assert {envelope["epoch"] for envelope, _ in found} == {position["epoch"]}
    assert found[0][0]["user"] == "ann"
    numbers = [m.headers["number"] for m in gateway.received if m.type in ("positions", "deliver")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_gateway_hears_nothing_of_rooms_it_does_not_follow(gateway):
    gateway.attach(_LOBBY, {"room": "lobby"})
    gateway.expect("positions")
    gateway.publish(0, record("cellar", "1"))
    gateway.publish(_LOBBY, record("lobby", "2"))
    gateway.wait_records("lobby", 1)
    assert gateway.records("cellar") == []


def test_a_batch_that_comes_twice_is_delivered_once(alone, broker, gateway):
    gateway.attach(_LOBBY, {"room": "lobby"})
    gateway.expect("positions")
    for batch in (1, 1, 2, 1, 2, 3):
        gateway.publish(_LOBBY, record("lobby", str(batch)), batch=batch)
    found = gateway.wait_records("lobby", 3)
    assert [(e["offset"], p) for e, p in found] == [(1, "1"), (2, "2"), (3, "3")]
    alone.broadcasters[0].wait_metric("warren_broadcaster_duplicates_dropped_total", 3)
    alone.broadcasters[0].stop()
    assert _depth(broker, alone.prefix, f"in.{_LOBBY}") == 0


def test_what_cannot_be_understood_is_dead_with_its_reason_and_the_rest_goes_on(
        alone, broker, gateway):
    gateway.attach(_LOBBY, {"room": "lobby"})
    gateway.expect("positions")
    headers = {"partition": _LOBBY, "gateway": "byhand", "boot": gateway.boot, "batch": 1}
    good = record("lobby", "1")
    poison = [
        ("bogus", headers, good),
        ("publish", {**headers, "batch": "one"}, good),
        ("publish", {k: v for k, v in headers.items() if k != "boot"}, good),
        ("publish", headers, "no record\n"),
        ("publish", headers, b"\xff\xfe\n\x00\n"),
        ("publish", headers, good + '{"room":"lobby"}\n'),
        ("publish", headers, record("cellar", "1")),  # of another partition
        ("publish", headers, record("bad room", "1")),
        ("append", headers, good),
    ]
    for type_, some, body in poison:
        gateway.send("in", _LOBBY, type_, some, body)
    gateway.publish(_LOBBY, record("lobby", '"good"'))
    assert [(e["offset"], p) for e, p in gateway.wait_records("lobby", 1)] == [(1, '"good"')]
    dead = f"{alone.prefix}.dead"
    eventually(lambda: _depth(broker, alone.prefix, "dead") == len(poison))
    for type_, some, body in poison:
        _, properties, copy = gateway.channel.basic_get(dead, auto_ack=True)
        assert copy == (body.encode() if isinstance(body, str) else body)
        assert properties.type == type_ and properties.message_id
        reason = properties.headers.pop("reason")
        assert reason and properties.headers.pop("key") == str(_LOBBY)
        assert properties.headers == some
        assert alone.broadcasters[0].metric("warren_broadcaster_dead_total", reason=reason) > 0
    assert alone.broadcasters[0].metric("warren_broadcaster_dead_total") == len(poison)
    alone.broadcasters[0].stop()
    assert _depth(broker, alone.prefix, f"in.{_LOBBY}") == 0


def test_a_flood_of_dead_letters_does_not_stop_the_partition(alone, gateway):
    gateway.attach(_LOBBY, {"room": "lobby"})
    gateway.expect("positions")
    for _ in range(700):  # more than the broker leaves unacked
        gateway.send("in", _LOBBY, "bogus", {})
    gateway.publish(_LOBBY, record("lobby", "1"))
    gateway.wait_records("lobby", 1)
    alone.broadcasters[0].wait_metric("warren_broadcaster_dead_total", 700)
    alone.broadcasters[0].wait_metric("warren_broadcaster_dead_waiting", 0)


def test_offsets_go_on_after_the_owner_was_killed(broker):
    with Deployment(broker, gateways=0, broadcasters=2) as deployment, \
            PikaGateway(broker, deployment.prefix) as gateway:
        _wait_shares(deployment.broadcasters, 2, 2)
        gateway.attach_when_served(_LOBBY, {"room": "lobby"})
        for n in range(20):
            gateway.publish(_LOBBY, record("lobby", str(n)))
        epoch = gateway.wait_records("lobby", 20)[0][0]["epoch"]
        _owner_of(deployment, _LOBBY).kill()
        for n in range(20, 40):  # nobody serves it now
            gateway.publish(_LOBBY, record("lobby", str(n)))
        gateway.attach_when_served(_LOBBY, {"room": "lobby", "epoch": epoch, "offset": 10})
        found = gateway.wait_records("lobby", 30)
        assert [(e["offset"], p) for e, p in found] == [(n + 1, str(n)) for n in range(10, 40)]
        assert {e["epoch"] for e, _ in found} == {epoch}


def test_nothing_is_lost_or_doubled_however_often_owners_are_killed(broker):
    with Deployment(broker, gateways=0, broadcasters=2) as deployment, \
            PikaGateway(broker, deployment.prefix) as gateway:
        _wait_shares(deployment.broadcasters, 2, 2)
        count = itertools.count(1)
        for _ in range(4):
            for _ in range(30):
                batch = gateway.publish(_LOBBY, record("lobby", str(next(count))))
            gateway.publish(_LOBBY, record("lobby", str(batch)), batch=batch)  # in doubt: again
            victim = _owner_of(deployment, _LOBBY)
            victim.kill()
            victim.start()
        last = next(count) - 1
        gateway.attach_when_served(_LOBBY, {"room": "lobby"})
        gateway.publish(_LOBBY, record("lobby", '"end"'))
        epoch = gateway.wait_records("lobby", 1)[-1][0]["epoch"]
        gateway.attach_when_served(_LOBBY, {"room": "lobby", "epoch": epoch, "offset": last - 90})
        found = gateway.wait_records("lobby", 91)
        wanted = [str(n) for n in range(last - 89, last + 1)] + ['"end"']
        assert [p for _, p in found] == wanted
        assert _offsets(found) == list(range(last - 89, last + 2))


def test_partitions_are_shared_fairly_by_one_three_and_two(broker):
    with Deployment(broker, gateways=0, broadcasters=1,
                    settings={"topology.partitions": 16}) as deployment:
        first, = deployment.broadcasters
        first.wait_metric(_OWNED, 16)
        second, third = deployment.add_broadcaster(), deployment.add_broadcaster()

        def shares():
            return sorted(b.metric(_OWNED) for b in deployment.broadcasters if b.alive())
        eventually(lambda: sum(shares()) == 16 and max(shares()) == 6)
        second.kill()
        eventually(lambda: shares() == [8, 8])
        moved = sum(b.metric("warren_broadcaster_claims_total") for b in (first, third))
        assert moved <= 16 + 6 + 6  # nothing moves twice
        second.start()
        eventually(lambda: sum(shares()) == 16 and max(shares()) == 6)


def test_one_that_stops_gives_everything_away_first(broker):
    with Deployment(broker, gateways=0, broadcasters=2) as deployment:
        first, second = deployment.broadcasters
        _wait_shares((first, second), 2, 2)
        first.stop()
        assert first.log_text().count("partition released") >= 2
        second.wait_metric(_OWNED, 4)
        assert second.metric("warren_broadcaster_notices_total") >= 2


def test_a_released_partition_goes_on_where_it_was(broker):
    with Deployment(broker, gateways=0, broadcasters=2) as deployment, \
            PikaGateway(broker, deployment.prefix) as gateway:
        _wait_shares(deployment.broadcasters, 2, 2)
        gateway.attach_when_served(_LOBBY, {"room": "lobby"})
        gateway.publish(_LOBBY, record("lobby", "1"))
        epoch = gateway.wait_records("lobby", 1)[0][0]["epoch"]
        _owner_of(deployment, _LOBBY).stop()
        gateway.publish(_LOBBY, record("lobby", "2"))
        gateway.attach_when_served(_LOBBY, {"room": "lobby", "epoch": epoch, "offset": 0})
        found = gateway.wait_records("lobby", 2)
        assert [(e["epoch"], e["offset"], p) for e, p in found] == [
            (epoch, 1, "1"), (epoch, 2, "2")]


def test_a_cluster_s_queues_keep_order_and_owners_too(broker):
    with Deployment(broker, gateways=0, broadcasters=2,
                    settings={"topology.queue_type": "quorum"}) as deployment, \
            PikaGateway(broker, deployment.prefix) as gateway:
        _wait_shares(deployment.broadcasters, 2, 2)
        for n in range(50):
            gateway.publish(_LOBBY, record("lobby", str(n)))
            if n == 25:
                _owner_of(deployment, _LOBBY).kill()
        gateway.attach_when_served(_LOBBY, {"room": "lobby"})
        gateway.publish(_LOBBY, record("lobby", "50"))
        epoch = gateway.wait_records("lobby", 1)[-1][0]["epoch"]
        gateway.attach_when_served(_LOBBY, {"room": "lobby", "epoch": epoch, "offset": 0})
        found = gateway.wait_records("lobby", 51)
        assert [(e["offset"], p) for e, p in found] == [(n + 1, str(n)) for n in range(51)]


def test_a_gateway_that_is_gone_is_forgotten(alone, broker):
    with PikaGateway(broker, alone.prefix) as gateway, \
            PikaGateway(broker, alone.prefix, "other") as other:
        for each in (gateway, other):
            each.attach(_LOBBY, {"room": "lobby"})
            each.expect("positions")
        service = alone.broadcasters[0]
        gateway.close()
        other.publish(_LOBBY, record("lobby", "1"))
        other.wait_records("lobby", 1)
        service.wait_metric("warren_broadcaster_partition_gateways", 1, partition=_LOBBY)
        for n in range(2, 12):
            other.publish(_LOBBY, record("lobby", str(n)))
        other.wait_records("lobby", 11)
        # What was sent to it before, and a last call.
        assert service.metric("warren_broadcaster_gateways_gone_total") <= 2


@pytest.mark.parametrize("queue", ["in", "log", "owner"])
def test_a_queue_that_somebody_deletes_comes_back_with_its_partition(alone, broker, gateway, queue):
    service = alone.broadcasters[0]
    if queue == "owner":  # exclusive: nobody else can
        pytest.raises(Exception, gateway.channel.queue_delete, f"{alone.prefix}.owner.{_LOBBY}")
        return
    gateway.channel.queue_delete(f"{alone.prefix}.{queue}.{_LOBBY}")
    if queue == "log":
        gateway.publish(_LOBBY, record("lobby", "1"))  # its append comes back
    service.wait_metric("warren_broadcaster_losses_total", lambda losses: losses >= 1)
    service.wait_metric(_OWNED, 4)
    gateway.attach_when_served(_LOBBY, {"room": "lobby"})
    gateway.publish(_LOBBY, record("lobby", "2"))
    assert gateway.wait_records("lobby", 1)[-1][1] == "2"
    assert service.metric("warren_broadcaster_reconnects_total") == 0


def test_everything_can_be_read_in_the_management_page(alone, broker, gateway):
    prefix, name = alone.prefix, alone.broadcasters[0].name
    gateway.publish(_LOBBY, record("lobby", "1"))
    queues = {q["name"].removeprefix(f"{prefix}."): q for q in broker.api("queues")
              if q["name"].startswith(f"{prefix}.")}
    own = {f"{kind}.{p}" for kind in ("in", "spill", "log", "owner") for p in range(4)}
    assert set(queues) == own | {"broadcasters", f"broadcaster.{name}", "dead", "gateway.byhand",
                                 "members", "control", "publish"}
    arguments = queues["in.0"]["arguments"]
    assert arguments["x-overflow"] == "reject-publish"
    assert arguments["x-dead-letter-exchange"] == f"{prefix}.spill"
    arguments = queues["log.0"]["arguments"]
    assert arguments["x-queue-type"] == "stream"
    assert arguments["x-stream-max-segment-size-bytes"] == 50000000
    assert queues["owner.0"]["exclusive"]

    def names():
        return {c["client_properties"].get("connection_name") for c in broker.api("connections")}
    eventually(lambda: f"warren-broadcaster {name}" in names())

    def tags():
        return {c["consumer_tag"] for c in broker.api("consumers") if c["consumer_tag"].startswith(
            name)}
    wanted = {f"{name}/{kind}.{p}" for kind in ("in", "spill", "owner") for p in range(4)}
    eventually(lambda: tags() == wanted | {f"{name}/member", f"{name}/notices"})


def test_the_log_can_be_read_by_a_person(alone, gateway):
    gateway.publish(_LOBBY, record("lobby", '{"message":"hello"}'))
    service = alone.broadcasters[0]
    service.wait_metric("warren_broadcaster_appends_total", lambda count: count >= 1)
    channel = gateway.connection.channel()
    channel.basic_qos(prefetch_count=100)
    found = []
    for method, properties, body in channel.consume(
            f"{alone.prefix}.log.{_LOBBY}", arguments={"x-stream-offset": "first"},
            inactivity_timeout=60):
        assert method, "nothing more in the log"
        found.append((properties, body))
        channel.basic_ack(method.delivery_tag)
        if properties.type == "append":
            break
    properties, body = found[-1]
    assert [p.type for p, _ in found[:2]] == ["claim", "term"]
    assert properties.content_type == "application/x-ndjson"
    assert properties.app_id == f"warren-broadcaster/{service.name}"
    assert properties.headers["partition"] == _LOBBY and properties.headers["term"] >= 1
    assert properties.headers["lanes"] == f"{gateway.boot}:1"
    envelope, payload = body.decode().splitlines()
    assert payload == '{"message":"hello"}'
    assert json.loads(envelope)["offset"] == 1


def test_another_setting_of_queues_is_refused_in_one_line_that_names_it(alone):
    others = {key: alone.add_broadcaster(start=False, **{f"topology__{key}": value})
              for key, value in (("partitions", 8), ("queue_type", "quorum"),
                                 ("in_max_length", 200), ("log_max_bytes", "300m"),
                                 ("log_max_age", "1D"))}
    for other in others.values():
        other.start(wait=False)
    for key, other in others.items():
        assert other.process.wait(60) == 1
        [error] = [line for line in other.log_text().splitlines() if " error " in line]
        assert f"made with another [topology] {key}" in error
        alone.broadcasters.remove(other)


def test_a_frozen_broker_is_noticed_and_everything_resumes(own_broker):
    with Deployment(own_broker, gateways=0, broadcasters=1) as deployment:
        service, = deployment.broadcasters
        service.wait_metric(_OWNED, 4)
        own_broker.pause()
        eventually(lambda: service.get("/ready")[0] == 503)
        assert service.get("/live")[0] == 200
        assert service.metric(_OWNED) == 0
        own_broker.resume()
        service.wait_ready()
        service.wait_metric(_OWNED, 4)
        assert service.metric("warren_broadcaster_reconnects_total") >= 1


def test_an_alarm_of_the_broker_makes_everything_wait(own_broker):
    with Deployment(own_broker, gateways=0, broadcasters=1) as deployment, \
            PikaGateway(own_broker, deployment.prefix) as gateway:
        service, = deployment.broadcasters
        gateway.attach_when_served(_LOBBY, {"room": "lobby"})
        own_broker.ctl("set_vm_memory_high_watermark", "0.0001")

        def post(exchange, key, properties):
            own_broker.api(f"exchanges/%2F/{deployment.prefix}.{exchange}/publish", "POST", {
                "routing_key": key, "payload": "{}", "payload_encoding": "string",
                "properties": properties})
        post("in", str(_LOBBY), {"type": "bogus"})  # its copy is what the broker does not take
        eventually(lambda: service.get("/ready") == (503, "the broker takes no publishes\n"))
        post("owner", "all", {"type": "released", "headers": {"partition": 0, "owner": "other"}})
        post("in", str(_LOBBY), {"type": "bogus"})
        service.wait_metric("warren_broadcaster_notices_total", 1)
        service.wait_metric("warren_broadcaster_dead_total", 2)  # it asks the broker nothing now
        own_broker.ctl("set_vm_memory_high_watermark", "0.4")
        service.wait_ready()
        gateway.attach_when_served(_LOBBY, {"room": "lobby"})  # it was silent for long, perhaps
        gateway.publish(_LOBBY, record("lobby", "1"))
        gateway.wait_records("lobby", 1)
        assert service.metric("warren_broadcaster_reconnects_total") == 0
        service.wait_metric("warren_broadcaster_dead_waiting", 0)


def test_it_waits_for_a_broker_and_outlives_it(own_broker):
    own_broker.stop()
    with Deployment(own_broker, gateways=0, broadcasters=0) as deployment:
        service = deployment.add_broadcaster(start=False)
        service.start(wait=False)
        eventually(lambda: service.get("/ready") == (503, "not connected to the broker\n"))
        own_broker.start()
        service.wait_metric(_OWNED, 4)
        own_broker.restart()  # in order: it has a log that a kill right after its birth destroys
        service.wait_metric("warren_broadcaster_reconnects_total", lambda count: count >= 1)
        service.wait_metric(_OWNED, 4)
        own_broker.kill()
        service.wait_metric(_OWNED, 0)
        own_broker.start()
        service.wait_metric(_OWNED, 4)
        assert service.log_text().count("cannot connect") < 20  # not a line for each try


def test_a_second_signal_ends_it_at_once(own_broker):
    with Deployment(own_broker, gateways=0, broadcasters=1) as deployment:
        service, = deployment.broadcasters
        service.wait_metric(_OWNED, 4)
        own_broker.pause()  # so that the first one cannot be obeyed
        service.send_signal(signal.SIGTERM)
        eventually(lambda: service.get("/ready") == (503, "stopping\n"))
        service.send_signal(signal.SIGINT)
        assert service.process.wait(60) == 1
        service.process = None
        own_broker.resume()


def _run(*arguments, **env):
    return subprocess.run([str(build_folder() / Broadcaster.program), *arguments], env=env,
                          capture_output=True, text=True, check=False, timeout=60)


def test_help_lists_all_settings():
    done = _run("--help")
    assert done.returncode == 0
    for word in ("partitions", "queue_type", "checkpoint_bytes", "history_ttl", "[room]", "level"):
        assert word in done.stdout
    assert _run("--version").stdout.startswith("warren-broadcaster ")


@pytest.mark.parametrize("settings", [
    {"WARREN_TOPOLOGY_PARTITIONS": "0"},
    {"WARREN_TOPOLOGY_PARTITIONS": "257"},
    {"WARREN_TOPOLOGY_QUEUE_TYPE": "stream"},
    {"WARREN_TOPOLOGY_LOG_MAX_AGE": "7"},
    {"WARREN_TOPOLOGY_LOG_MAX_AGE": "7x"},
    {"WARREN_TOPOLOGY_LOG_MAX_AGE": "7D "},
    {"WARREN_BROADCASTER_ID": "a b"},
    {"WARREN_BROADCASTER_ID": "x" * 65},
    {"WARREN_BROADCASTER_MEMORY": "much"},
    {"WARREN_BROADCASTER_BOGUS": "1"},
    {"WARREN_AMQP_PREFIX": "war.ren"},
    {"WARREN_AMQP_PREFIX": ""},
    {"WARREN_AMQP_URL": "http://127.0.0.1/"},
    {"WARREN_LOG_LEVEL": "loud"},
    {"WARREN_ROOM_HISTORY_TTL": "1 day"},
    {"WARREN_BROADCASTER_ROOMS_MAX": "999"},
    # A log that would drop its last checkpoint: 4 checkpoints and 2 segments have to fit.
    {"WARREN_TOPOLOGY_LOG_MAX_BYTES": "133554431"},
    {"WARREN_BROADCASTER_CHECKPOINT_BYTES": "226m"},
])
def test_bad_settings_are_told_in_one_line(settings):
    done = _run("--check-config", **settings)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_good_settings_pass(tmp_path):
    config = tmp_path / "warren.ini"
    config.write_text("""
[amqp]
url = amqp://a:b@127.0.0.1:1/
[gateway]
listen = 127.0.0.1:1
[room]
subscribe = *
history_size = 5
[room "support"]
publish = moderator
history_ttl = 7d
""", encoding="ascii")
    done = _run("--check-config", "--config", str(config))
    assert done.returncode == 0, done.stderr
    done = _run("--check-config", WARREN_TOPOLOGY_LOG_MAX_BYTES="133554432")
    assert done.returncode == 0, done.stderr
    config.write_text('[room "support"]\nhistory_ttl = never\n', encoding="ascii")
    done = _run("--check-config", "--config", str(config))
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
