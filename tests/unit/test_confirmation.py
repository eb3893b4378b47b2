"""What limits a searched cell, and searches in which that is lifted (SYNTHETIC trials)."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from record_factory import make_records, write_record
from test_saturation import ROOT, SPEC, climbed, experiment
from trial_factory import make_trial

from schedlab.config import Cluster, Experiment, HostFacts
from schedlab.config.load import read_experiment, write_experiment
from schedlab.design import load_experiment
from schedlab.metrics.confirmation import Lifting, Prediction, confirmations, limiters
from schedlab.metrics.limiter import limiter
from schedlab.paths import decision_record
from schedlab.report.lifting import liftings
from schedlab.report.saturation_section import saturation
from schedlab.results.imports import Origin
from schedlab.results.records import load_record
from schedlab.schedulers.limits import Limit
from schedlab.stages.context import Context
from schedlab.stages.decision import moved, unless_limited, write_decision
from schedlab.stages.stopped import stop_if_decided
from schedlab.tables.validity import ACROSS
from schedlab.workloads import workload_from
from schedlab.workloads.ladder import bracket
from schedlab.workloads.saturate import Saturate

PARTS = {f"{name}_mean_s": 0.1 for name in ("lateness", "submission", "scheduling", "launch")}


ROW: dict[str, Any] = PARTS | {
    "utilisation_steady": 0.5,
    "observed_s": 10.0,
    "daemon_cost": [],
    "limits": "[]",
}


def limited(**changes: Any) -> tuple[str, str]:
    found = limiter(ROW | changes)
    return found.name, found.lift


def allowed(counted: float | None) -> str:
    limit = {"name": "requests of x", "setting": "xQps", "per_second": 5.0, "counted": counted}
    return json.dumps([limit])


def cost(seconds: float, group: str = "scheduler") -> list[dict[str, Any]]:
    return [{"node": "head", "process": "ctld", "group": group, "cpu_s": seconds, "serial": True}]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, ""),
        ({"utilisation_steady": 0.95}, "the machine"),
        ({"lateness_mean_s": 5.0}, "submitter"),
        ({"limits": allowed(45.0)}, "limit of requests of x"),
        ({"limits": allowed(30.0)}, ""),
        ({"limits": allowed(None)}, ""),
        ({"daemon_cost": cost(9.0)}, "processor time of ctld"),
        ({"daemon_cost": cost(9.0, "client")}, ""),
        ({"scheduling_mean_s": 5.0}, "scheduling"),
        ({"launch_mean_s": 5.0}, "launcher"),
        ({"submission_mean_s": 5.0}, "acceptance by the API server or controller"),
        # The first rule that holds names it.
        ({"limits": allowed(45.0), "scheduling_mean_s": 5.0}, "limit of requests of x"),
    ],
)
def test_the_limiter_is_named_by_the_first_rule_that_holds(
    changes: dict[str, Any], name: str
) -> None:
    assert limited(**changes)[0] == name


COUNTED = [
    ({"limits": allowed(45.0)}, "limit of requests of x", "the number of requests"),
    (
        {
            "limits": json.dumps(
                [Limit("quota of ctld", "q", None, None, (), 0.5, "ctld")._asdict()]
            ),
            "daemon_cost": cost(4.5),
        },
        "quota of ctld",
        "the processor time of ctld",
    ),
    ({"daemon_cost": cost(9.0)}, "processor time of ctld", "the processor time of daemons"),
]


@pytest.mark.parametrize(("changes", "name", "what"), COUNTED)
def test_what_was_counted_is_judged_whatever_is_withheld(
    changes: dict[str, Any], name: str, what: str
) -> None:
    withheld = {column for columns in ACROSS.values() for column in columns}
    waits = {"scheduling_mean_s": 5.0} | dict.fromkeys(withheld)
    assert limited(**(waits | changes))[0] == name
    # Without the time nothing is named, and not what a later rule would name.
    found = limiter(ROW | waits | changes | {"observed_s": None})
    assert found.name == "" and found.evidence.startswith("not judged") and what in found.evidence


def test_requests_are_divided_by_the_time_in_which_they_were_counted() -> None:
    limit = json.loads(allowed(45.0))[0]
    counted = [limit | {"seconds": 20.0, "client": "a part of x"}]
    assert limited(limits=json.dumps(counted)) == ("", "")
    counted[0]["seconds"] = 9.0
    found = limiter(ROW | {"limits": json.dumps(counted), "observed_s": None})
    assert found.name == "limit of requests of x"
    assert "5 requests/s of its busiest client (a part of x)" in found.evidence


def test_a_limit_of_a_client_is_named_with_the_setting_that_lifts_it() -> None:
    assert limited(limits=allowed(45.0)) == ("limit of requests of x", "xQps")


def cell(cluster: str, per_second: float, knee: float) -> list[dict[str, Any]]:
    """Two steps of a search whose limiter is a client's limit."""
    limit = {"name": "x", "setting": "xQps", "per_second": per_second, "counted": 9.5 * per_second}
    common = PARTS | {
        "workload": "knee", "cluster": cluster, "scheduler": cluster, "adapter": "made", "nodes": 1,
        "valid": True, "payload": True, "source": "", "conditions": "{}",
        "search": 1, "snapshot": 1, "limits": json.dumps([limit]),
        "utilisation_steady": 0.25, "observed_s": 10.0, "daemon_cost": [],
        "precision": 0.04, "why_not": ["queue"],
    }  # fmt: skip
    # A queue that grows by 2 % of the arrivals does not count as growing.
    return [common | {"rate": knee / 0.98 / 1.02, "sustained": True, "why_not": []},
            common | {"rate": knee / 0.98 * 1.02, "sustained": False}]  # fmt: skip


