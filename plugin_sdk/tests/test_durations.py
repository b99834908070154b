"""Durations and sizes as operators write them."""

from __future__ import annotations

import pytest

from hookway_sdk.durations import parse_milliseconds, parse_seconds, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("250ms", 0.25),
        ("5m", 300.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("1.5h", 5400.0),
        ("0", 0.0),
        ("12", 12.0),
        ("0.1s", 0.1),
        ("30 s", 30.0),
    ],
)
def test_a_duration_is_a_number_with_a_unit_and_seconds_without_one(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("250ms", 250), ("30s", 30_000), ("5", 5), ("1.5s", 1500)]
)
def test_a_bare_number_of_milliseconds_is_milliseconds(text: str, milliseconds: int) -> None:
    assert parse_milliseconds(text) == milliseconds


def test_half_a_millisecond_is_refused_where_whole_ones_are_asked() -> None:
    with pytest.raises(ValueError, match="no whole number of milliseconds"):
        parse_milliseconds("0.5ms")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 * 1024 * 1024),
        ("1MB", 1_000_000),
        ("1KB", 1000),
        ("1kB", 1000),
        ("512B", 512),
        ("17", 17),
        ("1.5KiB", 1536),
        ("2 GiB", 2 * 1024**3),
        ("1TiB", 1024**4),
    ],
)
def test_a_size_counts_in_thousands_or_in_1024s_as_its_unit_says(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_a_size_that_is_no_whole_number_of_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="no whole number of bytes"):
        parse_size("1.2345KiB")


@pytest.mark.parametrize(
    "text", ["", "s", "-5s", "1h30m", "5 s ", "1e3", "٣s", "inf", "9" * 40, "0x10", " 5s"]
)
def test_text_that_is_no_number_with_a_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no number with a unit"):
        parse_seconds(text)


@pytest.mark.parametrize("text", ["5min", "5S", "5M", "5weeks"])
def test_an_unknown_unit_of_time_is_refused_and_the_known_ones_are_named(text: str) -> None:
    with pytest.raises(ValueError, match="the units are ms, s, m, h, d"):
        parse_seconds(text)


@pytest.mark.parametrize("text", ["64M", "64Mi", "64mb", "1PB"])
def test_an_ambiguous_unit_of_size_is_refused_and_the_known_ones_are_named(text: str) -> None:
    with pytest.raises(ValueError, match="KiB, MiB"):
        parse_size(text)
