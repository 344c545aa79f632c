"""A short campaign: faults of all kinds, and nothing is lost, doubled or reordered.

The long ones, and what each figure means: tests/campaign/run --help, tests/campaign/check.py.
"""

import os
import re
import signal
import sys
from pathlib import Path

import process
import pytest
from kit.services import build_folder

pytestmark = pytest.mark.proof

_CAMPAIGN = Path(__file__).resolve().parents[1] / "campaign"
_PATIENCE = 1500.0  # ends only what hangs


def _campaign(folder, *options):
    """(exit code, output) of a campaign; its logs stay in `folder` if something is wrong."""
    log = folder / "campaign.log"
    env = {**os.environ, "TMPDIR": str(folder), "WARREN_BUILD": str(build_folder())}
    running = process.spawn([sys.executable, str(_CAMPAIGN / "campaign.py"), *options], log, env)
    try:
        code = running.wait(_PATIENCE)
    finally:
        process.end(running, number=signal.SIGKILL)
    return code, log.read_text(encoding="utf-8", errors="replace")


def test_nothing_is_lost_doubled_or_reordered_whatever_is_killed(tmp_path):
    code, said = _campaign(
        tmp_path, "--faults=20", "--seed=7", "--longest=8", "--writers=3", "--rate=15")
    assert code == 0 and re.search(r"^\d+ passed, 0 failed$", said, re.MULTILINE), said
