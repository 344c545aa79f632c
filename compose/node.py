"""One private RabbitMQ node on this machine, with its own folder, ports, cookie and epmd.

It touches nothing of a RabbitMQ that is installed as a service, runs as root and as anybody
else, and leaves nothing behind but its folder. Settings that it shares with the containers are
read from rabbitmq.conf, enabled_plugins and definitions.json beside this file.
"""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import accounts
import ports
import process

_HERE = Path(__file__).resolve().parent
_PROGRAMS = Path("/usr/lib/rabbitmq/bin")  # those in PATH switch to the user rabbitmq
_AMQP_HELLO = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME = b"\x01"

ADMIN = accounts.ADMIN


def http_status(port, path):
    """The status that an HTTP server of this machine answers with; 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


class Node:
    """A node that is started, stopped, killed, frozen and started again on the same data."""

    def __init__(self, folder, amqp_port, page_port, log=None, dies_by=signal.SIGKILL, env=None,
                 accounts_of=None, metrics_port=None):
        self.folder = Path(folder).resolve()
        self.accounts = accounts_of or accounts.Accounts(self.folder / "accounts", fixed=True)
        self.amqp_port = amqp_port
        self.page_port = page_port
        self.metrics_port = metrics_port or ports.claim_any()
        self.log = Path(log).resolve() if log else self.folder / "node.log"
        self.dies_by = dies_by
        self.process = None
        self._epmd = None
        self._epmd_port = ports.claim_any()
        self._dist_port = ports.claim_any()
        self._more_env = dict(env or {})

    @property
    def address(self):
        """Of AMQP."""
        return f"127.0.0.1:{self.amqp_port}"

    def url(self, user=ADMIN):
        """The AMQP address for an account."""
        return self.accounts.url(user, self.address)

    @property
    def page(self):
        return f"http://127.0.0.1:{self.page_port}/"

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def start(self):
        """Starts the node and returns at once; wait_ready() tells when it serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_settings()
        if self._epmd is None or self._epmd.poll() is not None:
            self._start_epmd()
        self.process = process.spawn(
            [str(_PROGRAMS / "rabbitmq-server")], self.log, env=self._env(), cwd=self.folder,
            dies_by=self.dies_by)

    def wait_ready(self, timeout=180.0):
        """Waits until the node takes AMQP connections and its page knows the accounts."""
        process.until(self._ready_or_dead, timeout, "RabbitMQ is ready", pause=0.1)

    def ready(self):
        """Whether both doors are open now."""
        return self._knows_accounts() and self._speaks_amqp()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, patience=60.0):
        """Ends the node in order, by force after `patience` seconds, and its epmd with it."""
        code = process.end(self.process, patience) if self.process else 0
        self._end_epmd()
        return code

    def kill(self):
        """Ends the node as kill -9 does; start() brings it back with what was on its disk."""
        if self.process:
            process.end(self.process, 10.0, signal.SIGKILL)
        self._end_epmd()

    def pause(self):
        """Freezes the node: its sockets stay open and nobody answers."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def restart(self, timeout=180.0):
        """Stops the node in order and waits until it is back on the same ports and data."""
        self.stop()
        self.start()
        self.wait_ready(timeout)

    def remove(self):
        """Kills the node and deletes its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def complaint(self):
        """The first error in the log, for a message of one line."""
        with open(self.log, encoding="utf-8", errors="replace") as lines:
            errors = re.findall(r"\[error\] <[\d.]+> (?!BOOT FAILED|=)(\S.*)", lines.read())
        text = errors[0] if errors else process.last_line(self.log)
        return text if len(text) < 160 else f"{text[:70]} ... {text[-80:]}"

    def ctl(self, *args):
        """What `rabbitmqctl ARGS` prints for this node."""
        done = subprocess.run(
            [str(_PROGRAMS / "rabbitmqctl"), "-q", *args], env=self._env(), cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"rabbitmqctl {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout

    def api(self, path, method="GET", body=None, user=ADMIN, timeout=10.0):
        """The decoded answer of the page's HTTP interface, `path` without its /api/."""
        connection = http.client.HTTPConnection("127.0.0.1", self.page_port, timeout=timeout)
        try:
            login = base64.b64encode(f"{user}:{self.accounts.password(user)}".encode()).decode()
            connection.request(
                method, f"/api/{path}", None if body is None else json.dumps(body),
                {"Authorization": f"Basic {login}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} /api/{path}: {answer.status} {text[:200]!r}")
            return json.loads(text) if text else None
        finally:
            connection.close()

    def _ready_or_dead(self):
        if not self.alive():
            raise ChildProcessError(f"RabbitMQ ended at once: {self.complaint()}")
        return self.ready()

    def _speaks_amqp(self):
        try:
            with socket.create_connection(("127.0.0.1", self.amqp_port), 2.0) as door:
                door.settimeout(2.0)
                door.sendall(_AMQP_HELLO)
                return door.recv(1) == _METHOD_FRAME
        except OSError:
            return False

    def _knows_accounts(self):
        try:
            return self.api("whoami", timeout=2.0)["name"] == ADMIN
        except (OSError, RuntimeError, ValueError, http.client.HTTPException):
            return False

    def _start_epmd(self):
        """A node would start one by itself that nobody ever ends."""
        self._epmd = process.spawn(
            ["epmd", "-address", "127.0.0.1", "-port", str(self._epmd_port)],
            self.log, env=self._env(), cwd=self.folder, dies_by=self.dies_by)
        process.until(lambda: ports.taken(self._epmd_port), 30.0, "epmd listens")

    def _end_epmd(self):
        if self._epmd:
            process.end(self._epmd, 5.0)
            self._epmd = None

    def _write_settings(self):
        """What is this node's alone; RabbitMQ reads it after the shared file."""
        extra = self.folder / "conf.d"
        extra.mkdir(exist_ok=True)
        (extra / "node.conf").write_text("\n".join([
            f"listeners.tcp.local = 127.0.0.1:{self.amqp_port}",
            "management.tcp.ip = 127.0.0.1",
            f"management.tcp.port = {self.page_port}",
            "prometheus.tcp.ip = 127.0.0.1",
            f"prometheus.tcp.port = {self.metrics_port}",
            f"load_definitions = {self.accounts.write(self.address)}",
            "disk_free_limit.absolute = 200MB",
        ]) + "\n", encoding="utf-8")
        (self.folder / "env.conf").write_text("", encoding="ascii")

    def _env(self):
        strange = ("RABBITMQ_", "ERL_", "CONF_ENV_FILE", "NOTIFY_SOCKET", "WARREN_")
        env = {k: v for k, v in os.environ.items() if not k.startswith(strange)}
        env.update(self._more_env)
        env.update({
            "HOME": str(self.folder),  # Erlang's cookie
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the node: its pid is ours
            "ERL_FLAGS": "-start_epmd false",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": "warren@127.0.0.1",  # nobody has to resolve a name
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(_HERE / "rabbitmq"),
            "RABBITMQ_CONFIG_FILES": str(self.folder / "conf.d"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(_HERE / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-kernel inet_dist_use_interface {127,0,0,1}",
        })
        return env
