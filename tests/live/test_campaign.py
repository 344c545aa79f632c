"""A third of a short campaign: faults of all kinds, and nothing is lost, doubled or reordered.

The other two thirds are test_faults.py and test_nemesis.py, so that several workers share them.

The long ones, and what each figure means: tests/campaign/run --help, tests/campaign/check.py.
"""

import pytest
from kit.campaign import assert_nothing_is_wrong

pytestmark = pytest.mark.proof


def test_nothing_is_lost_doubled_or_reordered_whatever_is_killed(tmp_path):
    assert_nothing_is_wrong(tmp_path, seed=7)
