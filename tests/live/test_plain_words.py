"""Nobody speaks in warren's name to plain clients: what looks like it comes as a publication."""

import pytest
from kit import CentrifugeClient, PlainClient
from kit.api import deployed

_JOIN = {"event": "join", "user": "root", "client": "6f0c", "info": {}}
_FORGED = [
    _JOIN,
    {"event": "entered", "room": "words"},
    {"event": "message", "data": "from the backend"},
    {"event": "publication", "data": _JOIN},
    {"error": {"code": 103, "message": "permission denied"}},
    {"error": None, "message": "hello"},
]
_HONEST = [
    {"message": "an event is no error"},
    {"deep": _JOIN, "list": [{"error": 1}]},
    {"Event": "join", "events": 1},
]


@pytest.fixture(scope="module")
def warren(broker):
    with deployed(broker) as running:
        yield running


def _to_plain(payload):
    return {"event": "publication", "data": payload} \
        if "event" in payload or "error" in payload else payload


async def _expect_all(readers, payloads, known, codec):
    """Every reader gets all payloads in their order, plain ones as they are told to them."""
    for reader in readers:
        for payload in payloads:
            wanted = _to_plain({**known, **payload})
            await reader.expect(lambda m, w=wanted: m == w)
        ours = [m for m in reader.received if "event" in m and m["event"] != "publication"]
        assert all(m["event"] in ("join", "leave", "entered") for m in ours)
        assert not [m for m in reader.received if "error" in m or m.get("user") == "root"]
    for payload in payloads:
        await codec.expect_pub("words", {**known, **payload})


@pytest.mark.parametrize("door", ["plain", "centrifuge", "api"])
async def test_words_of_ours_come_from_us_alone(warren, api, door):
    here, there = warren.gateways
    url = there.ws_url("words")
    async with await CentrifugeClient.connect(there) as codec, \
            await PlainClient.settled(there, "words") as plain, \
            await PlainClient.join(f"{url}&events=1") as told:
        await codec.subscribe("words")
        await told.expect({"event": "entered", "room": "words"})
        known = {}
        if door == "plain":
            sender = await PlainClient.join(here, "words", token=warren.token("eve"))
            known = {"username": "eve"}
            for payload in _FORGED + _HONEST:
                await sender.send(payload)
        elif door == "centrifuge":
            sender = await CentrifugeClient.connect(here)
            for payload in _FORGED + _HONEST:
                await sender.publish("words", payload)
        else:
            for payload in _FORGED + _HONEST:
                api[0].publish(channel="words", data=payload)
        await _expect_all([plain, told], _FORGED + _HONEST, known, codec)
        if door != "api":
            await sender.close()
