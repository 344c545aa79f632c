"""The judge of a campaign:  check.py FOLDER  reads its *.jsonl and counts what must not have been.

It knows nothing of warren but what clients sent, were answered and saw. Each line of a log is an
object with `t` (seconds of a clock that only rises, the same for all), `what`, and:

  invoke    id room session hash    a publish is about to be sent; `session` is one connection
  ok, fail  id                      it was answered with success, with an error
  info      id                      it was not answered and never will be
  subscribed  reader room epoch offset   a reader's line of records begins after that offset
  recv      reader room epoch offset id hash   a record came
  resumed   reader room epoch offset     the line goes on after that offset, nothing was missed
  reset     reader room epoch offset told    the line begins anew; `told`: the server said so
  gap       reader room             the server announced that the line is interrupted
  end       reader room epoch offset     the reader's last position, everybody had time to catch up
  audit     room epoch offset id hash    a record in the room's history at the end
  top       room epoch offset       the room's position at the end
  fault, healed  n                  the nemesis did something, and undid it
  finish                            the writers stop
"""

import argparse
import heapq
import json
import sys
from collections import Counter, defaultdict, namedtuple
from pathlib import Path

STUCK_S = 120.0
CHECKS = ("lost", "duplicate", "reordered", "phantom", "failed but delivered", "session order",
          "real time", "unexplained gap", "stuck")
_EXAMPLES = 5
# Events that are counted for people, and what they are called.
_FIGURES = {
    "fault": "faults", "invoke": "publishes sent", "ok": "acknowledged", "fail": "refused",
    "info": "without an answer", "recv": "records received", "subscribed": "readers' lines begun",
    "resumed": "resumed without a loss", "reset": "told that something was missed",
    "gap": "interruptions announced", "refused": "subscriptions refused for now",
    "audit": "records read from history",
}


Sent = namedtuple("Sent", "id room session hash t n")  # a publish, the n-th of its session


class Line:
    """What a reader has of a room since it began or was last told that something is missing."""

    def __init__(self, epoch, offset):
        self.epoch, self.last = epoch, offset
        self.missing = set()  # offsets that were jumped over
        self.late = set()  # those of them that came later


class Verdict:
    """The findings of each check, and figures that are no findings."""

    def __init__(self):
        self.findings = {name: [] for name in CHECKS}
        self.figures = Counter({name: 0 for name in _FIGURES.values()})

    def add(self, check, text):
        self.findings[check].append(text)

    @property
    def passed(self):
        return sum(not found for found in self.findings.values())

    def __str__(self):
        lines = [f"{count:>10,}  {name}" for name, count in self.figures.items()]
        lines += [""]
        for name, found in self.findings.items():
            lines.append(f"{len(found):>10,}  {name}")
            lines += [f"{'':12}  {text}" for text in found[:_EXAMPLES]]
        return "\n".join(lines)


