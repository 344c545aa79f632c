"""Frames and compressed data, at the echo service unless said otherwise."""

import socket
import struct
import time
import zlib
from contextlib import ExitStack

from kit import eventually
from kit.raw import BINARY, CLOSE, PING, PONG, TEXT, Peer, closing, frame, send_in_pieces
from kit.witness import memory

from bad import words
from bad.place import BIG_MESSAGE_MAX, CLOSE_WAIT, DOOR, ORIGIN

PATH = "/connection/websocket"
_PAGE = b"x" * 60000
_CLOSED = 7  # the state of TCP
CONNECT = frame(b'{"id":1,"connect":{}}')
PMD = "permessage-deflate"


def first(payload):
    return frame(payload, fin=False)


def more(payload, fin=True):
    return frame(payload, 0, fin=fin)


def long(size, form):
    """The head of a text frame that announces `size` bytes in 16 or 64 bits."""
    return b"\x81" + (b"\xfe" + struct.pack(">H", size) if form == 16 else
                      b"\xff" + struct.pack(">Q", size)) + b"mask"


def echoed(*cases, offer=None, **named):
    """What comes back for these bytes, after something good; and, if nothing has ended, that it
    goes on."""
    named.update({str(number): case for number, case in enumerate(cases)})
    headers = {"Sec_WebSocket_Extensions": offer} if offer else {}

    def do(place):
        found = {}
        for name, case in named.items():
            with Peer.open(place.gateway, "/echo", **headers) as peer:
                peer.send(frame(b"before") + case + frame(b"on"))
                assert peer.next() == (TEXT, b"before")
                found[name] = words.frames(_until(peer, b"on"))
        return found
    return do


def _until(peer, last):
    """Frames up to that text, or to the end, which is answered as it should be."""
    found = []
    while (one := peer.next()) not in (None, (TEXT, last)):
        found.append(one)
        if one[0] == CLOSE:
            peer.send(frame(one[1], CLOSE))
            assert peer.next() is None, "something after a Close"
            break
    return found


def offered(*cases, **named):
    """The extension that is agreed on."""
    named.update({str(number): case for number, case in enumerate(cases)})

    def do(place):
        found = {}
        for name, case in named.items():
            with Peer.open(place.gateway, "/echo", Sec_WebSocket_Extensions=case) as peer:
                fields = [line.split(b": ")[1].split(b";")[0].decode()
                          for line in peer.head.split(b"\r\n")
                          if line.lower().startswith(b"sec-websocket-extensions: ")]
                found[name] = ", ".join(["101", *fields])
        return found
    return do


