"""Runs a whole warren on this machine for compose/up and ends it again; see its --help.

RabbitMQ, broadcasters, gateways and the balancer are child processes, each with a log and a pid
file in the run folder. Whoever dies is started again, as a supervisor of an installation would.
"""

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import accounts
import children
import node
import ports
import process

_ROOT = Path(__file__).resolve().parents[1]
_GATEWAY = "gateway/warren-gateway"
_BROADCASTER = "broadcaster/warren-broadcaster"
_READY = 120.0  # seconds until a process that has not become ready is given up
_END = 10.0  # seconds that a process has after each signal that asks it to end


class Failure(Exception):
    """What ends compose/up with one clear line."""


class Stop(Exception):
    """Somebody asked for the end."""


def say(text):
    print(text, flush=True)


class Warren:
    """All children of one compose/up."""

    def __init__(self, arguments, run_dir):
        self.arguments = arguments
        self.run_dir = run_dir
        self.stops = 0
        self.accounts = None
        self.rabbitmq = None
        self.broadcasters = []
        self.gateways = []
        self.balancer = None
        self.base_port = None

    def family(self):
        some = [self.rabbitmq, *self.broadcasters, *self.gateways, self.balancer]
        return [child for child in some if child]

    def stop(self, *_):
        """The handler of signals that ask for the end; the second one is impatient."""
        self.stops += 1

    def impatient(self):
        return self.stops > 1

    def check_stop(self):
        if self.stops:
            raise Stop

    def start(self):
        """Starts everything in order; Failure when something does not come up."""
        self.base_port = self._choose_base_port()
        amqp_port = self._near(5672, "RabbitMQ")
        page_port = self._near(15672, "RabbitMQ's page")
        metrics_port = self._near(15692, "RabbitMQ's metrics")
        say("starting RabbitMQ")
        names = [f"gateway-{number}" for number in range(1, self.arguments.gateways + 1)]
        self.accounts = accounts.Accounts(self.run_dir / "accounts", names)
        self.rabbitmq = children.RabbitMQ(self.run_dir, amqp_port, page_port, metrics_port,
                                          self.accounts)
        self._start([self.rabbitmq])
        say(f"starting {self.arguments.broadcasters} broadcasters and "
            f"{self.arguments.gateways} gateways")
        for number in range(1, self.arguments.broadcasters + 1):
            self.broadcasters.append(self._broadcaster(number))
        for number in range(1, self.arguments.gateways + 1):
            self.gateways.append(self._gateway(number))
        self._start(self.broadcasters + self.gateways)
        say("starting the balancer")
        self.balancer = self._balancer()
        self._start([self.balancer])

    def watch(self):
        """Starts again what dies, until somebody asks for the end."""
        while True:
            self.check_stop()
            for child in self.family():
                if child.due is not None:
                    if time.monotonic() >= child.due:
                        child.start()
                elif not child.over and child.process.poll() is not None:
                    self._mourn(child)
            time.sleep(0.1)

    def finish(self):
        """Ends everything in order, by force when it takes too long or the user asks twice."""
        self._end(self.gateways + self.broadcasters, _END)
        self._end([self.balancer], _END)
        self._end([self.rabbitmq], 3 * _END)

    def describe(self):
        say(f"\nchat          http://127.0.0.1:{self.base_port}/   (the balancer)")
        for number, child in enumerate(self.gateways, 1):
            admin = child.settings["WARREN_GATEWAY_ADMIN"]
            say(f"{child.name:13} http://127.0.0.1:{self.base_port + number}/   "
                f"watch it at http://{admin}/metrics")
        for child in self.broadcasters:
            admin = child.settings["WARREN_BROADCASTER_ADMIN"]
            say(f"{child.name:13} watch it at http://{admin}/metrics")
        page = self.rabbitmq.node.page
        password = shown(self.accounts.folder / accounts.ADMIN)
        say(f"RabbitMQ      {page}   user {accounts.ADMIN}, password in {password}; "
            f"watch it at http://127.0.0.1:{self.rabbitmq.node.metrics_port}/metrics")
        say(f"logs, pids    {shown(self.run_dir)}/")
        say("Open the chat in two browsers. Ctrl-C ends everything.\n")

    def _mourn(self, child):
        child.over = True
        if self.arguments.no_restart:
            say(child.epitaph())
            child.pid_file.unlink(missing_ok=True)
        else:
            child.plan_restart()
            say(f"{child.epitaph()}; starting it again")

    def _start(self, family):
        for child in family:
            child.start()
        for child in family:
            self._await(child)

    def _await(self, child):
        def is_ready():
            self.check_stop()
            if child.process.poll() is not None:
                raise Failure(child.epitaph())
            return child.ready()
        try:
            process.until(is_ready, _READY, child.name, pause=0.1)
        except TimeoutError:
            raise Failure(f"{child.name} is not ready after {_READY:g} s: "
                          f"{child.complaint()}") from None

    def _end(self, family, patience):
        family = [child for child in family if child]
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            if self.impatient():
                number = signal.SIGKILL
            for child in family:
                child.end(number)
            deadline = time.monotonic() + patience
            while not all([child.buried() for child in family]):
                if time.monotonic() > deadline:
                    break
                if self.impatient() and number != signal.SIGKILL:
                    break
                time.sleep(0.05)
            else:
                return

    def _choose_base_port(self):
        """The port of the page; those of the gateways follow it."""
        wanted, count = self.arguments.base_port, self.arguments.gateways
        first = wanted or 8080
        while first + count < 65536:
            taken = [port for port in range(first, first + count + 1) if not ports.claim(port)]
            if not taken:
                if wanted is None and first != 8080:
                    say(f"port 8080 or one after it is taken; using {first} to {first + count}")
                return first
            if wanted is not None:
                raise Failure(f"port {taken[0]} is taken; choose others with --base-port")
            first = taken[-1] + 1
        raise Failure("no free ports for the gateways")

    def _near(self, port, what):
        found = ports.claim_from(port)
        if found != port:
            say(f"port {port} is taken; {what} uses {found}")
        return found

    def _common(self, user):
        return {"WARREN_AMQP_URL_FILE": str(self.accounts.url_file(user))}

    def _broadcaster(self, number):
        admin = self._near(9280 + number, f"broadcaster-{number}'s admin address")
        argv = [str(self.arguments.build / _BROADCASTER)]
        return children.Child(f"broadcaster-{number}", self.run_dir, argv, {
            **self._common("broadcaster"),
            "WARREN_BROADCASTER_ID": f"broadcaster-{number}",
            "WARREN_BROADCASTER_ADMIN": f"127.0.0.1:{admin}",
        }, lambda: answers(admin, "/ready"))

    def _gateway(self, number):
        admin = self._near(9180 + number, f"gateway-{number}'s admin address")
        argv = [str(self.arguments.build / _GATEWAY)]
        return children.Child(f"gateway-{number}", self.run_dir, argv, {
            **self._common(f"gateway-{number}"),  # good for its own exchange and queue
            "WARREN_GATEWAY_ID": f"gateway-{number}",
            "WARREN_GATEWAY_LISTEN": f"127.0.0.1:{self.base_port + number}",
            "WARREN_GATEWAY_ADMIN": f"127.0.0.1:{admin}",
            "WARREN_GATEWAY_TRUSTED": "127.0.0.1",  # the balancer
            "WARREN_GATEWAY_DEMO": "yes",
            "WARREN_AUTH_HMAC_KEY_FILE": str(key_file(self.run_dir)),
            "WARREN_AUTH_ANONYMOUS": "yes",
            "WARREN_GATEWAY_DRAIN": "1s",
        }, lambda: answers(admin, "/ready"))

    def _balancer(self):
        servers = self.run_dir / "gateways.cfg"
        lines = ["# Written by compose/up: who stands behind the balancer.",
                 "backend gateways from balancing"]
        for child in self.gateways:
            admin = child.settings["WARREN_GATEWAY_ADMIN"].split(":")[1]
            listen = child.settings["WARREN_GATEWAY_LISTEN"]
            lines.append(f"    server {child.name} {listen} check port {admin}")
        servers.write_text("\n".join(lines) + "\n", encoding="ascii")
        shared = _ROOT / "compose" / "haproxy.cfg"
        return children.Child("haproxy", self.run_dir,
                     ["haproxy", "-db", "-f", str(shared), "-f", str(servers)],
                     {"LISTEN": f"127.0.0.1:{self.base_port}", "PER_ADDRESS": "100000",
                      "ADDRESS_RATE": "100000"},
                     lambda: answers(self.base_port, "/"))