class Checker:
    """Takes events in the order of their time, then judges."""

    def __init__(self, stuck_s=STUCK_S):
        self.stuck_s = stuck_s
        self.verdict = Verdict()
        self.invoked = {}  # id: Sent
        self._sent = Counter()  # by session
        self.answers = {}  # id: (what, time)
        self.places = {}  # (room, epoch, offset): id
        self.places_of = defaultdict(tuple)  # id: places
        self.tops = {}  # room: (epoch, offset)
        self.lines = {}  # (reader, room): Line, the present one
        self._closed = []  # (reset, Line): those that were given up
        self.ends = {}  # (reader, room): event
        self.oks = defaultdict(list)  # room: times
        self.quiet = []  # [from, to): no fault was in force
        self._open_faults = set()
        self._quiet_from = None
        self._finished = False
        self._begun = set()

    def take(self, event):
        what = event["what"]
        if what in _FIGURES:
            self.verdict.figures[_FIGURES[what]] += 1
        handler = getattr(self, f"_on_{what}", None)
        if handler:
            handler(event)

    def judge(self):
        self._close_quiet(float("inf"))
        self._judge_lost()
        self._judge_duplicates()
        self._judge_failed()
        self._judge_session_order()
        self._judge_real_time()
        self._judge_stuck()
        figures = self.verdict.figures
        figures["different records seen"] = len(self.places)
        figures["without an answer, yet seen"] = sum(
            what == "info" and name in self.places_of
            for name, (what, _) in self.answers.items())
        return self.verdict

    # What writers tell.

    def _on_invoke(self, event):
        if self._quiet_from is None and not self._open_faults and not self.quiet:
            self._quiet_from = event["t"]
        session = sys.intern(event["session"])
        self._sent[session] += 1
        self.invoked[event["id"]] = Sent(event["id"], sys.intern(event["room"]), session,
                                         event["hash"], event["t"], self._sent[session])

    def _on_ok(self, event):
        self._answer(event)
        if event["id"] in self.invoked:
            self.oks[self.invoked[event["id"]].room].append(event["t"])

    def _answer(self, event):
        self.answers[event["id"]] = (event["what"], event["t"])

    _on_fail = _on_info = _answer

    # What readers tell.

    def _on_subscribed(self, event):
        key = event["reader"], event["room"]
        if key in self.lines:
            self.verdict.add("unexplained gap", f"{_who(event)}: began anew and was not told why")
        self._begin(event)

    def _on_reset(self, event):
        if not event["told"]:
            self.verdict.add("unexplained gap", f"{_who(event)}: asked to go on, was not answered")
        line = self.lines.get((event["reader"], event["room"]))
        if line:
            self._closed.append((event, line))
            if line.epoch == event["epoch"] and event["offset"] < line.last:
                self.verdict.add("lost", f"{_who(event)}: the room is back at {event['offset']}, "
                                         f"was at {line.last}")
            if line.epoch != event["epoch"]:
                self.verdict.figures["lines that ended with a new epoch"] += 1
        self._begin(event)

    def _begin(self, event):
        self.lines[event["reader"], event["room"]] = Line(event["epoch"], event["offset"])

    def _on_resumed(self, event):
        line = self.lines.get((event["reader"], event["room"]))
        if not line or (line.epoch, line.last) != (event["epoch"], event["offset"]):
            had = line and (line.epoch, line.last)
            self.verdict.add("unexplained gap", f"{_who(event)}: goes on after "
                                                f"{(event['epoch'], event['offset'])}, had {had}")

    def _on_recv(self, event):
        self._record(event)
        line = self.lines.get((event["reader"], event["room"]))
        if line is None:
            self.verdict.add("phantom", f"{_who(event)}: a record before the subscription")
            return
        offset = event["offset"]
        if offset in line.missing and offset not in line.late:
            line.late.add(offset)
            self.verdict.add("reordered", f"{_who(event)}: {offset} after {line.last}")
        elif offset <= line.last:
            self.verdict.add("duplicate", f"{_who(event)}: {event['id']} again at {offset}")
        elif offset > line.last + 1:
            line.missing.update(range(line.last + 1, offset))
            self.verdict.add("unexplained gap", f"{_who(event)}: {offset} after {line.last}")
        line.last = max(line.last, offset)

    def _on_end(self, event):
        self.ends[event["reader"], event["room"]] = event

    # What the history tells.

    def _on_audit(self, event):
        self._record(event)

    def _on_top(self, event):
        self.tops[event["room"]] = (event["epoch"], event["offset"])

    def _record(self, event):
        name = event["id"]
        place = sys.intern(event["room"]), sys.intern(event["epoch"]), event["offset"]
        first = self.places.setdefault(place, name)
        if first != name:
            self.verdict.add("reordered", f"{place} is {first} and {name}")
        if place not in self.places_of[name]:
            self.places_of[name] += (place,)
        sent = self.invoked.get(name)
        if sent is None:
            self.verdict.add("phantom", f"{place}: nobody sent {name}")
        elif (sent.room, sent.hash) != (event["room"], event["hash"]):
            self.verdict.add("phantom", f"{place}: {name} is not what was sent")

    # What the nemesis tells.

    def _on_fault(self, event):
        self._close_quiet(event["t"])
        self._open_faults.add(event["n"])

    def _on_healed(self, event):
        self._open_faults.discard(event["n"])
        if not self._open_faults and not self._finished:
            self._quiet_from = event["t"]

    def _on_finish(self, event):
        self._close_quiet(event["t"])
        self._finished = True

    def _close_quiet(self, now):
        if self._quiet_from is not None:
            self.quiet.append((self._quiet_from, now))
            self._quiet_from = None

    # The judgement.

    def _is_ok(self, name):
        return self.answers.get(name, ("", 0))[0] == "ok"

    def _judge_holes(self, event, line):
        """Records that were answered with success and never came to a reader that was there."""
        for offset in sorted(line.missing - line.late):
            name = self.places.get((event["room"], line.epoch, offset))
            if self._is_ok(name):
                self.verdict.add("lost", f"{_who(event)}: never got {name} at {offset}")

    def _judge_lost(self):
        self._judge_unseen()
        for event, line in self._closed:
            self._judge_holes(event, line)
        for (reader, room), line in self.lines.items():
            event = {"reader": reader, "room": room}
            top = self.tops.get(room)
            if (reader, room) in self.ends and top and top[0] == line.epoch and line.last < top[1]:
                line.missing.update(range(line.last + 1, top[1] + 1))
            self._judge_holes(event, line)

    def _judge_unseen(self):
        """Records that were answered with success and that nobody has.

        Numbers that nobody could read, because all who were there were told of a loss and the
        history goes not so far back, may be theirs: so many of them are not judged.
        """
        unseen = defaultdict(list)
        for name, sent in self.invoked.items():
            if self._is_ok(name) and name not in self.places_of:
                unseen[sent.room].append(name)
        numbers = defaultdict(set)
        for room, epoch, offset in self.places:
            numbers[room, epoch].add(offset)
        for room, names in unseen.items():
            dark = sum(max(seen) - len(seen) for (where, _), seen in numbers.items()
                       if where == room)
            self.verdict.figures["acknowledged, where nobody could read"] += min(
                dark, len(names))
            for name in names[dark:]:
                self.verdict.add("lost", f"{name} was answered with success and nobody has it")

    def _judge_duplicates(self):
        for name, places in self.places_of.items():
            if len(places) > 1:
                self.verdict.add("duplicate", f"{name} is at {sorted(places)}")

    def _judge_failed(self):
        for name, (what, _) in self.answers.items():
            if what == "fail" and name in self.places_of:
                self.verdict.add("failed but delivered", f"{name} is at {self.places_of[name]}")

    def _by_room(self):
        """(room, epoch): offset and Sent of its records, in the order of their offsets."""
        rooms = defaultdict(list)
        for (room, epoch, offset), name in sorted(self.places.items()):
            if name in self.invoked:
                rooms[room, epoch].append((offset, self.invoked[name]))
        return rooms

    def _judge_session_order(self):
        for room, records in self._by_room().items():
            last = {}
            for offset, sent in records:
                before = last.get(sent.session)
                if before and before.n > sent.n:
                    self.verdict.add("session order",
                                     f"{room}: {sent.id} at {offset} after {before.id}")
                last[sent.session] = sent

    def _judge_real_time(self):
        for room, records in self._by_room().items():
            earliest, which = float("inf"), None
            for offset, sent in reversed(records):
                if earliest < sent.t:
                    self.verdict.add("real time", f"{room}: {which} was answered before {sent.id} "
                                                  f"at {offset} was sent and comes after it")
                if self._is_ok(sent.id) and self.answers[sent.id][1] < earliest:
                    earliest, which = self.answers[sent.id][1], sent.id

    def _judge_stuck(self):
        for room in sorted({sent.room for sent in self.invoked.values()}):
            for begin, end in self.quiet:
                marks = [begin] + [t for t in self.oks[room] if begin < t < end]
                marks += [end] if end != float("inf") else []
                for before, after in zip(marks, marks[1:]):
                    if after - before > self.stuck_s:
                        self.verdict.add("stuck", f"{room}: no success for {after - before:.0f} s")
            if room not in self.tops:
                self.verdict.add("stuck", f"{room}: its history could not be had at the end")
        for name in self.invoked:
            if name not in self.answers:
                self.verdict.add("stuck", f"{name}: the campaign ended without an answer")
        for (reader, room), line in self.lines.items():
            end, top = self.ends.get((reader, room)), self.tops.get(room)
            if end is None:
                self.verdict.add("stuck", f"{reader} in {room}: was not there at the end")
            elif top and (line.epoch != top[0] or line.last < top[1]):
                self.verdict.add("stuck", f"{reader} in {room}: ended at "
                                          f"{(line.epoch, line.last)}, the room at {top}")


def _who(event):
    return f"{event['reader']} in {event['room']}"


def check(events, stuck_s=STUCK_S):
    """The verdict on the events of a campaign, which come in the order of their time."""
    checker = Checker(stuck_s)
    for event in events:
        checker.take(event)
    return checker.judge()


def _read_one(path):
    """The events of a log, which are in order. A last line that was cut off is no event."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)


def read(folder):
    """All events in a folder's logs, by time, without holding them all."""
    return heapq.merge(*map(_read_one, sorted(Path(folder).glob("*.jsonl"))),
                       key=lambda event: event["t"])


def main():
    parser = argparse.ArgumentParser(description="Judges the logs of a campaign.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stuck", type=float, default=STUCK_S, metavar="SECONDS")
    options = parser.parse_args()
    verdict = check(read(options.folder), options.stuck)
    if not verdict.figures[_FIGURES["recv"]]:
        print(f"nothing was received in {options.folder}\n0 passed, {len(CHECKS)} failed")
        return 1
    print(verdict)
    print(f"{verdict.passed} passed, {len(CHECKS) - verdict.passed} failed")
    return 0 if verdict.passed == len(CHECKS) else 1


if __name__ == "__main__":
    sys.exit(main())