def lifting(**recorded: Prediction) -> list[Lifting]:
    return [Lifting("a", "b", frozenset({"xQps"}), recorded)]


@pytest.mark.parametrize(
    ("lifted", "knee", "predicted", "why", "confirmed"),
    [
        (10.0, 5.5, 5.0, "xQps is 2 times", True),
        (10.0, 3.0, 5.0, "xQps is 2 times", False),
        # At four times the rate the machine, which is a quarter busy, is full.
        (50.0, 10.5, 10.0, "the machine is full", True),
    ],
)
def test_lifting_a_limiter_is_compared_with_the_prediction(
    lifted: float, knee: float, predicted: float, why: str, confirmed: bool
) -> None:
    trials = pd.DataFrame([*cell("a", 5.0, 2.5), *cell("b", lifted, knee)])
    (found,) = confirmations(trials, limiters(trials), lifting())
    assert (found.cluster, found.other, found.setting) == ("a", "b", "xQps")
    assert not found.before
    assert found.predicted == pytest.approx(predicted)
    assert why in found.why
    assert found.confirmed is confirmed


def test_what_was_predicted_before_is_judged_and_not_what_follows_now() -> None:
    trials = pd.DataFrame([*cell("a", 5.0, 2.5), *cell("b", 10.0, 7.4)])
    recorded = lifting(knee=Prediction(7.0, "told before"))
    (found,) = confirmations(trials, limiters(trials), recorded)
    assert (found.predicted, found.why, found.before) == (7.0, "told before", True)
    assert found.confirmed is True


def test_the_submitters_ceiling_bounds_what_was_predicted_before() -> None:
    null = [row | {"payload": False, "limits": "[]"} for row in cell("null", 1.0, 5.5)]
    trials = pd.DataFrame([*cell("a", 5.0, 2.5), *cell("b", 10.0, 5.4), *null])
    recorded = lifting(knee=Prediction(9.0, "told before"))
    (found,) = confirmations(trials, limiters(trials), recorded)
    assert found.predicted == pytest.approx(5.5) and "submitter" in found.why
    assert not found.before


@pytest.mark.parametrize(
    ("per_second", "pairs"),
    [(6.0, []), (10.0, [Lifting("a", "b", frozenset({"yQps"}), {})]), (10.0, [])],
)
def test_cells_that_do_not_lift_the_limiter_are_no_pair(
    per_second: float, pairs: list[Lifting]
) -> None:
    """A limit that grows by a fifth, another limit, clusters that differ in more."""
    trials = pd.DataFrame([*cell("a", 5.0, 2.5), *cell("b", per_second, 2.5)])
    assert not confirmations(trials, limiters(trials), pairs or lifting() * (per_second == 6.0))


