"""Tokens that another library signs, with every algorithm and every place for a key."""

import asyncio
import json
import os
import signal
import subprocess
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import algorithms
from kit import CentrifugeClient, Closed, CommandError, Deployment
from kit.services import build_folder

_ALGORITHMS = ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "ES256", "ES384",
               "ES512", "EdDSA"]
_RSA = rsa.generate_private_key(65537, 2048)
_PRIVATE = {
    **{name: "0123456789abcdef" * 4 + name for name in _ALGORITHMS[:3]},
    **{name: _RSA for name in _ALGORITHMS[3:7]},
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
_JWK_KEY = ed25519.Ed25519PrivateKey.generate()
_JWK_EC = ec.generate_private_key(ec.SECP256R1())


def _public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def _write_keys(folder):
    """Files of all keys and the sections that name them."""
    config = ""
    for name, key in _PRIVATE.items():
        path = folder / f"{name}.key"
        path.write_bytes(key.encode() if isinstance(key, str) else _public_pem(key))
        config += f'[key "{name}-1"]\nalgorithm = {name}\nfile = {path}\n'
    jwks = folder / "jwks.json"
    okp = json.loads(algorithms.OKPAlgorithm.to_jwk(_JWK_KEY.public_key()))
    point = _JWK_EC.public_key().public_numbers()
    jwks.write_text(json.dumps({"keys": [
        {**okp, "kid": "jwk-ed", "use": "sig"},
        {"kty": "EC", "crv": "P-256", "kid": "jwk-ec", "alg": "ES256",
         "x": jwt.utils.base64url_encode(point.x.to_bytes(32, "big")).decode(),
         "y": jwt.utils.base64url_encode(point.y.to_bytes(32, "big")).decode()},
        {"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB", "kid": "not-for-us"},
    ]}), encoding="utf-8")
    return config + f"[auth]\njwks_file = {jwks}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of the keys' files."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def warren(broker, folder):
    config = _write_keys(folder)
    settings = {"auth.anonymous": "no", "auth.issuer": "https://id.example", "auth.leeway": "1s"}
    with Deployment(broker, gateway=settings, config=config) as running:
        yield running


def _token(key, algorithm, headers=None, **claims):
    claims = {"sub": "ann", "exp": int(time.time()) + 600, "iss": "https://id.example", **claims}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm, headers)


async def _refused(gateway, token):
    with pytest.raises(Closed) as closed:
        await CentrifugeClient.connect(gateway, token)
    assert (closed.value.code, closed.value.reason) == (3500, "invalid token")


@pytest.mark.parametrize("algorithm", _ALGORITHMS)
async def test_a_token_of_another_library_is_taken(gateway, algorithm):
    for headers in (None, {"kid": f"{algorithm}-1"}):
        token = _token(_PRIVATE[algorithm], algorithm, headers)
        async with await CentrifugeClient.connect(gateway, token) as ann:
            assert await ann.publish("tokens", algorithm) == {}


@pytest.mark.parametrize("key, algorithm, name", [
    (_JWK_KEY, "EdDSA", "jwk-ed"), (_JWK_EC, "ES256", "jwk-ec"), (_JWK_EC, "ES256", None)])
async def test_keys_of_a_set_are_taken(gateway, key, algorithm, name):
    headers = {"kid": name} if name else None
    async with await CentrifugeClient.connect(gateway, _token(key, algorithm, headers)) as ann:
        assert ann.client


