"""517 cases of RFC 6455 and RFC 7692; the command tests/conformance/run has them in full size."""

import asyncio
import dataclasses
import sys
from pathlib import Path

import pytest
from kit import Deployment

sys.path.append(str(Path(__file__).resolve().parents[1] / "conformance"))

import bulk  # noqa: E402 (needs the path)
import cases  # noqa: E402
import referee  # noqa: E402
import wire  # noqa: E402

_SCALE = 100
_CASES = [*cases.cases(), *bulk.bulks(_SCALE)]
_GROUPS = {"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "9": 54, "10": 1,
           "12": 90, "13": 126}


def _group(name):
    return [case for case in _CASES if case.number.split(".")[0] == name]


@pytest.fixture(scope="module")
def port(broker):
    with Deployment(broker, gateways=1, broadcasters=1, gateway=referee.RAISED) as running:
        yield running.gateways[0].port


@pytest.mark.parametrize("group, count", _GROUPS.items())
async def test_each_case_of_the_group_is_answered_exactly(port, group, count):
    members = _group(group)
    assert len({case.number for case in members}) == count
    assert await referee.all_of(members, port) == []


@pytest.mark.parametrize("number, change", [
    ("1.1.2", {"hears": [(1, b"another")]}),
    ("1.1.2", {"hears": []}),
    ("2.2", {"hears": [(10, b"Hello, world?")]}),
    ("3.2", {"hears": []}),
    ("3.2", {"ends": 1003}),
    ("6.3.1", {"ends": 1002}),
    ("7.9.1", {"ends": 1000}),
    ("9.7.3", {"messages": [b"*" * ((16 << 20) + 1)]}),
])
async def test_a_wrong_answer_is_seen(port, number, change):
    [case] = [case for case in _CASES if case.number == number]
    assert await referee.judge(dataclasses.replace(case, **change), port) is not None


@pytest.mark.parametrize("said", [
    b"\x81\x81\x00\x00\x00\x00a",  # masked
    b"\xc1\x01a",  # RSV1, and nothing negotiated
    b"\x01\x01a",  # a fragment
    b"\x83\x00",  # an opcode that nobody knows
    b"\x81\x7e\x00\x01a",  # a length in more bytes than it needs
    b"\x81\x05Hel",  # ends within a frame
])
async def test_a_frame_that_no_server_may_send_is_seen(said):
    reader = asyncio.StreamReader()
    reader.feed_data(said)
    reader.feed_eof()
    with pytest.raises(wire.Wrong):
        await wire.Client(reader, None, None).hear()


@pytest.mark.parametrize("answer", [
    "permessage-deflate; server_max_window_bits=10",
    "permessage-deflate",
    "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
    "permessage-deflate; server_max_window_bits=9; unheard_of",
    "permessage-bzip2",
    "",
])
def test_an_answer_that_fits_no_offer_is_seen(answer):
    with pytest.raises(wire.Wrong):
        wire.Packing(answer, ["permessage-deflate; server_max_window_bits=9"])
