"""A scheduler that settings must give, and do not: the rest of the experiment is planned."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import MiniWorkflow

sys.path.append(str(Path(__file__).resolve().parents[1] / "unit"))
from channel_factory import make_flux_channel  # noqa: E402

from schedlab.schedulers.flux.given import INSTALLATION  # noqa: E402
from schedlab.toolchain.channel import write_lock  # noqa: E402

pytestmark = pytest.mark.workflow

WORDS = "flux is left out: no file pins the packages of conda-forge, flux.lock is missing; remedy: "


def schedulers(workflow: MiniWorkflow, *entries: str, settings: str = "") -> None:
    (workflow.root / "workflow/schedlab/schedulers/flux/flux.lock").unlink(missing_ok=True)
    added = f"seed: 1\nschedulers: [{', '.join(entries)}]\n"
    added += f"settings: {{flux: {{{settings}}}}}\n" if settings else ""
    workflow.edit(workflow.config, "seed: 1\n", added)


def about(planned: list[str], word: str) -> list[str]:
    return sorted(message for message in planned if word in message)


@pytest.fixture
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the plan looks at of an installation."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "bin").mkdir()
    (folder / "bin/flux").write_text("#!/bin/sh\n")
    return folder


def test_its_cells_are_left_out_by_name_and_the_rest_runs(mini: MiniWorkflow) -> None:
    mini.one_cell()
    plain = sorted(mini.planned())
    schedulers(mini, "slurm", "flux")
    assert sorted(mini.planned()) == plain
    done = mini.snakemake()
    assert WORDS in " ".join((done.stdout + done.stderr).split())
    assert (mini.root / "results/report.html").exists()
    assert not list((mini.root / "results/clusters").glob("flux*"))


def test_with_nothing_else_the_experiment_is_refused(mini: MiniWorkflow) -> None:
    schedulers(mini, "flux")
    done = mini.snakemake("--dry-run", check=False)
    told = done.stdout + done.stderr
    assert done.returncode != 0
    assert "no variant can run: flux: no file pins the packages" in told
    assert "Traceback" not in told


def test_an_installation_brings_its_cells(mini: MiniWorkflow, prefix: Path) -> None:
    schedulers(mini, "slurm", "flux", settings=f"prefix: {prefix}")
    planned = mini.planned()
    assert "Building programs for the image flux" in planned
    assert "Building the image for flux" in planned
    assert about(planned, "Configuring flux") == ["Configuring flux-n1", "Configuring flux-n2"]
    assert len(about(planned, "Trial flux-n")) == len(about(planned, "Trial slurm-n")) == 8


def test_variants_of_one_installation_share_image_and_machines(
    mini: MiniWorkflow, prefix: Path
) -> None:
    easy = "{name: easy, scheduler: flux, settings: {scheduler: fluxion, policy: easy}}"
    schedulers(mini, "flux", easy, settings=f"prefix: {prefix}")
    planned = mini.planned()
    assert about(planned, "Building the image") == ["Building the image for flux"]
    assert len(about(planned, "Provisioning")) == 2
    assert len(about(planned, "Configuring")) == 4


def test_another_installation_is_another_image(mini: MiniWorkflow, prefix: Path) -> None:
    own = f"{{name: own, scheduler: flux, settings: {{prefix: {prefix}}}}}"
    schedulers(mini, "flux", own, settings=f"prefix: {prefix / 'bin/..'}")
    found = about(mini.planned(), "Building the image")
    assert len(found) == 2 and "Building the image for flux" in found


@pytest.mark.long
def test_other_contents_of_the_installation_make_its_image_stale(
    mini: MiniWorkflow, prefix: Path
) -> None:
    mini.one_cell()
    schedulers(mini, "slurm", "flux", settings=f"prefix: {prefix}")
    mini.run()
    assert mini.planned() == []
    (prefix / "bin/flux").write_text("#!/bin/sh\n# newer\n")
    planned = mini.planned()
    assert "Building programs for the image flux" in planned
    assert about(planned, "slurm") == []


def test_what_is_no_installation_is_refused_before_anything_starts(
    mini: MiniWorkflow, prefix: Path
) -> None:
    schedulers(mini, "slurm", "flux", settings=f"prefix: {prefix / 'no'}")
    done = mini.snakemake("--dry-run", check=False)
    assert done.returncode != 0
    assert "settings.flux.prefix" in done.stdout + done.stderr
    assert "no such folder or archive" in done.stdout + done.stderr


@pytest.mark.long
def test_a_channel_brings_its_cells_where_it_can_be_reached(
    mini: MiniWorkflow, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mini.one_cell()
    plain = sorted(mini.planned())
    folder = tmp_path_factory.mktemp("site")
    channel, lock = make_flux_channel(folder / "channel"), folder / "flux.lock"
    write_lock(INSTALLATION, str(channel), lock, tmp_path_factory.mktemp("scratch"))
    schedulers(mini, "slurm", "flux", settings=f"channel: {channel}, lock: {lock}")
    assert "Building programs for the image flux" in mini.planned()
    mini.run()
    assert mini.planned() == []
    lock.write_text(f"{lock.read_text()}# written again\n")
    assert "Building programs for the image flux" in mini.planned()
    channel.rename(folder / "elsewhere")
    done = mini.snakemake("--dry-run")
    assert "flux" not in " ".join(set(mini.planned()) - set(plain))
    assert "Traceback" not in done.stdout + done.stderr