async def test_a_private_key_is_enough_to_print_a_token(gateway, tmp_path):
    pem = tmp_path / "private.pem"
    pem.write_bytes(_JWK_EC.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    env = {key: value for key, value in os.environ.items() if not key.startswith("WARREN_")}
    printed = subprocess.run(
        [build_folder() / "gateway/warren-gateway", "token", "--user", "ann", "--key", pem,
         "--key-id", "jwk-ec"], env={**env, "WARREN_AUTH_ISSUER": "https://id.example"},
        capture_output=True, text=True, check=False)
    assert (printed.returncode, printed.stderr) == (0, "")
    async with await CentrifugeClient.connect(gateway, printed.stdout.strip()) as ann:
        assert ann.client


async def test_a_token_that_names_another_key_is_refused(gateway):
    others = zip(_ALGORITHMS, _ALGORITHMS[1:] + _ALGORITHMS[:1])
    names = [f"{name}-1" for name in ("unknown", "../../dev/null", "' or 1=1", "x" * 65)]
    await asyncio.gather(
        *(_refused(gateway, _token(_PRIVATE[algorithm], algorithm, {"kid": f"{other}-1"}))
          for algorithm, other in others),
        *(_refused(gateway, _token(_PRIVATE["HS256"], "HS256", {"kid": name})) for name in names))


async def test_a_strangers_key_is_refused(gateway):
    strangers = {
        "HS256": "f" * 80, "HS384": "f" * 80, "HS512": "f" * 80,
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "ES512": ec.generate_private_key(ec.SECP521R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    stranger = rsa.generate_private_key(65537, 2048)
    await asyncio.gather(*(
        _refused(gateway, _token(strangers.get(algorithm, stranger), algorithm, headers))
        for algorithm in _ALGORITHMS for headers in (None, {"kid": f"{algorithm}-1"})))


@pytest.mark.parametrize("headers", [
    {"crit": ["x"], "x": 1}, {"crit": ["b64"], "b64": False}, {"cty": "JWT"}, {"zip": "DEF"},
    {"enc": "A128GCM"}, {"kid": ""},
])
async def test_headers_that_ask_for_more_are_refused(gateway, headers):
    await _refused(gateway, _token(_PRIVATE["HS256"], "HS256", headers))


async def test_headers_that_bring_keys_are_not_looked_at(gateway):
    evil = {"jku": "https://evil.example/jwks", "x5u": "https://evil.example/x", "jwk": {}}
    async with await CentrifugeClient.connect(
            gateway, _token(_PRIVATE["ES256"], "ES256", evil)) as ann:
        assert ann.client
    await _refused(gateway, _token(ec.generate_private_key(ec.SECP256R1()), "ES256", evil))


@pytest.mark.parametrize("claims", [
    {"iss": "https://other.example"}, {"iss": None}, {"iss": ["https://id.example"]},
    {"sub": ""}, {"sub": None}, {"exp": None}, {"exp": "tomorrow"}, {"iat": 32503680000},
    {"channel": "tokens"}, {"roles": "admin"},
])
async def test_claims_that_are_not_as_they_should_be_are_refused(gateway, claims):
    if claims.get("exp") == "tomorrow":
        token = _token(_PRIVATE["HS256"], "HS256")
        head, _, _ = token.split(".")
        payload = jwt.utils.base64url_encode(json.dumps(
            {"sub": "ann", "iss": "https://id.example", **claims}).encode()).decode()
        text = f"{head}.{payload}"
        mac = algorithms.HMACAlgorithm(algorithms.HMACAlgorithm.SHA256)
        signed = mac.sign(text.encode(), _PRIVATE["HS256"].encode())
        await _refused(gateway, f"{text}.{jwt.utils.base64url_encode(signed).decode()}")
        return
    await _refused(gateway, _token(_PRIVATE["HS256"], "HS256", **claims))


@pytest.mark.parametrize("claims", [{"exp": 1000}, {"nbf": 32503680000}])
async def test_a_token_out_of_its_time_is_told_so(gateway, claims):
    with pytest.raises(CommandError) as expired:
        await CentrifugeClient.connect(gateway, _token(_PRIVATE["ES256"], "ES256", **claims))
    assert expired.value.code == 109


async def test_an_unsigned_token_is_refused(gateway):
    token = jwt.encode({"sub": "ann", "exp": int(time.time()) + 600,
                        "iss": "https://id.example"}, None, "none")
    await _refused(gateway, token)


async def test_a_returning_crowd_is_remembered(gateway):
    token = _token(_PRIVATE["ES384"], "ES384", jti="crowd")
    before = gateway.metric("warren_gateway_tokens_remembered_total")
    for _ in range(5):
        async with await CentrifugeClient.connect(gateway, token) as ann:
            assert ann.client
    assert gateway.metric("warren_gateway_tokens_remembered_total") == before + 4


def _jwk(key, name):
    return {**json.loads(algorithms.OKPAlgorithm.to_jwk(key.public_key())), "kid": name}


async def test_keys_change_with_their_files(warren, folder):
    """A PEM, a secret and a set: old and new are good together, then only the new one is."""
    keys = {name: [ed25519.Ed25519PrivateKey.generate() for _ in range(2)]
            for name in ("EdDSA-1", "jwk-ed")}
    keys["HS512-1"] = ["old" * 30, "new" * 30]
    jwks = json.loads((folder / "jwks.json").read_text(encoding="utf-8"))["keys"][1:]

    def write(which, *more):
        (folder / "EdDSA.key").write_bytes(_public_pem(keys["EdDSA-1"][which]))
        (folder / "HS512.key").write_text(keys["HS512-1"][which], encoding="utf-8")
        (folder / "jwks.json").write_text(json.dumps(
            {"keys": [_jwk(keys["jwk-ed"][which], "jwk-ed"), *more, *jwks]}), encoding="utf-8")
        for gateway in warren.gateways:
            before = gateway.metric("warren_gateway_reloads_total")
            gateway.send_signal(signal.SIGHUP)
            gateway.wait_metric("warren_gateway_reloads_total", before + 1)

    def token(name, which):
        algorithm = "HS512" if name == "HS512-1" else "EdDSA"
        return _token(keys[name][which], algorithm, {"kid": name})

    write(0)
    old = {name: token(name, 0) for name in keys}
    sessions = [await CentrifugeClient.connect(gateway, one)
                for gateway in warren.gateways for one in old.values()]
    write(1, _jwk(keys["jwk-ed"][0], "before"))  # this one has both
    for gateway in warren.gateways:
        both = _token(keys["jwk-ed"][0], "EdDSA", {"kid": "before"})
        for good in (both, *(token(name, 1) for name in keys)):
            await (await CentrifugeClient.connect(gateway, good)).close()
        await asyncio.gather(*(_refused(gateway, one) for one in old.values()))
    write(1)
    for gateway in warren.gateways:
        await _refused(gateway, both)
    for session in sessions:  # whoever is in stays in
        assert await session.publish("tokens", 1) == {}
        await session.close()
