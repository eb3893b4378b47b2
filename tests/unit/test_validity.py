"""Checks that make a trial or a measure invalid, each with value, limit and verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from trial_factory import make_experiment, make_trial

from schedlab.cli.main import main
from schedlab.config import write_experiment
from schedlab.config.trials import TrialKey
from schedlab.metrics.cells import cells
from schedlab.metrics.statistics import NOT_POSITIVE
from schedlab.results.records import file_digest, load_record, write_json
from schedlab.schedulers.slurm.adapter import Slurm
from schedlab.tables.build import build_tables, load_trials
from schedlab.tables.schemas import FAILED, PASSED, UNKNOWN
from schedlab.tables.trial_rows import read_trial
from schedlab.tables.validity import LATE_FLOOR, LATE_PART, measure_checks

KEY = TrialKey("slurm-n2", "poisson", 1)
MEASURES = {
    "lateness_p99_s": None,
    "lateness_max_s": 0.002,
    "wait_median_s": 0.5,
    "turnaround_median_s": 1.0,
    "makespan_s": 20.0,
    "launch_median_s": 0.1,
    "completion_median_s": 0.05,
    "launch_skew_median_s": None,
}


def checked(folder: Path, name: str) -> dict[str, Any]:
    """One check of a trial."""
    checks = read_trial(folder).trial["checks"]
    return next(check for check in checks if check["name"] == name)


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The trial with other conditions in its record."""
    record = json.loads((folder / "record.json").read_text())
    change(record["conditions"])
    write_json(folder / "record.json", record)
    return folder


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_trial(tmp_path_factory.mktemp("sound"), KEY)


def test_a_sound_trial_passes_every_check(sound: Path) -> None:
    trial = read_trial(sound).trial
    assert trial["valid"] and trial["withheld"] == []
    assert {check["verdict"] for check in trial["checks"]} == {PASSED}
    for check in trial["checks"]:
        assert check["value"] <= check["limit"] and not check["reason"]


def memory(conditions: dict[str, Any]) -> None:
    conditions["machine"]["start"]["compute1"]["memory_mib"] = 300


def processors(conditions: dict[str, Any]) -> None:
    conditions["machine"]["start"]["compute2"]["cpus"] = 1


def absent(conditions: dict[str, Any]) -> None:
    del conditions["machine"]["start"]["compute2"]


def reboot(conditions: dict[str, Any]) -> None:
    end = conditions["machine"]["end"]
    conditions["machine"]["end"] = end | {"compute1": end["compute1"] | {"boot": "another"}}


def health(conditions: dict[str, Any]) -> None:
    conditions["health"] = {"after": ["health check `sinfo` fails: drained"]}


def records(conditions: dict[str, Any]) -> None:
    conditions["not_taken"] = ["sdiag.txt could not be taken: no space left"]


def monitoring(conditions: dict[str, Any]) -> None:
    conditions["scraped"]["node/compute1"] = 1.0


def slow_scrapes(conditions: dict[str, Any]) -> None:
    monitoring(conditions)
    interval = conditions["scrape_interval"]
    conditions["scrape_durations"] = dict.fromkeys(conditions["scraped"], interval / 9)
    conditions["scrape_durations"]["node/compute1"] = interval


def others(conditions: dict[str, Any]) -> None:
    conditions["host"]["during"]["processor"]["busy"] *= 1.3


def steal(conditions: dict[str, Any]) -> None:
    conditions["host"]["during"]["processor"]["steal"] = 5.0


def stall(conditions: dict[str, Any]) -> None:
    conditions["host"]["during"]["pressure"]["memory_full"] = 1.0


