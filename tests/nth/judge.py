"""What stands in a partition's log, by the rules that every reader of it follows."""

import json

_PATIENCE_S = 60.0


class Log:
    """The valid records of a log, as (room, epoch, offset, data)."""

    def __init__(self):
        self.records = []
        self.voided = 0
        self._term = self._number = 0
        self._lanes = {}
        self._places = {}

    def take(self, kind, headers, lines):
        """The next message."""
        term = headers.get("term", 0)
        if kind == "term" and term > self._term:
            self._term, self._number = term, 0
        elif kind in ("append", "checkpoint"):
            number = headers.get("number")
            if term != self._term or (number is not None and number <= self._number):
                self.voided += 1
                return
            self._number = number if number is not None else self._number
            if kind == "append":
                self._append(headers["lanes"], lines)

    def _append(self, lanes, lines):
        is_new = False
        for lane in lanes.split():
            boot, batch = lane.split(":")
            if int(batch) > self._lanes.get(boot, 0):
                self._lanes[boot] = int(batch)
                is_new = True
        if not is_new:
            self.voided += 1
            return
        for envelope, data in zip(lines[::2], lines[1::2]):
            envelope = json.loads(envelope)
            place = (envelope["room"], envelope["epoch"])
            if envelope["offset"] <= self._places.get(place, 0):
                self.voided += 1
                continue
            self._places[place] = envelope["offset"]
            self.records.append((*place, envelope["offset"], json.loads(data)))

    def keys(self, room):
        return [data.get("key") for name, _, _, data in self.records if name == room]


def read_log(broker, queue, last_marker):
    """The log up to the record whose data is `last_marker`."""
    log = Log()
    with broker.channel() as channel:
        channel.basic_qos(prefetch_count=200)
        for method, properties, body in channel.consume(
                queue, arguments={"x-stream-offset": "first"}, inactivity_timeout=_PATIENCE_S):
            if method is None:
                raise TimeoutError(f"{queue}: {last_marker} is not there")
            log.take(properties.type, properties.headers or {}, body.decode().splitlines())
            channel.basic_ack(method.delivery_tag)
            if log.records and log.records[-1][3] == last_marker:
                return log
    return log
