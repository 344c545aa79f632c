"""A gateway or a broadcaster with one planted bug is found by the campaign's checker.

The programs are the shipped ones but for that bug: tests/campaign/sabotage/. Faults are done only
where the bug does no harm without one.
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
         "--seed=1", "--quiet"]

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
    # Numbers begin anew with each owner: the second one's are void while they are below the
    # first one's, and the third one gives the same offsets again.
    "broadcaster_keeps_the_term": ("reordered", "kill broadcaster", "kill broadcaster",
                                   "kill broadcaster"),
}


@pytest.mark.parametrize("program", sorted(_BUGS))
def test_a_planted_bug_is_found(broker, tmp_path, program):
    wrong, *faults = _BUGS[program]
    ran = campaign.Campaign(campaign.parse([
        *_TALK, f"--sabotage={program}", f"--faults={len(faults)}",
        *([f"--until={wrong}"] if wrong not in campaign.AT_THE_END else ["--publishes=200"]),
        *(f"--only={fault}" for fault in faults),
        f"--before={200 * len(faults)}"]), tmp_path, broker)
    ran.run()
    verdict = check.check(check.read(ran.logs), ran.options.stuck)
    assert verdict.findings[wrong], f"{verdict}\n{ran.failures}"
