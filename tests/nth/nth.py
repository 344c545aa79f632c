"""Every allocation and every system call of a scenario fails once, in turn.

A gateway, then a broadcaster, is started with fail.so, which makes one call fail, under a
conversation of two people (people.py) on a private RabbitMQ. Afterwards: the service has gone on
and exits 0 on SIGTERM, or it has ended in the defined way (exit code 70 and a line; 1 and a line
if it could not start) and was started again; never by a signal. What was answered with success is
in the room's history, in its log and with an observer once, what was answered with an error is
not, the people could go on, and all descriptors are back.

Which faults: by default one for each stack that a call was made from and each error of its kind.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "live"), str(_HERE.parents[1] / "compose")]

from kit import Broker  # noqa: E402
from kit.services import build_folder  # noqa: E402

from bench import Bench  # noqa: E402
from faults import ERRORS, Fault, each_call, each_site, sample  # noqa: E402

TARGETS = ("gateway", "broadcaster")


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="tests/nth/run", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", type=Fault.parse, metavar="FAULT",
                        help="only these, as a table names them: gateway:recv:3:ECONNRESET")
    parser.add_argument("--all", action="store_true", help="every single call: takes hours")
    parser.add_argument("--sample", type=int, metavar="K",
                        help="only so many of each service, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=TARGETS, help="only this service")
    parser.add_argument("--kind", action="append", choices=ERRORS, help="only this kind of call")
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    return parser.parse_args(arguments)


def stack_of(target, stack, depth=14):
    """Names for the frames of a stack; those of libraries stay numbers."""
    program = build_folder() / target / f"warren-{target}"
    for frame in stack[:depth]:
        module, _, offset = frame.partition("+")
        if module == "program":
            said = subprocess.run(
                ["addr2line", "-f", "-s", "-e", str(program), hex(int(offset, 16) - 1)],
                capture_output=True, text=True, check=False).stdout.split()
            frame = f"{said[0]} ({said[1]})" if len(said) > 1 else frame
        yield frame


def choose(options, target, bench):
    """The faults of one service, after a run without any that lists all calls."""
    listing = bench.run(None)
    if listing.problem or listing.end != 0:
        raise RuntimeError(f"{target} without a fault: {listing.problem or listing.end}")
    kinds = options.kind or list(ERRORS)
    calls = {kind: sum(listing.report.calls.get(kind, {}).values()) for kind in kinds}
    stacks = sum(len(listing.report.calls.get(kind, ())) for kind in kinds)
    print(f"{target}: {sum(calls.values())} calls from {stacks} stacks: "
          + " ".join(f"{kind}={count}" for kind, count in calls.items() if count), flush=True)
    faults = list((each_call if options.all else each_site)(target, listing.report, kinds))
    if options.sample:
        faults = sample(faults, options.sample, options.seed)
    return faults


def show(outcome, number, total):
    fired = "" if outcome.fired else " (never called)"
    end = "" if outcome.end == 0 else f" ended with {outcome.end}"
    word = f"FAILED {outcome.problem}" if outcome.problem else "ok"
    print(f"{number}/{total} {outcome.fault} {outcome.seconds:.1f} s{fired}{end}: {word}",
          flush=True)
    if outcome.problem and outcome.fired:
        for frame in stack_of(outcome.fault.target, outcome.report.stacks[outcome.fired[2]]):
            print(f"      {frame}")


def table(outcomes):
    rows = {}
    for outcome in outcomes:
        row = rows.setdefault((outcome.fault.target, outcome.fault.kind), Counter())
        row["tried"] += 1
        row["fired"] += bool(outcome.fired)
        row["went on" if outcome.end == 0 else "ended"] += bool(outcome.fired)
        row["failed"] += bool(outcome.problem)
    columns = ("tried", "fired", "went on", "ended", "failed")
    print(f"\n{'':26}" + "".join(f"{column:>9}" for column in columns))
    for (target, kind), row in rows.items():
        print(f"{target:12}{kind:14}" + "".join(f"{row[column]:9}" for column in columns))
    total = sum(rows.values(), Counter())
    print(f"{'in all':26}" + "".join(f"{total[column]:9}" for column in columns))


def try_all(broker, options, folder):
    """The outcomes, one service after the other."""
    outcomes, plans = [], {}
    targets = [t for t in TARGETS if options.target in (None, t)]
    if options.faults:
        targets = [t for t in targets if any(f.target == t for f in options.faults)]
    for target in targets:
        with Bench(broker, target, folder / target) as bench:
            plan = [fault for fault in options.faults if fault.target == target]
            if not options.faults:
                plan = choose(options, target, bench)
            plans[target] = plan
            for number, fault in enumerate(plan, 1):
                outcome = bench.run(fault)
                show(outcome, number, len(plan))
            found = [outcome for outcome in bench.outcomes if outcome.problem is None]
            log = bench.judge_log(broker)
            print(f"{target}: the log has {len(log.records)} records, and {log.voided} void ones")
            for outcome in found:
                if outcome.problem:
                    print(f"{outcome.fault}: FAILED {outcome.problem}")
            outcomes += [outcome for outcome in bench.outcomes if outcome.fault]
    return outcomes


def main(arguments=None):
    options = parse(arguments)
    folder = Path(tempfile.mkdtemp(prefix="nth-"))
    began = time.monotonic()
    broker = Broker(folder / "broker")
    failed = 1
    try:
        broker.start()
        broker.wait_ready()
        outcomes = try_all(broker, options, folder)
        table(outcomes)
        failed = sum(bool(outcome.problem) for outcome in outcomes)
        print(f"{time.monotonic() - began:.0f} s")
        print(f"{len(outcomes) - failed} passed, {failed} failed")
    finally:
        broker.remove()
        if options.keep or failed:
            print(f"logs: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
