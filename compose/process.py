"""Child processes that cannot outlive us, and how to end them."""

import ctypes
import os
import signal
import subprocess
import time

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def spawn(argv, log, env=None, cwd=None, dies_by=signal.SIGKILL):
    """Starts a process in a group of its own (Ctrl-C is ours alone), its output added to `log`.

    It gets the signal `dies_by` when the thread that called this is gone, however that ended.
    """
    parent = os.getpid()

    def bind_to_parent():
        _libc.prctl(_PR_SET_PDEATHSIG, int(dies_by))
        if os.getppid() != parent:
            os._exit(1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)

    with open(log, "ab") as output:
        return subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, preexec_fn=bind_to_parent)


def signal_group(process, number):
    """Signals the process and all it has started, dead or alive."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def end(process, patience=20.0, number=signal.SIGTERM):
    """Ends a process, by force after `patience` seconds; returns its exit code (-9: by force)."""
    if process.poll() is None:
        try:
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
            process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
    signal_group(process, signal.SIGKILL)
    return process.wait()


def until(condition, timeout, what, pause=0.05):
    """Waits until `condition()` is true and returns what it gave; TimeoutError says `what`."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(pause)


def last_line(log):
    """The last line of a log that says anything, for a message of one line."""
    try:
        with open(log, encoding="utf-8", errors="replace") as lines:
            said = [line.strip() for line in lines if line.strip()]
    except OSError:
        return ""
    return said[-1] if said else ""
