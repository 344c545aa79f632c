#!/usr/bin/python3
"""Prints README's table of settings from what both programs say with --help.

    tests/settings.py BUILD-FOLDER
    tests/settings.py --ini BUILD-FOLDER    compose/warren.ini, with all settings and their defaults

tests/live/test_readme.py compares the two, and the file.
"""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

PROGRAMS = {"gateway": "gateway/warren-gateway", "broadcaster": "broadcaster/warren-broadcaster"}
SECRET = "(secret)"
_SECTION = re.compile(r"^\[(\w+)\]$")
_READER = re.compile(r" \((gateway|broadcaster)\)$")  # both know it, one goes by it
_KEY = re.compile(r"^  (\w+) {1,20}(.*?) {2,}(\S.*)$")
_INI_HEAD = """\
# Settings of both services; one file will do for all of them. Each line that begins with a
# semicolon is a setting with its default, or an example: take the semicolon away to change it. Each
# key can also come from the environment, as WARREN_<SECTION>_<KEY>, which wins; the units and the
# containers give the secrets that way. Look at a changed file with --check-config.
"""
_INI_EXAMPLES = {  # sections with names, after those that they refine
    "auth": ["a key with a name, which tokens say as their kid; any number of them",
             '[key "2026-11"]', "algorithm = ES256", "file = /etc/warren/2026-11.pem"],
    "room": ["what holds for the rooms support and support:... only; any key of [room]",
             '[room "support"]', "publish = agent, moderator", "history_size = 1000"],
    "api": ["a key that may call some methods; any number of them",
            '[api "desk"]', "key_file = /etc/warren/desk_key", "allow = publish, broadcast"],
}


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


def rows(folder):
    """(section, key, default, readers, meaning) of all settings, each section in one piece."""
    of = {name: keys(folder, program) for name, program in PROGRAMS.items()}
    order = list(of["gateway"]) + [key for key in of["broadcaster"] if key not in of["gateway"]]
    sections = list(dict.fromkeys(section for section, _ in order))
    for section, key in sorted(order, key=lambda row: sections.index(row[0])):
        readers = [name for name in of if (section, key) in of[name]]
        default, meaning = of[readers[0]][section, key]
        if match := _READER.search(meaning):
            readers, meaning = [match.group(1)], meaning[:match.start()]
        yield section, key, default, readers, meaning


def table(folder):
    """The lines of the table."""
    lines = ["| section | key | default | read by | meaning |", "|---|---|---|---|---|"]
    for section, key, default, readers, meaning in rows(folder):
        default = f"`{default}`" if default and default != SECRET else default
        lines.append(f"| `[{section}]` | `{key}` | {default} | "
                     f"{'both' if len(readers) == 2 else readers[0]} | {meaning} |")
    return lines


def ini(folder):
    """The text of compose/warren.ini."""
    lines, last = _INI_HEAD.splitlines(), None
    wrapped = textwrap.TextWrapper(98, initial_indent="# ", subsequent_indent="# ",
                                   break_on_hyphens=False)
    for section, key, default, readers, meaning in [*rows(folder), (None, "", "", [], "")]:
        if section != last:
            note, *example = _INI_EXAMPLES.get(last, [None])
            if note:
                lines += ["", f"# {note}", *(f";{line}" for line in example)]
            if section:
                lines += ["", f"[{section}]"]
            last = section
        if section:
            alone = len(readers) == 1 and section in ("topology", "room")
            lines += wrapped.wrap(meaning + (f" ({readers[0]})" if alone else ""))
            lines.append(f";{key}_file = /etc/warren/{_file_of(section, key)}" if default == SECRET
                         else f";{key} = {default}".rstrip())
    return "\n".join(lines) + "\n"


def _file_of(section, key):
    """A name for the file of a secret, as the units have it."""
    return key if section == "auth" else f"{section}_{key}"


def main(arguments):
    printed = ini if arguments[:1] == ["--ini"] else lambda folder: "\n".join(table(folder)) + "\n"
    folders = [argument for argument in arguments if argument != "--ini"]
    if len(folders) != 1:
        sys.exit(__doc__)
    sys.stdout.write(printed(folders[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
