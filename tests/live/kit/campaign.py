"""A campaign of tests/campaign as a test: run as people run it, and judged by its last line."""

import os
import re
import signal
import sys
from pathlib import Path

import process

from kit.services import build_folder

_PROGRAM = Path(__file__).resolve().parents[2] / "campaign" / "campaign.py"
_PATIENCE = 1500.0  # ends only what hangs
_SHORT = ["--faults=20", "--longest=4", "--writers=3", "--rate=15"]


def assert_nothing_is_wrong(folder, seed):
    """A short campaign finds nothing; its logs stay in `folder` if it does."""
    log = folder / "campaign.log"
    env = {**os.environ, "TMPDIR": str(folder), "WARREN_BUILD": str(build_folder())}
    running = process.spawn([sys.executable, str(_PROGRAM), *_SHORT, f"--seed={seed}"], log, env)
    try:
        code = running.wait(_PATIENCE)
    finally:
        process.end(running, number=signal.SIGKILL)
    said = log.read_text(encoding="utf-8", errors="replace")
    assert code == 0 and re.search(r"^\d+ passed, 0 failed$", said, re.MULTILINE), said
