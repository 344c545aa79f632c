"""The accounts of compose/definitions.json may do what their service needs, and nothing else.

That they may do all that is needed is shown by all other tests, whose services use them.
"""

import pika
import pytest

PREFIX = "rights"
FORBIDDEN = [
    # A gateway that was taken over must not forge history or deliveries, nor listen to others.
    ("gateway", "publish", "log"),
    ("gateway", "publish", "gateways"),
    ("gateway", "publish", None),
    ("gateway", "consume", "log.0"),
    ("gateway", "consume", "owner.0"),
    ("gateway", "consume", "broadcasters"),
    ("gateway", "consume", "broadcaster.b1"),
    ("gateway", "declare", "log.1"),
    ("gateway", "declare", "owner.1"),
    ("gateway", "declare", "anything"),
    ("gateway", "delete", "log.0"),
    # Nor a broadcaster publish in the name of people, or order gateways about.
    ("broadcaster", "publish", "in"),
    ("broadcaster", "publish", "control"),
    ("broadcaster", "publish", None),
    ("broadcaster", "consume", "control"),
    ("broadcaster", "consume", "gateway.g1"),
    ("broadcaster", "declare", "gateway.g2"),
    ("broadcaster", "declare", "anything"),
    ("broadcaster", "delete", "gateway.g1"),
    ("broadcaster", "publish", "publish"),
    ("broadcaster", "consume", "publish"),
    # And a backend may publish, and nothing else: not read what others said, nor change anything.
    ("backend", "publish", "in"),
    ("backend", "publish", "log"),
    ("backend", "publish", "control"),
    ("backend", "publish", "dead"),
    ("backend", "publish", None),
    ("backend", "consume", "publish"),
    ("backend", "consume", "dead"),
    ("backend", "consume", "log.0"),
    ("backend", "declare", "publish"),
    ("backend", "declare", "anything"),
    ("backend", "delete", "publish"),
    ("backend", "publish", "events"),
    # A listener hears what it is told, in queues of its own.
    ("listener", "publish", "publish"),
    ("listener", "publish", "events"),
    ("listener", "publish", None),
    ("listener", "consume", "log.0"),
    ("listener", "consume", "gateway.g1"),
    ("listener", "declare", "anything"),
    ("listener", "delete", "log.0"),
    ("gateway", "publish", "events"),
]
EXCHANGES = ("in", "spill", "log", "owner", "gateways", "control", "publish", "events", "dead")
QUEUES = ("in.0", "spill.0", "log.0", "owner.0", "broadcasters", "broadcaster.b1", "gateway.g1",
          "control", "publish", "dead")


@pytest.fixture(name="topology", scope="module")
def _topology(broker):
    with broker.channel() as channel:
        for name in EXCHANGES:
            channel.exchange_declare(f"{PREFIX}.{name}", "direct", durable=True)
        for name in QUEUES:
            channel.queue_declare(f"{PREFIX}.{name}", durable=True)
    yield broker
    broker.forget(PREFIX)


def attempt(broker, user, action, name):
    """Does one thing as one user; raises when the broker refuses."""
    connection = pika.BlockingConnection(pika.URLParameters(broker.url(user)))
    try:
        channel = connection.channel()
        full = f"{PREFIX}.{name}"
        if action == "publish":
            channel.confirm_delivery()
            channel.basic_publish("" if name is None else full, f"{PREFIX}.in.0", b"x")
        elif action == "consume":
            channel.basic_consume(full, lambda *_: None)
        elif action == "declare":
            channel.queue_declare(full, durable=True)
        else:
            channel.queue_delete(full)
    finally:
        if connection.is_open:
            connection.close()


@pytest.mark.parametrize(("user", "action", "name"), FORBIDDEN)
def test_what_an_account_does_not_need_is_refused(topology, user, action, name):
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
        attempt(topology, user, action, name)
    assert refused.value.reply_code == 403


@pytest.mark.parametrize(("user", "action", "name"), [
    ("gateway", "publish", "in"), ("gateway", "publish", "owner"),
    ("gateway", "consume", "gateway.g1"),
    ("gateway", "publish", "control"), ("gateway", "consume", "control"),
    ("gateway", "consume", "publish"), ("backend", "publish", "publish"),
    ("broadcaster", "publish", "events"),
    ("broadcaster", "publish", "log"), ("broadcaster", "publish", "gateways"),
    ("broadcaster", "publish", "dead"), ("broadcaster", "consume", "in.0"),
    ("broadcaster", "consume", "log.0"), ("broadcaster", "consume", "owner.0"),
])
def test_what_an_account_needs_is_allowed(topology, user, action, name):
    attempt(topology, user, action, name)


@pytest.mark.parametrize("user", ["gateway", "broadcaster", "backend", "listener"])
def test_the_page_is_for_people_only(topology, user):
    with pytest.raises(RuntimeError, match="401"):
        topology.api("overview", user=user)


def test_nobody_is_let_in_as_guest(topology):
    with pytest.raises(pika.exceptions.AMQPError):
        attempt(topology, "guest", "publish", "in")
