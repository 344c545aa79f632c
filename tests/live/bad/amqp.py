"""What comes from RabbitMQ, or does not: messages that no gateway of ours sends, and outages.

All of it happens to one partition, the lobby's; whoever talks is in another one.
"""

import json
from contextlib import contextmanager
from types import SimpleNamespace
from urllib.parse import quote

import pika
import pytest
from kit import PATIENCE, Deployment, eventually
from kit.relay import IN, OUT
from kit.witness import memory
from pika_gateway import ROOMS, record

from bad import words
from bad.commands import Client, command
from bad.place import BATCHES_MAX, CUT, ORIGIN

OUTAGES = range(107, 113)  # rows in which nobody owns what is said, or the broker takes nothing
# Bytes that a row may leave with the owner, if not the usual ones: the library keeps the room of
# what stood in line, be it one body (and the row itself looks what more it costs) or a log that is
# read when a connection is made anew.
GROWTH = {104: 64 << 20, 110: 16 << 20, 112: 16 << 20}
LOBBY = ROOMS.index("lobby")
GOOD = record("lobby", "1")
_OWNED = "warren_broadcaster_owned_partitions"
_DEAD = "warren_broadcaster_dead_total"
_GAPS = "warren_broadcaster_link_gaps_total"
_LOST_RACES = "warren_broadcaster_lost_races_total"
_LOSSES = "warren_broadcaster_losses_total"
_RECONNECTS = "warren_broadcaster_reconnects_total"
_CONNECTS = "warren_gateway_bus_connects_total"
_HOLES = "warren_gateway_link_holes_total"
_PARTITIONS = len(ROOMS)


def nested(levels):
    table = {"end": 1}
    for _ in range(levels):
        table = {"t": table}
    return table


class Letter:
    """A message to an owner: what is different from a good one."""

    def __init__(self, body=GOOD, type_="publish", content_type="application/x-ndjson", **headers):
        self.body, self.type, self.content_type = body, type_, content_type
        self.headers = headers

    def send(self, byhand):
        headers = {"partition": LOBBY, "gateway": byhand.name, "boot": byhand.boot,
                   "batch": 1000, **self.headers}
        byhand.send("in", LOBBY, self.type,
                    {name: value for name, value in headers.items() if value is not None},
                    self.body, content_type=self.content_type)


def _dead_letter(place):
    """Why the next dead letter is one; and its body."""
    def letter():
        method, properties, copy = place.byhand.channel.basic_get(
            f"{place.byhand.prefix}.dead", auto_ack=True)
        return method and (properties, copy)
    properties, copy = eventually(letter, what="a dead letter")
    if "x-death" in properties.headers:  # as it is, for it is too big to copy
        return properties.headers["x-death"][0]["reason"], copy
    assert properties.headers["key"] == str(LOBBY)
    return properties.headers["reason"], copy


def dead(**letters):
    """Each of these letters ends in PREFIX.dead, whole, with the reason; it is counted, once."""
    def do(place):
        found = {}
        for name, letter in letters.items():
            before = place.owner.metric(_DEAD)
            letter.send(place.byhand)
            place.owner.wait_metric(_DEAD, before + 1)
            why, copy = _dead_letter(place)
            assert copy == (letter.body.encode() if isinstance(letter.body, str) else letter.body)
            found[name] = f"dead: {why}"
        return found
    return do


def huge(place):
    """Bodies of 17 MiB, and what they cost the broadcaster.

    One that comes while it waits for another answer of the broker stands in line meanwhile; so what
    each of them costs is what the least does.
    """
    grown = []
    for _ in range(3):
        before = memory(place.owner)
        found = dead(huge=Letter(b"x" * (17 << 20)))(place)
        grown.append(memory(place.owner) - before)
    assert min(grown) < 2 << 20, grown
    return found["huge"]


def attach(place):
    """Lets the gateway made by hand follow the lobby, as soon as somebody serves it."""
    place.byhand.attach_when_served(LOBBY, {"room": "lobby"})


def history(place, count):
    """The last texts of the lobby."""
    with Client.on(place) as client:
        assert "subscribe" in client.do(command("subscribe", 3, channel="lobby"))
        found = client.do(command("history", 4, channel="lobby", limit=count, reverse=True))
        pubs = found["history"]["publications"]
    return [pub["data"] for pub in reversed(pubs)]


