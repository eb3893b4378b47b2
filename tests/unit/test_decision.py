"""Decisions on the steps of searches: what they read, and which steps run (SYNTHETIC trials)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from record_factory import make_records
from search_factory import CYCLE, DEPTH, SPEC, cell, climbed, experiment
from trial_factory import make_trial

from schedlab.config import Cluster, Experiment
from schedlab.paths import RECORD, decision_record
from schedlab.results.records import load_record
from schedlab.schedulers.limits import Cycle
from schedlab.stages.context import Context
from schedlab.stages.decision import (
    moved,
    of_search,
    renew_decision,
    unless_limited,
    write_decision,
)
from schedlab.stages.stopped import stop_if_decided
from schedlab.workloads import workload_from
from schedlab.workloads.ladder import bracket
from schedlab.workloads.saturate import Saturate

LIFTED = {"slurm": {"cycle": {"SchedulerParameters": "sched_min_interval=10000"}}}


def test_a_step_is_decided_by_its_own_search() -> None:
    made = experiment(repetitions=3)
    steps = made.workload("knee").steps
    read = made.decided_by("slurm-n1", "knee", 2 * steps + 3)
    assert [key.repetition for key in read] == [2 * steps + 1, 2 * steps + 2]
    assert made.decided_by("slurm-n1", "knee", 2 * steps + 1) == []


def test_all_steps_are_planned_one_after_the_other() -> None:
    made = experiment(nodes=[1, 2])
    steps = made.workload("knee").steps
    order = [key.repetition for key in made.trials()]
    assert order == sorted(order) and len(order) == 2 * steps
    assert all(made.decided(key.workload, key.repetition) for key in made.trials())


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


def test_a_step_that_runs_again_is_decided_again_if_its_decision_is_out_of_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = experiment()
    make_records(tmp_path, made)
    context, (first, second, *_) = Context(made, tmp_path), made.trials()
    renew_decision(context, first)  # none was made on it yet
    write_decision(context, first.cluster, first.workload, first.repetition)
    make_trial(tmp_path, first, made, order=1)
    write_decision(context, second.cluster, second.workload, second.repetition)
    paths = [tmp_path / decision_record("slurm-n1", "knee", step) for step in (1, 2)]
    before = [path.read_text() for path in paths]
    for key in (first, second):
        renew_decision(context, key)
    assert [path.read_text() for path in paths] == before and not capsys.readouterr().out
    shutil.rmtree(context.trial(first.cluster, first.workload, first.repetition))
    make_trial(tmp_path, first, made, order=2)
    renew_decision(context, second)
    assert capsys.readouterr().out == "slurm-n1.knee.2: decided again: slurm-n1.knee.1 ran again\n"
    parent = load_record(paths[1])["parents"]["slurm-n1.knee.1"]["lineage"]
    assert parent == load_record(context.trial("slurm-n1", "knee", 1) / RECORD)["lineage"]
    edited = experiment(workloads=[SPEC | {"rate": {"low": 1.0, "high": 8.0}}])
    renew_decision(Context(edited, tmp_path), first)
    assert capsys.readouterr().out == "slurm-n1.knee.1: decided again: its rule was changed\n"
    assert load_record(paths[0])["decision"]["rate"] == 1.0


def test_a_search_ends_at_a_rate_that_cannot_be_judged() -> None:
    search = workload_from(SPEC)
    assert isinstance(search, Saturate)
    rows = [
        {"repetition": 1, "rate": 0.5, "valid": True, "sustained": True, "why_not": []},
        {"repetition": 2, "rate": 8.0, "valid": True, "sustained": None, "why_not": ["cycles"]},
    ]
    told = of_search(rows, search, 3)
    assert told["run"] is False and told["rate"] is None
    assert told["why"].startswith("not judged: the arrivals last fewer than 5")
    assert "why" not in of_search(rows[:1], search, 2)


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


def test_a_search_is_not_made_where_a_lift_does_not_concern_the_limiter() -> None:
    base = cell(CYCLE, 0.4, 1.0)
    no = {"run": False, "rate": None}
    other = "its limiter is not the one that is lifted"
    assert unless_limited(base, DEPTH) == no | {"limiter": "cycles", "why": other}
    assert unless_limited(base, CYCLE) == no | {"limiter": "cycles", "why": other}
    shorter = [CYCLE[0]._replace(cycles=(Cycle(9.0),))]
    little = "its limiter is lifted by less than 1.25 times"
    assert unless_limited(base, shorter) == no | {"limiter": "cycles", "why": little}
    unknown = "no valid trial tells whether its rate is sustained"
    assert unless_limited([], CYCLE) == no | {"limiter": "none", "why": unknown}
    invalid = [one | {"valid": False} for one in base]
    assert unless_limited(invalid, CYCLE) == no | {"limiter": "none", "why": unknown}
    sustained = "every rate was sustained, so nothing limited it"
    both = [base[0], base[1] | {"sustained": True, "why_not": []}]
    assert unless_limited(both, CYCLE) == no | {"limiter": "none", "why": sustained}
    # Of a search that has not come further, or whose trials at the highest rate are invalid.
    untold = "no valid trial tells of a rate above the lowest, which is sustained"
    for rows in (base[:1], [base[0], base[1] | {"valid": False}]):
        assert unless_limited(rows, CYCLE) == no | {"limiter": "none", "why": untold}


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
