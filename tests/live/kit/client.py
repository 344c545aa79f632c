"""A WebSocket client that remembers what it was told, on Debian's python3-websockets."""

import asyncio

import websockets

from kit.waiting import PATIENCE


class Closed(Exception):
    """The server ended the connection while something was expected of it."""

    def __init__(self, code, reason):
        super().__init__(f"closed with {code} {reason!r}")
        self.code = code
        self.reason = reason


class Socket:
    """An open connection; a reader of its own keeps all text messages in order of arrival."""

    def __init__(self, connection):
        self.connection = connection
        self.received = []  # what take() made of each message
        self._seen = 0  # how far expect() has read
        self._news = asyncio.Condition()
        self._closed = None
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url, token=None, headers=None, origin=None, **more):
        """Connects; websockets.InvalidStatusCode tells of a refusal."""
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        options = {"compression": None, "ping_interval": None, "max_size": None,
                   "max_queue": None, "open_timeout": PATIENCE, "close_timeout": 10, **more}
        return cls(await websockets.connect(
            url, extra_headers=headers, origin=origin, **options))

    def take(self, text):
        """The messages in one text frame; subclasses know their dialect."""
        return [text]

    async def send_text(self, text):
        await self.connection.send(text)

    async def expect(self, wanted=None, timeout=PATIENCE):
        """Waits for the next message that fits and returns it; what stood before it is passed.

        `wanted`: a condition, a dict (each of its keys has this value), or None for any.
        """
        fits = wanted if callable(wanted) else lambda message: _includes(message, wanted)
        async with self._news:
            try:
                async with asyncio.timeout(timeout):
                    while True:
                        while self._seen < len(self.received):
                            message = self.received[self._seen]
                            self._seen += 1
                            if fits(message):
                                return message
                        if self._closed:
                            raise self._closed
                        await self._news.wait()
            except TimeoutError:
                raise AssertionError(
                    f"nothing fits {wanted!r} within {timeout:g} s; the last of "
                    f"{len(self.received)} messages: {self.received[-5:]}") from None

    async def expect_closed(self, timeout=PATIENCE):
        """Waits for the end of the connection and returns (code, reason)."""
        async with asyncio.timeout(timeout):
            await asyncio.shield(self._reader)
        return self._closed.code, self._closed.reason

    @property
    def closed(self):
        return self._closed is not None

    async def close(self):
        await self.connection.close()
        await self._reader

    def abort(self):
        """Drops the TCP connection without a word."""
        self.connection.transport.abort()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def _read(self):
        try:
            async for text in self.connection:
                async with self._news:
                    self.received.extend(self.take(text))
                    self._news.notify_all()
                await self.answer()
            closed = Closed(self.connection.close_code, self.connection.close_reason)
        except websockets.ConnectionClosed as end:
            closed = Closed(end.code, end.reason)
        except ValueError as error:  # not what the dialect allows
            closed = Closed(None, f"the client gave up: {error}")
        async with self._news:
            self._closed = closed
            self.ended(closed)
            self._news.notify_all()

    async def answer(self):
        """Called after each frame, for dialects that answer by themselves."""

    def ended(self, closed):
        """Called once, when the connection is over."""


def _includes(message, wanted):
    if wanted is None:
        return True
    if not isinstance(wanted, dict) or not isinstance(message, dict):
        return message == wanted
    return all(message.get(key) == value for key, value in wanted.items())
