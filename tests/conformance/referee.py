"""Plays cases, and says what was wrong."""

import struct

import bulk
from wire import CLOSE, Client, Wrong, cut, frame

RAISED = {"gateway.echo": "yes", "gateway.max_message": "16m", "gateway.max_fragments": "70000",
          "gateway.max_control_rate": "10000", "gateway.message_rate": "0",
          "gateway.out_queue": "64m"}


def _code(payload):
    return struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else None


async def _end(client, case):
    """How the connection ends; what is wrong with that, or None."""
    if case.ends is None:
        await client.say([frame(CLOSE, case.close)])
    last = await client.hear()
    if case.is_informational:
        while last is not None:
            last = await client.hear()
        return None
    if last is None or last[0] != CLOSE:
        return f"ends with {last}"
    if case.ends is None and last[1][:2] != case.close[:2]:
        return f"answers the close {case.close!r} with {last[1]!r}"
    if case.ends is not None and _code(last[1]) != case.ends:
        return f"closes with {last[1]!r}, not {case.ends}"
    if (more := await client.hear()) is not None:
        return f"says {more} after its close"
    return None


async def _frames(client, case):
    await client.say([part for sent in case.sends
                      for part in (cut(sent, case.chop) if case.chop else [sent])])
    for number, wanted in enumerate(case.hears):
        if (heard := await client.hear()) != wanted:
            return f"answer {number} is {heard}, not {wanted}"
    return await _end(client, case)


async def _bulk(client, case):
    if wrong := await case.play(client):
        return wrong
    await client.say([frame(CLOSE, b"\x03\xe8")])
    if (last := await client.hear()) != (CLOSE, b"\x03\xe8"):
        return f"answers the close with {last}"
    return None


async def judge(case, port):
    """What is wrong with this case: a line that begins with its number, or None."""
    try:
        client = await Client.open(port, getattr(case, "offers", ()))
        try:
            wrong = await (_bulk if isinstance(case, bulk.Bulk) else _frames)(client, case)
        finally:
            await client.hang_up()
    except Wrong as error:
        wrong = str(error)
    return f"{case.number} ({case.words}): {wrong}" if wrong else None


async def all_of(cases, port):
    """What is wrong with any of them, one after the other."""
    return [wrong for case in cases if (wrong := await judge(case, port))]
