"""The JSON Schemas of proto/schema and the vectors of tests/wire.

The unit tests hold the C code to the same vectors, so schema and code agree on each of them. Where
a vector says that the schema is blind, the fault lies below what a schema can see: it is in the
text, not in the values. And whatever the tables of the code say too (*.def) must be the same.
"""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import websockets
from kit import CentrifugeClient, PlainClient, protobuf, schemas
from kit.schemas import SCHEMAS, validator

ROOT = Path(__file__).resolve().parents[2]


def _vectors(name):
    text = (ROOT / "tests/wire/vectors" / f"{name}.json").read_text(encoding="utf-8")
    for vector in json.loads(text):
        yield pytest.param(vector, id=vector["name"])


def _lines(text):
    """The values of lines; a line that is not JSON is a fault of the vector."""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def _is_seen(vector):
    """False: the schema cannot tell; there may be no value at all to look at."""
    return vector.get("schema", True) not in ("blind", "deep")


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas_and_are_named_after_their_file(name):
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"].endswith(f"/{name}.json")


@pytest.mark.parametrize("vector", _vectors("record"))
def test_records_are_what_their_schema_says(vector):
    judge = validator("record", "numbered" if vector["numbered"] else "unnumbered")
    if _is_seen(vector):
        assert judge.is_valid(_lines(vector["text"])[0]) == vector["valid"]


@pytest.mark.parametrize("vector", _vectors("line"))
def test_lines_are_what_their_schema_says(vector):
    if _is_seen(vector):
        value, = _lines(vector["text"])
        assert validator("line").is_valid(value) == vector["valid"]
        if "kind" in vector:
            assert validator("line", vector["kind"]).is_valid(value)


@pytest.mark.parametrize("vector", _vectors("order"))
def test_orders_are_what_their_schema_says(vector):
    if _is_seen(vector):
        value, = _lines(vector["text"])
        assert validator("order").is_valid(value) == vector["valid"]


@pytest.mark.parametrize("name,vector", [(name, vector.values[0]) for name in ("survey", "report")
                                         for vector in _vectors(name)])
def test_surveys_and_reports_are_what_their_schemas_say(name, vector):
    if _is_seen(vector):
        value, = _lines(vector["text"])
        assert validator(name).is_valid(value) == vector["valid"]


@pytest.mark.parametrize("vector", _vectors("message"))
def test_messages_are_what_their_schema_says(vector):
    wanted = vector["why"] is None and vector.get("schema", True)
    message = schemas.message(vector["type"], vector["headers"], vector["body"])
    assert validator("message").is_valid(message) == wanted
    if wanted:
        validator("message", vector["type"]).validate(message)


@pytest.mark.parametrize("vector", _vectors("command"))
def test_commands_are_what_their_schema_says(vector):
    wanted = vector.get("schema", vector["answer"] == "ok")
    if _is_seen(vector):
        assert validator("command").is_valid(json.loads(vector["text"])) == wanted


@pytest.mark.parametrize("vector", _vectors("reply"))
def test_replies_are_what_their_schema_says(vector):
    assert validator("reply").is_valid(json.loads(vector["text"])) == vector["valid"]


@pytest.mark.parametrize("vector", _vectors("exchange"))
def test_every_exchange_of_the_protocol_is_what_the_schemas_say(vector):
    schema = {"client": "command", "server": "reply"}[vector["from"]]
    validator(schema).validate(json.loads(vector["text"]))


@pytest.mark.parametrize("vector", [*_vectors("exchange"), *_vectors("reply")])
def test_what_is_said_is_the_same_in_protobuf(vector):
    """The unit tests hold both codecs to these bytes; another reader and writer does it here."""
    if "hex" not in vector:
        assert not vector["valid"] or vector["name"].startswith("plain: ")
        return
    size, *body = bytes.fromhex(vector["hex"])
    if size > 127:
        body = body[1:]
    name = "Command" if vector.get("from") == "client" else "Reply"
    said = json.loads(vector["text"])
    said.get("error", {}).pop("retry_after", None)  # Protobuf has no field for it
    assert protobuf.unpack(name, bytes(body)) == said
    if "-0" not in vector["text"]:  # which this JSON does not keep
        assert protobuf.framed(name, said).hex() == vector["hex"]


def _kinds(said):
    """What is in the vectors of exchanges: methods of one side, or pushes."""
    texts = [json.loads(v.values[0]["text"]) for v in _vectors("exchange")
             if v.values[0]["from"] == said]
    return {key for text in texts for key in text} - {"id", "push"}, \
        {key for text in texts for key in text.get("push", {})} - {"channel"}


def test_no_command_reply_push_or_error_is_without_a_vector():
    methods = set(_table("method.def", r'^METHOD\(\w+, "(\w+)"'))
    commands, _ = _kinds("client")
    replies, pushes = _kinds("server")
    assert commands == methods - {"ping"}  # which is of another version
    assert replies == methods - {"ping", "send"} | {"error"}
    told, = [part for part in SCHEMAS["reply"]["oneOf"] if part["title"] == "push"]
    assert pushes == set(told["properties"]["push"]["properties"]) - {"channel"}
    good = [json.loads(v.values[0]["text"]) for v in _vectors("reply") if v.values[0]["valid"]]
    known = {part["properties"]["code"]["const"]
             for part in SCHEMAS["reply"]["$defs"]["error"]["oneOf"]}
    assert {text["error"]["code"] for text in good if "error" in text and "id" in text} == known


