"""Repetitions until the interval is narrow enough, from file to report (SYNTHETIC trials)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bundle_factory import adopt, analyse, make_stages, small_experiment
from record_factory import write_record
from trial_factory import make_trial

from schedlab.bundle.contents import Choice, contents, require_complete
from schedlab.config import Experiment, TrialKey
from schedlab.config.load import read_experiment, write_experiment
from schedlab.config.variants import Rounds
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError
from schedlab.metrics.quantities import QUANTITIES
from schedlab.metrics.stopping import StopRule, standing
from schedlab.paths import CHECKOUT, RECORD, decision_record
from schedlab.report import rounds_section
from schedlab.results.imports import Origin
from schedlab.results.records import beside, load_record
from schedlab.results.store import Store
from schedlab.stages.context import Context
from schedlab.stages.decision import write_decision
from schedlab.stages.progress import campaign_progress
from schedlab.stages.stopped import stop_if_decided
from schedlab.tables.build import load_stopped, load_trials
from schedlab.tables.verdicts import as_text, verdicts
from schedlab.workloads import KINDS

MIN, MAX = 3, 5
CELL = ("slurm-n1", "burst")


def experiment_with(until: str) -> Experiment:
    return small_experiment(repetitions={"min": MIN, "max": MAX, "until": until})


def campaign(root: Path, until: str) -> Context:
    """Run a campaign to its end: trials that are not to run are not run."""
    experiment = experiment_with(until)
    context = Context(experiment, root)
    make_stages(root, experiment)
    for order, key in enumerate(experiment.trials()):
        if experiment.decided(key.workload, key.repetition):
            write_decision(context, *CELL, key.repetition)
        if not stop_if_decided(context, key):
            adopt(root, make_trial(root, key, experiment, order=order))
    return context


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A campaign whose only cell ends early, with its report."""
    context = campaign(tmp_path_factory.mktemp("early"), "99 %")
    for repetition in range(MIN + 1, MAX + 1):
        trace_of_stopped(context, repetition)
    analyse(context)
    return context


def trace_of_stopped(context: Context, repetition: int) -> None:
    """The trace is made whether its trial runs or not."""
    target = context.trace("burst", 1, repetition)
    target.write_bytes(context.trace("burst", 1, 1).read_bytes())
    write_record(beside(target), context.results, "trace", target.stem, outputs=[target])


def test_written_and_read_again(tmp_path: Path) -> None:
    experiment = experiment_with("2.5 %")
    assert experiment.rounds == Rounds(min=MIN, max=MAX, until="2.5 %")
    assert experiment.rounds.width == pytest.approx(0.025)
    write_experiment(experiment, tmp_path / "experiments.yaml")
    assert read_experiment(tmp_path / "experiments.yaml") == experiment
    assert small_experiment(repetitions=4).rounds is None


@pytest.mark.parametrize(
    ("rule", "place", "what", "remedy"),
    [
        ("{min: 2, max: 5, until: 5 %}", "repetitions.min = 2", "less than 3", "write 3 or more"),
        ("{min: 5, max: 4, until: 5 %}", "repetitions.max = 4", "less than min, which is 5", "5"),
        ("{min: 3, max: 101, until: 5 %}", "repetitions.max = 101", "more than 100", "100 or less"),
        ("{min: 3, max: 9, until: 0.05}", "until = 0.05", "not a percentage", "such as 5 %"),
        ("{min: 3, max: 9, until: 0 %}", "until = '0 %'", "not between", "such as 5 %"),
        ("{min: 3, max: 9, until: 100 %}", "until = '100 %'", "not between", "such as 5 %"),
        ("{min: 3, until: 5 %}", "repetitions.max = null", "missing", "add it: Most trials"),
        ("{trials: 3, until: 5 %}", "repetitions.trials = 3", "unknown key", "min, max, until"),
        ("{min: 3, max: 9, until: 5 %, clusters: 2}", "clusters = 2", "unknown key", "min"),
    ],
)
def test_refusals(tmp_path: Path, rule: str, place: str, what: str, remedy: str) -> None:
    path = tmp_path / "experiments.yaml"
    path.write_text(f"repetitions: {rule}\nworkloads:\n  - {{name: b, kind: burst}}\n")
    with pytest.raises(SchedlabError) as refused:
        load_experiment(path)
    lines = [line for line in refused.value.message.splitlines() if place in line]
    assert len(lines) == 1, refused.value.message
    problem, _, advice = lines[0].partition(". Remedy: ")
    assert problem.startswith(f"{path}:1: ") and what in problem and remedy in advice


