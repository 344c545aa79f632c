"""Tests that are rows of a table."""

import pytest


def table(*rows):
    """One test for each row: its number and its words are the test's name."""
    return pytest.mark.parametrize(
        "given, answer", [row[2:] for row in rows], ids=[f"{row[0]}: {row[1]}" for row in rows])
