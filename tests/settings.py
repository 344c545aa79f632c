#!/usr/bin/python3
"""Prints README's table of settings from what both programs say with --help.

    tests/settings.py BUILD-FOLDER

tests/live/test_readme.py compares the two.
"""

import re
import subprocess
import sys
from pathlib import Path

PROGRAMS = {"gateway": "gateway/warren-gateway", "broadcaster": "broadcaster/warren-broadcaster"}
_SECTION = re.compile(r"^\[(\w+)\]$")
_READER = re.compile(r" \((gateway|broadcaster)\)$")  # both know it, one goes by it
_KEY = re.compile(r"^  (\w+) {1,20}(.*?) {2,}(\S.*)$")


def keys(folder, program):
    """{(section, key): (default, help)} of a program, in its order."""
    text = subprocess.run([str(Path(folder) / program), "--help"], check=True,
                          capture_output=True, text=True).stdout
    found, section = {}, None
    for line in text.splitlines():
        if match := _SECTION.match(line):
            section = match.group(1)
        elif section and (match := _KEY.match(line)):
            found[section, match.group(1)] = (match.group(2).strip(), match.group(3))
    return found


def table(folder):
    """The lines of the table."""
    of = {name: keys(folder, program) for name, program in PROGRAMS.items()}
    rows = ["| section | key | default | read by | meaning |", "|---|---|---|---|---|"]
    order = list(of["gateway"]) + [key for key in of["broadcaster"] if key not in of["gateway"]]
    sections = list(dict.fromkeys(section for section, _ in order))
    for section, key in sorted(order, key=lambda row: sections.index(row[0])):
        readers = [name for name in of if (section, key) in of[name]
                   and not of[name][section, key][1].startswith("(")]
        if not readers:
            continue  # accepted, and of no meaning yet
        default, meaning = of[readers[0]][section, key]
        if match := _READER.search(meaning):
            readers, meaning = [match.group(1)], meaning[:match.start()]
        default = f"`{default}`" if default and default != "(secret)" else default
        rows.append(f"| `[{section}]` | `{key}` | {default} | "
                    f"{'both' if len(readers) == 2 else readers[0]} | {meaning} |")
    return rows


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("\n".join(table(sys.argv[1])))
