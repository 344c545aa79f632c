"""What RabbitMQ drops from a full input when it starts, and what comes while an input is not there,
is taken back, in its place."""

import pika
from kit import CentrifugeClient, Deployment, eventually
from pika_gateway import ROOMS, PikaGateway, record

_ROOM_MAX = 100  # batches that may wait in a partition's input
_LOBBY = ROOMS.index("lobby")
_OWNED = "warren_broadcaster_owned_partitions"
_SPILLED = "warren_broadcaster_spilled_total"
_UNROUTED = "warren_broadcaster_unrouted_total"


def _depth(broker, prefix, queue):
    """Messages in a queue that are ready."""
    with broker.channel() as channel:
        return channel.queue_declare(f"{prefix}.{queue}", passive=True).method.message_count


def _fill(gateway, number):
    """Publishes records until the input takes no more; the number of the first that is refused."""
    while True:
        try:
            gateway.publish(_LOBBY, record("lobby", str(number)))
        except pika.exceptions.NackError:
            return number
        number += 1


def _cut_down(broker, running):
    """Kills the owner when it holds much of a full input, and restarts the broker. The epoch of the
    room, and how many records were accepted."""
    owner = running.broadcasters[0]
    owner.wait_metric(_OWNED, 4)
    with PikaGateway(broker, running.prefix) as gateway:
        gateway.attach(_LOBBY, {"room": "lobby"})
        gateway.publish(_LOBBY, record("lobby", "0"))
        epoch = gateway.wait_records("lobby", 1)[0][0]["epoch"]
        owner.pause()
        accepted = _fill(gateway, 1)
        assert accepted > 2 * _ROOM_MAX  # the owner was sent what is above the limit
    owner.kill()
    eventually(lambda: _depth(broker, running.prefix, f"in.{_LOBBY}") == accepted - 1,
               what="what the owner held is back in its place")
    broker.stop()
    broker.start()
    broker.wait_ready()
    assert _depth(broker, running.prefix, f"in.{_LOBBY}") == _ROOM_MAX
    assert _depth(broker, running.prefix, f"spill.{_LOBBY}") == accepted - 1 - _ROOM_MAX
    return epoch, accepted


def _hear_all(gateway, epoch, count):
    """Waits for as many records of the room; they are whole and in order."""
    gateway.attach_when_served(_LOBBY, {"room": "lobby", "epoch": epoch, "offset": 0})
    found = gateway.wait_records("lobby", count)
    assert [(e["offset"], p) for e, p in found] == [(n + 1, str(n)) for n in range(count)]


def test_what_a_killed_owner_held_of_a_full_input_survives_a_restart_of_the_broker(own_broker):
    with Deployment(own_broker, gateways=0, broadcasters=1,
                    settings={"topology.in_max_length": _ROOM_MAX}) as running:
        epoch, accepted = _cut_down(own_broker, running)
        owner = running.broadcasters[0]
        owner.start()
        owner.wait_metric(_OWNED, 4)
        with PikaGateway(own_broker, running.prefix) as gateway:
            _hear_all(gateway, epoch, accepted)
            owner.wait_metric(_SPILLED, accepted - 1 - _ROOM_MAX)
            gateway.publish(_LOBBY, record("lobby", str(accepted)))
            gateway.wait_records("lobby", accepted + 1)
        eventually(lambda: _depth(own_broker, running.prefix, f"spill.{_LOBBY}") == 0)
        assert _depth(own_broker, running.prefix, "dead") == 0


def test_an_owner_killed_over_the_spill_leaves_it_to_the_next_one(own_broker):
    with Deployment(own_broker, gateways=0, broadcasters=1,
                    settings={"topology.in_max_length": _ROOM_MAX}) as running:
        epoch, accepted = _cut_down(own_broker, running)
        owner = running.broadcasters[0]
        for _ in range(3):  # somewhere in the middle; on a fast machine the first takes it all
            owner.start()
            owner.wait_metric(_OWNED, lambda owned: owned > 0)
            owner.kill()
        owner.start()
        owner.wait_metric(_OWNED, 4)
        with PikaGateway(own_broker, running.prefix) as gateway:
            _hear_all(gateway, epoch, accepted)


