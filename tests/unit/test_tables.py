"""Tables from SYNTHETIC trial folders: clocks, sources, verdicts, schemas."""

from __future__ import annotations

import json
from pathlib import Path

import job_factory
import pandas as pd
import pyarrow.parquet as pq
import pytest
from simulated_cluster import BEHIND, simulate
from trial_factory import FAILED, PATIENCE, make_experiment, make_results, make_trial

from schedlab.config.trials import TrialKey
from schedlab.errors import SchedlabError
from schedlab.metrics.durations import times
from schedlab.results.records import write_json
from schedlab.results.series import read_series, write_series
from schedlab.schedulers import get_scheduler
from schedlab.schedulers.base import TIMESTAMPS
from schedlab.tables.build import Tables, build_tables, load_tables
from schedlab.tables.clocks import NodeClock, node_clocks
from schedlab.tables.schemas import (
    JOBS_SCHEMA,
    PASSED,
    SAMPLES_SCHEMA,
    TRIALS_SCHEMA,
    VERSION,
    unit,
)
from schedlab.tables.trial_rows import fates_told, read_trial
from schedlab.tables.validity import instants_in_order

SECOND = 1_000_000_000
KEY = TrialKey("slurm-n2", "poisson", 1)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    build_tables(make_results(root), root / "tables")
    return root


@pytest.fixture(scope="module")
def tables(results: Path) -> Tables:
    return load_tables(results / "tables")


def test_one_row_for_every_job_of_every_trial(tables: Tables) -> None:
    experiment = make_experiment()
    jobs = {"burst": 12, "poisson": 15, "gang": 6, "swf": 10}
    assert len(tables.trials) == len(experiment.trials())
    assert len(tables.jobs) == sum(jobs[key.workload] for key in experiment.trials())
    assert tables.jobs.groupby("trial")["job"].nunique().sum() == len(tables.jobs)


def test_instants_are_those_of_the_simulation_on_one_time_line(tmp_path: Path) -> None:
    """Guests' clocks were an hour late, unequal and drifting; the tables correct this."""
    experiment = make_experiment()
    rows = read_trial(make_trial(tmp_path, KEY, experiment)).jobs
    trace = experiment.trace(KEY.workload, 2, KEY.repetition)
    runs = simulate(trace, trace.seed)
    for row, run in zip(rows, runs, strict=True):
        exact = {"intended": run.job.arrival, "submit": run.submit, "started": min(run.first),
                 "finished": max(run.last)}  # fmt: skip
        for name, expected in exact.items():
            assert row[name] == pytest.approx(expected * SECOND, abs=2_000), name
        # From a log that is cut to milliseconds; "accepted" is when the log says it.
        assert row["allocated"] == pytest.approx(run.allocated * SECOND, abs=1_001_000)
        assert row["completed"] == pytest.approx(run.completed * SECOND, abs=1_001_000)
        assert row["placement"] == run.placement
        for name, expected in {"rank_started": run.first, "rank_finished": run.last}.items():
            assert row[name] == pytest.approx([s * SECOND for s in expected], abs=2_000), name


def test_every_instant_names_its_source(tables: Tables) -> None:
    for name in TIMESTAMPS:
        known = tables.jobs[name].notna()
        assert tables.jobs.loc[known, f"{name}_source"].str.contains(r"\(1 n?m?s\)").all()
        assert tables.jobs.loc[~known, f"{name}_source"].isna().all()


def test_an_invalid_trial_stays_in_the_tables_with_its_reason(tables: Tables) -> None:
    row = tables.trials.set_index("trial").loc[FAILED]
    assert not row["valid"]
    assert "compute1 died" in row["reasons"][0]
    assert row["jobs"] == 6 and row["completed"] < 6
    assert pd.isna(row["makespan_s"])
    assert (tables.jobs["trial"] == FAILED).sum() == 6


def test_a_failed_job_is_an_outcome_of_a_valid_trial(tmp_path: Path) -> None:
    folder = make_trial(tmp_path, KEY)
    log = folder / "native" / "scontrol-jobs.txt"
    changed = log.read_text().replace("JobState=COMPLETED", "JobState=FAILED", 1)
    log.write_text(changed.replace("ExitCode=0:0", "ExitCode=1:0", 1))
    trial = read_trial(folder).trial
    assert trial["valid"] and trial["reasons"] == []
    assert trial["told"] == ["1 of 15 jobs FAILED"]
    assert trial["failed"] == 1 and trial["completed"] == 14
    assert trial["throughput_jobs_per_s"] > 0