def _said(place, text):
    """A record that is numbered after all before it."""
    place.byhand.publish(LOBBY, record("lobby", json.dumps(text)))
    place.byhand.wait_records("lobby", 1)
    eventually(lambda: place.byhand.records("lobby")[-1][1] == json.dumps(text), what=text)


def again(place):
    """A batch that its gateway sends three times more, with other content."""
    attach(place)
    number = place.byhand.publish(LOBBY, record("lobby", '"once"'))
    for _ in range(3):
        place.byhand.publish(LOBBY, record("lobby", '"again"'), batch=number)
    _said(place, "next")
    return history(place, 2)


def requeued(place):
    """A batch whose consumers die thirty times."""
    queue = f"{place.warren.prefix}.in.{LOBBY}"
    place.owner.stop()
    place.byhand.publish(LOBBY, record("lobby", '"held by many"'))
    for _ in range(30):
        method = eventually(lambda: place.byhand.channel.basic_get(queue)[0], what="the batch")
        place.byhand.channel.basic_nack(method.delivery_tag, requeue=True)
    place.owner.start()
    attach(place)
    _said(place, "behind it")
    return history(place, 2)


@contextmanager
def _alarm(broker):
    broker.ctl("set_vm_memory_high_watermark", "0.0001")
    try:
        yield
    finally:
        broker.ctl("set_vm_memory_high_watermark", "0.4")


def alarm(place):
    """The broker takes no publishes: one that it has, one behind it; and somebody who comes."""
    with Client.on(place) as client:
        client.say(3, "in", "before")
        with _alarm(place.warren.broker):
            place.gateway.wait_metric("warren_gateway_bus_blocked", 1)
            found = _in_doubt(client)
            with Client.on(place):
                found["who comes"] = "is let in"
        found["in doubt"] = words.reply(client.reply(8))
    return found


def _in_doubt(client):
    """A publish that has no answer, and what one behind it is told."""
    client.send(command("publish", 8, channel="lobby", data="in doubt"))
    return {"behind it": client.told(command("publish", channel="lobby", data="in vain"))}


def full(place):
    """Nobody takes what waits for an owner, and then there is no room for more."""
    nacks = "warren_gateway_batches_refused_total"
    before = place.gateway.metric(nacks)
    with Client.on(place) as client:
        place.owner.kill()
        with pytest.raises(pika.exceptions.NackError):
            for _ in range(BATCHES_MAX + 1):
                place.byhand.publish(LOBBY, record("lobby", '"waits"'))
        found = _in_doubt(client)
        assert place.gateway.metric(nacks) > before
        place.owner.start()
        found["in doubt"] = words.reply(client.reply(8))
    return found


def _close(place, name):
    """The broker closes the connection of that name."""
    broker = place.warren.broker

    def closed():
        found = [c["name"] for c in broker.api("connections?columns=name,client_properties")
                 if c["client_properties"].get("connection_name") == name]
        for one in found:
            broker.api(f"connections/{quote(one, safe='')}", method="DELETE")
        return found
    eventually(closed, what=f"the connection {name}")


def closed(place):
    """The connections of the owner, and of a gateway, are closed by force."""
    owner, gateway = place.owner, place.gateway
    before = owner.metric(_RECONNECTS), gateway.metric(_CONNECTS)
    _close(place, f"warren-broadcaster {owner.name}")
    for kind in ("publish", "consume"):
        _close(place, f"warren-gateway {gateway.name} {kind}")
    owner.wait_metric(_RECONNECTS, lambda now: now > before[0])
    gateway.wait_metric(_CONNECTS, lambda now: now >= before[1] + 2)
    return _goes_on(place)


def not_found(place):
    """The broker closes the channel of the owner's dead letters with 404; what was on it is not
    lost."""
    before = place.owner.metric(_RECONNECTS)
    place.byhand.channel.exchange_delete(f"{place.byhand.prefix}.dead")
    Letter("").send(place.byhand)
    place.owner.wait_metric(_RECONNECTS, lambda now: now > before)
    why, _ = _dead_letter(place)
    return f"dead: {why}, {_goes_on(place)}"


