"""Waiting for a condition. The machines are slow and shared: deadlines only end what hangs."""

import asyncio
import inspect
import time

PATIENCE = 60.0
_PAUSE = 0.05
_NOT_YET = (AssertionError, OSError, LookupError)


class _Patience:
    """Ends with what a condition that never holds is called, and why it did not."""

    def __init__(self, condition, timeout, what):
        self._deadline = time.monotonic() + timeout
        self._what = what or getattr(condition, "__name__", "condition")
        self._timeout = timeout

    def check(self, reason):
        if time.monotonic() > self._deadline:
            raise AssertionError(f"{self._what}: not within {self._timeout:g} s") from reason


def eventually(condition, timeout=PATIENCE, what=None):
    """Waits until `condition()` is true and returns its value; an assertion that fails in it means
    not yet."""
    patience = _Patience(condition, timeout, what)
    while True:
        reason = None
        try:
            if value := condition():
                return value
        except _NOT_YET as error:
            reason = error
        patience.check(reason)
        time.sleep(_PAUSE)


async def eventually_async(condition, timeout=PATIENCE, what=None):
    """As eventually(), and the clients of the test live on meanwhile. `condition` may be async:
    whatever it raises then ends the wait."""
    patience = _Patience(condition, timeout, what)
    while True:
        reason, value = None, None
        try:
            value = condition()
        except _NOT_YET as error:
            reason = error
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        patience.check(reason)
        await asyncio.sleep(_PAUSE)
