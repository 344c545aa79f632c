"""The judge of campaigns is trusted only if it finds each wrong that is planted in a clean log."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

_CAMPAIGN = Path(__file__).resolve().parents[1] / "campaign"
sys.path.append(str(_CAMPAIGN))

import check  # noqa: E402 (needs the path)

_COUNT = 12  # records in each room
_ROOMS = ("lobby", "attic")


def _at(events, what, **fields):
    """The place of the only event of that kind with these fields."""
    [found] = [number for number, event in enumerate(events) if event["what"] == what
               and all(event.get(key) == value for key, value in fields.items())]
    return found


def clean():
    """Two writers talk in two rooms; one reader stays, one comes back, one is told of a loss.

    Both writers send, both are answered, both records come: so neither order of the two is wrong.
    The records of fault 1 come to "back" by recovery, and "late" never gets numbers 5 and 6.
    """
    events, clock = [], iter(range(1, 100000))

    def say(what, **fields):
        events.append({"t": float(next(clock)), "what": what, **fields})

    for reader in ("stays", "back", "late"):
        for room in _ROOMS:
            say("subscribed", reader=reader, room=room, epoch="e", offset=0)
    for offset in range(1, _COUNT + 1, 2):
        for room in _ROOMS:
            _pair(say, room, offset)
        if offset == 5:
            say("healed", n=1)
    say("finish")
    for room in _ROOMS:
        for offset in range(1, _COUNT + 1):
            say("audit", room=room, epoch="e", offset=offset, **_record(room, offset))
        say("top", room=room, epoch="e", offset=_COUNT)
        for reader in ("stays", "back", "late"):
            say("end", reader=reader, room=room, epoch="e", offset=_COUNT)
    return events


def _record(room, offset):
    name = f"w{offset % 2}-{room}-{offset}"
    return {"id": name, "hash": f"hash of {name}"}


def _pair(say, room, offset):
    two = (offset, offset + 1)
    if (room, offset) == ("lobby", 5):
        say("fault", n=1)
    for at in two:
        say("invoke", room=room, session=f"w{at % 2}/1", **_record(room, at))
    for at in two:
        say("info" if at == 8 else "ok", id=_record(room, at)["id"])
    for reader in ("stays", "back", "late"):
        if reader == "back" and offset == 5:
            say("gap", reader=reader, room=room, code=2500)
            say("resumed", reader=reader, room=room, epoch="e", offset=4)
        if reader == "late" and offset == 5:
            say("reset", reader=reader, room=room, epoch="e", offset=6, told=True)
            continue
        for at in two:
            say("recv", reader=reader, room=room, epoch="e", offset=at, **_record(room, at))


def _wrongs(events, **options):
    """The checks that found something."""
    verdict = check.check(sorted(copy.deepcopy(events), key=lambda event: event["t"]), **options)
    return {name for name, found in verdict.findings.items() if found}


def _without(events, **fields):
    return [event for event in events
            if any(event.get(key) != value for key, value in fields.items())]


def _swap(one, two, *keys):
    for key in keys:
        one[key], two[key] = two[key], one[key]


def test_a_clean_log_passes():
    assert not _wrongs(clean())


def test_lost_is_an_acknowledged_record_that_nobody_has():
    name = _record("lobby", 12)["id"]
    events = [event for event in clean()
              if event.get("id") != name or event["what"] in ("invoke", "ok")]
    assert "lost" in _wrongs(events)


def test_what_may_be_at_a_number_that_nobody_could_read_is_not_judged():
    name = _record("attic", 5)["id"]
    events = [event for event in clean()
              if event.get("id") != name or event["what"] in ("invoke", "ok")]
    for event in events:
        if [event.get(key) for key in ("what", "room", "offset")] == ["recv", "attic", 6]:
            event.update(what="reset", told=True)
    assert not _wrongs(events)
    lost = _record("attic", 12)["id"]
    events = [event for event in events
              if event.get("id") != lost or event["what"] in ("invoke", "ok")]
    assert "lost" in _wrongs(events)


def test_lost_is_an_acknowledged_record_that_a_reader_was_there_for():
    wrongs = _wrongs(_without(clean(), what="recv", reader="stays", room="lobby", offset=9))
    assert wrongs == {"lost", "unexplained gap"}


def test_lost_is_the_last_record_that_a_reader_never_gets():
    wrongs = _wrongs(_without(clean(), what="recv", reader="stays", room="lobby", offset=12))
    assert wrongs == {"lost", "stuck"}


def test_lost_is_what_a_reset_goes_back_behind():
    events = clean()
    events[_at(events, "reset", reader="late", room="lobby")]["offset"] = 3
    assert "lost" in _wrongs(events)


def test_what_a_told_reset_passes_over_is_not_lost():
    events = clean()
    events[_at(events, "reset", reader="late", room="lobby")]["epoch"] = "e"
    assert not _wrongs(events)


def test_duplicate_is_a_record_twice_at_a_reader():
    events = clean()
    again = _at(events, "recv", reader="stays", room="lobby", offset=7)
    events.insert(again, dict(events[again]))
    assert _wrongs(events) == {"duplicate"}


def test_duplicate_is_a_record_again_after_it_was_resumed():
    events = clean()
    first = events[_at(events, "recv", reader="back", room="lobby", offset=4)]
    resumed = _at(events, "resumed", reader="back", room="lobby")
    events.insert(resumed + 1, {**first, "t": events[resumed]["t"] + 0.5})
    assert _wrongs(events) == {"duplicate"}


@pytest.mark.parametrize("place", [{"offset": 13}, {"epoch": "new"}])
def test_duplicate_is_a_record_at_two_places_of_the_log(place):
    events = clean()
    audit = events[_at(events, "audit", room="attic", offset=7)]
    events.append({**audit, **place, "t": audit["t"] + 0.5})
    assert "duplicate" in _wrongs(events)


def test_reordered_is_a_number_below_the_last_one():
    events = clean()
    one = events[_at(events, "recv", reader="stays", room="lobby", offset=9)]
    two = events[_at(events, "recv", reader="stays", room="lobby", offset=10)]
    _swap(one, two, "offset", "id", "hash")
    assert "reordered" in _wrongs(events)


def test_reordered_are_two_records_that_two_readers_have_at_one_number():
    events = clean()
    one = events[_at(events, "recv", reader="stays", room="lobby", offset=9)]
    two = events[_at(events, "recv", reader="stays", room="lobby", offset=10)]
    _swap(one, two, "id", "hash")
    assert "reordered" in _wrongs(events)


def test_phantom_is_a_record_that_nobody_sent():
    events = clean()
    name = _record("lobby", 8)["id"]
    assert _wrongs([event for event in events if event.get("id") != name
                    or event["what"] not in ("invoke", "info")]) == {"phantom"}


@pytest.mark.parametrize("change", [{"hash": "of something else"}, {"room": "attic"}])
def test_phantom_is_a_record_that_is_not_what_was_sent(change):
    events = clean()
    events[_at(events, "invoke", room="lobby", id=_record("lobby", 8)["id"])].update(change)
    assert "phantom" in _wrongs(events)


def test_failed_but_delivered_is_a_record_that_was_refused():
    events = clean()
    events[_at(events, "ok", id=_record("lobby", 7)["id"])]["what"] = "fail"
    assert _wrongs(events) == {"failed but delivered"}


def test_a_record_without_an_answer_may_be_delivered_or_not():
    name = _record("lobby", 8)["id"]
    assert any(event["what"] == "recv" and event["id"] == name for event in clean())
    events = clean()
    events += [
        {"t": 1000.0, "what": "invoke", "id": "x", "room": "lobby", "session": "w0/9", "hash": ""},
        {"t": 1001.0, "what": "info", "id": "x"}]
    assert not _wrongs(events)


def test_session_order_is_the_order_of_sending():
    """Both were sent before either was answered: only their session says which was first."""
    events = clean()
    for event in events:
        if event["what"] == "invoke" and event["id"] == _record("lobby", 5)["id"]:
            event["session"] = "one"
        if event["what"] == "invoke" and event["id"] == _record("lobby", 6)["id"]:
            event["session"] = "one"
    assert not _wrongs(events)
    one = events[_at(events, "invoke", id=_record("lobby", 5)["id"])]
    two = events[_at(events, "invoke", id=_record("lobby", 6)["id"])]
    _swap(one, two, "t")
    assert _wrongs(events) == {"session order"}


def test_real_time_is_broken_by_an_answer_before_the_other_was_sent():
    events = clean()
    answered = events[_at(events, "ok", id=_record("lobby", 10)["id"])]
    sent = events[_at(events, "invoke", id=_record("lobby", 9)["id"])]
    two = events[_at(events, "invoke", id=_record("lobby", 10)["id"])]
    two["t"], answered["t"] = sent["t"] - 0.4, sent["t"] - 0.2
    assert _wrongs(events) == {"real time"}


def test_unexplained_gap_is_a_number_that_nobody_has():
    events = [event for event in clean() if event.get("id") != _record("lobby", 8)["id"]]
    assert "unexplained gap" in _wrongs(events)


def test_unexplained_gap_is_a_reset_that_was_not_told():
    events = clean()
    events[_at(events, "reset", reader="late", room="lobby")]["told"] = False
    assert _wrongs(events) == {"unexplained gap"}


@pytest.mark.parametrize("place", [{"offset": 3}, {"epoch": "other"}])
def test_unexplained_gap_is_to_go_on_where_the_reader_was_not(place):
    events = clean()
    events[_at(events, "resumed", reader="back", room="lobby")].update(place)
    assert _wrongs(events) == {"unexplained gap"}


def test_unexplained_gap_is_to_begin_anew_without_being_told():
    events = clean()
    events[_at(events, "reset", reader="late", room="lobby")]["what"] = "subscribed"
    assert _wrongs(events) == {"unexplained gap"}


def test_stuck_is_a_room_without_success_after_the_fault_was_healed():
    events = clean()
    healed = events[_at(events, "healed", n=1)]["t"]
    assert not _wrongs(events, stuck_s=100.0)
    for event in events:
        if event["t"] > healed:
            event["t"] += 100.0
    assert _wrongs(events, stuck_s=100.0) == {"stuck"}


def test_time_in_a_fault_is_not_stuck():
    events = clean()
    healed = events[_at(events, "healed", n=1)]["t"]
    for event in events:
        if event["t"] >= healed:
            event["t"] += 1000.0
    assert not _wrongs(events, stuck_s=100.0)


@pytest.mark.parametrize("fields", [
    {"what": "ok", "id": _record("lobby", 7)["id"]},
    {"what": "top", "room": "attic"},
    {"what": "end", "reader": "back", "room": "lobby"}])
def test_stuck_is_whoever_never_comes_to_an_end(fields):
    assert _wrongs(_without(clean(), **fields)) == {"stuck"}


def _judge(folder, events):
    with open(folder / "clients.jsonl", "w", encoding="utf-8") as log:
        log.writelines(json.dumps(event) + "\n" for event in events)
    done = subprocess.run([sys.executable, str(_CAMPAIGN / "check.py"), str(folder)],
                          stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout.splitlines()[-1]


def test_the_program_says_what_it_found_and_with_its_exit_code_too(tmp_path):
    assert _judge(tmp_path, clean()) == (0, "9 passed, 0 failed")
    wrong = _without(clean(), what="recv", reader="stays", room="lobby", offset=9)
    assert _judge(tmp_path, wrong) == (1, "7 passed, 2 failed")
    assert _judge(tmp_path, []) == (1, "0 passed, 9 failed")
