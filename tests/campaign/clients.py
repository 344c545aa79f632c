"""The people of a campaign: writers and readers on several gateways, and a log of all they see.

  clients.py FOLDER --gateway WS_URL ... [--writers 4] [--readers 6] [--rooms 8] [--rate 50]
             [--seed N] [--stay SECONDS] [--last SECONDS]

Writes FOLDER/clients.jsonl as check.py wants it. SIGTERM: the writers stop, every answer is
waited for, an auditor reads all rooms' history, the readers catch up, and the program ends; none
of this takes longer than `--last`.
"""

import argparse
import asyncio
import hashlib
import json
import random
import signal
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "live"),
                str(Path(__file__).resolve().parents[2] / "compose")]

import websockets  # noqa: E402
from kit import CentrifugeClient, Closed, CommandError  # noqa: E402
from kit.waiting import eventually_async  # noqa: E402

_OPEN_S = 5.0  # a frozen gateway accepts, too: the kernel does it
_SILENCE_S = 15.0  # without a ping; the campaign's gateways send one every 5 s
_IN_FLIGHT = 8  # publishes of one writer
_PAGE = 300
_GONE = (Closed, OSError, asyncio.TimeoutError, websockets.WebSocketException)


class Log:
    """Lines of JSON; written before what they tell of can have an effect."""

    def __init__(self, path):
        self._file = open(path, "w", encoding="utf-8")  # pylint: disable=consider-using-with

    def __call__(self, what, **fields):
        self._file.write(json.dumps({"t": time.monotonic(), "what": what, **fields}) + "\n")

    def flush(self):
        self._file.flush()


def hash_of(data):
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:12]


async def _if_ever(condition, seconds):
    """Waits for it; that it never came is for the checker to say."""
    try:
        await eventually_async(condition, seconds)
    except AssertionError:
        pass


class Wire(CentrifugeClient):
    """A connection whose messages are handed on as they come, in their order, and not kept."""

    def __init__(self, connection):
        super().__init__(connection)
        self.handler = lambda message: None
        self.heard = time.monotonic()
        self._guard = asyncio.create_task(self._watch())

    @classmethod
    async def to(cls, url):
        return await cls.connect(url, open_options={"open_timeout": _OPEN_S, "close_timeout": 2})

    def take(self, text):
        self.heard = time.monotonic()
        for message in super().take(text):
            self.handler(message)
        return []

    def ended(self, closed):
        self._guard.cancel()
        super().ended(closed)

    async def _watch(self):
        """Gives up a gateway that has fallen silent."""
        while True:
            await asyncio.sleep(1)
            if time.monotonic() - self.heard > _SILENCE_S:
                self.abort()


class Writer:
    """Publishes to random rooms over one connection at a time, several unanswered at once."""

    def __init__(self, campaign, number):
        self.campaign, self.name = campaign, f"w{number}"
        self.random = random.Random(f"{campaign.seed} writer {number}")
        self.connections = 0
        self.sent = 0
        self.open = {}  # command id: id
        self.pause_until = 0.0

    async def run(self):
        while not self.campaign.finishing.is_set():
            try:
                wire = await Wire.to(self.random.choice(self.campaign.gateways))
            except (*_GONE, CommandError):
                await asyncio.sleep(self.random.uniform(0.1, 0.5))
                continue
            self.connections += 1
            wire.handler = self._on_message
            try:
                await self._write(wire)
                await self._all_answered(wire)
            except _GONE:
                pass
            finally:
                wire.abort()
                for name in self.open.values():
                    self.campaign.log("info", id=name)
                self.open.clear()

    def _on_message(self, message):
        name = self.open.pop(message.get("id"), None)
        if name is None:
            return
        if "error" in message:
            self.campaign.log("fail", id=name, code=message["error"]["code"])
            self.pause_until = time.monotonic() + 0.5
        else:
            self.campaign.log("ok", id=name)

    async def _write(self, wire):
        """Until the end of the campaign, of the connection, or of the mood for this gateway."""
        leave = time.monotonic() + self.random.uniform(10, 60)
        while not self.campaign.finishing.is_set() and time.monotonic() < leave:
            await asyncio.sleep(1 / self.campaign.rate)
            if wire.closed:
                return
            if len(self.open) < _IN_FLIGHT and time.monotonic() >= self.pause_until:
                await self._publish(wire)

    async def _publish(self, wire):
        self.sent += 1
        name = f"{self.name}-{self.sent}"
        data = {"id": name, "fill": self.random.randbytes(self.random.randrange(32)).hex()}
        room = self.random.choice(self.campaign.rooms)
        command = wire.command("publish", channel=room, data=data)
        self.open[command["id"]] = name
        self.campaign.log("invoke", id=name, room=room, hash=hash_of(data),
                          session=f"{self.name}/{self.connections}")
        await wire.send(command)

    async def _all_answered(self, wire):
        await _if_ever(lambda: not self.open or wire.closed, self.campaign.last_s)


