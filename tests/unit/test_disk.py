"""`schedlab disk`: what uses how much, and the removal of what no current target needs."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from disk_factory import MIB, Place
from record_factory import write_record

from schedlab.cli.main import main
from schedlab.paths import TOOL_MODULES
from schedlab.results.records import file_digest
from schedlab.schedulers import image_installation
from schedlab.stages.base_disk import cache_inputs
from schedlab.storage.usage import results_by_kind, usage
from schedlab.testbed.supervisor import scratch_folder
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.installation import given_digest


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


NAMED = {
    "clusters/slurm-n1/configured",
    "clusters/slurm-n1/provisioned",
    "images/slurm/base",
    "images/slurm/image",
    "trials/slurm-n1/burst/1",
    "trials/slurm-n1/burst/2",
}


def test_without_prune_nothing_changes(place: Place) -> None:
    before = place.left()
    shown = place.run()
    assert shown.exit_code == 0, shown.output
    assert "clusters/slurm-n4: configured, provisioned" in shown.output
    assert "trials/slurm-n4/burst: 1, 2, 3" in shown.output
    assert "trials/slurm-n1/burst: 3" in shown.output
    assert "images/slurm-bookworm: base, image" in shown.output
    assert "images/slurm:" not in shown.output
    assert place.left() == before


def test_prune_asks_and_removes_what_the_experiment_does_not_name(place: Place) -> None:
    before = place.left()
    assert place.run("--prune", answer="n\n").exit_code == 1
    assert place.left() == before
    done = place.run("--prune", answer="y\n")
    assert done.exit_code == 0, done.output
    assert place.left() == NAMED
    assert not (place.results / "clusters" / "slurm-n4").exists(), "an empty folder is left"
    assert "All of it is needed" in place.run("--prune", "--yes").output


def test_without_an_answer_nothing_is_removed(place: Place) -> None:
    before = place.left()
    assert place.run("--prune").exit_code == 1
    assert place.left() == before


def test_what_does_not_carry_marks_stays(place: Place) -> None:
    clusters = place.results / "clusters"
    own = clusters / "mine-n9" / "configured"
    own.mkdir(parents=True)
    (own / "thesis.tex").write_text("years of work")
    copied = clusters / "copy-n4" / "configured"
    copied.mkdir(parents=True)
    record = clusters / "slurm-n4" / "configured" / "record.json"
    (copied / "record.json").write_text(record.read_text())
    (place.results / "notes").write_text("mine")
    assert place.run("--prune", "--yes").exit_code == 0
    assert (own / "thesis.tex").exists() and (copied / "record.json").exists()
    assert (place.results / "notes").exists()


def test_a_folder_that_is_none_of_results_is_refused(place: Place) -> None:
    (place.results / ".lock").unlink()
    done = place.run("--prune", "--yes")
    assert done.exit_code == 2 and "is no folder of results" in done.output
    (place.results / ".lock").symlink_to(place.experiments)
    assert place.run("--prune", "--yes").exit_code == 2
    assert place.left() > NAMED


def test_results_of_another_experiment_are_refused(place: Place) -> None:
    text = place.experiments.read_text()
    place.experiments.write_text(
        text.replace("nodes:\n- 1", "nodes:\n- 7").replace("slurm", "null")
    )
    text = place.experiments.read_text().replace("null", "kubernetes")
    place.experiments.write_text(text)
    before = place.left()
    done = place.run("--prune", "--yes")
    assert done.exit_code == 1 and "--experiments FILE" in done.output, done.output
    assert place.left() == before


def held(place: Place, what: str) -> Iterator[None]:
    """Hold what a run, a job without a run, or a run of another checkout holds."""
    if what == "run":
        with (place.results / ".lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
    elif what == "job":
        with scratch_folder(place.results, "exec"):
            yield
    else:
        with place.cache.keep():
            yield


@pytest.mark.parametrize("what", ["run", "job", "cache"])
def test_nothing_is_removed_beside_a_run(place: Place, what: str) -> None:
    before = place.left()
    for _ in held(place, what):
        done = place.run("--prune", "--yes")
        assert done.exit_code == 1 and "is removed" in done.output, done.output
        assert place.left() == before
        assert place.run().exit_code == 0, "looking is allowed"
    assert place.run("--prune", "--yes").exit_code == 0
    assert place.left() == NAMED


def test_links_are_not_followed(place: Place) -> None:
    other = place.root / "other"
    for name in ("slurm-n4/configured", "slurm-n8/configured"):
        (other / name).mkdir(parents=True)
        (other / name / "data").write_bytes(bytes(MIB))
        write_record(other / name / "record.json", place.results, "configure", name)
    # A link in the place of a cluster, in a cluster that goes, and in the place of a stage.
    (place.results / "clusters" / "slurm-n8").symlink_to(other / "slurm-n8")
    (place.results / "clusters" / "slurm-n4" / "configured" / "more").symlink_to(other)
    (place.results / "clusters" / "slurm-n2").mkdir()
    (place.results / "clusters" / "slurm-n2" / "configured").symlink_to(
        other / "slurm-n4" / "configured"
    )
    shown = place.run("--prune", "--yes")
    assert shown.exit_code == 0, shown.output
    assert "not followed" in shown.output
    assert len(list(other.rglob("data"))) == 2
    assert (place.results / "clusters" / "slurm-n8").is_symlink()
    link = place.root / "link"
    link.symlink_to(place.results)
    place.results = link
    done = place.run("--prune", "--yes")
    assert done.exit_code == 1 and "is a link" in done.output


@pytest.mark.parametrize(
    "name", ["a\nb", "\x1b[2J", "--yes", "*", "$(reboot)", os.fsdecode(b"\xff")]
)
def test_hostile_names(place: Place, name: str) -> None:
    folder = place.results / "clusters" / name / "configured"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(bytes(MIB))
    (folder / "record.json").write_text(
        (place.results / "clusters/slurm-n4/configured/record.json").read_text()
    )
    (place.results / name).symlink_to("/")
    done = place.run("--prune", "--yes")
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output and done.exception is None
    assert (folder / name).exists()


def test_sparse_files_count_as_what_they_use(place: Place) -> None:
    disk = place.results / "clusters" / "slurm-n1" / "configured" / "disk"
    with disk.open("wb") as handle:
        handle.truncate(2**40)
        handle.write(bytes(MIB))
    assert usage(disk).bytes < 2 * MIB
    kinds = results_by_kind(place.results)
    assert kinds["snapshots"].bytes < 6 * MIB
    # A file with two names is there once, and is free only when both are gone.
    before = usage(place.results).bytes
    assert usage(disk).freed == usage(disk).bytes
    os.link(disk, place.results / "images" / "disk")
    assert usage(place.results).bytes == before
    assert usage(disk).freed == 0


def test_kinds_of_results(place: Place) -> None:
    for name in (
        "bundle.tar.zst",
        "logs/a/b.log",
        "tables/jobs.parquet",
        "decisions/a/b/1.record.json",
        "imported/a/x",
        "other-x",
    ):
        (place.results / name).parent.mkdir(parents=True, exist_ok=True)
        (place.results / name).write_bytes(bytes(MIB))
    kinds = {name: used.bytes // MIB for name, used in results_by_kind(place.results).items()}
    assert kinds == {
        "images": 4, "snapshots": 4, "trials": 7, "logs": 1, "tables": 1, "imports": 1,
        "jobs at work": 0, "bundles": 1, "other": 1,
    }  # fmt: skip


def fill(cache: Cache, kind: str, inputs: dict[str, object]) -> Path:
    return cache.get_or_build(kind, inputs, lambda to: (to / "disk").write_bytes(bytes(MIB)))


def test_cache_entries_that_nothing_needs_go(place: Place) -> None:
    pins = {n: file_digest(TOOL_MODULES / "packer" / n) for n in ("go.mod", "go.sum")}
    needed = [
        fill(place.cache, "base-disk", cache_inputs(place.experiment, "slurm")),
        fill(place.cache, "go-tool", {"module": "packer", **pins}),
        fill(place.cache, "of a newer release", {}),
        fill(place.cache, "provider-mirror", {"provider": "of a tool that was not built"}),
    ]
    old = [
        fill(place.cache, "base-disk", {"spec": {"image": "slurm"}}),
        fill(place.cache, "go-tool", {"module": "packer", "go.mod": "old", "go.sum": "old"}),
        fill(place.cache, "image", {"code": {}, "base": "0"}),
    ]
    linked = fill(place.cache, "base-disk", {"spec": {"image": "elsewhere"}})
    place.cache.place(linked / "disk", place.root / "other results" / "disk")
    freed = fill(place.cache, "base-disk", {"spec": {"image": "here"}})
    place.cache.place(freed / "disk", place.results / "images/slurm-bookworm/base/disk")
    strange = place.cache.root / "base-disk" / ("0" * 64)
    strange.mkdir()
    (strange / "manifest.json").write_text(json.dumps({"inputs": {}, "files": {}}))
    outside = place.root / "outside"
    old[0].parent.rename(outside)
    old[0].parent.symlink_to(outside)
    done = place.run("--prune", "--yes")
    assert done.exit_code == 0, done.output
    assert all(path.exists() for path in [*needed, linked, strange, outside])
    assert not any(path.exists() for path in [*old[1:], freed])
    assert not list((place.cache.root / "verified").glob(f"*{old[1].parent.name}*"))
    assert not list((place.cache.root / "locks").glob(f"*{old[1].parent.name}*"))
    fill(place.cache, "go-tool", {"module": "packer", "go.mod": "old", "go.sum": "old"})


def test_an_entry_that_is_being_built_stays(place: Place) -> None:
    entry = fill(place.cache, "image", {"code": {}, "base": "0"})
    with place.cache.locked(f"image-{entry.parent.name}"):
        done = place.run("--prune", "--yes")
    assert done.exit_code == 0, done.output
    assert entry.exists() and place.left() == NAMED


@pytest.mark.parametrize("kind", ["link", "pipe", "missing"])
def test_without_a_known_experiment_no_trial_is_removed(
    place: Place, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default experiment, which names none of these trials, does not take its place."""
    copy = place.results / "experiments.yaml"
    if kind == "link":
        copy.symlink_to("nowhere")
    elif kind == "pipe":
        os.mkfifo(copy)
    monkeypatch.chdir(place.root)
    monkeypatch.setenv("SCHEDLAB_CACHE", str(place.cache.root))
    words = ["disk", "--results", str(place.results), "--prune", "--yes"]
    (place.root / "config").mkdir()
    default = place.experiments.read_text().replace("burst", "other").replace("mine", "default")
    (place.root / "config/experiments.yaml").write_text(
        default.replace("kind: other", "kind: burst")
    )
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert "--experiments" in done.output
    assert (place.results / "trials/slurm-n1/burst/1/data").exists()


