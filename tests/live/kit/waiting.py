"""Waiting for a condition. The machines are slow and shared: deadlines only end what hangs."""

import asyncio
import time

PATIENCE = 60.0
_PAUSE = 0.05


class _Attempts:
    """Calls a condition until it holds; an assertion that fails in it means not yet."""

    def __init__(self, condition, timeout, what):
        self._condition = condition
        self._deadline = time.monotonic() + timeout
        self._what = what or getattr(condition, "__name__", "condition")
        self._timeout = timeout

    def value(self):
        try:
            value, reason = self._condition(), None
        except (AssertionError, OSError, LookupError) as error:
            value, reason = None, error
        if not value and time.monotonic() > self._deadline:
            raise AssertionError(f"{self._what}: not within {self._timeout:g} s") from reason
        return value


def eventually(condition, timeout=PATIENCE, what=None):
    """Waits until `condition()` is true and returns its value."""
    attempts = _Attempts(condition, timeout, what)
    while not (value := attempts.value()):
        time.sleep(_PAUSE)
    return value


async def eventually_async(condition, timeout=PATIENCE, what=None):
    """As eventually(), and the clients of the test live on meanwhile."""
    attempts = _Attempts(condition, timeout, what)
    while not (value := attempts.value()):
        await asyncio.sleep(_PAUSE)
    return value
