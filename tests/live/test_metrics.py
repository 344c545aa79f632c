"""What an operator sees of a conversation, a take-over and a refusal."""

import asyncio

import pytest
from kit import CentrifugeClient, CommandError, Deployment
from kit.talk import Talk, all_go_on, finish_all
from kit.waiting import eventually_async
from pika_gateway import ROOMS


def _count(service, name):
    """Observations of a histogram; its buckets and its sum must agree with them."""
    count = service.metric(f"{name}_count")
    assert service.metric(f"{name}_bucket", le="+Inf") >= count
    assert (service.metric(f"{name}_sum") > 0) == (count > 0)
    return count


async def test_every_hop_of_a_message_is_timed(deployment):
    one, two = deployment.gateways
    talks = [await Talk.start(room, one, two, pause=0.01) for room in ROOMS]
    await all_go_on(talks)
    await finish_all(talks)
    assert _count(one, "warren_gateway_publish_seconds") == \
        one.metric("warren_gateway_publishes_confirmed_total") == sum(t.confirmed for t in talks)
    assert _count(two, "warren_gateway_delivery_seconds") > 0
    for owner in deployment.broadcasters:
        assert _count(owner, "warren_broadcaster_append_seconds") > 0
        assert _count(owner, "warren_broadcaster_input_seconds") > 0
        assert _count(owner, "warren_broadcaster_takeover_seconds") == \
            owner.metric("warren_broadcaster_takeovers_total") >= 2
        await eventually_async(
            lambda owner=owner: owner.metric("warren_broadcaster_partition_backlog") == 0 ==
            owner.metric("warren_broadcaster_partition_lag_milliseconds"), what="all is acked")


async def test_a_take_over_shows_in_terms(broker):
    with Deployment(broker, gateways=1) as running:
        victim, heir = running.broadcasters
        for owner in running.broadcasters:
            owner.wait_metric("warren_broadcaster_owned_partitions", 2)
        await asyncio.to_thread(victim.kill)
        await eventually_async(
            lambda: heir.metric("warren_broadcaster_owned_partitions") == 4, what="all are served")
        await eventually_async(
            lambda: sum(heir.metric("warren_broadcaster_partition_term", partition=p) >= 2
                        for p in range(4)) >= 2, what="two have a second owner")
        assert _count(heir, "warren_broadcaster_takeover_seconds") >= 4


async def test_an_error_is_counted_by_its_code(deployment):
    gateway = deployment.gateways[0]
    client = await CentrifugeClient.connect(gateway)
    with pytest.raises(CommandError) as refused:
        await client.call("presence", channel="")
    assert gateway.metric("warren_gateway_errors_total", code=refused.value.code) == 1
    assert gateway.metric("warren_gateway_errors_total") == \
        gateway.metric("warren_gateway_errors_sent_total") == 1
    await client.close()
