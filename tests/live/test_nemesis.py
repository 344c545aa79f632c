"""A third of a short campaign, see test_campaign.py: still other faults.

The long ones, and what each figure means: tests/campaign/run --help, tests/campaign/check.py.
"""

import pytest
from kit.campaign import assert_nothing_is_wrong

pytestmark = pytest.mark.proof


def test_nothing_is_lost_doubled_or_reordered_by_still_other_faults(tmp_path):
    assert_nothing_is_wrong(tmp_path, seed=9)
