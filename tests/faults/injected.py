"""Faults in the middle of real runs: nothing leaks, nothing finished is lost, the rerun completes.

Each fault hits a stage at a random instant. Afterwards no process, network card, mount or file
outside the results is left; the finished trials are byte for byte what they were; the run is
started again, succeeds, and its results have the files, columns and keys of an undisturbed run.

`make test-faults [SEED=NUMBER]` runs this. The seed chooses the instants; it is printed. A table of
all faults is printed at the end, and kept in the folder that `SCHEDLAB_FAULTS` names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from actions import (
    FILLER,
    Fault,
    Run,
    cut_network,
    file_system,
    fill_disk,
    guest,
    interrupt,
    kill,
    send_workflow,
    suspend,
)
from campaign import shape
from footprint import footprint, stays

from schedlab.design import image_of, load_experiment, machines_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EXPERIMENT = HERE / "injected.yaml"
SEED = int(os.environ.get("SCHEDLAB_SEED") or time.time())
CLUSTER, TRIAL = "hit-n1", "trials/hit-n1/burst/2"
TRIALS = [f"trials/{c}/burst/{n}/record.json" for c in ("slurm-n1", CLUSTER) for n in (1, 2)]
_HIT = load_experiment(EXPERIMENT)
MACHINES = machines_of(_HIT, _HIT.cluster(CLUSTER))
"""Name of the cluster's machines as they are before a scheduler is configured on them."""
SIZE = "28G"
"""Of the results' file system: what the experiment is checked to need at most, and some more."""
ENDS = 1200.0
"""Within this time a run must end after a fault, s. The limits of its stages are below it."""

STAGES = {
    # Subcommand -> what is removed before, what is asked for, and about how long it takes where
    # machines are emulated, s. Where it ends sooner, the fault comes sooner. {other} is the image
    # that only one variant has.
    "image": (["images/{other}"], "images/{other}/image/record.json", 180.0),
    "provision": (
        [f"clusters/{MACHINES}", f"clusters/{CLUSTER}", "trials/hit-n1"],
        f"clusters/{MACHINES}/provisioned/record.json",
        80.0,
    ),
    "configure": (
        [f"clusters/{CLUSTER}/configured", "trials/hit-n1"],
        f"clusters/{CLUSTER}/configured/record.json",
        110.0,
    ),
    "trial": ([TRIAL], "report", 25.0),
    "tables": (["tables", "report.html"], "report", 3.0),
    "report": (["report.html"], "report", 3.0),
}

FAULTS: list[tuple[str, str, Fault]] = [
    ("image", "SIGTERM to the workflow", send_workflow(signal.SIGTERM)),
    ("image", "kill -9 to QEMU", kill("qemu-system")),
    ("provision", "kill -9 to the workflow", send_workflow(signal.SIGKILL)),
    ("provision", "kill -9 to libvirtd", kill("libvirtd")),
    ("provision", "disk full", fill_disk),
    ("configure", "Ctrl-C", interrupt),
    ("configure", "kill -9 to QEMU", kill("qemu-system", "compute1")),
    ("configure", "guest network cut", cut_network),
    ("configure", "all suspended", suspend),
    ("configure", "disk full", fill_disk),
    ("trial", "kill -9 to the workflow", send_workflow(signal.SIGKILL)),
    ("trial", "SIGTERM to the workflow", send_workflow(signal.SIGTERM)),
    ("trial", "Ctrl-C", interrupt),
    ("trial", "kill -9 to QEMU", kill("qemu-system", "head")),
    ("trial", "kill -9 to libvirtd", kill("libvirtd")),
    ("trial", "kill -9 to Prometheus", kill("prometheus")),
    ("trial", "SIGTERM to Prometheus", kill("prometheus", number=signal.SIGTERM)),
    ("trial", "kill -9 to the driver", guest("head", "kill -9 $(pgrep -f [s]chedlab_driver)")),
    ("trial", "kill -9 to slurmctld", guest("head", "pkill -9 -x slurmctld")),
    ("trial", "SIGTERM to slurmd", guest("compute1", "pkill -x slurmd")),
    ("trial", "guest network cut", cut_network),
    ("trial", "clock jumps in a guest", guest("compute1", "date -s +1hour")),
    ("trial", "all suspended", suspend),
    ("trial", "disk full", fill_disk),
    ("tables", "kill -9 to the workflow", send_workflow(signal.SIGKILL)),
    ("report", "disk full", fill_disk),
]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces and a file system"),
]


