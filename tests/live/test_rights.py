"""The accounts of compose/definitions.json may do what their service needs, and nothing else.

That the services can live with these rights is shown by all other tests, whose services have them.
"""

import node
import pika
import pytest
from kit import Deployment, eventually

PREFIX = "rights"
VHOST = "rights-elsewhere"
EXCHANGES = {"in": "direct", "spill": "direct", "log": "direct", "owner": "direct",
             "gateways": "direct", "gateway.g1": "fanout", "gateway.g2": "fanout",
             "control": "fanout", "publish": "topic", "events": "topic",
             "sessions": "topic", "dead": "fanout", "unrouted.4": "fanout"}
STREAMS = ("log.0", "control")
QUEUES = ("in.0", "spill.0", "owner.0", "broadcasters", "broadcaster.b1", "gateway.g1",
          "gateway.g2", "members", "publish", "dead")

# Who, what, on what. Of a bind: the queue, and behind which exchange.
ALLOWED = [
    # A gateway gets its own queue its deliveries, and the records of its people to the owners.
    ("gateway", "publish", "in"), ("gateway", "publish", "owner"),
    ("gateway", "publish", "control"), ("gateway", "publish", "dead"),
    ("gateway", "publish", "sessions"),
    ("gateway", "exchange", "gateway.g3"), ("gateway", "declare", "gateway.g3"),
    ("gateway", "bind", "gateway.g1", "gateway.g1"), ("gateway", "chain", "gateway.g1", "gateways"),
    ("gateway", "consume", "gateway.g1"), ("gateway", "consume", "control"),
    ("gateway", "consume", "publish"), ("gateway", "consume", "members"),
    ("gateway", "delete", "gateway.g3"),
    # Exchange and stream share a name: who writes the one and reads the other may bind the two.
    ("gateway", "bind", "control", "control"),
    ("gateway", "look", "in.0"), ("gateway", "look", "log.0"), ("gateway", "look", "members"),
    ("gateway", "look", "control"), ("gateway", "look", "publish"),
    # A broadcaster takes the input, writes the log, and delivers.
    ("broadcaster", "publish", "log"), ("broadcaster", "publish", "gateways"),
    ("broadcaster", "publish", "owner"), ("broadcaster", "publish", "spill"),
    ("broadcaster", "publish", "dead"), ("broadcaster", "publish", "events"),
    ("broadcaster", "consume", "in.0"), ("broadcaster", "consume", "spill.0"),
    ("broadcaster", "consume", "log.0"), ("broadcaster", "consume", "owner.0"),
    ("broadcaster", "consume", "broadcasters"), ("broadcaster", "declare", "owner.1"),
    ("broadcaster", "declare", "in.1"), ("broadcaster", "declare", "broadcaster.b2"),
    ("broadcaster", "bind", "in.0", "in"), ("broadcaster", "bind", "owner.0", "owner"),
    ("broadcaster", "chain", "spill", "unrouted.4"),
    ("broadcaster", "chain", "dead", "unrouted.4"),
    ("broadcaster", "chain", "events", "sessions"),
    # And makes what gateways use.
    ("broadcaster", "declare", "members"), ("broadcaster", "declare", "control"),
    ("broadcaster", "exchange", "control"), ("broadcaster", "declare", "publish"),
    ("broadcaster", "exchange", "publish"), ("broadcaster", "bind", "publish", "publish"),
    # Other programs publish, or listen in queues of their own.
    ("backend", "publish", "publish"),
    ("listener", "declare", "app.rights"), ("listener", "bind", "app.rights", "events"),
    ("listener", "consume", "app.rights"), ("listener", "delete", "app.rights"),
]
FORBIDDEN = [
    # A gateway that was taken over must not forge history or deliveries.
    ("gateway", "publish", "log"), ("gateway", "publish", "gateways"),
    ("gateway", "publish", "spill"), ("gateway", "publish", "events"),
    ("gateway", "publish", None),  # the default exchange, which reaches every queue
    # Nor make more of what it may tell of sessions: only broadcasters bind the two.
    ("gateway", "chain", "events", "sessions"), ("gateway", "unmake", "sessions"),
    ("gateway", "unmake", "events"), ("gateway", "bind", "gateway.g1", "sessions"),
    # Nor listen to others: what people say goes to the owners alone.
    ("gateway", "consume", "in.0"), ("gateway", "consume", "spill.0"),
    ("gateway", "consume", "log.0"), ("gateway", "consume", "owner.0"),
    ("gateway", "consume", "broadcasters"), ("gateway", "consume", "broadcaster.b1"),
    ("gateway", "consume", "dead"), ("gateway", "get", "in.0"), ("gateway", "purge", "in.0"),
    ("gateway", "bind", "gateway.g1", "in"), ("gateway", "bind", "gateway.g1", "log"),
    ("gateway", "bind", "gateway.g1", "owner"), ("gateway", "bind", "gateway.g1", "events"),
    ("gateway", "bind", "in.0", "gateway.g1"), ("gateway", "chain", "gateways", "gateway.g1"),
    # Nor make or destroy anything but its own.
    ("gateway", "declare", "log.1"), ("gateway", "declare", "in.1"),
    ("gateway", "declare", "owner.1"), ("gateway", "declare", "anything"),
    ("gateway", "declare", None),  # with a name that the broker chooses
    ("gateway", "exchange", "in"), ("gateway", "exchange", "anything"),
    ("gateway", "delete", "log.0"), ("gateway", "delete", "in.0"), ("gateway", "delete", "dead"),
    ("gateway", "delete", "broadcasters"), ("gateway", "unmake", "in"),
    ("gateway", "unmake", "log"), ("gateway", "unmake", "gateways"),
    ("gateway", "delete", "spill.0"), ("gateway", "purge", "spill.0"),
    ("gateway", "delete", "owner.0"), ("gateway", "purge", "owner.0"),
    ("gateway", "declare", "dead"), ("gateway", "purge", "dead"),
    ("gateway", "exchange", "owner"), ("gateway", "exchange", "dead"),
    ("gateway", "exchange", "sessions"), ("gateway", "unmake", "owner"),
    ("gateway", "unmake", "dead"), ("gateway", "bind", "dead", "dead"),
    ("gateway", "bind", "in.0", "in"), ("gateway", "unbind", "in.0", "in"),
    ("gateway", "publish", "unrouted.4"), ("gateway", "chain", "spill", "unrouted.4"),
    ("gateway", "chain", "gateway.g1", "unrouted.4"),
    # Bans, what programs published and what counts the gateways are for all of them: nobody
    # destroys them or turns them aside. (Who consumes a queue can also empty it.)
    ("gateway", "declare", "control"), ("gateway", "exchange", "control"),
    ("gateway", "delete", "control"), ("gateway", "unmake", "control"),
    ("gateway", "declare", "publish"), ("gateway", "exchange", "publish"),
    ("gateway", "delete", "publish"), ("gateway", "unmake", "publish"),
    ("gateway", "publish", "publish"), ("gateway", "bind", "publish", "publish"),
    ("gateway", "unbind", "publish", "publish"), ("gateway", "bind", "publish", "gateways"),
    ("gateway", "chain", "publish", "gateways"), ("gateway", "declare", "members"),
    ("gateway", "delete", "members"), ("gateway", "bind", "members", "gateways"),
    # A broadcaster does not publish in the name of people, or order gateways about.
    ("broadcaster", "publish", "in"), ("broadcaster", "publish", "control"),
    ("broadcaster", "publish", "sessions"), ("broadcaster", "publish", None),
    ("broadcaster", "bind", "control", "control"), ("broadcaster", "unbind", "control", "control"),
    ("broadcaster", "bind", "control", "log"), ("broadcaster", "chain", "control", "log"),
    ("broadcaster", "consume", "control"), ("broadcaster", "consume", "members"),
    ("broadcaster", "bind", "members", "log"),
    ("broadcaster", "consume", "gateway.g1"), ("broadcaster", "bind", "broadcaster.b1", "gateways"),
    ("broadcaster", "bind", "broadcaster.b1", "control"),
    ("broadcaster", "declare", "gateway.g3"), ("broadcaster", "delete", "gateway.g1"),
    ("broadcaster", "declare", "anything"), ("broadcaster", "declare", None),
    # A backend does not read what others said, nor change anything.
    ("backend", "publish", "in"), ("backend", "publish", "log"), ("backend", "publish", "control"),
    ("backend", "publish", "dead"), ("backend", "publish", "sessions"),
    ("backend", "publish", "events"), ("backend", "publish", None),
    ("backend", "consume", "publish"), ("backend", "consume", "dead"),
    ("backend", "consume", "log.0"), ("backend", "declare", "publish"),
    ("backend", "declare", "anything"), ("backend", "declare", None),
    ("backend", "bind", "publish", "publish"), ("backend", "delete", "publish"),
    # A listener hears what it is told, in queues of its own.
    ("listener", "publish", "publish"), ("listener", "publish", "events"),
    ("listener", "publish", "in"), ("listener", "publish", None),
    ("listener", "consume", "log.0"), ("listener", "consume", "gateway.g1"),
    ("listener", "consume", "publish"), ("listener", "declare", "anything"),
    ("listener", "declare", None), ("listener", "delete", "log.0"),
    ("listener", "unmake", "events"), ("listener", "publish", "sessions"),
    ("listener", "chain", "events", "sessions"),
]


