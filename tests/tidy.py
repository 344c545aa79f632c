"""The house rules as a test: one line per finding, then "N passed, N failed" (a check is a rule).

There is no parser here. The formatter puts the brace of a function at column one and the first
line of its head there too, and that is all that is needed.
"""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {"common": 0, "proto": 1, "gateway": 2, "broadcaster": 2, "tests": 3}
# One door per library: only these files include its headers.
DOORS = {
    r"wslay/": r"gateway/ws/ws\.c",
    r"amqp|rabbitmq-c/": r"common/mq\w*\.[ch]",
    r"curl/": r"gateway/hook/ask\.c",
    r"jansson\.h": r"gateway/(token/jwks|libraries)\.c",
    r"openssl/": r"gateway/((token/(key|verdicts)|libraries|edge/upgrade)\.c|edge/tls\w*\.[ch])"
                 r"|tests/unit/tls_client\.h",
    r"http_parser\.h": r"common/http\.c",
    r"ini\.h": r"common/conf\.c",
    r"xxhash\.h": r"common/hash\.[ch]",
    r"zlib\.h": r"gateway/ws/deflate\.c|tests/unit/test_deflate\.c",
    r"cmocka\.h": r"tests/.*",
}
TEXT = {"", ".build", ".c", ".cfg", ".conf", ".css", ".def", ".Dockerfile", ".h", ".html", ".ini",
        ".js", ".json", ".md", ".mjs", ".py", ".service", ".sh", ".txt", ".yaml", ".yml"}
SKIPPED = ("node_modules", "__pycache__")
BANNED = r"\b(v?sprintf|strn?cpy|strn?cat|strtok|ato[il]|gets|rand|srand|alloca|usleep)\s*\("
MALLOC = r"\b(malloc|calloc|realloc|strn?dup|v?asprintf)\s*\("
LEFT_OVER = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X"))
MACHINE_PATH = r"(?<![\w$}/.])/(home|root|work|Users)/\w"
FUNCTION = re.compile(
    r"^(?!typedef|struct \w+ \{|enum|union)(?P<head>[A-Za-z][^;{}#=]*?\b(?P<name>\w+)\([^;{}]*\)"
    r"[^;{}()]*)\n\{\n(?P<body>.*?)^\}", re.MULTILINE | re.DOTALL)
PROTOTYPE = re.compile(r"^(?!typedef|static|#)[A-Za-z][\w\s*]*?\b(\w+)\([^;{}]*\)[^;{}]*;",
                       re.MULTILINE | re.DOTALL)


class File:
    """One file of the project: its name from the root, its text, and the text without comments."""

    def __init__(self, name):
        self.name = name
        self.text = (ROOT / name).read_text(encoding="utf-8")
        self.lines = self.text.splitlines()
        self.suffix = Path(name).suffix
        self.is_script = self.suffix == ".sh" or self.text.startswith(("#!/bin/sh", "#!/bin/bash"))
        self.is_python = self.suffix == ".py" or self.text.startswith("#!/usr/bin/python3")
        self.is_c = self.suffix in (".c", ".h")
        self.code = _blank(self.text, r"/\*.*?\*/") if self.is_c else self.text
        self.bare = _blank(self.code, r'"(?:[^"\\\n]|\\.)*"') if self.is_c else self.text
        self.floor = FLOORS.get(name.split("/")[0])


def _blank(text, pattern):
    """The text with what matches replaced by as many lines of nothing."""
    return re.sub(pattern, lambda found: "\n" * found.group().count("\n"), text, flags=re.DOTALL)


