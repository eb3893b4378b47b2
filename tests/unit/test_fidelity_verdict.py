"""What an error of virtual nodes is called, and how often two orders of starts differ."""

from __future__ import annotations

import pandas as pd
import pytest

from schedlab.metrics.certificates import UNDECIDED
from schedlab.metrics.fidelity import verdict
from schedlab.metrics.order_of_starts import swapped
from schedlab.metrics.statistics import Interval


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (-0.05, 0.05, "within 5 %"),
        (-0.01, 0.06, UNDECIDED),
        (-0.2, 0.2, UNDECIDED),
        (0.06, 0.1, "off by more than 5 %"),
        (-0.3, -0.051, "off by more than 5 %"),
    ],
)
def test_verdicts(low: float, high: float, wanted: str) -> None:
    assert verdict(Interval(0.0, low, high, 4, "t"), 0.05, 0.05) == wanted


def test_what_two_real_trials_differ_by_is_added_to_the_margin() -> None:
    size = Interval(0.1, 0.09, 0.11, 4, "t")
    assert verdict(size, 0.05, 0.05) == "off by more than 5 %"
    assert verdict(size, 0.05, 0.05 + 0.1) == "within 5 %"


def test_the_order_of_starts() -> None:
    first = pd.Series([10, 20, 30, 40], index=[0, 1, 2, 3])
    assert swapped(first, first + 5) == 0.0
    assert swapped(first, -first) == 1.0
    # One of six pairs.
    assert swapped(first, pd.Series([20, 10, 30, 40], index=[0, 1, 2, 3])) == pytest.approx(1 / 6)
    # Jobs that started in one alone do not count.
    assert swapped(first, pd.Series([1, 2, 9], index=[0, 3, 7])) == 0.0
    assert swapped(first, first.head(1)) is None