def answers(port, path):
    """Whether an HTTP server at the port answers 200 now."""
    return node.http_status(port, path) == 200


def shown(path):
    """A path as short as it can be named from where the user is."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("../..") else relative


def key_file(run_dir):
    """The development key for tokens, made at the first start and kept."""
    path = run_dir / "hmac_key"
    accounts.kept(path)
    return path


def print_token(program, name, run_dir):
    env = {k: v for k, v in os.environ.items() if not k.startswith("WARREN_")}
    env["WARREN_AUTH_HMAC_KEY_FILE"] = str(key_file(run_dir))
    return subprocess.run([str(program), "token", "--user", name], env=env,
                          stdin=subprocess.DEVNULL, check=False).returncode


def lock(run_dir):
    """Keeps a second compose/up out of the run folder for as long as this one lives."""
    holder = open(run_dir / ".lock", "a+", encoding="ascii")  # pylint: disable=consider-using-with
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder.seek(0)
        raise Failure(f"already running in {shown(run_dir)} (pid {holder.read().strip()}); "
                      "end that one or use another --run-dir") from None
    holder.truncate(0)
    holder.write(f"{os.getpid()}\n")
    holder.flush()
    return holder


def end_strays(run_dir):
    """Ends what children have left, or an earlier compose/up that was killed a moment ago."""
    mark = f"{children.MARK}={run_dir}".encode()
    strays = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environ.read_bytes().split(b"\0"):
                strays.append(int(environ.parent.name))
        except OSError:
            continue
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in strays:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + 3 * _END
        while strays and time.monotonic() < deadline:
            strays = [pid for pid in strays if Path(f"/proc/{pid}/environ").exists()
                      and mark in read_or_nothing(f"/proc/{pid}/environ")]
            time.sleep(0.05)
    for pid_file in run_dir.glob("*.pid"):
        pid_file.unlink()


def read_or_nothing(path):
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def positive(text):
    number = int(text)
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError("must be from 1 to 64")
    return number


def port(text):
    number = int(text)
    if not 1 <= number <= 65000:
        raise argparse.ArgumentTypeError("must be from 1 to 65000")
    return number


def parse(argv):
    parser = argparse.ArgumentParser(prog="compose/up", add_help=False, allow_abbrev=False)
    parser.add_argument("--gateways", type=positive, default=2)
    parser.add_argument("--broadcasters", type=positive, default=2)
    parser.add_argument("--base-port", type=port)
    parser.add_argument("--run-dir", type=Path, default=_ROOT / ".run")
    parser.add_argument("--no-restart", action="store_true")
    parser.add_argument("--token", metavar="NAME")
    # Of compose/up itself: where the programs are; and to look at the options only.
    parser.add_argument("--build", type=Path, default=_ROOT / ".build" / "up")
    parser.add_argument("--check", action="store_true")
    return parser.parse_args(argv)


def run(arguments):
    run_dir = arguments.run_dir.resolve()
    run_dir.mkdir(parents=True, exist_ok=True)
    if arguments.token:
        return print_token(arguments.build / _GATEWAY, arguments.token, run_dir)
    holder = lock(run_dir)
    end_strays(run_dir)
    warren = Warren(arguments, run_dir)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, warren.stop)
    try:
        warren.start()
        warren.describe()
        say("ready")
        warren.watch()
    except Stop:
        say("ending")
    finally:
        warren.finish()
        end_strays(run_dir)
        holder.close()
    say("ended")
    return 0


def main():
    arguments = parse(sys.argv[1:])
    if arguments.check:
        return 0
    try:
        return run(arguments)
    except (Failure, OSError) as failure:
        print(f"compose/up: {failure}", file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
