"""The plain dialect: each text message is the bare JSON object."""

import json
import secrets

from kit import schemas
from kit.client import Closed, Socket
from kit.waiting import PATIENCE


class PlainClient(Socket):
    """A client of /ws. `received` holds the decoded objects of its room."""

    @classmethod
    async def join(cls, gateway, room=None, **more):
        """Connects to a gateway (or to a ws:// address) and enters a room."""
        url = gateway if isinstance(gateway, str) else gateway.ws_url(room)
        return await cls.open(url, **more)

    @classmethod
    async def settled(cls, gateway, room=None, **more):
        """As join(), and it is in its room for sure: it has heard itself there.

        The dialect does not say when somebody has entered, and a record that is published
        before that is none of theirs.
        """
        client = await cls.join(gateway, room, **more)
        sign = {"settled": secrets.token_hex(8)}
        for _ in range(int(PATIENCE)):
            await client.send(sign)
            try:
                await client.expect(sign, timeout=1.0)
                return client
            except AssertionError:
                continue
            except Closed:
                break
        raise AssertionError(f"did not enter its room: {client.received[-5:]}")

    def take(self, text):
        message = json.loads(text)
        if isinstance(message, dict) and {"event", "error"} & set(message):
            schemas.hold("reply", message)  # ours; whatever else there is, somebody published
        return [message]

    async def send(self, message):
        await self.send_text(json.dumps(message))

    async def say(self, username, message):
        await self.send({"username": username, "message": message})
