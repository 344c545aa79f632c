"""Bad inputs at the door: requests, frames and compressed data, each with its exact answer.

The numbers are those of one list of bad inputs; commands and rooms are in
test_bad_commands.py, compressed and slow ones in test_bad_manners.py, tokens in
test_bad_tokens.py, messages of the broker in test_bad_messages.py. After each of them somebody
else on the same gateway hears what is said, and at the end nothing of them is left.
"""

import json
import struct

import pytest
from kit import Deployment
from kit.raw import (BINARY, CLOSE, HEAD, PING, PONG, TEXT, Peer, ask, closing, frame, knock,
                     request, rest)
from kit.table import table

_PATH = "/connection/websocket"
_ORIGIN = "https://good.example"
_MAX = 8192  # of a message
_PER_ADDRESS = 12
_ALL = 60


@pytest.fixture(scope="module")
def warren(broker):
    settings = {"auth.anonymous": "no", "origin.allow": _ORIGIN, "gateway.echo": "yes",
                "gateway.handshake": "2s", "gateway.max_message": _MAX,
                "gateway.max_fragments": "16", "gateway.per_address": _PER_ADDRESS,
                "gateway.connections": _ALL, "gateway.out_queue": "256k"}
    with pytest.MonkeyPatch.context() as patch:  # freed memory is to be back
        patch.setenv("ASAN_OPTIONS", "detect_leaks=1:quarantine_size_mb=8")
        with Deployment(broker, gateways=1, broadcasters=1, gateway=settings) as running:
            yield running


@pytest.fixture
def bearer(warren):
    return f"Bearer {warren.token('ann')}"


def _head(line="GET /ws HTTP/1.1", *more, **change):
    """A request that would be good but for what is changed (_ is - in a name), and more lines."""
    headers = {**HEAD, "Origin": _ORIGIN, "Authorization": "BEARER",
               **{name.replace("_", "-"): value for name, value in change.items()}}
    return request(line, [*headers.items(), *more])


def _given(given, bearer):
    return given.replace(b"BEARER", bearer.encode())


