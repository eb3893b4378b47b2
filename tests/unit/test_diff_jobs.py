"""Jobs that completed in one of two results and not in the other are a difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diff_factory import trial, write_trials

from schedlab.bundle.open import opened
from schedlab.diff.outcomes import Outcomes, compare_outcomes, outcome_facts
from schedlab.diff.side import Side


def folder(path: Path, *completed: int) -> Path:
    """Results with a table of valid trials of 50 jobs, with the given numbers of completed jobs."""
    path.mkdir()
    rows: list[dict[str, Any]] = [
        trial(path, number, jobs=50, completed=done) for number, done in enumerate(completed, 1)
    ]
    write_trials(path, rows)
    return path


def compare(a: Path, b: Path) -> Outcomes:
    with opened(a) as one, opened(b) as other:
        return compare_outcomes(Side(one), Side(other))


def test_jobs_that_came_to_no_end_are_a_difference(tmp_path: Path) -> None:
    found = compare(folder(tmp_path / "a", 50, 50, 50), folder(tmp_path / "b", 50, 50, 48))
    (cell,) = found.cells
    assert (cell.completed, cell.jobs) == ((150, 148), (150, 150))
    assert found.differs and not any(outcome.differs for outcome in cell.outcomes)
    assert outcome_facts(found)["cells"][0]["completed"] == {"a": 150, "b": 148}


def test_the_same_part_of_more_trials_is_none(tmp_path: Path) -> None:
    found = compare(folder(tmp_path / "a", 50, 48), folder(tmp_path / "b", 50, 48, 48, 50))
    assert found.cells[0].as_complete and not found.differs
