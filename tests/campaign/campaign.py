"""A campaign from beginning to end: broker, services behind relays, clients, faults, verdict."""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "live"), str(_HERE.parents[1] / "compose")]

import process  # noqa: E402
from check import CHECKS, check, read  # noqa: E402
from kit import Broker, Deployment  # noqa: E402
from nemesis import DECK, Nemesis  # noqa: E402
from relay import Relays  # noqa: E402

_START_S = 120.0
_FINDING_S = 120.0
_MORE_S = 10  # that is waited beyond what is called stuck
AT_THE_END = ("lost", "stuck")  # what a log that is still written does not show
_SETTINGS = {
    "topology.in_max_length": 200,  # so that it is reached
    "room.history_size": 100000,  # the auditor reads all of it
    "gateway.ping": "5s",
    "gateway.pong": "4s",
}


class Progress:
    """Follows the log of the clients: what was answered, and when a room was last heard of."""

    def __init__(self, path):
        self._path = path
        self._at = 0
        self._rooms = {}  # id: room, of those that are not answered
        self.last = {}  # room: time of the last success
        self.counts = Counter()

    def look(self):
        with open(self._path, "rb") as log:
            log.seek(self._at)
            text = log.read()
        text = text[:text.rfind(b"\n") + 1]
        self._at += len(text)
        for line in text.splitlines():
            if b'"what": "recv"' in line:
                continue
            event = json.loads(line)
            self.counts[event["what"]] += 1
            if event["what"] == "invoke":
                self._rooms[event["id"]] = event["room"]
            elif event["what"] in ("ok", "fail", "info"):
                room = self._rooms.pop(event["id"])
                if event["what"] == "ok":
                    self.last[room] = event["t"]

    def goes_on(self, rooms, since):
        """Whether each room had a success after that time."""
        self.look()
        return len(self.last) >= rooms and min(self.last.values()) > since


class Campaign:
    """What runs, and the order in which it does. `broker`: one that runs already and goes on."""

    def __init__(self, options, folder, broker=None):
        self.options, self.folder = options, folder
        self.logs = folder / "events"
        self.logs.mkdir()
        self.relays = Relays()
        self.broker = broker or Broker(folder / "broker")
        self._owns_broker = broker is None
        self.failures = []  # what is no business of the checker
        self.struck = 0
        self.is_enough = False  # somebody ends it early
        self.is_found = False  # what it was said to find: no need to end in order
        self.progress = Progress(self.logs / "clients.jsonl")

    def run(self):
        try:
            if self._owns_broker:
                self.broker.start()
                self.broker.wait_ready()
            running = Deployment(self.broker, 0, 0, settings=_SETTINGS,
                                 prefix="campaign" if self._owns_broker else None,
                                 broadcaster={"broadcaster.memory": "1g"})
            behind = self._place(running)
            with running:
                self._fight(running, behind)
        except (AssertionError, TimeoutError, OSError, RuntimeError) as error:
            self.failures.append(f"{type(error).__name__}: {error}")
        finally:
            if self._owns_broker:
                self.broker.kill()
            self.relays.stop()

    def _place(self, running):
        """Services that reach the broker through a relay each."""
        behind = {}
        for add, account, count in ((running.add_gateway, "gateway", self.options.gateways),
                                    (running.add_broadcaster, "broadcaster",
                                     self.options.broadcasters)):
            for _ in range(count):
                relay = self.relays.add(self.broker.amqp_port)
                url = f"amqp://{account}:{account}@127.0.0.1:{relay.port}/"
                service = add(start=False, amqp__url=url)
                behind[service] = relay
                if self.options.sabotage.startswith(f"{account}_"):
                    service.program = f"tests/campaign/sabotage/{self.options.sabotage}"
        return behind

    def _fight(self, running, behind):
        options = self.options
        clients = self._spawn_clients(running)
        try:
            all_lines = self.options.readers * self.options.rooms
            process.until(
                lambda: self._goes_on(0.0, clients) and
                self.progress.counts["subscribed"] >= all_lines, _START_S, "all are there")
            now = time.monotonic()
            process.until(lambda: self._goes_on(now, clients), _START_S, "the clients talk")
            with open(self.logs / "nemesis.jsonl", "w", encoding="utf-8") as log:
                nemesis = Nemesis(running, behind, options.seed, options.longest, log,
                                  options.only or DECK)
                try:
                    self._wait_for_publishes(clients, options.before)
                    self._strike_all(nemesis, clients)
                    self._wait_for_publishes(clients, options.publishes)
                    self._wait_for_finding()
                finally:
                    self.failures += nemesis.crashes
        finally:
            clients.send_signal(signal.SIGKILL if self.is_found else signal.SIGTERM)
            if clients.wait(10 * (self.options.stuck + _MORE_S)) != 0 and not self.is_found:
                self.failures.append("the clients failed; see clients.log")

    def _spawn_clients(self, running):
        (self.logs / "clients.jsonl").touch()
        options = self.options
        urls = [f"--gateway={gateway.centrifuge_url}" for gateway in running.gateways]
        return process.spawn(
            [sys.executable, str(_HERE / "clients.py"), str(self.logs), *urls,
             f"--writers={options.writers}", f"--readers={options.readers}",
             f"--rooms={options.rooms}", f"--rate={options.rate}", f"--seed={options.seed}",
             f"--stay={options.stay}",
             f"--last={options.stuck + _MORE_S}"],
            self.folder / "clients.log")

    def _goes_on(self, since, clients):
        if clients.poll() is not None:
            raise RuntimeError(f"the clients ended with {clients.returncode}")
        return self.progress.goes_on(self.options.rooms, since)

    def _strike_all(self, nemesis, clients):
        began = time.monotonic()
        while self.struck < self.options.faults and not self.is_enough:
            faults = nemesis.draw(self.options.faults - self.struck)
            before = time.monotonic()
            nemesis.strike(faults)
            self.struck += len(faults)
            healed = time.monotonic()
            awaits, dwell = nemesis.waits()
            if awaits or self.struck >= self.options.faults:
                try:
                    process.until(lambda: self._goes_on(healed, clients),
                                  self.options.stuck + _MORE_S,
                                  "all rooms go on")
                except TimeoutError as error:
                    self.failures.append(str(error))
                    return
            else:
                self.progress.look()
            if self._finds():
                return
            if not self.options.quiet:
                goes_on = f", all go on after {time.monotonic() - healed:.1f} s" if awaits else ""
                print(f"{self.struck:>5}/{self.options.faults} {before - began:>8.1f} s  "
                      f"{' + '.join(map(str, faults))}; healed after {healed - before:.1f} s"
                      f"{goes_on}; ok {self.progress.counts['ok']:,}", flush=True)
            time.sleep(dwell)

    def _wait_for_publishes(self, clients, wanted):
        """Without faults, until as many were acknowledged as were asked for."""
        def enough():
            goes_on = self._goes_on(0.0, clients)
            return self.is_enough or (goes_on and self.progress.counts["ok"] >= wanted)
        process.until(enough, float("inf"), "enough was acknowledged", 0.2)

    def _wait_for_finding(self):
        """Until the checker finds what it was said to find."""
        if self.options.until:
            try:
                process.until(lambda: self._finds() or self.is_enough, _FINDING_S, "found", 0.5)
            except TimeoutError:
                pass  # the verdict tells

    def _finds(self):
        """Whether the checker finds already what it was said to find."""
        wrong = self.options.until
        self.is_found = self.is_found or wrong is not None and bool(
            check(read(self.logs), self.options.stuck).findings[wrong])
        return self.is_found


