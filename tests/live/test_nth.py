"""Calls that fail once: the first of each kind, and some in the midst of the conversation.

All of them, and what is judged: tests/nth/run --help.
"""

import os
import re
import signal
import sys
from pathlib import Path

import process
from kit.services import build_folder

_NTH = Path(__file__).resolve().parents[1] / "nth"
_PATIENCE = 1200.0  # ends only what hangs
_FAULTS = """
gateway:malloc:300:ENOMEM gateway:calloc:40:ENOMEM gateway:realloc:100:ENOMEM
gateway:socket:2:EMFILE gateway:accept4:3:EMFILE gateway:recv:5:ECONNRESET
gateway:recv:60:EINTR gateway:send:10:EPIPE gateway:send:30:EAGAIN gateway:sendmsg:2:EPIPE
gateway:sendmsg:12:EAGAIN gateway:epoll_ctl:2:ENOMEM gateway:epoll_ctl:8:ENOSPC
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