def test_what_is_rejected_from_the_input_gets_to_the_dead_letters(broker):
    with Deployment(broker, gateways=0, broadcasters=1) as running, \
            PikaGateway(broker, running.prefix) as gateway:
        running.broadcasters[0].wait_metric(_OWNED, 4)
        gateway.send("in", _LOBBY, "publish", {}, b"x" * (17 << 20))  # more than a service reads
        eventually(lambda: _depth(broker, running.prefix, "dead") == 1)
        assert running.broadcasters[0].metric(_SPILLED) == 0


def _delete_input(broker, running):
    with broker.channel() as channel:
        channel.queue_delete(f"{running.prefix}.in.{_LOBBY}")


def test_what_comes_while_an_input_is_not_there_is_taken_before_what_is_in_the_new_one(broker):
    """More than an owner is given of the spill at once."""
    count = 100
    with Deployment(broker, gateways=0, broadcasters=1) as running, \
            PikaGateway(broker, running.prefix) as gateway:
        owner = running.broadcasters[0]
        owner.wait_metric(_OWNED, 4)
        gateway.attach(_LOBBY, {"room": "lobby"})
        gateway.publish(_LOBBY, record("lobby", "0"))
        epoch = gateway.wait_records("lobby", 1)[0][0]["epoch"]
        owner.kill()
        _delete_input(broker, running)
        for number in range(1, count):
            gateway.publish(_LOBBY, record("lobby", str(number)))
        gateway.publish(_LOBBY, record("lobby", str(count - 1)), batch=count)  # in doubt: again
        assert _depth(broker, running.prefix, f"spill.{_LOBBY}") == count
        owner.start()
        eventually(lambda: _input_is_there(broker, running))
        for number in range(count, 2 * count):
            gateway.publish(_LOBBY, record("lobby", str(number)))
        _hear_all(gateway, epoch, 2 * count)
        assert owner.metric(_UNROUTED) == count and owner.metric(_SPILLED) == 0
        assert "what was in it is lost" in owner.log_text()
        assert _depth(broker, running.prefix, "dead") == count  # for a person to see


def _input_is_there(broker, running):
    bindings = broker.api(f"exchanges/%2F/{running.prefix}.in/bindings/source")
    return str(_LOBBY) in {binding["routing_key"] for binding in bindings}


def test_nothing_that_comes_after_an_input_was_deleted_is_lost(broker):
    with Deployment(broker, gateways=0, broadcasters=2) as running, \
            PikaGateway(broker, running.prefix) as gateway:
        gateway.attach_when_served(_LOBBY, {"room": "lobby"})
        number = 0
        gateway.publish(_LOBBY, record("lobby", str(number)))
        epoch = gateway.wait_records("lobby", 1)[0][0]["epoch"]
        for _ in range(4):
            eventually(lambda: _is_acked(broker, running), what="the input is empty")
            _delete_input(broker, running)
            for _ in range(30):
                number += 1
                gateway.publish(_LOBBY, record("lobby", str(number)))
            _hear_all_of(gateway, epoch, number + 1)


def _is_acked(broker, running):
    """Nothing is in the input, nor with its owner."""
    found = broker.api("queues?disable_stats=true&enable_queue_totals=true")
    return [queue["messages"] for queue in found
            if queue["name"] == f"{running.prefix}.in.{_LOBBY}"] == [0]


def _hear_all_of(gateway, epoch, count):
    """As _hear_all(), whoever is the owner by then."""
    start = {"room": "lobby", "epoch": epoch, "offset": 0}

    def heard():
        if any(m.type == "owner" and m.headers["partition"] == _LOBBY for m in gateway.hear()):
            gateway.received.clear()
            gateway.attach(_LOBBY, start)
        found = gateway.records("lobby")
        assert len(found) >= count, len(found)
        return found
    gateway.forget()
    gateway.attach(_LOBBY, start)
    found = eventually(heard)
    assert [(e["offset"], p) for e, p in found] == [(n + 1, str(n)) for n in range(count)]


async def test_who_publishes_while_the_input_is_not_there_is_heard(broker):
    with Deployment(broker, gateways=1, broadcasters=1) as running:
        owner = running.broadcasters[0]
        owner.wait_metric(_OWNED, 4)
        async with await CentrifugeClient.connect(running.gateways[0]) as ann:
            await ann.subscribe("lobby")
            owner.kill()
            _delete_input(broker, running)
            await ann.publish("lobby", "one")  # answered with success
            owner.start()
            await ann.publish("lobby", "two")
            for said in ("one", "two"):
                await ann.expect_pub("lobby", said)
