"""Gateways and broadcasters as processes: started, watched, stopped, killed and frozen."""

import http.client
import os
import re
import shlex
import signal
from pathlib import Path

import ports
import process

from kit import evidence
from kit.waiting import PATIENCE, eventually

_STOP_PATIENCE = 120.0  # a drain, under sanitizers, on a busy machine
_SANITIZED = re.compile(
    r"(ERROR|WARNING): (Address|Leak|Thread|Memory)Sanitizer|runtime error:|Assertion .* failed")
_METRIC = re.compile(r"^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$", re.MULTILINE)
_SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1",
}


def _under():
    """The tool that services run under, if any: the beginning of a command."""
    return shlex.split(os.environ.get("WARREN_UNDER", ""))


def build_folder():
    """The meson build folder whose programs are tested."""
    folder = os.environ.get("WARREN_BUILD")
    if not folder:
        raise RuntimeError("WARREN_BUILD names no build folder; use tests/run")
    return Path(folder).resolve()


class Service:
    """One process of warren. `settings` maps "section.key" to a value, as in its INI file."""

    program = None

    def __init__(self, name, folder, settings):
        self.name = name
        self.log = Path(folder) / f"{name}.log"
        self.admin_port = ports.claim_any()
        self.settings = dict(settings)
        self.arguments = []
        self.process = None
        evidence.add(name, self.log, self.alive)

    @property
    def pid(self):
        return self.process.pid

    def env(self):
        """The environment of the process: ours without any WARREN_ but its settings."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("WARREN_")}
        for key, value in _SANITIZERS.items():
            env.setdefault(key, value)
        for key, value in self.settings.items():
            if value is not None:
                env["WARREN_" + key.upper().replace(".", "_")] = str(value)
        return env

    def start(self, wait=True):
        command = [*_under(), str(build_folder() / self.program), *self.arguments]
        self.process = process.spawn(command, self.log, self.env())
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=2 * PATIENCE):
        def ready_or_dead():
            if not self.alive():
                raise ChildProcessError(
                    f"{self.name} ended with {self.process.returncode}: {self.complaint()}")
            return self.ready()
        process.until(ready_or_dead, timeout, f"{self.name} is ready")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """Ends it with SIGTERM; fails unless it exits 0 without a sanitizer's report."""
        if self.process is None:
            return
        code = process.end(self.process, _STOP_PATIENCE)
        self.process = None
        assert code == 0, f"{self.name} exited with {code}: {self.complaint()}"
        self.check_log()

    def kill(self):
        """Ends it with SIGKILL, as a crash would."""
        if self.process is None:
            return
        early = self.process.poll()
        process.end(self.process, 30.0, signal.SIGKILL)
        self.process = None
        assert early is None, f"{self.name} had ended with {early}: {self.complaint()}"
        self.check_log()

    def restart(self):
        self.stop()
        return self.start()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def send_signal(self, number):
        self.process.send_signal(number)

    def get(self, path, port=None):
        """(status, text) of an HTTP GET at the admin address, or at another port."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.admin_port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def ready(self):
        try:
            return self.get("/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def metrics(self):
        """All metrics now: {'name' or 'name{label="x"}': number}."""
        status, text = self.get("/metrics")
        assert status == 200, text
        return {name: float(value) for name, value in _METRIC.findall(text)}

    def metric(self, name, **labels):
        """The sum over all lines of a metric that carry these labels; 0 when there is none."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(value for line, value in self.metrics().items()
                   if line.split("{")[0] == name and all(label in line for label in wanted))

    def wait_metric(self, name, wanted, timeout=PATIENCE, **labels):
        """Waits until a metric has the value, or fulfils the condition, `wanted`."""
        def holds():
            value = self.metric(name, **labels)
            fits = wanted(value) if callable(wanted) else value == wanted
            assert fits, f"{self.name}: {name} is {value}"
            return True
        eventually(holds, timeout, f"{self.name}: {name}")

    def log_text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def complaint(self):
        """The line that tells best why the process ended."""
        found = _SANITIZED.search(self.log_text())
        return found.group(0) if found else process.last_line(self.log)

    def check_log(self):
        found = _SANITIZED.search(self.log_text())
        assert not found, f"{self.name}: {found.group(0)}; see its log"


class Gateway(Service):
    """A gateway on a free port of its own."""

    program = "gateway/warren-gateway"

    def __init__(self, name, folder, settings):
        super().__init__(name, folder, settings)
        self.port = ports.claim_any()
        defaults = {
            "gateway.id": name,
            "gateway.listen": f"127.0.0.1:{self.port}",
            "gateway.drain": "1s",
            "gateway.stale": "60s",  # slow machines are no stale sessions
            "gateway.drain_accept": "0s",
            "gateway.admin": f"127.0.0.1:{self.admin_port}",
        }
        self.settings = {**defaults, **self.settings}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def ws_url(self, room=None):
        """The plain dialect's address."""
        return f"ws://127.0.0.1:{self.port}/ws" + (f"?room={room}" if room else "")

    def open_api(self, key):
        """Before its start: the HTTP API listens on a port of its own."""
        self.api_port = ports.claim_any()
        patient = {"api.wait": "60s", "api.gather": "30s"}  # for whatever is not frozen
        self.settings = {**patient, **self.settings,
                         "api.listen": f"127.0.0.1:{self.api_port}", "api.key": key}

    @property
    def centrifuge_url(self):
        return f"ws://127.0.0.1:{self.port}/connection/websocket"


class Broadcaster(Service):
    """A broadcaster."""

    program = "broadcaster/warren-broadcaster"

    def __init__(self, name, folder, settings):
        super().__init__(name, folder, settings)
        defaults = {
            "broadcaster.id": name,
            "broadcaster.admin": f"127.0.0.1:{self.admin_port}",
        }
        self.settings = {**defaults, **self.settings}
