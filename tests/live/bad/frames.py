"""Frames and compressed data, at the echo service unless said otherwise."""

import struct
import zlib

from kit.raw import BINARY, CLOSE, PING, TEXT, Peer, closing, frame

from bad import words

PATH = "/connection/websocket"
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


def pings(place):
    """More pings than there may be: the last answer, and what others there were."""
    with Peer.open(place.gateway, "/echo") as peer:
        peer.send(frame(b"p", PING) * 2000)
        found = [words.frame(one) for one in peer.until_closed()]
    assert len(found) < 1000, "an answer to each"
    return ", ".join(dict.fromkeys(found))


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


def unanswered(place):
    """Our Close gets no answer."""
    with Peer.open(place.gateway, PATH) as peer:
        peer.send(frame(b"not json"))
        return words.frames([peer.next(), peer.next()])


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
