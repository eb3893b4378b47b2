"""Runs the workflow on real machines, and looks at what it leaves on this machine."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
import yaml

from schedlab.paths import cache_root
from schedlab.results.records import digest, file_digest
from schedlab.schedulers import get_scheduler
from schedlab.schedulers.equivalence import (
    Shape,
    differences,
    of_records,
    of_trace,
    of_translations,
)
from schedlab.schedulers.rows import collect
from schedlab.workloads import read_trace

ROOT = Path(__file__).resolve().parents[2]
ALL = os.environ.get("SCHEDLAB_TEST_ALL") == "1"
NEEDS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: network and mount namespaces"
)


@dataclass(frozen=True)
class Campaign:
    """One experiment and the folder of its results."""

    experiment: str
    results: Path

    def command(self, *arguments: str) -> list[str]:
        """Snakemake as a user would call it."""
        return [
            sys.executable, "-m", "snakemake", "--config", f"experiments={self.experiment}",
            f"results={self.results}", *arguments,
        ]  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run to the end; the run must succeed."""
        done = subprocess.run(
            self.command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
        return done

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start in the background."""
        return subprocess.Popen(
            self.command(*arguments), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def schedlab(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a stage's command."""
        environment = os.environ | {
            "SCHEDLAB_EXPERIMENTS": str(ROOT / self.experiment),
            "SCHEDLAB_RESULTS": str(self.results),
        }
        return subprocess.run(
            [sys.executable, "-m", "schedlab", *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def trial(self, cluster: str, workload: str, repetition: int = 1) -> Path:
        """Folder of a trial."""
        return self.results / "trials" / cluster / workload / str(repetition)

    def start_again(self, *trial: str) -> subprocess.Popen[bytes]:
        """Run a finished trial again in the background; return when its workload has begun."""
        log = self.results / "logs" / "trials" / f"{'.'.join(trial)}.1.log"
        log.unlink()
        process = self.start("--forcerun", str(self.trial(*trial) / "record.json"))

        def begun() -> bool:
            assert process.poll() is None, f"the run ended with status {process.returncode}"
            return log.exists() and " submitted" in log.read_text()

        wait_for(begun, 600, "the workload")
        return process

    def on_guest(self, node: str, command: str) -> None:
        """Run a command on a guest of the trial that is under way, as root."""
        machine = next(p for p in guests() if f"-{node}" in " ".join(p.cmdline()))
        (config,) = (self.results / "scratch").glob("*/ssh.conf")
        subprocess.run(
            ["nsenter", "--net", f"--target={machine.pid}", "ssh", "-F", str(config), "-o",
             "ControlPath=none", node, f"sudo sh -c '{command}'"],
            check=True, timeout=120,
        )  # fmt: skip

    def configure_again(self, cluster: str) -> None:
        """Run the playbook again on a configured cluster; it must change nothing."""
        done = self.schedlab("configure", "--cluster", cluster, "--check-again")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    def left(self) -> list[str]:
        """Guests that run, and scratch folders that are there: none once a run has ended."""
        scratch = [str(path) for path in (self.results / "scratch").iterdir()]
        return [f"guest {process.pid}" for process in guests()] + scratch

    def verdict(self, folder: Path) -> dict[str, Any]:
        """Verdict in a trial's record."""
        verdict: dict[str, Any] = json.loads((folder / "record.json").read_text())["verdict"]
        return verdict


def kept(experiment: str) -> Path:
    """Folder in the cache where an experiment's images and clusters of the run before are, if any.

    What is stale of them is made again; trials and what comes after them are removed. Machines that
    differ have folders of their own, because memory that one saved may not run on the other.
    """
    processor = [
        line
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith(("model name", "flags", "Features", "CPU part"))
    ]
    qemu = subprocess.run(
        [f"qemu-system-{platform.machine()}", "--version"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    machine = digest([sorted(set(processor)), qemu])[:12]
    results = cache_root() / "end-to-end" / f"{Path(experiment).stem}-{machine}"
    for name in ("trials", "tables", "figures", "logs"):
        shutil.rmtree(results / name, ignore_errors=True)
    (results / "report.html").unlink(missing_ok=True)
    return results


C = TypeVar("C", bound=Campaign)


def with_kept_clusters(campaign: C) -> Iterator[C]:
    """Run a campaign whose results are `kept`, and hand it to a module's tests."""
    campaign.run()
    yield campaign


def complete(campaign: C) -> Iterator[C]:
    """Run a campaign to its end, hand it to a module's tests, and remove its results."""
    campaign.run()
    yield campaign
    shutil.rmtree(campaign.results, ignore_errors=True)


def changed(experiment: Path, results: Path, **settings: Any) -> Campaign:
    """A campaign of an experiment with other settings, whose file is beside the results."""
    path = results.parent / experiment.name
    path.write_text(yaml.safe_dump(yaml.safe_load(experiment.read_text()) | settings))
    return Campaign(str(path), results)


def flux_installed(prefix: str) -> dict[str, str]:
    """Settings that name an installation of Flux, a folder or an archive."""
    path = Path(prefix)
    return {"prefix": prefix} | ({"sha256": file_digest(path)} if path.is_file() else {})


def guests() -> list[psutil.Process]:
    """QEMU processes of the project that run now."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if "qemu-system" in (process.info["name"] or "") and "guest=schedlab-" in words:
            found.append(process)
    return found


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.2)


def shapes(folder: Path) -> tuple[list[Shape], list[Shape], list[Shape]]:
    """Jobs of a trial as they are in the neutral trace, the translations, and the records."""
    record = json.loads((folder / "record.json").read_text())
    scheduler = get_scheduler(record["trial"]["scheduler"])
    translations = json.loads((folder / "translations.json").read_text())["submissions"]
    stamps = [json.loads(line) for line in (folder / "stamps.jsonl").read_text().splitlines()]
    start = json.loads((folder / "driver" / "driver.json").read_text())["start_ns"]
    rows = collect(scheduler, folder / "native", stamps, translations)
    return (
        of_trace(read_trace(folder / "trace.json")),
        of_translations(scheduler, translations),
        of_records(rows, start),
    )


def shape(results: Path) -> dict[str, Any]:
    """Files of the results, and columns and keys of their tables: equal for equal runs."""
    kept = ("clusters", "trials", "tables", "figures", "traces")
    files = {
        str(path.relative_to(results)) for folder in kept
        for path in (results / folder).rglob("*") if path.is_file()
        # Prometheus names its blocks at random, and cuts them as it likes.
        and "block" not in path.relative_to(results).parts
    }  # fmt: skip
    tables = {path.stem: pq.read_table(path) for path in (results / "tables").glob("*.parquet")}
    keys = {"trials": ("cluster", "workload", "repetition"), "jobs": ("trial", "job")}
    return {
        "files": files,
        "columns": {name: table.schema.names for name, table in tables.items()},
        **{
            name: set(zip(*(tables[name][c].to_pylist() for c in columns), strict=True))
            for name, columns in keys.items()
        },
    }


def not_as_asked(trace: list[Shape], ran: list[Shape]) -> list[str]:
    """Differences of jobs that ran from the trace; on a busy machine they may run longer."""
    shorter = [
        f"{did} ran shorter than {asked}"
        for asked, did in zip(trace, ran, strict=True)
        if did.runtime < asked.runtime
    ]
    return differences(trace, ran, tolerance=float("inf")) + shorter


def measured(trials: pd.DataFrame) -> bool:
    """Whether all trials were measured soundly, but for other work on the machine of the tests."""
    reasons = [reason for row in trials["reasons"] for reason in row]
    return all("of the host's processor time" in reason for reason in reasons)