@dataclass
class Bench:
    """Results on a small file system, and what an undisturbed run left there."""

    results: Path
    temporary: Path
    undisturbed: dict[str, Any] = field(default_factory=dict)
    rows: list[str] = field(default_factory=list)
    other: Path = EXPERIMENT

    def command(self, target: str, experiment: Path) -> list[str]:
        """Snakemake as a user would call it.

        The report is asked for with all trials: Snakemake makes no file anew that is missing while
        all that is made of it is there.
        """
        wanted = [*TRIALS, "report.html"] if target == "report" else [target]
        return [
            sys.executable, "-m", "snakemake", "--config", f"experiments={experiment}",
            f"results={self.results}", "--", *(str(self.results / path) for path in wanted),
        ]  # fmt: skip

    def start(self, target: str, experiment: Path, output: Path) -> subprocess.Popen[bytes]:
        """Start a run in a group of processes of its own, as a shell with job control does."""
        with output.open("wb") as file:
            return subprocess.Popen(
                self.command(target, experiment), cwd=ROOT, stdout=file, stderr=file,
                env=os.environ | {"TMPDIR": str(self.temporary)}, process_group=0,
            )  # fmt: skip

    def finish(self, target: str, experiment: Path) -> None:
        """Run to the end; the run must succeed."""
        output = self.temporary.parent / "rerun.txt"
        status = self.start(target, experiment, output).wait(3600)
        assert status == 0, output.read_text()[-6000:]

    def held(self, row: str) -> None:
        """Keep a fault that was held, also for when the faults after it are never injected."""
        self.rows.append(row)
        if kept := os.environ.get("SCHEDLAB_FAULTS"):
            Path(kept).mkdir(parents=True, exist_ok=True)
            (Path(kept) / "faults.tsv").write_text(f"{self.table()}\n")

    def table(self) -> str:
        """All faults that were held so far."""
        return "\n".join(["stage\tfault\tat s\tstatus\tafter", *self.rows, f"seed {SEED}"])

    def another_image(self) -> Path:
        """Write the experiment with one more cluster, whose image's size is in no cache."""
        made = yaml.safe_load(EXPERIMENT.read_text())
        size = f"{3073 + secrets.randbelow(4096)} MiB"
        other = {"name": "other", "scheduler": "slurm", "image": {"disk": size}}
        made["schedulers"].append(other)
        self.other.write_text(yaml.safe_dump(made))
        return self.other

    def remove(self, paths: list[str]) -> None:
        """Remove files and folders of the results."""
        for path in paths:
            victim = self.results / path
            if victim.is_dir():
                shutil.rmtree(victim)
            else:
                victim.unlink(missing_ok=True)

    def finished(self) -> dict[str, str]:
        """Digest of each file of the trials that no fault hits."""
        return {
            str(path.relative_to(self.results)): hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in ("trials/slurm-n1", f"trials/{CLUSTER}/burst/1")
            for path in sorted((self.results / folder).rglob("*"))
            if path.is_file()
        }


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """An undisturbed run, to which all others are compared."""
    folder = tmp_path_factory.mktemp("faults")
    # A run takes no longer path, because it makes sockets there.
    private = Path(tempfile.mkdtemp(prefix="sl", dir="/tmp"))
    temporary = private / "t"
    temporary.mkdir()
    results = folder / "results"
    with file_system(results, SIZE):
        made = Bench(results, temporary)
        made.other = folder / "other.yaml"
        made.finish("report", EXPERIMENT)
        made.undisturbed = shape(results)
        yield made
        print(f"\n{made.table()}")
    shutil.rmtree(private)


