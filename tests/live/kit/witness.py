"""Somebody who just wants to talk, while others on the same gateway behave badly."""

import asyncio
import itertools
import os
import threading
from contextlib import contextmanager
from pathlib import Path

from kit.centrifuge import CentrifugeClient
from kit.waiting import PATIENCE, eventually

_ROOM = "witness"
_GROWTH = 300 << 20  # a sanitizer keeps 256 MB of freed memory; it finds leaks at the end


class Witness:
    """A session that listens and one that speaks, with a loop and a thread of their own."""

    def __init__(self, gateway, token=None):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._numbers = itertools.count()
        self._speaker = self._wait(CentrifugeClient.connect(gateway, token))
        self._listener = self._wait(CentrifugeClient.connect(gateway, token))
        self._wait(self._listener.subscribe(_ROOM))

    def hears(self):
        """A record that is published now arrives, the next after the one before."""
        number = next(self._numbers)
        self._wait(self._speaker.publish(_ROOM, number))
        pub = self._wait(self._listener.expect_push("pub", _ROOM))
        assert (pub["data"], pub["offset"]) == (number, number + 1)

    def close(self):
        self._wait(self._speaker.close())
        self._wait(self._listener.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, what):
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(2 * PATIENCE)


def descriptors(service):
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{service.pid}/fd"))


def memory(service):
    """Its resident bytes."""
    for line in Path(f"/proc/{service.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


@contextmanager
def undisturbed(gateway, token=None):
    """A witness; after it the gateway has the sessions, rooms, descriptors and memory of before."""
    gauges = [f"warren_gateway_{name}" for name in (
        "sessions", "rooms", "subscriptions", "connections", "handshakes", "publishes_waiting")]
    witness = Witness(gateway, token)
    witness.hears()
    before = {name: gateway.metric(name) for name in gauges}
    opened, used = descriptors(gateway), memory(gateway)
    yield witness
    witness.hears()
    for name, value in before.items():
        gateway.wait_metric(name, value)
    eventually(lambda: descriptors(gateway) <= opened, what="descriptors are back")
    eventually(lambda: memory(gateway) <= used + _GROWTH, what="memory is back")
    witness.close()
