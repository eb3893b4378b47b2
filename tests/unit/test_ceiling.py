"""The submitter's ceiling, and costs of daemons by unit and by process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from trial_factory import make_experiment, make_trial

from schedlab.config.trials import TrialKey
from schedlab.figures import style, throughput
from schedlab.metrics.ceiling import WANTED, ceilings, with_payload
from schedlab.metrics.costs import agreement, daemon_costs, scheduler_cost
from schedlab.metrics.statistics import t_interval
from schedlab.report import cost_section
from schedlab.results.records import write_json
from schedlab.tables.build import Tables
from schedlab.tables.trial_rows import read_trial

KEY = TrialKey("slurm-n1", "burst", 1)


def null_trial(root: Path) -> Path:
    """A trial of the null scheduler, with the records that it would leave."""
    folder = make_trial(root, KEY)
    record = json.loads((folder / "record.json").read_text())
    record["trial"]["scheduler"] = "nullscheduler"
    record["verdict"] = {"valid": True, "reasons": []}
    write_json(folder / "record.json", record)
    (folder / "stamps.jsonl").write_text("")
    rows = [json.loads(x) for x in (folder / "driver/submissions.jsonl").read_text().splitlines()]
    lines = []
    for number, row in enumerate(rows, 1):
        row |= {"native_id": str(number), "returncode": 0, "stderr": ""}
        lines.append(f"accepted {number} {row['accepted_ns']} 1 1\n")
        lines.append(f"completed {number} {row['accepted_ns']}\n")
    (folder / "driver/submissions.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (folder / "native" / "jobs.log").write_text("".join(lines))
    return folder


def test_a_trial_without_payload_is_valid_and_has_no_metric_of_one(tmp_path: Path) -> None:
    rows = read_trial(null_trial(tmp_path))
    trial = rows.trial
    assert trial["valid"], trial["reasons"]
    assert trial["payload"] is False
    assert trial["completed"] == trial["jobs"]
    for name in ("makespan_s", "wait_median_s", "utilisation", "launch_median_s", "fairness_jain",
                 "bounded_slowdown_median", "turnaround_median_s", "fragmentation"):  # fmt: skip
        assert trial[name] is None, name
    assert trial["at_least"] == []
    assert trial["submission_rate_jobs_per_s"] > 0
    assert trial["throughput_jobs_per_s"] > 0
    assert {job["started_source"] for job in rows.jobs} == {"null scheduler: no payload runs"}
    # The same records of a scheduler whose jobs do run a payload would be a broken measurement.
    stamps = next(c for c in trial["checks"] if c["name"] == "completed jobs without stamps")
    assert stamps["verdict"] == "not measured"


def head(processors: int) -> str:
    return json.dumps({"declared": {"head": {"cpus": processors, "memory_mib": 1024}}})


def trials(*rows: dict[str, Any]) -> pd.DataFrame:
    common = {"workload": "burst", "nodes": 2, "valid": True, "payload": True, "source": "",
              "snapshot": 1, "conditions": head(2)}  # fmt: skip
    return pd.DataFrame([common | {"cluster": row["scheduler"]} | row for row in rows])


def null(rate: float, **change: Any) -> dict[str, Any]:
    return {"scheduler": "nullscheduler", "payload": False, "submission_rate_jobs_per_s": rate,
            "throughput_jobs_per_s": rate} | change  # fmt: skip


def slurm(rate: float, **change: Any) -> dict[str, Any]:
    return {"scheduler": "slurm", "submission_rate_jobs_per_s": 500.0,
            "throughput_jobs_per_s": rate} | change  # fmt: skip


def test_the_ceiling_is_the_null_schedulers_submission_rate() -> None:
    table = trials(
        null(100.0), null(400.0), null(9.0, valid=False), null(50.0, workload="other"),
        slurm(20.0), slurm(80.0), slurm(10.0, scheduler="volcano"), slurm(900.0, nodes=4),
    )  # fmt: skip
    found = ceilings(table)
    assert [(bound.workload, bound.nodes) for bound in found] == [("burst", 2), ("other", 2)]
    first, other = found
    assert first.rate.estimate == pytest.approx(200)  # geometric, of the two valid ones
    assert (first.rate.n, first.fastest) == (2, "slurm")
    assert first.fastest_rate == pytest.approx(40)
    assert first.ratio == pytest.approx(WANTED)
    assert (other.fastest, other.ratio) == ("", None)
    assert set(with_payload(table)["scheduler"]) == {"slurm", "volcano"}
    assert ceilings(with_payload(table)) == []


def test_the_interval_of_a_ceiling_is_over_equal_clusters() -> None:
    """Trials of one cluster agree, and clusters do not: 3 values, not 9."""
    rates = (100.0, 120.0, 140.0)
    rows = [null(rate, snapshot=number) for number, rate in enumerate(rates, 1) for _ in range(3)]
    (found,) = ceilings(trials(*rows))
    wanted = t_interval(rates, "log")
    assert found.rate.n == 3 and found.rate.low == pytest.approx(wanted.low)


def test_the_ceiling_of_another_host_or_head_bounds_nothing_here() -> None:
    """An import was submitted from another host, and a larger head takes more jobs."""
    far = {"source": "lab", "cluster": "lab:x"}
    large = {"conditions": head(16)}
    table = trials(null(100.0), null(9000.0, **far), null(700.0, **large),
                   slurm(50.0), slurm(400.0, **far))  # fmt: skip
    other_head, own, imported = ceilings(table)
    assert (own.source, own.head) == ("", "2 processors, 1024 MiB")
    assert (own.rate.estimate, own.ratio) == (pytest.approx(100.0), pytest.approx(2.0))
    assert (other_head.head, other_head.ratio) == ("16 processors, 1024 MiB", None)
    assert (imported.source, imported.ratio) == ("lab", pytest.approx(22.5))
    # Alone it bounds none of one's own.
    (alone,) = ceilings(trials(null(9000.0, **far), slurm(50.0)))
    assert alone.ratio is None
    rows = [row["of"] for row in cost_section.ceiling_rows(table)]
    assert rows == ["16 processors, 1024 MiB", "2 processors, 1024 MiB",
                    "lab, 2 processors, 1024 MiB"]  # fmt: skip


def test_a_ceiling_that_is_too_low_is_marked() -> None:
    rows = cost_section.ceiling_rows(trials(null(100.0), slurm(50.0)))
    assert [(row["ratio"], row["enough"]) for row in rows] == [("2.00", False)]
    rows = cost_section.ceiling_rows(trials(null(100.0), slurm(10.0)))
    assert rows[0]["enough"] is True


@pytest.mark.parametrize(("factor", "drawn"), [(1.5, True), (50.0, False)])
def test_the_ceiling_is_drawn_as_a_line_or_told_as_a_value(
    tmp_path: Path, factor: float, drawn: bool
) -> None:
    experiment = make_experiment()
    key = next(key for key in experiment.trials() if key.workload == "burst")
    measured = read_trial(make_trial(tmp_path, key)).trial
    bound = measured | {
        "scheduler": "nullscheduler",
        "cluster": "nullscheduler-n1",
        "payload": False,
        "submission_rate_jobs_per_s": factor * measured["throughput_jobs_per_s"],
    }
    table = pd.DataFrame([measured, bound])
    figure = throughput.draw(Tables(pd.DataFrame(), pd.DataFrame(), table))
    (axis,) = figure.axes
    muted = to_rgba(style.MUTED)
    lines = [
        found
        for found in axis.collections
        if isinstance(found, LineCollection) and muted in map(tuple, found.get_edgecolor())
    ]
    assert bool(lines) == drawn
    assert bool([text for text in axis.texts if "ceiling" in text.get_text()]) != drawn
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert throughput.CEILING in labels
    assert not any(label.startswith("nullscheduler") for label in labels)


def counters(cpu: float, peak: float = 0.0) -> dict[str, float]:
    return {"cpu_seconds": cpu, "rss_bytes": peak / 2, "peak_rss_bytes": peak}


def test_a_units_counter_is_the_cost_of_all_its_processes() -> None:
    units = {"containerd": ["containerd", "containerd-shim-runc-v2"], "slurmrestd": ["slurmrestd"]}
    found = daemon_costs(
        {"n1": {"containerd": counters(1.0), "slurmd": counters(3.0), "slurmrestd": counters(0)}},
        {
            "n1": {
                "containerd": counters(2.0, 10),
                "containerd-shim-runc-v2": counters(0.5, 4),
                "slurmd": counters(4.5, 6),
                "slurmrestd": counters(7.0, 5),
            }
        },
        {"n1": {"containerd": {"cpu_seconds": 10.0, "periods": 100.0, "throttled_periods": 9.0}}},
        {
            "n1": {
                "containerd": {
                    "cpu_seconds": 12.5,
                    "peak_memory_bytes": 100.0,
                    "periods": 150.0,
                    "throttled_periods": 49.0,
                    "throttled_seconds": 3.0,
                },
                "slurmrestd": {"cpu_seconds": 7.5},
                "foreign": {"cpu_seconds": 99.0},
            }
        },
        units,
        client=["slurmrestd"],
    )
    rows = {row["process"]: row for row in found}
    assert set(rows) == {"containerd + containerd-shim-runc-v2", "slurmd", "slurmrestd"}
    both = rows["containerd + containerd-shim-runc-v2"]
    # Short shims used a second that the counters of processes missed.
    assert (both["cpu_s"], both["unit_cpu_s"], both["process_cpu_s"]) == (2.5, 2.5, 1.5)
    assert (both["unit_peak_bytes"], both["peak_rss_bytes"]) == (100.0, 14.0)
    held = ("quota_periods", "throttled_periods", "throttled_s")
    assert [both[name] for name in held] == [50.0, 40.0, 3.0]
    # A record of before these were read has none of them.
    assert [rows["slurmrestd"][name] for name in held] == [None] * 3
    assert (rows["slurmd"]["cpu_s"], rows["slurmd"]["unit_cpu_s"]) == (1.5, None)
    assert rows["slurmrestd"]["group"] == "client"
    total = scheduler_cost(found, 4)
    assert total == {"cpu_s": 4.0, "cpu_per_job_s": 1.0, "peak_rss_bytes": 106.0}


def test_the_report_says_how_well_both_counters_agree() -> None:
    cost = {"node": "head", "process": "slurmctld", "group": "scheduler", "cpu_s": 2.0,
            "process_cpu_s": 1.9, "unit_cpu_s": 2.0}  # fmt: skip
    by_process = cost | {"process": "slurmd", "unit_cpu_s": None}
    table = pd.DataFrame(
        [
            {"trial": f"t{number}", "scheduler": "slurm", "valid": number < 2,
             "daemon_cost": [cost, by_process]}
            for number in range(3)
        ]
    )  # fmt: skip
    (row,) = agreement(table)
    assert (row["process"], row["trials"], row["unit_s"]) == ("slurmctld", 2, 4.0)
    assert row["relative"] == pytest.approx(0.05)
    assert cost_section.agreement_rows(table)[0]["relative"] == "+5.0 %"
    table["daemon_cost"] = None
    assert agreement(table) == []
