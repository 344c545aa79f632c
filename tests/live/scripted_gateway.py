"""A gateway of a few lines, for what a real one does not do on command.

It serves the demo page from the source tree and speaks as much of the Centrifuge JSON protocol as
the page needs. All gateways of one Hub share rooms, as if a broker stood between them. A test
changes how it answers through its attributes, and ends connections with close().

Everything of a Hub runs on the loop of one thread; the methods named here may be called from
any other.
"""
import asyncio
import contextlib
import http
import itertools
import json
import pathlib
import re
import threading
import time
import urllib.parse

import websockets

DEMO = pathlib.Path(__file__).resolve().parents[2] / "gateway" / "demo"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript",
         ".svg": "image/svg+xml"}
POLICY = "default-src 'self'; connect-src 'self' ws: wss:"
ROOM = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
TEMPORARY = {"code": 100, "message": "internal server error", "temporary": True}
DENIED = {"code": 103, "message": "permission denied"}


class Room:
    def __init__(self, epoch):
        self.epoch = epoch
        self.publications = []
        self.members = {}  # client id -> session

    @property
    def top(self):
        return len(self.publications)


class Session:
    def __init__(self, gateway, socket):
        self.gateway = gateway
        self.socket = socket
        self.client = ""
        self.user = ""

    @property
    def info(self):
        return {"user": self.user, "client": self.client,
                "conn_info": {"name": self.user, "gateway": self.gateway.name}}


class Hub:
    """The rooms, and the thread on which its gateways run."""

    def __init__(self):
        self.rooms = {}
        self.epochs = itertools.count(1)
        self.clients = itertools.count(1)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)

    def room(self, name):
        if name not in self.rooms:
            self.rooms[name] = Room(f"e{next(self.epochs)}")
        return self.rooms[name]

    def forget(self, name):
        """The room loses its messages and begins to count anew."""
        room = self.room(name)
        room.epoch = f"e{next(self.epochs)}"
        room.publications = []

    def publish(self, name, data, info=None):
        """A message of somebody who is not there, to everybody who is."""
        self.run(self.spread(name, data, info))

    async def spread(self, name, data, info):
        room = self.room(name)
        pub = {"data": data, "offset": room.top + 1, "time": int(time.time() * 1000)}
        if info is not None:
            pub["info"] = info
        room.publications.append(pub)
        await self.send_all(name, json.dumps({"push": {"channel": name, "pub": pub}}))

    def send(self, name, text):
        """Any frame to everybody in the room."""
        self.run(self.send_all(name, text))

    def push(self, name, push, leave=False):
        """Any push; with `leave`, nobody is in the room any more."""
        async def send():
            await self.send_all(name, json.dumps(push))
            if leave:
                self.room(name).members.clear()
        self.run(send())

    async def send_all(self, name, text):
        for session in list(self.room(name).members.values()):
            with contextlib.suppress(websockets.ConnectionClosed):
                await session.socket.send(text)


