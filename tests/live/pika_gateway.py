"""A gateway made by hand on pika: it says to owners exactly what a test wants, and hears all.

It has no thread: what arrived is looked at when a test asks for it.
"""

import json
import secrets
import time

import pika

from kit import eventually

CONTENT_TYPE = "application/x-ndjson"
ROOMS = ["cellar", "roof", "lobby", "porch"]  # one of each partition, of four


def record(room, payload, **more):
    """A record as a gateway publishes it: both lines, the payload byte for byte."""
    envelope = {"room": room, "user": "ann", "time": int(time.time() * 1000), **more}
    return f"{json.dumps(envelope)}\n{payload}\n"


class Message:
    """One message from an owner."""

    def __init__(self, properties, body):
        self.properties = properties
        self.type = properties.type
        self.headers = properties.headers or {}
        self.lines = body.decode().splitlines()

    def records(self):
        """[(envelope, payload as text)] of a deliver."""
        return [(json.loads(self.lines[i]), self.lines[i + 1])
                for i in range(0, len(self.lines), 2)]

    def __repr__(self):
        return f"<{self.type} {self.headers} {self.lines}>"


class PikaGateway:
    """One gateway with one boot id; its lanes are numbered from 1, its links too."""

    def __init__(self, broker, prefix, name="byhand"):
        parameters = pika.URLParameters(broker.url())
        parameters.heartbeat = 0
        self.prefix = prefix
        self.name = name
        self.boot = secrets.token_hex(8)
        self.received = []
        self.link = 0
        self.number = 0
        self.batches = {}
        self.connection = pika.BlockingConnection(parameters)
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        self.own = f"{prefix}.gateway.{name}"
        self.channel.exchange_declare(self.own, "fanout", auto_delete=True)
        self.channel.queue_declare(self.own, exclusive=True)
        self.channel.queue_bind(self.own, self.own)
        for key in (name, "all"):
            self.channel.exchange_bind(self.own, f"{prefix}.gateways", key)

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.connection.is_open:
            self.close()

    # What it says.

    def send(self, exchange, key, type_, headers, body="", content_type=CONTENT_TYPE):
        """Publishes and waits for the broker's confirm."""
        self.channel.basic_publish(
            f"{self.prefix}.{exchange}", str(key), body.encode() if isinstance(body, str) else body,
            pika.BasicProperties(
                content_type=content_type, type=type_, app_id=f"test/{self.name}",
                message_id=f"{self.boot}/{key}/{headers.get('batch', 0)}", delivery_mode=2,
                headers=headers))

    def publish(self, partition, *records, batch=None):
        """A batch of records; returns its number."""
        if batch is None:
            batch = self.batches[partition] = self.batches.get(partition, 0) + 1
        self.send("in", partition, "publish", {
            "partition": partition, "gateway": self.name, "boot": self.boot, "batch": batch,
        }, "".join(records))
        return batch

    def attach(self, partition, *rooms):
        """Begins a new link; `rooms` are dicts with room and, when known, epoch and offset."""
        self.link += 1
        self.number = 0
        self.say(partition, "attach", *rooms)

    def say(self, partition, type_, *lines):
        """The next message of the link."""
        self.number += 1
        self.send("owner", partition, type_, {
            "partition": partition, "gateway": self.name, "boot": self.boot, "link": self.link,
            "number": self.number,
        }, "".join(json.dumps(line) + "\n" for line in lines))

    # What it hears.

    def hear(self):
        """Takes in what has arrived."""
        while True:
            method, properties, body = self.channel.basic_get(self.own, auto_ack=True)
            if method is None:
                return self.received
            self.received.append(Message(properties, body))

    def expect(self, type_, fits=lambda message: True):
        """Waits for a message of a type; those before it stay in `received` too."""
        def arrived():
            return next((m for m in self.hear() if m.type == type_ and fits(m)), None)
        return eventually(arrived, what=f"a {type_} message")

    def forget(self):
        """What was heard so far does not count any more."""
        self.hear()
        self.received.clear()

    def records(self, room):
        """All records of a room that were delivered on the present link, in their order."""
        return [(envelope, payload)
                for message in self.hear()
                if message.type == "deliver" and message.headers["link"] == self.link
                for envelope, payload in message.records() if envelope["room"] == room]

    def wait_records(self, room, count):
        """Waits until that many records of a room were delivered on the present link."""
        def enough():
            found = self.records(room)
            assert len(found) >= count, f"{len(found)} records of {room}"
            return found
        return eventually(enough, what=f"{count} records of {room}")

    def attach_when_served(self, partition, *rooms):
        """Attaches, again for each owner that announces itself, until one answers."""
        self.forget()
        self.attach(partition, *rooms)

        def answered():
            for message in self.hear():
                if message.type == "positions" and message.headers["link"] == self.link:
                    return message
            if any(m.type == "owner" and m.headers["partition"] == partition
                   for m in self.received):
                self.received.clear()
                self.attach(partition, *rooms)
            return None
        return eventually(answered, what="positions")
