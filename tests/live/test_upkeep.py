"""What README tells operators to do about arguments of queues does what it says."""

import asyncio

from kit import CentrifugeClient, Deployment, eventually

_PARTITIONS = 4
_OLD, _NEW = 200, 300


def _are_empty(broker, names):
    with broker.channel() as channel:
        return all(channel.queue_declare(name, passive=True).method.message_count == 0
                   for name in names)


def _change(broker, running):
    """Another in_max_length, step by step."""
    for gateway in running.gateways:
        gateway.stop()
    inputs = [f"{running.prefix}.in.{p}" for p in range(_PARTITIONS)]
    spills = [f"{running.prefix}.spill.{p}" for p in range(_PARTITIONS)]
    eventually(lambda: _are_empty(broker, inputs + spills), what="nothing waits")
    for owner in running.broadcasters:
        owner.stop()
    with broker.channel() as channel:
        for name in inputs:
            channel.queue_delete(name)
    for service in running.broadcasters + running.gateways:
        service.settings["topology.in_max_length"] = _NEW
    running.start()
    for name in inputs:
        assert broker.api(f"queues/%2F/{name}")["arguments"]["x-max-length"] == _NEW


async def test_inputs_are_given_another_length_and_nothing_is_lost(broker):
    with Deployment(broker, gateways=1, settings={"topology.in_max_length": _OLD}) as running:
        async with await CentrifugeClient.connect(running.gateways[0]) as ann:
            await ann.publish("lobby", "before")
            await ann.subscribe("lobby")
        await asyncio.to_thread(_change, broker, running)
        async with await CentrifugeClient.connect(running.gateways[0]) as ann:
            await ann.subscribe("lobby")
            await ann.publish("lobby", "after")
            await ann.expect_pub("lobby", "after")
            await ann.expect_history("lobby", [(1, "before"), (2, "after")])


def _limit_logs(broker, prefix):
    """A policy for all logs; returns its way in the API."""
    way = f"policies/%2F/{prefix}-logs"
    wanted = {"max-length-bytes": 2000000000, "max-age": "14D"}
    broker.api(way, method="PUT", body={
        "pattern": rf"^{prefix}\.log\.", "definition": wanted, "apply-to": "queues"})
    for p in range(_PARTITIONS):
        eventually(lambda log=f"{prefix}.log.{p}": broker.api(f"queues/%2F/{log}").get(
            "effective_policy_definition") == wanted, what="the policy counts")
    return way


async def test_logs_are_given_other_limits_by_a_policy_while_it_runs(broker):
    with Deployment(broker, gateways=1, broadcasters=1) as running:
        async with await CentrifugeClient.connect(running.gateways[0]) as ann:
            await ann.subscribe("lobby")
            await ann.publish("lobby", "before")
            policy = await asyncio.to_thread(_limit_logs, broker, running.prefix)
            try:
                await ann.publish("lobby", "after")
                await ann.expect_pub("lobby", "after")
                owner = running.broadcasters[0]
                await asyncio.to_thread(owner.restart)  # with the settings of before
                await ann.expect_history("lobby", [(1, "before"), (2, "after")])
            finally:
                broker.api(policy, method="DELETE")
