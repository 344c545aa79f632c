"""What a fault is tried on: a private broker, healthy services, and the one that is hit."""

import asyncio
import os
import re
import subprocess
import time
from collections import Counter

import process
from kit import CentrifugeClient, Deployment
from kit.services import build_folder

from faults import Report
from judge import read_log
from people import HUNG_S, Finding, Ledger, check_line, converse, insist

OUT_OF_MEMORY = 70  # common/mem.h
_START_S = 60.0
_END_S = 60.0
_SETTLE_S = 30.0
_ASAN_OPTIONS = "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1"
_SETTINGS = {"topology.partitions": 1, "room.history_size": 1000}


class Outcome:
    """Of one fault."""

    def __init__(self, fault, room, report):
        self.fault, self.room, self.report = fault, room, report
        self.problem = None
        self.end = None  # how the service ended that was hit
        self.ledger = Ledger()
        self.seconds = 0.0

    @property
    def fired(self):
        return self.report.fired


def _open_files(pid):
    """How many descriptors of each sort a process has."""
    kinds = Counter()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            kinds[re.sub(r":\[\d+\]", "", os.readlink(f"/proc/{pid}/fd/{name}"))] += 1
        except FileNotFoundError:
            pass  # closed meanwhile
    return kinds


def _preload(program):
    """The environment that loads fail.so, before the sanitizer when the program has one."""
    fail = build_folder() / "tests/nth/fail.so"
    said = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    found = re.search(r"=> (\S*libasan\S*)", said)
    if not found:
        return {"LD_PRELOAD": str(fail)}
    return {"LD_PRELOAD": f"{fail}:{found[1]}",
            "ASAN_OPTIONS": f"{_ASAN_OPTIONS}:verify_asan_link_order=0"}


