"""JSON Web Tokens as an application's backend would make them (HS256)."""

import base64
import hashlib
import hmac
import json
import time


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def mint(key, sub, ttl=3600, header=None, **claims):
    """A token for the user `sub`; a claim or header given as None is left out."""
    claims = {"sub": sub, "exp": int(time.time()) + ttl, **claims}
    header = {"alg": "HS256", "typ": "JWT", **(header or {})}
    signed = ".".join(
        _base64url(json.dumps({k: v for k, v in part.items() if v is not None}).encode())
        for part in (header, claims))
    signature = hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64url(signature)}"
