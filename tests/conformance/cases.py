"""Groups 1 to 7: frames, and what has to come back, exactly.

The numbers are those of the Autobahn|Testsuite, the yardstick of WebSocket servers
(github.com/crossbario/autobahn-testsuite); the cases are written anew, and judge more strictly:
whatever comes back must be exactly what is told here, in that order, and then the end.
"""

import struct
from dataclasses import dataclass

from wire import (BINARY, CLOSE, CONT, FIN, PING, PONG, RSV1, RSV2, RSV3, TEXT, cut, fragments,
                  frame)

KOSME = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"  # a Greek word of 5 characters in 11 bytes
NORMAL, PROTOCOL_ERROR, NOT_UTF8 = 1000, 1002, 1007


@dataclass
class Case:
    number: str
    words: str
    sends: list  # bytes; each is written by itself
    hears: list  # (opcode, payload), in order, before the close
    ends: object = None  # the server's close code; None: we close, and it answers
    chop: int = 0  # so many bytes a write
    close: bytes = struct.pack(">H", NORMAL)  # with which we close
    answer: object = None  # the payload of its close, when that is not the code that we sent
    is_informational: bool = False  # any end is right


def _sizes():
    for opcode, kind in ((TEXT, 1), (BINARY, 2)):
        for number, size in enumerate((0, 125, 126, 127, 128, 65535, 65536, 65536), 1):
            data = b"*" * size if opcode == TEXT else b"\xfe" * size
            yield Case(f"1.{kind}.{number}", f"{size} bytes", [frame(opcode, data)],
                       [(opcode, data)], chop=997 if number == 8 else 0)


def _pings():
    data, long = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125
    for number, payload, words in ((1, b"", "empty"), (2, b"Hello, world!", "text"),
                                   (3, data, "binary"), (4, long, "longest")):
        yield Case(f"2.{number}", f"ping, {words}", [frame(PING, payload)], [(PONG, payload)])
    yield Case("2.5", "ping, too long", [frame(PING, b"\xfe" * 126)], [], PROTOCOL_ERROR)
    yield Case("2.6", "ping, a byte at a time", [frame(PING, long)], [(PONG, long)], chop=1)
    yield Case("2.7", "pong that nobody asked for", [frame(PONG)], [])
    yield Case("2.8", "the same with a payload", [frame(PONG, b"unsolicited")], [])
    yield Case("2.9", "the same, then ping", [frame(PONG, b"unsolicited"), frame(PING, b"ping")],
               [(PONG, b"ping")])
    many = [b"payload-%d" % number for number in range(10)]
    for number, chop in ((10, 0), (11, 1)):
        yield Case(f"2.{number}", "ten pings", [frame(PING, one) for one in many],
                   [(PONG, one) for one in many], chop=chop)


def _reserved():
    hello, ping = b"Hello, world!", frame(PING)
    echo = [(TEXT, hello)]
    yield Case("3.1", "RSV1", [frame(TEXT, hello, FIN | RSV1)], [], PROTOCOL_ERROR)
    for number, bits, chop in ((2, RSV2, 0), (3, RSV2 | RSV1, 0), (4, RSV3, 1)):
        yield Case(f"3.{number}", "text, reserved bits, ping",
                   [frame(TEXT, hello), frame(TEXT, hello, FIN | bits), ping], echo,
                   PROTOCOL_ERROR, chop)
    for number, opcode, bits in ((5, BINARY, RSV3 | RSV1), (6, PING, RSV3 | RSV2),
                                 (7, CLOSE, RSV3 | RSV2 | RSV1)):
        yield Case(f"3.{number}", f"reserved bits, opcode {opcode}",
                   [frame(opcode, b"", FIN | bits)], [], PROTOCOL_ERROR)


def _opcodes():
    hello, ping = b"Hello, world!", frame(PING)
    for kind, first in ((1, 3), (2, 11)):
        for number in range(1, 6):
            opcode, payload = first + number - 1, b"reserved" if number % 2 == 0 else b""
            before = [frame(TEXT, hello)] if number > 2 else []
            yield Case(f"4.{kind}.{number}", f"opcode {opcode}",
                       before + [frame(opcode, payload), ping],
                       [(TEXT, hello)] if before else [], PROTOCOL_ERROR,
                       1 if number == 4 else 0)


