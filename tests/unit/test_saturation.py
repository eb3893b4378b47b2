"""Searches for the highest sustained rate (SYNTHETIC trials), and what limits it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from record_factory import make_records
from trial_factory import make_trial

from schedlab.config import Cluster, Experiment, HostFacts
from schedlab.config.load import read_experiment, write_experiment
from schedlab.config.trials import TrialKey
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError
from schedlab.figures import FIGURES, draw
from schedlab.lineage.targets import resolve
from schedlab.metrics.cells import by_cell
from schedlab.metrics.confirmation import confirmations
from schedlab.metrics.limiter import limiter
from schedlab.metrics.saturation import trend
from schedlab.metrics.searches import knees, without_searches
from schedlab.paths import decision_record
from schedlab.report.embedded import embedded
from schedlab.report.method import EMPTY, rules
from schedlab.report.results_section import cell_trials
from schedlab.report.saturation_section import saturation
from schedlab.results.records import load_record
from schedlab.results.store import Store
from schedlab.schedulers.limits import Limit
from schedlab.stages.context import Context
from schedlab.stages.decision import unless_limited, write_decision
from schedlab.stages.figure import draw_figure
from schedlab.stages.report import write_report
from schedlab.stages.stopped import stop_if_decided
from schedlab.stages.tables import write_tables
from schedlab.tables.build import build_tables, load_tables
from schedlab.workloads import Machine, workload_from
from schedlab.workloads.ladder import Bracket, Step, bracket, most_steps, next_rate

ROOT = Path(__file__).resolve().parents[2]


def climbed(knee: float, low: float, high: float, precision: float) -> list[Step]:
    """Steps of a search on a cluster that sustains exactly the rates up to `knee`."""
    steps: list[Step] = []
    while (rate := next_rate(steps, low, high, precision)) is not None:
        steps.append(Step(rate, rate <= knee))
    return steps


@pytest.mark.parametrize("knee", [1.0, 3.3, 47.0, 99.9])
@pytest.mark.parametrize("precision", [0.01, 0.05, 0.3])
def test_the_ladder_ends_around_the_knee_within_the_planned_steps(
    knee: float, precision: float
) -> None:
    steps = climbed(knee, 1.0, 100.0, precision)
    found = bracket(steps)
    assert found.low is not None and found.high is not None
    assert found.low <= knee < found.high
    assert found.high / found.low <= 1 + precision
    assert len(steps) < most_steps(1.0, 100.0, precision)


def test_a_knee_beyond_the_ends_ends_the_search() -> None:
    assert climbed(0.5, 1.0, 100.0, 0.05) == [Step(1.0, False)]
    assert climbed(500.0, 1.0, 100.0, 0.05) == [Step(1.0, True), Step(100.0, True)]


def test_a_step_of_unknown_outcome_is_made_again() -> None:
    assert next_rate([Step(1.0, True), Step(100.0, None)], 1.0, 100.0, 0.05) == 100.0


def test_of_contradictory_outcomes_the_lowest_failure_counts() -> None:
    steps = [Step(1.0, True), Step(8.0, False), Step(9.0, True)]
    assert bracket(steps) == Bracket(1.0, 8.0)


def queue(rate: float, capacity: float, seed: int, number: int = 400) -> tuple[Any, Any]:
    """Due and start instants (s) of one server with exponential gaps and service times."""
    chance, due, free = random.Random(seed), 0.0, 0.0
    dues, starts = [], []
    for _ in range(number):
        due += chance.expovariate(rate)
        start = max(due, free)
        free = start + chance.expovariate(capacity)
        dues.append(due)
        starts.append(start)
    return np.array(dues), np.array(starts)


def grows(rate: float, capacity: float, seed: int) -> bool:
    due, left = queue(rate, capacity, seed)
    slope, low = trend(due, left, 0.2 * due[-1], due[-1])
    return low > 0 and slope > 0.025 * rate


def test_a_queue_grows_at_the_difference_of_the_rates() -> None:
    due, left = queue(20.0, 10.0, 1, number=2000)
    slope, low = trend(due, left, 0.2 * due[-1], due[-1])
    assert slope == pytest.approx(10.0, rel=0.15)
    assert 0 < low < slope


def test_a_trend_is_seen_above_the_capacity_and_rarely_below() -> None:
    assert all(grows(15.0, 10.0, seed) for seed in range(20))
    assert sum(grows(5.0, 10.0, seed) for seed in range(100)) <= 10


SPEC = {
    "name": "knee",
    "kind": "saturate",
    "workload": {"kind": "poisson", "jobs": 150, "runtime": 0.5},
    "rate": {"low": 0.5, "high": 8.0},
    "precision": "20 %",
}


def experiment(**changes: Any) -> Experiment:
    content = {"name": "s", "nodes": [1], "repetitions": 1, "workloads": [SPEC]}
    return Experiment.model_validate(content | changes)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"rate": {"low": 5e-324, "high": 3.0}}, "rate.low"),
        ({"precision": "0.00001 %"}, "six digits; write 0.01 % or more"),
    ],
)
def test_a_search_that_rates_cannot_express_is_refused(change: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        workload_from({**SPEC, **change})


def test_a_step_is_decided_by_its_own_search() -> None:
    made = experiment(repetitions=3)
    steps = made.workload("knee").steps
    read = made.decided_by("slurm-n1", "knee", 2 * steps + 3)
    assert [key.repetition for key in read] == [2 * steps + 1, 2 * steps + 2]
    assert made.decided_by("slurm-n1", "knee", 2 * steps + 1) == []


def test_a_search_of_too_few_jobs_is_refused() -> None:
    few = {"kind": "poisson", "jobs": 19, "runtime": 0.5}
    with pytest.raises(SchedlabError, match="fewer than 20 cannot say"):
        workload_from({**SPEC, "workload": few}).generate(Machine(2, 2), 1)


def test_every_step_of_a_search_has_the_same_jobs() -> None:
    made = experiment(repetitions=2)
    steps = made.workload("knee").steps
    seeds = [made.trace_seed("knee", number) for number in range(1, 2 * steps + 1)]
    assert len(set(seeds[:steps])) == len(set(seeds[steps:])) == 1 != len(set(seeds))
    trace = made.trace("knee", 1, 1, ROOT)
    assert 149 / trace.jobs[-1].arrival == pytest.approx(0.5, rel=1e-3)
    faster = trace.at_rate(4.0, 1)
    assert faster.jobs[-1].arrival == pytest.approx(trace.jobs[-1].arrival / 8, abs=1e-5)
    assert [job.cores for job in faster.jobs] == [job.cores for job in trace.jobs]


def test_jobs_that_come_at_once_have_no_rate() -> None:
    workload = workload_from(SPEC | {"workload": {"kind": "burst"}})
    with pytest.raises(SchedlabError, match="they have no rate"):
        workload.generate(Machine(1, 2), 1)
    with pytest.raises(ValueError, match="not more than low"):
        workload_from(SPEC | {"rate": {"low": 3.0, "high": 2.0}})


@pytest.mark.parametrize("kind", ["priority", "fairness", "starvation"])
def test_kinds_whose_arrivals_make_a_situation_are_refused(kind: str) -> None:
    made = workload_from(SPEC | {"workload": {"kind": kind}})
    (problem,) = made.problems([Machine(2, 2)], ROOT)
    assert (problem.key, problem.value) == ("workload.kind", kind)


def test_jobs_most_of_which_come_at_once_have_no_rate() -> None:
    daily = {"kind": "daily", "jobs": 100, "burst": 50}
    with pytest.raises(SchedlabError, match="50 of the 100 jobs of workload knee arrive at one"):
        workload_from(SPEC | {"workload": daily}).generate(Machine(1, 2), 1)


def test_a_rate_that_the_search_replaces_is_refused() -> None:
    inner = {"kind": "poisson", "jobs": 150, "rate": 5.0}
    (problem,) = workload_from(SPEC | {"workload": inner}).problems([Machine(2, 2)], ROOT)
    assert (problem.key, problem.value) == ("workload.rate", 5.0)
    assert not workload_from(SPEC).problems([Machine(2, 2)], ROOT)


def test_ends_within_the_precision_leave_nothing_to_search() -> None:
    close = SPEC | {"rate": {"low": 1.0, "high": 1.2}}
    (problem,) = workload_from(close).problems([Machine(2, 2)], ROOT)
    assert problem.key == "rate.high" and "1.2" in problem.remedy
    assert not workload_from(close | {"precision": "10 %"}).problems([Machine(2, 2)], ROOT)


def test_all_steps_are_planned_one_after_the_other() -> None:
    made = experiment(nodes=[1, 2])
    steps = made.workload("knee").steps
    order = [key.repetition for key in made.trials()]
    assert order == sorted(order) and len(order) == 2 * steps
    assert all(made.decided(key.workload, key.repetition) for key in made.trials())


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a search on the simulated cluster, which runs two jobs of 0.5 s at a time."""
    root, made = tmp_path_factory.mktemp("searched"), experiment()
    make_records(root, made)
    context, folders = Context(made, root), []
    for order, key in enumerate(made.trials()):
        write_decision(context, key.cluster, key.workload, key.repetition)
        if not stop_if_decided(context, key):
            folders.append(make_trial(root, key, made, order=order))
    build_tables(folders, root / "tables")
    return root


