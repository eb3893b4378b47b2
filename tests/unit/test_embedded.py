"""Data in the report for its interactive part, from SYNTHETIC tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from trial_factory import FAILED, make_results

from schedlab.report.embedded import UNKNOWN, embedded, script_text
from schedlab.tables.build import Tables, build_tables, load_tables


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    root: Path = tmp_path_factory.mktemp("results")
    build_tables(make_results(root), root / "tables")
    return load_tables(root / "tables")


def read(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def test_every_trial_is_there_with_its_values_and_its_jobs_to_the_millisecond(
    tables: Tables,
) -> None:
    found = read(script_text(embedded(tables.trials, tables.jobs)))
    assert [each["trial"] for each in found["trials"]] == sorted(tables.trials["trial"])
    one = next(each for each in found["trials"] if each["trial"] == "slurm-n2.gang.1")
    row = tables.trials.set_index("trial").loc["slurm-n2.gang.1"]
    named = dict(zip((q["name"] for q in found["quantities"]), one["values"], strict=True))
    assert named["makespan"] == pytest.approx(row["makespan_s"], rel=1e-5)
    assert (one["variant"], one["lineage"], one["valid"]) == ("slurm", row["lineage"], True)
    jobs = tables.jobs[tables.jobs["trial"] == "slurm-n2.gang.1"].sort_values(["intended", "job"])
    due = np.cumsum(one["jobs"]["due"])
    wanted = (jobs["intended"] - jobs["intended"].min()) / 1e6
    assert due == pytest.approx(wanted.to_numpy(dtype=float), abs=0.51)
    waits = ((jobs["started"] - jobs["intended"]) / 1e6).to_numpy(dtype=float)
    assert one["jobs"]["wait"] == pytest.approx(waits, abs=0.51)
    assert one["jobs"]["number"] == jobs["job"].tolist()


def test_jobs_that_never_began_have_no_durations(tables: Tables) -> None:
    found = embedded(tables.trials, tables.jobs)
    failed = next(each for each in found["trials"] if each["trial"] == FAILED)
    assert not failed["valid"]
    assert set(failed["jobs"]["wait"]) == set(failed["jobs"]["run"]) == {UNKNOWN}


def test_first_repetitions_come_first_when_not_all_jobs_fit(tables: Tables) -> None:
    found = embedded(tables.trials, tables.jobs, most=100)
    kept = {each["trial"] for each in found["trials"] if each["jobs"] is not None}
    assert kept and all(trial.endswith((".1", ".2")) for trial in kept)
    assert {trial for trial in tables.trials["trial"] if trial.endswith(".1")} <= kept
    assert len(found["trials"]) == len(tables.trials)


def test_no_name_ends_the_script_element(tables: Tables) -> None:
    data = embedded(tables.trials, tables.jobs)
    data["trials"][0]["trial"] = "</script><b>"
    text = script_text(data)
    assert "<" not in text and read(text)["trials"][0]["trial"] == "</script><b>"


def test_equal_tables_give_equal_text(tables: Tables) -> None:
    one, other = (script_text(embedded(tables.trials, tables.jobs)) for _ in range(2))
    assert one == other


def test_120_000_jobs_take_a_small_part_of_the_report(tables: Tables) -> None:
    """Random instants, which take more digits than those of a real trace."""
    generator = np.random.default_rng(1)
    count = 120_000
    due = np.sort(generator.integers(0, 6 * 3600 * 10**9, count))
    start = due + generator.integers(0, 900 * 10**9, count)
    jobs = pd.DataFrame(
        {
            "trial": "slurm-n1.burst.1",
            "job": np.arange(count),
            "intended": due,
            "started": start,
            "finished": start + generator.integers(10**6, 3600 * 10**9, count),
            "nodes": generator.integers(1, 64, count),
        }
    )
    text = script_text(embedded(tables.trials, jobs))
    assert len(read(text)["trials"][0]["jobs"]["due"]) == count
    assert len(text) < 5_000_000
