"""A gateway or a broadcaster with one planted bug is found by the campaign's checker.

The programs are the shipped ones but for that bug: tests/campaign/sabotage/. Faults are done only
where the bug does no harm without one, and no more of them when the bug is found.
"""

import sys
from pathlib import Path

import pytest

_CAMPAIGN = Path(__file__).resolve().parents[1] / "campaign"
sys.path.append(str(_CAMPAIGN))

import campaign  # noqa: E402 (needs the path)
import check  # noqa: E402

# One service of each kind, so that the bug is in everybody's way.
_TALK = ["--gateways=1", "--broadcasters=1", "--rooms=4", "--readers=3", "--stuck=20", "--stay=2",
         "--rate=150", "--seed=1", "--quiet"]
_FAULTS_MAX = 20

# What the checker must find, among other things, and the faults that bring it to light.
_BUGS = {
    "gateway_answers_early": ("real time",),
    "gateway_drops": ("unexplained gap",),
    "gateway_recovers_a_hole": ("unexplained gap",),
    "gateway_refuses_published": ("failed but delivered",),
    "gateway_swaps": ("reordered",),
    "gateway_trusts_the_wire": ("lost", "lose publishes"),
    "broadcaster_acks_early": ("lost", "hang broadcaster"),
    "broadcaster_forgets_lanes": ("duplicate", "lose confirms"),
}


@pytest.mark.parametrize("program", sorted(_BUGS))
def test_a_planted_bug_is_found(broker, tmp_path, program):
    wrong, *faults = _BUGS[program]
    ends = ["--publishes=200"] if wrong in campaign.AT_THE_END else [f"--until={wrong}"]
    ran = campaign.Campaign(campaign.parse([
        *_TALK, *ends, f"--sabotage={program}", f"--before={100 * len(faults)}",
        f"--faults={_FAULTS_MAX if faults and wrong not in campaign.AT_THE_END else len(faults)}",
        *(f"--only={fault}" for fault in faults)]), tmp_path, broker)
    ran.run()
    verdict = check.check(check.read(ran.logs), ran.options.stuck)
    assert verdict.findings[wrong], f"{verdict}\n{ran.failures}"
