"""What differs between outcomes: hand-worked values, and what cannot be told is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from diff_factory import load, make_results, trial, write_trials

from schedlab.bundle.open import opened
from schedlab.diff.outcomes import Outcome, Outcomes, compare_outcomes, outcome_facts
from schedlab.diff.side import Side
from schedlab.errors import SchedlabError
from schedlab.metrics.cells import MAIN_QUANTITIES
from schedlab.results.records import write_json
from schedlab.tables.schemas import TRIALS, schema


def compare(a: Path, b: Path) -> Outcomes:
    with opened(a) as one, opened(b) as other:
        return compare_outcomes(Side(one), Side(other))


def folder(path: Path, *trials: dict[str, Any], cluster: str = "slurm-n1") -> Path:
    """Results that have nothing but a table with these trials."""
    path.mkdir()
    rows = [trial(path, number, cluster, **columns) for number, columns in enumerate(trials, 1)]
    write_trials(path, rows)
    return path


def outcome(found: Outcomes, quantity: str) -> Outcome:
    (cell,) = found.cells
    return next(o for o in cell.outcomes if o.quantity == quantity)


def makespans(*values: float) -> list[dict[str, Any]]:
    return [{"makespan_s": value} for value in values]


def test_a_difference_by_hand(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(10.0, 11.0, 12.0))
    b = folder(tmp_path / "b", *makespans(20.0, 22.0, 21.0))
    found = outcome(compare(a, b), "makespan")
    assert (found.a.estimate, found.b.estimate) == (11.0, 21.0)
    assert found.difference.estimate == 10.0
    # No resample can leave the extreme differences, 20 - 12 and 22 - 10.
    assert 8.0 <= found.difference.low < 10.0 < found.difference.high <= 12.0
    assert (found.verdict, found.cliffs_delta) == ("larger", 1.0)
    back = outcome(compare(b, a), "makespan")
    assert (back.verdict, back.difference.estimate) == ("smaller", -10.0)


def test_equal_trials_have_an_exact_difference(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(10.0, 10.0, 10.0))
    b = folder(tmp_path / "b", *makespans(12.0, 12.0, 12.0))
    found = outcome(compare(a, b), "makespan")
    assert (found.difference.low, found.difference.high) == (2.0, 2.0)
    assert found.verdict == "larger"
    same = outcome(compare(a, b), "wait_median")
    assert (same.difference.estimate, same.verdict) == (0.0, "no difference shown")


def test_trials_that_overlap_show_no_difference(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(1.0, 9.0, 5.0))
    b = folder(tmp_path / "b", *makespans(2.0, 8.0, 4.0))
    found = compare(a, b)
    assert outcome(found, "makespan").verdict == "no difference shown"
    assert not found.differs


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_are_too_small(tmp_path: Path, count: int) -> None:
    a = folder(tmp_path / "a", *makespans(10.0, 11.0, 12.0))
    b = folder(tmp_path / "b", *makespans(*[99.0] * count))
    found = compare(a, b)
    makespan = outcome(found, "makespan")
    assert (makespan.verdict, makespan.difference.known) == ("n too small", False)
    assert makespan.b.n == count and makespan.difference.estimate == 88.0
    assert not found.differs and found.compared == 0


def test_rates_and_ratios_as_they_are_shown(tmp_path: Path) -> None:
    a = folder(
        tmp_path / "a",
        {"throughput_jobs_per_s": 2.0, "utilisation": 0.5, "makespan_s": 1.0},
        {"throughput_jobs_per_s": 2.0, "utilisation": 0.5, "makespan_s": 2.0},
        {"throughput_jobs_per_s": 1.0, "utilisation": 0.25, "makespan_s": 3.0},
    )
    b = folder(tmp_path / "b", *[{"throughput_jobs_per_s": 3.0, "utilisation": 0.75}] * 3)
    found = compare(a, b)
    # Harmonic means 3 / (1/2 + 1/2 + 1) and 3; ratios of sums 2.25 / 6 and 0.75.
    assert outcome(found, "throughput").difference.estimate == pytest.approx(1.5)
    assert outcome(found, "utilisation").difference.estimate == pytest.approx(0.75 - 2.25 / 6)
    assert outcome(found, "throughput").verdict == outcome(found, "utilisation").verdict == "larger"


def test_every_quantity_of_the_main_table_is_there(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(1.0, 2.0, 3.0))
    (cell,) = compare(a, folder(tmp_path / "b", *makespans(1.0))).cells
    assert tuple(o.quantity for o in cell.outcomes) == MAIN_QUANTITIES
    # Nothing was recorded of it.
    launch = next(o for o in cell.outcomes if o.quantity == "launch_median")
    assert (launch.a.n, launch.verdict, launch.difference.estimate) == (0, "n too small", None)


def test_invalid_trials_are_left_out_and_counted(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(10.0, 10.0, 10.0, 10.0))
    broken = {"makespan_s": 99.0, "valid": False}
    b = folder(tmp_path / "b", *makespans(10.0, 10.0, 10.0), broken)
    found = compare(a, b)
    (cell,) = found.cells
    assert (cell.trials, cell.valid, cell.invalid) == ((4, 4), (4, 3), (0, 1))
    assert outcome(found, "makespan").b.estimate == 10.0
    # No quantity shows a difference, but that a trial failed in one of the two is one.
    assert not any(o.differs for o in cell.outcomes) and found.differs


def test_cells_of_one_side_are_named(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(10.0), cluster="slurm-n1")
    b = folder(tmp_path / "b", *makespans(10.0), cluster="slurm-n2")
    found = compare(a, b)
    assert (found.only_a, found.only_b) == (["burst on slurm-n1"], ["burst on slurm-n2"])
    assert found.cells == [] and found.differs


def test_the_same_trials_are_not_compared_with_themselves(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(10.0, 11.0, 12.0))
    found = compare(a, a)
    (cell,) = found.cells
    assert {o.verdict for o in cell.outcomes} == {"the same trials"}
    assert (cell.shared, found.compared, found.differs) == (3, 0, False)


def test_what_chance_alone_would_show(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(10.0, 11.0, 12.0))
    found = compare(a, folder(tmp_path / "b", *makespans(10.0, 11.0, 12.5)))
    # Throughput, makespan, utilisation and wait were recorded.
    assert found.compared == 4
    assert outcome_facts(found)["expected_by_chance"] == 0.2


def test_differently_made_clusters_are_not_pooled(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", {"parent": "one"}, {"parent": "other"})
    with pytest.raises(SchedlabError, match="not pooled") as caught:
        compare(a, a)
    assert f"{a}: burst on slurm-n1" in str(caught.value)


def test_a_missing_table_is_named_with_the_remedy(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(10.0))
    (tmp_path / "b" / "tables").mkdir(parents=True)
    with pytest.raises(SchedlabError, match=r"trials\.parquet") as caught:
        compare(a, tmp_path / "b")
    assert "remedy: make the tables anew" in str(caught.value)


def test_another_version_of_the_table_is_refused(tmp_path: Path) -> None:
    a, b = folder(tmp_path / "a", *makespans(10.0)), tmp_path / "b"
    b.mkdir()
    metadata = {"schema": "schedlab.tables/99", "table": "trials"}
    later: pa.Schema = schema(TRIALS, "trials").with_metadata(metadata)
    write_trials(b, [trial(b, 1)], later)
    with pytest.raises(SchedlabError, match="schedlab.tables/99"):
        compare(a, b)


def test_tables_older_than_a_trial_are_refused(tmp_path: Path) -> None:
    a = make_results(tmp_path / "a")
    record = a / "trials/slurm-n1/burst/2/record.json"
    assert not compare(a, a).differs
    write_json(record, load(a, "trials/slurm-n1/burst/2") | {"lineage": "later"})
    with pytest.raises(SchedlabError, match=r"slurm-n1\.burst\.2 ran again") as caught:
        compare(a, a)
    assert "forcerun tables" in str(caught.value)