def test_unfinished_jobs_stay_in_every_number_of_their_trial(tmp_path: Path) -> None:
    """A scheduler that drops two jobs has no better numbers than one that runs them."""
    whole = read_trial(make_trial(tmp_path / "whole", KEY)).trial
    rows = read_trial(make_trial(tmp_path / "part", KEY, unfinished=2))
    part = rows.trial
    assert part["valid"] and part["timed_out"]
    assert (part["jobs"], part["completed"], part["unfinished"]) == (15, 13, 2)
    assert part["told"] == ["2 of 15 jobs UNFINISHED (the scheduler: PENDING)"]
    submit = min(row["submit"] for row in rows.jobs) / SECOND
    window = part["observed_s"] - submit
    assert part["observed_s"] == pytest.approx(part["limit_s"])
    assert part["throughput_jobs_per_s"] == pytest.approx(13 / window)
    assert part["makespan_s"] == pytest.approx(window)
    due = rows.jobs[-1]["intended"] / SECOND
    assert part["wait_max_s"] == pytest.approx(part["observed_s"] - rows.jobs[-2]["intended"] / 1e9)
    assert part["wait_max_s"] > part["observed_s"] - due > PATIENCE
    for name in ("makespan_s", "wait_mean_s", "wait_max_s", "turnaround_mean_s"):
        assert name in part["at_least"]
        assert part[name] > whole[name], name
    # Of 15 jobs, the median is one that started.
    assert "wait_median_s" not in part["at_least"]
    assert part["throughput_jobs_per_s"] < whole["throughput_jobs_per_s"]
    assert whole["at_least"] == []


def test_a_job_that_the_driver_never_came_to_was_due_all_the_same(tmp_path: Path) -> None:
    folder = make_trial(tmp_path, KEY, unfinished=1)
    path = folder / "driver" / "submissions.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("".join(line + "\n" for line in lines[:-1]))
    rows = read_trial(folder)
    assert rows.jobs[-1]["state"] == "NOT_SUBMITTED"
    assert rows.jobs[-1]["intended_source"] == "driver: plan (1 ns)"
    trace = json.loads((folder / "trace.json").read_text())
    arrival = trace["jobs"][-1]["arrival"]
    assert rows.jobs[-1]["intended"] == pytest.approx(arrival * SECOND, abs=2_000)
    # The driver was as late as the trial is long, so measures of waits are withheld.
    assert rows.trial["lateness_max_s"] == pytest.approx(rows.trial["observed_s"] - arrival)
    assert rows.trial["wait_median_s"] is None and rows.trial["valid"]
    assert "wait_median_s" in rows.trial["withheld"]


def test_a_daemon_that_restarted_is_an_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_trial(tmp_path, KEY)
    path = folder / "record.json"
    record = json.loads(path.read_text())
    costs = record["conditions"]["daemon_cost"]
    for moment, starts in (("start", 1), ("end", 2)):
        costs[moment]["head"]["slurmctld"] |= {"processes": 1, "starts": starts}
    # The dead daemon also caused the records that could not be taken afterwards.
    record["conditions"]["not_taken"] = ["sdiag.txt could not be taken: connection refused"]
    record["conditions"]["health"] = {"after": ["health check `sinfo` fails"]}
    write_json(path, record)
    trial = read_trial(folder).trial
    assert trial["valid"]
    assert trial["daemons"] == ["slurmctld was started again during the trial"]
    # A process that ends when it has nothing to do has not died.
    monkeypatch.setattr(type(get_scheduler("slurm")), "passing", frozenset({"slurmctld"}))
    assert read_trial(folder).trial["daemons"] == []


def test_the_record_says_how_many_submissions_were_under_way(tables: Tables) -> None:
    rows = tables.trials.set_index("trial")
    # All twelve are due at once, and each takes longer than they are apart.
    assert rows.loc["slurm-n1.burst.1", "concurrency"] == 12


@pytest.mark.parametrize("lost", ["both", "last"])
def test_a_completed_job_without_all_its_stamps_makes_its_trial_invalid(
    tmp_path: Path, lost: str
) -> None:
    folder = make_trial(tmp_path, TrialKey("slurm-n2", "gang", 1))
    path = folder / "stamps.jsonl"
    kept = [
        line
        for line in path.read_text().splitlines()
        if not (
            (row := json.loads(line))["job"] == 2
            and row["rank"] == 1
            and lost in {"both", row["event"]}
        )
    ]
    path.write_text("\n".join(kept) + "\n")
    trial = read_trial(folder).trial
    assert not trial["valid"]
    assert "1 of 6 COMPLETED jobs lack stamps" in trial["reasons"][0]
    path.unlink()
    assert "6 of 6 COMPLETED jobs lack stamps" in read_trial(folder).trial["reasons"][0]


def test_instants_in_an_impossible_order_make_a_trial_invalid(tmp_path: Path) -> None:
    folder = make_trial(tmp_path, KEY)
    path = folder / "stamps.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["clock_ns"] -= 5 * SECOND if row["job"] == 3 else 0
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    trial = read_trial(folder).trial
    assert not trial["valid"]
    assert "before they were" in trial["reasons"][0]


