"""Calls that fail once: the first of each kind, and some in the midst of the conversation.

All of them, and what is judged: tests/nth/run --help.
"""

import os
import re
import signal
import sys
from pathlib import Path

import process
import pytest
from kit import Closed
from kit.services import build_folder

_NTH = Path(__file__).resolve().parents[1] / "nth"
sys.path.append(str(_NTH))

from judge import Log  # noqa: E402 (needs the path)
from people import Finding, Ledger, check_line, check_may_return  # noqa: E402

_PATIENCE = 1200.0  # ends only what hangs
_FAULTS = """
gateway:malloc:300:ENOMEM gateway:calloc:40:ENOMEM gateway:realloc:100:ENOMEM
gateway:socket:2:EMFILE gateway:accept4:3:EMFILE gateway:recv:5:ECONNRESET
gateway:recv:60:EINTR gateway:send:10:EPIPE gateway:send:30:EAGAIN gateway:sendmsg:2:EPIPE
gateway:sendmsg:12:EAGAIN gateway:epoll_ctl:1:ENOMEM gateway:epoll_ctl:2:ENOMEM
gateway:epoll_ctl:8:ENOSPC
gateway:eventfd:2:EMFILE gateway:pthread_create:2:EAGAIN gateway:close:3:EIO
gateway:write:20:EAGAIN
broadcaster:malloc:60:ENOMEM broadcaster:calloc:60:ENOMEM broadcaster:realloc:60:ENOMEM
broadcaster:recv:40:ECONNRESET broadcaster:send:60:EPIPE broadcaster:poll:20:EINTR
broadcaster:connect:1:ECONNREFUSED broadcaster:epoll_ctl:3:ENOMEM
"""


def test_a_call_that_fails_once_loses_doubles_and_leaks_nothing(tmp_path):
    log = tmp_path / "nth.log"
    env = {**os.environ, "TMPDIR": str(tmp_path), "WARREN_BUILD": str(build_folder())}
    running = process.spawn([sys.executable, str(_NTH / "nth.py"), *_FAULTS.split()], log, env)
    try:
        code = running.wait(_PATIENCE)
    finally:
        process.end(running, number=signal.SIGKILL)
    said = log.read_text(encoding="utf-8", errors="replace")
    assert code == 0 and re.search(r"^\d+ passed, 0 failed$", said, re.MULTILINE), said


def _ledger():
    ledger = Ledger()
    for key in ("good", "bad", "open"):
        ledger.sent(key)
    ledger.succeeded("good")
    ledger.failed("bad")
    return ledger


@pytest.mark.parametrize("keys", [["good"], ["good", "open"], ["open", "good"]])
def test_the_ledger_agrees_with_what_may_be(keys):
    _ledger().judge("here", keys)


@pytest.mark.parametrize("keys", [
    [], ["open"], ["good", "good"], ["good", "bad"], ["good", "open", "open"], ["good", "strange"],
])
def test_the_ledger_finds_what_is_lost_doubled_or_should_not_be(keys):
    with pytest.raises(Finding):
        _ledger().judge("here", keys)


@pytest.mark.parametrize("offsets", [[4], [2, 3], [3, 5], [3, 3], [4, 3], [3, 4, 6]])
def test_a_hole_a_double_and_a_swap_are_found(offsets):
    check_line("ann", 2, [{"offset": 3}, {"offset": 4}])
    with pytest.raises(Finding):
        check_line("ann", 2, [{"offset": offset} for offset in offsets])


def test_to_be_turned_away_for_good_is_found_and_to_be_sent_off_for_now_is_not():
    for code in (1006, 1012, 3001, 3010):
        check_may_return(Closed(code, ""))
    for code in (1002, 1007, 1008, 3500, 3501):
        with pytest.raises(Finding):
            check_may_return(Closed(code, ""))


def test_the_reader_of_the_log_passes_over_what_is_void():
    def lines(offset, key):
        return [f'{{"room":"r","epoch":"e","offset":{offset}}}', f'{{"key":"{key}"}}']
    log = Log()
    log.take("term", {"term": 1}, [])
    log.take("append", {"term": 1, "number": 1, "lanes": "a:1"}, lines(1, "one"))
    log.take("append", {"term": 1, "number": 1, "lanes": "a:1"}, lines(1, "one"))  # sent twice
    log.take("term", {"term": 2}, [])
    log.take("append", {"term": 1, "number": 2, "lanes": "a:2"}, lines(2, "late"))  # fenced
    log.take("append", {"term": 2, "number": 1, "lanes": "a:1"}, lines(2, "one"))  # old lane
    log.take("append", {"term": 2, "number": 2, "lanes": "a:2"}, lines(2, "two"))
    assert log.keys("r") == ["one", "two"] and log.voided == 3
