"""The Centrifuge client protocol v2 in JSON, thin enough to see every line on the wire."""

import asyncio
import json

from kit import schemas
from kit.client import Socket
from kit.waiting import PATIENCE, eventually_async


class CommandError(Exception):
    """A command was answered with an error."""

    def __init__(self, error):
        super().__init__(f"{error.get('code')} {error.get('message')}")
        self.code = error.get("code")
        self.message = error.get("message")
        self.temporary = error.get("temporary", False)


class CentrifugeClient(Socket):
    """A client of /connection/websocket. `received` holds replies and pushes in their order."""

    def __init__(self, connection):
        super().__init__(connection)
        self.client = None  # the id that the connect reply gave
        self.pong = True  # answer pings
        self.pings = 0
        self._last_id = 0
        self._waiting = {}
        self._owed = False

    @classmethod
    async def connect(cls, gateway, token=None, open_options=None, **fields):
        """Opens a connection to a gateway (or a ws:// address) and sends the connect command."""
        url = gateway if isinstance(gateway, str) else gateway.centrifuge_url
        client = await cls.open(url, **(open_options or {}))
        try:
            if token is not None:
                fields["token"] = token
            client.client = (await client.call("connect", **fields)).get("client")
        except BaseException:
            await client.close()
            raise
        return client

    def documents(self, frame):
        """What a frame says, one document after the other."""
        return [json.loads(line) for line in frame.split("\n") if line]

    def take(self, text):
        messages = self.documents(text)
        for message in messages:
            schemas.hold("reply", message)
            reply = self._waiting.pop(message.get("id"), None)
            if reply and not reply.done():
                reply.set_result(message)
        self.pings += sum(not message for message in messages)
        self._owed = self.pong and not all(messages)
        return [message for message in messages if message]

    async def answer(self):
        if self._owed:
            self._owed = False
            await self.send({})

    def ended(self, closed):
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(closed)
        self._waiting.clear()

    def command(self, method, **fields):
        """A command with the next id, not sent yet."""
        self._last_id += 1
        return {"id": self._last_id, method: fields}

    async def send(self, *commands):
        """Sends commands in one message."""
        await self.send_text("\n".join(json.dumps(command) for command in commands))

    async def call_all(self, *commands, timeout=PATIENCE):
        """Sends commands in one message and returns the whole reply of each, errors included."""
        if self.closed:
            raise self._closed
        replies = []
        for command in commands:
            replies.append(asyncio.get_running_loop().create_future())
            self._waiting[command["id"]] = replies[-1]
        try:
            await self.send(*commands)
            async with asyncio.timeout(timeout):
                return list(await asyncio.gather(*replies))
        finally:
            for reply in replies:
                reply.cancel()  # of what could not be sent nobody asks any more

    async def call(self, method, timeout=PATIENCE, **fields):
        """Sends one command and returns its result; CommandError for an error."""
        [reply] = await self.call_all(self.command(method, **fields), timeout=timeout)
        if "error" in reply:
            raise CommandError(reply["error"])
        return reply[method]

    async def subscribe(self, channel, **fields):
        return await self.call("subscribe", channel=channel, **fields)

    async def unsubscribe(self, channel):
        return await self.call("unsubscribe", channel=channel)

    async def publish(self, channel, data):
        return await self.call("publish", channel=channel, data=data)

    def pubs(self, channel):
        """All publications of a channel so far, in their order."""
        return [push["pub"] for push in map(_push, self.received)
                if push.get("channel") == channel and "pub" in push]

    async def expect_push(self, kind, channel=None, timeout=PATIENCE):
        """Waits for the next push of a kind (pub, join, leave ...) and returns its content."""
        def fits(message):
            push = _push(message)
            return kind in push and channel in (None, push.get("channel"))
        return (await self.expect(fits, timeout))["push"][kind]

    async def expect_pub(self, channel, data, timeout=PATIENCE):
        """Waits for the publication with this data and returns it."""
        def fits(message):
            push = _push(message)
            return push.get("channel") == channel and push.get("pub", {}).get("data") == data
        return (await self.expect(fits, timeout))["push"]["pub"]

    async def expect_history(self, channel, wanted, timeout=PATIENCE):
        """Waits until a room's history is these (offset, data): a new owner reads it from the log.
        Returns the reply."""
        async def past():
            try:
                found = await self.call("history", channel=channel, limit=-1)
            except CommandError as error:
                if error.code != 100 or not error.temporary:
                    raise
                return None
            is_it = wanted == [(p["offset"], p["data"]) for p in found.get("publications", [])]
            return found if is_it else None
        return await eventually_async(past, timeout, f"history of {channel}")


def _push(message):
    return message.get("push", {})
