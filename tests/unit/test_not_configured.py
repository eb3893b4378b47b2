"""Clusters with a lifted limit that no search needs: their records, and who reads them. SYNTHETIC.

`tests/workflow/test_lifted_jobs.py` has what Snakemake does of it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from bundle_factory import adopt, analyse, make_stages
from click.testing import CliRunner
from record_factory import write_record
from search_factory import SPEC, experiment
from trial_factory import make_trial

from schedlab import conformance
from schedlab.bundle.contents import Choice, contents, require_complete
from schedlab.cli.main import main
from schedlab.config import Experiment, TrialKey
from schedlab.config.load import write_experiment
from schedlab.decisions import Decisions
from schedlab.diff.facts import record_facts
from schedlab.errors import SchedlabError
from schedlab.lineage.durations import Durations
from schedlab.paths import RECORD, cluster_decision_record, cluster_record, decision_record
from schedlab.results.contradictions import chain_contradiction, record_contradiction
from schedlab.results.parentage import misplaced
from schedlab.results.records import beside, load_record
from schedlab.stages.context import Context
from schedlab.stages.decision import of_searches, write_cluster_decision, write_decision
from schedlab.stages.stopped import leave_out_if_decided, require_configured, stop_if_decided
from schedlab.storage.marks import sign
from schedlab.storage.needed import of_results

BASE, LIFTED = "slurm-n1", "slurm-cycle-lifted-n1"
LIMIT = {"slurm": {"cycle": {"SchedulerParameters": "sched_min_interval=10000"}}}
PLACE = cluster_record(LIFTED, "configured")


def searched(**changes: Any) -> Experiment:
    spec = SPEC | {"confirm": True, "rate": {"low": 0.5, "high": 1.0}}
    return experiment(**({"repetitions": 1, "workloads": [spec], "lifted": LIMIT} | changes))


@pytest.fixture(scope="module")
def unneeded(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A campaign to its end, in which another limiter was named than the one that is lifted."""
    made, results = searched(), tmp_path_factory.mktemp("unneeded") / "results"
    sign(results)
    make_stages(results, made)
    context = Context(made, results)
    for order, key in enumerate(sorted(made.trials(), key=lambda key: key.cluster != BASE)):
        write_decision(context, key.cluster, key.workload, key.repetition)
        if not stop_if_decided(context, key):
            adopt(results, make_trial(results, key, made, order=order))
    write_cluster_decision(context, LIFTED)
    assert leave_out_if_decided(context, LIFTED)
    for repetition in range(2, made.most(made.workload("knee")) + 1):
        path = context.trace("knee", "1", repetition)
        if not path.is_file():
            # A trace is made whether its trial runs or not.
            path.write_bytes(context.trace("knee", "1", 1).read_bytes())
            write_record(beside(path), results, "trace", path.stem, outputs=[path])
    analyse(context)
    return context


@pytest.fixture
def own(unneeded: Context, tmp_path: Path) -> Context:
    """A copy, which a test may change."""
    shutil.copytree(unneeded.results, tmp_path / "results")
    return Context(unneeded.experiment, tmp_path / "results")


def test_the_record_says_why_and_names_the_decision(unneeded: Context) -> None:
    record = load_record(unneeded.results / PLACE)
    told = load_record(unneeded.results / decision_record(LIFTED, "knee", 1))["decision"]["why"]
    assert told and record["not_run"] == f"knee: {told}"
    assert {name: one["path"] for name, one in record["parents"].items()} == {
        "decision": cluster_decision_record(LIFTED)
    }
    assert [path.name for path in unneeded.configured(LIFTED).iterdir()] == [RECORD]
    decision = load_record(unneeded.results / cluster_decision_record(LIFTED))
    assert decision["parents"].keys() == {f"{LIFTED}.knee.1"}
    for path in (PLACE, cluster_decision_record(LIFTED)):
        found = load_record(unneeded.results / path)
        assert misplaced(path, found) is None and record_contradiction(found) is None
    assert f"{unneeded.results}/{PLACE}" not in Durations(unneeded.results)._own


def test_a_cluster_is_needed_if_any_of_its_searches_is() -> None:
    against = {"run": False, "why": "another limiter"}
    assert of_searches({"a": against, "b": against | {"why": ""}}) == {
        "run": False, "why": "a: another limiter; b: no search",
    }  # fmt: skip
    needed = {"run": True, "why": "needed by b"}
    assert of_searches({"a": against, "b": {"run": True, "rate": 1.0}}) == needed
    assert of_searches({"a": against, "b": None}) == needed, "its trial ran without a decision"


def test_a_decision_on_a_cluster_that_lifts_nothing_is_refused(unneeded: Context) -> None:
    with pytest.raises(SchedlabError, match=f"{BASE}.* lifts no limit"):
        write_cluster_decision(unneeded, BASE)
    assert not leave_out_if_decided(unneeded, BASE)


