"""SYNTHETIC results that are complete enough to pack, and a small Git checkout beside them.

Nothing here was measured: trials are those of `trial_factory`, records of the other stages name
small files that stand for disks and snapshots. Everything goes through the package's own writers.

    make_complete(root)     results with tables, figures and report
    make_checkout(root)     a Git repository with one commit and uncommitted changes
    packed()                a bundle of both, made once a process
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from record_factory import write_record
from trial_factory import make_experiment, make_trial

from schedlab import design
from schedlab.bundle.archive_format import MANIFEST
from schedlab.bundle.pack import pack
from schedlab.bundle.writer import BundleWriter
from schedlab.config import Experiment
from schedlab.figures import FIGURES
from schedlab.results.records import RecordWriter, digest, load_record, write_json
from schedlab.stages.context import Context
from schedlab.stages.figure import draw_figure
from schedlab.stages.report import write_report
from schedlab.stages.tables import write_tables

WORKLOADS = [{"name": "burst", "kind": "burst", "jobs": 6, "runtime": 0}]


def small_experiment(**changes: Any) -> Experiment:
    """One cluster, one workload, three repetitions."""
    return make_experiment(**({"nodes": [1], "workloads": WORKLOADS} | changes))


def _stage(
    results: Path,
    path: Path,
    stage: str,
    name: str,
    parents: dict[str, Path],
    files: dict[str, bytes],
    **content: Any,
) -> Path:
    """Write a stage's folder: its files, and the record that names them."""
    for file, data in files.items():
        (path.parent / file).parent.mkdir(parents=True, exist_ok=True)
        (path.parent / file).write_bytes(data)
    writer = RecordWriter(stage, name, results, results, parents=parents)
    writer._created = "2026-09-20T10:00:00+00:00"
    writer._start = __import__("time").monotonic() - 12.5
    writer.write(path, outputs=[path.parent / file for file in files], **content)
    record = load_record(path)
    write_json(path, record | {"duration": 12.5})
    return path


def make_stages(results: Path, experiment: Experiment) -> None:
    """Records of every stage before the trials."""
    _stage(results, results / "toolchain.json", "toolchain", "toolchain", {}, {}, tools={})
    probe = {"accelerator": "tcg", "reason": "/dev/kvm does not exist", "qemu_version": "10.0.3"}
    images = results / "images" / "slurm"
    base = _stage(
        results, images / "base" / "record.json", "base", "slurm/base", {},
        {"disk.qcow2": b"base disk", "packages.txt": b"slurmctld=24.11\n"},
        realised={"packages": ["slurmctld=24.11"], "disk_sha256": digest("base")},
    )  # fmt: skip
    accelerator = _stage(
        results, results / "accelerator.json", "accelerator", "host", {"base": base}, {},
        accelerator=probe,
    )  # fmt: skip
    image = _stage(
        results, images / "image" / "record.json", "image", "slurm/image",
        {"base": base, "accelerator": accelerator},
        {"disk.qcow2": b"image disk", "packages.txt": b"slurmctld=24.11\n", "console.log": b"boot"},
        realised={"packages": ["slurmctld=24.11"], "disk_sha256": digest("image")},
    )  # fmt: skip
    for cluster in experiment.clusters():
        folder = results / "clusters" / cluster.id
        provisioned = _stage(
            results, folder / "provisioned" / "record.json", "provision",
            f"{cluster.id}/provisioned",
            {"image": image, "accelerator": accelerator},
            {"snapshot/head.save": b"memory", "terraform-outputs.json": b"{}"},
            realised={"nodes": {}, "domain_xml": {}, "terraform_outputs": {}},
        )  # fmt: skip
        _stage(
            results, folder / "configured" / "record.json", "configure",
            f"{cluster.id}/configured",
            {"provisioned": provisioned},
            {"snapshot/head.save": b"memory", "ansible-timings.json": b"[]"},
            realised={"nodes": {}, "configuration": {"slurm.conf": "SelectType=cons\n"}},
            settings=design.cluster_spec(experiment, cluster.id),
        )  # fmt: skip


def add_trials(results: Path, experiment: Experiment) -> None:
    """Trials of the experiment, whose records name the files beside them and their cluster."""
    for order, key in enumerate(experiment.trials()):
        folder = make_trial(results, key, experiment, order=order)
        for name, data in {
            "driver.log": b"",
            "console/head.console.log": b"login:",
            "prometheus/prometheus.yml": b"global: {}\n",
            "prometheus/prometheus.log": b"",
            "prometheus/block/01/index": bytes(2000),
        }.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        adopt(results, folder)


def adopt(results: Path, folder: Path) -> None:
    """Make a trial's record name the files beside it, and its parents as they are now."""
    path = folder / "record.json"
    record = load_record(path)
    parents = {name: results / parent["path"] for name, parent in record["parents"].items()}
    kept = ("created", "duration", "trial", "conditions", "verdict", "phases", "tools")
    write_record(
        path,
        results,
        "trial",
        record["id"],
        parents,
        outputs=[file for file in folder.iterdir() if file != path],
        **{key: record[key] for key in kept if key in record},
    )


def make_complete(results: Path, experiment: Experiment | None = None) -> Context:
    """Results with tables, figures, report; traces too."""
    experiment = experiment or small_experiment()
    context = Context(experiment, results)
    make_stages(results, experiment)
    add_trials(results, experiment)
    analyse(context)
    return context


def analyse(context: Context) -> None:
    """Tables, figures and report of what is there."""
    write_tables(context)
    for name in FIGURES:
        draw_figure(context.results, name)
    write_report(context, context.results / "report.html")


def git(folder: Path, *arguments: str) -> str:
    """Run Git with an identity of the test's own."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@test.invalid"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def make_checkout(root: Path) -> Path:
    """A repository with one commit, one changed file, one new file and one ignored file."""
    root.mkdir(parents=True)
    citation = Path(__file__).resolve().parents[2] / "CITATION.cff"
    shutil.copyfile(citation, root / "CITATION.cff")
    (root / "Snakefile").write_text("rule all:\n    input: []\n")
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o755)
    (root / ".gitignore").write_text("ignored*\n")
    (root / "link").symlink_to("Snakefile")
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "All of it")
    (root / "Snakefile").write_text("rule all:\n    input: ['report.html']\n")
    (root / "config").mkdir()
    (root / "config/new.txt").write_text("not committed\n")
    (root / "ignored.txt").write_text("not for sharing\n")
    return root


class Packed(NamedTuple):
    """A bundle and what it was made from."""

    path: Path
    digest: str
    results: Path
    checkout: Path


@cache
def packed() -> Packed:
    """Bundle of small synthetic results; made once, never to be changed by a test."""
    root = Path(tempfile.mkdtemp(prefix="schedlab-packed-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    make_complete(root / "results")
    checkout = make_checkout(root / "checkout")
    path = root / "bundle.tar.zst"
    return Packed(path, pack(root / "results", path, root=checkout), root / "results", checkout)


def as_is(folder: Path, path: Path) -> Path:
    """Pack a folder into a bundle whose manifest agrees with it; records are left as they are."""
    with BundleWriter(path) as writer:
        writer.add_file("bundle.json", folder / "bundle.json")
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = file.relative_to(folder).as_posix()
            if name not in {"bundle.json", MANIFEST}:
                writer.add_file(name, file)
    return path
