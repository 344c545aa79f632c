"""The HTTP API, as a backend without any library of ours calls it."""

import contextlib
import http.client
import json

from kit.deployment import Deployment

KEY = "a key of the tests, long enough"
_PATIENCE = 60.0


class ApiError(Exception):
    """A call was answered with an error object."""

    def __init__(self, error):
        super().__init__(f"{error['code']} {error['message']}")
        self.code = error["code"]


class Api:
    """One gateway's API over one kept connection."""

    def __init__(self, gateway, key=KEY):
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", gateway.api_port, timeout=_PATIENCE)
        self._headers = {"X-API-Key": key} if key else {}

    def request(self, path, body=b"{}", method="POST", headers=None):
        """(status, decoded body, headers) of any request."""
        self._connection.request(method, path, body, {**self._headers, **(headers or {})})
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.headers["Content-Type"] == "application/json", answer.headers
        return answer.status, json.loads(text), answer.headers

    def call(self, name, **params):
        """The result of a method; ApiError for an error."""
        status, answer, _ = self.request(f"/api/{name}", json.dumps(params))
        assert status == 200, (status, answer)
        if "error" in answer:
            raise ApiError(answer["error"])
        return answer.get("result", answer)

    def __getattr__(self, name):
        return lambda **params: self.call(name, **params)

    def hang_up(self):
        self._connection.close()


@contextlib.contextmanager
def deployed(broker, **more):
    """A deployment whose gateways all have an API for KEY."""
    running = Deployment(broker, **more)
    for gateway in running.gateways:
        gateway.open_api(KEY)
    with running:
        yield running
