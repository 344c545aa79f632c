#!/usr/bin/python3
"""Prints README's tables of limits from what the programs say with --limits.

    tests/limits.py BUILD-FOLDER

tests/live/test_limits_told.py compares them.
"""

import re
import subprocess
import sys
from pathlib import Path

from settings import PROGRAMS


def limits(folder, program):
    """{name: (default, of what, what whoever meets it gets)} of a program, in its order."""
    text = subprocess.run([str(Path(folder) / PROGRAMS[program]), "--limits"], check=True,
                          capture_output=True, text=True).stdout
    rows = [re.split(r" {2,}", line) for line in text.splitlines()]
    return {name: tuple(more) for name, *more in rows}


def table(folder, program):
    """The lines of its table."""
    return ["| limit | default | of what | whoever meets it |", "|---|---|---|---|",
            *(f"| `{name}` | `{default}` | {what} | {answer} |"
              for name, (default, what, answer) in limits(folder, program).items())]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("\n\n".join("\n".join(table(sys.argv[1], program)) for program in PROGRAMS))