def locked(place):
    """A stranger has an owner's lock: it is refused with 405, and tries again."""
    owner, lock = place.owner, f"{place.byhand.prefix}.owner.{LOBBY}"
    before = owner.metric(_LOST_RACES)
    owner.pause()
    try:
        _close(place, f"warren-broadcaster {owner.name}")
        eventually(lambda: _has_lock(place, lock), what="the stranger has the lock")
    finally:
        owner.resume()
    owner.wait_metric(_LOST_RACES, lambda now: now > before)
    owner.wait_metric(_OWNED, _PARTITIONS - 1)
    place.byhand.channel.queue_delete(lock)
    return _goes_on(place)


def _has_lock(place, lock):
    channel = place.byhand.connection.channel()
    try:
        channel.queue_declare(lock, exclusive=True)
    except pika.exceptions.ChannelClosedByBroker:
        return False
    channel.close()
    return True


def foreign(place):
    """Somebody is configured with another number of partitions: 406, and he ends."""
    stranger = place.warren.add_broadcaster(start=False, topology__partitions=2 * _PARTITIONS)
    stranger.start(wait=False)
    code = stranger.process.wait(PATIENCE)
    stranger.process = None
    stranger.check_log()
    assert f"the broker's {place.byhand.prefix}.in was made with another" in stranger.log_text()
    return f"ends with {code}, {_goes_on(place)}"


def silent(place):
    """Both connections of a gateway are cut without a word, in the middle of what is said."""
    at = SimpleNamespace(gateway=place.gateways[CUT])
    before = at.gateway.metric(_CONNECTS)
    with Client.on(at) as client:
        assert "subscribe" in client.do(command("subscribe", 3, channel="cut"))
        for kind in ("publish", "consume"):
            place.relay.cut(IN, OUT, who=f"warren-gateway {at.gateway.name} {kind}")
        client.send(command("publish", 8, channel="cut", data="in doubt"))
        at.gateway.wait_metric(_CONNECTS, lambda now: now >= before + 2)
        place.relay.heal()
        found = words.reply(client.reply(8))
        client.say(9, "cut", "on")
        heard = client.do(command("history", channel="cut", limit=9))["history"]["publications"]
    return ", ".join([found, *(pub["data"] for pub in heard)])


def _goes_on(place):
    """The next record of the lobby, as soon as it is served."""
    place.owner.wait_metric(_OWNED, _PARTITIONS)
    attach(place)
    _said(place, "on")
    return history(place, 1)[0]


def _last_append(place):
    """The newest append in the log: its properties and its body."""
    channel = place.byhand.connection.channel()
    channel.basic_qos(prefetch_count=100)
    found = None
    for method, properties, body in channel.consume(
            f"{place.warren.prefix}.log.{LOBBY}", arguments={"x-stream-offset": "last"},
            inactivity_timeout=1):
        if method is None and found:
            break
        if method is not None:
            channel.basic_ack(method.delivery_tag)
            found = (properties, body) if properties.type == "append" else found
    channel.close()
    return found


def forged(place):
    """Appends of a former owner, and the same once more, in the log; and owners who read them."""
    attach(place)
    _said(place, "true")
    properties, body = _last_append(place)
    body = body.replace(b'"true"', b'"forged"')
    headers = properties.headers
    former = {**headers, "term": headers["term"] - 1, "number": headers["number"] + 1}
    for change in (former, headers):
        place.byhand.send("log", LOBBY, "append", change, body)
    for _ in range(2):  # the second one reads what the first one wrote
        place.owner.kill()
        place.owner.start()
        _goes_on(place)
    return history(place, 3)


def log_gap(place):
    """An append whose number is not the next one, of a gateway that nobody knows; and an owner who
    reads it."""
    attach(place)
    _said(place, "before")
    properties, body = _last_append(place)
    envelope, *more = body.decode().splitlines()
    offset = json.loads(envelope)["offset"]
    body = body.replace(b'"before"', b'"behind a gap"').replace(
        b'"offset":%d' % offset, b'"offset":%d' % (offset + 1))
    assert more == ['"before"']
    headers = properties.headers
    place.byhand.send("log", LOBBY, "append", {
        **headers, "number": headers["number"] + 5, "lanes": "00000000000000bb:1"}, body)
    place.owner.kill()
    place.owner.start()
    _goes_on(place)
    return history(place, 3)