def test_only_prune_asks(place: Place) -> None:
    assert place.run("--yes").exit_code == 1


def decide(place: Place, cluster: str, repetition: int, stage: str = "decision") -> Path:
    path = place.results / f"decisions/{cluster}/burst/{repetition}.record.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_record(path, place.results, stage, f"{cluster}.burst.{repetition}", decision={})
    return path


def test_decisions_about_trials_that_are_not_named_go(place: Place) -> None:
    kept = decide(place, "slurm-n1", 2)
    gone = [decide(place, "slurm-n1", 3), decide(place, "slurm-n4", 1)]
    other = decide(place, "slurm-n5", 1, stage="trial")
    link = other.with_name("2.record.json")
    link.symlink_to(kept)
    shown = place.run()
    assert "decisions/slurm-n1/burst: 3\n" in shown.output
    assert "decisions/slurm-n4/burst: 1\n" in shown.output
    assert place.run("--prune", "--yes").exit_code == 0
    assert kept.is_file() and other.is_file() and link.is_symlink()
    assert not any(path.exists() for path in gone)
    assert not gone[1].parent.parent.exists(), "empty folders go too"
    assert "All of it is needed" in place.run().output


def test_installations_that_the_settings_do_not_give_go(place: Place) -> None:
    given = place.root / "flux"
    (given / "bin").mkdir(parents=True)
    (given / "bin/flux").write_text("flux")
    installation = image_installation("flux")
    assert installation
    digest = given_digest(installation, {"prefix": str(given)})
    needed = fill(place.cache, "installation", {"name": "flux", "given": digest})
    old = fill(place.cache, "installation", {"name": "flux", "given": "0" * 64})
    content = yaml.safe_load(place.experiments.read_text())
    content |= {"schedulers": ["slurm", "flux"], "settings": {"flux": {"prefix": str(given)}}}
    place.experiments.write_text(yaml.safe_dump(content))
    (given / "bin/flux").rename(given / "moved")
    given.rename(place.root / "away")
    unneeded = place.run().output.partition("not needed")[2]
    assert "MiB  installation" not in unneeded, "it cannot be told"
    (place.root / "away").rename(given)
    (given / "moved").rename(given / "bin/flux")
    assert place.run("--prune", "--yes").exit_code == 0
    assert needed.exists() and not old.exists()
    content = {**content, "schedulers": ["slurm"], "settings": {}}
    place.experiments.write_text(yaml.safe_dump(content))
    assert place.run("--prune", "--yes").exit_code == 0
    assert not needed.exists()
