"""Bad inputs in the shape of tokens: what the door says to each, and what the connect command.

The numbers are those of one list of bad inputs; see test_bad_inputs.py. After each of them somebody
else on the same gateway hears what is said, and at the end nothing of them is left.
"""

import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from kit import Deployment, witness
from kit.raw import CLOSE, HEAD, Peer, ask, frame, request
from kit.tokens import sign

_EC = ec.generate_private_key(ec.SECP256R1())
_RSA = rsa.generate_private_key(65537, 2048)
_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551  # of P-256
_CLAIMS = {"sub": "ann", "iss": "https://id.example", "aud": "chat"}
_FAR = 32503680000  # the year 3000
_BAD_MAX = 500  # tokens of one address in a window
_PATH = "/connection/websocket"


def _pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def warren(broker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    config = ""
    for name, key in (("ES256", _EC), ("RS256", _RSA)):
        (folder / name).write_bytes(_pem(key))
        config += f'[key "{name}-1"]\nalgorithm = {name}\nfile = {folder / name}\n'
    settings = {"gateway.bad_tokens": _BAD_MAX, "auth.max_age": "2h",
                "auth.anonymous": "no", "auth.issuer": _CLAIMS["iss"], "auth.leeway": "10s",
                "auth.audience": _CLAIMS["aud"]}
    with Deployment(broker, gateways=1, broadcasters=1, gateway=settings, config=config) as running:
        yield running


@pytest.fixture(scope="module")
def listener(warren, gateway):
    with witness.undisturbed(gateway, warren.token(**_CLAIMS_OF_WITNESS)) as one:
        yield one


_CLAIMS_OF_WITNESS = {"user": "wit", "iss": _CLAIMS["iss"], "aud": _CLAIMS["aud"]}


def _base64url(data):
    return jwt.utils.base64url_encode(data).decode()


def _claims(**change):
    claims = {**_CLAIMS, "exp": int(time.time()) + 600, **change}
    return json.dumps({name: value for name, value in claims.items() if value is not None})


def _hs(header=None, claims=None, **change):
    """A token of our key; `header` and `claims` are texts, if not the usual ones."""
    header = header or '{"alg":"HS256"}'
    return lambda key: sign(key, header, claims or _claims(**change))


def _headed(**more):
    return _hs(json.dumps({"alg": "HS256", **more}))


def _es(change):
    """An ES256 token whose signature is what `change` makes of (r, s)."""
    def make(_):
        whole = jwt.encode(json.loads(_claims()), _EC, "ES256")
        signed, signature = whole.rsplit(".", 1)
        raw = jwt.utils.base64url_decode(signature)
        made = change(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"), signed)
        return f"{signed}.{_base64url(made)}"
    return make


def _pair(r, s):
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _der(_r, _s, signed):
    return _EC.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))


def _changed(change):
    """What `change` makes of a good token."""
    return lambda key: change(sign(key, '{"alg":"HS256"}', _claims()))


