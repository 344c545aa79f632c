"""What a new owner knows of the past: it gives all of it or says that it cannot."""

import asyncio

from kit import CentrifugeClient, CommandError, Deployment

_SETTINGS = {"topology.partitions": 1, "broadcaster.checkpoint_bytes": "64k"}


async def _past(client, room, epoch):
    """All records of a room; None if the owner says that it does not have them."""
    try:
        since = {"epoch": epoch, "offset": 0}
        return (await client.call("history", channel=room, limit=100, since=since))["publications"]
    except CommandError as error:
        assert error.code == 112
        return None


async def test_a_past_that_the_owner_does_not_have_is_no_empty_past(broker):
    with Deployment(broker, gateways=1, broadcasters=1, broadcaster=_SETTINGS,
                    gateway={"topology.partitions": 1}) as running:
        client = await CentrifugeClient.connect(running.gateways[0])
        for room in ("quiet", "busy"):
            await client.subscribe(room)
        for number in range(5):
            await client.publish("quiet", number)
        for number in range(4):
            for _ in range(20):  # so much that the log is not read back to where it began
                await client.publish("busy", "x" * 8000)
            await client.publish("quiet", f"round {number}")
            await client.expect_pub("quiet", f"round {number}")
            await asyncio.to_thread(running.broadcasters[0].restart)
            await client.publish("busy", f"round {number}")
            await client.expect_pub("busy", f"round {number}")
            place = await client.call("history", channel="quiet", limit=0)
            past = await _past(client, "quiet", place["epoch"])
            assert past is None or [pub["offset"] for pub in past] == list(
                range(1, place["offset"] + 1))
        await client.close()
