"""Variants whose scheduler this machine cannot have: named, and without cells."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from channel_factory import make_flux_channel
from click.testing import CliRunner

from schedlab import design
from schedlab.cli.main import main
from schedlab.config import Experiment, HostFacts, read_experiment, write_experiment
from schedlab.design import load_experiment, notices
from schedlab.errors import SchedlabError
from schedlab.paths import CHECKOUT
from schedlab.privacy.identity import identity
from schedlab.schedulers.flux.given import INSTALLATION
from schedlab.snakefile import Pipeline
from schedlab.storage.marks import sign
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.channel import write_lock
from schedlab.toolchain.installation import prepare_installation

HOST = HostFacts(cores=8, memory_mib=16384, numa_nodes=frozenset({0}), hugepages_mib=0)


def load(folder: Path, **keys: Any) -> Experiment:
    path = folder / "experiments.yaml"
    workloads = [{"name": "burst", "kind": "burst", "jobs": 3}]
    path.write_text(yaml.safe_dump({"workloads": workloads, "nodes": [1], **keys}))
    return load_experiment(path, HOST, folder)


@pytest.fixture(autouse=True)
def _unlocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout has no lock file of conda-forge, and nothing is in the cache."""
    monkeypatch.setattr(type(INSTALLATION), "lock", tmp_path / "flux.lock")
    monkeypatch.setenv("SCHEDLAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    (tmp_path / "site/bin").mkdir(parents=True)
    (tmp_path / "site/bin/flux").write_text("")
    return str(tmp_path / "site")


def own(name: str, **settings: str) -> dict[str, Any]:
    return {"name": name, "scheduler": "flux", "settings": settings}


def test_it_is_named_with_the_reason_and_the_remedy(tmp_path: Path) -> None:
    experiment = load(tmp_path, schedulers=["flux", "slurm"], aa=True)
    (why,) = experiment.left_out.values()
    assert "no file pins the packages of conda-forge, flux.lock is missing; remedy: " in why
    assert "`schedlab lock flux`" in why and "settings.flux.prefix" in why
    assert [cluster.id for cluster in experiment.clusters()] == ["slurm-n1", "slurm-again-n1"]
    assert {key.cluster for key in experiment.trials()} == {"slurm-n1", "slurm-again-n1"}
    assert design.images(experiment) == ["slurm"]


def test_one_variant_may_have_what_another_lacks(tmp_path: Path, prefix: str) -> None:
    experiment = load(tmp_path, schedulers=["slurm", "flux", own("mine", prefix=prefix)])
    assert set(experiment.left_out) == {"flux"}
    assert [cluster.id for cluster in experiment.clusters()] == ["slurm-n1", "mine-n1"]


def test_the_copy_beside_the_results_tells_it_and_can_be_run(tmp_path: Path, prefix: str) -> None:
    experiment = load(tmp_path, schedulers=["slurm", "flux"])
    kept = tmp_path / "kept.yaml"
    write_experiment(experiment, kept)
    assert read_experiment(kept).left_out == experiment.left_out
    assert [one.name for one in read_experiment(kept).variants()] == ["slurm"]
    content = yaml.safe_load(kept.read_text()) | {"settings": {"flux": {"prefix": prefix}}}
    kept.write_text(yaml.safe_dump(content))
    again = load_experiment(kept, HOST, tmp_path)
    assert (again.left_out, len(again.clusters())) == ({}, 2)


def test_what_a_user_writes_there_is_replaced(tmp_path: Path) -> None:
    experiment = load(tmp_path, schedulers=["slurm"], left_out={"slurm": "no"})
    assert (experiment.left_out, len(experiment.clusters())) == ({}, 1)


def test_an_experiment_of_nothing_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="no variant can run: flux: no file pins") as caught:
        load(tmp_path, schedulers=["flux"])
    assert "settings.flux.prefix" in str(caught.value.remedy)
    assert str(caught.value).count("remedy: ") == 1


def pinned(folder: Path) -> dict[str, str]:
    """Settings of a channel and its lock file."""
    channel, lock = make_flux_channel(folder / "channel"), folder / "site.lock"
    (folder / "scratch").mkdir()
    write_lock(INSTALLATION, str(channel), lock, folder / "scratch")
    return {"channel": str(channel), "lock": str(lock)}


def test_a_channel_out_of_reach_leaves_out_what_the_cache_does_not_have(tmp_path: Path) -> None:
    settings = pinned(tmp_path)
    entries = ["slurm", "flux", own("easy", scheduler="fluxion")]

    def left_out() -> dict[str, str]:
        experiment = load(tmp_path, schedulers=entries, settings={"flux": settings})
        write_experiment(experiment, tmp_path / "kept.yaml")
        assert read_experiment(tmp_path / "kept.yaml").left_out.keys() == experiment.left_out.keys()
        assert len(experiment.clusters()) == 3 - len(experiment.left_out)
        return experiment.left_out

    assert left_out() == {}
    package = tmp_path / "channel/linux-64/flux-core-0.85.0-0.tar.bz2"
    package.rename(tmp_path / "away")
    assert set(left_out()) == {"flux", "easy"}
    assert "cannot be reached" in left_out()["flux"] and "no such file" in left_out()["flux"]
    (tmp_path / "away").rename(package)
    prepare_installation(INSTALLATION, settings, cache=Cache.default())
    package.unlink()
    assert left_out() == {}


def test_a_lock_file_of_the_checkout_must_pin_everything(tmp_path: Path) -> None:
    lock = Path(pinned(tmp_path)["lock"])
    lock.rename(tmp_path / "flux.lock")
    with pytest.raises(SchedlabError, match="flux.lock is a lock file of .*, not of conda-forge"):
        load(tmp_path, schedulers=["slurm", "flux"])


