"""Who may come in, and what the others are told: requests, origins and tokens."""

import socket
import time

import pytest
import websockets
from kit import CentrifugeClient, Closed, CommandError, Deployment, PlainClient


@pytest.fixture(scope="module")
def warren(broker):
    settings = {"auth.anonymous": "no", "origin.allow": "https://chat.example.com",
                "gateway.handshake": "1s", "auth.audience": "chat"}
    with Deployment(broker, gateway=settings) as running:
        yield running


@pytest.fixture(scope="module")
def good(warren):
    return warren.token("ann", aud="chat", name="Ann")


_GOOD = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade",
         "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version": "13"}


def _ask(gateway, line, headers):
    """Sends a request head; the whole answer."""
    text = line + "\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.sendall(text.encode())
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    return answer.decode()


@pytest.mark.parametrize("line, change, status, says", [
    ("POST /ws HTTP/1.1", {}, 405, "Allow: GET"),
    ("GET /ws HTTP/1.0", {}, 505, ""),
    ("GET /nowhere HTTP/1.1", {}, 404, ""),
    ("GET //ws HTTP/1.1", {}, 404, ""),
    ("GET /ws/../ws HTTP/1.1", {}, 404, ""),
    ("GET /ws HTTP/1.1", {"Upgrade": None}, 426, "Upgrade: websocket"),
    ("GET /ws HTTP/1.1", {"Connection": "keep-alive"}, 426, ""),
    ("GET /ws HTTP/1.1", {"Sec-WebSocket-Version": "8"}, 426, "Sec-WebSocket-Version: 13"),
    ("GET /ws HTTP/1.1", {"Sec-WebSocket-Version": None}, 400, ""),
    ("GET /ws HTTP/1.1", {"Sec-WebSocket-Key": None}, 400, ""),
    ("GET /ws HTTP/1.1", {"Sec-WebSocket-Key": "short"}, 400, ""),
    ("GET /ws HTTP/1.1", {"Host": None}, 400, ""),
    ("GET /ws HTTP/1.1", {"Transfer-Encoding": "chunked"}, 400, ""),
    ("GET /ws HTTP/1.1", {"Content-Length": "5"}, 400, ""),
    ("GET /ws HTTP/1.1", {"X-Bad ": "space before the colon"}, 400, ""),
    ("GET /ws?room=a%20b HTTP/1.1", {"Authorization": "TOKEN"}, 400, ""),
    ("GET /" + "x" * 5000 + " HTTP/1.1", {}, 414, ""),
    ("GET /ws HTTP/1.1", {"X-Big": "x" * 9000}, 431, ""),
    ("GET /ws HTTP/1.1", {"Origin": "https://evil.example.org"}, 403, ""),
    ("GET /ws HTTP/1.1", {"Origin": "https://chat.example.com.evil.org"}, 403, ""),
    ("GET /ws HTTP/1.1", {"Origin": "null"}, 403, ""),
    ("GET /ws HTTP/1.1", {}, 401, "WWW-Authenticate: Bearer"),
    ("GET /ws HTTP/1.1", {"Authorization": "Bearer not.a.token"}, 401, "invalid_token"),
    ("GET /ws HTTP/1.1", {"Cookie": "warren_token=TOKEN"}, 403, ""),
])
def test_a_request_that_is_not_good_is_refused(gateway, good, line, change, status, says):
    headers = {k: v for k, v in {**_GOOD, **change}.items() if v is not None}
    headers = {k: v.replace("TOKEN", good if k == "Cookie" else f"Bearer {good}")
               for k, v in headers.items()}
    answer = _ask(gateway, line, headers)
    assert answer.startswith(f"HTTP/1.1 {status} "), answer
    head, body = answer.split("\r\n\r\n", 1)
    assert "Connection: close" in head and says in head
    assert body.startswith('{"error":')


def test_half_a_request_is_answered_in_time_and_none_is_not(gateway):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        assert connection.recv(4096) == b""


@pytest.mark.parametrize("headers, origin", [
    ({"Authorization": "Bearer TOKEN"}, None),
    ({"Authorization": "Bearer TOKEN"}, "https://chat.example.com"),
    ({"Cookie": "a=b; warren_token=TOKEN"}, "https://chat.example.com"),
    ({"Cookie": "warren_token=TOKEN", "Authorization": "Bearer TOKEN"},
     "https://chat.example.com"),
])
async def test_a_good_token_opens_the_door(gateway, good, headers, origin):
    headers = {k: v.replace("TOKEN", good) for k, v in headers.items()}
    async with await PlainClient.settled(gateway, "door", headers=headers, origin=origin) as ann:
        await ann.send({"message": "hi"})
        assert await ann.expect(lambda m: "message" in m) == {"message": "hi", "username": "Ann"}
    client = await CentrifugeClient.connect(  # and then connect needs none
        gateway, open_options={"headers": headers, "origin": origin})
    await client.close()


async def test_two_places_with_different_tokens_are_refused(warren, gateway, good):
    other = warren.token("eve", aud="chat")
    with pytest.raises(websockets.InvalidStatusCode) as refused:
        await PlainClient.join(gateway, "door", origin="https://chat.example.com", headers={
            "Cookie": f"warren_token={good}", "Authorization": f"Bearer {other}"})
    assert refused.value.status_code == 400


async def test_the_connect_command_brings_a_token(gateway, good):
    async with await CentrifugeClient.connect(gateway, good) as ann:
        await ann.subscribe("tokens")


@pytest.mark.parametrize("claims", [
    {"aud": "other"}, {"aud": None}, {"exp": None}, {"sub": ""}, {"channel": "tokens"},
    {"header": {"alg": "none"}}, {"header": {"alg": "HS512"}}, {"iat": int(time.time()) + 900},
])
async def test_a_wrong_token_closes_with_3500(warren, gateway, claims):
    claims = {"sub": "ann", "aud": "chat", **claims}
    with pytest.raises(Closed) as closed:
        await CentrifugeClient.connect(gateway, warren.token(claims.pop("sub"), **claims))
    assert (closed.value.code, closed.value.reason) == (3500, "invalid token")


async def test_no_token_where_one_is_needed_closes_with_3501(gateway):
    with pytest.raises(Closed) as closed:
        await CentrifugeClient.connect(gateway)
    assert closed.value.code == 3501


async def test_an_expired_token_is_told_so(warren, gateway):
    with pytest.raises(CommandError) as expired:
        await CentrifugeClient.connect(gateway, warren.token("ann", ttl=-100, aud="chat"))
    assert (expired.value.code, expired.value.message) == (109, "token expired")
    assert not expired.value.temporary


async def test_a_session_ends_with_its_token(warren, gateway):
    client = await CentrifugeClient.connect(gateway, warren.token("ann", ttl=2, aud="chat"))
    assert await client.expect_closed() == (3005, "connection expired")


async def test_roles_decide_who_may_subscribe_and_publish(broker):
    settings = {"room.subscribe": "member, admin", "room.publish": "admin"}
    with Deployment(broker, settings=settings) as running:
        gateway = running.gateways[1]

        async def may(method, roles, **fields):
            token = running.token("x", roles=roles) if roles is not None else None
            async with await CentrifugeClient.connect(gateway, token) as client:
                try:
                    await client.call(method, channel="roles", **fields)
                    return True
                except CommandError as error:
                    assert error.code == 103
                    return False

        for roles, subscribes, publishes in (
                (None, False, False), ([], False, False), (["guest"], False, False),
                (["member"], True, False), (["guest", "admin"], True, True)):
            assert await may("subscribe", roles) is subscribes, roles
            assert await may("publish", roles, data=1) is publishes, roles