def test_what_waits_for_the_decision(own: Context) -> None:
    planned = [(key.cluster, key.workload, str(key.repetition)) for key in own.experiment.trials()]

    def decisions() -> Decisions:
        return Decisions(own.experiment, str(own.results), planned)

    path = own.results / cluster_decision_record(LIFTED)
    first = str(own.results / decision_record(LIFTED, "knee", 1))
    assert decisions().due_clusters == (LIFTED,)
    assert decisions().of_cluster(LIFTED) == [str(path)]
    assert decisions().before_cluster(LIFTED) == [first]
    assert decisions().of_cluster(BASE) == []
    # A cluster that is there is a fact, and stays with the decision for it.
    own_record = own.results / PLACE
    own_record.write_bytes((own.results / cluster_record(BASE, "configured")).read_bytes())
    assert decisions().due_clusters == ()
    assert decisions().of_cluster(LIFTED) == [], "one that is not needed did not lead to it"
    needed = {"run": True, "why": "needed by knee"}
    write_record(path, own.results, "decision", f"{LIFTED}/configured", decision=needed)
    assert decisions().of_cluster(LIFTED) == [str(path)]
    path.unlink()
    assert decisions().of_cluster(LIFTED) == [], "it was made before there were such decisions"


def test_a_later_need_makes_the_cluster(own: Context) -> None:
    needed = {"run": True, "rate": 0.5, "limiter": "x"}
    path = own.results / decision_record(LIFTED, "knee", 1)
    write_record(path, own.results, "decision", f"{LIFTED}.knee.1", decision=needed)
    write_cluster_decision(own, LIFTED)
    assert not leave_out_if_decided(own, LIFTED)


def test_no_trial_runs_on_it(own: Context, capsys: pytest.CaptureFixture[str]) -> None:
    """A decision of before may still ask for one: a file that no rule made again."""
    path = own.results / decision_record(LIFTED, "knee", 2)
    told = {"run": True, "rate": 1.0}
    write_record(path, own.results, "decision", f"{LIFTED}.knee.2", decision=told)
    assert stop_if_decided(own, TrialKey(LIFTED, "knee", 2))
    record = load_record(own.trial(LIFTED, "knee", 2) / RECORD)
    assert record["not_run"] == "stopped" and record["parents"].keys() == {"configured"}
    assert record_contradiction(record) is None
    assert "not run: its cluster is not: knee: " in capsys.readouterr().out


@pytest.mark.parametrize("command", [["exec"], ["configure", "--check-again"]])
def test_it_is_not_entered(own: Context, tmp_path: Path, command: list[str]) -> None:
    file = tmp_path / "kept.yaml"
    write_experiment(searched(placement={"oversubscribe": True}), file)
    where = ["--experiments", str(file), "--results", str(own.results)]
    with pytest.raises(SchedlabError, match=f"{LIFTED} is not configured: knee: ") as caught:
        require_configured(own, LIFTED)
    assert caught.value.remedy == f"use {BASE}, whose limit it lifts"
    require_configured(own, BASE)
    done = CliRunner().invoke(main, [*command, *where, "--cluster", LIFTED])
    assert done.exit_code == 1 and "is not configured: knee: " in done.output


def test_the_report_says_why_there_is_no_configuration(unneeded: Context) -> None:
    text = (unneeded.results / "report.html").read_text()
    section = text[text.index(f'id="cluster-{LIFTED}"') :].partition("</section>")[0]
    why = load_record(unneeded.results / PLACE)["not_run"]
    assert f"It was not configured, as no search needs it: {why}." in section
    assert text.count("It was not configured") == 1


def test_a_bundle_has_the_decision_that_its_record_names(unneeded: Context) -> None:
    require_complete(unneeded.results, unneeded.experiment)
    names = {entry.name for entry in contents(unneeded.results, unneeded.experiment, Choice())}
    assert cluster_decision_record(LIFTED) in names
    named = {
        parent["path"]
        for name in names
        if name.endswith("record.json")
        for parent in load_record(unneeded.results / name)["parents"].values()
    }
    assert named <= names


def test_other_readers_say_so(unneeded: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    record = load_record(unneeded.results / PLACE)
    facts = list(record_facts(f"clusters/{LIFTED}/configured", record))
    assert ("experiment", f"clusters/{LIFTED}/configured", {"not_run": record["not_run"]}) in facts
    only = unneeded.results / PLACE
    monkeypatch.setattr(Path, "glob", lambda *_: [only])
    assert conformance.realised(unneeded.results) == [
        f"{LIFTED}: not configured: {record['not_run']}"
    ]


def test_a_decision_on_a_cluster_that_is_not_named_can_be_removed(own: Context) -> None:
    kept = [path for item in of_results(own.results, own.experiment) for path in item.paths]
    assert own.results / cluster_decision_record(LIFTED) not in kept
    items = of_results(own.results, searched(lifted={}))
    paths = {path.relative_to(own.results).as_posix() for item in items for path in item.paths}
    assert {cluster_decision_record(LIFTED), f"clusters/{LIFTED}/configured"} <= paths


def test_what_contradicts_it(own: Context) -> None:
    path = own.results / PLACE
    record = load_record(path)
    with_outputs = record | {"outputs": {"snapshot/head.save": "0" * 64}}
    assert "outputs is ['snapshot/head.save']" in str(record_contradiction(with_outputs))
    built = load_record(own.results / cluster_record(BASE, "configured"))
    assert "always has its snapshot" in str(record_contradiction(built | {"outputs": {}}))
    image = load_record(own.results / "images/slurm/image/record.json")
    assert "a stage image always runs" in str(record_contradiction(image | {"not_run": "x"}))
    trial = load_record(own.trial(BASE, "knee", 1) / RECORD)
    named = {"id": record["id"], "lineage": record["lineage"], "path": PLACE, "record": "0"}
    ran = trial | {"parents": trial["parents"] | {"configured": named}}
    assert "the trial ran, but" in str(chain_contradiction(ran, own.results))
