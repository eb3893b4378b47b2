"""A real cluster of one compute node, from the base disk to the report, and its mishaps.

Boots virtual machines with whatever accelerator works. Images come from the cache where it has
them, and go into it where it has not.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = "config/tests/one-node.yaml"
TRIAL = "trials/slurm-n1/burst/1/record.json"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network and mount namespaces"),
]


def run(results: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Snakemake as a user would, into `results`."""
    done = subprocess.run(
        command(results, *arguments), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if check:
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
    return done


def command(results: Path, *arguments: str) -> list[str]:
    return [
        sys.executable, "-m", "snakemake", "--config", f"experiments={EXPERIMENT}",
        f"results={results}", *arguments,
    ]  # fmt: skip


def guests() -> list[psutil.Process]:
    """QEMU processes of the project that run now."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if "qemu-system" in (process.info["name"] or "") and "guest=schedlab-" in words:
            found.append(process)
    return found


def wait_for(condition: object, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Results of one complete run."""
    folder = tmp_path_factory.mktemp("e2e") / "results"
    run(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_the_run_ends_in_a_report_and_leaves_nothing_running(results: Path) -> None:
    assert (results / "report.html").stat().st_size > 10_000
    assert guests() == []
    assert list((results / "scratch").iterdir()) == []


def test_every_job_ran_and_its_instants_are_in_order(results: Path) -> None:
    trial = json.loads((results / TRIAL).read_text())
    assert trial["verdict"] == {"valid": True, "reasons": []}
    jobs = pq.read_table(results / "tables/jobs.parquet").to_pandas()
    assert len(jobs) == 5
    assert set(jobs["state"]) == {"COMPLETED"}
    for earlier, later in (
        ("submit", "accepted"),
        ("allocated", "started"),
        ("started", "finished"),
    ):
        # 2 ms: the resolution of the log that `allocated` comes from, and the clocks' agreement.
        assert (jobs[later] - jobs[earlier] > -2_000_000).all(), f"{later} before {earlier}"
    samples = pq.read_table(results / "tables/samples.parquet").to_pandas()
    assert {"up", "schedlab_process_cpu_seconds_total"} <= set(samples["metric"])


def test_records_hang_together(results: Path) -> None:
    lineage = None
    for path in (
        "images/slurm/base", "images/slurm/image", "clusters/slurm-n1/provisioned",
        "clusters/slurm-n1/configured", "trials/slurm-n1/burst/1",
    ):  # fmt: skip
        record = json.loads((results / path / "record.json").read_text())
        if lineage is not None:
            assert lineage in {parent["lineage"] for parent in record["parents"].values()}
        lineage = record["lineage"]


def test_no_secret_is_in_a_record_or_a_log(results: Path) -> None:
    secrets = [p.read_bytes() for p in results.rglob("secrets/*") if p.name != "id_ed25519.pub"]
    assert len(secrets) >= 2
    shared = [p for p in results.rglob("*") if p.suffix in {".json", ".log", ".html"}]
    for path in shared:
        if "secrets" in path.parts:
            continue
        content = path.read_bytes()
        assert b"PRIVATE KEY" not in content, path
        assert all(secret not in content for secret in secrets if len(secret) > 40), path


def test_a_second_run_of_the_playbook_changes_nothing(results: Path) -> None:
    environment = os.environ | {
        "SCHEDLAB_EXPERIMENTS": str(ROOT / EXPERIMENT),
        "SCHEDLAB_RESULTS": str(results),
    }
    done = subprocess.run(
        [sys.executable, "-m", "schedlab", "configure", "--cluster", "slurm-n1", "--check-again"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_drawing_again_starts_no_machine_and_is_quick(results: Path) -> None:
    figure = results / "figures" / "throughput.svg"
    before = figure.read_bytes()
    start = time.monotonic()
    done = run(results, "--forcerun", "figure")
    assert time.monotonic() - start < 60
    assert "Trial" not in done.stdout + done.stderr
    assert figure.read_bytes() == before


def test_kill_9_in_a_trial_leaves_nothing_and_the_rerun_finishes_only_the_rest(
    results: Path,
) -> None:
    # As in a first run: this trial is not finished yet, and nothing was made of it.
    (results / TRIAL).unlink()
    shutil.rmtree(results / "tables")
    process = subprocess.Popen(
        command(results), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: len(guests()) == 2, 120, "the restore")
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not guests(), 90, "the end of the guests")
    assert not (results / TRIAL).exists()
    done = run(results)
    assert "Provisioning" not in done.stderr and "Configuring" not in done.stderr
    assert json.loads((results / TRIAL).read_text())["verdict"]["valid"]
    assert list((results / "scratch").iterdir()) == []


def test_a_guest_that_dies_makes_an_invalid_trial_and_the_report_says_so(results: Path) -> None:
    log = results / "logs" / "trials" / "slurm-n1.burst.1.log"
    log.unlink()
    process = subprocess.Popen(
        command(results, "--forcerun", "trial_slurm-n1.burst.1"),
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: log.exists() and " submitted" in log.read_text(), 180, "the workload")
    victim = next(p for p in guests() if "compute1" in " ".join(p.cmdline()))
    victim.kill()
    assert process.wait(240) == 0
    verdict = json.loads((results / TRIAL).read_text())["verdict"]
    assert not verdict["valid"]
    assert "compute1" in verdict["reasons"][0]
    assert "compute1" in (results / "report.html").read_text()
    assert guests() == []