def _last_bit(token):
    """The bits of the last character that carry nothing are not zero."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + letters[letters.index(token[-1]) | 1]


def _first_bit(token):
    signed, signature = token.rsplit(".", 1)
    return f"{signed}.{'B' if signature[0] != 'B' else 'C'}{signature[1:]}"


def _unsigned(alg):
    header = _base64url(json.dumps({"alg": alg} if alg else {}).encode())
    return lambda _: f"{header}.{_base64url(_claims().encode())}."


_TWICE = ('{"sub":"ann","sub":"root","iss":"https://id.example","aud":"chat","exp":%d}' % _FAR)


_REFUSED = [
    *[(89, f"alg {alg}", _unsigned(alg)) for alg in ("none", "None", "nOnE", None)],
    (89, "alg absent, signed", _hs("{}")),
    (90, "HS256 with the public key", lambda _: sign(_pem(_EC).decode(), '{"alg":"HS256"}',
                                                     _claims())),
    (90, "HS256 with the public key, and its name",
     lambda _: sign(_pem(_RSA).decode(), '{"alg":"HS256","kid":"RS256-1"}', _claims())),
    (91, "another bit", _changed(_first_bit)),
    (91, "no signature", _changed(lambda token: token.rsplit(".", 1)[0] + ".")),
    (91, "truncated signature", _changed(lambda token: token[:-8])),
    (91, "ES256 in DER", _es(_der)),
    (91, "ES256 with r = 0", _es(lambda r, s, _: _pair(0, s))),
    (91, "ES256 with r and s = 0", _es(lambda r, s, _: _pair(0, 0))),
    (91, "ES256 with s + n", _es(lambda r, s, _: _pair(r, min(s + _ORDER, 2 ** 256 - 1)))),
    (92, "two parts", _changed(lambda token: token.rsplit(".", 1)[0])),
    (92, "four parts", _changed(lambda token: token + ".AAAA")),
    (92, "five parts", _changed(lambda token: token + ".AAAA.AAAA")),
    (92, "padding", _changed(lambda token: token + "=")),
    (92, "+ and /", _changed(lambda token: token[:-2] + "+/")),
    (92, "tail that is not canonical", _changed(_last_bit)),
    (93, "exp absent", _hs(exp=None)),
    (93, "exp in quotes", _hs(exp="tomorrow")),
    (93, "exp of 1e400", _hs(claims=_claims(exp=0).replace('"exp": 0', '"exp":1e400'))),
    (93, "exp in the year 9999, where tokens have a longest life", _hs(exp=253402300799)),
    (94, "iat in the future", _hs(iat=_FAR)),
    (95, "another iss", _hs(iss="https://other.example")),
    (95, "no iss", _hs(iss=None)),
    (95, "no aud", _hs(aud=None)),
    (95, "another aud", _hs(aud="mail")),
    (95, "aud of others", _hs(aud=["mail", "news"])),
    (96, "unknown kid", _headed(kid="nobody")),
    (96, "kid that is a path", _headed(kid="../../dev/null")),
    (96, "kid that is SQL", _headed(kid="' or 1=1 --")),
    (97, "jku, and the key of a stranger",
     lambda _: sign("f" * 40, '{"alg":"HS256","jku":"https://evil.example/k"}', _claims())),
    (97, "jwk, and the key of a stranger",
     lambda _: sign("f" * 40, '{"alg":"HS256","jwk":{"kty":"oct","k":"ZmZm"}}', _claims())),
    (97, "x5u, and the key of a stranger",
     lambda _: sign("f" * 40, '{"alg":"HS256","x5u":"https://evil.example/k"}', _claims())),
    (98, "crit", _headed(crit=["x"], x=1)),
    (98, "b64", _headed(crit=["b64"], b64=False)),
    (98, "b64 without crit", _headed(b64=False)),
    (99, "claim that stands twice", _hs(claims=_TWICE)),
    (99, "empty sub", _hs(sub="")),
    (99, "sub that is a number", _hs(sub=7)),
]


@pytest.mark.parametrize("make", [row[2] for row in _REFUSED],
                         ids=[f"{row[0]}: {row[1]}" for row in _REFUSED])
def test_a_token_that_is_refused(warren, gateway, others, make):
    token = make(warren.key)
    found = ask(gateway, request(f"GET {_PATH} HTTP/1.1", {
        **HEAD, "Authorization": f"Bearer {token}"})).decode()
    assert found.startswith("HTTP/1.1 401 "), found
    assert '\r\nWWW-Authenticate: Bearer error="invalid_token"' in found
    assert _at_connect(gateway, token) == [(CLOSE, b"\x0d\xacinvalid token")]  # 3500
    del others


def _at_connect(gateway, token):
    """What the connect command with that token is answered, up to the Close."""
    with Peer.open(gateway, _PATH) as peer:
        peer.send(frame(json.dumps({"id": 1, "connect": {"token": token}}).encode()))
        found = [peer.next()]
        if found[0][0] != CLOSE:
            peer.send(frame(b"\x03\xe8", CLOSE))
        return found


@pytest.mark.parametrize("make", [_hs(exp=1000), _hs(nbf=_FAR)],
                         ids=["93: exp past", "94: nbf in the future"])
def test_a_token_out_of_its_time(warren, gateway, others, make):
    token = make(warren.key)
    found = ask(gateway, request(f"GET {_PATH} HTTP/1.1", {
        **HEAD, "Authorization": f"Bearer {token}"}))
    assert found.startswith(b"HTTP/1.1 401 ")
    [(_, text)] = _at_connect(gateway, token)
    assert json.loads(text) == {"id": 1, "error": {"code": 109, "message": "token expired"}}
    del others


def test_87_no_token(gateway, others):
    found = ask(gateway, request("GET /ws HTTP/1.1", HEAD))
    assert found.startswith(b"HTTP/1.1 401 ") and b"\r\nWWW-Authenticate: Bearer\r\n" in found
    del others


def test_87_no_token_in_the_connect_command(gateway, others):
    with Peer.open(gateway, _PATH) as peer:
        peer.send(frame(b'{"id":1,"connect":{}}'))
        assert peer.until_closed() == [(CLOSE, b"\x0d\xadbad request")]  # 3501
    del others


def test_88_two_places_with_different_tokens(warren, gateway, others):
    one, two = (_hs(sub=user)(warren.key) for user in ("ann", "eve"))
    found = ask(gateway, request("GET /ws HTTP/1.1", {
        **HEAD, "Origin": "http://x", "Cookie": f"warren_token={one}",
        "Authorization": f"Bearer {two}"}))
    assert found.startswith(b"HTTP/1.1 400 ")
    del others


def test_96_a_kid_of_10_kib_is_no_head(warren, gateway, others):
    token = _headed(kid="x" * 10240)(warren.key)
    found = ask(gateway, request("GET /ws HTTP/1.1", {**HEAD, "Authorization": f"Bearer {token}"}))
    assert found.startswith(b"HTTP/1.1 431 ")
    assert _at_connect(gateway, token) == [(CLOSE, b"\x0d\xacinvalid token")]
    del others


def test_97_what_names_other_keys_is_not_looked_at(warren, gateway, others):
    token = _headed(jku="https://evil.example/k", jwk={}, x5u="https://evil.example/k")(warren.key)
    [(_, text)] = _at_connect(gateway, token)
    assert json.loads(text)["connect"]["client"]
    del others


def test_100_a_token_over_4_kib(warren, gateway, others):
    token = _hs(more="x" * 4096)(warren.key)
    found = ask(gateway, request("GET /ws HTTP/1.1", {**HEAD, "Authorization": f"Bearer {token}"}))
    assert found.startswith(b"HTTP/1.1 401 ")
    assert _at_connect(gateway, token) == [(CLOSE, b"\x0d\xacinvalid token")]
    del others


def test_100_an_address_that_guesses(gateway, others):
    bad = request("GET /ws HTTP/1.1", {**HEAD, "Authorization": "Bearer a.b.c"})
    answers = [ask(gateway, bad, "127.0.0.77") for _ in range(_BAD_MAX)]
    assert all(answer.startswith(b"HTTP/1.1 401 ") for answer in answers)
    found = ask(gateway, bad, "127.0.0.77")
    assert found.startswith(b"HTTP/1.1 429 ") and b"\r\nRetry-After: " in found
    assert ask(gateway, bad, "127.0.0.78").startswith(b"HTTP/1.1 401 ")  # others are heard
    del others


def test_102_a_token_for_connections_opens_no_private_room(warren, gateway, others):
    token = _hs()(warren.key)
    for shown in ("", token):
        with Peer.open(gateway, _PATH, Authorization=f"Bearer {token}") as peer:
            peer.send(frame(b'{"id":1,"connect":{}}') + frame(json.dumps(
                {"id": 2, "subscribe": {"channel": "$secret", "token": shown}}).encode()))
            assert b'"connect":' in peer.next()[1]
            assert json.loads(peer.next()[1])["error"]["code"] == 103
    del others


def test_101_a_token_that_expires_while_connected(warren, gateway, others):
    token = _hs(exp=int(time.time()) + 3)(warren.key)
    with Peer.open(gateway, "/ws", Authorization=f"Bearer {token}") as peer:
        assert peer.until_closed()[-1] == (CLOSE, b"\x0b\xbdconnection expired")  # 3005
    del others