@pytest.fixture(name="topology", scope="module")
def _topology(broker):
    with broker.channel() as channel:
        for name, kind in EXCHANGES.items():
            channel.exchange_declare(f"{PREFIX}.{name}", kind, durable=True)
        for name in QUEUES:
            channel.queue_declare(f"{PREFIX}.{name}", durable=True)
        for name in STREAMS:
            channel.queue_declare(f"{PREFIX}.{name}", durable=True,
                                  arguments={"x-queue-type": "stream"})
        channel.queue_declare("app.rights", durable=True)
    yield broker
    broker.forget(PREFIX)


def _full(name):
    return name if name is None or name.startswith("app.") else f"{PREFIX}.{name}"


def _act(channel, action, name, source):
    full, behind = _full(name), _full(source)
    if action == "publish":
        channel.confirm_delivery()
        channel.basic_publish(full or "", f"{PREFIX}.in.0", b"x")
    elif action == "consume":
        channel.basic_qos(prefetch_count=1)  # which a stream asks for
        channel.basic_consume(full, lambda *_: None)
    elif action == "get":
        channel.basic_get(full)
    elif action == "purge":
        channel.queue_purge(full)
    elif action == "declare":
        kind = {"x-queue-type": "stream"} if name in STREAMS else None
        channel.queue_declare(full or "", durable=True, arguments=kind)
    elif action == "look":
        channel.queue_declare(full, passive=True)
    elif action == "exchange":
        channel.exchange_declare(full, EXCHANGES.get(name, "fanout"), durable=True)
    elif action == "bind":
        channel.queue_bind(full, behind, "x")
    elif action == "unbind":
        channel.queue_unbind(full, behind, "x")
    elif action == "chain":
        channel.exchange_bind(full, behind, "x")
    elif action == "unmake":
        channel.exchange_delete(full)
    else:
        channel.queue_delete(full)