@pytest.mark.parametrize("vector", _vectors("close"))
def test_close_codes_and_words_mean_to_sdks_what_they_should(vector):
    assert vector["comes_back"] == (vector["code"] < 3500)  # 3000 to 3499, and 3500 to 3999
    assert 0 < len(vector["reason"].encode()) <= 123
    with pytest.raises(json.JSONDecodeError):  # what is JSON would be taken for advice
        json.loads(vector["reason"])


def _table(name, pattern):
    text = (ROOT / "proto" / name).read_text(encoding="utf-8")
    return re.findall(pattern, text, re.MULTILINE)


def test_the_schema_knows_every_type_of_message_and_what_it_must_have():
    told = {name: {has.lower() for has in re.findall(r"HAS_(\w+)", bits)}
            for name, bits in _table("message.def", r'^MESSAGE\(\w+, "(\w+)", (.*)\)$')}
    known = {name: set(part["properties"]["headers"]["required"])
             for name, part in SCHEMAS["message"]["$defs"].items() if name in told}
    assert told == known
    assert set(SCHEMAS["message"]["properties"]["type"]["enum"]) == set(told)


def test_the_schema_knows_every_order():
    told = dict(_table("order.def", r'^ORDER\(\w+, "(\w+)", (.*)\)$'))
    assert SCHEMAS["order"]["properties"]["do"]["enum"] == list(told)


def test_the_schema_knows_every_error():
    told = {(int(code), text, temporary == "true") for code, temporary, text
            in _table("error.def", r'^ERROR\(\w+, (\d+), (\w+), "(.*)"\)$')}
    known = {(part["properties"]["code"]["const"], part["properties"]["message"]["const"],
              "temporary" in part["required"])
             for part in SCHEMAS["reply"]["$defs"]["error"]["oneOf"]}
    assert told == known


_SAID = {
    CentrifugeClient: ([
        {"id": 1, "connect": {"client": "c", "version": "warren 0.1"}},
        {"id": 2, "error": {"code": 100, "message": "internal server error", "temporary": True}},
        {"push": {"channel": "a", "pub": {"data": 1, "offset": 7}}}, {}], [
        {"id": 1, "connect": {"version": "warren 0.1"}},
        {"id": 2, "error": {"code": 100, "message": "internal server error"}},
        {"push": {"channel": "a", "pub": {"data": 1, "offset": "7"}}},
        {"id": 3, "subscribe": {"recoverable": False}}, {"id": 4}]),
    PlainClient: ([
        {"event": "join", "user": "ann", "client": "c"}, {"message": "whatever", "user": 7},
        {"error": {"code": 107, "message": "bad request"}}], [
        {"event": "join", "client": "c"}, {"event": "dance"},
        {"error": {"code": 107, "message": "something else"}}]),
}


@pytest.mark.parametrize("dialect", _SAID)
async def test_clients_of_these_tests_notice_what_is_not_as_the_schemas_say(dialect):
    good, bad = _SAID[dialect]

    async def speak(connection):
        for message in good + bad:
            await connection.send(json.dumps(message))
        await connection.wait_closed()

    async with websockets.serve(speak, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with await dialect.open(url) as client:
            client.pong = False
            await client.expect(bad[-1])
    faults = schemas.take_faults()
    assert len(faults) == len(bad)
    assert all(fault.endswith(str(message)) for fault, message in zip(faults, bad))


def test_the_schema_knows_every_hook():
    told = re.findall(r'^HOOK\(\w+, "(\w+)"\)$',
                      (ROOT / "gateway/hook/hook.def").read_text(encoding="utf-8"), re.MULTILINE)
    assert told and set(told) <= set(SCHEMAS["hook"]["$defs"])


_ASKED = {"client": "c", "transport": "websocket", "protocol": "plain", "encoding": "json",
          "address": "127.0.0.1:1"}
_ABOUT = {**_ASKED, "user": "ann", "channel": "a"}


@pytest.mark.parametrize("hook, question, is_valid", [
    ("connect", _ASKED, True), ("connect", {**_ASKED, "channel": "a", "data": 1}, True),
    ("connect", _ABOUT, False), ("connect", {**_ASKED, "more": 1}, False),
    ("subscribe", _ABOUT, True), ("subscribe", _ASKED, False),
    ("subscribe", {**_ABOUT, "channel": "no room"}, False),
    ("publish", {**_ABOUT, "data": None}, True), ("publish", _ABOUT, False),
    ("publish", {**_ABOUT, "data": 1, "protocol": "xml"}, False),
    ("answer", {"result": {}}, True), ("answer", {"error": {"code": 400}}, True),
    ("answer", {"disconnect": {"code": 4000, "reason": "x"}}, True), ("answer", {}, False),
    ("answer", {"disconnect": {"code": 400}}, False), ("answer", {"error": "no"}, False),
])
def test_questions_of_hooks_are_what_their_schema_says(hook, question, is_valid):
    assert validator("hook", hook).is_valid(question) == is_valid
