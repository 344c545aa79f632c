"""Where the rows of the table of bad inputs are tried: one deployment with five gateways.

Each gateway has somebody who talks all the time, and must not notice any of it; but for the last
one, whose connections to the broker are cut.
"""

import ssl
import time
from contextlib import ExitStack, contextmanager
from functools import cached_property

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from kit import Deployment, certs
from kit.relay import Relay
from kit.tokens import sign
from kit.witness import undisturbed
from pika_gateway import PikaGateway

DOOR, INSIDE, LATE, TLS, CUT = "door", "inside", "late", "tls", "cut"  # the gateways

ORIGIN = "https://good.example"
MESSAGE_MAX, BIG_MESSAGE_MAX = 65536, 4 << 20
PER_ADDRESS, CONNECTIONS, ADDRESS_RATE, BAD_TOKENS = 12, 40, 60, 40
CLOSE_WAIT = 2  # seconds
ROOMS_MAX = 4
BATCHES_MAX = 300  # that may wait for an owner

CLAIMS = {"iss": "https://id.example", "aud": "chat"}
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)

_ALL = {"gateway.echo": "yes", "gateway.max_message": MESSAGE_MAX, "gateway.out_queue": "256k",
        "auth.issuer": CLAIMS["iss"], "auth.audience": CLAIMS["aud"], "auth.max_age": "2h",
        "auth.leeway": "10s", "gateway.publish_wait": "10s", "origin.allow": ORIGIN,
        "gateway.address_rate": "0",
        "gateway.recent": "10"}  # so many are soon there, and then memory grows no more
_OWN = {
    DOOR: {"auth.anonymous": "no", "gateway.per_address": PER_ADDRESS,
           "gateway.connections": CONNECTIONS, "gateway.bad_tokens": BAD_TOKENS,
           "gateway.max_message": BIG_MESSAGE_MAX},
    INSIDE: {"gateway.publish_wait": "3s",
             "gateway.rooms": ROOMS_MAX, "gateway.max_payload": "1k", "gateway.errors": "20",
             "gateway.ping": "10m", "gateway.max_fragments": "16", "gateway.max_control_rate": "20",
             "gateway.publish_rate": "50", "gateway.publish_burst": "100"},
    LATE: {"gateway.ping": "5s", "gateway.pong": "4s", "gateway.handshake": "2s",
           "gateway.stale": "3s", "gateway.refresh_wait": "1s",
           "gateway.close_wait": f"{CLOSE_WAIT}s", "gateway.address_rate": ADDRESS_RATE},
    TLS: {"gateway.handshake": "2s"},
    CUT: {"gateway.publish_wait": "1m"},
}
_CONFIG = """
[room "closed"]
subscribe = none
publish = none
[room "short"]
history_size = 2
"""


def pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


class Place:
    """The deployment, its four gateways by name, and whoever talks on each of them."""

    def __init__(self, warren, folder, relay):
        self.warren = warren
        self.folder = folder
        self.relay = relay  # between one of the gateways and the broker
        self.gateways = dict(zip(_OWN, warren.gateways))
        self.witnesses = {}
        self.where = None  # the gateway of the row that is tried

    @property
    def gateway(self):
        return self.gateways[self.where]

    @property
    def owner(self):
        """The broadcaster."""
        return self.warren.broadcasters[0]

    @cached_property
    def byhand(self):
        """A gateway that says to owners what no gateway of ours says."""
        return PikaGateway(self.warren.broker, self.warren.prefix)

    def token(self, user="ann", ttl=600):
        return self.warren.token(user, ttl, **CLAIMS)

    def signed(self, header, claims):
        return sign(self.warren.key, header, claims)

    def tls(self):
        """The context of a client that knows the authority."""
        return ssl.create_default_context(cafile=str(self.folder / "authority.pem"))

    def es256(self):
        return jwt.encode({"sub": "ann", **CLAIMS, "exp": int(time.time()) + 600}, EC_KEY, "ES256")

    def close(self):
        if "byhand" in self.__dict__:
            self.byhand.close()


def _deployment(broker, folder, relay):
    config = _CONFIG
    for name, key in (("ES256", EC_KEY), ("RS256", RSA_KEY)):
        (folder / name).write_bytes(pem(key))
        config += f'[key "{name}-1"]\nalgorithm = {name}\nfile = {folder / name}\n'
    certs.make(folder, "authority")
    certs.make(folder, "chat", authority="authority", host="chat.test")
    running = Deployment(broker, gateways=0, broadcasters=1, gateway=_ALL, config=config,
                         settings={"topology.in_max_length": BATCHES_MAX})
    keys = {"gateway.tls_cert": folder / "chat.pem", "gateway.tls_key": folder / "chat.key"}
    more = {TLS: keys, CUT: {"amqp.url": relay.url("gateway")}}
    for name, own in _OWN.items():
        own = {**own, **more.get(name, {})}
        running.add_gateway(start=False, **{k.replace(".", "__"): v for k, v in own.items()})
    return running


@contextmanager
def opened(broker, folder):
    with ExitStack() as stack:
        relay = stack.enter_context(Relay(broker.amqp_port))
        place = Place(stack.enter_context(_deployment(broker, folder, relay)), folder, relay)
        stack.callback(place.close)
        for name, gateway in place.gateways.items():
            if name == CUT:
                continue
            url = gateway.centrifuge_url
            more = {}
            if name == TLS:
                url = url.replace("ws:", "wss:")
                more = {"ssl": place.tls(), "server_hostname": "chat.test"}
            place.witnesses[name] = stack.enter_context(
                undisturbed(gateway, place.token("wit", 3600), url=url, open_options=more))
        yield place