def _fragments():
    one, two = b"fragment1", b"fragment2"
    whole = fragments(TEXT, [one, two])
    inside = [whole[0], frame(PING, b"ping"), whole[1]]
    lost, lost_open = frame(CONT, b"lost"), frame(CONT, b"lost", 0)
    hello, pong, echo = frame(TEXT, b"Hello"), (PONG, b"ping"), (TEXT, one + two)
    yield Case("5.1", "ping in two", fragments(PING, [one, two]), [], PROTOCOL_ERROR)
    yield Case("5.2", "pong in two", fragments(PONG, [one, two]), [], PROTOCOL_ERROR)
    for number, chop in ((3, 0), (4, 9), (5, 1)):
        yield Case(f"5.{number}", "text in two", whole, [echo], chop=chop)
    for number, chop in ((6, 0), (7, 9), (8, 1)):
        yield Case(f"5.{number}", "ping inside", inside, [pong, echo], chop=chop)
    for first, words, frames in ((9, "continues nothing", [lost, hello]),
                                 (12, "continues nothing, open", [lost_open, hello])):
        for number, chop in ((0, 0), (1, 9), (2, 1)):
            yield Case(f"5.{first + number}", words, frames, [], PROTOCOL_ERROR, chop)
    yield Case("5.15", "continues what has ended", whole + [lost_open, hello], [echo],
               PROTOCOL_ERROR)
    for number, opened in ((16, lost_open), (17, lost)):
        yield Case(f"5.{number}", "continues nothing, twice",
                   [opened, *whole[:1], frame(CONT, two)] * 2, [], PROTOCOL_ERROR)
    yield Case("5.18", "text within text", [whole[0], frame(TEXT, two)], [], PROTOCOL_ERROR)
    parts = [b"fragment%d" % number for number in range(1, 6)]
    five = fragments(TEXT, parts)
    mixed = five[:2] + [frame(PING, b"ping")] + five[2:4] + [frame(PING, b"ping")] + five[4:]
    for number, chop in ((19, 0), (20, 1)):
        yield Case(f"5.{number}", "five parts, two pings", mixed,
                   [pong, pong, (TEXT, b"".join(parts))], chop=chop)


def _pieces_of_text():
    bad = KOSME + b"\xed\xa0\x80edited"
    text = "Hello-µ@ßöäüàá-UTF-8!!".encode()
    middle = [b"", b"middle frame payload", b""]
    yield Case("6.1.1", "empty", [frame(TEXT)], [(TEXT, b"")])
    yield Case("6.1.2", "three times empty", fragments(TEXT, [b""] * 3), [(TEXT, b"")])
    yield Case("6.1.3", "empty around", fragments(TEXT, middle), [(TEXT, middle[1])])
    yield Case("6.2.1", "text", [frame(TEXT, text)], [(TEXT, text)])
    yield Case("6.2.2", "between characters", fragments(TEXT, [text[:8], text[8:]]), [(TEXT, text)])
    yield Case("6.2.3", "a byte a frame", fragments(TEXT, cut(text, 1)), [(TEXT, text)])
    yield Case("6.2.4", "a byte a frame", fragments(TEXT, cut(KOSME, 1)), [(TEXT, KOSME)])
    yield Case("6.3.1", "not UTF-8", [frame(TEXT, bad)], [], NOT_UTF8)
    yield Case("6.3.2", "the same, a byte a frame", fragments(TEXT, cut(bad, 1)), [], NOT_UTF8)
    # The rest never comes: judged as it arrives.
    start, wrong = KOSME + b"\xf4", b"\x90"
    yield Case("6.4.1", "fails in the second frame",
               fragments(TEXT, [KOSME, b"\xf4\x90\x80\x80", b"edited"])[:2], [], NOT_UTF8)
    yield Case("6.4.2", "fails at the first byte that is wrong",
               fragments(TEXT, [start, wrong, b"edited"])[:2], [], NOT_UTF8)
    long = frame(TEXT, KOSME + b"\xf4\x90\x80\x80edited")
    for number, left in ((3, len(b"edited")), (4, len(b"\x80\x80edited"))):
        yield Case(f"6.4.{number}", "the same within a frame", [long[:-left]], [], NOT_UTF8)


