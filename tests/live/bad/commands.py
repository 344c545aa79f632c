"""Commands of the Centrifuge protocol, and what rooms and rates have to do with them."""

import itertools
import json
import time

import pika
from kit import eventually
from kit.raw import CLOSE, TEXT, Peer, frame

from bad import words
from bad.place import ORIGIN, ROOMS_MAX

_PATH = "/connection/websocket"
_CONNECT = '{"id":1,"connect":{}}'
_requests = itertools.count(1)


def command(method, number=7, **members):
    return json.dumps({"id": number, method: members})


def subscribe(channel, **more):
    return command("subscribe", channel=channel, **more)


def publish(data, channel="in", **more):
    return command("publish", channel=channel, data=data, **more)


def deep(levels):
    """A publish whose payload has so many levels."""
    return publish(0).replace(": 0", ": " + "[" * levels + "]" * levels)


class Client:
    """A session that has connected and is in the room `in`, unless told otherwise."""

    def __init__(self, peer):
        self._peer = peer
        self._pushed = []

    @classmethod
    def on(cls, place, user=None):
        """A context manager of the client and its session."""
        return _Opened(place, user)

    def send(self, *texts):
        for text in texts:
            self._peer.send(frame(text.encode()))

    def messages(self):
        """The messages of the next frame; its end in words when that is it."""
        one = self._peer.next()
        if one is None or one[0] == CLOSE:
            if one is not None:
                self._peer.send(frame(one[1], CLOSE))
            return words.frame(one)
        assert one[0] == TEXT, one
        messages = [json.loads(line) for line in one[1].split(b"\n")]
        if {} in messages:
            self.send("{}")
        self._pushed += [message["push"] for message in messages if "push" in message]
        return messages

    def reply(self, number):
        """The reply of that number; or the end of the session, in words."""
        while not isinstance(messages := self.messages(), str):
            for message in messages:
                if message.get("id") == number:
                    return message
        return messages

    def do(self, text):
        """Sends a command with its number; its reply."""
        self.send(text)
        return self.reply(json.loads(text)["id"])

    def told(self, text, number=7):
        """What that is answered with, in words; and if it is no end, the session goes on."""
        self.send(text)
        return self.what_came(number)

    def what_came(self, number=7):
        reply = self.reply(number)
        if isinstance(reply, str):
            return reply
        assert self.do(command("unsubscribe", 99, channel="never")) == {
            "id": 99, "unsubscribe": {}}
        return words.reply(reply)

    def pub(self, channel, fits=lambda pub: True):
        """The next publication of a room that fits."""
        while True:
            while self._pushed:
                push = self._pushed.pop(0)
                if push.get("channel") == channel and "pub" in push and fits(push["pub"]):
                    return push["pub"]
            assert not isinstance(self.messages(), str), "it has ended"

    def say(self, number, channel, data):
        """Publishes, and hears it come back."""
        assert self.do(command("publish", number, channel=channel, data=data)) == {
            "id": number, "publish": {}}
        return self.pub(channel, lambda pub: pub["data"] == data)


class _Opened:
    def __init__(self, place, user):
        headers = {"Authorization": f"Bearer {place.token(user)}"} if user else {}
        self._peer = Peer.open(place.gateway, _PATH, Origin=ORIGIN, **headers)

    def __enter__(self):
        client = Client(self._peer.__enter__())
        try:
            client.send(_CONNECT)
            for reply in (client.reply(1), client.do(command("subscribe", 2, channel="in"))):
                assert not isinstance(reply, str) and "error" not in reply, reply
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return client

    def __exit__(self, *why):
        return self._peer.__exit__(*why)


def answered(*cases, **named):
    """What each of these texts is answered with, in a session of its own."""
    named.update({case[:40]: case for case in cases})

    def do(place):
        found = {}
        for name, case in named.items():
            with Client.on(place) as client:
                found[name] = client.told(case)
        return found
    return do


def unconnected(*cases):
    """What each of these texts is answered with, before the connect command."""
    def do(place):
        found = {}
        for case in cases:
            with Peer.open(place.gateway, _PATH) as peer:
                if case:
                    peer.send(frame(case.encode()))
                found[case] = words.frames(peer.until_closed())
        return found
    return do


def used_number(place):
    """The number of the command before."""
    with Client.on(place) as client:
        client.do(command("unsubscribe", channel="never"))
        return client.told(command("unsubscribe", channel="never"))


def same_key(place):
    """A publish that comes again under its key: both answers, and what the room was told."""
    with Client.on(place, "ann") as client:
        answers = [client.told(publish("first", idempotency_key="70"))]
        answers += [client.told(command("publish", 8, channel="in", data="first",
                                        idempotency_key="70"), 8)]
        client.say(9, "in", "last")
        with Client.on(place) as late:
            found = late.do(command("history", channel="in", limit=2, reverse=True))
        heard = [pub["data"] for pub in found["history"]["publications"]]
        return ", ".join([*answers, *reversed(heard)])


