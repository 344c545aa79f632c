"""Logs of the processes of a test, kept for the report in case it fails."""

from pathlib import Path

_LINES = 120
_logs = {}


def add(name, log, alive):
    """Remembers the log of a process; `alive()` tells whether that still runs."""
    _logs[Path(log)] = (name, alive)


def new_test():
    """Forgets the logs of processes that ended in earlier tests."""
    for path in [path for path, (_, alive) in _logs.items() if not alive()]:
        del _logs[path]


def sections():
    """(title, text) for each log: its last lines."""
    for path, (name, _) in _logs.items():
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        yield f"log of {name} ({path})", "\n".join(lines[-_LINES:])