def swap(conditions: dict[str, Any]) -> None:
    conditions["host"]["during"]["swap"]["out"] = 10**9


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        (memory, "machines not as declared", "compute1 has 300 MiB of 768 MiB"),
        (processors, "machines not as declared", "compute2 has 1 processors, not 2"),
        (absent, "machines not as declared", "compute2 is missing"),
        (reboot, "guests that restarted", "compute1 was started again"),
        (health, "failed health checks afterwards", "drained"),
        (records, "records not taken", "no space left"),
        (monitoring, "part of samples missing", "of the samples of node/compute1 are missing"),
        (slow_scrapes, "part of samples missing", "of its scrapes took 1.00 s or more of the 1 s"),
        (
            others,
            "processor time of others",
            "of the host's processor time (at most 10% may be taken)",
        ),
        (steal, "processor time of others", "of the host's processor time"),
        (stall, "time stalled for memory", "stood still for memory"),
        (swap, "bytes swapped by the host", "swapped 954 MiB (at most 16 MiB)"),
    ],
)
def test_each_fault_of_the_measurement_makes_a_trial_invalid(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], name: str, words: str
) -> None:
    folder = changed(make_trial(tmp_path, KEY), change)
    trial = read_trial(folder).trial
    assert not trial["valid"]
    assert len(trial["reasons"]) == 1 and words in trial["reasons"][0]
    check = checked(folder, name)
    assert check["verdict"] == FAILED and check["value"] > check["limit"]


def test_what_an_older_record_has_not_measured_decides_nothing(tmp_path: Path) -> None:
    def old(conditions: dict[str, Any]) -> None:
        for name in ("declared", "machine", "health", "not_taken", "scraped", "limit"):
            del conditions[name]
        del conditions["host"]["during"]

    folder = changed(make_trial(tmp_path, KEY), old)
    trial = read_trial(folder).trial
    assert trial["valid"]
    unknown = {check["name"] for check in trial["checks"] if check["verdict"] == UNKNOWN}
    assert unknown == {
        "machines not as declared",
        "guests that restarted",
        "failed health checks afterwards",
        "records not taken",
        "part of samples missing",
        "processor time of others",
        "time stalled for memory",
        "bytes swapped by the host",
    }


def test_slow_scrapes_are_named_only_where_they_lose_samples(tmp_path: Path) -> None:
    folder = changed(make_trial(tmp_path, KEY), monitoring)
    assert "scrapes took" not in read_trial(folder).trial["reasons"][0]

    def slow_but_there(conditions: dict[str, Any]) -> None:
        slow_scrapes(conditions)
        conditions["scraped"]["node/compute1"] = 1e6

    assert read_trial(changed(make_trial(tmp_path / "2", KEY), slow_but_there)).trial["valid"]


@pytest.mark.parametrize("step", [1 << 62, -(1 << 62), 20 * 10**9])
def test_a_clock_that_was_set_meanwhile_makes_a_trial_invalid(step: int, tmp_path: Path) -> None:
    """Instants between two readings would all be put where they never were."""

    def jump(conditions: dict[str, Any]) -> None:
        conditions["clock"]["head"]["start"]["offset_ns"] += step

    folder = changed(make_trial(tmp_path, KEY), jump)
    assert checked(folder, "drift of the clocks")["verdict"] == FAILED
    said = "a guest's clock differs from the host's by"
    assert said in str(read_trial(folder).trial["reasons"])


def test_what_is_submitted_before_it_is_due_makes_a_trial_invalid(tmp_path: Path) -> None:
    """Its lateness would be below zero, and so never too large."""
    folder = make_trial(tmp_path, KEY)
    path = folder / "driver" / "submissions.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(
        "".join(json.dumps(row | {"submit_ns": row["submit_ns"] - 10**10}) + "\n" for row in rows)
    )
    trial = read_trial(folder).trial
    assert not trial["valid"] and "submit before they were intended" in trial["reasons"][0]


def test_a_driver_without_a_result_makes_a_trial_invalid(tmp_path: Path) -> None:
    folder = make_trial(tmp_path, KEY)
    (folder / "driver" / "driver.json").unlink()
    assert read_trial(folder).trial["reasons"] == ["the driver left no driver.json"]