def test_the_image_of_a_channel_is_another_than_of_a_prefix(tmp_path: Path, prefix: str) -> None:
    entries = ["flux", own("mine", prefix=prefix)]
    experiment = load(tmp_path, schedulers=entries, settings={"flux": pinned(tmp_path)})
    first, second = design.images(experiment)
    assert (first, second.partition("-")[0]) == ("flux", "flux") and second != first
    told = {one.variant: design.variant_facts(experiment, one) for one in experiment.clusters()}
    assert "flux: lock" in told["flux"] and "flux: prefix" not in told["flux"]
    assert "flux: prefix" in told["mine"] and "flux: channel" not in told["mine"]


def test_a_channel_of_a_variant_beside_the_prefix_of_all_is_refused(
    tmp_path: Path, prefix: str
) -> None:
    entries = ["flux", own("other", channel="bioconda", lock="x")]
    with pytest.raises(SchedlabError) as caught:
        load(tmp_path, schedulers=entries, settings={"flux": {"prefix": prefix}})
    told = "schedulers[1].settings.channel = 'bioconda': not used where prefix gives"
    assert told in caught.value.message


def test_an_image_is_named_by_what_is_installed_in_it(tmp_path: Path, prefix: str) -> None:
    general = {"flux": {"prefix": prefix}}
    experiment = load(tmp_path, schedulers=["flux", own("easy", scheduler="fluxion")],
                      settings=general)  # fmt: skip
    assert design.images(experiment) == ["flux"]
    other = own("other", prefix=f"{prefix}/bin/..")
    experiment = load(tmp_path, schedulers=["flux", other], settings=general)
    first, second = design.images(experiment)
    assert (first, second.partition("-")[0]) == ("flux", "flux") and second != first
    assert design.installation_settings(experiment, second)["prefix"] == f"{prefix}/bin/.."


def test_the_copy_beside_the_results_has_the_same_images(
    tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although it does not tell where on this machine an installation is."""
    monkeypatch.setenv("SCHEDLAB_CACHE", str(tmp_path))
    identity.cache_clear()
    try:
        experiment = load(tmp_path, schedulers=["slurm", own("mine", prefix=prefix)])
        write_experiment(experiment, tmp_path / "kept.yaml")
        assert prefix not in (tmp_path / "kept.yaml").read_text()
        kept = read_experiment(tmp_path / "kept.yaml")
        assert design.images(kept) == design.images(experiment)
    finally:
        identity.cache_clear()


def test_the_run_says_which_variant_runs_a_second_time(tmp_path: Path) -> None:
    second = load(tmp_path, schedulers=["flux", "slurm"], aa=True)
    assert any("slurm runs a second time (aa: true): flux" in told for told in notices(second))
    none = load(tmp_path, schedulers=["flux", "slurm"], aa="flux")
    assert "no variant runs a second time: aa names flux" in " ".join(notices(none))
    assert notices(load(tmp_path, schedulers=["slurm"], aa=True)) == []


def test_a_dry_run_names_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load(tmp_path, schedulers=["flux", "slurm"], placement={"oversubscribe": True})
    for name in ("SCHEDLAB_CAMPAIGN", "SCHEDLAB_EXPERIMENTS", "SCHEDLAB_RESULTS"):
        monkeypatch.setenv(name, "")
    file, results = str(tmp_path / "experiments.yaml"), str(tmp_path / "r")
    monkeypatch.setattr("schedlab.snakefile.is_dry_run", lambda: True)
    Pipeline.load(file, results, str(CHECKOUT))
    assert "schedlab: flux is left out: no file pins" in capsys.readouterr().err


def test_trials_of_variants_that_the_run_left_out_are_not_awaited(tmp_path: Path) -> None:
    experiment = load(tmp_path, schedulers=["flux", "slurm"], repetitions=1)
    results = tmp_path / "r"
    sign(results)
    write_experiment(experiment, results / "experiments.yaml")
    words = ["--experiments", str(tmp_path / "experiments.yaml"), "--results", str(results)]
    done = CliRunner().invoke(main, ["trials", *words])
    assert "0 of 0 trials valid; 1 have not run" in done.stdout
    assert "flux was left out by the run: no file pins" in done.stderr


def test_doctor_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HostFacts, "detect", classmethod(lambda _: HOST))
    load(tmp_path, schedulers=["flux", "slurm"])
    path = str(tmp_path / "experiments.yaml")
    names = {"SCHEDLAB_EXPERIMENTS": path, "SCHEDLAB_RESULTS": str(tmp_path / "results")}
    told = CliRunner().invoke(main, ["doctor"], env=names).output
    assert "flux is left out: no file pins the packages" in told


def test_settings_that_a_variant_mixes_with_those_of_all_are_looked_at(
    tmp_path: Path, prefix: str
) -> None:
    archive = tmp_path / "flux.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(prefix, "site")
    right = hashlib.sha256(archive.read_bytes()).hexdigest()
    other = tmp_path / "other.tar"
    other.write_bytes(archive.read_bytes() + bytes(10240))
    shared = {"flux": {"prefix": str(archive), "sha256": right}}
    load(tmp_path, schedulers=["flux", own("easy", policy="easy", scheduler="fluxion")],
         settings=shared)  # fmt: skip
    with pytest.raises(SchedlabError, match=r"schedulers\[1\].settings.sha256 = '1+': not the"):
        load(tmp_path, schedulers=["flux", own("easy", sha256="1" * 64)], settings=shared)
    with pytest.raises(SchedlabError, match=f"settings.flux.sha256 = '{right}': not the") as caught:
        load(tmp_path, schedulers=["flux", own("easy", prefix=str(other))], settings=shared)
    assert str(other) in str(caught.value)