def names_of_files():
    """All text files that people write, named from the root."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f[0] != "." and f not in SKIPPED]
        for name in names:
            if Path(name).suffix in TEXT and name != "package-lock.json":
                yield str((Path(folder) / name).relative_to(ROOT))


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def each_match(files, pattern, text="text"):
    for file in files:
        for found in re.finditer(pattern, getattr(file, text)):
            yield file, line_of(getattr(file, text), found.start()), found


def lines_are_at_most_100_wide(files):
    for file in files:
        if file.is_c or file.is_script or file.is_python:
            for number, line in enumerate(file.lines, 1):
                if len(line) > 100:
                    yield f"{file.name}:{number}: {len(line)} columns"


def files_are_at_most_500_long(files):
    for file in files:
        if (file.is_c or file.is_script or file.is_python) and len(file.lines) > 500:
            yield f"{file.name}: {len(file.lines)} lines"


def functions_are_at_most_70_long(files):
    for file in files:
        if file.suffix == ".c":
            for found in FUNCTION.finditer(file.bare):
                length = found.group().count("\n") + 1
                if length > 70:
                    where = line_of(file.bare, found.start())
                    yield f"{file.name}:{where}: {found['name']}() has {length} lines"


def nothing_trails(files):
    for file, line, _ in each_match(files, r"[ \t]+(?=\n)"):
        yield f"{file.name}:{line}: space at the end of the line"
    for file in files:
        if file.text and (not file.text.endswith("\n") or file.text.endswith("\n\n")):
            yield f"{file.name}: must end with one newline"


def nothing_is_left_over(files):
    for file, line, found in each_match(files, rf"\b({LEFT_OVER})\b"):
        yield f"{file.name}:{line}: {found.group()}"


def no_path_is_of_one_machine(files):
    for file, line, found in each_match(files, MACHINE_PATH):
        yield f"{file.name}:{line}: {found.group()}..."


def includes_stay_on_their_floor(files):
    sources = [file for file in files if file.is_c]
    for file, line, found in each_match(sources, r'#include "([^"]+)"', "code"):
        folder = found[1].split("/")[0]
        if "/" not in found[1] or not (ROOT / found[1]).exists():
            if not found[1].endswith("_embedded.h"):
                yield f"{file.name}:{line}: {found[1]} is no path from the root"
        elif FLOORS.get(folder, 9) > file.floor or (
                FLOORS[folder] == file.floor and not file.name.startswith(f"{folder}/")):
            yield f"{file.name}:{line}: must not include {found[1]}"


def libraries_have_one_door(files):
    sources = [file for file in files if file.is_c]
    for file, line, found in each_match(sources, r"#include <([^>]+)>", "code"):
        for library, door in DOORS.items():
            if re.match(library, found[1]) and not re.fullmatch(door, file.name):
                yield f"{file.name}:{line}: only {door} may include {found[1]}"


def sources_include_their_header_first(files):
    names = {file.name for file in files}
    for file in files:
        own = re.sub(r"\.c$", ".h", file.name)
        first = re.search(r'#include ([<"].*[>"])', file.code)
        if file.suffix == ".c" and own in names and (not first or first[1] != f'"{own}"'):
            yield f"{file.name}: must include {own} first"


def includes_are_sorted(files):
    for file in files:
        text = file.text if file.is_c else ""
        for block in re.findall(r"(?:^#include .*\n)+", text, re.MULTILINE):
            names = [line.split('/*')[0].split()[1] for line in block.splitlines()]
            if names != sorted(names) and "cmocka" not in block:
                yield f"{file.name}: not sorted: {' '.join(names)}"


def headers_are_guarded_by_their_path(files):
    for file in files:
        guard = "WARREN_" + re.sub(r"\W", "_", file.name.removesuffix(".h")).upper()
        guard = f"{guard}_H"
        if file.suffix == ".h" and f"#ifndef {guard}\n#define {guard}\n" not in file.text:
            yield f"{file.name}: no guard {guard}"


def files_say_what_they_are(files):
    for file in files:
        start = re.sub(r"^#!.*\n", "", file.text)
        want = "/*" if file.is_c else '"""' if file.is_python else "#" if file.is_script else ""
        if file.text and not start.startswith(want):
            yield f"{file.name}: does not begin with a comment on its subject"


def prototypes_carry_a_comment(files):
    """Above, in the line, or above neighbours that no blank line parts from it."""
    for file in files:
        for found in PROTOTYPE.finditer(file.code) if file.suffix == ".h" else []:
            line = line_of(file.code, found.start()) - 1
            above = line_of(file.code, found.end()) - 1
            while above >= 0 and file.lines[above].strip() and "*/" not in file.lines[above]:
                above -= 1
            if above < 0 or "*/" not in file.lines[above]:
                yield f"{file.name}:{line + 1}: {found[1]}() has no comment"


def functions_that_harm_are_not_called(files):
    for file, line, found in each_match([f for f in files if f.is_c], BANNED, "bare"):
        yield f"{file.name}:{line}: {found[1]}()"
    for file, line, found in each_match([f for f in files if f.is_c], MALLOC, "bare"):
        if file.name != "common/mem.c" and file.floor < 3:
            yield f"{file.name}:{line}: {found[1]}() outside common/mem.c"
    for file, line, found in each_match([f for f in files if f.suffix == ".c"],
                                        r"\b(exit\s*\(|EV_DEFAULT\b)", "bare"):
        if Path(file.name).name not in ("main.c", "mem.c") and file.floor < 3:
            yield f"{file.name}:{line}: {found[1]} outside main.c"


def functions_are_static_or_in_a_header(files):
    headers = "\n".join(file.bare for file in files if file.suffix == ".h")
    for file in files:
        for found in FUNCTION.finditer(file.bare) if file.suffix == ".c" else []:
            name = found["name"]
            if re.match(r"(static|int main)\b", found["head"]) or name.startswith("LLVMFuzzer"):
                continue
            if not re.search(rf"\b{name}\(", headers):
                where = line_of(file.bare, found.start())
                yield f"{file.name}:{where}: {name}() is neither static nor in a header"


def sources_are_known_to_meson(files):
    meson = {Path(f.name).parent: f.text for f in files if f.name.endswith("meson.build")}
    for file in files:
        if file.suffix == ".c":
            folder = Path(file.name).parent
            while folder not in meson and folder != Path("."):
                folder = folder.parent
            name = str(Path(file.name).relative_to(folder)).removesuffix(".c")
            if not re.search(rf"'{re.escape(name)}(\.c)?'|'{re.escape(Path(name).name)}'",
                             meson.get(folder, "")):
                yield f"{file.name}: not in {folder}/meson.build"


RULES = [
    lines_are_at_most_100_wide, files_are_at_most_500_long, functions_are_at_most_70_long,
    nothing_trails, nothing_is_left_over, no_path_is_of_one_machine, includes_stay_on_their_floor,
    libraries_have_one_door, sources_include_their_header_first, includes_are_sorted,
    headers_are_guarded_by_their_path, files_say_what_they_are, prototypes_carry_a_comment,
    functions_that_harm_are_not_called, functions_are_static_or_in_a_header,
    sources_are_known_to_meson,
]


def main():
    files = [File(name) for name in sorted(names_of_files())]
    failed = 0
    for rule in RULES:
        findings = list(rule(files))
        failed += bool(findings)
        for finding in findings:
            print(f"{rule.__name__.replace('_', ' ')}: {finding}")
    print(f"{len(RULES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