class Reader:
    """Is in all rooms, leaves now and then, comes back elsewhere and recovers."""

    def __init__(self, campaign, number):
        self.campaign, self.name = campaign, f"r{number}"
        self.random = random.Random(f"{campaign.seed} reader {number}")
        self.positions = {}  # room: (epoch, offset)
        self.wire = None
        self._asked = {}  # command id: room, of subscribe commands
        self._later = []  # rooms to be asked for again

    def has(self, room, top):
        return self.positions.get(room) == top

    async def run(self):
        while True:
            try:
                self.wire = await Wire.to(self.random.choice(self.campaign.gateways))
            except (*_GONE, CommandError):
                await asyncio.sleep(self.random.uniform(0.1, 0.5))
                continue
            try:
                await self._stay()
            except _GONE:
                pass
            finally:
                self.wire.abort()

    async def _stay(self):
        self._asked.clear()
        self._later.clear()
        self.wire.handler = self._on_message
        await self._subscribe(self.campaign.rooms)
        leave = time.monotonic() + self.random.uniform(0.16, 1) * self.campaign.stay_s
        while not self.wire.closed:
            await asyncio.sleep(0.3)
            rooms, self._later = self._later, []
            await self._subscribe(rooms)
            if time.monotonic() > leave and not self.campaign.finishing.is_set():
                if self.random.random() < 0.5:
                    await self.wire.close()
                return

    async def _subscribe(self, rooms):
        for room in rooms:
            fields = {"channel": room, "positioned": True, "recoverable": True}
            if room in self.positions:
                epoch, offset = self.positions[room]
                fields.update(recover=True, epoch=epoch, offset=offset)
            command = self.wire.command("subscribe", **fields)
            self._asked[command["id"]] = room
            await self.wire.send(command)

    def _on_message(self, message):
        room = self._asked.pop(message.get("id"), None)
        push = message.get("push", {})
        if room is not None:
            self._on_subscribed(room, message)
        elif "pub" in push:
            self._on_pub(push["channel"], push["pub"])
        elif "unsubscribe" in push:
            self._note("gap", push["channel"], code=push["unsubscribe"].get("code"))
            self._later.append(push["channel"])

    def _on_subscribed(self, room, message):
        if "error" in message:
            self._note("refused", room, code=message["error"]["code"])
            self._later.append(room)
            return
        reply = message["subscribe"]
        epoch, offset = reply.get("epoch", ""), reply.get("offset", 0)
        if room not in self.positions:
            self._note("subscribed", room, epoch=epoch, offset=offset)
        elif reply.get("recovered"):
            self._note("resumed", room, epoch=epoch, offset=offset)
        else:
            since_epoch, since = self.positions[room]
            self._note("reset", room, epoch=epoch, offset=offset, since=since,
                       since_epoch=since_epoch, told=bool(reply.get("was_recovering")))
        self.positions[room] = epoch, offset
        for pub in reply.get("publications", []):
            self._on_pub(room, pub)

    def _on_pub(self, room, pub):
        epoch, _ = self.positions.get(room, ("", 0))
        offset = pub.get("offset", 0)
        self.positions[room] = epoch, offset
        self._note("recv", room, epoch=epoch, offset=offset, **_content(pub))

    def _note(self, what, room, **fields):
        self.campaign.log(what, reader=self.name, room=room, **fields)


def _content(pub):
    data = pub.get("data")
    name = data.get("id") if isinstance(data, dict) else None
    return {"id": str(name), "hash": hash_of(data)}


