"""Programs that know RabbitMQ and nothing of warren, by two client libraries."""

import json
import secrets
from urllib.parse import urlsplit

import amqp
import pika

from kit.schemas import validator


class WithPika:
    """Publishes with confirms over one connection."""

    def __init__(self, broker, user="backend"):
        self._connection = pika.BlockingConnection(pika.URLParameters(broker.url(user)))
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()

    def publish(self, exchange, room, body, **properties):
        """`body` is JSON, or bytes as they are; returns when RabbitMQ has it."""
        properties = pika.BasicProperties(delivery_mode=2, **properties)
        self._channel.basic_publish(exchange, room, _bytes(body), properties)

    def listen(self, queue, exchange, keys):
        """A durable queue that gets what the exchange says under these keys."""
        self._channel.queue_declare(queue, durable=True)
        for key in keys:
            self._channel.queue_bind(queue, exchange, key)

    def take(self, queue):
        """What is in the queue, as (type, body)."""
        while (message := self._channel.basic_get(queue))[0]:
            self._channel.basic_ack(message[0].delivery_tag)
            yield message[1].type, message[2]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()


class WithAmqp:
    """The same with py-amqp, the library under Celery."""

    def __init__(self, broker, user="backend"):
        url = urlsplit(broker.url(user))
        self._connection = amqp.Connection(
            f"{url.hostname}:{url.port}", url.username, url.password, confirm_publish=True)
        self._connection.connect()
        self._channel = self._connection.channel()

    def publish(self, exchange, room, body, **properties):
        message = amqp.Message(_bytes(body), delivery_mode=2, **properties)
        self._channel.basic_publish(message, exchange, room)

    def listen(self, queue, exchange, keys):
        self._channel.queue_declare(queue, durable=True, auto_delete=False)
        for key in keys:
            self._channel.queue_bind(queue, exchange, key)

    def take(self, queue):
        while message := self._channel.basic_get(queue):
            self._channel.basic_ack(message.delivery_tag)
            yield message.properties["type"], message.body

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()


LIBRARIES = [WithPika, WithAmqp]
_PARTS = {"record": "record", "join": "move", "leave": "move",
          "connect": "session", "disconnect": "session"}


class Told:
    """What a queue has been told, as (type, decoded body); bodies are as their schema says."""

    def __init__(self, program, warren, keys):
        self._program = program
        self._queue = f"app.{warren.prefix}-{secrets.token_hex(4)}"
        self.all = []
        program.listen(self._queue, f"{warren.prefix}.events", keys)

    def take(self):
        for kind, body in self._program.take(self._queue):
            validator("event", _PARTS[kind]).validate(json.loads(body))
            self.all.append((kind, json.loads(body)))
        return self.all

    def records(self):
        return [body for kind, body in self.take() if kind == "record"]


def _bytes(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()
