"""Bad inputs that take their time, or come compressed, each with its exact answer.

The numbers are those of one list of bad inputs; see test_bad_inputs.py. After each of them somebody
else on the same gateway hears what is said, and at the end nothing of them is left.
"""

import struct
import time
import zlib

import pika
import pytest
from kit import Deployment
from kit.raw import CLOSE, PING, PONG, TEXT, Peer, frame
from kit.table import table

_PATH = "/connection/websocket"
_CONNECT = frame(b'{"id":1,"connect":{}}')


@pytest.fixture(scope="module")
def warren(broker):
    settings = {"gateway.echo": "yes", "gateway.ping": "5s", "gateway.pong": "4s",
                "gateway.max_message": "64k", "gateway.max_control_rate": "20"}
    with Deployment(broker, gateways=1, broadcasters=1, gateway=settings) as running:
        yield running


def _close(code, reason):
    return CLOSE, struct.pack(">H", code) + reason


_BROKEN = _close(1002, b"protocol error")
_BAD_DEFLATE = _close(1007, b"broken compressed data")
_NOT_UTF8 = _close(1007, b"not UTF-8")
_TOO_BIG = _close(1009, b"message too big")
_PMD = "permessage-deflate"


@table(
    *[(27, f"window {value}", f"{_PMD}; server_max_window_bits{value}", None)
      for value in ("=16", "=8x", "=", "=7", "=08")],
    (28, "window of 8", f"{_PMD}; server_max_window_bits=8", None),
    (28, "window of 8, and another offer", f"{_PMD}; server_max_window_bits=8, {_PMD}", _PMD),
    (29, "unknown parameter", f"{_PMD}; colour=red", None),
    (29, "parameter that stands twice",
     f"{_PMD}; client_no_context_takeover; client_no_context_takeover", None),
    (29, "and another offer", f"{_PMD}; colour=red, {_PMD}", _PMD),
    (30, "the eighth of 100 offers", ", ".join(["x"] * 7 + [_PMD] + ["x"] * 92), _PMD),
    (30, "the ninth of 100 offers", ", ".join(["x"] * 8 + [_PMD] + ["x"] * 91), None),
)
def test_offers_of_compression(gateway, others, given, answer):
    with Peer.open(gateway, "/echo", Sec_WebSocket_Extensions=given) as peer:
        fields = [line.split(b": ")[1].split(b";")[0].decode() for line in peer.head.split(b"\r\n")
                  if line.lower().startswith(b"sec-websocket-extensions: ")]
        assert fields == ([answer] if answer else [])
    del others


def _deflated(data, final=False):
    """Raw deflate data of a message, as RFC 7692 has it; final: with the last block marked."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    out = packer.compress(data)
    if final:
        return out + packer.flush(zlib.Z_FINISH) + b"\0"
    return (out + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def _packed(data, fin=True):
    return frame(data, rsv=4, fin=fin)


@table(
    (32, "RSV1 on a continuation", _packed(_deflated(b"x"), fin=False) + frame(b"", 0, rsv=4),
     [_BROKEN]),
    (32, "RSV1 on a ping", frame(b"x", PING, rsv=4), [_BROKEN]),
    (33, "block of a kind that is none", _packed(b"\x07" + b"\0" * 8), [_BAD_DEFLATE]),
    (33, "distance too far", _packed(b"\x03\x06\x00\x00"), [_BAD_DEFLATE]),
    (34, "bomb", _packed(_deflated(b"a" * 2_000_000)), [_TOO_BIG]),
    (35, "nothing, as a byte 0", _packed(b"\0"), [(TEXT, b"")]),
    (36, "not UTF-8", _packed(_deflated(b"a\xff")), [_NOT_UTF8]),
    (37, "BFINAL, and another message",
     _packed(_deflated(b"one", final=True)) + _packed(_deflated(b"two")),
     [(TEXT, b"one"), (TEXT, b"two")]),
)
def test_compressed_data(gateway, others, given, answer):
    with Peer.open(gateway, "/echo", Sec_WebSocket_Extensions=_PMD) as peer:
        peer.send(frame(b"before") + given)
        assert peer.next() == (TEXT, b"before")
        if answer[-1][0] == CLOSE:
            assert peer.until_closed() == answer
        else:
            assert [peer.next() for _ in answer] == answer
    del others


def test_51_half_a_frame_and_then_silence(gateway, others):
    with Peer.open(gateway, _PATH) as peer:
        peer.send(_CONNECT + frame(b"x" * 60000)[:100])
        assert peer.until_closed()[-1] == _close(3012, b"no pong")
    del others


def test_52_a_flood_of_pings(gateway, others):
    with Peer.open(gateway, "/echo") as peer:
        peer.send(frame(b"p", PING) * 2000)
        found = peer.until_closed()
        assert found[-1] == _close(1008, b"too many control frames")
        assert set(found[:-1]) <= {(PONG, b"p")} and len(found) < 2000
    del others


def test_59_no_answer_to_a_close(gateway, others):
    with Peer.open(gateway, _PATH) as peer:
        peer.send(frame(b"not json"))
        assert peer.next() == _close(3501, b"bad request")
        assert peer.next() is None  # it ends all the same
    del others


def test_60_no_pong_in_time(gateway, others):
    with Peer.open(gateway, _PATH) as peer:
        peer.send(_CONNECT)
        found = peer.until_closed()
        assert found[1:] == [(TEXT, b"{}"), _close(3012, b"no pong")]
    del others


def test_61_binary_where_text_is_spoken(gateway, others):
    with Peer.open(gateway, _PATH) as peer:
        peer.send(frame(b"{}", 2))
        assert peer.until_closed() == [_close(1003, b"text messages only")]
    del others


def test_86_somebody_who_is_put_out(warren, gateway, others):
    with Peer.open(gateway, _PATH, Authorization=f"Bearer {warren.token('bob')}") as peer:
        peer.send(_CONNECT)
        assert b'"connect":' in peer.next()[1]
        with warren.broker.channel() as channel:
            channel.confirm_delivery()
            channel.basic_publish(
                f"{warren.prefix}.control", "", b'{"do":"disconnect","user":"bob"}\n',
                pika.BasicProperties(
                    type="control", content_type="application/x-ndjson", delivery_mode=2,
                    headers={"gateway": "operator", "boot": "00000000000000aa",
                             "request": 1, "time": int(time.time() * 1000)}))
        assert peer.until_closed()[-1] == _close(3503, b"force disconnect")
    del others