def test_a_search_finds_the_capacity_of_a_cluster_and_ends(searched: Path) -> None:
    """A job holds its processor for 0.5 s and some 0.24 s of overhead: 2 / 0.74 = 2.7 jobs/s."""
    tables = load_tables(searched / "tables")
    (knee,) = knees(tables.trials)
    assert knee.estimate == pytest.approx(2.7, rel=0.2)
    assert knee.low is not None and knee.high is not None and knee.high <= 1.2 * knee.low
    made = experiment()
    last = TrialKey("slurm-n1", "knee", made.workload("knee").steps)
    decision = load_record(searched / decision_record("slurm-n1", "knee", last.repetition))
    assert decision["decision"]["run"] is False
    trace = json.loads((searched / "trials/slurm-n1/knee/2/trace.json").read_text())
    assert (trace["scale"]["rate"], trace["scale"]["search"]) == (8.0, 1)
    assert not len(without_searches(tables.trials))


def test_the_report_shows_the_knee_and_the_limiter(searched: Path) -> None:
    found = saturation(load_tables(searched / "tables").trials)
    (row,) = found["rows"]
    assert row["how"] == "ends of the brackets" and row["ceiling"] == "not measured"
    assert row["limiter"] and row["evidence"]
    draw("saturation", searched / "tables", searched / "saturation.svg")
    assert "knee" in (searched / "saturation.svg").read_text()


