"""What the report says of limiters that were lifted, and of those that were not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from search_factory import CYCLE, DEPTH, PARTS, cell, row

from schedlab.metrics.confirmation import Lifting
from schedlab.metrics.limiter import Limiter, of_cell
from schedlab.metrics.searches import knees
from schedlab.report.saturation_section import saturation
from schedlab.schedulers.limits import Cycle


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (cell([], 0.4, 1.0), "knows no setting that lifts its limiter: scheduling"),
        # Without a cluster in which it is lifted: the setting is at its end.
        (cell(CYCLE, 0.4, 1.0), "no setting lifts its limiter further: cycles (period)"),
        ([one | {"valid": False} for one in cell(CYCLE, 0.4, 1.0)], "no valid trial tells"),
        (cell(CYCLE, 0.4, 1.0)[:1], "no valid trial tells of a rate above the lowest"),
        ([*cell(CYCLE, 0.4, 1.0)[:1], *cell(CYCLE, 0.8, 1.0)[:1]], "every rate was sustained"),
        (cell(CYCLE, 0.4, 1.0)[1:], "without a knee nothing can be predicted"),
        ([row([], 1.0, 1.0, **dict.fromkeys([*PARTS, "scheduling_mean_s"], 0.0))], "no rule holds"),
    ],
)
def test_the_report_says_why_a_limiter_was_not_lifted(rows: list[Any], why: str) -> None:
    (told,) = saturation(pd.DataFrame(rows), confirming=["knee"])["not_lifted"]
    assert (told["workload"], told["cluster"]) == ("knee", "a") and why in told["why"]
    assert saturation(pd.DataFrame(rows))["not_lifted"] == []


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        ({}, "no search with its limiter lifted (period) has valid trials"),
        ({"knee": "its limiter is lifted by less than 1.25 times"}, "less than 1.25 times"),
    ],
)
def test_the_report_tells_why_the_decision_was_against_a_search(
    refused: dict[str, str], why: str
) -> None:
    pair = Lifting("a", "b", frozenset({"period"}), {}, refused)
    found = saturation(pd.DataFrame(cell(CYCLE, 0.4, 1.0)), [pair], confirming=["knee"])
    (told,) = found["not_lifted"]
    assert why in told["why"]
    # Another cluster's, or another limit's, says nothing of this one.
    for other in (pair._replace(cluster="c"), pair._replace(settings=frozenset({"x"}))):
        (told,) = saturation(pd.DataFrame(cell(CYCLE, 0.4, 1.0)), [other], ["knee"])["not_lifted"]
        assert told["why"].startswith("no setting lifts its limiter further")


def test_knees_and_limiters_of_a_report_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[str, int]] = []

    def counted(name: str, function: Callable[[pd.DataFrame], Any]) -> None:
        def call(trials: pd.DataFrame) -> Any:
            found.append((name, len(trials)))
            return function(trials)

        monkeypatch.setattr(f"schedlab.metrics.confirmation.{name}", call)

    counted("knees", knees)
    counted("of_cell", of_cell)
    deeper = [DEPTH[0]._replace(cycles=(Cycle(None, 80),))]
    rows = [*cell(DEPTH, 0.4, 1.0), *cell(deeper, 3.0, 1.0, cluster="b")]
    pair = Lifting("a", "b", frozenset({"depth"}), {})
    assert saturation(pd.DataFrame(rows), [pair])["confirmations"]
    assert found == [("knees", 4), ("of_cell", 2), ("of_cell", 2)]


def test_a_lifted_cell_is_not_listed() -> None:
    deeper = [DEPTH[0]._replace(cycles=(Cycle(None, 80),))]
    rows = [*cell(DEPTH, 0.4, 1.0), *cell(deeper, 3.0, 1.0, cluster="b")]
    pair = Lifting("a", "b", frozenset({"depth"}), {})
    found = saturation(pd.DataFrame(rows), [pair], confirming=["knee"])
    assert found["not_lifted"] == [] and len(found["confirmations"]) == 1
    assert isinstance(of_cell(pd.DataFrame(rows)), Limiter)
