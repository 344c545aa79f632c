"""/echo, as a conformance run uses it: the sessions' own WebSocket code, with limits raised."""

import asyncio

import pytest
from kit import PATIENCE, Deployment, raw
from kit.client import Socket
from kit.raw import CLOSE, PING, TEXT

FIN, RSV1 = 0x80, 0x40
COMPRESSION = (None, "deflate")
PROTOCOL_ERROR = b"\x88\x10\x03\xeaprotocol error"
NOT_UTF8 = b"\x88\x0b\x03\xefnot UTF-8"


@pytest.fixture(scope="module")
def warren(broker):
    raised = {"gateway.echo": "yes", "gateway.max_message": "16m", "gateway.max_fragments": "70000",
              "gateway.max_control_rate": "10000", "gateway.message_rate": "0",
              "gateway.out_queue": "64m"}
    with Deployment(broker, gateways=1, broadcasters=1, gateway=raised) as running:
        yield running


def _url(warren):
    return f"ws://127.0.0.1:{warren.gateways[0].port}/echo"


def _frame(first, payload=b""):
    return raw.frame(payload, first & 0x0F, bool(first & FIN), rsv=first >> 4 & 7)


async def _open(warren, extension):
    """A connection without any client library, upgraded."""
    reader, writer = await asyncio.open_connection("127.0.0.1", warren.gateways[0].port)
    offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if extension else ""
    writer.write(f"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                 f"{offer}\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
    assert head.startswith(b"HTTP/1.1 101 ")
    assert (b"permessage-deflate" in head) == extension
    return reader, writer


@pytest.mark.parametrize("compression", COMPRESSION)
async def test_the_largest_message_comes_back(warren, compression):
    text = "0123456789abcdef" * (1 << 20)
    async with await Socket.open(_url(warren), compression=compression) as client:
        for message in (text, text.encode()):
            await client.connection.send(message)
            assert await client.expect() == message


@pytest.mark.parametrize("compression", COMPRESSION)
async def test_many_small_fragments_are_one_message(warren, compression):
    count = 65536 if compression is None else 10000
    async with await Socket.open(_url(warren), compression=compression) as client:
        await client.connection.send("*" * 64 for _ in range(count))
        assert await client.expect() == "*" * 64 * count


async def test_pings_are_all_answered_in_their_order(warren):
    async with await Socket.open(_url(warren)) as client:
        pongs = [await client.connection.ping(f"{number}") for number in range(100)]
        await asyncio.wait_for(asyncio.gather(*pongs), PATIENCE)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("extension, frames, answer", [
    (False, [_frame(FIN | TEXT, b"a"), _frame(FIN | PING, b"b"), _frame(FIN | 3, b"c"),
             _frame(FIN | TEXT, b"late")], b"\x81\x01a\x8a\x01b" + PROTOCOL_ERROR),
    (False, [_frame(FIN | TEXT, b"a"), _frame(FIN | RSV1 | TEXT, b"b")],
     b"\x81\x01a" + PROTOCOL_ERROR),
    (True, [_frame(FIN | RSV1 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00"),
            _frame(FIN | RSV1 | PING, b"b")], b"\x81\x05Hello" + PROTOCOL_ERROR),
    (True, [_frame(FIN | PING), _frame(RSV1 | TEXT, b"\xf2"), _frame(FIN | PING, b"1"),
            _frame(FIN | RSV1)], b"\x8a\x00\x8a\x011" + PROTOCOL_ERROR),
    (True, [_frame(FIN | TEXT, b"a"), _frame(FIN | RSV1 | TEXT, b"\x07")],
     b"\x81\x01a\x88\x18\x03\xefbroken compressed data"),
    # The rest of the message never comes: it is judged as it arrives.
    (False, [_frame(FIN | TEXT, b"a"), _frame(TEXT, b"b\xff")], b"\x81\x01a" + NOT_UTF8),
    (True, [_frame(FIN | TEXT, b"a"), _frame(TEXT, b"\xe2\x82"), _frame(FIN | PING, b"p"),
            _frame(0, b"a")], b"\x81\x01a\x8a\x01p" + NOT_UTF8),
    (False, [_frame(FIN | TEXT, b"a"), _frame(FIN | CLOSE, b"\x0f\xa0bye")],
     b"\x81\x01a\x88\x02\x0f\xa0"),
])
async def test_what_precedes_the_end_is_answered_before_it(warren, extension, frames, answer,
                                                           at_once):
    reader, writer = await _open(warren, extension)
    stream = b"".join(frames)
    for part in ([stream] if at_once else [bytes([byte]) for byte in stream]):
        writer.write(part)
        try:
            await writer.drain()
        except ConnectionError:
            break  # it has heard enough
    heard = await asyncio.wait_for(reader.readexactly(len(answer)), PATIENCE)
    assert heard == answer
    assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
    writer.close()
