"""The people of a scenario: what they do, again where a client may, and a ledger of it all."""

import asyncio
import time

import websockets
from kit import CentrifugeClient, Closed, CommandError, PlainClient

HUNG_S = 30.0  # without an answer
_STUCK_S = 60.0  # one step, with all its repetitions
_SETTLING_S = 1.0  # for the first record of a plain client, who may not be in its room yet
_PAUSE_S = 0.05
_GONE = (Closed, OSError, EOFError, websockets.WebSocketException)
_COUNT = 10  # records of each


class Finding(Exception):
    """Something that must not be."""


class Ledger:
    """What became of each publish. A repeated one has a key of its own."""

    def __init__(self):
        self.state = {}

    def sent(self, key):
        self.state[key] = "unknown"

    def succeeded(self, key):
        self.state[key] = "ok"

    def failed(self, key):
        self.state[key] = "failed"

    def judge(self, where, keys):
        """Compares with the records of the room, as they are found somewhere."""
        for key, state in self.state.items():
            count = keys.count(key)
            if state == "ok" and count != 1:
                raise Finding(f"{where}: {key}, answered with success, is there {count} times")
            if state == "failed" and count != 0:
                raise Finding(f"{where}: {key}, answered with an error, is there")
            if count > 1:
                raise Finding(f"{where}: {key} is there {count} times")
        strange = set(keys) - set(self.state)
        if strange:
            raise Finding(f"{where}: nobody has published {sorted(strange)}")


def check_line(name, start, pubs):
    """The records that one connection was given: each once, in order, without a hole."""
    offsets = [pub["offset"] for pub in pubs]
    if offsets != list(range(start + 1, start + 1 + len(offsets))):
        raise Finding(f"{name} was given offsets {offsets} after {start}")


def check_may_return(error):
    """A fault of the machine must not tell people that they are not wanted."""
    code = error.code if isinstance(error, Closed) else getattr(error, "status_code", None)
    if isinstance(error, TimeoutError):
        raise Finding("nobody answers") from error
    if code and (400 <= code < 500 or 3500 <= code < 4000 or code in (1002, 1003, 1007, 1008)):
        raise Finding(f"turned away: {error}") from error


async def insist(what, attempt):
    """Repeats what failed for the moment; returns what it gives when it succeeds."""
    deadline = time.monotonic() + _STUCK_S
    while True:
        try:
            return await attempt()
        except CommandError as error:
            reason = error
            if not error.temporary:
                raise Finding(f"{what}: {error}") from error
        except LookupError as error:  # not yet
            reason = error
        except _GONE as error:
            reason = error
            check_may_return(error)
        if time.monotonic() > deadline:
            raise Finding(f"{what}: stuck, at last with {reason!r}")
        await asyncio.sleep(_PAUSE_S)


class Person:
    """Somebody on a gateway; comes back when the connection breaks."""

    def __init__(self, name, gateway, room, ledger, token):
        self.name, self.gateway, self.room = name, gateway, room
        self.ledger, self.token = ledger, token
        self.client = None
        self.number = 0
        self._coming = asyncio.Lock()

    async def come(self):
        """The connection, made anew when there is none."""
        async with self._coming:
            if self.client is None or self.client.closed:
                self.client = await self.enter()
            return self.client

    async def enter(self):
        raise NotImplementedError

    async def publish_once(self, key):
        raise NotImplementedError

    async def publish(self):
        """One record, until an attempt is answered with success."""
        self.number += 1
        number, tries = self.number, 0

        async def attempt():
            nonlocal tries
            await self.come()
            tries += 1
            key = f"{self.name}-{number}.{tries}"
            self.ledger.sent(key)
            try:
                await self.publish_once(key)
            except CommandError:
                self.ledger.failed(key)
                raise
            self.ledger.succeeded(key)
        await insist(f"{self.name} publishes", attempt)

    async def leave(self):
        if self.client is not None:
            await self.client.close()


