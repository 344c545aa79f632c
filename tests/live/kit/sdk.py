"""The real JavaScript SDK of the Centrifuge protocol, in its JSON or its Protobuf build."""

import asyncio
import json
import shutil
from pathlib import Path

from kit import schemas
from kit.waiting import PATIENCE

_OVERHEARD = {"says": "command", "told": "reply"}  # texts on the wire, and their schemas
_SDK = Path(__file__).parents[1] / "sdk"


class Sdk:
    """One SDK client in a Node process of its own."""

    def __init__(self, process):
        self.process = process
        self.events = []
        self.wire = {side: [] for side in _OVERHEARD}  # of the JSON build
        self._seen = 0
        self._last_id = 0

    @classmethod
    async def start(cls, gateway, token="", codec="json"):
        return cls(await asyncio.create_subprocess_exec(
            shutil.which("node"), "client.mjs", gateway.centrifuge_url, token, codec, cwd=_SDK,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE))

    async def _next(self):
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
        assert line, f"the SDK ended; it said {self.events[-5:]}"
        event = json.loads(line)
        if event["event"] not in _OVERHEARD:
            self.events.append(event)
            return
        for text in event["text"].split("\n"):
            schemas.hold(_OVERHEARD[event["event"]], json.loads(text))
            self.wire[event["event"]].append(json.loads(text))

    async def expect(self, event, **wanted):
        """The next event of that name with these fields."""
        while True:
            while self._seen < len(self.events):
                found = self.events[self._seen]
                self._seen += 1
                if found["event"] == event and \
                        all(found.get(key) == value for key, value in wanted.items()):
                    return found
            await self._next()

    async def do(self, action, **more):
        """The result of an action; events that come before it stay for expect()."""
        self._last_id += 1
        line = json.dumps({"id": self._last_id, "action": action, **more})
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()
        while True:
            for event in self.events:
                if event["event"] == "result" and event["id"] == self._last_id:
                    return event
            await self._next()

    def pubs(self):
        return [e["data"] for e in self.events if e["event"] == "publication"]

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            raise
