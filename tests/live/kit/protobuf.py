"""The same protocol in Protobuf, by a table of its fields: what is said is what JSON says."""

import json

from kit.centrifuge import CentrifugeClient

# A field: its number and its type: a number (u), a flag (b), a text (s), JSON (J), a message by its
# name, a list (of what stands behind "[") or a map of texts (behind "{").
_REFRESHED = {"expires": (3, "b"), "ttl": (4, "u")}
_TYPES = {
    "Command": {
        "id": (1, "u"), "connect": (4, "Connect"), "subscribe": (5, "Subscribe"),
        "unsubscribe": (6, "Room"), "publish": (7, "Publish"), "presence": (8, "Room"),
        "presence_stats": (9, "Room"), "history": (10, "History"), "ping": (11, "Empty"),
        "send": (12, "Data"), "rpc": (13, "Rpc"), "refresh": (14, "Refresh"),
        "sub_refresh": (15, "SubRefresh")},
    "Connect": {
        "token": (1, "s"), "data": (2, "J"), "subs": (3, "{Subscribe"), "name": (4, "s"),
        "version": (5, "s"), "headers": (6, "{s"), "flag": (7, "u")},
    "Subscribe": {
        "channel": (1, "s"), "token": (2, "s"), "recover": (3, "b"), "epoch": (6, "s"),
        "offset": (7, "u"), "data": (8, "J"), "positioned": (9, "b"), "recoverable": (10, "b"),
        "join_leave": (11, "b"), "delta": (12, "s"), "tf": (13, "Filter"), "flag": (14, "u"),
        "type": (15, "u"), "phase": (16, "u"), "cursor": (17, "s"), "limit": (18, "u"),
        "asc": (19, "b")},
    "Filter": {
        "op": (1, "s"), "key": (2, "s"), "cmp": (3, "s"), "val": (4, "s"), "vals": (5, "[s"),
        "nodes": (6, "[Filter")},
    "Room": {"channel": (1, "s")},
    "Publish": {
        "channel": (1, "s"), "data": (2, "J"), "type": (3, "u"), "key": (4, "s"),
        "removed": (5, "b")},
    "History": {
        "channel": (1, "s"), "limit": (7, "u"), "since": (8, "Since"), "reverse": (9, "b")},
    "Since": {"offset": (1, "u"), "epoch": (2, "s")},
    "Rpc": {"data": (1, "J"), "method": (2, "s")},
    "Data": {"data": (1, "J")},
    "Refresh": {"token": (1, "s")},
    "SubRefresh": {"channel": (1, "s"), "token": (2, "s")},
    "Empty": {},
    "Reply": {
        "id": (1, "u"), "error": (2, "Error"), "push": (4, "Push"), "connect": (5, "Connected"),
        "subscribe": (6, "Subscribed"), "unsubscribe": (7, "Empty"), "publish": (8, "Empty"),
        "presence": (9, "Presence"), "presence_stats": (10, "Stats"), "history": (11, "Past"),
        "rpc": (13, "Data"), "refresh": (14, "Refreshed"), "sub_refresh": (15, "SubRefreshed")},
    "Error": {"code": (1, "u"), "message": (2, "s"), "temporary": (3, "b")},
    "Push": {
        "channel": (2, "s"), "pub": (4, "Publication"), "join": (5, "Move"), "leave": (6, "Move"),
        "unsubscribe": (7, "Unsubscribed"), "message": (8, "Data"), "subscribe": (9, "Put"),
        "disconnect": (11, "Disconnected"), "refresh": (12, "SubRefreshed")},
    "Publication": {
        "data": (4, "J"), "info": (5, "Info"), "offset": (6, "u"), "tags": (7, "{s"),
        "delta": (8, "b"), "time": (9, "u"), "channel": (10, "s")},
    "Info": {"user": (1, "s"), "client": (2, "s"), "conn_info": (3, "J"), "chan_info": (4, "J")},
    "Move": {"info": (1, "Info")},
    "Unsubscribed": {"code": (2, "u"), "reason": (3, "s")},
    "Put": {
        "recoverable": (1, "b"), "epoch": (4, "s"), "offset": (5, "u"), "positioned": (6, "b"),
        "data": (7, "J")},
    "Disconnected": {"code": (1, "u"), "reason": (2, "s"), "reconnect": (3, "b")},
    "Connected": {
        "client": (1, "s"), "version": (2, "s"), **_REFRESHED, "data": (5, "J"),
        "subs": (6, "{Subscribed"), "ping": (7, "u"), "pong": (8, "b"), "session": (9, "s"),
        "node": (10, "s"), "time": (11, "u")},
    "Subscribed": {
        "expires": (1, "b"), "ttl": (2, "u"), "recoverable": (3, "b"), "epoch": (6, "s"),
        "publications": (7, "[Publication"), "recovered": (8, "b"), "offset": (9, "u"),
        "positioned": (10, "b"), "data": (11, "J"), "was_recovering": (12, "b"),
        "delta": (13, "b"), "id": (14, "u")},
    "Presence": {"presence": (1, "{Info")},
    "Stats": {"num_clients": (1, "u"), "num_users": (2, "u")},
    "Past": {"publications": (1, "[Publication"), "epoch": (2, "s"), "offset": (3, "u")},
    "Refreshed": {"client": (1, "s"), "version": (2, "s"), **_REFRESHED},
    "SubRefreshed": {"expires": (1, "b"), "ttl": (2, "u")},
}
# What JSON always says and Protobuf leaves out when it is nothing.
_ALWAYS = {
    "Info": {"user": "", "client": ""}, "Presence": {"presence": {}},
    "Stats": {"num_clients": 0, "num_users": 0},
    "Past": {"publications": [], "epoch": "", "offset": 0},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def _varint(number):
    number &= (1 << 64) - 1
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def _field(number, kind, value):
    if kind in "ub":
        return _varint(number << 3 | _VARINT) + _varint(int(value)) if value else b""
    if kind == "s":
        body = value.encode()
    elif kind == "J":
        body = value if isinstance(value, bytes) else \
            json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    else:
        body = pack(kind, value)
    if kind == "s" and not body:
        return b""
    return _varint(number << 3 | _BYTES) + _varint(len(body)) + body


def pack(name, said):
    """The bytes of a message; members that it does not know are left out."""
    out = b""
    for key, (number, kind) in _TYPES[name].items():
        if key not in said:
            continue
        if kind[0] == "[":
            out += b"".join(_field(number, kind[1:], one) for one in said[key])
        elif kind[0] == "{":
            for name_of, one in said[key].items():
                entry = _field(1, "s", name_of) + _field(2, kind[1:], one)
                out += _varint(number << 3 | _BYTES) + _varint(len(entry)) + entry
        else:
            out += _field(number, kind, said[key])
    return out


def framed(name, said):
    """The message behind its length."""
    body = pack(name, said)
    return _varint(len(body)) + body


def _read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def _fields(data):
    """(number, value) of each field; a ValueError for what is no Protobuf."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        if tag & 7 == _VARINT:
            value, at = _read_varint(data, at)
        elif tag & 7 == _BYTES:
            size, at = _read_varint(data, at)
            value, at = data[at:at + size], at + size
            if at > len(data):
                raise ValueError("a field is cut off")
        else:
            raise ValueError(f"a field of wire type {tag & 7}")
        yield tag >> 3, value


def _value(kind, value):
    if kind == "u":
        return value if value < 1 << 63 else value - (1 << 64)
    if kind == "b":
        return bool(value)
    if kind == "s":
        return value.decode()
    return json.loads(value) if kind == "J" else unpack(kind, value)


def unpack(name, data):
    """What a message says, as JSON says it."""
    known = {number: (key, kind) for key, (number, kind) in _TYPES[name].items()}
    said = {key: type(value)() for key, value in _ALWAYS.get(name, {}).items()}
    for number, value in _fields(data):
        if number not in known:
            raise ValueError(f"{name} has a field {number}")
        key, kind = known[number]
        if kind[0] == "[":
            said.setdefault(key, []).append(_value(kind[1:], value))
        elif kind[0] == "{":
            entry = dict(_fields(value))
            said.setdefault(key, {})[entry.get(1, b"").decode()] = \
                _value(kind[1:], entry.get(2, b""))
        else:
            said[key] = _value(kind, value)
    return said


def replies(data):
    """All that one frame says."""
    at = 0
    while at < len(data):
        size, at = _read_varint(data, at)
        yield unpack("Reply", data[at:at + size])
        at += size


class ProtobufClient(CentrifugeClient):
    """A client of the Protobuf codec; all it does, hears and answers looks like that of JSON."""

    @classmethod
    async def open(cls, url, token=None, headers=None, origin=None, **more):
        return await super().open(url, token, headers, origin,
                                  subprotocols=["centrifuge-protobuf"], **more)

    def documents(self, frame):
        return list(replies(frame))

    async def send(self, *commands):
        await self.connection.send(b"".join(framed("Command", one) for one in commands))
