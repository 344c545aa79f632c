"""The table of bad inputs: 113 rows, each with what is sent and the exact answer.

A row is (number, gateway, the input in words, what is done, the answer). What is done is found in
bad/; it gives the answer, or a dict of the answers to the cases of the row: then each of them must
be the one that stands here, or stand here itself. Answers: of HTTP the status and what headers are
special; of WebSockets the frames; of commands the error or the result; "error 107 .." goes on,
"close 3501 .." does not. After each row whoever talks on the same gateway was not disturbed, and
its sessions, rooms, connections, descriptors and memory are those of before; those of the owner of
what is said, too, where it is the owner that is tried. What is done quickly is done again and again
then, and nothing of it may be kept.

Where an answer is one that client libraries rely on, rather than a stricter one, "SDK" says so.
"""

import json
import time

import pytest
from bad import amqp, commands, door, frames, late, place, tokens
from bad.amqp import GOOD, Letter, nested
from bad.commands import answered, command, deep, position, publish, subscribe, unconnected
from bad.door import asked, head, upgraded
from bad.frames import PMD, deflated, echoed, first, long, more, offered, packed
from bad.late import Late
from bad.place import DOOR, INSIDE, LATE, MESSAGE_MAX, ORIGIN, TLS
from bad.tokens import changed, claims, headed, hs, shown
from kit.raw import BINARY, CLOSE, PING, PONG, closing, frame
from kit.witness import Belongings

_401 = '401, WWW-Authenticate: Bearer error="invalid_token"'
_3500 = "close 3500 invalid token"
_REFUSED = (_401, _3500)  # in the request, and in the connect command
_3501 = "close 3501 bad request"
_3507 = "close 3507 permission denied"
_107 = "error 107 bad request"
_BROKEN = "close 1002 protocol error"
_NOT_UTF8 = "close 1007 not UTF-8"
_TOO_BIG = "close 1009 message too big"
_QUICK, _LOOK = 0.03, 0.06  # seconds: of a row that is done again, for so long
_LITTLE = 256  # bytes: whoever talks meanwhile has more or less of it
_RESET = '{"subscribe":{"recoverable":true,"positioned":true,"epoch":"E","offset":3,' \
    '"was_recovering":true}}'

