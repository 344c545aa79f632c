"""Sums up the results of tests/run:  tally.py FOLDER SUITE...

A suite that ran no test, or left no result, counts as one failure. Prints the failures and, as
the last line, "N passed, N failed"; exits 1 unless all is well.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def count_checks(folder):
    """Commands that are a test by themselves: name.passed or name.failed."""
    failed = [f"{path.stem} failed" for path in folder.glob("*.failed")]
    return len(list(folder.glob("*.passed"))), failed


def count_tidy(folder):
    text = (folder / "tidy.txt").read_text(encoding="utf-8")
    [(passed, failed)] = re.findall(r"(\d+) passed, (\d+) failed", text)
    rules = sorted(set(re.findall(r"^([a-z0-9 ]+): ", text, re.MULTILINE)))
    assert len(rules) == int(failed), "tests/tidy.py counts what it does not name"
    return int(passed), [f"house rule: {rule}" for rule in rules]


def count_model(folder):
    text = (folder / "model.txt").read_text(encoding="utf-8")
    [(passed, failed)] = re.findall(r"^(\d+) passed, (\d+) failed$", text, re.MULTILINE)
    named = re.findall(r"^failed: (.*)$", text, re.MULTILINE)
    assert len(named) == int(failed), "tests/model/run counts what it does not name"
    return int(passed), [f"model: {search}" for search in named]


def count_unit(folder):
    """Programs of cmocka count with each of their tests, others as one."""
    passed, failed = 0, []
    for line in (folder / "unit.json").read_text(encoding="utf-8").splitlines():
        program = json.loads(line)
        said = program.get("stdout", "") + program.get("stderr", "")
        good = sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", said))
        bad = re.findall(r"^\[  FAILED  \] ([A-Za-z_]\w*)$", said, re.MULTILINE)
        name = program["name"].split(" / ")[-1]
        if program["result"] not in ("OK", "EXPECTEDFAIL"):
            bad = sorted(set(bad)) or [f"ended with {program['returncode']}"]
        elif "[==========]" in said and not good:
            bad = ["ran no test"]
        elif not good:
            good = 1
        passed += good
        failed += [f"{name}: {test}" for test in bad]
    return passed, failed


def count_live(folder):
    passed, failed = 0, []
    for case in ElementTree.parse(folder / "live.xml").getroot().iter("testcase"):
        if any(case.find(kind) is not None for kind in ("failure", "error", "skipped")):
            failed.append(f"{case.get('classname')}: {case.get('name')}")
        else:
            passed += 1
    return passed, failed


def main(folder, suites):
    parts = [("checks", count_checks)]
    if "unit" in suites:
        parts += [("house rules", count_tidy), ("model", count_model), ("unit tests", count_unit)]
    if "live" in suites:
        parts += [("live tests", count_live)]
    all_passed, all_failed = 0, []
    for what, count in parts:
        try:
            passed, failed = count(folder)
        except (OSError, ValueError, AssertionError, ElementTree.ParseError):
            passed, failed = 0, []
        if passed + len(failed) == 0:
            failed = [f"{what}: none ran"]
        print(f"{what}: {passed} passed, {len(failed)} failed")
        all_passed += passed
        all_failed += failed
    for failure in all_failed:
        print(f"  failed: {failure}")
    print(f"{all_passed} passed, {len(all_failed)} failed")
    return 1 if all_failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