def test_clusters_that_differ_in_one_limit_are_a_pair(tmp_path: Path) -> None:
    spec = SPEC | {"confirm": True}
    variants = [
        {"name": "a", "scheduler": "slurm", "settings": {"CPUQuota": "5 %"}},
        {"name": "b", "scheduler": "slurm", "settings": {"CPUQuota": "20 %"}},
        {"name": "c", "scheduler": "slurm",
         "settings": {"CPUQuota": "20 %", "SchedulerType": "sched/builtin"}},
    ]  # fmt: skip
    lifted = {"a": {"quota": {"CPUQuota": "10 %"}}}
    made = experiment(schedulers=variants, workloads=[spec], lifted=lifted, nodes=[1, 2])
    told = {"run": True, "rate": 1.0, "predicted": 2.5, "why": "twice"}
    path = decision_record("a-quota-lifted-n1", "knee", 1)
    write_record(tmp_path / path, tmp_path, "decision", "a-quota-lifted-n1.knee.1", decision=told)
    found = {(one.cluster, one.other): one for one in liftings([Origin("", tmp_path, made)])}
    names = ["a-n1", "a-quota-lifted-n1", "b-n1"]
    assert {pair for pair in found if pair[0].endswith("n1")} == set(permutations(names, 2))
    assert all(one.settings == {"CPUQuota"} for one in found.values())
    recorded = {pair: one.recorded for pair, one in found.items() if one.recorded}
    assert recorded == {("a-n1", "a-quota-lifted-n1"): {"knee": Prediction(2.5, "twice")}}
    imported = liftings([Origin("lab", tmp_path, made)])
    assert imported[0].cluster.startswith("lab:") and imported[0].other.startswith("lab:")


def test_predictions_of_equal_clusters_are_joined_as_their_knee_is(tmp_path: Path) -> None:
    variants = [{"name": "a", "scheduler": "slurm", "settings": {"CPUQuota": "5 %"}}]
    made = experiment(
        schedulers=variants,
        workloads=[SPEC | {"confirm": True}],
        lifted={"a": {"quota": {"CPUQuota": "10 %"}}},
        repetitions={"trials": 1, "clusters": 2},
    )

    def decide(**told: dict[str, Any]) -> Lifting:
        for suffix, decision in zip(("", "-c2"), told.values(), strict=True):
            key = f"a-quota-lifted-n1{suffix}"
            path = tmp_path / decision_record(key, "knee", 1)
            write_record(path, tmp_path, "decision", f"{key}.knee.1", decision=decision)
        (pair,) = (one for one in liftings([Origin("", tmp_path, made)]) if one.cluster == "a-n1")
        return pair

    one, other = ({"run": True, "rate": 1.0, "predicted": rate, "why": "twice"} for rate in (2, 8))
    joined = decide(first=one, second=other).recorded["knee"]
    assert joined.rate == pytest.approx(4.0)
    assert joined.why == "twice (mean of the predictions of 2 equal clusters)"
    no = {"run": False, "rate": None, "limiter": "x", "why": "another"}
    found = decide(first=no, second=other)
    assert (found.recorded, found.refused) == ({"knee": Prediction(8.0, "twice")}, {})
    found = decide(first=no, second=no)
    assert (found.recorded, found.refused) == ({}, {"knee": "another"})


def test_a_search_is_confirmed_only_where_the_lifted_limit_is_the_limiter(tmp_path: Path) -> None:
    text = (
        "name: s\nnodes: [1]\nrepetitions: 1\nhead: {memory: 3 GiB}\n"
        "placement: {oversubscribe: true}\n"
        "schedulers: [slurm, {name: volcano, settings: {schedulerQps: '5', logLevel: '3'}}]\n"
        "workloads:\n  - {name: b, kind: burst}\n  - {name: knee, kind: saturate, confirm: true,"
        " workload: {kind: poisson, jobs: 50}, rate: {low: 1, high: 9}, precision: 20 %}\n"
    )
    (tmp_path / "e.yaml").write_text(text)
    made = load_experiment(tmp_path / "e.yaml", HostFacts(cores=8, memory_mib=16384), ROOT)
    assert {name: list(lifts) for name, lifts in made.lifted.items()} == {
        "slurm": ["cycle"],
        "volcano": ["requests", "cycle"],
    }
    cluster = made.cluster("volcano-requests-lifted-n1")
    assert cluster.settings["schedulerQps"] == "50" and cluster.settings["logLevel"] == "3"
    cells = {(key.cluster, key.workload) for key in made.trials()}
    assert ("volcano-requests-lifted-n1", "knee") in cells
    assert ("volcano-requests-lifted-n1", "b") not in cells and len(cells) == 7
    read = made.decided_by("volcano-requests-lifted-n1", "knee", 1)
    assert {key.cluster for key in read} == {"volcano-n1"}
    assert len(read) == made.workload("knee").steps
    read = made.decided_by("volcano-requests-lifted-n1", "knee", 2)
    assert [key.id for key in read] == ["volcano-requests-lifted-n1.knee.1"]
    again = read_experiment(write(made, tmp_path / "kept.yaml"))
    assert [key.id for key in again.trials()] == [key.id for key in made.trials()]


