"""A conversation that must stay whole: one writes, one reads, and what came is compared."""

import asyncio
import time

from kit.centrifuge import CentrifugeClient, CommandError
from kit.waiting import PATIENCE, eventually_async


class _Reader(CentrifugeClient):
    """Knows when it heard something."""

    def __init__(self, connection):
        super().__init__(connection)
        self.times = []

    def take(self, text):
        messages = super().take(text)
        self.times += [time.monotonic() for m in messages if "pub" in m.get("push", {})]
        return messages


class Talk:
    """One writer and one reader of a room, on two gateways or on one."""

    def __init__(self, room, writer, reader, pause):
        self.room, self.writer, self.reader = room, writer, reader
        self.sent = 0
        self.confirmed = 0
        self.refused = 0
        self._pause = pause
        self._stops = False
        self._task = None

    @classmethod
    async def start(cls, room, one, two, pause=0.0):
        """`pause`: seconds between two records, for a light conversation."""
        talk = cls(room, await CentrifugeClient.connect(one), await _Reader.connect(two), pause)
        await talk.reader.subscribe(room)
        talk._task = asyncio.create_task(talk._write())
        return talk

    async def _write(self):
        while not self._stops:
            try:
                await self.writer.publish(self.room, self.sent)
                self.confirmed += 1
            except CommandError as error:
                assert error.code == 100 and error.temporary
                self.refused += 1
                await asyncio.sleep(self._pause)
                continue  # refused: it was never accepted, so the number is used again
            self.sent += 1
            await asyncio.sleep(self._pause)

    async def goes_on(self, count=20, timeout=2 * PATIENCE):
        """Waits until that many more records have arrived."""
        wanted = len(self.pubs()) + count

        def arrived():
            if self._task.done():
                self._task.result()  # why the writer gave up
            assert not self.writer.closed and not self.reader.closed
            return len(self.pubs()) >= wanted
        await eventually_async(arrived, timeout, what=f"{self.room} goes on")

    def pubs(self):
        return self.reader.pubs(self.room)

    def silence(self, since):
        """The longest time without a record after that moment of time.monotonic()."""
        times = [since] + [at for at in self.reader.times if at > since]
        return max((b - a for a, b in zip(times, times[1:])), default=0.0)

    async def finish(self):
        """Ends it and compares: each record once, in order, without a hole."""
        self._stops = True
        await asyncio.wait_for(self._task, 2 * PATIENCE)
        await eventually_async(lambda: len(self.pubs()) >= self.confirmed, what="all arrived")
        assert [p["data"] for p in self.pubs()] == list(range(self.confirmed))
        assert [p["offset"] for p in self.pubs()] == list(range(1, self.confirmed + 1))
        await self.writer.close()
        await self.reader.close()


async def all_go_on(talks, count=20, timeout=2 * PATIENCE):
    await asyncio.gather(*(talk.goes_on(count, timeout) for talk in talks))


async def finish_all(talks):
    await asyncio.gather(*(talk.finish() for talk in talks))
