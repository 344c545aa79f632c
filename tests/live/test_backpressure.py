"""The broker takes no more: what waits is refused in time, nothing grows, all goes on by itself."""

import asyncio
import re

from kit import CentrifugeClient, CommandError, Deployment, eventually
from kit.talk import Talk, all_go_on, finish_all
from kit.waiting import eventually_async
from pika_gateway import ROOMS

_ROOM_MAX = 100  # batches that may wait in a partition's input
_FULL, _OTHER = "lobby", "porch"  # of two partitions, of four
_FLOOD = 20000
_PAGE = "x" * 8192
_NACKS = "warren_gateway_batches_refused_total"
_GROWTH_MB = 150  # that the sanitizer and the sessions' own queues may cost
_SETTINGS = {"topology.in_max_length": _ROOM_MAX, "gateway.publish_wait": "1s",
             "gateway.errors": "1000000"}


def _resident_mb(service):
    """Memory that the process has now."""
    with open(f"/proc/{service.pid}/status", encoding="ascii") as status:
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status.read(), re.MULTILINE)[1]) // 1024


async def _accepted(client, room, data):
    """Whether a publish was accepted; a refusal must be a temporary one."""
    try:
        await client.publish(room, data)
        return True
    except CommandError as error:
        assert error.code == 100 and error.temporary
        return False


async def _fill(client, gateway, room):
    """Publishes numbers one after the other until the broker has no room; those it accepted, and
    the one that is in doubt, still unanswered."""
    accepted = []
    for number in range(2 * _ROOM_MAX):
        nacks = gateway.metric(_NACKS)
        doubt = asyncio.create_task(client.publish(room, number))
        await eventually_async(
            lambda before=nacks, task=doubt: task.done() or gateway.metric(_NACKS) > before + 1)
        if not doubt.done():
            return accepted, number, doubt
        await doubt
        accepted.append(number)
    raise AssertionError(f"{2 * _ROOM_MAX} batches were accepted where {_ROOM_MAX} may wait")


async def test_a_full_partition_refuses_and_goes_on_by_itself(broker, monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=1:quarantine_size_mb=8")
    with Deployment(broker, broadcasters=1, settings=_SETTINGS) as running:
        one, two = running.gateways
        ann, bob = await CentrifugeClient.connect(one), await CentrifugeClient.connect(two)
        for room in (_FULL, _OTHER):
            await bob.subscribe(room)
            await ann.publish(room, "first")
            await bob.expect_pub(room, "first")
        await asyncio.to_thread(running.broadcasters[0].kill)

        accepted, in_doubt, doubt = await _fill(ann, one, _FULL)
        assert len(accepted) >= _ROOM_MAX
        # What comes behind it is refused; other partitions have room.
        behind = await asyncio.gather(*(_accepted(ann, _FULL, f"behind {i}") for i in range(50)))
        assert not any(behind)
        for number in range(10):
            assert await _accepted(ann, _OTHER, number)
        before = _resident_mb(one)
        flood = await asyncio.gather(*(_accepted(ann, _FULL, _PAGE) for _ in range(_FLOOD)))
        assert not any(flood)
        grown = _resident_mb(one) - before
        print(f"{_FLOOD * len(_PAGE) >> 20} MB refused, grown by {grown} MB")
        assert grown < _GROWTH_MB
        assert one.metric("warren_gateway_publishes_waiting") == 1  # the one in doubt
        assert one.metric("warren_gateway_publishes_refused_full_total") > 0
        assert one.metric("warren_gateway_publishes_refused_late_total") > 0
        assert not doubt.done() and not ann.closed and not bob.closed

        await asyncio.to_thread(running.broadcasters[0].start)
        await doubt
        await ann.publish(_FULL, "last")
        await ann.publish(_OTHER, "last")
        await bob.expect_pub(_FULL, "last")
        await eventually_async(lambda: len(bob.pubs(_OTHER)) == 12)
        for room, numbers in ((_FULL, [*accepted, in_doubt]), (_OTHER, list(range(10)))):
            pubs = bob.pubs(room)
            assert [p["data"] for p in pubs] == ["first", *numbers, "last"]
            assert [p["offset"] for p in pubs] == list(range(1, len(pubs) + 1))
        await ann.close()
        await bob.close()


async def test_two_gateways_share_a_full_partition(broker):
    """Both are refused while nobody reads, and both go on; each keeps its own order."""
    with Deployment(broker, broadcasters=1, settings=_SETTINGS) as running:
        one, two = running.gateways
        talks = [await Talk.start(_FULL, one, two), await Talk.start(_OTHER, two, one)]
        await all_go_on(talks)
        for _ in range(2):
            wanted = [1 + gateway.metric(_NACKS) for gateway in running.gateways]
            await asyncio.to_thread(running.broadcasters[0].kill)
            await eventually_async(
                lambda least=wanted: all(gateway.metric(_NACKS) > least[i]
                                         for i, gateway in enumerate(running.gateways)),
                what="the broker refuses")
            await asyncio.to_thread(running.broadcasters[0].start)
            await all_go_on(talks)
        assert not any(talk.refused for talk in talks)  # each had but the one that was in doubt
        await finish_all(talks)


async def _alarm_test(broker, raise_alarm, end_alarm):
    with Deployment(broker, settings={"gateway.publish_wait": "1s"}) as running:
        one, two = running.gateways
        talks = [await Talk.start(room, one, two) for room in ROOMS]
        reader = await CentrifugeClient.connect(two)
        await reader.subscribe(_FULL)
        await all_go_on(talks)
        raise_alarm()
        try:
            # Those that publish are told, and tell whoever asks.
            await eventually_async(lambda: one.get("/ready") == (
                503, "RabbitMQ raised an alarm\n"), what="the alarm is known")
            assert one.metric("warren_gateway_bus_blocked") == 1
            assert one.get("/live")[0] == 200
            # A room that is known can be entered, and what cannot be taken is refused in time.
            async with await CentrifugeClient.connect(two) as late:
                await late.subscribe(_FULL)
            async with await CentrifugeClient.connect(one) as late:
                assert not await _accepted(late, _OTHER, "behind the talk's, that is in doubt")
            assert not any(t.writer.closed or t.reader.closed for t in talks)
        finally:
            end_alarm()
        for service in running.gateways + running.broadcasters:
            await asyncio.to_thread(service.wait_ready)
        await all_go_on(talks)
        assert one.metric("warren_gateway_bus_blocked") == 0
        await finish_all(talks)
        await reader.close()


async def test_a_memory_alarm_is_waited_out(own_broker):
    await _alarm_test(own_broker,
                      lambda: own_broker.ctl("set_vm_memory_high_watermark", "0.0001"),
                      lambda: own_broker.ctl("set_vm_memory_high_watermark", "0.4"))


async def test_a_disk_alarm_is_waited_out(own_broker):
    def alarm():
        own_broker.ctl("set_disk_free_limit", "100000GB")
        eventually(lambda: "disk" in own_broker.ctl("eval", "rabbit_alarm:get_alarms()."))
    await _alarm_test(own_broker, alarm, lambda: own_broker.ctl("set_disk_free_limit", "100MB"))