class _Accounts:
    """A connection for each account; a probe has a channel of its own, which a refusal ends."""

    def __init__(self, broker):
        self._broker = broker
        self._connections = {}

    def attempt(self, user, action, name, source=None):
        """Does one thing as one user; raises when the broker refuses."""
        if user not in self._connections:
            self._connections[user] = connect(self._broker, user)
        channel = self._connections[user].channel()
        try:
            _act(channel, action, name, source)
        finally:
            if channel.is_open:
                channel.close()

    def close(self):
        for connection in self._connections.values():
            connection.close()


def connect(broker, user, vhost=""):
    return pika.BlockingConnection(pika.URLParameters(broker.url(user) + vhost))


@pytest.fixture(name="accounts", scope="module")
def _accounts(topology):
    made = _Accounts(topology)
    yield made
    made.close()


def _name(probe):
    who, action, *what = probe
    return " ".join([who, action, *(str(word or "unnamed") for word in what)])


@pytest.mark.parametrize("probe", FORBIDDEN, ids=_name)
def test_what_an_account_does_not_need_is_refused(accounts, probe):
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
        accounts.attempt(*probe)
    assert refused.value.reply_code == 403


@pytest.mark.parametrize("probe", ALLOWED, ids=_name)
def test_what_an_account_needs_is_allowed(accounts, probe):
    accounts.attempt(*probe)


