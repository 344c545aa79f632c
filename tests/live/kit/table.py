"""Tests that are rows of a table: the list of bad inputs.

A row's number stands before its words, in the name of a test, or in rows().
"""

import pytest


def table(*rows):
    """One test for each row: its number and its words are the test's name."""
    return pytest.mark.parametrize(
        "given, answer", [row[2:] for row in rows], ids=[f"{row[0]}: {row[1]}" for row in rows])


def rows(*numbers):
    """Marks a test of other things that is the test of these rows, too."""
    return pytest.mark.rows(*numbers)
