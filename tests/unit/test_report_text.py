"""How the report writes numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from schedlab.formatting import NONE, count, number, seconds, short, span


@pytest.mark.parametrize("missing", [None, math.nan, np.nan, pd.NA, pd.NaT])
def test_what_is_missing_is_a_dash(missing: Any) -> None:
    assert {shown(missing) for shown in (number, count, seconds, short)} == {NONE}
    assert span([missing]) == NONE
    assert span([missing, np.float64(2.5)]) == number(np.float64(2.5)) == "2.50"
    assert count(np.int64(7)) == "7"
    assert short("0123456789abcdef") == "0123456789ab"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5, "1230"),
        (0.0123456, "0.0123"),
        (0.5, "0.500"),
        (3, "3"),
        (9.999, "10.0"),
        (0, "0"),
        (-2.345, "-2.35"),
        (1.5e9, "1.50 × 10⁹"),
        (9.999e9, "1.00 × 10¹⁰"),
        (2e-7, "2.00 × 10⁻⁷"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_three_significant_digits(value, text):
    assert number(value) == text


def test_durations_and_ranges():
    assert [seconds(v) for v in (2.5, 0.0123, 4e-6, 0, None)] == [
        "2.50 s",
        "12.3 ms",
        "4 µs",
        "0 s",
        "–",
    ]
    assert span([1.5, 2.5, None]) == "1.50 to 2.50"
    assert span([2.0, 2.0]) == "2"
    assert span([]) == "–"
