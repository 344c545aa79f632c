"""A publish that is repeated under its idempotency key is delivered once."""

import asyncio
import json

import pytest
from kit import CentrifugeClient, CommandError, Deployment, PlainClient
from kit.waiting import eventually_async


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker) as running:
        yield running


async def _connect(warren, gateway, user=None):
    token = warren.token(user) if user else None
    return await CentrifugeClient.connect(warren.gateways[gateway], token=token)


async def _publish(client, room, data, key):
    return await client.call("publish", channel=room, data=data, idempotency_key=key)


async def _end_of(client, room):
    """What the room holds, up to a record that was published after all others."""
    await client.publish(room, "end")
    await client.expect_pub(room, "end")
    return [pub["data"] for pub in client.pubs(room)][:-1]


async def test_a_repeat_on_another_connection_and_gateway_is_answered_and_not_delivered(warren):
    async with await _connect(warren, 0, "ann") as one, await _connect(warren, 1, "ann") as two:
        await two.subscribe("again")
        assert await _publish(one, "again", "first", "k1") == {}
        assert await _publish(two, "again", "first", "k1") == {}
        for client in (one, two):
            with pytest.raises(CommandError) as error:
                await _publish(client, "again", "other words", "k1")
            assert error.value.code == 107
        assert await _publish(one, "again", "second", "k2") == {}
        assert await _publish(two, "again", "other words", "k2") == {}  # unknown here: dropped
        assert await one.publish("again", "plain") == {}
        assert await one.publish("again", "plain") == {}
        assert await _end_of(two, "again") == ["first", "second", "plain", "plain"]
        assert [pub["offset"] for pub in two.pubs("again")] == [1, 2, 3, 4, 5]
    dropped = sum(b.metric("warren_broadcaster_keys_dropped_total") for b in warren.broadcasters)
    assert dropped >= 2


async def test_a_key_belongs_to_its_user_and_its_room(warren):
    async with await _connect(warren, 0, "ann") as ann, await _connect(warren, 1, "bob") as bob, \
            await _connect(warren, 0) as nobody, await _connect(warren, 1) as no_one:
        for room in ("mine", "yours"):
            await ann.subscribe(room)
            await _publish(ann, room, "ann", "k")
            await _publish(bob, room, "bob", "k")
            await _publish(nobody, room, "nobody", "k")
            await _publish(no_one, room, "no one", "k")  # people without a name share their keys
            assert await _end_of(ann, room) == ["ann", "bob", "nobody"]


async def test_an_rpc_can_say_what_an_sdks_publish_cannot(warren):
    async with await _connect(warren, 0, "ann") as one, await _connect(warren, 1, "ann") as two:
        await one.subscribe("rpc")
        data = {"channel": "rpc", "data": {"n": 1.10}, "idempotency_key": "k"}
        for client in (one, two):
            command = client.command("rpc")
            command["rpc"] = {"method": "publish", "data": data}
            [reply] = await client.call_all(command)
            assert reply == {"id": command["id"], "rpc": {"data": {}}}
        assert await _publish(two, "rpc", {"n": 1.10}, "k") == {}  # the same key either way
        assert await _end_of(one, "rpc") == [{"n": 1.1}]


async def test_a_plain_client_names_its_publishes_by_id(warren):
    token = warren.token("ann")
    one, two = warren.gateways
    async with await PlainClient.settled(one, "plain-once", token=token) as ann, \
            await PlainClient.settled(two, "plain-once", token=token) as again:
        for client in (ann, again, ann):
            await client.send({"message": "first", "id": "7f3"})
        for _ in range(2):  # no key: numbers are the publisher's business
            await ann.send({"message": "counted", "id": 7})
        for _ in range(2):  # gateways are in no order with each other
            await again.expect({"message": "counted"})
        await again.send({"message": "end", "id": "end"})
        for client in (ann, again):
            await client.expect({"message": "end", "id": "end"})
            said = [(m["message"], m["id"]) for m in client.received if "message" in m]
            assert sorted(said, key=str) == [
                ("counted", 7), ("counted", 7), ("end", "end"), ("first", "7f3")]


@pytest.mark.parametrize("key", ["k" * 65, "a\"b", "a\\b", "caf\u00e9", "a\tb", 7])
async def test_what_can_be_no_key_is_refused(warren, key):
    async with await _connect(warren, 0) as client:
        with pytest.raises(CommandError) as error:
            await _publish(client, "bad-key", 1, key)
        assert error.value.code == 107
    if isinstance(key, str):
        async with await PlainClient.join(warren.gateways[0], "bad-key") as client:
            await client.send_text(json.dumps({"id": key}))
            await client.expect(lambda m: m.get("error", {}).get("code") == 107)


async def test_a_repeat_after_the_owner_was_killed_is_not_delivered(broker):
    with Deployment(broker, broadcaster={"broadcaster.checkpoint_bytes": "64k"}) as running:
        async with await _connect(running, 0, "ann") as one, \
                await _connect(running, 1, "ann") as two:
            rooms = [f"killed-{i}" for i in range(8)]  # in all partitions
            for room in rooms:
                await two.subscribe(room)
            for life in range(4):
                victim = running.broadcasters[life % 2]
                for room in rooms:
                    await _publish(one, room, f"early {life}", f"early-{life}")
                    # More than lies between two checkpoints: the key is behind the log's tail.
                    await asyncio.gather(*(one.publish(room, "x" * 2000) for _ in range(20)))
                doubted = [asyncio.create_task(_publish(one, room, f"late {life}", f"late-{life}"))
                           for room in rooms]
                await asyncio.to_thread(victim.kill)
                await asyncio.gather(*doubted)
                for room in rooms:
                    for past in range(life + 1):
                        await _publish(two, room, "again", f"early-{past}")
                        await _publish(two, room, "again", f"late-{past}")
                await asyncio.to_thread(victim.start)
            wanted = [f"{when} {life}" for life in range(4) for when in ("early", "late")]
            for room in rooms:
                said = [data for data in await _end_of(two, room) if not data.startswith("x")]
                assert said == wanted
                offsets = [pub["offset"] for pub in two.pubs(room)]
                assert offsets == list(range(1, len(offsets) + 1))
            await eventually_async(
                lambda: sum(b.metric("warren_broadcaster_checkpoints_total")
                            for b in running.broadcasters) > 0, what="checkpoints were written")


async def test_the_window_can_be_closed(broker):
    with Deployment(broker, gateways=1, broadcasters=1,
                    settings={"room.idempotency_window": "0"}) as running:
        async with await _connect(running, 0, "ann") as ann:
            await ann.subscribe("open")
            await _publish(ann, "open", 1, "k")
            await _publish(ann, "open", 2, "k")
            assert await _end_of(ann, "open") == [1, 2]