def faults_by_kind(folder):
    kinds = Counter()
    path = folder / "nemesis.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        event = json.loads(line)
        if event["what"] == "fault":
            kinds[event["kind"]] += 1
    return kinds


def judge(campaign):
    """Has the checker judge, prints all; (passed, failed)."""
    done = subprocess.run(
        [sys.executable, str(_HERE / "check.py"), str(campaign.logs),
         f"--stuck={campaign.options.stuck}"], stdout=subprocess.PIPE, text=True, check=False)
    *table, last = done.stdout.rstrip("\n").split("\n")
    words = last.split(" ")
    passed, failed = (int(words[0]), int(words[2])) if len(words) == 4 else (0, 1)
    print("\n".join(["", *(f"{count:>10,}  {kind}"
                           for kind, count in sorted(faults_by_kind(campaign.logs).items()))]))
    print("\n".join(table))
    asked = campaign.options.faults
    checks = [(f"{campaign.struck} of {asked} faults were done", campaign.struck >= asked),
              ("all programs did as they should", not campaign.failures)]
    for what, good in checks:
        print(f"{'':>10}  {what}: {'yes' if good else 'NO'}")
        passed, failed = passed + good, failed + (not good)
    for failure in campaign.failures:
        print(f"{'':>12}  {failure}")
    return passed, failed


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        prog="tests/campaign/run",
        description="Faults for a whole warren under load, and a verdict. Ctrl-C: no more faults, "
                    "the verdict on what was.")
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, default=None, help="default: a new one; it is printed")
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    parser.add_argument("--publishes", type=int, default=0,
                        help="that are acknowledged at least; after the faults it waits for them")
    parser.add_argument("--before", type=int, default=0, metavar="PUBLISHES",
                        help="that are acknowledged at least before the first fault")
    parser.add_argument("--until", choices=[wrong for wrong in CHECKS if wrong not in AT_THE_END],
                        help="it ends when the checker finds that, or two minutes after the faults")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--longest", type=float, default=20.0, metavar="SECONDS",
                        help="of freezes, cuts and alarms")
    parser.add_argument("--stuck", type=int, default=120, metavar="SECONDS",
                        help="after which what does not go on is called stuck")
    parser.add_argument("--stay", type=float, default=25.0, metavar="SECONDS",
                        help="the longest that a reader stays on one connection")
    parser.add_argument("--only", action="append", choices=sorted(set(DECK)),
                        help="faults of this kind; several times for several kinds")
    parser.add_argument("--sabotage", default="", metavar="PROGRAM",
                        help="run a program with a planted bug, of tests/campaign/sabotage/, "
                             "instead of the gateway or the broadcaster")
    for name, default in (("gateways", 2), ("broadcasters", 2), ("writers", 4), ("readers", 6),
                          ("rooms", 8), ("rate", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1, 1000000)
    return options


def main():
    options = parse()
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    print(f"seed {options.seed}, {options.faults} faults, logs in {folder}", flush=True)
    began = time.monotonic()
    campaign = Campaign(options, folder)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(campaign, "is_enough", True))
    campaign.run()
    passed, failed = judge(campaign)
    if options.keep or failed:
        print(f"the logs are in {folder}; again with --seed {options.seed}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