def other_content(place):
    """The key of another publish."""
    with Client.on(place, "ann") as client:
        assert client.do(publish("first", idempotency_key="85")) == {"id": 7, "publish": {}}
        return client.told(command("publish", 8, channel="in", data="second",
                                   idempotency_key="85"), 8)


def too_many_rooms(place):
    """One more room than a session may have."""
    with Client.on(place) as client:
        for number in range(1, ROOMS_MAX):
            assert "subscribe" in client.do(command("subscribe", 10 + number,
                                                    channel=f"many{number}"))
        return client.told(subscribe("one-more"))


def forged(place):
    """A publish that says what only the server says."""
    with Client.on(place, "ann") as client:
        client.do(command("subscribe", 3, channel="forged"))
        client.send(publish("x", "forged", offset=99, epoch="zz", user="root", seq=9, ts=1,
                            info={"user": "root"}, **{"from": "root"}))
        pub = client.pub("forged")
        assert abs(pub.get("time", time.time() * 1000) / 1000 - time.time()) < 86400
        return f"{pub['info']['user']} {pub['offset']} {pub['data']}"


def position(room, **change):
    """A room is left at offset 3 and entered again from another position."""
    def do(place):
        with Client.on(place) as client:
            epoch = client.do(command("subscribe", 3, channel=room))["subscribe"]["epoch"]
            for number in range(3):
                client.say(10 + number, room, number)
            client.do(command("unsubscribe", 4, channel=room))
            given = {"offset": 1, "epoch": epoch, **change}
            return client.told(subscribe(room, recover=True, **given))
    return do


def limits(*given):
    """The history of a room with two records, up to each of these limits."""
    def do(place):
        with Client.on(place) as client:
            client.do(command("subscribe", 3, channel="two"))
            for number in range(2):
                client.say(10 + number, "two", number)
            return {str(limit): client.told(command("history", channel="two", limit=limit))
                    for limit in given}
    return do


def all_of(**parts):
    """Several things of one row, each with its own answer."""
    def do(place):
        return {name: part(place) for name, part in parts.items()}
    do.parts = parts.values()
    return do


def flood(place):
    """Far more publishes than there may be: the errors, and the end."""
    with Client.on(place) as client:
        client.send("\n".join(command("publish", number, channel="fast", data=number)
                              for number in range(10, 610)))
        found = []
        while not isinstance(messages := client.messages(), str):
            found += [words.reply(message) for message in messages if "error" in message]
        return ", ".join([*dict.fromkeys(found), messages])


def _order(place, **order):
    """An operator orders something of all gateways."""
    with place.warren.broker.channel() as channel:
        channel.confirm_delivery()
        channel.basic_publish(
            f"{place.warren.prefix}.control", "", json.dumps(order) + "\n",
            pika.BasicProperties(
                type="control", content_type="application/x-ndjson", delivery_mode=2,
                headers={"gateway": "operator", "boot": "00000000000000aa",
                         "request": next(_requests), "time": int(time.time() * 1000)}))


def put_out(do):
    """Somebody is in, and then that order is about him: his end, and what he is told who comes
    again."""
    def act(place):
        with Client.on(place, "mallory") as client:
            _order(place, do=do, user="mallory")
            while not isinstance(end := client.messages(), str):
                pass
        with Peer.open(place.gateway, _PATH, Origin=ORIGIN,
                       Authorization=f"Bearer {place.token('mallory')}") as peer:
            peer.send(frame(_CONNECT.encode()))
            again = peer.next()
        return end, "is let in" if again[0] == TEXT else words.frame(again)
    return act


def let_in(place):
    """A ban is lifted."""
    _order(place, do="unban", user="mallory")

    def is_in():
        with Client.on(place, "mallory"):
            return "is let in"
    return eventually(is_in, what="he is in")


def never_reads(place):
    """Somebody is in a busy room and reads nothing."""
    slow = "warren_gateway_sessions_closed_total"
    before = place.gateway.metric(slow, reason="slow")
    with Client.on(place, "bob") as reader, Client.on(place, "ann") as speaker:
        assert "subscribe" in reader.do(subscribe("flood"))
        number = 100
        while place.gateway.metric(slow, reason="slow") == before:
            assert number < 4000  # the kernel holds some megabytes for it, too
            for number in range(number + 1, number + 21):
                assert "publish" in speaker.do(command("publish", number, channel="flood",
                                                       data="x" * 60000))
        # What was on its way comes, and the Close if there was room for it.
        try:
            while not isinstance(end := reader.messages(), str):
                pass
        except ValueError:
            end = "end"
        return end if end != "end" else "close 3008 slow"