def test_without_gangs_a_rank_may_start_before_the_last_one_has_its_place() -> None:
    instants = {
        "intended": [0, 0],
        "submit": [0, 0],
        "allocated": [9, 1],
        "started": [2, 2],
        "finished": [12, 3],
        "completed": [13, 4],
    }
    jobs = pd.DataFrame({name: [v * SECOND for v in values] for name, values in instants.items()})
    jobs = jobs.assign(state="COMPLETED", nodes=[2, 1], interrupted=None, restarted=None)
    assert instants_in_order(jobs, {}, gang=False).verdict == PASSED
    assert "started before they were allocated" in instants_in_order(jobs, {}, gang=True).reason
    jobs["nodes"] = 1
    assert "started before they were allocated" in instants_in_order(jobs, {}, gang=False).reason


@pytest.mark.parametrize("state", ["TIMEOUT", "CANCELLED"])
def test_what_a_scheduler_ended_may_run_on_until_it_is_killed(state: str) -> None:
    """Slurm writes the end of a job down when its time is over, and then ends its processes."""
    row = {"intended": 0, "submit": 0, "allocated": 1, "started": 40, "finished": 82}
    jobs = job_factory.frame({**row, "completed": 61, "state": state, "interrupted": None})
    jobs["restarted"] = None
    assert instants_in_order(jobs, {}, gang=True).verdict == PASSED
    assert times(jobs, "completion").seconds.tolist() == [pytest.approx(float("nan"), nan_ok=True)]
    jobs["state"] = "COMPLETED"
    told = instants_in_order(jobs, {}, gang=True).reason
    assert "completed before they were finished" in told
    assert times(jobs, "completion").seconds.tolist() == [-21.0]


def test_the_outcome_says_what_the_scheduler_said() -> None:
    jobs = pd.DataFrame(
        {
            "state": ["COMPLETED", "UNFINISHED", "UNFINISHED", "REJECTED"],
            "native_state": ["Complete", "Active (unschedulable: 2 Insufficient cpu)"] * 2,
        }
    )
    jobs.loc[3, "native_state"] = "etcdserver: mvcc: database space exceeded"
    jobs.loc[2, "native_state"] = jobs.loc[1, "native_state"]
    assert fates_told(jobs) == [
        "1 of 4 jobs REJECTED (the scheduler: etcdserver: mvcc: database space exceeded)",
        "2 of 4 jobs UNFINISHED (the scheduler: Active (unschedulable: 2 Insufficient cpu))",
    ]


def test_jobs_that_their_time_limit_ended_are_told_with_what_it_left_them() -> None:
    jobs = pd.DataFrame({"state": ["TIMEOUT", "COMPLETED", "TIMEOUT"], "native_state": "TIMEOUT"})
    jobs = jobs.assign(walltime=[60.0, 600.0, 70.0], runtime_requested=[0.0, 9.0, 5.0])
    (told,) = fates_told(jobs)
    assert told.startswith("2 of 3 jobs TIMEOUT: they run 5 s at most, and had 70 s at most")
    jobs["runtime_requested"] = 100.0
    assert fates_told(jobs) == ["2 of 3 jobs TIMEOUT"]


def test_schemas_carry_units_and_version(results: Path) -> None:
    for name, schema in (
        ("jobs", JOBS_SCHEMA),
        ("samples", SAMPLES_SCHEMA),
        ("trials", TRIALS_SCHEMA),
    ):
        found = pq.read_schema(results / "tables" / f"{name}.parquet")
        assert found.names == schema.names
        assert found.metadata[b"schema"].decode() == VERSION
        for field in found:
            assert b"unit" in field.metadata and field.metadata[b"description"]
    assert unit(JOBS_SCHEMA, "started") == "ns"
    assert unit(TRIALS_SCHEMA, "makespan_s") == "s"


def test_lineage_of_a_row_is_that_of_its_trial(results: Path, tables: Tables) -> None:
    record = json.loads((results / "trials/slurm-n1/burst/1/record.json").read_text())
    rows = tables.jobs[tables.jobs["trial"] == "slurm-n1.burst.1"]
    assert set(rows["lineage"]) == {record["lineage"]}


def test_equal_jobs_have_one_digest_and_other_jobs_another(tables: Tables) -> None:
    rows = tables.trials
    of_nodes = rows[rows["nodes"] == 1].groupby("workload")["trace"].nunique()
    # A burst is the same in every repetition; arrivals of the others are drawn anew.
    assert of_nodes["burst"] == 1 and of_nodes["poisson"] == 3
    assert rows.loc[rows["workload"] == "burst", "trace"].nunique() == 2
    assert rows["host"].nunique() == 1