def without(shape: dict[str, Any], trial: str) -> dict[str, Any]:
    """A shape without the files of one trial; all of it if the trial has no name."""
    kept = {name for name in shape["files"] if not trial or not name.startswith(f"{trial}/")}
    return shape | {"files": kept}


class TooLate(Exception):
    """The stage ended before the fault."""


def hit(run: Run, fault: Fault, at: float, output: Path) -> float:
    """Inject a fault some seconds after the stage began, or as soon as it can be; return when.

    Raises
    ------
    TooLate
        When the stage ended first.
    """
    deadline = time.monotonic() + ENDS
    while run.innermost() is None:
        assert run.workflow.poll() is None, f"no stage: {output.read_text()[-3000:]}"
        assert time.monotonic() < deadline, "the stage did not begin"
        time.sleep(0.05)
    began = time.monotonic()
    time.sleep(at)
    while True:
        if run.innermost() is None:
            raise TooLate
        # The victim may not be there yet.
        with contextlib.suppress(LookupError, ValueError, subprocess.TimeoutExpired):
            fault(run)
            return time.monotonic() - began
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("stage", "name", "fault"), FAULTS, ids=[f"{s}: {n}" for s, n, _ in FAULTS]
)
def test_fault(bench: Bench, stage: str, name: str, fault: Fault) -> None:
    removed, target, seconds = STAGES[stage]
    experiment = EXPERIMENT
    if stage == "image":
        experiment = bench.another_image()
        with_other = load_experiment(experiment)
        other = image_of(with_other, with_other.cluster("other-n1"))
        removed = [path.format(other=other) for path in removed]
        target = target.format(other=other)
    whole = target == "report"
    if whole:
        bench.finish("report", EXPERIMENT)
    bench.remove(removed)
    finished = bench.finished()
    before = footprint(bench.results, bench.temporary)
    output = bench.temporary.parent / "run.txt"
    # Part of the stage's time that has passed; not its very end, so that the fault still meets it.
    at = random.Random(f"{SEED} {stage} {name}").uniform(0.0, 0.8) * seconds
    while True:
        run = Run(bench.start(target, experiment, output), stage, bench.results)
        try:
            hit_at = hit(run, fault, at, output)
            status = run.workflow.wait(ENDS)
            break
        except TooLate:
            assert run.workflow.wait(ENDS) == 0, output.read_text(errors="replace")[-6000:]
            at /= 2
            assert at > seconds / 1000, "the stage ends before it can be hit"
            bench.remove(removed)
        except BaseException:
            for process in reversed(run.tree()):
                with contextlib.suppress(Exception):
                    process.kill()
            raise
        finally:
            (bench.results / FILLER).unlink(missing_ok=True)
    told = output.read_text(errors="replace")
    assert "Traceback" not in told, told[-6000:]
    left = stays(before, bench.results, bench.temporary)
    assert left == [], "left after the fault"
    assert bench.finished() == finished
    bench.finish(target, experiment)
    assert stays(before, bench.results, bench.temporary) == [], "left after the rerun"
    assert list((bench.results / "scratch").iterdir()) == []
    assert bench.finished() == finished
    after = "made again"
    if whole:
        trials = pq.read_table(bench.results / "tables/trials.parquet").to_pylist()
        (row,) = (r for r in trials if (r["cluster"], r["repetition"]) == (CLUSTER, 2))
        after = (
            "valid" if row["valid"] else f"invalid: {' '.join('; '.join(row['reasons']).split())}"
        )
        # What a guest that died could not hand over is missing in its trial alone.
        less = "" if row["valid"] else TRIAL
        assert without(shape(bench.results), less) == without(bench.undisturbed, less)
    bench.held(f"{stage}\t{name}\t{hit_at:.1f}\t{status}\t{after}")
