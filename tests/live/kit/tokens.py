"""JSON Web Tokens as an application's backend would make them (HS256)."""

import base64
import hashlib
import hmac
import json
import time


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(key, header, claims):
    """A token of these two texts, whatever they say."""
    signed = f"{_base64url(header.encode())}.{_base64url(claims.encode())}"
    signature = hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64url(signature)}"


def mint(key, sub, ttl=3600, header=None, **claims):
    """A token for the user `sub`; a claim or header given as None is left out."""
    claims = {"sub": sub, "exp": int(time.time()) + ttl, **claims}
    header = {"alg": "HS256", "typ": "JWT", **(header or {})}
    return sign(key, *(json.dumps({k: v for k, v in part.items() if v is not None})
                       for part in (header, claims)))