_HANDSHAKE = [
    (1, DOOR, "POST /ws", asked(head("POST /ws HTTP/1.1")), "405, Allow: GET"),
    (2, DOOR, "HTTP/1.0", asked(head("GET /ws HTTP/1.0")), "505"),
    (3, DOOR, "unknown path", asked(head("GET /nowhere HTTP/1.1")), "404"),
    (4, DOOR, "GET without Upgrade", asked(head(Upgrade=None)), "426, Upgrade: websocket"),
    (5, DOOR, "Connection: keep-alive only", asked(head(Connection="keep-alive")),
     "426, Upgrade: websocket"),
    (6, DOOR, "Connection: keep-alive, Upgrade, in any case",
     upgraded(head(Connection="keep-alive, Upgrade"),
              head(Connection="KEEP-ALIVE ,uPGRADE", Upgrade="WebSocket")), "101"),
    (7, DOOR, "version 8, or absent",
     asked(eight=head(Sec_WebSocket_Version="8"), absent=head(Sec_WebSocket_Version=None)),
     {"eight": "426, Upgrade: websocket, Sec-WebSocket-Version: 13", "absent": "400"}),
    (8, DOOR, "key missing, twice, or not 16 bytes in base64",
     asked(head(Sec_WebSocket_Key=None),
           head("GET /ws HTTP/1.1", ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")),
           head(Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAA"),
           head(Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAAA="),
           head(Sec_WebSocket_Key="!AAAAAAAAAAAAAAAAAAAAA==")), "400"),
    (9, DOOR, "Host missing or twice",
     asked(head(Host=None), head("GET /ws HTTP/1.1", ("Host", "y"))), "400"),
    (10, DOOR, "space before the colon; folded line; NUL or bare CR in a value",
     asked(*[head("GET /ws HTTP/1.1", odd) for odd in (
         ("X-A ", "b"), ("X-A", "b\r\n c"), ("X-A", "b\0c"), ("X-A", "b\rc"))]), "400"),
    (11, DOOR, "bare LF at line ends",
     asked(head().replace(b"\r\n", b"\n"), head().replace(b"\r\n", b"\n", 1)), "400"),
    (12, DOOR, "Transfer-Encoding or Content-Length with GET",
     asked(head(Transfer_Encoding="chunked"), head(Content_Length="5")), "400"),
    (13, DOOR, "request line over 4 KiB", asked(head(f"GET /{'x' * 4096} HTTP/1.1")), "414"),
    (14, DOOR, "headers over 8 KiB, or more than 64",
     asked(head(X_Big="x" * 8192), head("GET /ws HTTP/1.1", *[("X-A", "b")] * 60)), "431"),
    (15, LATE, "one byte after the other", Late(door.byte_by_byte), "408"),
    (16, LATE, "TCP open, nothing sent; half a TLS hello", Late(door.silence), "0 bytes, end"),
    (17, TLS, "plain HTTP on the TLS port, and the reverse", door.wrong_port,
     {"HTTP to TLS": "0 bytes, end", "TLS to HTTP": "400"}),
    (18, DOOR, "Origin of others",
     asked(*[head(Origin=origin) for origin in (
         "https://evil.example", "null", f"{ORIGIN}.evil.org", "http://good.example")]), "403"),
    (19, DOOR, "cookie, and no Origin", tokens.in_cookie, "403"),
    (20, DOOR, "Origin twice", asked(head("GET /ws HTTP/1.1", ("Origin", ORIGIN))), "400"),
    (21, DOOR, "sub-protocols of others", upgraded(head(Sec_WebSocket_Protocol="soap, wamp")),
     "101"),
    (22, DOOR, "frames in the packet of the request", upgraded(door.early), "101 early"),
    (23, DOOR, "second request behind a refused one", door.pipelined, "404"),
    (24, DOOR, "//ws, dots, escaped path, absolute form",
     asked(*[head(f"GET {path} HTTP/1.1") for path in (
         "//ws", "/ws/../ws", "/%77s", "http://x/ws")]), "404"),
    (25, DOOR, "too many of one address, at once or one after the other",
     commands.all_of(crowd=door.crowd_of_one, rate=door.rate_of_one),
     {"crowd": "0 more, 429, Retry-After: N", "rate": "429, Retry-After: N"}),
    (26, DOOR, "server full, or about to end",
     commands.all_of(full=door.crowd_of_all, ends=door.draining), "503, Retry-After: N"),
]

_COMPRESSION = [
    (27, INSIDE, "server_max_window_bits of 16, 8x, nothing, 7, 08",
     offered(*[f"{PMD}; server_max_window_bits{value}"
               for value in ("=16", "=8x", "=", "=7", "=08", "")]), "101"),
    (28, INSIDE, "server_max_window_bits=8, which zlib cannot do",
     offered(alone=f"{PMD}; server_max_window_bits=8",
             then=f"{PMD}; server_max_window_bits=8, {PMD}"),
     {"alone": "101", "then": f"101, {PMD}"}),
    (29, INSIDE, "unknown parameter, or one twice",
     offered(unknown=f"{PMD}; colour=red", then=f"{PMD}; colour=red, {PMD}",
             twice=f"{PMD}; client_no_context_takeover; client_no_context_takeover"),
     {"unknown": "101", "then": f"101, {PMD}", "twice": "101"}),
    (30, INSIDE, "100 offers",
     offered(eighth=", ".join(["x"] * 7 + [PMD] + ["x"] * 92),
             ninth=", ".join(["x"] * 8 + [PMD] + ["x"] * 91)),
     {"eighth": f"101, {PMD}", "ninth": "101"}),
    (31, INSIDE, "RSV1 that was not negotiated", echoed(frame(b"x", rsv=4)), _BROKEN),
    (32, INSIDE, "RSV1 on a continuation or a ping",
     echoed(packed(deflated(b"x"), fin=False) + frame(b"", 0, rsv=4), frame(b"x", PING, rsv=4),
            offer=PMD), _BROKEN),
    (33, INSIDE, "broken deflate data",
     echoed(packed(b"\x07" + b"\0" * 8), packed(b"\x03\x06\x00\x00"), offer=PMD),
     "close 1007 broken compressed data"),
    (34, INSIDE, "bomb", echoed(packed(deflated(b"a" * 2_000_000)), offer=PMD), _TOO_BIG),
    (35, INSIDE, "empty compressed message",
     echoed(packed(b"\0"), packed(b""), offer=PMD), "text "),
    (36, INSIDE, "compressed text that is not UTF-8",
     echoed(packed(deflated(b"a\xff")), offer=PMD), _NOT_UTF8),
    (37, INSIDE, "BFINAL, and another message",
     echoed(packed(deflated(b"one", final=True)) + packed(deflated(b"two")), offer=PMD),
     "text one, text two"),
]

_FRAMES = [
    (38, INSIDE, "unmasked", echoed(b"\x81\x05hello"), _BROKEN),
    (39, INSIDE, "RSV2 or RSV3", echoed(frame(b"x", rsv=2), frame(b"x", rsv=1)), _BROKEN),
    (40, INSIDE, "opcodes 3-7, 11-15",
     echoed(*[frame(b"x", opcode) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)]), _BROKEN),
    (41, INSIDE, "length in more bytes than it needs",
     echoed(long(125, 16) + b"x" * 125, long(65535, 64)), _BROKEN),
    (42, INSIDE, "64-bit length with the top bit", echoed(long(1 << 63, 64)), _BROKEN),
    (43, INSIDE, "control frame of 126 bytes, or in fragments",
     echoed(frame(b"x" * 126, PING), frame(b"\x03\xe8" + b"x" * 124, CLOSE),
            frame(b"x", PING, fin=False)), _BROKEN),
    (44, INSIDE, "nothing to continue", echoed(more(b"x")), _BROKEN),
    (45, INSIDE, "new message inside of a message",
     echoed(first(b"x") + frame(b"y"), first(b"x") + frame(b"y", BINARY)), _BROKEN),
    (46, INSIDE, "ping between fragments", echoed(first(b"ab") + frame(b"p", PING) + more(b"cd")),
     "pong p, text abcd"),
    (47, INSIDE, "pong that nobody asked for", echoed(frame(b"p", PONG)), ""),
    (48, INSIDE, "text that is not UTF-8, as soon as it can be known",
     echoed(frame(b"a\xff"), frame(b"\xed\xa0\x80"), frame(b"\xc0\xaf"),
            frame(b"\xf4\x90\x80\x80"), frame(b"\xe2\x82"), first(b"\xe2\x82") + more(b"a", False),
            frame(b"\xff" + b"x" * 99)[:-50]), _NOT_UTF8),
    (49, INSIDE, "length above the limit, announced or summed",
     echoed(long(MESSAGE_MAX + 1, 64), long(1 << 40, 64),
            first(b"x" * MESSAGE_MAX) + more(b"y")[:6]), _TOO_BIG),
    (50, INSIDE, "too many fragments, or empty ones",
     echoed(first(b"x") + more(b"y", False) * 16, first(b"") + more(b"", False) * 101),
     "close 1008 too many fragments"),
    (51, LATE, "head of a big frame, then silence; memory, to what has come",
     commands.all_of(end=Late(frames.half), memory=frames.halves),
     {"end": "close 3012 no pong", "memory": "at most twice"}),
    (52, INSIDE, "pings: too many, alone, and of one who does not read",
     commands.all_of(flood=frames.pings, alone=frames.lone_pings, unread=frames.unread_pings),
     {"flood": "close 1008 too many control frames", "alone": "pong 0, pong 1, pong 2",
      "unread": "pong 4, text last"}),
    (53, INSIDE, "empty Close", echoed(frame(b"", CLOSE)), "close"),
    (54, INSIDE, "Close of one byte", echoed(frame(b"x", CLOSE)), _BROKEN),
    (55, INSIDE, "Close with a code that is none",
     echoed(*[closing(code) for code in (
         0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)]), _BROKEN),
    (56, INSIDE, "Close with a good code",
     echoed(**{str(code): closing(code, b"bye") for code in (1000, 1003, 1007, 1014, 3000, 4999)}),
     {str(code): f"close {code}" for code in (1000, 1003, 1007, 1014, 3000, 4999)}),
    (57, INSIDE, "Close whose reason is not UTF-8, or cut in a character, or comes in pieces",
     commands.all_of(whole=echoed(closing(1000, b"a\xff"), closing(1000, b"a\xe2\x82")),
                     bad=frames.in_pieces(closing(1000, "grüße €".encode() + b"\xff und mehr")),
                     cut=frames.in_pieces(closing(1000, "grüße €".encode()[:-1])),
                     good=frames.in_pieces(closing(1000, "grüße, 10 € 😀 und mehr".encode()))),
     {"whole": _NOT_UTF8, "bad": _NOT_UTF8, "cut": _NOT_UTF8, "good": "close 1000"}),
    (58, INSIDE, "data after a Close", frames.after_close, 'close 1000, text {"said":"after"}'),
    (59, LATE, "no answer to our Close, after a command, a frame, or from who is gone",
     commands.all_of(command=Late(frames.unanswered(frame(b"not json"))),
                     frame=Late(frames.unanswered(b"\x81\x05hello", "/echo")),
                     gone=Late(frames.never_answers)),
     {"command": "close 3501 bad request, reset", "frame": f"{_BROKEN}, end, reset",
      "gone": "reset"}),
    (60, LATE, "no pong in time", Late(frames.no_pong), "text {}, close 3012 no pong"),
    (61, INSIDE, "binary frame where text is spoken", frames.binary,
     "close 1003 text messages only"),
    (62, DOOR, "reader that never reads", commands.never_reads, "close 3008 slow"),
]

_COMMANDS = [
    (63, INSIDE, "not JSON; trailing bytes; BOM; NaN; comment; single quotes",
     answered("hello", '{"id":7,"ping"', publish(1) + " x", "\ufeff" + publish(1),
              '{"id":NaN,"ping":{}}', '{"id":7,/* */"ping":{}}', "{'id':7,'ping':{}}",
              '{"id":7,"ping":{},}'), _3501),
    (64, INSIDE, "top level array, string, number, null", answered("[]", '"x"', "42", "null"),
     _3501),
    (65, INSIDE, "key that stands twice",
     answered('{"id":7,"subscribe":{"channel":"a","channel":"b"}}'), _107),
    (66, INSIDE, "too many levels",
     answered(brackets="[" * 10000, objects='{"a":' * 10000, sixteen=deep(16), seventeen=deep(17),
              many=deep(65)),
     {"brackets": _3501, "objects": _3501, "sixteen": '{"publish":{}}', "seventeen": _107,
      "many": _107}),
    (67, INSIDE, "1e999, 2^63, -0, 1.0 where an integer is expected",
     answered(*['{"id":7,"history":{"channel":"in","limit":%s}}' % number for number in (
         "1e999", "9223372036854775808", "1.0")],
         *['{"id":7,"subscribe":{"channel":"x","offset":%s}}' % number for number in (
             "1e999", "18446744073709551616", "-0", "1.0", '"1"')]), _107),
    (68, INSIDE, "\\u0000 and half a surrogate in a room",
     answered('{"id":7,"subscribe":{"channel":"a\\u0000"}}',
              '{"id":7,"subscribe":{"channel":"\\ud800"}}'), _107),
    (69, INSIDE, "unknown method",  # SDK: of a command, as the protocol has it
     answered(rpc='{"id":7,"rpc":{"method":"x","data":{}}}', command='{"id":7,"dance":{}}'),
     {"rpc": "error 104 method not found", "command": _3501}),
    (70, INSIDE, "missing, negative, string or repeated id",  # SDK: no reply without an id
     commands.all_of(
         bad=answered('{"ping":{}}', '{"id":0,"ping":{}}', '{"id":-1,"ping":{}}',
                      '{"id":"7","ping":{}}', '{"id":1.0,"ping":{}}', '{"id":-0,"ping":{}}',
                      '{"id":1e999,"ping":{}}', '{"id":9223372036854775808,"ping":{}}'),
         number=commands.used_number, key=commands.same_key),
     {"bad": _3501, "number": '{"unsubscribe":{}}',
      "key": '{"publish":{}}, {"publish":{}}, first, last'}),
    (71, INSIDE, "unknown field", answered(command(
        "unsubscribe", channel="never", colour={"deep": [1]})), '{"unsubscribe":{}}'),
    (72, INSIDE, "payload above its limit", answered(publish("x" * 1100)),
     "error 106 limit exceeded"),
]

_ROOMS = [
    (73, INSIDE, "command before connect",
     unconnected(*['{"id":7,"%s":{"channel":"in","data":1}}' % method for method in (
         "subscribe", "publish", "presence", "history", "rpc", "ping")], '{"send":{"data":1}}'),
     _3501),
    (74, LATE, "no connect in time", Late(unconnected(None)), "close 3502 stale"),
    (75, INSIDE, "connect again", answered('{"id":7,"connect":{"token":"x"}}'), _3501),
    (76, INSIDE, "odd name of a room",  # SDK: an empty name; # has a meaning
     answered(empty=subscribe(""), long=subscribe("a" * 129), control=subscribe("a\tb"),
              not_normal=subscribe("cafe\u0301"), dots=subscribe("a..b"), star=subscribe("a*"),
              hash=subscribe("a#bob")),
     {"empty": _3501, "long": _107, "control": _107, "not_normal": _107, "dots": _107,
      "star": _107, "hash": "error 103 permission denied"}),
    (77, INSIDE, "join without right, or where nothing is",
     answered(subscribe("closed"), subscribe("closed:nowhere")), "error 103 permission denied"),
    (78, INSIDE, "join twice",
     answered(subscribe("in"), subscribe("in", recover=True, offset=0, epoch="x")),
     "error 105 already subscribed"),
    (79, INSIDE, "publish, ask or leave from outside",  # SDK: leaving; the right to publish decides
     answered(history=command("history", channel="out"), presence=command(
         "presence", channel="out"), publish=publish(1, "closed"), leave=command(
             "unsubscribe", channel="out")),
     {"history": "error 103 permission denied", "presence": "error 103 permission denied",
      "publish": "error 103 permission denied", "leave": '{"unsubscribe":{}}'}),
    (80, INSIDE, "more rooms than a session may have", commands.too_many_rooms,
     "error 106 limit exceeded"),
    (81, INSIDE, "forged from, seq, ts, epoch in a publish", commands.forged, "ann 1 x"),
    (82, INSIDE, "back to a position that is none",
     commands.all_of(future=position("r1", offset=99), epoch=position("r2", epoch="nope"),
                     strict=position("r3", epoch="nope", flag=2), other=position(
                         "r4", epoch="x" * 8), old=position("short"),
                     type=position("r5", offset=-1)),
     {"future": _RESET, "epoch": _RESET, "strict": "error 112 unrecoverable position",
      "other": _RESET, "type": _107,
      "old": '{"subscribe":{"recoverable":true,"positioned":true,"epoch":"E","offset":1,'
             '"recovered":true,"was_recovering":true,"publications":[2,3]}}'}),
    (83, INSIDE, "history limit of 10^9, -1, -2",
     commands.limits(10 ** 9, -1, -2), '{"history":{"publications":[1,2],"epoch":"E","offset":2}}'),
    (84, INSIDE, "faster than the rate", commands.flood,
     "error 111 too many requests temporary retry_after=1, close 3013 too many requests"),
    (85, INSIDE, "same publish id, other content", commands.other_content, _107),
    (86, INSIDE, "put out or banned while connected",
     commands.all_of(out=commands.put_out("disconnect"), banned=commands.put_out("ban"),
                     lifted=commands.let_in),
     {"out": ("close 3503 force disconnect", "is let in"), "banned": (_3507, _3507),
      "lifted": "is let in"}),
]

_TOKENS = [
    (87, DOOR, "none", tokens.none, ("401, WWW-Authenticate: Bearer", _3501)),  # SDK: 3501
    (88, DOOR, "two places, different tokens", tokens.two, "400"),
    (89, DOOR, "alg none, None, nOnE, absent",
     shown(*map(tokens.unsigned, ("none", "None", "nOnE", None)), hs("{}")), _REFUSED),
    (90, DOOR, "HS256 keyed with the public key", shown(*tokens.public_keys), _REFUSED),
    (91, DOOR, "signature: a bit off, empty, cut, DER, r = 0, s above n",
     shown(changed(tokens.other_bit), changed(lambda token: token.rsplit(".", 1)[0] + "."),
           changed(lambda token: token[:-8]), tokens.es(tokens.der),
           tokens.es(lambda r, s, _: tokens.pair(0, s)),
           tokens.es(lambda r, s, _: tokens.pair(0, 0)), tokens.es(tokens.above_order)), _REFUSED),
    (92, DOOR, "2, 4, 5 parts; padding; + and /; newline; tail that is not canonical",
     commands.all_of(
         forms=shown(
             changed(lambda token: token.rsplit(".", 1)[0]), changed(lambda token: token + ".AAAA"),
             changed(lambda token: token + ".AAAA.AAAA"), changed(lambda token: token + "="),
             changed(lambda token: token[:-2] + "+/"), changed(tokens.last_bit)),
         newline=shown(changed(lambda token: token + "\n"),
                       changed(lambda token: token.replace(".", ".\n", 1)))),
     {"forms": _REFUSED, "newline": ("400", _3500)}),
    (93, DOOR, "exp past, absent, string, 1e400, year 9999",  # SDK: 109, so that it gets another
     shown(past=hs(exp=1000), absent=hs(exp=None), string=hs(exp="tomorrow"),
           huge=lambda place: hs(text=claims(exp=0).replace('"exp": 0', '"exp":1e400'))(place),
           far=hs(exp=253402300799)),
     {"past": (_401, "error 109 token expired"), "absent": _REFUSED, "string": _REFUSED,
      "huge": _REFUSED, "far": _REFUSED}),
    (94, DOOR, "nbf or iat in the future",  # SDK: 109
     shown(nbf=hs(nbf=tokens.FAR), iat=hs(iat=tokens.FAR)),
     {"nbf": (_401, "error 109 token expired"), "iat": _REFUSED}),
    (95, DOOR, "iss wrong; aud absent, other, without us",
     shown(hs(iss="https://other.example"), hs(iss=None), hs(aud=None), hs(aud="mail"),
           hs(aud=["mail", "news"])), _REFUSED),
    (96, DOOR, "kid unknown, a path, SQL, 10 KB",
     commands.all_of(
         words=shown(*[headed(kid=kid) for kid in ("nobody", "../../dev/null", "' or 1=1 --")]),
         big=shown(headed(kid="x" * 10240)), files=tokens.kids_of_a_file),
     {"words": _REFUSED, "big": ("431", _3500), "files": _REFUSED}),
    (97, DOOR, "jku, jwk, x5u",
     commands.all_of(strangers=shown(
         tokens.strange(jku="https://evil.example/k"),
         tokens.strange(jwk={"kty": "oct", "k": "ZmZm"}),
         tokens.strange(x5u="https://evil.example/k")), ours=tokens.named_key),
     {"strangers": _REFUSED, "ours": '{"connect"'}),
    (98, DOOR, "crit, b64",
     shown(headed(crit=["x"], x=1), headed(crit=["b64"], b64=False), headed(b64=False)), _REFUSED),
    (99, DOOR, "claim twice; sub empty, or a number",
     shown(hs(text=json.dumps({"sub": "root"})[:-1] + "," + claims()[1:]), hs(sub=""), hs(sub=7)),
     _REFUSED),
    (100, DOOR, "over 4 KiB; many bad ones",
     commands.all_of(long=shown(hs(more="x" * 4096)), many=tokens.guesses),
     {"long": _REFUSED, "many": "429, Retry-After: N"}),
    (101, LATE, "expires while connected", Late(tokens.ends_soon),
     '"expires":true, close 3005 connection expired'),
    (102, DOOR, "connect token for a private room", tokens.private_room,
     "error 103 permission denied"),
]

_BROKER = [
    (103, INSIDE, "body empty, cut, of an unknown kind, of another content type",
     amqp.dead(empty=Letter(""), cut=Letter(GOOD[:20]), half=Letter(GOOD + '{"room":"lobby"}\n'),
                 kind=Letter(type_="publish/2"), utf8=Letter(b"\xff\xfe\n\x00\n"),
                 content=Letter(content_type="text/plain")),
     {"empty": "dead: no records", "cut": "dead: bad record", "half": "dead: bad record",
      "kind": "dead: unknown type", "utf8": "dead: bad record",
      "content": "dead: unknown content type"}),
    (104, INSIDE, "body of 17 MiB", amqp.huge, "dead: rejected"),
    (105, INSIDE, "headers of other types, 1,000 of them, 100 levels",
     amqp.dead(text=Letter(batch="one"), table=Letter(boot={"a": 1}), missing=Letter(boot=None),
                 many=Letter(batch=None, **{f"h{n}": n for n in range(1000)}),
                 deep=Letter(batch=None, t=nested(100))),
     {"text": "dead: bad batch", "table": "dead: no boot", "missing": "dead: no boot",
      "many": "dead: no batch", "deep": "dead: no batch"}),
    (106, INSIDE, "batch that comes again", amqp.again, ["once", "next"]),
    (107, INSIDE, "batch whose consumers die every time", amqp.requeued,
     ["held by many", "behind it"]),
    (108, INSIDE, "connection.blocked", amqp.alarm,
     {"behind it": "error 100 internal server error temporary", "in doubt": '{"publish":{}}',
      "who comes": "is let in"}),
    (109, INSIDE, "basic.nack on publish", amqp.full,
     {"behind it": "error 100 internal server error temporary", "in doubt": '{"publish":{}}'}),
    (110, INSIDE, "connection closed by force, or silent; channel closed with 404, 405, 406",
     commands.all_of(closed=amqp.closed, not_found=amqp.not_found, locked=amqp.locked,
                     foreign=amqp.foreign, silent=Late(amqp.silent)),
     {"closed": "on", "not_found": "dead: no records, on", "locked": "on",
      "foreign": "ends with 1, on", "silent": '{"publish":{}}, in doubt, on'}),
    (111, INSIDE, "log record of a lower term, or twice; a gap in its numbers, or a link's",
     commands.all_of(forged=amqp.forged, log=amqp.log_gap, link=amqp.link_gap,
                     delivery=amqp.delivery_gap),
     {"forged": ["true", "on", "on"], "log": ["before", "behind a gap", "on"], "link": "on",
      "delivery": 1}),
    (112, INSIDE, "consumer cancelled; two owners",
     commands.all_of(cancelled=amqp.cancelled, two=amqp.two_owners),
     {"cancelled": "on", "two": ["by the other", "on"]}),
    (113, INSIDE, "log without what a reader missed", amqp.truncated,
     {"usually": '{"subscribe":{"recoverable":true,"positioned":true,"epoch":"E","offset":2,'
                 '"was_recovering":true}}', "flag 2": "error 112 unrecoverable position"}),
]

ROWS = [*_HANDSHAKE, *_COMPRESSION, *_FRAMES, *_COMMANDS, *_ROOMS, *_TOKENS, *_BROKER]


def test_the_table_is_whole():
    assert [row[0] for row in ROWS] == list(range(1, 114))


def _of_each(found, answer):
    """The answer as it must be found: one that stands for all cases is that of each."""
    if not isinstance(found, dict):
        return answer
    each = answer if isinstance(answer, dict) else dict.fromkeys(found, answer)
    return {case: _of_each(found.get(case), wanted) for case, wanted in each.items()}


@pytest.fixture(scope="module", name="here")
def _here(broker, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:  # freed memory is to be back
        patch.setenv("ASAN_OPTIONS", "detect_leaks=1:quarantine_size_mb=8")
        with place.opened(broker, tmp_path_factory.mktemp("place")) as opened:
            pool = late.begin(opened, ROWS)
            yield opened
            pool.shutdown()


@pytest.fixture(name="tried")
def _tried(here, row):
    """The place, at the row's gateway; and nothing of the row is left there."""
    here.where = row[1]
    had_outage = row[0] in amqp.OUTAGES
    before = [Belongings(here.gateway)]
    if row in _BROKER:
        before.append(Belongings(here.owner, amqp.GROWTH.get(row[0])))
    yield here
    for name, witness in here.witnesses.items():
        if name == row[1] or had_outage:
            witness.is_undisturbed(had_outage)
    for belongings in before:
        belongings.are_back()


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]:03}: {row[2]}" for row in ROWS])
def test_row(tried, row):
    do, answer = row[3:]
    begin = time.monotonic()
    found = do(tried)
    took = time.monotonic() - begin
    assert found == _of_each(found, answer)
    if took < _QUICK and row[1] != LATE:
        times = min(200, max(8, int(_LOOK / took)))
        kept = tried.witnesses[row[1]].keeps(lambda: do(tried), times, _LITTLE)
        assert kept <= _LITTLE, f"{kept:.0f} bytes are kept of {times} times"