def deflated(data, final=False):
    """Raw deflate data of a message, as RFC 7692 has it; final: with the last block marked."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    out = packer.compress(data)
    if final:
        return out + packer.flush(zlib.Z_FINISH) + b"\0"
    return (out + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def packed(data, fin=True):
    return frame(data, rsv=4, fin=fin)


def half(place):
    """A head of 60,000 bytes, some of them, and silence."""
    with Peer.open(place.gateway, PATH) as peer:
        peer.send(CONNECT + frame(b"x" * 60000)[:100])
        return words.frame(peer.until_closed()[-1])


def halves(place):
    """Heads of big frames, a quarter of each, and silence: what all of it costs."""
    part = BIG_MESSAGE_MAX // 4 + 100  # no power of two: what grows by doubling has room to spare
    gateway, count = place.gateways[DOOR], 12
    received = "warren_gateway_bytes_in_total"
    with ExitStack() as stack:
        peers = [stack.enter_context(Peer.open(
            gateway, "/echo", source=f"127.0.0.{40 + number % 2}", Origin=ORIGIN,
            Authorization=f"Bearer {place.token()}")) for number in range(count)]
        came, before = gateway.metric(received), memory(gateway)
        begun = frame(b"x" * BIG_MESSAGE_MAX)[:part]
        for peer in peers:
            peer.send(begun)
        gateway.wait_metric(received, lambda now: now >= came + count * part)
        grown = memory(gateway) - before
    return "at most twice" if grown <= 2 * count * part + (1 << 20) else f"{grown} for {part}"


def pings(place):
    """More pings than there may be: the first ones are answered, in their order, and the end."""
    with Peer.open(place.gateway, "/echo") as peer:
        peer.send(b"".join(frame(b"%d" % number, PING) for number in range(2000)))
        *pongs, end = peer.until_closed()
    assert pongs == [(PONG, b"%d" % number) for number in range(len(pongs))]
    assert 0 < len(pongs) < 1000, "an answer to each"
    return words.frame(end)


def lone_pings(place):
    """Pings of a client that reads: each is answered."""
    with Peer.open(place.gateway, "/echo") as peer:
        found = []
        for number in range(3):
            peer.send(frame(b"%d" % number, PING))
            found.append(peer.next())
        return words.frames(found)


def unread_pings(place):
    """Pings of a client that reads nothing until they have come: what it finds then."""
    with Peer.open(place.gateway, "/echo") as peer:
        sent = _until_unread(place.gateway, peer)
        before, _ = _echoed_and_sent(place.gateway)
        peer.send(b"".join(frame(b"%d" % number, PING) for number in range(5)) + frame(b"last"))
        eventually(lambda: _echoed_and_sent(place.gateway)[0] == before + 1, what="all has come")
        found = [peer.next() for _ in range(sent + 2)]
        assert all(one == (TEXT, _PAGE) for one in found[:sent])
        return words.frames(found[sent:])


def _echoed_and_sent(gateway):
    """How many messages were no commands, and so of those who talk to the echo; bytes sent."""
    now = gateway.metrics()
    return (now["warren_gateway_messages_in_total"] - now["warren_gateway_commands_total"],
            now["warren_gateway_bytes_out_total"])


def _until_unread(gateway, peer):
    """Talks to the echo until two or three of its answers, at least, wait in the gateway; how many
    there are in all. (What others are sent meanwhile is little.)"""
    texts, begin = _echoed_and_sent(gateway)
    sent = 0

    def waiting():
        now, out = _echoed_and_sent(gateway)
        assert now == texts + sent
        return 1 + max(0, sent * len(_PAGE) - (out - begin))
    while sent == 0 or eventually(waiting, what="it has come") < 2.5 * len(_PAGE):
        sent += 1
        peer.send(frame(_PAGE))
    return sent


def in_pieces(case):
    """What comes back for these bytes when three of them are read at a time."""
    def do(place):
        with Peer.open(place.gateway, "/echo") as peer:
            send_in_pieces(peer.connection, case, 3)
            return words.frames(peer.until_closed())
    return do


def after_close(place):
    """Data behind a Close, once for the echo and once for a room where somebody listens."""
    with Peer.open(place.gateway, "/echo") as echo:
        echo.send(closing(1000) + frame(b"late"))
        found = echo.until_closed()
    room = "/ws?room=behind-a-close&events=1"
    with Peer.open(place.gateway, room) as hearer, Peer.open(place.gateway, room) as speaker:
        for peer in (hearer, speaker):
            assert b'"entered"' in peer.next()[1]
        speaker.send(closing(1000) + frame(b'{"said":"late"}'))
        speaker.until_closed()
        hearer.send(frame(b'{"said":"after"}'))
        found.append(next(one for one in iter(hearer.next, None) if b'"said"' in one[1]))
    return words.frames(found)


def unanswered(case, path=PATH):
    """Our Close gets no answer: all that comes, and how TCP ends, not before its time."""
    def do(place):
        with Peer.open(place.gateway, path) as peer:
            begin = time.monotonic()
            peer.send(case)
            found = [*iter(peer.next, None), *([] if peer.was_reset else [None])]
            end = _end(peer.connection)
            assert time.monotonic() - begin > CLOSE_WAIT * 0.9
        return ", ".join([words.frames(found), end])
    return do


def never_answers(place):
    """Somebody who reads nothing any more, as if his machine was gone: how TCP ends."""
    with Peer.open(place.gateway, PATH) as peer:
        peer.send(frame(b"not json"))
        return _end(peer.connection)


def _end(connection):
    """Waits for the reset: with it nothing of TCP is left, here or there."""
    def state():
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    eventually(lambda: state() == _CLOSED, what="a reset")
    return "reset"


def no_pong(place):
    """A ping gets no answer."""
    with Peer.open(place.gateway, PATH) as peer:
        peer.send(CONNECT)
        return words.frames(peer.until_closed()[1:])


def binary(place):
    """A binary frame where JSON is spoken."""
    with Peer.open(place.gateway, PATH) as peer:
        peer.send(frame(b"{}", BINARY))
        return words.frames(peer.until_closed())
