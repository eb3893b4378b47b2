"""Knees of two results (SYNTHETIC searches): a search is the replicate, its steps are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from diff_factory import trial, write_trials
from test_diff_outcomes import compare, outcome

from schedlab.diff.outcomes import ABOVE, BELOW, Outcomes, outcome_facts
from schedlab.diff.text import _outcomes
from schedlab.metrics.searches import by_search, knees
from schedlab.tables.build import load_trials

LADDER = (1.0, 16.0, 4.0, 8.0)
PRECISION = 0.2
COUNTS = 1 - PRECISION / 2
"""The knee over the middle of a bracket: slower growth of the queue does not count."""


def steps(root: Path, number: int, knee: float) -> list[dict[str, Any]]:
    """Steps of one search on a cluster that sustains the rates up to `knee`."""
    first = (number - 1) * len(LADDER)
    return [
        trial(
            root,
            first + step,
            rate=rate,
            precision=PRECISION,
            why_not=["queue"] * (rate > knee),
            search=number,
            sustained=rate <= knee,
            makespan_s=100 / rate,
            trace=f"search {number} at {rate}",
            at_least=[],
        )
        for step, rate in enumerate(LADDER, 1)
    ]


def searches(
    root: Path, *knees: float, changed: Callable[[dict[str, Any]], Any] = lambda _: None
) -> Path:
    """Results with the steps of a search for each knee; `changed` edits the row of each step."""
    root.mkdir()
    found = [row for number, knee in enumerate(knees, 1) for row in steps(root, number, knee)]
    for row in found:
        changed(row)
    write_trials(root, found)
    return root


def told(found: Outcomes) -> str:
    return "\n".join(_outcomes(found))


# The brackets of knees of 2, 5 and 9 are 1 to 4, 4 to 8 and 8 to 16 jobs/s.
SLOW, FAST = (2.0,) * 6, (9.0, 9.0, 9.0, 9.0, 9.0, 5.0)


def test_knees_are_compared_with_searches_as_replicates(tmp_path: Path) -> None:
    found = compare(searches(tmp_path / "a", *SLOW), searches(tmp_path / "b", *FAST))
    (cell,) = found.cells
    assert (cell.searches, cell.trials, cell.valid) == ((6, 6), (24, 24), (24, 24))
    # Nothing is told of the steps, which differ in their rates.
    assert [one.quantity for one in cell.outcomes] == ["knee"]
    knee = outcome(found, "knee")
    assert (knee.a.estimate, knee.a.n) == (pytest.approx(2.0 * COUNTS), 6)
    assert knee.b.low < 128 ** (5 / 12) * 32 ** (1 / 12) * COUNTS < knee.b.high
    assert (knee.verdict, knee.found.paired, knee.found.effect.n) == ("larger", True, 6)
    assert found.differs and found.compared == 1


def test_searches_of_other_precision_find_the_same_capacity(tmp_path: Path) -> None:
    """A coarse search ends at a higher rate, at which the same growth counts."""

    def fine(row: dict[str, Any]) -> None:
        row.update(precision=0.02, rate=row["rate"] * COUNTS / 0.99)

    found = compare(searches(tmp_path / "a", *FAST), searches(tmp_path / "b", *FAST, changed=fine))
    assert outcome(found, "knee").found.effect.estimate == pytest.approx(1.0)


def test_the_same_knees_show_no_difference(tmp_path: Path) -> None:
    found = compare(searches(tmp_path / "a", *FAST), searches(tmp_path / "b", *FAST[::-1]))
    assert outcome(found, "knee").verdict == "no difference shown" and not found.differs


def test_few_searches_have_no_verdict(tmp_path: Path) -> None:
    found = compare(searches(tmp_path / "a", 2.0), searches(tmp_path / "b", 9.0))
    knee = outcome(found, "knee")
    assert (knee.verdict, knee.a.n, knee.a.known) == ("n too small", 1, False)
    assert knee.found.effect.estimate == pytest.approx(128**0.5 / 2)


def test_a_knee_above_the_ladder_is_a_lower_bound(tmp_path: Path) -> None:
    a, b = searches(tmp_path / "a", *SLOW), searches(tmp_path / "b", *[99.0] * 6)
    knee = outcome(compare(a, b), "knee")
    assert knee.verdict == "larger" and "even the highest rate" in knee.found.effect.note
    c = searches(tmp_path / "c", *[99.0] * 6)
    assert outcome(compare(b, c), "knee").verdict == ABOVE


def test_a_knee_below_the_ladder_is_not_compared(tmp_path: Path) -> None:
    a, b = searches(tmp_path / "a", *SLOW), searches(tmp_path / "b", *SLOW[1:], 0.5)
    found = compare(a, b)
    assert outcome(found, "knee").verdict == BELOW
    assert found.not_comparable == {BELOW: 1} and not found.compared


def test_searches_of_other_jobs_are_not_compared(tmp_path: Path) -> None:
    a = searches(tmp_path / "a", *SLOW)
    b = searches(tmp_path / "b", *FAST, changed=lambda row: row.update(trace=f"b {row['trace']}"))
    assert outcome(compare(a, b), "knee").verdict == "not comparable: other traces"


def test_the_same_searches_are_not_compared_with_themselves(tmp_path: Path) -> None:
    a = searches(tmp_path / "a", *SLOW)
    found = compare(a, a)
    assert outcome(found, "knee").verdict == "the same trials"
    assert found.cells[0].shared == 6 and not found.differs


def test_an_invalid_step_is_no_difference_of_a_search(tmp_path: Path) -> None:
    a = searches(tmp_path / "a", *SLOW)
    b = searches(
        tmp_path / "b", *SLOW, changed=lambda row: row.update(valid=row["repetition"] != 2)
    )
    found = compare(a, b)
    assert found.cells[0].invalid == (0, 1) and not found.cells[0].uneven


def test_a_search_and_trials_of_one_name_are_not_one_cell(tmp_path: Path) -> None:
    a, b = searches(tmp_path / "a", *SLOW), tmp_path / "b"
    b.mkdir()
    write_trials(b, [trial(b, number) for number in range(1, 5)])
    found = compare(a, b)
    assert (found.only_a, found.only_b) == (["burst on slurm-n1, a search"], ["burst on slurm-n1"])


def test_facts_and_text_tell_the_searches(tmp_path: Path) -> None:
    found = compare(searches(tmp_path / "a", *SLOW), searches(tmp_path / "b", *FAST))
    (cell,) = outcome_facts(found)["cells"]
    assert cell["searches"] == {"a": 6, "b": 6}
    assert cell["quantities"][0]["title"] == "Highest sustained rate"
    text = told(found)
    assert "burst on slurm-n1 (searches: A 6, B 6; valid steps: A 24 of 24, B 24 of 24)" in text
    assert "B is larger" in text


def test_steps_of_other_hosts_are_no_one_search(tmp_path: Path) -> None:
    root = searches(
        tmp_path / "a", 2.0, changed=lambda row: row.update(host=str(row["repetition"] == 2))
    )
    assert by_search(load_trials(root / "tables"))["host"].isna().all()


def test_searches_of_equal_clusters_with_one_number_are_two(tmp_path: Path) -> None:
    root = tmp_path / "a"
    root.mkdir()
    slow, fast = steps(root, 1, 2.0), steps(root, 1, 9.0)
    for row in fast:
        row.update(snapshot=2, repetition=row["repetition"] + len(LADDER))
    write_trials(root, slow + fast)
    (knee,) = knees(load_trials(root / "tables"))
    assert sorted(one.middle or 0 for one in knee.brackets) == pytest.approx([2.0, 128**0.5])
