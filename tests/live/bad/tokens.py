"""Tokens: what each is told in the request, and in the connect command."""

import ctypes
import itertools
import json
import os
import time
from contextlib import contextmanager

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from kit.raw import CLOSE, HEAD, Peer, ask, frame, request
from kit.tokens import sign

from bad import words
from bad.place import BAD_TOKENS, CLAIMS, EC_KEY, ORIGIN, RSA_KEY, pem

PATH = "/connection/websocket"
FAR = 32503680000  # the year 3000
_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551  # of P-256
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_addresses = (f"127.1.{n // 250}.{n % 250 + 1}" for n in itertools.count())  # guesses count by it
_IN_OPEN = 0x20


def claims(**change):
    """The text of good claims, but for what is changed."""
    all_claims = {"sub": "ann", **CLAIMS, "exp": int(time.time()) + 600, **change}
    return json.dumps({name: value for name, value in all_claims.items() if value is not None})


def hs(header=None, text=None, **change):
    """A token of our key; `header` and `text` are not the usual ones."""
    return lambda place: place.signed(header or '{"alg":"HS256"}', text or claims(**change))


def headed(**more):
    return hs(json.dumps({"alg": "HS256", **more}))


def strange(**more):
    """A token of a stranger's key, which its header tells of."""
    return lambda _: sign("f" * 40, json.dumps({"alg": "HS256", **more}), claims())


def public(key, **more):
    """A token that is signed with a public key as if it was a secret."""
    return lambda _: sign(pem(key).decode(), json.dumps({"alg": "HS256", **more}), claims())


public_keys = (public(EC_KEY), public(RSA_KEY, kid="RS256-1"))


def _base64url(data):
    return jwt.utils.base64url_encode(data).decode()


def unsigned(alg):
    header = _base64url(json.dumps({"alg": alg} if alg else {}).encode())
    return lambda _: f"{header}.{_base64url(claims().encode())}."


def es(change):
    """An ES256 token whose signature is what `change` makes of (r, s, what is signed)."""
    def make(place):
        signed, signature = place.es256().rsplit(".", 1)
        raw = jwt.utils.base64url_decode(signature)
        made = change(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"), signed)
        return f"{signed}.{_base64url(made)}"
    return make


def pair(r, s):
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def der(_r, _s, signed):
    return EC_KEY.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))


def above_order(r, s, _):
    return pair(r, min(s + _ORDER, 2 ** 256 - 1))


def changed(change):
    """What `change` makes of a good token."""
    return lambda place: change(place.signed('{"alg":"HS256"}', claims()))


def other_bit(token):
    signed, signature = token.rsplit(".", 1)
    return f"{signed}.{'B' if signature[0] != 'B' else 'C'}{signature[1:]}"


def last_bit(token):
    """The bits of the last character that carry nothing are not zero."""
    return token[:-1] + _LETTERS[_LETTERS.index(token[-1]) | 1]


def _request(token=None, path=PATH, **more):
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    return request(f"GET {path} HTTP/1.1", {**HEAD, "Origin": ORIGIN, **bearer, **more})


def at_connect(place, token, source="127.0.0.1"):
    """What the connect command with that token is answered, in words."""
    with Peer.open(place.gateway, PATH, source=source, Origin=ORIGIN) as peer:
        given = {} if token is None else {"token": token}
        peer.send(frame(json.dumps({"id": 1, "connect": given}).encode()))
        found = peer.next()
        if found[0] == CLOSE:
            return words.frame(found)
        return words.reply(json.loads(found[1]))


def shown(*makers, **named):
    """Each of these tokens in a request, and in a connect command."""
    named.update({str(number): make for number, make in enumerate(makers)})

    def do(place):
        source, found = next(_addresses), {}
        for name, make in named.items():
            token = make(place)
            found[name] = (words.refusal(ask(place.gateway, _request(token), source)),
                           at_connect(place, token, source))
        return found
    return do


@contextmanager
def _unopened(path):
    """Nobody opens that file meanwhile; the kernel would tell."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert watch >= 0
    try:
        assert libc.inotify_add_watch(watch, os.fsencode(path), _IN_OPEN) >= 0
        path.read_bytes()
        assert os.read(watch, 4096), "it tells nothing"
        yield
        try:
            told = os.read(watch, 4096)
        except BlockingIOError:
            told = b""
        assert not told, f"{path} was opened"
    finally:
        os.close(watch)


def kids_of_a_file(place):
    """Tokens of a key in a file whose kid is the file's path, in some forms."""
    file = place.folder / "key"
    file.write_text("k" * 40, encoding="ascii")
    headers = [json.dumps({"alg": "HS256", "kid": kid}) for kid in (
        str(file), f"{'../' * 20}{file}", file.as_uri(), f"{file}\0")]
    with _unopened(file):
        return shown(*[lambda _, header=header: sign("k" * 40, header, claims())
                       for header in headers])(place)


def none(place):
    """No token at all."""
    return words.refusal(ask(place.gateway, _request(path="/ws"))), at_connect(place, None)


def two(place):
    """One in the cookie, another in the header."""
    one, other = (place.token(user) for user in ("ann", "eve"))
    return words.refusal(ask(place.gateway, _request(one, Cookie=f"warren_token={other}")))


def in_cookie(place):
    """In the cookie, and no Origin."""
    return words.refusal(ask(place.gateway, _request(
        Origin=None, Cookie=f"warren_token={place.token()}")))


def expired_then_silent(place):
    """A token of the past in the connect command, and nothing more."""
    with Peer.open(place.gateway, PATH) as peer:
        peer.send(frame(json.dumps(
            {"id": 1, "connect": {"token": hs(exp=1000)(place)}}).encode()))
        return ", ".join([words.reply(json.loads(peer.next()[1])),
                          words.frames(peer.until_closed())])


def named_key(place):
    """A good token whose header names other keys."""
    token = headed(jku="https://evil.example/k", jwk={}, x5u="https://evil.example/k")(place)
    return at_connect(place, token).split(":", maxsplit=1)[0]


def guesses(place):
    """More bad tokens of an address than there may be: what is different in the end."""
    bad, source = _request("a.b.c"), next(_addresses)
    found = [words.refusal(ask(place.gateway, bad, source)) for _ in range(BAD_TOKENS + 1)]
    other = words.refusal(ask(place.gateway, bad, next(_addresses)))
    assert len(set(found[:-1])) == 1 and other == found[0]  # others are heard
    return found[-1]


def ends_soon(place):
    """It is renewed by nobody: the connect reply, and the end."""
    with Peer.open(place.gateway, PATH) as peer:
        peer.send(frame(json.dumps({"id": 1, "connect": {"token": place.token(ttl=3)}}).encode()))
        reply = json.loads(peer.next()[1])["connect"]
        assert reply["ttl"] <= 3
        last = words.frame(peer.until_closed()[-1])
        return ", ".join([f'"expires":{json.dumps(reply["expires"])}', last])


def private_room(place):
    """A connect token, alone and as the token of a private room."""
    token = place.token()
    found = []
    for given in ("", token):
        with Peer.open(place.gateway, PATH, Origin=ORIGIN,
                       Authorization=f"Bearer {token}") as peer:
            peer.send(frame(b'{"id":1,"connect":{}}') + frame(json.dumps(
                {"id": 2, "subscribe": {"channel": "$secret", "token": given}}).encode()))
            assert b'"connect":' in peer.next()[1]
            found.append(words.reply(json.loads(peer.next()[1])))
    return dict(enumerate(found))