@table(
    (1, "POST", _head("POST /ws HTTP/1.1"), (405, "Allow: GET")),
    (2, "HTTP/1.0", _head("GET /ws HTTP/1.0"), (505,)),
    (3, "unknown path", _head("GET /nowhere HTTP/1.1"), (404,)),
    (4, "no Upgrade", _head(Upgrade=None), (426, "Upgrade: websocket")),
    (5, "only keep-alive", _head(Connection="keep-alive"), (426,)),
    (7, "version 8", _head(Sec_WebSocket_Version="8"), (426, "Sec-WebSocket-Version: 13")),
    (7, "no version", _head(Sec_WebSocket_Version=None), (400,)),
    (8, "no key", _head(Sec_WebSocket_Key=None), (400,)),
    (8, "two keys", _head("GET /ws HTTP/1.1", ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")),
     (400,)),
    (8, "key of 15 bytes", _head(Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAA"), (400,)),
    (8, "key of 17 bytes", _head(Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAAA="), (400,)),
    (8, "key that is no base64", _head(Sec_WebSocket_Key="!AAAAAAAAAAAAAAAAAAAAA=="), (400,)),
    (9, "no Host", _head(Host=None), (400,)),
    (9, "two Hosts", _head("GET /ws HTTP/1.1", ("Host", "y")), (400,)),
    (10, "space before the colon", _head("GET /ws HTTP/1.1", ("X-A ", "b")), (400,)),
    (10, "folded line", _head("GET /ws HTTP/1.1", ("X-A", "b\r\n c")), (400,)),
    (10, "NUL in a value", _head("GET /ws HTTP/1.1", ("X-A", "b\0c")), (400,)),
    (10, "bare CR in a value", _head("GET /ws HTTP/1.1", ("X-A", "b\rc")), (400,)),
    (11, "bare LF at line ends", _head().replace(b"\r\n", b"\n"), (400,)),
    (11, "one bare LF", _head().replace(b"\r\n", b"\n", 1), (400,)),
    (12, "Transfer-Encoding", _head(Transfer_Encoding="chunked"), (400,)),
    (12, "Content-Length", _head(Content_Length="5"), (400,)),
    (13, "request line over 4 KiB", _head(f"GET /{'x' * 4096} HTTP/1.1"), (414,)),
    (14, "headers over 8 KiB", _head(X_Big="x" * 8192), (431,)),
    (14, "65 fields", _head("GET /ws HTTP/1.1", *[("X-A", "b")] * 60), (431,)),
    (18, "Origin of a stranger", _head(Origin="https://evil.example"), (403,)),
    (18, "Origin null", _head(Origin="null"), (403,)),
    (18, "Origin that begins like ours", _head(Origin="https://good.example.evil.org"), (403,)),
    (18, "Origin of another scheme", _head(Origin="http://good.example"), (403,)),
    (19, "cookie without Origin",
     _head(Origin=None, Authorization=None, Cookie="warren_token=BEARER").replace(
         b"=BEARER", b"=COOKIE"), (403,)),
    (20, "two Origins", _head("GET /ws HTTP/1.1", ("Origin", _ORIGIN)), (400,)),
    (24, "//ws", _head("GET //ws HTTP/1.1"), (404,)),
    (24, "dots", _head("GET /ws/../ws HTTP/1.1"), (404,)),
    (24, "escaped path", _head("GET /%77s HTTP/1.1"), (404,)),
    (24, "absolute form", _head("GET http://x/ws HTTP/1.1"), (404,)),
)
def test_a_request_that_is_refused(gateway, others, bearer, given, answer):
    given = given.replace(b"COOKIE", bearer.removeprefix("Bearer ").encode())
    found = ask(gateway, _given(given, bearer)).decode()
    assert found.startswith(f"HTTP/1.1 {answer[0]} "), found
    head, body = found.split("\r\n\r\n", 1)
    assert "Connection: close" in head.split("\r\n") and set(answer[1:]) <= set(head.split("\r\n"))
    assert body.startswith('{"error":"') and body.rstrip().endswith('"}') and len(body) < 200
    del others


@table(
    (6, "Connection of Firefox", _head(Connection="keep-alive, Upgrade"), ()),
    (6, "in any case", _head(Connection="KEEP-ALIVE ,uPGRADE", Upgrade="WebSocket"), ()),
    (21, "sub-protocols of others", _head(Sec_WebSocket_Protocol="soap, wamp"), ()),
    (22, "frames in the same packet", _head("GET /echo HTTP/1.1") + frame(b"early"),
     (b"\x81\x05early",)),
)
def test_a_request_that_is_odd_and_accepted(gateway, others, bearer, given, answer):
    with knock(gateway) as connection:
        connection.sendall(_given(given, bearer) + closing(1000))
        found = rest(connection)
        head, frames = found.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 101 ") and b"sec-websocket-protocol" not in head.lower()
    assert frames.startswith(b"".join(answer) + b"\x88")
    del others


def test_15_a_head_byte_by_byte_has_its_time_in_all(gateway, others):
    with knock(gateway) as connection:
        connection.settimeout(0.2)
        found, head = b"", iter(_head())
        while not found:
            try:
                connection.sendall(bytes([next(head)]))
                found = connection.recv(4096)
            except TimeoutError:
                continue
        assert found.startswith(b"HTTP/1.1 408 ") and b"Connection: close" in found
    del others


def test_16_who_says_nothing_gets_no_answer(gateway, others):
    with knock(gateway) as connection:
        assert rest(connection) == b""
    del others


def test_17_tls_where_none_is_spoken(gateway, others):
    hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03" + b"\r\n\r\n"
    assert ask(gateway, hello).startswith(b"HTTP/1.1 400 ")
    del others


def test_23_a_refused_request_is_the_last_one(gateway, others, bearer):
    good = _given(_head(), bearer)
    found = ask(gateway, _given(_head("GET /nowhere HTTP/1.1"), bearer) + good)
    assert found.startswith(b"HTTP/1.1 404 ") and found.count(b"HTTP/1.1 ") == 1
    del others


def _opened(gateway, held, source, bearer):
    """One more WebSocket from an address: the whole answer when it is refused, else None."""
    with knock(gateway, source) as connection:
        try:
            connection.sendall(_given(_head("GET /echo HTTP/1.1"), bearer))
            found = connection.recv(4096)
        except ConnectionResetError:
            return b""
        if found.startswith(b"HTTP/1.1 101 "):
            held.append(connection.dup())
            return None
        return found + rest(connection)


def test_25_and_26_too_many_of_one_address_and_too_many_in_all(gateway, others, bearer):
    held = []
    try:
        for last in range(20, 20 + _ALL):
            while (answer := _opened(gateway, held, f"127.0.0.{last}", bearer)) is None:
                pass
            if b" 503 " in answer[:20]:
                break
            assert answer.startswith(b"HTTP/1.1 429 ") and b"\r\nRetry-After: " in answer
            assert len(held) % _PER_ADDRESS == 0
        assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: " in answer
        assert _PER_ADDRESS < len(held) < _ALL
    finally:
        for connection in held:
            connection.close()
    gateway.wait_metric("warren_gateway_sessions", 2)
    del others


def test_58_what_comes_after_a_close_is_not_published(gateway, others, bearer):
    with Peer.open(gateway, "/ws?room=closed", Authorization=bearer) as hearer, \
            Peer.open(gateway, "/ws?room=closed", Authorization=bearer) as speaker, \
            Peer.open(gateway, "/ws?room=closed", Authorization=bearer) as other:
        hearer.send(frame(b'{"said":0}'))
        assert b'"said":0' in hearer.next()[1]
        speaker.send(closing(1000) + frame(b'{"said":1}'))
        assert speaker.until_closed()[-1][0] == CLOSE
        other.send(frame(b'{"said":2}'))
        assert b'"said":2' in hearer.next()[1]
    del others


# Frames.

_BROKEN = (1002, b"protocol error")
_NOT_UTF8 = (1007, b"not UTF-8")
_FRAGMENTS = (1008, b"too many fragments")
_FLOOD = (1008, b"too many control frames")
_TOO_BIG = (1009, b"message too big")


def _first_half(text):
    return frame(text, fin=False)


def _more(text, fin=True):
    return frame(text, 0, fin=fin)


def _long(size, form):
    """The head of a text frame that announces `size` bytes in 16 or 64 bits."""
    return b"\x81" + (b"\xfe" + struct.pack(">H", size) if form == 16 else
                      b"\xff" + struct.pack(">Q", size)) + b"mask"


@table(
    (38, "unmasked", b"\x81\x05hello", _BROKEN),
    (39, "RSV2", frame(b"x", rsv=2), _BROKEN),
    (39, "RSV3", frame(b"x", rsv=1), _BROKEN),
    *[(40, f"opcode {n}", frame(b"x", n), _BROKEN) for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)],
    (41, "125 in 16 bits", _long(125, 16) + b"x" * 125, _BROKEN),
    (41, "65,535 in 64 bits", _long(65535, 64), _BROKEN),
    (42, "64 bits with the top one", _long(1 << 63, 64), _BROKEN),
    (43, "ping of 126 bytes", frame(b"x" * 126, PING), _BROKEN),
    (43, "close of 126 bytes", frame(b"\x03\xe8" + b"x" * 124, CLOSE), _BROKEN),
    (43, "ping in fragments", frame(b"x", PING, fin=False), _BROKEN),
    (44, "nothing to continue", _more(b"x"), _BROKEN),
    (45, "text inside of a message", _first_half(b"x") + frame(b"y"), _BROKEN),
    (45, "binary inside of a message", _first_half(b"x") + frame(b"y", BINARY), _BROKEN),
    (48, "byte FF", frame(b"a\xff"), _NOT_UTF8),
    (48, "surrogate", frame(b"\xed\xa0\x80"), _NOT_UTF8),
    (48, "overlong", frame(b"\xc0\xaf"), _NOT_UTF8),
    (48, "above U+10FFFF", frame(b"\xf4\x90\x80\x80"), _NOT_UTF8),
    (48, "cut at the end", frame(b"\xe2\x82"), _NOT_UTF8),
    (48, "cut by a fragment", _first_half(b"\xe2\x82") + _more(b"a", fin=False), _NOT_UTF8),
    (48, "before its frame is whole", frame(b"\xff" + b"x" * 99)[:-50], _NOT_UTF8),
    (49, "announced", _long(_MAX + 1, 16), _TOO_BIG),
    (49, "announced, of 2^40", _long(1 << 40, 64), _TOO_BIG),
    (49, "summed", _first_half(b"x" * _MAX) + _more(b"y")[:6], _TOO_BIG),
    (50, "many fragments", _first_half(b"x") + _more(b"y", fin=False) * 16, _FRAGMENTS),
    (50, "empty fragments", _first_half(b"") + _more(b"", fin=False) * 101, _FRAGMENTS),
    (54, "close of one byte", frame(b"x", CLOSE), _BROKEN),
    *[(55, f"close with {code}", closing(code), _BROKEN)
      for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)],
    (57, "reason that is not UTF-8", closing(1000, b"a\xff"), _NOT_UTF8),
    (57, "reason cut in a character", closing(1000, b"a\xe2\x82"), _NOT_UTF8),
    (31, "RSV1 that was not negotiated", frame(b"x", rsv=4), _BROKEN),
)
def test_a_frame_that_ends_the_session(gateway, others, bearer, given, answer):
    with Peer.open(gateway, "/echo", Authorization=bearer) as peer:
        peer.send(frame(b"before") + given)
        code, reason = answer
        assert peer.until_closed() == [
            (TEXT, b"before"), (CLOSE, struct.pack(">H", code) + reason)]
    del others


@table(
    (46, "ping between fragments", _first_half(b"ab") + frame(b"p", PING) + _more(b"cd"),
     [(PONG, b"p"), (TEXT, b"abcd")]),
    (47, "pong that nobody asked for", frame(b"p", PONG), []),
    (53, "empty close", frame(b"", CLOSE), [(CLOSE, b"")]),
    *[(56, f"close with {code}", closing(code, b"bye"), [(CLOSE, struct.pack(">H", code))])
      for code in (1000, 1003, 1007, 1014, 3000, 4999)],
    (58, "data after a close", closing(1000) + frame(b"late"), [(CLOSE, b"\x03\xe8")]),
)
def test_a_frame_that_is_answered(gateway, others, bearer, given, answer):
    with Peer.open(gateway, "/echo", Authorization=bearer) as peer:
        peer.send(given)
        if (CLOSE, b"") in answer or answer and answer[-1][0] == CLOSE:
            found = peer.until_closed()
        else:
            peer.send(frame(b"and on"))
            found = [peer.next() for _ in answer] + [peer.next()]
            answer = [*answer, (TEXT, b"and on")]
        assert [(opcode, payload[:2] if opcode == CLOSE else payload)
                for opcode, payload in found] == answer
    del others


def _tell(peer, number, room, size):
    """Publishes a page to a room and waits for the answer."""
    peer.send(frame(json.dumps({"id": number, "publish": {
        "channel": room, "data": "x" * size}}).encode()))
    while (one := peer.next()) is not None:
        lines = one[1].split(b"\n") if one[0] == TEXT else []
        if b"{}" in lines:
            peer.send(frame(b"{}"))  # the answer to a ping
        if any(json.loads(line).get("id") == number for line in lines if line):
            return
    raise AssertionError("the connection ended")


def test_62_a_reader_that_never_reads(gateway, others, bearer):
    slow = "warren_gateway_sessions_closed_total"
    before = gateway.metric(slow, reason="slow")
    with Peer.open(gateway, _PATH, Authorization=bearer) as reader, \
            Peer.open(gateway, _PATH, Authorization=bearer) as speaker:
        for peer in (reader, speaker):
            peer.send(frame(b'{"id":1,"connect":{}}'))
            peer.next()
        reader.send(frame(b'{"id":2,"subscribe":{"channel":"flood"}}'))
        reader.next()
        for number in range(2, 4000):  # the kernel holds some megabytes for it, too
            _tell(speaker, number, "flood", 7000)
            if gateway.metric(slow, reason="slow") > before:
                break
        assert gateway.metric(slow, reason="slow") == before + 1
        found = reader.until_closed()  # what was on its way; the close comes if there was room
        assert found[-1] == (CLOSE, b"\x0b\xc0slow") or found[-1][0] == TEXT
    del others
