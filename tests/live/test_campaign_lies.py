"""The campaign's clients and checker, end to end: lies about what warren did are noticed.

A relay between the clients and a gateway does one kind of wrong, as a warren with a fault would.
"""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import ports
import process
import pytest
from kit import Deployment, eventually

_CAMPAIGN = Path(__file__).resolve().parents[1] / "campaign"
_RECORDS = 600

# What the checker must find, among other things.
_LIES = {
    "drop": "unexplained gap",
    "double": "duplicate",
    "swap": "reordered",
    "alter": "phantom",
    "lose": "lost",
    "refuse": "failed but delivered",
    "early": "real time",
    "overtake": "session order",
    "silence": "unexplained gap",
    "none": None,
}


def _judged(folder):
    """How often the checker found each wrong."""
    done = subprocess.run([sys.executable, str(_CAMPAIGN / "check.py"), str(folder)],
                          stdout=subprocess.PIPE, text=True, check=False)
    return {name: int(count.replace(",", ""))
            for count, name in re.findall(r"^ *([\d,]+)  (\S.*)$", done.stdout, re.MULTILINE)}


def _has_talked(log):
    said = [json.loads(line)["what"] for line in log.read_text(encoding="utf-8").splitlines(True)
            if line.endswith("\n")]
    return said.count("ok") >= _RECORDS and said.count("recv") >= 5 * _RECORDS


def _talk(folder, gateway, lie):
    """Clients talk through a liar until enough was said, then end in order."""
    port = ports.claim_any()
    liar = process.spawn(
        [sys.executable, str(_CAMPAIGN / "sabotage.py"), lie, str(port), gateway.centrifuge_url],
        folder / "liar.log")
    clients = process.spawn(
        [sys.executable, str(_CAMPAIGN / "clients.py"), str(folder), "--last=10",
         f"--gateway=ws://127.0.0.1:{port}/"], folder / "clients.log")
    try:
        eventually(lambda: _has_talked(folder / "clients.jsonl"), 300, "they talk")
        clients.send_signal(signal.SIGTERM)
        assert clients.wait(300) == 0, (folder / "clients.log").read_text(encoding="utf-8")
    finally:
        process.end(clients)
        process.end(liar)


@pytest.mark.parametrize("lie", sorted(_LIES))
def test_the_checker_notices_a_lie(broker, tmp_path, lie):
    with Deployment(broker, gateways=1, broadcasters=1) as running:
        _talk(tmp_path, running.gateways[0], lie)
    found = _judged(tmp_path)
    if _LIES[lie]:
        assert found[_LIES[lie]] > 0, found
    else:
        assert not any(found[wrong] for wrong in set(_LIES.values()) - {None}), found
