"""What came back, in the words of the table."""

import json
import re

from kit.raw import BINARY, CLOSE, PING, PONG, TEXT

_USUAL = {"Content-Type", "Content-Length", "Connection"}  # each refusal has them


def refusal(answer):
    """An HTTP answer: its status, and the headers that only some have. Its form is checked."""
    head, body = answer.decode().split("\r\n\r\n", 1)
    assert head.startswith("HTTP/1.1 ") and body.count("HTTP/1.1 ") == 0, answer
    status, *headers = head.split("\r\n")
    assert "Connection: close" in headers
    assert body.startswith('{"error":"') and body.rstrip().endswith('"}') and len(body) < 200
    told = [header for header in headers if header.split(":")[0] not in _USUAL]
    told = [re.sub(r"^Retry-After: \d+$", "Retry-After: N", header) for header in told]
    return ", ".join([status.split(" ")[1], *told])


def frame(one):
    """One frame; None is the end of TCP."""
    if one is None:
        return "end"
    opcode, payload = one
    if opcode == CLOSE:
        code = [str(int.from_bytes(payload[:2], "big"))] if payload else []
        return " ".join(["close", *code, *filter(None, [payload[2:].decode()])])
    name = {TEXT: "text ", BINARY: "binary ", PING: "ping ", PONG: "pong "}[opcode]
    return name + payload.decode()


def frames(found):
    return ", ".join(map(frame, found))


def reply(message):
    """A reply to a command without its id: an error in words, or the result as it is, but with E
    for its epoch, and only the offsets of publications."""
    if "error" not in message:
        bare = {name: value for name, value in message.items() if name != "id"}
        for result in bare.values():
            if "publications" in result:
                result["publications"] = [pub["offset"] for pub in result["publications"]]
        return re.sub(r'"epoch":"[^"]+"', '"epoch":"E"', json.dumps(bare, separators=(",", ":")))
    error = dict(message["error"])
    words = ["error", str(error.pop("code")), error.pop("message")]
    return " ".join([*words, *(name if value is True else f"{name}={value}"
                               for name, value in error.items())])