class Campaign:
    """All clients, and how they begin and end."""

    def __init__(self, options):
        self.gateways = options.gateway
        self.rooms = [f"room-{number}" for number in range(options.rooms)]
        self.rate = options.rate
        self.seed = options.seed
        self.last_s = options.last
        self.stay_s = options.stay
        self.log = Log(options.folder / "clients.jsonl")
        self.finishing = asyncio.Event()
        self.writers = [Writer(self, number) for number in range(options.writers)]
        self.readers = [Reader(self, number) for number in range(options.readers)]

    async def run(self):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.finishing.set)
        tasks = [asyncio.create_task(self._flush())]
        await self._retry(self._open_rooms)
        tasks += [asyncio.create_task(reader.run()) for reader in self.readers]
        writers = [asyncio.create_task(writer.run()) for writer in self.writers]
        await self.finishing.wait()
        self.log("finish")
        await asyncio.gather(*writers)
        tops = await self._retry(self._audit) or {}
        await self._readers_have(tops)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.log.flush()

    async def _flush(self):
        while True:
            await asyncio.sleep(0.2)
            self.log.flush()

    async def _retry(self, action):
        """Does it on one gateway after the other until it succeeds, or it takes too long."""
        deadline = time.monotonic() + self.last_s
        turn = 0
        while time.monotonic() < deadline:
            turn += 1
            wire = None
            try:
                wire = await Wire.to(self.gateways[turn % len(self.gateways)])
                return await action(wire)
            except (*_GONE, CommandError, LookupError):
                await asyncio.sleep(0.3)
            finally:
                if wire:
                    wire.abort()
        return None

    async def _open_rooms(self, wire):
        """A room has no epoch before somebody spoke in it."""
        for room in self.rooms:
            place = await wire.subscribe(room, positioned=True, recoverable=True)
            if not place.get("epoch"):
                self.opened = getattr(self, "opened", 0) + 1
                data = {"id": f"open-{self.opened}"}
                self.log("invoke", id=data["id"], room=room, hash=hash_of(data),
                         session=f"open/{self.opened}")
                try:
                    await wire.publish(room, data)
                    self.log("ok", id=data["id"])
                except CommandError as error:
                    self.log("fail", id=data["id"], code=error.code)
                    raise
                except _GONE:
                    self.log("info", id=data["id"])
                    raise
                await wire.unsubscribe(room)
                raise LookupError(room)  # look again whether it has one now
        for room in self.rooms:
            await wire.unsubscribe(room)
            self._note_history(room, await self._history(wire, room))

    async def _audit(self, wire):
        tops = {room: await self._history(wire, room) for room in self.rooms}
        for room, (epoch, top, found) in tops.items():
            self._note_history(room, (epoch, top, found))
            self.log("top", room=room, epoch=epoch, offset=top)
        return {room: (epoch, top) for room, (epoch, top, _) in tops.items()}

    def _note_history(self, room, history):
        epoch, _, found = history
        for pub in found:
            self.log("audit", room=room, epoch=epoch, offset=pub["offset"], **_content(pub))

    @staticmethod
    async def _history(wire, room):
        """(epoch, top, the records that are kept, from the newest on)."""
        await wire.subscribe(room, positioned=True, recoverable=True)
        first = await wire.call("history", channel=room, limit=0)
        epoch, top = first["epoch"], first.get("offset", 0)
        found, at = [], top + 1
        page = await wire.call("history", channel=room, limit=_PAGE, reverse=True)
        while page.get("publications"):
            found += [pub for pub in page["publications"] if pub["offset"] < at]
            at = found[-1]["offset"]
            page = await wire.call("history", channel=room, limit=_PAGE, reverse=True,
                                   since={"epoch": epoch, "offset": at})
        return epoch, top, found

    async def _readers_have(self, tops):
        await _if_ever(lambda: all(reader.has(room, top) for reader in self.readers
                                   for room, top in tops.items()), self.last_s)
        for reader in self.readers:
            for room, (epoch, offset) in reader.positions.items():
                self.log("end", reader=reader.name, room=room, epoch=epoch, offset=offset)


def main():
    parser = argparse.ArgumentParser(description="Writers and readers of a campaign.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gateway", action="append", required=True)
    for name, default in (("writers", 4), ("readers", 6), ("rooms", 8), ("rate", 50), ("seed", 1),
                          ("last", 150)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--stay", type=float, default=25.0)
    asyncio.run(Campaign(parser.parse_args()).run())


if __name__ == "__main__":
    main()
