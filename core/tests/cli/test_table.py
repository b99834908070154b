"""Plain tables for the terminal."""

from __future__ import annotations

from hookway.cli.table import render_table


def test_columns_are_as_wide_as_their_widest_cell_and_lines_end_without_blanks() -> None:
    assert render_table(("name", "on"), [("a", "yes"), ("longer", "")]) == "name    on\na       yes\nlonger"


def test_a_table_without_rows_is_its_head() -> None:
    assert render_table(("a", "b"), []) == "a  b"