def test_each_repetition_above_the_fewest_is_a_round_over_all_cells() -> None:
    experiment = small_experiment(
        nodes=[1, 2, 3, 4], repetitions={"min": 3, "max": 6, "until": "5 %"}
    )
    keys = experiment.trials()
    repetitions = [key.repetition for key in keys]
    assert sorted(repetitions[:12]) == sorted([1, 2, 3] * 4) != repetitions[:12]
    assert repetitions[12:] == [4] * 4 + [5] * 4 + [6] * 4
    orders = [[key.cluster for key in keys[start : start + 4]] for start in (12, 16, 20)]
    assert len({tuple(order) for order in orders}) > 1
    more = small_experiment(nodes=[1, 2, 3, 4], repetitions={"min": 3, "max": 9, "until": "1 %"})
    assert more.trials()[: len(keys)] == keys


def test_every_kind_of_workload_names_a_quantity() -> None:
    assert {kind: one.quantity for kind, one in KINDS.items()} == {
        "burst": "makespan", "gang": "makespan", "poisson": "wait_median", "swf": "wait_median",
        "regular": "wait_median",
        "constant": "makespan", "esp": "makespan", "lublin": "wait_median", "daily": "wait_median",
        "array": "makespan", "mix": "wait_median", "priority": "urgent_wait",
        "starvation": "wide_wait", "fairness": "share_jain", "saturate": "wait_median",
    }  # fmt: skip
    assert all(one.quantity in QUANTITIES for one in KINDS.values())


def rows(*values: float | None, **more: Any) -> list[dict[str, Any]]:
    names = ("makespan_s", "wait_median_s", "submission_rate_jobs_per_s")
    return [
        {"valid": True, "payload": True, **dict.fromkeys(names, value)} | more for value in values
    ]


def test_what_the_rule_looks_at() -> None:
    rule = StopRule(3, 5, 0.05)
    assert standing(rows(10.0, 10.1, 9.9), "makespan", rule).decision == "narrow enough"
    assert standing(rows(10.0, 12.0, 9.0), "makespan", rule).decision == "go on"
    assert standing(rows(*[10.0, 12.0, 9.0, 13.0, 8.0]), "makespan", rule).decision == "cannot"
    # Invalid trials and withheld values count for nothing.
    bad = rows(50.0, valid=False) + rows(None, 10.0, 10.1)
    assert standing(bad, "makespan", rule)[:3] == ("makespan", 2, None)
    # Without a payload there is no makespan.
    null = [row | {"makespan_s": None} for row in rows(10.0, 10.1, 9.9, payload=False)]
    found = standing(null, "makespan", rule)
    assert (found.quantity, found.decision) == ("submission_rate", "narrow enough")
    table = pd.DataFrame(null).astype({"payload": "boolean"})
    assert standing(table.to_dict("records"), "makespan", rule) == found


def test_a_decision_names_the_trials_that_it_is_made_from(early: Context) -> None:
    record = load_record(early.results / decision_record(*CELL, MIN + 1))
    assert record["parents"].keys() == {f"slurm-n1.burst.{n}" for n in range(1, MIN + 1)}
    decision = record["decision"]
    assert decision.keys() == {"run", "quantity", "n", "half_width", "until"}
    assert (decision["run"], decision["quantity"], decision["n"]) == (False, "makespan", MIN)
    assert 0 <= decision["half_width"] <= decision["until"] == 0.99


def test_a_stopped_trial_has_a_record_and_no_row(early: Context) -> None:
    record = load_record(early.trial(*CELL, MAX) / RECORD)
    assert record["not_run"] == "stopped" and record["outputs"] == {}
    assert record["verdict"] == {"valid": False, "reasons": ["not run: stopped"]}
    assert record["parents"].keys() == {"decision"}
    stopped = [f"slurm-n1.burst.{n}" for n in range(MIN + 1, MAX + 1)]
    tables = early.results / "tables"
    assert load_stopped(tables) == stopped
    assert set(load_trials(tables)["repetition"]) == set(range(1, MIN + 1))
    found = verdicts([Origin("", early.results, early.experiment)])
    assert (found["stopped"], found["missing"]) == (stopped, [])
    assert f"{MAX - MIN} are not to run" in as_text(found)
    assert campaign_progress(early)[0] == MAX