def test_nobody_can_empty_the_stream_of_orders(topology):
    connection = connect(topology, "gateway")  # which is ended by the attempt
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker):
        connection.channel().queue_purge(_full("control"))


def test_an_account_is_good_for_its_own_vhost_only_and_not_for_the_page(broker):
    broker.api(f"vhosts/{VHOST}", method="PUT")
    try:
        connect(broker, node.ADMIN).close()
        for user in ("gateway", "broadcaster", "backend", "listener"):
            with pytest.raises(pika.exceptions.AMQPConnectionError):
                connect(broker, user, VHOST)
            with pytest.raises(RuntimeError, match="401"):
                broker.api("overview", user=user)
    finally:
        broker.api(f"vhosts/{VHOST}", method="DELETE")


def test_nobody_is_let_in_as_guest(broker):
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        connect(broker, "guest")
    assert "guest" not in {one["name"] for one in broker.api("users")}


def test_what_an_account_may_take_up_is_bounded(broker):
    for user in ("gateway", "broadcaster", "backend", "listener"):
        [limits] = broker.api(f"user-limits/{user}")
        assert set(limits["value"]) == {"max-connections", "max-channels"}
    [limits] = broker.api("vhost-limits")
    assert set(limits["value"]) == {"max-connections", "max-queues"}
    with broker.channel() as channel:
        channel.queue_declare("app.bounded", durable=True)
        eventually(lambda: broker.api("queues/%2F/app.bounded").get("policy"))
        channel.queue_delete("app.bounded")


def test_a_gateway_waits_for_a_broadcaster_to_make_what_it_may_not(broker):
    with Deployment(broker, gateways=0, broadcasters=1, settings={"log.level": "debug"}) as running:
        [broadcaster] = running.broadcasters
        broadcaster.stop()
        broker.forget(running.prefix)
        gateway = running.add_gateway(start=False).start(wait=False)
        eventually(lambda: gateway.log_text().count("bus waits") == 2)
        assert f'reason="{running.prefix}.gateways is not there"' in gateway.log_text()
        assert gateway.get("/live")[0] == 200 and gateway.get("/ready")[0] == 503
        broadcaster.start()
        gateway.wait_ready()
        assert gateway.metric("warren_gateway_sessions") == 0


def test_what_gateways_may_not_make_comes_back_by_itself(broker):
    with Deployment(broker, gateways=1, broadcasters=1) as running:
        for name in ("members", "control", "publish"):
            with broker.channel() as channel:
                channel.queue_delete(f"{running.prefix}.{name}")
        for name, count in (("members", 1), ("control", 0), ("publish", 1)):  # a stream counts none
            eventually(lambda n=name, c=count: _consumers(broker, f"{running.prefix}.{n}") == c,
                       what=f"the gateway consumes {name} again")
        with broker.channel() as channel:
            channel.exchange_delete(f"{running.prefix}.publish")
        eventually(lambda: "publish" in [
            binding["source"].removeprefix(f"{running.prefix}.")
            for binding in broker.api(f"queues/%2F/{running.prefix}.publish/bindings")])
        running.gateways[0].wait_ready()
        assert running.gateways[0].metric("warren_gateway_bus_aborts_total") == 0


def _consumers(broker, queue):
    try:
        with broker.channel() as channel:
            return channel.queue_declare(queue, passive=True).method.consumer_count
    except pika.exceptions.ChannelClosedByBroker:
        return None  # it is not there


@pytest.mark.parametrize("key, value, says", [
    ("partitions", 8, "another number of partitions"),
    ("queue_type", "quorum", "another queue_type"),
])
def test_a_gateway_that_wants_another_topology_says_so_and_ends(broker, key, value, says):
    with Deployment(broker, gateways=0, broadcasters=1) as running:
        gateway = running.add_gateway(start=False, **{f"topology__{key}": value}).start(wait=False)
        assert gateway.process.wait(60) not in (0, None)
        assert says in gateway.log_text()
        running.gateways.clear()
