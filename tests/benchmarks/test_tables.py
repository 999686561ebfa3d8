"""Tables of the benchmarks' pages."""

from __future__ import annotations

import pytest

from benchmarks.tables import table, versions


def test_a_table_has_a_line_for_each_row() -> None:
    written = table(("", "bar"), [("a", 1), ("b", "")])
    assert written == "| | bar |\n|---|---|\n| a | 1 |\n| b | |"


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="3 cells in a row of 2 columns"):
        table(("a", "b"), [(1, 2, 3)])


def test_versions_are_those_that_are_installed() -> None:
    assert versions(["pyyaml"]).startswith("pyyaml 6")