def test_the_host_of_a_trial_is_its_description_not_its_load(tmp_path: Path) -> None:
    def host(**changes: object) -> str | None:
        folder = make_trial(tmp_path / str(len(list(tmp_path.iterdir()))), KEY)
        record = json.loads((folder / "record.json").read_text())
        record["conditions"]["host"] |= changes
        (folder / "record.json").write_text(json.dumps(record))
        found: str | None = read_trial(folder).trial["host"]
        return found

    assert host() == host(load_start=9.0, steal=5.0) != host(memory_mib=1)
    assert host(**dict.fromkeys(("cpu", "cores", "memory_mib", "kernel", "system"))) is None


def test_same_trials_give_the_same_bytes(results: Path, tmp_path: Path) -> None:
    experiment = make_experiment()
    folders = [
        results / "trials" / key.cluster / key.workload / str(key.repetition)
        for key in experiment.trials()
    ]
    build_tables(folders, tmp_path)
    for name in Tables._fields:
        first = (results / "tables" / f"{name}.parquet").read_bytes()
        assert first == (tmp_path / f"{name}.parquet").read_bytes(), name


def test_samples_are_relative_to_the_trial(tables: Tables) -> None:
    one = tables.samples[tables.samples["trial"] == "slurm-n1.burst.1"]
    assert set(one["metric"]) >= {
        "node_cpu_seconds_total",
        "schedlab_process_cpu_seconds_total",
        "schedlab_process_resident_memory_bytes",
    }
    assert one["t_ns"].between(-SECOND, 60 * SECOND).all()
    assert set(one["instance"]) == {"head", "compute1"}


def test_clock_map_by_hand() -> None:
    # Ten seconds behind at 100 s, eight at 200 s: at the guest's 141 the controller has 150.
    clock = NodeClock(-10 * SECOND, -8 * SECOND, 100 * SECOND, 200 * SECOND, 5)
    assert clock.to_controller(90 * SECOND) == 100 * SECOND
    assert clock.to_controller(192 * SECOND) == 200 * SECOND
    assert clock.to_controller(141 * SECOND) == 150 * SECOND


def test_an_offset_holds_at_the_instant_of_its_own_measurement() -> None:
    """The end's clocks are measured after `end_ns`, and one node's after another's."""

    def measured(*instants: int) -> dict[str, dict[str, int]]:
        return {
            moment: {"offset_ns": seconds * SECOND, "uncertainty_ns": 5, "at_ns": at * SECOND}
            for moment, seconds, at in zip(("start", "end"), (-10, -8), instants, strict=True)
        }

    clocks = node_clocks(
        {
            "start_ns": 110 * SECOND,
            "end_ns": 150 * SECOND,
            "clock": {"head": measured(100, 200), "compute1": measured(102, 202)},
        }
    )
    assert clocks["head"].to_controller(141 * SECOND) == 150 * SECOND
    assert clocks["compute1"].to_controller(143 * SECOND) == 152 * SECOND


def test_records_without_the_instants_of_measurements_are_read_as_before() -> None:
    offsets = {"offset_ns": -10 * SECOND, "uncertainty_ns": 5}
    moments = {"start": offsets, "end": offsets | {"offset_ns": -8 * SECOND}}
    clocks = node_clocks(
        {"start_ns": 100 * SECOND, "end_ns": 200 * SECOND, "clock": {"head": moments}}
    )
    assert clocks["head"] == NodeClock(-10 * SECOND, -8 * SECOND, 100 * SECOND, 200 * SECOND, 5)


def test_one_measurement_gives_a_constant_offset() -> None:
    measured = {"start": {"offset_ns": BEHIND, "uncertainty_ns": 7}}
    clocks = node_clocks({"start_ns": 5, "clock": {"head": measured, "compute1": {}}})
    assert list(clocks) == ["head"]
    assert clocks["head"].to_controller(BEHIND + 9) == 9


def test_series_survive_a_round_trip_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "samples.json.gz"
    series = [
        {"metric": "a", "labels": {"x": "1"}, "values": [(1.0, 2.0), (2.0, float("inf"))]},
        {"metric": "b", "labels": {}, "values": []},
    ]
    assert write_series(path, series) == 2
    assert list(read_series(path)) == series
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(SchedlabError, match=r"samples\.json\.gz cannot be read"):
        list(read_series(path))


def test_tables_of_another_version_are_refused(results: Path, tmp_path: Path) -> None:
    for name in Tables._fields:
        table = pq.read_table(results / "tables" / f"{name}.parquet")
        pq.write_table(
            table.replace_schema_metadata({"schema": "schedlab.tables/0"}),
            tmp_path / f"{name}.parquet",
        )
    with pytest.raises(SchedlabError, match="schedlab.tables/0"):
        load_tables(tmp_path)
    with pytest.raises(SchedlabError, match="cannot be read"):
        load_tables(tmp_path / "nowhere")
