#!/usr/bin/python3
"""Prints README's table of limits from what the gateway says with --limits.

    tests/limits.py BUILD-FOLDER

tests/live/test_limits_met.py compares the two.
"""

import re
import subprocess
import sys
from pathlib import Path


def limits(folder):
    """{name: (default, of what, what whoever meets it gets)}, in the gateway's order."""
    text = subprocess.run([str(Path(folder) / "gateway/warren-gateway"), "--limits"], check=True,
                          capture_output=True, text=True).stdout
    rows = [re.split(r" {2,}", line) for line in text.splitlines()]
    return {name: tuple(more) for name, *more in rows}


def table(folder):
    """The lines of the table."""
    return ["| limit | default | of what | whoever meets it |", "|---|---|---|---|",
            *(f"| `{name}` | `{default}` | {what} | {answer} |"
              for name, (default, what, answer) in limits(folder).items())]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("\n".join(table(sys.argv[1])))