def link_gap(place):
    """A gateway's message with a number that is not the next one: it has to begin anew."""
    attach(place)
    _said(place, "before")
    before = place.owner.metric(_GAPS)
    place.byhand.forget()
    place.byhand.number += 1
    place.byhand.say(LOBBY, "alive")
    place.owner.wait_metric(_GAPS, before + 1)
    place.byhand.expect("owner", lambda message: message.headers["partition"] == LOBBY)
    return _goes_on(place)


def delivery_gap(place):
    """The same of an owner's message to a gateway, which begins anew; nobody misses anything."""
    name = place.gateway.name
    before = place.gateway.metric(_HOLES)
    with Client.on(place) as client, place.warren.broker.channel() as channel:
        assert "subscribe" in client.do(command("subscribe", 3, channel="lobby"))
        spy = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(spy, f"{place.warren.prefix}.gateway.{name}")
        first = client.say(4, "lobby", "before")["offset"]
        properties, body = eventually(lambda: _delivery(channel, spy), what="the delivery")
        headers = properties.headers
        properties.headers = {**headers, "number": headers["number"] + 5}
        channel.basic_publish(f"{place.warren.prefix}.gateways", name, body, properties)
        place.gateway.wait_metric(_HOLES, lambda now: now > before)
        last = client.say(5, "lobby", "on")["offset"]
        return last - first


def _delivery(channel, queue):
    """The next delivery to the lobby that is there."""
    while True:
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        if method is None or (properties.type == "deliver" and
                              properties.headers["partition"] == LOBBY and body):
            return method and (properties, body)


def cancelled(place):
    """The queue of the owner's consumer is deleted."""
    before = place.owner.metric(_LOSSES)
    place.byhand.channel.queue_delete(f"{place.warren.prefix}.in.{LOBBY}")
    place.owner.wait_metric(_LOSSES, lambda now: now > before)
    return _goes_on(place)


def two_owners(place):
    """An owner is frozen and followed by another; it wakes up and believes to be one."""
    frozen, other = place.owner, place.warren.add_broadcaster()
    for each in (frozen, other):
        each.wait_metric(_OWNED, _PARTITIONS // 2)
    frozen.pause()
    try:
        _close(place, f"warren-broadcaster {frozen.name}")
        other.wait_metric(_OWNED, _PARTITIONS)
        attach(place)
        _said(place, "by the other")
    finally:
        frozen.resume()
    for each in (frozen, other):
        each.wait_metric(_OWNED, _PARTITIONS // 2)
    other.stop()
    _goes_on(place)
    return history(place, 2)


def truncated(place):
    """The log is gone, with what a reader has missed. (A warren of its own: terms begin anew.)"""
    with Deployment(place.warren.broker, gateways=1, broadcasters=1,
                    gateway={"origin.allow": ORIGIN}) as own, \
            own.broker.channel() as channel:
        alone, owner = SimpleNamespace(gateway=own.gateways[0]), own.broadcasters[0]
        with Client.on(alone) as client:
            epoch = client.do(command("subscribe", 3, channel="lobby"))["subscribe"]["epoch"]
            client.say(4, "lobby", "missed")
        channel.queue_delete(f"{own.prefix}.log.{LOBBY}")
        with Client.on(alone) as client:  # its append comes back, and is said again
            assert "publish" in client.do(command("publish", channel="lobby", data="new"))
            owner.wait_metric(_LOSSES, 1)
            owner.wait_metric(_OWNED, _PARTITIONS)
            assert "subscribe" in client.do(command("subscribe", 3, channel="lobby"))
            client.say(4, "lobby", "newer")
        found = {}
        for name, more in (("usually", {}), ("flag 2", {"flag": 2})):
            with Client.on(alone) as client:
                found[name] = client.told(command(
                    "subscribe", channel="lobby", recover=True, epoch=epoch, offset=0, **more))
    return found