LIFTED = {"slurm": {"cycle": {"SchedulerParameters": "sched_min_interval=10000"}}}


def test_what_plans_read_grows_with_the_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step would read all steps of all searches, which took a minute for 20 of them."""
    read: list[int] = []
    built: list[int] = []
    clusters = Experiment.clusters

    def counted(made: Experiment) -> list[Cluster]:
        built.append(1)
        return clusters(made)

    monkeypatch.setattr(Experiment, "clusters", counted)
    for searches in (10, 20):
        spec = SPEC | {"confirm": True}
        made = experiment(repetitions=searches, workloads=[spec], lifted=LIFTED)
        built.clear()
        trials = made.trials()
        assert len(built) == 1
        read.append(sum(len(made.decided_by(k.cluster, k.workload, k.repetition)) for k in trials))
    assert read[1] < 2.1 * read[0]


def test_no_search_of_a_cell_is_made_where_another_limiter_is_lifted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = SPEC | {"confirm": True, "rate": {"low": 0.5, "high": 1.0}}
    made = experiment(repetitions=2, workloads=[spec], lifted=LIFTED)
    make_records(tmp_path, made)
    context, ran = Context(made, tmp_path), set()
    # Snakemake runs a decision after the trials that it reads.
    for order, key in enumerate(sorted(made.trials(), key=lambda key: "lifted" in key.cluster)):
        write_decision(context, key.cluster, key.workload, key.repetition)
        if not stop_if_decided(context, key):
            ran.add(key.cluster)
            make_trial(tmp_path, key, made, order=order)
    assert ran == {"slurm-n1"}
    path = decision_record("slurm-cycle-lifted-n1", "knee", 1)
    decision = load_record(tmp_path / path)["decision"]
    assert decision["run"] is False and decision["limiter"]
    said = {line.partition(": not run: ")[::2] for line in capsys.readouterr().out.splitlines()}
    steps = made.workload("knee").steps
    # The further steps, and those of further searches, tell what the first decision said.
    for number in (1, 2, steps + 1, steps + 2):
        assert (f"slurm-cycle-lifted-n1.knee.{number}", decision["why"]) in said
    assert ("slurm-n1.knee.3", "its search has ended") in said


def test_a_search_with_a_lifted_limit_looks_where_its_knee_is_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the ladder that the workload says even the highest rate would be sustained."""
    told = {"limiter": "x", "knee": 0.8, "predicted": 4.0, "why": "lifted"}
    monkeypatch.setattr("schedlab.stages.decision.unless_limited", lambda *_: told)
    spec = SPEC | {"confirm": True, "rate": {"low": 0.5, "high": 1.0}}
    made = experiment(repetitions=2, workloads=[spec], lifted=LIFTED)
    make_records(tmp_path, made)
    context, decided = Context(made, tmp_path), {}
    for order, key in enumerate(sorted(made.trials(), key=lambda key: "lifted" in key.cluster)):
        write_decision(context, key.cluster, key.workload, key.repetition)
        path = tmp_path / decision_record(key.cluster, key.workload, key.repetition)
        decided[key.cluster, key.repetition] = load_record(path)["decision"]
        if not stop_if_decided(context, key):
            make_trial(tmp_path, key, made, order=order)
    lifted = "slurm-cycle-lifted-n1"
    assert decided[lifted, 1] == decided[lifted, 1] | told | {
        "rate": 0.64, "ladder": {"low": 0.64, "high": 6.0},
    }  # fmt: skip
    assert decided[lifted, 2]["rate"] == 6.0 and decided[lifted, 3]["rate"] == 1.95959
    second = made.workload("knee").steps + 1
    assert [decided[lifted, second + step]["rate"] for step in range(2)] == [0.64, 6.0]
    assert [decided["slurm-n1", second + step]["rate"] for step in range(2)] == [0.5, 1.0]


