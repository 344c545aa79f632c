"""The JSON Schemas of proto/schema, and what is really said held against them.

Clients of the kit show here what they are told, the driver of the real SDK also what that says.
What is not as its schema says is a fault of the test that runs then: see conftest.py.
"""

import functools
import json
import threading
from collections import Counter
from pathlib import Path

import jsonschema

_FOLDER = Path(__file__).resolve().parents[3] / "proto/schema"
SCHEMAS = {path.stem: json.loads(path.read_text(encoding="utf-8"))
           for path in sorted(_FOLDER.glob("*.json"))}
_STORE = {schema["$id"]: schema for schema in SCHEMAS.values()}
_WITH_RECORDS = ("publish", "append", "deliver", "past")
_LOOKS = 100  # at documents of one kind in one test: floods are all alike
_looked = Counter()
_faults = []
_turn = threading.Lock()  # a validator remembers where it is, and witnesses have threads


@functools.cache
def validator(name, part=""):
    """For the schema of that name, or one of its $defs."""
    schema = SCHEMAS[name]
    resolver = jsonschema.RefResolver(schema["$id"], schema, store=_STORE)
    wanted = {"$ref": f"{schema['$id']}#/$defs/{part}"} if part else schema
    return jsonschema.Draft202012Validator(wanted, resolver=resolver)


def paired(kind, lines):
    """The lines of a body; where they are records, the two lines of each as one list."""
    if kind not in _WITH_RECORDS:
        return lines
    first = lines[:1] if kind == "past" else []
    rest = lines[len(first):]
    return first + [rest[i:i + 2] for i in range(0, len(rest), 2)]


def message(kind, headers, body):
    """An AMQP message as the schema of that name describes it; `body` is a text."""
    lines = body.split("\n")
    assert lines.pop() == "", "the last line of a body has an end"
    return {"type": kind, "headers": headers,
            "body": paired(kind, [json.loads(line) for line in lines])}


def hold(name, said, part=""):
    """Remembers a fault if it is not as that schema, or that part of it, says."""
    kind = (name, part, *sorted(key for key in said if key != "id"), *sorted(said.get("push", ())))
    _looked[kind] += 1
    if _looked[kind] <= _LOOKS:
        with _turn:
            error = jsonschema.exceptions.best_match(validator(name, part).iter_errors(said))
        if error is not None:
            _faults.append(f"{name}: {error.message} in {said}")


def take_faults():
    """Those since the last time; what is said next is looked at anew."""
    faults = list(_faults)
    _faults.clear()
    _looked.clear()
    return faults
