"""Progress of a campaign, on SYNTHETIC results."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from record_factory import make_records
from trial_factory import make_experiment, make_results

from schedlab.results.records import file_digest, lineage, load_record, write_json
from schedlab.stages.context import Context
from schedlab.stages.progress import campaign_progress, report_progress


@pytest.fixture
def context(tmp_path: Path) -> Context:
    experiment = make_experiment()
    make_records(tmp_path, experiment)
    make_results(tmp_path, experiment)
    return Context(experiment, tmp_path)


def test_all_trials_are_finished(context: Context) -> None:
    total = len(context.experiment.trials())
    assert campaign_progress(context) == (total, 0, total)


def test_trials_of_a_changed_cluster_run_again(context: Context) -> None:
    cluster = context.experiment.clusters()[0].id
    path = context.configured(cluster) / "record.json"
    record = load_record(path) | {"settings": {"changed": True}}
    write_json(path, record | {"lineage": lineage(record)})
    trials = context.experiment.trials()
    others = [key for key in trials if key.cluster != cluster]
    finished, seconds, total = campaign_progress(context)
    assert (finished, total) == (len(others), len(trials))
    assert 0 < len(others) < len(trials)
    durations = [
        load_record(context.trial(key.cluster, key.workload, key.repetition) / "record.json")[
            "duration"
        ]
        for key in trials
        if key.cluster == cluster
    ]
    assert seconds == round(sum(durations))


def test_a_missing_trial_takes_as_long_as_one_like_it(
    context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    first = context.experiment.trials()[0]
    shutil.rmtree(context.trial(first.cluster, first.workload, first.repetition))
    finished, seconds, total = campaign_progress(context)
    assert finished == total - 1
    assert seconds > 0
    report_progress(context, "x", ["it broke\nbadly"])
    told = capsys.readouterr().out
    assert told.startswith(
        f"WARNING: x: invalid: it broke. {finished} of {total} trials finished, about "
    )


def test_after_the_last_trial_nothing_is_left(
    context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    total = campaign_progress(context)[2]
    report_progress(context, "x", [])
    assert (
        capsys.readouterr().out == f"x: measured. {total} of {total} trials finished, none left\n"
    )


def test_a_trial_whose_sources_changed_runs_again(context: Context, tmp_path: Path) -> None:
    source = tmp_path / "checkout" / "stage.py"
    source.parent.mkdir()
    source.write_text("before\n")
    first = context.experiment.trials()[0]
    path = context.trial(first.cluster, first.workload, first.repetition) / "record.json"
    record = load_record(path) | {"inputs": {source.name: file_digest(source)}}
    write_json(path, record | {"lineage": lineage(record)})
    total = len(context.experiment.trials())
    assert campaign_progress(context, source.parent)[0] == total
    source.write_text("after\n")
    assert campaign_progress(context, source.parent)[0] == total - 1
    source.unlink()
    assert campaign_progress(context, source.parent)[0] == total - 1