def _sequences():
    """Kinds of byte sequences (after Markus Kuhn's stress test for UTF-8 decoders)."""
    spaced = [b"".join(bytes([start, 0x20]) for start in range(*span)) for span in (
        (0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0xF8), (0xF8, 0xFC), (0xFC, 0xFE))]
    missing = [bytes.fromhex(one) for one in (
        "c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf").split()]
    outside = [chr((plane << 16) + last).encode() for plane in range(17)
               for last in (0xFFFE, 0xFFFF)]
    mixed = [b"hello" + one.encode() + b"world" for one in "$¢€𤭢"]
    return [
        mixed + [KOSME],
        [KOSME[:size] for size in range(1, len(KOSME) + 1)],
        "00 c280 e0a080 f0908080",
        "f888808080 fc8480808080",
        "7f dfbf efbfbf f48fbfbf",
        "f7bfbfbf fbbfbfbfbf fdbfbfbfbfbf",
        "ed9fbf ee8080 efbfbd f48fbfbf f4908080",
        ["80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf",
         bytes(range(0x80, 0xBF))],
        spaced,
        missing,
        [b"".join(missing)],
        "fe ff fefeffff",
        "c0af e080af f08080af f8808080af fc80808080af",
        "c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf",
        "c080 e08080 f0808080 f880808080 fc8080808080",
        "eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf",
        """eda080edb080 eda080edbfbf edadbfedb080 edadbfedbfbf
           edae80edb080 edae80edbfbf edafbfedb080 edafbfedbfbf""",
        outside,
        "efbfb9 efbfba efbfbb efbfbc efbfbd efbfbe efbfbf",
    ]


def _is_utf8(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text():
    for kind, sequences in enumerate(_sequences(), 5):
        for number, one in enumerate(sequences.split() if isinstance(sequences, str)
                                     else sequences, 1):
            data = bytes.fromhex(one) if isinstance(one, str) else one
            good = _is_utf8(data)
            yield Case(f"6.{kind}.{number}", "UTF-8" if good else "not UTF-8",
                       [frame(TEXT, data)], [(TEXT, data)] if good else [],
                       None if good else NOT_UTF8)


def _endings():
    hello, bye = frame(TEXT, b"Hello"), frame(CLOSE, struct.pack(">H", NORMAL))
    parts = fragments(TEXT, [b"fragment1", b"fragment2"])
    large = b"BAsd7&jh23" * 26214
    yield Case("7.1.1", "text, close", [hello], [(TEXT, b"Hello")])
    yield Case("7.1.2", "two closes", [bye, bye], [], NORMAL)
    yield Case("7.1.3", "ping after close", [bye, frame(PING)], [], NORMAL)
    yield Case("7.1.4", "text after close", [bye, hello], [], NORMAL)
    yield Case("7.1.5", "close within a message", [parts[0], bye, parts[1]], [], NORMAL)
    yield Case("7.1.6", "a large message, close, ping", [frame(TEXT, large), bye, frame(PING)],
               [(TEXT, large)], NORMAL, is_informational=True)
    yield Case("7.3.1", "close without a code", [], [], close=b"")
    yield Case("7.3.2", "close of one byte", [frame(CLOSE, b"\x03")], [], PROTOCOL_ERROR)
    yield Case("7.3.3", "close with a code", [], [])
    for number, reason in ((4, "Hello World!"), (5, "*" * 123)):
        yield Case(f"7.3.{number}", "close with a reason", [], [],
                   close=struct.pack(">H", NORMAL) + reason.encode())
    yield Case("7.3.6", "close, too long",
               [frame(CLOSE, struct.pack(">H", NORMAL) + b"*" * 124)], [], PROTOCOL_ERROR)
    yield Case("7.5.1", "close with a reason that is not UTF-8",
               [frame(CLOSE, struct.pack(">H", NORMAL) + KOSME + b"\xed\xa0\x80")], [], NOT_UTF8)
    legal = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for number, code in enumerate(legal, 1):
        yield Case(f"7.7.{number}", f"close {code}", [], [], close=struct.pack(">H", code))
    for number, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
        yield Case(f"7.9.{number}", f"close {code}", [frame(CLOSE, struct.pack(">H", code))], [],
                   PROTOCOL_ERROR)
    for number, payload in ((1, struct.pack(">H", 5000)), (2, struct.pack(">I", 65536))):
        yield Case(f"7.13.{number}", "close, a code that RFC 6455 does not know",
                   [frame(CLOSE, payload)], [], PROTOCOL_ERROR, is_informational=True)


def cases():
    for group in (_sizes, _pings, _reserved, _opcodes, _fragments, _pieces_of_text, _text,
                  _endings):
        yield from group()
