"""Differences of outcomes, on values worked out by hand; undecided ones are not claimed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from diff_factory import load, make_results, trial, write_trials

from schedlab.bundle.open import opened
from schedlab.diff.outcomes import Outcome, Outcomes, compare_outcomes, outcome_facts
from schedlab.diff.side import Side
from schedlab.errors import SchedlabError
from schedlab.metrics.quantities import MAIN_QUANTITIES
from schedlab.results.records import write_json
from schedlab.tables.schemas import TRIALS, schema


def compare(a: Path, b: Path) -> Outcomes:
    with opened(a) as one, opened(b) as other:
        return compare_outcomes(Side(one), Side(other))


def folder(path: Path, *trials: dict[str, Any], cluster: str = "slurm-n1") -> Path:
    """Results that only have a table with these trials."""
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
    a = folder(tmp_path / "a", *makespans(10.0, 11.0, 12.0, 11.0))
    b = folder(tmp_path / "b", *makespans(20.0, 22.0, 24.0, 22.0))
    found = outcome(compare(a, b), "makespan")
    assert found.a.estimate == pytest.approx((10 * 11 * 12 * 11) ** 0.25)
    assert found.found.effect.estimate == pytest.approx(2.0)
    assert found.found.effect.low < 2.0 < found.found.effect.high
    assert (found.verdict, found.found.cliffs_delta) == ("larger", 1.0)
    back = outcome(compare(b, a), "makespan")
    assert back.verdict == "smaller" and back.found.effect.estimate == pytest.approx(0.5)


def test_equal_trials_are_equal_and_constant_ones_may_differ(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(*[10.0] * 4))
    b = folder(tmp_path / "b", *makespans(*[12.0] * 4))
    assert outcome(compare(a, b), "makespan").verdict == "larger"
    assert outcome(compare(a, b), "wait_median").verdict == "equal"


def test_trials_that_overlap_show_no_difference(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(1.0, 9.0, 5.0, 5.0))
    b = folder(tmp_path / "b", *makespans(2.0, 8.0, 4.0, 5.0))
    found = compare(a, b)
    assert outcome(found, "makespan").verdict == "no difference shown"
    assert not found.differs


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_trials_for_a_verdict(tmp_path: Path, count: int) -> None:
    a = folder(tmp_path / "a", *makespans(10.0, 11.0, 12.0))
    b = folder(tmp_path / "b", *makespans(*[99.0] * count))
    found = compare(a, b)
    makespan = outcome(found, "makespan")
    assert (makespan.verdict, makespan.found.effect.known) == ("n too small", count == 3)
    assert makespan.b.n == count and makespan.found.effect.n == count
    assert not found.differs and found.compared == 0


def test_cells_of_one_table_are_judged_together(tmp_path: Path) -> None:
    """A difference in a single cell is not claimed if many other cells only have noise."""
    rng = np.random.default_rng(3)

    def rows(shift: float) -> list[dict[str, Any]]:
        return makespans(*np.exp(0.02 * rng.normal(size=4)) * shift)

    def results(path: Path, cells: int, shift: float) -> Path:
        path.mkdir()
        table = [
            trial(path, number, f"slurm-n{nodes}", **columns)
            for nodes in range(1, cells + 1)
            for number, columns in enumerate(rows(shift if nodes == 1 else 1.0), 1)
        ]
        write_trials(path, table)
        return path

    alone = compare(results(tmp_path / "a1", 1, 1.0), results(tmp_path / "b1", 1, 1.2))
    assert outcome(alone, "makespan").verdict == "larger"
    many = compare(results(tmp_path / "a2", 30, 1.0), results(tmp_path / "b2", 30, 1.2))
    first = next(cell for cell in many.cells if cell.nodes == 1)
    makespan = next(o for o in first.outcomes if o.quantity == "makespan")
    assert makespan.verdict == "no difference shown"
    assert makespan.found.p > outcome_facts(many)["level"] > outcome(alone, "makespan").found.p


@pytest.mark.parametrize(
    ("column", "reason"),
    [("host", "other host"), ("accelerator", "other accelerator"), ("trace", "other traces")],
)
def test_trials_that_are_not_alike_are_shown_not_compared(
    tmp_path: Path, column: str, reason: str
) -> None:
    a = folder(tmp_path / "a", *makespans(10.0, 11.0, 12.0, 11.0))
    others = [row | {column: "another"} for row in makespans(20.0, 22.0, 24.0, 22.0)]
    found = compare(a, folder(tmp_path / "b", *others))
    makespan = outcome(found, "makespan")
    assert makespan.verdict == f"not comparable: {reason}"
    assert makespan.b.estimate and makespan.found.effect.estimate is None
    assert outcome_facts(found)["not_comparable"] == {f"not comparable: {reason}": 8}
    assert not found.differs


def test_every_quantity_of_the_main_table_is_there(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(1.0, 2.0, 3.0))
    (cell,) = compare(a, folder(tmp_path / "b", *makespans(1.0))).cells
    assert tuple(o.quantity for o in cell.outcomes) == MAIN_QUANTITIES
    # Nothing was recorded of it.
    launch = next(o for o in cell.outcomes if o.quantity == "launch_median")
    assert (launch.a.n, launch.verdict) == (0, "n too small")
    assert launch.found.effect.estimate is None


def test_invalid_trials_are_left_out_and_counted(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(*[10.0] * 5))
    broken = {"makespan_s": 99.0, "valid": False}
    b = folder(tmp_path / "b", *makespans(*[10.0] * 4), broken)
    found = compare(a, b)
    (cell,) = found.cells
    assert (cell.trials, cell.valid, cell.invalid) == ((5, 5), (5, 4), (0, 1))
    assert outcome(found, "makespan").b.estimate == pytest.approx(10.0)
    # No quantity shows a difference, but a trial failed in one of the two results.
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


def test_what_was_tested_is_counted(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", *makespans(10.0, 11.0, 12.0, 11.0))
    found = compare(a, folder(tmp_path / "b", *makespans(10.0, 11.0, 12.5, 11.0)))
    # Throughput, makespan, utilisation and wait were recorded.
    assert found.compared == 4
    facts = outcome_facts(found)
    assert (facts["error_rate"], facts["level"]) == (0.05, 0.04)


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
    # Without them Snakemake would run the default experiment.
    assert f"snakemake --forcerun tables --config experiments=FILE results={a}" in str(caught.value)
