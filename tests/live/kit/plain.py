"""The plain dialect: each text message is the bare JSON object."""

import json

from kit.client import Socket


class PlainClient(Socket):
    """A client of /ws. `received` holds the decoded objects of its room."""

    @classmethod
    async def join(cls, gateway, room=None, **more):
        """Connects to a gateway (or to a ws:// address) and enters a room."""
        url = gateway if isinstance(gateway, str) else gateway.ws_url(room)
        return await cls.open(url, **more)

    def take(self, text):
        return [json.loads(text)]

    async def send(self, message):
        await self.send_text(json.dumps(message))

    async def say(self, username, message):
        await self.send({"username": username, "message": message})