class Bench:
    """Serves the scenario again and again. `target`: gateway or broadcaster, the one that is hit.

    The other one is healthy, and so is the gateway that an observer watches from.
    """

    def __init__(self, broker, target, folder):
        self.target, self.folder = target, folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.deployment = Deployment(broker, 1, 1 if target == "gateway" else 0,
                                     settings=_SETTINGS)
        add = self.deployment.add_gateway if target == "gateway" else \
            self.deployment.add_broadcaster
        self.service = add(start=False)
        self._preload = _preload(build_folder() / self.service.program)
        getattr(self.deployment, f"{target}s").remove(self.service)
        self.healthy = self.deployment.gateways[0]
        self.outcomes = []
        self.count = 0
        self._clean_env = self.service.env

    def __enter__(self):
        for service in self.deployment.broadcasters + self.deployment.gateways:
            service.start(wait=False)
        for service in self.deployment.broadcasters + self.deployment.gateways:
            service.wait_ready()
        return self

    def __exit__(self, kind, error, trace):
        if self.service.alive():
            self.service.kill()
        if kind is None:
            self.deployment.stop()
        else:
            self.deployment.__exit__(kind, error, trace)

    def run(self, fault):
        """Tries one fault; None: none, and every call is listed."""
        self.count += 1
        room = f"{self.target}-{self.count}"
        report = self.folder / f"{room}.report"
        env = {**self._preload, "NTH_REPORT": str(report),
               **(fault.env() if fault else {"NTH_LIST": "1"})}
        self.service.env = lambda: {**self._clean_env(), **env}
        self.service.log = self.folder / f"{room}.log"
        outcome = Outcome(fault, room, None)
        began = time.monotonic()
        try:
            asyncio.run(self._case(outcome))
        except Finding as finding:
            outcome.problem = str(finding)
        except (AssertionError, TimeoutError, OSError) as error:
            outcome.problem = f"{type(error).__name__}: {error}"
        finally:
            if self.service.alive():
                self.service.kill()
        outcome.seconds = time.monotonic() - began
        outcome.report = Report(report)
        if outcome.problem is None:
            report.unlink(missing_ok=True)
            self.service.log.unlink(missing_ok=True)
        self.outcomes.append(outcome)
        return outcome

    def judge_log(self, broker):
        """At the end of all: whether the log agrees with every ledger."""
        marker = {"key": "the end"}

        async def put_marker():
            client = await CentrifugeClient.connect(self.healthy)
            await insist("the last record", lambda: client.publish("the-end", marker))
            await client.close()
        if self.target == "broadcaster":
            self.service.env = self._clean_env
            self.service.start()
        asyncio.run(put_marker())
        log = read_log(broker, f"{self.deployment.prefix}.log.0", marker)
        if self.target == "broadcaster":
            self.service.stop()
        for outcome in self.outcomes:
            try:
                outcome.ledger.judge("log", log.keys(outcome.room))
            except Finding as finding:
                outcome.problem = outcome.problem or str(finding)
        return log

    async def _case(self, outcome):
        # An answer that nobody waits for any more is no matter.
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        observer = await CentrifugeClient.connect(self.healthy)
        self.service.start(wait=False)
        guard = asyncio.create_task(self._guard(outcome))
        try:
            scene = asyncio.create_task(self._scene(outcome, observer))
            await asyncio.wait({scene, guard}, return_when=asyncio.FIRST_COMPLETED)
            if guard.done():
                scene.cancel()
                await asyncio.gather(scene, return_exceptions=True)
                guard.result()
            scene.result()
        finally:
            guard.cancel()
            await asyncio.gather(guard, return_exceptions=True)
            await observer.close()
        self._end(outcome)

    async def _scene(self, outcome, observer):
        """What happens while the service lives."""
        room, ledger = outcome.room, outcome.ledger
        front = self.service if self.target == "gateway" else self.healthy
        await self._ready()
        place = await insist("the observer comes", lambda: observer.subscribe(
            room, positioned=True, recoverable=True))
        pid, before = self.service.pid, await self._files_at_rest()
        tokens = {name: self.deployment.token(name) for name in ("ann", "bob")}
        await converse(front, room, ledger, tokens)
        await self._metrics()
        pubs = await self._observed(observer, room, ledger)
        check_line("the observer", place.get("offset", 0), pubs)
        ledger.judge("the observer", [pub["data"].get("key") for pub in pubs])
        page = await insist("history", lambda: observer.call(
            "history", HUNG_S, channel=room, limit=1000))
        ledger.judge("history at the end",
                     [pub["data"].get("key") for pub in page["publications"]])
        await self._balanced(pid, before)

    async def _observed(self, observer, room, ledger):
        """All that the observer was given, when what must come has come."""
        wanted = {key for key, state in ledger.state.items() if state == "ok"}
        deadline = time.monotonic() + _SETTLE_S
        while time.monotonic() < deadline:
            pubs = observer.pubs(room)
            if wanted <= {pub["data"].get("key") for pub in pubs}:
                return pubs
            await asyncio.sleep(0.02)
        raise Finding(f"the observer was not given {sorted(wanted)}, but {len(pubs)} records")

    async def _ready(self):
        """The guard starts it again when it ends."""
        deadline = time.monotonic() + _START_S
        while not (self.service.alive() and self.service.ready()):
            if time.monotonic() > deadline:
                raise Finding("is not ready")
            await asyncio.sleep(0.02)

    async def _files_at_rest(self):
        """Without those of the connections that have just asked whether it is ready."""
        files = _open_files(self.service.pid)
        for _ in range(3):
            await asyncio.sleep(0.02)
            files &= _open_files(self.service.pid)
        return files

    async def _metrics(self):
        async def attempt():
            status, text = self.service.get("/metrics")
            if status != 200 or f"warren_{self.target}_" not in text:
                raise LookupError("no metrics")
        await insist("metrics", attempt)

    async def _balanced(self, pid, before):
        deadline = time.monotonic() + _SETTLE_S
        while self.service.alive() and self.service.pid == pid:
            extra = _open_files(pid) - before
            if not extra:
                return
            if time.monotonic() > deadline:
                raise Finding(f"descriptors that were not there before: {dict(extra)}")
            await asyncio.sleep(0.05)

    async def _guard(self, outcome):
        """The supervisor: starts the service anew, without a fault, when it has ended."""
        while True:
            if not self.service.alive():
                self._note_end(outcome, self.service.process.returncode)
                self.service.env = self._clean_env
                self.service.start(wait=False)
            await asyncio.sleep(0.02)

    def _note_end(self, outcome, code):
        """Ended by itself: only in the one defined way, or when it could not start."""
        said = self._said()
        if outcome.end is not None:
            raise Finding(f"ended twice, at last with {code}: {said[-1:]}")
        outcome.end = code
        self.service.check_log()
        if code == OUT_OF_MEMORY and said:
            return
        if code in (1, 2) and said and not any(" ready" in line for line in said):
            return
        raise Finding(f"ended with {code}: {said[-1:]}")

    def _said(self):
        return [line for line in self.service.log_text().splitlines() if line]

    def _end(self, outcome):
        """SIGTERM."""
        code = process.end(self.service.process, _END_S)
        is_hit = outcome.end is None
        self.service.process = None
        self.service.check_log()
        outcome.end = code if is_hit else outcome.end
        if code != 0 and not (is_hit and code == OUT_OF_MEMORY and self._said()):
            raise Finding(f"ended with {code} after SIGTERM: {self._said()[-1:]}")