def test_steps_of_a_search_are_no_repetitions_of_a_cell(searched: Path) -> None:
    tables = load_tables(searched / "tables")
    assert not list(by_cell(tables.trials)) and not cell_trials(tables.trials)
    assert rules(tables.trials, [], pooled=False, absent=False)[0]["status"] == EMPTY
    told = [trial["cell"] for trial in embedded(tables.trials, tables.jobs)["trials"]]
    assert len(set(told)) == len(told) > 2
    assert {"slurm-n1.knee at 0.5/s", "slurm-n1.knee at 8/s"} <= set(told)
    with pytest.raises(SchedlabError, match="nothing in .* is called"):
        resolve(Store(searched), "slurm-n1.knee/makespan")


def test_a_report_of_searches_alone_is_whole(searched: Path) -> None:
    """No trial repeats another, so there is nothing to estimate or compare."""
    context = Context(experiment(), searched)
    write_tables(context)
    for name in FIGURES:
        draw_figure(searched, name)
    write_report(context, searched / "report.html")
    text = (searched / "report.html").read_text()
    assert 'id="saturation"' in text and 'id="figure-saturation"' in text


PARTS = {f"{name}_mean_s": 0.1 for name in ("lateness", "submission", "scheduling", "launch")}


def limited(**changes: Any) -> tuple[str, str]:
    row = PARTS | {"utilisation_steady": 0.5, "makespan_s": 10.0, "daemon_cost": [], "limits": "[]"}
    found = limiter(row | changes)
    return found.name, found.lift


def allowed(counted: float | None) -> str:
    limit = {"name": "requests of x", "setting": "xQps", "per_second": 5.0, "counted": counted}
    return json.dumps([limit])


def cost(seconds: float, group: str = "scheduler") -> list[dict[str, Any]]:
    return [{"node": "head", "process": "ctld", "group": group, "cpu_s": seconds}]


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


def test_a_limit_of_a_client_is_named_with_the_setting_that_lifts_it() -> None:
    assert limited(limits=allowed(45.0)) == ("limit of requests of x", "xQps")


def cell(cluster: str, per_second: float, knee: float) -> list[dict[str, Any]]:
    """Two steps of a search whose limiter is a client's limit."""
    limit = {"name": "x", "setting": "xQps", "per_second": per_second, "counted": 9.5 * per_second}
    common = PARTS | {
        "workload": "knee", "cluster": cluster, "scheduler": cluster, "adapter": "made", "nodes": 1,
        "valid": True, "payload": True, "search": 1, "limits": json.dumps([limit]),
        "utilisation_steady": 0.25, "makespan_s": 10.0, "daemon_cost": [],
    }  # fmt: skip
    return [common | {"rate": knee / 1.02, "sustained": True},
            common | {"rate": knee * 1.02, "sustained": False}]  # fmt: skip


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
    (found,) = confirmations(trials)
    assert (found.cluster, found.other, found.setting) == ("a", "b", "xQps")
    assert found.predicted == pytest.approx(predicted)
    assert why in found.why
    assert found.confirmed is confirmed


def test_a_search_is_confirmed_only_where_the_lifted_limit_is_the_limiter(tmp_path: Path) -> None:
    text = (
        "name: s\nnodes: [1]\nrepetitions: 1\nhead: {memory: 3 GiB}\n"
        "placement: {oversubscribe: true}\n"
        "schedulers: [slurm, {name: volcano, settings: {schedulerQps: '5', logLevel: '3'}}]\n"
        "workloads:\n  - {name: b, kind: burst}\n  - {name: knee, kind: saturate, confirm: true,"
        " workload: {kind: poisson}, rate: {low: 1, high: 9}, precision: 20 %}\n"
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


def test_no_search_of_a_cell_is_made_where_another_limiter_is_lifted(tmp_path: Path) -> None:
    spec = SPEC | {"confirm": True, "precision": "90 %"}
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


def test_ready_made_experiments_are_well_formed() -> None:
    paths = list((ROOT / "config").glob("*.yaml"))
    assert {"saturation.yaml", "saturation-slurm.yaml", "saturation-volcano.yaml"} <= {
        path.name for path in paths
    }
    for path in paths:
        found = load_experiment(path, HostFacts(cores=8, memory_mib=32768), ROOT)
        assert found.trials()


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
