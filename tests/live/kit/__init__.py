"""What live tests are made of: a private RabbitMQ, services, whole deployments and clients.

Everything waits for a condition with a generous deadline and nothing asserts how long it took.
Every process dies with pytest, and every service that is stopped must exit 0 with a log that
no sanitizer has written to.
"""

from kit.broker import Broker
from kit.centrifuge import CentrifugeClient, CommandError
from kit.client import Closed
from kit.deployment import Deployment
from kit.plain import PlainClient
from kit.services import Broadcaster, Gateway
from kit.tokens import mint
from kit.waiting import PATIENCE, eventually, eventually_async

__all__ = [
    "PATIENCE", "Broadcaster", "Broker", "CentrifugeClient", "Closed", "CommandError",
    "Deployment", "Gateway", "PlainClient", "eventually", "eventually_async", "mint",
]
