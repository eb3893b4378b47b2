"""Failures that only a damaged or empty folder, or a broken program, brings about."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from bundle_factory import packed
from diff_factory import compare, make_results
from trial_factory import make_experiment, make_trial

from schedlab.bundle.open import opened
from schedlab.config import TrialKey
from schedlab.dashboards import serve
from schedlab.errors import SchedlabError
from schedlab.outside.names import HOSTILE
from schedlab.results.store import Store
from schedlab.testbed.prometheus import Server
from schedlab.testbed.snapshot import MANIFEST, load_manifest
from schedlab.toolchain.grafana import Grafana

TRIAL = "slurm-n1.burst.1"


def test_a_snapshot_that_is_missing_or_of_another_schema_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "provisioned" / "snapshot"
    folder.mkdir(parents=True)
    remedy = f"remove {tmp_path}/provisioned/record.json and run snakemake again"
    with pytest.raises(SchedlabError) as missing:
        load_manifest(folder)
    assert (missing.value.message, missing.value.remedy) == (
        f"there is no snapshot in {folder}",
        remedy,
    )
    (folder / MANIFEST).write_text(json.dumps({"schema": "schedlab.snapshot/99"}))
    with pytest.raises(SchedlabError) as other:
        load_manifest(folder)
    assert "has schema 'schedlab.snapshot/99', expected" in other.value.message
    assert other.value.remedy == remedy


def test_a_folder_without_results_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError) as caught, opened(tmp_path):
        pytest.fail("it was opened")
    assert caught.value.message == f"{tmp_path}: contains no results"
    assert caught.value.remedy == "name a results folder (`make report` makes one) or a bundle"


def test_a_fault_of_an_unpacked_file_names_the_bundle() -> None:
    """The folder that the file is in does not exist any more when the user reads of it."""
    with pytest.raises(SchedlabError) as caught, opened(packed().path) as source:
        raise SchedlabError(f"{source.results}/x.json is damaged", remedy="remove it")
    assert caught.value.message == f"{packed().path}: results/x.json is damaged"
    assert caught.value.remedy == HOSTILE


def test_another_fault_keeps_its_own_remedy() -> None:
    with pytest.raises(SchedlabError) as caught, opened(packed().path):
        raise SchedlabError("/elsewhere is damaged", remedy="remove it")
    assert (caught.value.message, caught.value.remedy) == ("/elsewhere is damaged", "remove it")


def test_results_without_records_are_not_compared(tmp_path: Path) -> None:
    results, empty = make_results(tmp_path / "a"), tmp_path / "b"
    (empty / "tables").mkdir(parents=True)
    with pytest.raises(SchedlabError) as caught:
        compare(results, empty)
    assert caught.value.message == f"{empty}: contains no records of stages"
    assert caught.value.remedy == "name a results folder (`make report` makes one) or a bundle"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results with one trial."""
    root = tmp_path / "results"
    make_trial(root, TrialKey("slurm-n1", "burst", 1), make_experiment())
    return root


def test_results_without_trials_are_not_served(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError) as caught:
        serve.chosen_trials(Store(tmp_path), ())
    assert caught.value.message == f"{tmp_path} has no trial"
    assert caught.value.remedy == "run `make report` first"


@pytest.mark.parametrize("wanted", [(), (TRIAL,)])
def test_a_trial_that_the_stop_rule_spared_is_not_served(
    results: Path, wanted: tuple[str, ...]
) -> None:
    path = results / "trials/slurm-n1/burst/1/record.json"
    spared = {"not_run": "stopped", "conditions": {}}
    path.write_text(json.dumps(json.loads(path.read_text()) | spared))
    told: list[str] = []
    with pytest.raises(SchedlabError) as caught:
        serve.chosen_trials(Store(results), wanted, told.append)
    assert caught.value.message == f"no chosen trial of {results} ran"
    assert caught.value.remedy == "see `schedlab trials`"
    # It is whole: nothing is to be mended.
    assert not told


def failing(path: Path, status: int) -> Path:
    """A program that says a word and ends."""
    path.write_text(f"#!{sys.executable}\nimport sys\nprint('no such flag')\nsys.exit({status})\n")
    path.chmod(0o755)
    return path


def test_a_prometheus_that_does_not_start_names_the_trials(results: Path, tmp_path: Path) -> None:
    chosen = serve.chosen_trials(Store(results), ())
    folder = tmp_path / "data"
    folder.mkdir()
    broken, sound = failing(tmp_path / "broken", 2), failing(tmp_path / "sound", 0)
    with pytest.raises(SchedlabError) as caught, serve.serve(chosen, broken, sound, folder):
        pytest.fail("it serves")
    assert "Prometheus is not ready: no such flag" in caught.value.message
    assert caught.value.message.endswith(f"it was given the blocks of {TRIAL}")
    assert caught.value.remedy == (
        "name the trials to serve, and leave out that whose block it cannot open"
    )
    # The log lies in a folder that is removed.
    assert caught.value.log is None


def test_a_grafana_that_does_not_start_tells_how_to_do_without(tmp_path: Path) -> None:
    program = Grafana((failing(tmp_path / "grafana-server", 1),), None)
    served = Server("http://127.0.0.1:1", "secret")
    with (
        pytest.raises(SchedlabError) as caught,
        serve.grafana(program, served, tmp_path / "grafana"),
    ):
        pytest.fail("it serves")
    assert caught.value.message == "Grafana is not ready: no such flag\n"
    assert "`schedlab dashboard --no-grafana`" in str(caught.value.remedy)
