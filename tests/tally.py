"""Sums up the results of tests/run:  tally.py FOLDER SUITE...  |  tally.py FOLDER --few-failed

A live test that failed beside the others and passed when it was run again alone counts as passed,
and is named. A suite that ran no test, or left no result, counts as one failure. Prints the
failures and, as the last line, "N passed, N failed"; exits 1 unless all is well. With --few-failed
it only prints the names of the live tests that are worth to be run again.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

_FEW = 3


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


def live_results(path):
    """Of each live test, by its name for pytest: whether it passed."""
    results = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname').replace('.', '/')}.py::{case.get('name')}"
        good = all(case.find(kind) is None for kind in ("failure", "error", "skipped"))
        results[name] = good and results.get(name, True)
    return results


def count_live(folder):
    results = live_results(folder / "live.xml")
    again = folder / "again.xml"
    steady_alone = [name for name, good in live_results(again).items() if good] \
        if again.exists() else []
    for name in steady_alone:
        print(f"unsteady: {name} failed beside the others and passed alone")
        results[name] = True
    failed = [name for name, good in results.items() if not good]
    return len(results) - len(failed), failed


def print_failed(folder):
    """The names of the live tests that failed, if they are few: many are no accident."""
    failed = [name for name, good in live_results(folder / "live.xml").items() if not good]
    if 0 < len(failed) <= _FEW:
        print("\n".join(failed))


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
    if sys.argv[2:] == ["--few-failed"]:
        sys.exit(print_failed(Path(sys.argv[1])))
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