class Ann(Person):
    """Speaks the Centrifuge dialect."""

    def __init__(self, *args):
        super().__init__(*args)
        self.lines = []  # (offset, client): where each of its connections began

    async def enter(self):
        client = await CentrifugeClient.connect(
            self.gateway, token=self.token, open_options={"open_timeout": HUNG_S})
        try:
            place = await client.subscribe(self.room, positioned=True, recoverable=True)
        except BaseException:
            await client.close()
            raise
        self.lines.append((place.get("offset", 0), client))
        return client

    async def publish_once(self, key):
        await self.client.call("publish", HUNG_S, channel=self.room, data={"key": key})

    async def call(self, method, **fields):
        async def attempt():
            client = await self.come()
            return await client.call(method, HUNG_S, channel=self.room, **fields)
        return await insist(f"{self.name}: {method}", attempt)

    async def see(self, *people):
        """Presence tells of all these people, who come back if they must."""
        async def attempt():
            for person in people:
                await person.come()
            client = await self.come()
            found = await client.call("presence", HUNG_S, channel=self.room)
            users = {info["user"] for info in found["presence"].values()}
            missing = {person.name for person in people} - users
            if missing:
                raise LookupError(f"presence does not tell of {missing}")
        await insist(f"{self.name}: presence", attempt)

    async def history(self):
        """The keys of the room's records."""
        page = await self.call("history", limit=1000)
        return [pub["data"].get("key") for pub in page["publications"]]

    async def be_refused(self):
        """A bad command is answered with an error and harms nobody."""
        async def attempt():
            client = await self.come()
            try:
                await client.call("subscribe", HUNG_S, channel="no room")
            except CommandError as error:
                if error.temporary:
                    raise
                return
            raise Finding("subscribed to a room that cannot be")
        await insist(f"{self.name}: a bad command", attempt)

    def check(self):
        for start, client in self.lines:
            check_line(self.name, start, client.pubs(self.room))


class Bob(Person):
    """Speaks the plain dialect, which answers a publish by delivering it."""

    def __init__(self, *args):
        super().__init__(*args)
        self.is_settled = self.has_doubt = False

    async def enter(self):
        self.is_settled = self.has_doubt = False
        return await PlainClient.join(self.gateway, self.room, token=self.token,
                                      open_timeout=HUNG_S)

    async def publish_once(self, key):
        await self.client.send({"key": key})
        try:
            heard = await self.client.expect(
                lambda message: message.get("key") == key or "error" in message,
                timeout=HUNG_S if self.is_settled else _SETTLING_S)
        except AssertionError as error:
            if self.is_settled:
                raise Finding(f"{self.name} does not hear {key}") from error
            self.has_doubt = True
            raise Closed(None, "not in the room yet") from error
        if "error" in heard:
            if self.has_doubt:  # of which one is not said
                raise Closed(None, "one of them was refused")
            raise CommandError({"temporary": True, **heard["error"]})
        self.is_settled = True


async def be_turned_away(gateway, room):
    """A token that is none lets nobody in."""
    async def attempt():
        try:
            client = await PlainClient.join(gateway, room, token="no.token.atall",
                                            open_timeout=HUNG_S)
        except websockets.InvalidStatusCode as error:
            if error.status_code == 401:
                return
            raise
        await client.close()
        raise Finding("came in without a token")
    await insist("a bad token", attempt)


async def converse(gateway, room, ledger, tokens):
    """The scenario from the first connection to the last; raises a Finding."""
    ann = Ann("ann", gateway, room, ledger, tokens["ann"])
    bob = Bob("bob", gateway, room, ledger, tokens["bob"])
    try:
        await insist("ann comes", ann.come)
        await insist("bob comes", bob.come)
        await bob.publish()
        for _ in range(_COUNT // 2):
            await ann.publish()
        await asyncio.gather(*(ann.publish() for _ in range(_COUNT - _COUNT // 2)))
        for _ in range(_COUNT - 1):
            await bob.publish()
        await ann.see(ann, bob)
        ledger.judge("history", await ann.history())
        await ann.be_refused()
        await be_turned_away(gateway, room)
        await ann.call("unsubscribe")
        ann.check()
    finally:
        await ann.leave()
        await bob.leave()
