"""Groups 9, 10, 12 and 13: large messages, many messages, and compressed ones.

Numbered like those of the Autobahn|Testsuite (see cases.py). `scale` makes them smaller: 1 is
all of it, 16 sixteenths of sizes and of counts.
"""

import json
import random
from dataclasses import dataclass

from wire import BINARY, TEXT, cut, fragments, frame

KIB, MIB = 1 << 10, 1 << 20
AT_ONCE = 8  # messages on their way


@dataclass
class Bulk:
    number: str
    words: str
    opcode: int
    messages: list  # bytes
    piece: int = 0  # bytes a frame; 0: all in one
    chop: int = 0  # bytes a write
    offers: tuple = ()

    async def play(self, client):
        """Says all and hears all of it again."""
        said = heard = 0
        while heard < len(self.messages):
            while said < len(self.messages) and said - heard < AT_ONCE:
                await self._say(client, self.messages[said])
                said += 1
            answer = await client.hear()
            if answer != (self.opcode, self.messages[heard]):
                return f"message {heard}: another answer than the message"
            heard += 1
        return None

    async def _say(self, client, message):
        if client.packing:
            await client.say_message(self.opcode, message, self.piece)
        elif self.piece:
            await client.say([b"".join(fragments(self.opcode, cut(message, self.piece)))])
        else:
            data = frame(self.opcode, message)
            await client.say(cut(data, self.chop) if self.chop else [data])


def _data(opcode, size):
    return (b"*" if opcode == TEXT else b"\xfe") * size


def _large(scale):
    both = ((TEXT, "text"), (BINARY, "binary"))
    for kind, (opcode, words) in enumerate(both, 1):
        for number, size in enumerate((64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB), 1):
            yield Bulk(f"9.{kind}.{number}", words, opcode, [_data(opcode, size // scale)])
    for kind, (opcode, words) in enumerate(both, 3):
        for number in range(1, 10):
            yield Bulk(f"9.{kind}.{number}", f"{words} in frames", opcode,
                       [_data(opcode, 4 * MIB // scale)], 16 * 4 ** number)
    for kind, (opcode, words) in enumerate(both, 5):
        for number in range(1, 7):
            yield Bulk(f"9.{kind}.{number}", f"{words} in small writes", opcode,
                       [_data(opcode, MIB // scale)], chop=32 << number)
    for kind, (opcode, words) in enumerate(both, 7):
        for number, size in enumerate((0, 16, 64, 256, KIB, 4 * KIB), 1):
            yield Bulk(f"9.{kind}.{number}", f"many of {words}", opcode,
                       [_data(opcode, size)] * (1000 // scale))
    yield Bulk("10.1.1", "one that some would cut", TEXT, [_data(TEXT, 64 * KIB)], 1300)


def _kinds(seed):
    """Five kinds of bytes to compress: opcode, and a function of size."""
    rand = random.Random(seed)
    row = json.dumps([{"id": n, "name": f"user {n * 7919 % 1000}", "at": n * 1.5, "ok": n % 3 == 0}
                      for n in range(400)], ensure_ascii=False).encode()
    noise = rand.randbytes(128 * KIB)
    words = " ".join(rand.choices("Wer will was Lebendigs erkennen grüßt über den Fluß".split(),
                                  k=30000)).encode()
    steps = b"".join((n * n & 0xFFFFFFFF).to_bytes(4, "little") for n in range(32 * KIB))
    page = b"".join(b"<li class='c%d'><a href='/p/%d'>item %d</a></li>\n" % (n % 7, n, n)
                    for n in range(4000))
    return [(TEXT, row), (BINARY, noise), (TEXT, words), (BINARY, steps), (TEXT, page)]


def _taken(data, opcode, number, size):
    """`size` bytes of the data from a place that differs; whole characters if it is text."""
    at = number * 997 % len(data)
    taken = (data[at:] + data * (size // len(data) + 1))[:size]
    return taken.decode("utf-8", "ignore").encode() if opcode == TEXT else taken


_SHAPES = [(16 << 2 * n if n < 5 else 4 * KIB << n - 4, 0) for n in range(10)] + [
    (8 * KIB << n, 256) for n in range(5)] + [(32 * KIB << n, 4 * KIB) for n in range(3)]
_HINTS = "; client_no_context_takeover; client_max_window_bits"
_OFFERS = [[""], ["; server_no_context_takeover"], ["; server_max_window_bits=9"],
           ["; server_max_window_bits=15"],
           ["; server_no_context_takeover; server_max_window_bits=9"],
           ["; server_no_context_takeover; server_max_window_bits=15"],
           ["; server_no_context_takeover; server_max_window_bits=9",
            "; server_no_context_takeover", ""]]


def _compressed(scale):
    count = max(1000 // scale, 2)
    groups = [(f"12.{kind}", opcode, data, ["permessage-deflate; client_max_window_bits"])
              for kind, (opcode, data) in enumerate(_kinds(12), 1)]
    opcode, data = _kinds(13)[0]
    groups += [(f"13.{kind}", opcode, data, [f"permessage-deflate{_HINTS}{one}" for one in offer])
               for kind, offer in enumerate(_OFFERS, 1)]
    for group, opcode, data, offers in groups:
        for number, (size, piece) in enumerate(_SHAPES, 1):
            yield Bulk(f"{group}.{number}", f"{count} x {size} bytes", opcode,
                       [_taken(data, opcode, one, size) for one in range(count)], piece,
                       offers=tuple(offers))


def bulks(scale):
    yield from _large(scale)
    yield from _compressed(scale)
