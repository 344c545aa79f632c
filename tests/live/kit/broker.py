"""The RabbitMQ of the tests: the very node that compose/up runs, on free ports."""

from contextlib import contextmanager
from urllib.parse import quote

import node
import pika
import ports

from kit import evidence
from kit.waiting import eventually


class Broker(node.Node):
    """A private node with its HTTP interface and `pika` at hand."""

    def __init__(self, folder):
        super().__init__(folder, ports.claim_any(), ports.claim_any())
        evidence.add("rabbitmq", self.log, self.alive)

    @contextmanager
    def channel(self):
        """A channel of a connection of its own, with all rights."""
        connection = pika.BlockingConnection(pika.URLParameters(self.url()))
        try:
            yield connection.channel()
        finally:
            if connection.is_open:
                connection.close()

    def names(self, kind, prefix):
        """The names of all `queues` or `exchanges` of a deployment, as they are now."""
        rows = self.api(f"{kind}/%2F?columns=name&disable_stats=true&enable_queue_totals=true")
        return sorted(row["name"] for row in rows if row["name"].startswith(f"{prefix}."))

    def forget(self, prefix):
        """Deletes what a deployment has left on the node."""
        for kind in ("queues", "exchanges"):
            for name in self.names(kind, prefix):
                eventually(lambda k=kind, n=name: self._is_deleted(k, n), what=f"{name} is gone")

    def _is_deleted(self, kind, name):
        """False while the broker has not noticed that the owner's connection is gone."""
        try:
            self.api(f"{kind}/%2F/{quote(name, safe='')}", method="DELETE")
        except RuntimeError as error:
            if "locked queue" in str(error):
                return False
            if " 404 " not in str(error):  # gone by itself meanwhile
                raise
        return True
