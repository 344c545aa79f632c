"""The processes that compose/up keeps alive, each with a log and a pid file in the run folder."""

import os
import signal
import time

import node
import process

MARK = "COMPOSE_UP_RUN_DIR"  # in the environment of every child: whose it is
_STEADY = 10.0  # seconds after which a process that dies is started again at once
_BACKOFF = (0.5, 5.0)  # seconds between starts of one that dies again and again


class Child:
    """A process that is kept alive. `name` is that of its log and its pid file."""

    def __init__(self, name, run_dir, argv=(), settings=None, ready=None):
        self.name = name
        self.log = run_dir / f"{name}.log"
        self.argv = argv
        self.settings = dict(settings or {})
        self.ready = ready
        self.pid_file = run_dir / f"{name}.pid"
        self.process = None
        self.over = True  # not started, or it has ended and that was told
        self.due = None  # when to start it again
        self._run_dir = run_dir
        self._started = 0.0
        self._delay = 0.0
        self.log.write_bytes(b"")

    def start(self):
        self.due = None
        self.over = False
        self._started = time.monotonic()
        self.process = self.launch()
        self.pid_file.write_text(f"{self.process.pid}\n", encoding="ascii")

    def launch(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("WARREN_")}
        env.update(self.settings)
        env[MARK] = str(self._run_dir)
        return process.spawn(self.argv, self.log, env, dies_by=signal.SIGTERM)

    def complaint(self):
        return process.last_line(self.log)

    def epitaph(self):
        """How it ended, in a few words."""
        code = self.process.returncode
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        complaint = self.complaint() if code > 0 else ""
        return f"{self.name} ended ({how})" + (f": {complaint}" if complaint else "")

    def plan_restart(self):
        """Sets when to start it again: soon, unless it dies again and again."""
        now = time.monotonic()
        first, longest = _BACKOFF
        steady = now - self._started > _STEADY
        self._delay = 0.0 if steady else min(longest, max(first, 2 * self._delay))
        self.due = now + self._delay

    def end(self, number=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.send_signal(signal.SIGCONT)

    def buried(self):
        """Whether it has ended; then nothing of it is left."""
        if self.process and self.process.poll() is None:
            return False
        if self.process:
            process.signal_group(self.process, signal.SIGKILL)
        self.pid_file.unlink(missing_ok=True)
        return True


class RabbitMQ(Child):
    """The broker's node with its epmd."""

    def __init__(self, run_dir, amqp_port, page_port, metrics_port, accounts_of):
        super().__init__("rabbitmq", run_dir)
        self.node = node.Node(run_dir / "rabbitmq", amqp_port, page_port, self.log,
                              dies_by=signal.SIGTERM, env={MARK: str(run_dir)},
                              accounts_of=accounts_of, metrics_port=metrics_port)
        self.ready = self.node.ready

    def launch(self):
        self.node.start()
        return self.node.process

    def complaint(self):
        return self.node.complaint()

    def buried(self):
        if not super().buried():
            return False
        self.node.kill()  # its epmd
        return True