class ScriptedGateway:
    """A test sets how it answers.

    token_status: of the answer at /demo/token. connect_errors, subscribe_errors, publish_errors:
    answers for the next such commands. silent_publish: publish commands are taken but never
    answered; deaf_publish: nor taken, but kept in `unheard`. recovers: whether a missed part is
    given. denied: rooms nobody may enter.
    """

    def __init__(self, hub, name, port=0):
        self.hub = hub
        self.name = name
        self.port = port
        self.token_status = 200
        self.connect_errors = []
        self.subscribe_errors = []
        self.publish_errors = []
        self.silent_publish = False
        self.deaf_publish = False
        self.unheard = []
        self.pongs = 0
        self.recovers = True
        self.denied = set()
        self.sessions = set()
        self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def start(self):
        async def serve():
            self.server = await websockets.serve(
                self.talk, "127.0.0.1", self.port, process_request=self.answer,
                ping_interval=None, close_timeout=1)
            self.port = self.server.sockets[0].getsockname()[1]
        self.hub.run(serve())
        return self

    def stop(self):
        """As if killed: no close frame, and nobody listens any more."""
        async def end():
            if self.server is None:
                return
            for session in list(self.sessions):
                session.socket.transport.abort()
            self.server.close()
            await self.server.wait_closed()
            self.server = None
        self.hub.run(end())

    def close(self, code, reason):
        async def end():
            for session in list(self.sessions):
                await session.socket.close(code, reason)
        self.hub.run(end())

    # ---- inside the hub's thread ----

    async def answer(self, path, _):
        url = urllib.parse.urlsplit(path)
        if url.path == "/connection/websocket":
            return None
        headers = [("Content-Security-Policy", POLICY), ("Cache-Control", "no-store")]
        if url.path == "/demo/token":
            name = urllib.parse.parse_qs(url.query).get("name", [""])[0]
            if self.token_status != 200:
                return http.HTTPStatus(self.token_status), headers, b"no\n"
            body = json.dumps({"token": name, "user": name, "name": name}).encode()
            return http.HTTPStatus.OK, [*headers, ("Content-Type", "application/json")], body
        file = DEMO / (url.path[1:] or "index.html")
        if "/" in url.path[1:] or not file.is_file() or file.suffix not in TYPES:
            return http.HTTPStatus.NOT_FOUND, headers, b"nothing here\n"
        return http.HTTPStatus.OK, [*headers, ("Content-Type", TYPES[file.suffix])], \
            file.read_bytes()

    async def talk(self, socket, _):
        session = Session(self, socket)
        self.sessions.add(session)
        try:
            async for frame in socket:
                for line in frame.split("\n"):
                    await self.take(session, json.loads(line))
        except websockets.ConnectionClosed:
            pass
        finally:
            self.sessions.discard(session)
            for room in self.hub.rooms.values():
                room.members.pop(session.client, None)

    async def take(self, session, command):
        self.pongs += command == {}
        for method in ("connect", "subscribe", "unsubscribe", "publish", "presence", "history"):
            if method in command:
                reply = await getattr(self, method)(session, command[method])
                if reply is not None:
                    key = "error" if "code" in reply else method
                    await session.socket.send(json.dumps({"id": command["id"], key: reply}))

    async def connect(self, session, params):
        if self.connect_errors:
            return self.connect_errors.pop(0)
        session.client = f"client-{next(self.hub.clients)}"
        session.user = params["token"]
        return {"client": session.client, "ping": 25, "pong": True, "data": {"gateway": self.name}}

    async def subscribe(self, session, params):
        name = params["channel"]
        if not ROOM.fullmatch(name):
            return {"code": 107, "message": "bad request"}
        if self.subscribe_errors:
            return self.subscribe_errors.pop(0)
        if name in self.denied:
            return DENIED
        room = self.hub.room(name)
        room.members[session.client] = session
        reply = {"recoverable": True, "positioned": True, "epoch": room.epoch, "offset": room.top}
        if params.get("recover"):
            reply["was_recovering"] = True
            if self.recovers and params["epoch"] == room.epoch:
                reply["recovered"] = True
                reply["offset"] = params["offset"]
                reply["publications"] = room.publications[params["offset"]:]
        return reply

    async def unsubscribe(self, session, params):
        self.hub.room(params["channel"]).members.pop(session.client, None)
        return {}

    async def publish(self, session, params):
        if self.publish_errors:
            return self.publish_errors.pop(0)
        if self.deaf_publish:
            self.unheard.append(params)
            return None
        await self.hub.spread(params["channel"], params["data"], session.info)
        return None if self.silent_publish else {}

    async def presence(self, _, params):
        members = self.hub.room(params["channel"]).members
        return {"presence": {client: each.info for client, each in members.items()}}

    async def history(self, _, params):
        room = self.hub.room(params["channel"])
        publications = room.publications[-params["limit"]:] if params.get("limit") else []
        if params.get("reverse"):
            publications = publications[::-1]
        return {"publications": publications, "epoch": room.epoch, "offset": room.top}
