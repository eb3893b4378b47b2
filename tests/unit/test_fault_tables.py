"""What the tables say of a trial in which something broke, from SYNTHETIC records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from simulated_cluster import SECOND
from trial_factory import make_experiment, make_trial

from schedlab.config.trials import TrialKey
from schedlab.metrics.costs import daemon_failures
from schedlab.metrics.quantities import BREAKING
from schedlab.report.results_section import table_where_told
from schedlab.results.records import write_json
from schedlab.tables.build import build_tables, load_tables
from schedlab.tables.schemas import FAILED
from schedlab.tables.trial_rows import read_trial


def test_daemons_that_the_trial_restarted_did_not_fail_unless_they_stay_dead() -> None:
    before = {name: {"processes": 1.0, "starts": 1.0} for name in ("ctld", "auth", "api")}
    after = {
        "ctld": {"processes": 1.0, "starts": 2.0},
        "auth": {"processes": 1.0, "starts": 2.0},
        "api": {"processes": 0.0, "starts": 1.0},
    }
    assert daemon_failures(before, after, before, ("ctld", "api")) == [
        "auth was started again during the trial", "api died during the trial",
    ]  # fmt: skip


def broken(root: Path, kind: str, restarts: list[str], repetition: int = 1) -> Path:
    """A synthetic trial beside whose workload a fault came 1 s after its start."""
    work = {"name": "w", "kind": "burst", "jobs": 24, "runtime": 1.0}
    work["fault"] = {"kind": kind, "at": 1.0, "lasts": 1.0}
    experiment = make_experiment(workloads=[work])
    folder = make_trial(root, TrialKey("slurm-n2", "w", repetition), experiment)
    path = folder / "record.json"
    record = json.loads(path.read_text())
    conditions = record["conditions"]
    start = conditions["start_ns"]
    plan = json.loads((folder / "trace.json").read_text())["scale"]["fault"]
    conditions["fault"] = {
        "kind": kind,
        "node": plan["node"],
        "restarts": restarts,
        "begin": {"start_ns": start + SECOND, "end_ns": start + SECOND},
        "end": {"start_ns": start + 2 * SECOND, "end_ns": start + 2 * SECOND},
        "within": True,
    }
    for at, starts in (("start", 1.0), ("end", 2.0)):
        conditions["daemon_cost"][at]["head"]["slurmctld"] |= {"processes": 1.0, "starts": starts}
    write_json(path, record)
    return folder


def test_a_restart_that_the_trial_provoked_leaves_it_valid_and_withholds_costs(
    tmp_path: Path,
) -> None:
    folder = broken(tmp_path, "restart", ["slurmctld"])
    trial = read_trial(folder).trial
    assert trial["valid"], trial["reasons"]
    assert (trial["fault"], trial["fault_node"], trial["daemons"]) == ("restart", None, [])
    assert trial["fault_begin_s"] == pytest.approx(1.0)
    assert trial["fault_next_start_s"] > 0
    assert trial["scheduler_cpu_s"] is None and "scheduler_cpu_s" in trial["withheld"]


def test_a_restart_that_it_did_not_provoke_is_told_as_before(tmp_path: Path) -> None:
    trial = read_trial(broken(tmp_path, "drain", [])).trial
    assert trial["daemons"] == ["slurmctld was started again during the trial"]
    assert trial["fault_node"] in {"compute1", "compute2"}
    assert trial["scheduler_cpu_s"] is not None


@pytest.mark.parametrize("lost_one", [True, False])
def test_only_the_node_that_was_cut_off_may_lack_samples(lost_one: bool, tmp_path: Path) -> None:
    folder = broken(tmp_path, "fail", [])
    record = json.loads((folder / "record.json").read_text())
    cut_off = record["conditions"]["fault"]["node"]
    other = "compute2" if cut_off == "compute1" else "compute1"
    record["conditions"]["scraped"][f"node/{cut_off if lost_one else other}"] = 0.0
    write_json(folder / "record.json", record)
    checks = {check["name"]: check for check in read_trial(folder).trial["checks"]}
    assert (checks["part of samples missing"]["verdict"] == FAILED) is not lost_one


def test_the_report_has_a_table_of_what_broke(tmp_path: Path) -> None:
    folders = [broken(tmp_path, "restart", ["slurmctld"], number) for number in (1, 2, 3)]
    build_tables(folders, tmp_path / "tables")
    trials = load_tables(tmp_path / "tables").trials
    found = table_where_told(trials, BREAKING)
    titles = [column["title"] for column in found["columns"]]
    assert titles == ["Next start after a restart", "Jobs whose run was given up",
                      "Jobs that ran again"]  # fmt: skip
    (row,) = found["rows"]
    assert row["workload"] == "w" and row["values"][0]["n"] == 3
