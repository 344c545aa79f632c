"""A WebSocket relay that lies, to see whether the checker notices:  sabotage.py KIND PORT URL

Stands between the clients of a campaign and a gateway. Now and then it does one kind of wrong, as
a warren with a fault would:

  drop      a record does not come                   double    a record comes twice
  swap      two records change places                alter     a record comes with other content
  lose      a publish is answered and thrown away    refuse    an error is answered, yet it is done
  early     a publish is answered before it is done  overtake  two publishes change places
  silence   a reader is not told that it missed something
  none      nothing
"""

import asyncio
import json
import random
import sys

import websockets

_RARELY = 0.02
_EARLY_S = 0.5  # well within the talk, and long enough for others to speak in the same room

_FROM_GATEWAY = ("drop", "double", "swap", "alter", "refuse", "silence")
_FROM_CLIENT = ("lose", "early", "overtake")


class Liar:
    """One connection: lines of JSON in both directions, most of them as they came."""

    def __init__(self, kind, client, gateway):
        self._kind, self._client, self._gateway = kind, client, gateway
        self._held = None  # a line that another one shall overtake
        self._refused = set()
        self._later = set()  # tasks

    async def run(self):
        pumps = [asyncio.ensure_future(self._pump(self._client, self._gateway, _FROM_CLIENT)),
                 asyncio.ensure_future(self._pump(self._gateway, self._client, _FROM_GATEWAY))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, source, target, kinds):
        async for text in source:
            lines = text.split("\n")
            if kinds is _FROM_CLIENT and self._kind == "refuse":
                self._choose_refused(lines)
            if self._kind in kinds:
                lies = getattr(self, f"_{self._kind}")
                lines = [told for line in lines for told in lies(json.loads(line or "{}"), line)]
            if lines:
                await target.send("\n".join(lines))

    @staticmethod
    def _now(message, kind):
        there = message.get("push", {}) if kind == "pub" else message
        return kind in there and random.random() < _RARELY

    def _drop(self, message, line):
        return [] if self._now(message, "pub") else [line]

    def _double(self, message, line):
        return [line, line] if self._now(message, "pub") else [line]

    def _swap(self, message, line):
        if self._held is None and self._now(message, "pub"):
            self._held = (message["push"]["channel"], line)
            return []
        if self._held and message.get("push", {}).get("channel") == self._held[0]:
            held, self._held = self._held[1], None
            return [line, held]
        return [line]

    def _alter(self, message, line):
        if self._now(message, "pub"):
            message["push"]["pub"]["data"]["fill"] = "other"
            return [json.dumps(message)]
        return [line]

    def _choose_refused(self, lines):
        for line in lines:
            message = json.loads(line or "{}")
            if self._now(message, "publish"):
                self._refused.add(message["id"])

    def _refuse(self, message, line):
        if message.get("id") in self._refused and "publish" in message:
            return [json.dumps({"id": message["id"], "error": {
                "code": 100, "message": "internal server error", "temporary": True}})]
        return [line]

    def _silence(self, message, line):
        if self._now(message, "pub"):
            self._soon(self._client.close())  # it comes back and wants what it missed
        if message.get("subscribe", {}).pop("was_recovering", None):
            message["subscribe"].pop("recovered", None)
            message["subscribe"].pop("publications", None)
            return [json.dumps(message)]
        return [line]

    def _lose(self, message, line):
        if self._now(message, "publish"):
            self._soon(self._client.send(json.dumps({"id": message["id"], "publish": {}})))
            return []
        return [line]

    def _early(self, message, line):
        if self._now(message, "publish"):
            self._soon(self._client.send(json.dumps({"id": message["id"], "publish": {}})))
            self._soon(self._send_later(line))
            return []
        return [line]

    async def _send_later(self, line):
        await asyncio.sleep(_EARLY_S)
        await self._gateway.send(line)

    def _overtake(self, message, line):
        if "publish" not in message:
            return [line]
        if self._held is None and self._now(message, "publish"):
            self._held = (message["publish"]["channel"], line)
            return []
        if self._held and message["publish"]["channel"] == self._held[0]:
            held, self._held = self._held[1], None
            return [line, held]
        return [line]

    def _soon(self, work):
        task = asyncio.ensure_future(work)
        self._later.add(task)
        task.add_done_callback(self._done)

    def _done(self, task):
        self._later.discard(task)
        if not task.cancelled():
            task.exception()  # the connection may be gone by then


async def serve(kind, port, url):
    async def each(client):
        async with websockets.connect(url, compression=None, ping_interval=None) as gateway:
            await Liar(kind, client, gateway).run()

    async with websockets.serve(each, "127.0.0.1", port, compression=None, ping_interval=None):
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
