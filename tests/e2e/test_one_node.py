"""A real cluster of one compute node, from the base disk to the report, and its failures.

It boots virtual machines with the accelerator that works. Images and clusters come from the cache;
those that it lacks, or whose sources changed, are made and put into it.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from campaign import (
    NEEDS_ROOT,
    Campaign,
    guests,
    kept,
    measured,
    not_as_asked,
    shapes,
    wait_for,
    with_kept_clusters,
)

from schedlab.dashboards.emptiness import empty_panels
from schedlab.dashboards.serve import chosen_trials, programs, serve
from schedlab.results.store import Store
from schedlab.schedulers.equivalence import differences

EXPERIMENT = "config/tests/one-node.yaml"
TRIAL = ("slurm-n1", "burst")

pytestmark = [
    pytest.mark.e2e,
    NEEDS_ROOT,
]


@pytest.fixture(scope="module")
def campaign() -> Iterator[Campaign]:
    """One complete run."""
    yield from with_kept_clusters(Campaign(EXPERIMENT, kept(EXPERIMENT)))


def test_the_run_ends_in_a_report_and_leaves_nothing_running(campaign: Campaign) -> None:
    assert (campaign.results / "report.html").stat().st_size > 10_000
    assert campaign.left() == []


def test_every_job_ran_and_its_instants_are_in_order(campaign: Campaign) -> None:
    assert campaign.verdict(campaign.trial(*TRIAL)) == {"valid": True, "reasons": []}
    jobs = pq.read_table(campaign.results / "tables/jobs.parquet").to_pandas()
    assert len(jobs) == 5
    assert set(jobs["state"]) == {"COMPLETED"}
    # The table's verdict also covers the order of the instants, within the clocks' uncertainty.
    trials = pq.read_table(campaign.results / "tables/trials.parquet").to_pandas()
    assert len(trials) == 1 and measured(trials), trials["reasons"][0]
    samples = pq.read_table(campaign.results / "tables/samples.parquet").to_pandas()
    assert {"up", "schedlab_process_cpu_seconds_total"} <= set(samples["metric"])


def test_what_ran_is_what_the_trace_asked_for(campaign: Campaign) -> None:
    trace, translated, ran = shapes(campaign.trial(*TRIAL))
    assert len(trace) == 5
    assert differences(trace, translated) == []
    assert not_as_asked(trace, ran) == []


def test_records_hang_together(campaign: Campaign) -> None:
    lineage = None
    for path in (
        "images/slurm/base", "images/slurm/image", "clusters/slurm-n1/provisioned",
        "clusters/slurm-n1/configured", "trials/slurm-n1/burst/1",
    ):  # fmt: skip
        record = json.loads((campaign.results / path / "record.json").read_text())
        if lineage is not None:
            assert lineage in {parent["lineage"] for parent in record["parents"].values()}
        lineage = record["lineage"]


def test_no_secret_is_in_a_record_or_a_log(campaign: Campaign) -> None:
    secrets = [
        p.read_bytes() for p in campaign.results.rglob("secrets/*") if p.name != "id_ed25519.pub"
    ]
    assert len(secrets) >= 2
    shared = [p for p in campaign.results.rglob("*") if p.suffix in {".json", ".log", ".html"}]
    for path in shared:
        if "secrets" in path.parts:
            continue
        content = path.read_bytes()
        assert b"PRIVATE KEY" not in content, path
        assert all(secret not in content for secret in secrets if len(secret) > 40), path


def test_every_panel_of_the_dashboards_shows_something_of_the_trial(
    campaign: Campaign, tmp_path: Path
) -> None:
    chosen = chosen_trials(Store(campaign.results), ())
    with serve(chosen, *programs(), tmp_path) as served:
        assert served.without_block == []
        empty = empty_panels(served)
    trials = pq.read_table(campaign.results / "tables/trials.parquet").to_pandas()
    # Beside other work the trial is invalid, and panels of valid trials show none.
    assert [panel for panel in empty if trials["valid"].any() or 'valid="yes"' not in panel] == []


def test_a_second_run_of_the_playbook_changes_nothing(campaign: Campaign) -> None:
    campaign.configure_again("slurm-n1")


def test_drawing_again_starts_no_machine(campaign: Campaign) -> None:
    figure = campaign.results / "figures" / "throughput.svg"
    before = figure.read_bytes()
    done = campaign.run("--forcerun", "figure")
    assert "Trial" not in done.stdout + done.stderr
    assert figure.read_bytes() == before


def test_kill_9_in_a_trial_leaves_nothing_and_the_rerun_finishes_only_the_rest(
    campaign: Campaign,
) -> None:
    # As in a first run: this trial is not finished, and there are no results from it.
    record = campaign.trial(*TRIAL) / "record.json"
    record.unlink()
    shutil.rmtree(campaign.results / "tables")
    process = campaign.start()
    wait_for(lambda: len(guests()) == 2, 600, "the restore")
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not guests(), 300, "the end of the guests")
    assert not record.exists()
    done = campaign.run()
    assert "Provisioning" not in done.stderr and "Configuring" not in done.stderr
    assert campaign.verdict(campaign.trial(*TRIAL))["valid"]
    assert list((campaign.results / "scratch").iterdir()) == []


def test_a_guest_that_dies_makes_an_invalid_trial_and_the_report_says_so(
    campaign: Campaign,
) -> None:
    process = campaign.start_again(*TRIAL)
    victim = next(p for p in guests() if "compute1" in " ".join(p.cmdline()))
    victim.kill()
    assert process.wait(900) == 0
    verdict = campaign.verdict(campaign.trial(*TRIAL))
    assert not verdict["valid"]
    assert "compute1" in verdict["reasons"][0]
    assert "compute1" in (campaign.results / "report.html").read_text()
    assert guests() == []