def test_what_ran_before_is_removed_when_its_trial_is_stopped(tmp_path: Path) -> None:
    context = campaign(tmp_path, "0.000001 %")
    folder = context.trial(*CELL, MAX)
    assert (folder / "stamps.jsonl").exists()
    other = Context(experiment_with("99 %"), tmp_path)
    write_decision(other, *CELL, MAX)
    assert stop_if_decided(other, TrialKey(*CELL, MAX))
    assert [path.name for path in folder.iterdir()] == [RECORD]
    # A decision of another rule means nothing where none is due.
    assert not stop_if_decided(Context(small_experiment(), tmp_path), TrialKey(*CELL, MAX))


def test_the_report_names_cells_that_ended_early(early: Context) -> None:
    text = (early.results / "report.html").read_text()
    assert "The stop rule ended 1 of 1 cells early: " in text
    assert 'id="rounds-slurm-n1.burst"' in text and f"<td>{MIN} of {MAX}</td>" in text
    assert "not in the tables" not in text
    assert f"{MIN} to {MAX} times" in text and "0 planned trials are missing" in text


def test_the_report_names_cells_that_never_got_there(tmp_path: Path) -> None:
    context = campaign(tmp_path, "0.000001 %")
    analyse(context)
    text = (tmp_path / "report.html").read_text()
    assert "After the most trials the interval is still too wide in 1 cells: " in text
    assert load_stopped(tmp_path / "tables") == []


def test_outcomes_of_cells() -> None:
    experiment = experiment_with("5 %")
    source = [Origin("", Path(), experiment)]

    def outcome(values: list[float | None], stopped: list[str]) -> str:
        table = pd.DataFrame(rows(*values)).assign(cluster="slurm-n1", workload="burst")
        return str(rounds_section.cells(table, source, stopped)[0]["outcome"])

    quiet, loud = [10.0, 10.1, 9.9, 10.0, 10.0], [10.0, 15.0, 9.0, 20.0, 10.0]
    assert outcome(quiet[:3], ["slurm-n1.burst.4"]) == rounds_section.EARLY
    assert outcome(quiet, []) == rounds_section.REACHED
    assert outcome(loud, []) == outcome([*loud[:4], None], []) == rounds_section.NOT_REACHED
    assert outcome(loud[:4], []) == rounds_section.UNDECIDED
    assert rounds_section.sentences([]) == []


def test_a_bundle_has_the_decisions_that_records_name(early: Context) -> None:
    require_complete(early.results, early.experiment)
    names = {entry.name for entry in contents(early.results, early.experiment, Choice())}
    assert {decision_record(*CELL, n) for n in range(MIN + 1, MAX + 1)} <= names
    named = {
        parent["path"]
        for record in Store(early.results).trials().values()
        for parent in load_record(early.results / record)["parents"].values()
    }
    assert named <= names


def test_the_documentation_has_the_main_quantity_of_every_kind() -> None:
    words = {
        "makespan": "makespan",
        "median wait": "wait_median",
        "median wait of the urgent jobs": "urgent_wait",
        "median wait of the wide jobs": "wide_wait",
        "Jain's index of use against share": "share_jain",
    }
    text = (CHECKOUT / "docs/statistics.md").read_text()
    table = text.partition("| kind | main quantity | why |")[2].partition("\n\n")[0]
    told = {}
    for kinds, quantity in re.findall(r"^\| ([a-z, ]+) \| ([^|]+) \|", table, re.MULTILINE):
        for kind in re.split(r",\s*(?:and\s+)?", kinds):
            told[kind] = words.get(quantity)
    # A search has a ladder in place of the rule.
    assert told.pop("saturate") is None
    told = {kind: quantity for kind, quantity in told.items() if kind in KINDS}
    assert told == {kind: KINDS[kind].quantity for kind in KINDS if kind != "saturate"}
