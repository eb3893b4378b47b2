"""Conformance of an image: which experiment is meant, and what counts as a failure."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from click.testing import CliRunner

from schedlab import conformance, processes
from schedlab.cli.conformance import conformance as command
from schedlab.errors import SchedlabError
from schedlab.paths import IMAGES
from schedlab.storage.marks import sign
from schedlab.tables import build


def test_an_image_is_named_or_a_file(tmp_path: Path) -> None:
    assert conformance.experiment_of("trixie") == IMAGES / "trixie.yaml"
    own = tmp_path / "own.yaml"
    own.touch()
    assert conformance.experiment_of(str(own)) == own
    with pytest.raises(SchedlabError, match="no such experiment") as caught:
        conformance.experiment_of("buster")
    assert "bookworm, forky, rocky-9, trixie, ubuntu-24.04" in str(caught.value.remedy)


def tables(patch: pytest.MonkeyPatch, *, valid: bool = True, state: str = "COMPLETED") -> None:
    """Let the tables have one trial with two jobs."""
    trials = pd.DataFrame([{"trial": "a.b.1", "valid": valid, "reasons": ["a clock jumped"]}])
    jobs = pd.DataFrame([{"trial": "a.b.1", "state": one} for one in ("COMPLETED", state)])
    patch.setattr(build, "load_tables", lambda _: SimpleNamespace(trials=trials, jobs=jobs))


def test_what_ended_and_is_still_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables(monkeypatch)
    assert conformance.problems(tmp_path) == ["there is no report.html"]
    (tmp_path / "report.html").touch()
    assert conformance.problems(tmp_path) == []
    tables(monkeypatch, valid=False, state="LOST")
    assert conformance.problems(tmp_path) == [
        "trial a.b.1 is invalid: a clock jumped",
        "1 jobs of trial a.b.1 ended as LOST",
    ]


def configured(results: Path) -> None:
    """A configured cluster's record."""
    path = results / "clusters/slurm-n1/configured/record.json"
    path.parent.mkdir(parents=True)
    rows = [
        {"kind": "sysctl", "key": "vm.swappiness", "found": {"head": {"p": "10"}}},
        {"kind": "file", "key": "governor", "found": {"head": {}}},
        {"kind": "recorded", "key": "cpuidle", "found": {"head": {}}},
    ]
    realised = {
        "nodes": {"head": {"os": "Debian 13", "kernel": "6.12"}},
        "software": {"slurmctld": "24.11.5"},
        "tuning": rows,
    }
    path.write_text(json.dumps({"realised": realised}))


def test_the_stage_that_fails_ends_it_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []

    def run_logged(words: list[str], **_: object) -> tuple[int, list[str]]:
        called.append(words[-1])
        return (1, ["no such package"]) if words[-1] == "all_provisioned" else (0, [])

    monkeypatch.setattr(processes, "run_logged", run_logged)
    done = CliRunner().invoke(command, ["trixie", "--results", str(tmp_path)])
    assert done.exit_code == 1
    assert called == ["all_images", "all_provisioned"]
    assert "the stage provision failed:\n  no such package" in done.output


def test_all_stages_run_and_what_was_realised_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []

    def run_logged(words: list[str], **_: object) -> tuple[int, list[str]]:
        called.append(words)
        return 0, []

    sign(tmp_path)
    results = tmp_path / "conformance/trixie"
    configured(results)
    (results / "report.html").touch()
    monkeypatch.setattr(processes, "run_logged", run_logged)
    monkeypatch.setattr(conformance, "load_record", lambda path: json.loads(path.read_text()))
    tables(monkeypatch)
    done = CliRunner().invoke(command, ["trixie", "--results", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert [words[-1] for words in called] == list(conformance.STAGES.values())
    assert called[0][0] == sys.executable
    assert "slurm-n1: Debian 13, Linux 6.12" in done.output
    assert "slurmctld 24.11.5" in done.output
    assert "tuning: 1 of 2 settings in force; the guest does not offer governor" in done.output
