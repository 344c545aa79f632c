"""Requests, and those who make none: what is asked at the door of a gateway."""

import signal
import ssl
from contextlib import ExitStack

from kit import PATIENCE, eventually
from kit.raw import HEAD, Peer, ask, closing, frame, knock, request, rest

from bad import words
from bad.place import ADDRESS_RATE, CONNECTIONS, LATE, ORIGIN, PER_ADDRESS, TLS


def head(line="GET /ws HTTP/1.1", *more, **change):
    """A request that would be good but for what is changed (_ is - in a name), and more lines.
    TOKEN stands for a good one."""
    headers = {**HEAD, "Origin": ORIGIN, "Authorization": "Bearer TOKEN",
               **{name.replace("_", "-"): value for name, value in change.items()}}
    return request(line, [*headers.items(), *more])


def _made(place, given):
    return given.replace(b"TOKEN", place.token().encode())


def asked(*cases, **named):
    """Each of these requests is refused; the answers, in words."""
    named.update({str(number): case for number, case in enumerate(cases)})

    def do(place):
        return {name: words.refusal(ask(place.gateway, _made(place, case)))
                for name, case in named.items()}
    return do


def upgraded(*cases):
    """Each of these requests is accepted: the status, the sub-protocol, and what comes then."""
    def do(place):
        found = {}
        for number, case in enumerate(cases):
            with knock(place.gateway) as connection:
                connection.sendall(_made(place, case) + closing(1000))
                answer, frames = rest(connection).split(b"\r\n\r\n", 1)
            lines = answer.decode().lower().split("\r\n")
            protocols = [line for line in lines if line.startswith("sec-websocket-protocol")]
            said = [part for part in (b"early",) if part in frames]
            found[str(number)] = " ".join(
                [lines[0].split(" ")[1], *protocols, *(part.decode() for part in said)])
        return found
    return do


early = head("GET /echo HTTP/1.1") + frame(b"early")


def byte_by_byte(place):
    """A head that comes slowly."""
    with knock(place.gateway) as connection:
        connection.settimeout(0.2)
        found, given = b"", iter(_made(place, head()))
        while not found:
            try:
                connection.sendall(bytes([next(given)]))
                found = connection.recv(4096)
            except TimeoutError:
                continue
        return words.refusal(found)


def silence(place):
    """Nothing, where HTTP is spoken; nothing, and half a hello, where TLS is."""
    hello = ssl.MemoryBIO()
    half = place.tls().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="chat.test")
    try:
        half.do_handshake()
    except ssl.SSLWantReadError:
        pass
    with knock(place.gateway) as plain, knock(place.gateways[TLS]) as none, \
            knock(place.gateways[TLS]) as some:
        some.sendall(hello.read()[:100])
        return {"plain": _end(plain), "TLS": _end(none), "half a hello": _end(some)}


def _end(connection):
    return f"{len(rest(connection))} bytes, end"


def wrong_port(place):
    """HTTP where TLS is spoken; TLS where HTTP is."""
    with knock(place.gateway) as connection:
        connection.sendall(_made(place, head()))
        answer = rest(connection)
    tls = f"{len(answer)} bytes, end"
    hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03\r\n\r\n"
    return {"HTTP to TLS": tls, "TLS to HTTP": words.refusal(ask(place.gateways["door"], hello))}


def pipelined(place):
    """A good request right behind one that is refused."""
    return words.refusal(ask(place.gateway, _made(
        place, head("GET /nowhere HTTP/1.1") + head())))


def _opened(place, held, source):
    """One more WebSocket from an address: None, or its refusal."""
    with knock(place.gateway, source) as connection:
        connection.sendall(_made(place, head("GET /echo HTTP/1.1")))
        try:
            found = connection.recv(4096)
        except ConnectionResetError:
            return "reset"
        if found.startswith(b"HTTP/1.1 101 "):
            held.append(connection.dup())
            return None
        return words.refusal(found + rest(connection))


def _crowd(place, addresses):
    """As many WebSockets as there can be of each address: how many, and the last refusal."""
    held, answer = [], None
    try:
        for source in addresses:
            while (answer := _opened(place, held, source)) is None:
                pass
            if not answer.startswith("429"):
                break
        return len(held), answer
    finally:
        for connection in held:
            connection.close()


def crowd_of_one(place):
    """One more of an address than there may be."""
    count, answer = _crowd(place, ["127.0.0.20"])
    return f"{count - PER_ADDRESS} more, {answer}"


def rate_of_one(place):
    """One address comes again and again: what is different in the end, for it alone."""
    def come(source):
        return words.refusal(ask(place.gateways[LATE], head("GET /nowhere HTTP/1.1"), source))

    for _ in range(20 * ADDRESS_RATE):  # a slow machine needs more than one window of time
        if (answer := come("127.0.0.50")) != "404":
            break
    assert come("127.0.0.51") == "404"
    return answer


def draining(place):
    """A request that is whole when its gateway has begun to end."""
    gateway = place.warren.add_gateway(gateway__drain="60s", gateway__handshake="60s")
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(Peer.open(gateway, "/echo"))
        late = stack.enter_context(knock(gateway))
        gateway.wait_metric("warren_gateway_handshakes", 1)
        gateway.send_signal(signal.SIGTERM)
        eventually(lambda: "gateway draining" in gateway.log_text(), what="it drains")
        late.sendall(head("GET /echo HTTP/1.1", Authorization=None))
        answer = words.refusal(rest(late))
    assert gateway.process.wait(PATIENCE) == 0  # when the last session has gone
    gateway.process = None
    gateway.check_log()
    return answer


def crowd_of_all(place):
    """One more in all than there may be."""
    count, answer = _crowd(place, [f"127.0.0.{last}" for last in range(20, 30)])
    assert PER_ADDRESS < count < CONNECTIONS
    return answer