@pytest.mark.parametrize("high", [5.0, 30.0])
@pytest.mark.parametrize("knee", [1.05, 2.2, 4.0])
@pytest.mark.parametrize("growth", [1.3, 3.0, 10.0])
@pytest.mark.parametrize("outcome", [0.9, 1.1])
def test_the_planned_steps_suffice_where_a_search_is_moved(
    high: float, knee: float, growth: float, outcome: float
) -> None:
    search = workload_from(SPEC | {"rate": {"low": 1.0, "high": high}, "precision": "5 %"})
    assert isinstance(search, Saturate)
    ends = moved(search, {"knee": knee, "predicted": growth * knee})
    steps = climbed(outcome * growth * knee, *ends, 0.05)
    found = bracket(steps)
    assert len(steps) <= search.steps
    assert found.low is not None and found.high is not None and found.high <= 1.0501 * found.low
    assert moved(search, {"limiter": "none"}) == (1.0, high)


@pytest.mark.parametrize(
    ("first", "sustained", "confirmed", "told"),
    [
        (3.0, True, None, "at least 2.94 (even the highest rate is sustained)"),
        (9.0, True, False, "at least 8.82 (even the highest rate is sustained)"),
        (9.0, False, None, "less than 8.82 (not even the lowest rate is sustained)"),
        (3.0, False, False, "less than 2.94 (not even the lowest rate is sustained)"),
    ],
)
def test_a_knee_beyond_the_ladder_is_judged_as_a_bound(
    first: float, sustained: bool, confirmed: bool | None, told: str
) -> None:
    """5 jobs/s are predicted: at least 8.8 is not that, nor less than 2.9."""
    other = cell("b", 10.0, 1.0)[0 if sustained else 1] | {"rate": first}
    trials = pd.DataFrame([*cell("a", 5.0, 2.5), other])
    (found,) = confirmations(trials, limiters(trials), lifting())
    assert found.predicted == pytest.approx(5.0) and found.confirmed is confirmed
    (row,) = saturation(trials, lifting())["confirmations"]
    assert row["found"] == told


def test_limits_are_also_lifted_on_virtual_nodes() -> None:
    made = experiment(
        workloads=[SPEC | {"confirm": True}],
        virtual={"carriers": 1, "real": [1]},
        lifted={"slurm": {"jobs": {"MaxJobCount": "9"}}},
    )
    found = {cluster.id: made.lifted_from(cluster.id) for cluster in made.clusters()}
    assert found == {
        "slurm-n1": None,
        "slurm-virtual-n1": None,
        "slurm-jobs-lifted-n1": "slurm-n1",
        "slurm-jobs-lifted-virtual-n1": "slurm-virtual-n1",
    }


def write(experiment: Experiment, path: Path) -> Path:
    write_experiment(experiment, path)
    return path


def test_another_limiter_needs_no_confirmation() -> None:
    base = cell("a", 5.0, 2.5)
    told = unless_limited(base, [Limit("x", "xQps", 50.0, None)])
    assert (told["limiter"], told["predicted"]) == ("limit of x", pytest.approx(10.0))
    assert unless_limited(base, [Limit("y", "yQps", 50.0, None)])["run"] is False
    assert unless_limited([], [Limit("x", "xQps", 50.0, None)])["run"] is False


@pytest.mark.parametrize(
    ("name", "lifted"),
    [
        ("saturation", {"kubernetes": ["requests"], "volcano": ["requests", "cycle"]}),
        ("saturation-slurm", {"main": ["cycle"], "backfill": ["cycle"]}),
        ("saturation-volcano", {"volcano": ["requests", "cycle"]}),
    ],
)
def test_showpieces_lift_the_limits_that_they_set(name: str, lifted: dict[str, list[str]]) -> None:
    host = HostFacts(cores=8, memory_mib=32768)
    found = load_experiment(ROOT / "config" / f"{name}.yaml", host, ROOT)
    assert {of: list(lifts) for of, lifts in found.lifted.items()} == lifted
