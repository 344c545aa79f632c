#!/usr/bin/env python3
"""Writes a C file that holds the given files as bytes: embed.py OUTPUT.c FILE...

The table it defines is declared in gateway/edge/demo.h. index.html is served at "/",
every other file at "/<its name>"; the name's ending decides the content type.
"""
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PER_LINE = 16


def main(output, *names):
    text = ['#include "gateway/edge/demo.h"', ""]
    table = []
    for i, path in enumerate(map(pathlib.Path, names)):
        data = path.read_bytes()
        text.append(f"static const unsigned char file_{i}[] = {{")
        for at in range(0, len(data), PER_LINE):
            text.append("    " + "".join(f"{byte}," for byte in data[at:at + PER_LINE]))
        text += ["    0};", ""]  # one byte more than is served: an empty array is no C
        url = "/" if path.name == "index.html" else f"/{path.name}"
        table.append(f'    {{"{url}", "{TYPES[path.suffix]}", file_{i}, {len(data)}}},')
    text += ["const struct demo_file demo_files[] = {", *table, "};",
             "const size_t demo_files_count = sizeof(demo_files) / sizeof(demo_files[0]);", ""]
    pathlib.Path(output).write_text("\n".join(text), encoding="ascii")


if __name__ == "__main__":
    main(*sys.argv[1:])
