"""Every row of the list of bad inputs has its test; most are in test_bad_*.py, by their numbers."""

import re
from pathlib import Path

_ROWS = 113
_NAMED = re.compile(r"^def test_(\d+)(?:_and_(\d+))?_", re.MULTILINE)
_IN_TABLES = re.compile(r'^ +\*?\[?\((\d+), f?"', re.MULTILINE)
_MARKED = re.compile(r"^@rows\(([\d, ]+)\)", re.MULTILINE)


def _numbers(source):
    found = [number for pair in _NAMED.findall(source) for number in pair if number]
    found += _IN_TABLES.findall(source)
    found += [number for marked in _MARKED.findall(source) for number in marked.split(",")]
    return {int(number) for number in found}


def test_each_row_has_a_test():
    tested = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        tested |= _numbers(path.read_text(encoding="utf-8"))
    assert not set(range(1, _ROWS + 1)) - tested
