"""A whole warren on a broker that others may use too: its prefix is its own."""

import secrets
import tempfile
from pathlib import Path

import node

from kit.services import Broadcaster, Gateway
from kit.tokens import mint

_PARTITIONS = 4  # each costs the broker a queue and a stream


class Deployment:
    """Gateways and broadcasters on one broker; a context manager that stops what it started.

    `settings` ("section.key" to value) go to all services, `gateway` and `broadcaster` to one kind.
    People without a token are admitted unless "auth.anonymous" says otherwise. `config` is the text
    of an INI file for what the environment cannot say.
    """

    def __init__(self, broker, gateways=2, broadcasters=2, *, prefix=None, settings=None,
                 gateway=None, broadcaster=None, config=None):
        self.broker = broker
        self.prefix = prefix or f"t{secrets.token_hex(4)}"
        self.key = secrets.token_urlsafe(32)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.prefix}-", dir=broker.folder.parent))
        self.gateways = []
        self.broadcasters = []
        self.config = None
        if config is not None:
            self.config = self.folder / "warren.ini"
            self.config.write_text(config, encoding="utf-8")
        common = {"amqp.prefix": self.prefix, "topology.partitions": _PARTITIONS}
        self._gateway_settings = {
            # What all need is made by the first broadcaster, or by who has all rights.
            **common, "amqp.url": broker.url("gateway" if broadcasters else node.ADMIN),
            "auth.hmac_key": self.key,
            "auth.anonymous": "yes", **(settings or {}), **(gateway or {})}
        self._broadcaster_settings = {
            **common, "amqp.url": broker.url("broadcaster"),
            **(settings or {}), **(broadcaster or {})}
        for _ in range(gateways):
            self.add_gateway(start=False)
        for _ in range(broadcasters):
            self.add_broadcaster(start=False)

    def add_gateway(self, start=True, **more):
        """One more gateway; `more` are its own settings, with __ for the dot."""
        name = f"{self.prefix}-gateway-{len(self.gateways) + 1}"
        return self._add(Gateway(name, self.folder, self._settings(self._gateway_settings, more)),
                         self.gateways, start)

    def add_broadcaster(self, start=True, **more):
        name = f"{self.prefix}-broadcaster-{len(self.broadcasters) + 1}"
        settings = self._settings(self._broadcaster_settings, more)
        return self._add(Broadcaster(name, self.folder, settings), self.broadcasters, start)

    def token(self, user, ttl=3600, **claims):
        return mint(self.key, user, ttl, **claims)

    def start(self):
        """Starts all services at once and waits until all are ready."""
        services = self.broadcasters + self.gateways
        for service in services:
            service.start(wait=False)
        for service in services:
            service.wait_ready()
        return self

    def stop(self):
        """Stops all services, then fails if any of them did not end well."""
        failures = []
        for service in self.gateways + self.broadcasters:
            try:
                service.stop()
            except AssertionError as failure:
                failures.append(str(failure))
        if self.broker.alive():
            self.broker.forget(self.prefix)
        assert not failures, "; ".join(failures)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self._abandon()
            raise

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.stop()
        else:
            self._abandon()

    def _abandon(self):
        """After a failure: that one counts, not how the services end."""
        try:
            self.stop()
        except (AssertionError, OSError, RuntimeError):
            pass

    @staticmethod
    def _settings(settings, more):
        return {**settings, **{key.replace("__", "."): value for key, value in more.items()}}

    def _add(self, service, services, start):
        if self.config:
            service.arguments = ["--config", str(self.config)]
        services.append(service)
        return service.start() if start else service
