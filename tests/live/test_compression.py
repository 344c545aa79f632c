"""permessage-deflate with clients that nobody here wrote: python3-websockets and Node's ws."""

import pytest
from kit import CentrifugeClient, Deployment, PlainClient
from kit.client import Socket
from kit.sdk import Sdk
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

TEXT = "".join(f"{i} people said something that is worth hearing, " for i in range(400))
ODD = "".join(chr(33 + i * i % 1977) for i in range(30000))  # letters of two bytes among others
PLAIN, PACKED = {}, {"compression": "deflate"}


@pytest.fixture(scope="module")
def warren(broker):
    # One gateway: what it counts is all there is.
    gateway = {"gateway.echo": "yes", "gateway.max_message": "4m", "gateway.out_queue": "8m"}
    with Deployment(broker, gateways=1, broadcasters=1, gateway=gateway) as running:
        yield running


def _echo(deployment):
    return f"ws://127.0.0.1:{deployment.gateways[0].port}/echo"


def _speaks(client):
    """The extension as the client negotiated it, or None."""
    extensions = client.connection.extensions
    assert len(extensions) <= 1
    return extensions[0] if extensions else None


def _counted(gateway, what):
    return gateway.metric(f"warren_gateway_compressed_{what}")


async def test_with_and_without_compression_they_share_a_room(warren):
    gateway = warren.gateways[0]
    async with await PlainClient.settled(gateway, "mixed", **PACKED) as ann, \
            await PlainClient.settled(gateway, "mixed", **PLAIN) as bob, \
            await PlainClient.settled(gateway, "mixed", **PACKED) as eve, \
            await CentrifugeClient.connect(gateway, open_options=PACKED) as joe:
        await joe.subscribe("mixed")
        assert [bool(_speaks(client)) for client in (ann, bob, eve, joe)] == \
            [True, False, True, True]
        for speaker in (ann, bob, eve):
            before = _counted(gateway, "out_total")
            said = {"username": "x", "message": TEXT + str(before)}
            await speaker.send(said)
            for listener in (ann, bob, eve):
                await listener.expect(said)
            await joe.expect_pub("mixed", said)
            # Once for each dialect, however many hear it.
            assert _counted(gateway, "out_total") == before + 2
        assert _counted(gateway, "out_after_bytes_total") < \
            _counted(gateway, "out_before_bytes_total") / 4
        assert _counted(gateway, "in_total") > 0
        await bob.say("bob", "short")
        for listener in (ann, eve):
            await listener.expect({"message": "short"})
        assert _counted(gateway, "out_total") == before + 2


@pytest.mark.parametrize("wanted, window", [
    ({}, 15),
    ({"server_no_context_takeover": True}, 15),
    ({"client_no_context_takeover": True}, 15),
    ({"server_max_window_bits": 9}, 9),
    ({"server_max_window_bits": 12, "client_max_window_bits": 9}, 12),
    ({"server_max_window_bits": 15, "client_max_window_bits": 15}, 15),
    ({"client_max_window_bits": 10}, 15),
    ({"client_max_window_bits": None}, 15),
    ({"server_no_context_takeover": True, "client_no_context_takeover": True,
      "server_max_window_bits": 10, "client_max_window_bits": 11}, 10),
])
async def test_each_parameter_is_negotiated_and_kept(warren, wanted, window):
    options = {"extensions": [ClientPerMessageDeflateFactory(**wanted)]}
    async with await Socket.open(_echo(warren), **options) as client:
        spoken = _speaks(client)
        assert spoken.remote_max_window_bits == window
        assert spoken.remote_no_context_takeover and spoken.local_no_context_takeover
        for text in ("", "x", TEXT, ODD, TEXT * 40, "", TEXT):
            await client.send_text(text)
            assert await client.expect() == text
        await client.connection.send(ODD.encode())  # binary
        assert await client.expect() == ODD.encode()
        await client.connection.send(ODD[at:at + 999] for at in range(0, len(ODD), 999))
        assert await client.expect() == ODD  # in fragments


async def test_what_cannot_be_kept_is_declined(warren):
    options = {"extensions": [ClientPerMessageDeflateFactory(server_max_window_bits=8)]}
    async with await Socket.open(_echo(warren), **options) as client:
        assert _speaks(client) is None
        await client.send_text(TEXT)
        assert await client.expect() == TEXT


async def test_the_next_offer_is_taken(warren):
    options = {"extensions": [ClientPerMessageDeflateFactory(server_max_window_bits=8),
                              ClientPerMessageDeflateFactory(server_max_window_bits=11)]}
    async with await Socket.open(_echo(warren), **options) as client:
        assert _speaks(client).remote_max_window_bits == 11


async def test_a_bomb_ends_its_session_only(warren):
    async with await Socket.open(_echo(warren), **PACKED) as ann, \
            await Socket.open(_echo(warren), **PACKED) as bob:
        await ann.send_text("a" * 4_200_000)
        assert await ann.expect_closed() == (1009, "message too big")
        await bob.send_text(TEXT)
        assert await bob.expect() == TEXT


async def test_the_real_sdk_over_ws_compresses_both_ways(warren):
    gateway = warren.gateways[0]
    before = {what: _counted(gateway, what) for what in ("in_total", "out_total")}
    async with await Sdk.start(gateway, warren.token("ann")) as ann, \
            await Sdk.start(gateway, warren.token("bob"), "protobuf") as bob:
        for person in (ann, bob):
            await person.do("connect")
            await person.do("subscribe", channel="sdk")
            await person.expect("subscribed")
        assert "error" not in await ann.do("publish", channel="sdk", data={"text": TEXT})
        for person in (ann, bob):
            assert (await person.expect("publication"))["data"] == {"text": TEXT}
        past = (await bob.do("history", channel="sdk", limit=10))["result"]
        assert past["publications"][0]["data"] == {"text": TEXT}
    assert _counted(gateway, "in_total") > before["in_total"]
    assert _counted(gateway, "out_total") >= before["out_total"] + 3  # two codecs, and the past


async def test_compression_can_be_switched_off(broker):
    off = {"gateway.compression": "no", "gateway.echo": "yes"}
    with Deployment(broker, gateways=1, broadcasters=1, gateway=off) as running:
        async with await Socket.open(_echo(running), **PACKED) as client:
            assert _speaks(client) is None
            await client.send_text(TEXT)
            assert await client.expect() == TEXT