def test_completed_jobs_without_stamps_make_a_trial_invalid(tmp_path: Path) -> None:
    folder = make_trial(tmp_path, KEY)
    lines = (folder / "stamps.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["job"] != 4]
    (folder / "stamps.jsonl").write_text("".join(kept))
    reasons = read_trial(folder).trial["reasons"]
    assert len(reasons) == 1
    assert reasons[0].startswith("1 of 15 COMPLETED jobs lack stamps of their payload")


def failed(metrics: dict[str, float | None], uncertainty: float | None = 1e-4) -> dict[str, Any]:
    """Names of the checks of measures that fail, with what each withholds."""
    return {
        check.name: check.withholds
        for check in measure_checks(MEASURES | metrics, uncertainty)
        if check.verdict == FAILED
    }


def test_lateness_withholds_only_what_it_is_a_large_part_of() -> None:
    assert failed({}) == {}
    # 5 % of a median wait of 0.5 s are 25 ms; of the makespan, 1 s.
    assert list(failed({"lateness_max_s": 0.0249})) == []
    found = failed({"lateness_max_s": 0.0251})
    assert list(found) == ["lateness in median wait"]
    assert set(found["lateness in median wait"]) == {
        "wait_mean_s", "wait_median_s", "wait_p90_s", "wait_p99_s", "wait_max_s"}  # fmt: skip
    everything = failed({"lateness_max_s": 1.1})
    assert "throughput_jobs_per_s" in everything["lateness in makespan"]
    # If there is a 99th percentile, it counts; so one late job of a hundred does not matter.
    assert failed({"lateness_max_s": 1.1, "lateness_p99_s": 0.001}) == {}


def test_a_few_milliseconds_are_never_too_late() -> None:
    short = {"wait_median_s": 0.02}
    assert LATE_PART * 0.02 < 0.009 < LATE_FLOOR
    assert failed(short | {"lateness_max_s": 0.009}) == {}
    assert "lateness in median wait" in failed(short | {"lateness_max_s": 0.011})


def test_clocks_withhold_what_is_too_short_for_them() -> None:
    # Two nodes' instants are apart by up to 2 x 3 ms: too much for 50 ms, not for 100 ms.
    assert list(failed({}, 0.003)) == ["clocks in median completion"]
    assert failed({"completion_median_s": None}, 0.003) == {}
    assert failed({"completion_median_s": 0.001}, None) == {}


@pytest.mark.parametrize("stamped", [True, False])
def test_instants_of_the_head_alone_have_no_error_between_clocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stamped: bool
) -> None:
    """Without a payload, start and end are what the head's records have of them."""
    of_records = Slurm.native_jobs

    def reported(*arguments: Any) -> dict[str, Any]:
        found = of_records(*arguments)
        for job in found.values():
            times = (job.allocated + 10_000_000, job.completed - 10_000_000)
            job.ranks = dict.fromkeys(range(job.nodes), times)
            job.ranks_source = "as it was reported"
        return found

    def uncertain(conditions: dict[str, Any]) -> None:
        for moments in conditions["clock"].values():
            for moment in moments.values():
                moment["uncertainty_ns"] = 60_000_000

    folder = changed(make_trial(tmp_path, KEY), uncertain)
    if not stamped:
        (folder / "stamps.jsonl").write_text("")
        monkeypatch.setattr(Slurm, "native_jobs", reported)
    check = checked(folder, "clocks in median launch")
    assert (check["value"], check["verdict"]) == ((0.12, FAILED) if stamped else (0.0, PASSED))
    assert ("launch_median_s" in read_trial(folder).trial["withheld"]) is stamped


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One trial of 48 of 50 jobs, one invalid, one with a late driver, one that has not run."""
    root = tmp_path_factory.mktemp("campaign")
    experiment = make_experiment(
        nodes=[1],
        repetitions=4,
        workloads=[{"name": "burst", "kind": "burst", "jobs": 50, "runtime": 0}],
    )
    for number in (1, 2, 3):
        key = TrialKey("slurm-n1", "burst", number)
        folder = make_trial(root, key, experiment, failed=number == 2, unfinished=2 * (number == 1))
        if number == 3:
            path = folder / "driver" / "submissions.jsonl"
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            for row in rows:
                row["intended_ns"] -= 250_000_000
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            record = load_record(folder / "record.json")
            record["outputs"]["driver/submissions.jsonl"] = file_digest(path)
            write_json(folder / "record.json", record)
    write_experiment(experiment, root / "experiments.yaml")
    return root


def run(campaign: Path, *arguments: str) -> str:
    options = ["--results", str(campaign), "--experiments", str(campaign / "experiments.yaml")]
    done = CliRunner().invoke(main, ["trials", *options, *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_trials_are_listed_with_verdict_outcome_and_reasons(campaign: Path) -> None:
    text = run(campaign)
    lines = text.splitlines()
    assert "slurm-n1.burst.1  valid    48 of 50 jobs, 2 unfinished" in lines
    assert any(line.startswith("slurm-n1.burst.2  INVALID") for line in lines)
    assert "    invalid: the guest compute1 died; stage: trial; node: compute1" in lines
    assert "    outcome: 2 of 50 jobs UNFINISHED (the scheduler: PENDING)" in lines
    assert "    withheld: the driver was late: largest lateness 25" in text
    assert lines[-1] == "2 of 3 trials valid; 1 have not run"
    assert max(map(len, lines)) <= 100


def test_trials_as_json_have_every_check(campaign: Path) -> None:
    found = json.loads(run(campaign, "--json"))
    assert found["missing"] == ["slurm-n1.burst.4"]
    first = next(row for row in found["trials"] if row["trial"] == "slurm-n1.burst.1")
    assert first["jobs"] | {"all": 50} == {
        "all": 50, "completed": 48, "failed": 0, "rejected": 0, "lost": 0, "duplicated": 0,
        "unfinished": 2, "not_submitted": 0}  # fmt: skip
    assert {"name", "value", "limit", "unit", "verdict", "reason", "withholds"} == set(
        first["checks"][0]
    )


def test_cells_say_how_complete_their_numbers_are(campaign: Path) -> None:
    folders = [campaign / "trials" / "slurm-n1" / "burst" / str(number) for number in (1, 2, 3)]
    build_tables(folders, campaign / "tables")
    trials = load_trials(campaign / "tables")
    cell = cells(trials, "makespan").iloc[0]
    assert (cell["trials"], cell["valid"], cell["n"]) == (3, 2, 2)
    assert (cell["jobs"], cell["completed"], cell["at_least"], cell["withheld"]) == (100, 98, 1, 0)
    wait = cells(trials, "wait_median").iloc[0]
    # Only the wait of the late trial is withheld.
    assert (wait["valid"], wait["n"], wait["withheld"], wait["at_least"]) == (2, 1, 1, 0)
    assert cells(trials, "launch_median").iloc[0]["n"] == 2


def test_a_trial_that_completed_nothing_is_not_dropped_from_its_cell(campaign: Path) -> None:
    folders = [campaign / "trials" / "slurm-n1" / "burst" / str(number) for number in (1, 3)]
    build_tables(folders, campaign / "tables")
    trials = load_trials(campaign / "tables")
    trials.loc[0, "throughput_jobs_per_s"] = 0.0
    cell = cells(trials, "throughput").iloc[0]
    assert cell["n"] == 2 and pd.isna(cell["estimate"])
    assert cell["note"] == NOT_POSITIVE


def test_without_monitoring_nothing_is_judged_about_samples(tmp_path: Path) -> None:
    def off(conditions: dict[str, Any]) -> None:
        del conditions["scraped"]

    folder = changed(make_trial(tmp_path, KEY), off)
    (folder / "samples.json.gz").unlink()
    assert read_trial(folder).trial["valid"]
    check = checked(folder, "part of samples missing")
    assert (check["verdict"], check["reason"]) == (UNKNOWN, "")
    assert list(read_trial(folder).samples()) == []
