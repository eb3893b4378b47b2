"""Flux on real machines: the trace, the jobs that ran, the report.

It runs where SCHEDLAB_FLUX_PREFIX names an installation of Flux, a folder or an archive of one.
`make test-all` also runs Fluxion, which the installation must then have, and Slurm beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from campaign import (
    ALL,
    NEEDS_ROOT,
    ROOT,
    Campaign,
    changed,
    complete,
    measured,
    not_as_asked,
    shapes,
)

from schedlab.results.records import file_digest, load_record
from schedlab.schedulers.equivalence import differences

PREFIX = os.environ.get("SCHEDLAB_FLUX_PREFIX", "")
EXPERIMENT = ROOT / "config/tests/flux.yaml"
VARIANTS = ("flux", "easy") if ALL else ("flux",)

pytestmark = [
    pytest.mark.e2e,
    NEEDS_ROOT,
    pytest.mark.skipif(
        not PREFIX, reason="SCHEDLAB_FLUX_PREFIX names no installation of Flux (folder or archive)"
    ),
]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """One complete run."""
    results = tmp_path_factory.mktemp("e2e") / "results"
    flux = {"prefix": PREFIX}
    if Path(PREFIX).is_file():
        flux["sha256"] = file_digest(Path(PREFIX))
    schedulers = {} if ALL else {"schedulers": list(VARIANTS)}
    yield from complete(changed(EXPERIMENT, results, settings={"flux": flux}, **schedulers))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_job_ran_and_its_instants_are_the_event_logs(
    campaign: Campaign, variant: str
) -> None:
    trials = pq.read_table(campaign.results / "tables/trials.parquet").to_pandas()
    own = trials[trials["scheduler"] == variant]
    assert len(own) == 1 and measured(own), own["reasons"]
    row = own.iloc[0]
    jobs = pq.read_table(campaign.results / "tables/jobs.parquet").to_pandas()
    jobs = jobs[jobs["scheduler"] == variant]
    assert set(jobs["state"]) == {"COMPLETED"}
    for name in ("accepted", "allocated", "completed"):
        assert jobs[f"{name}_source"].str.startswith("eventlogs.jsonl").all(), name
    samples = pq.read_table(campaign.results / "tables/samples.parquet").to_pandas()
    seen = samples[samples["trial"] == row["trial"]]
    assert "schedlab_flux_jobs" in set(seen["metric"])
    assert all(name in seen["labels"].str.cat() for name in ("broker", "schedlab-flux"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_ran_is_what_the_trace_asked_for(campaign: Campaign, variant: str) -> None:
    trace, translated, ran = shapes(campaign.trial(f"{variant}-n1", "poisson"))
    assert len({(job.cpus, job.arrival) for job in trace}) == len(trace) > 2
    assert differences(trace, translated) == []
    assert not_as_asked(trace, ran) == []


@pytest.mark.skipif(not ALL, reason="Flux runs alone: make test-all compares it with Slurm")
def test_all_schedulers_got_the_same_trace(campaign: Campaign) -> None:
    names = ("slurm", *VARIANTS)
    texts = {(campaign.trial(f"{n}-n1", "poisson") / "trace.json").read_bytes() for n in names}
    assert len(texts) == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_certificate_is_in_no_record_and_in_no_image(campaign: Campaign, variant: str) -> None:
    configured = campaign.results / f"clusters/{variant}-n1/configured"
    record = load_record(configured / "record.json")
    assert set(record["realised"]["configuration"]) == {"schedlab.toml"}
    for path in (configured / "record.json", *(campaign.results / "logs").rglob("*.log")):
        assert "secret-key" not in path.read_text(errors="replace"), path


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_report_says_what_bounds_the_scheduler(campaign: Campaign, variant: str) -> None:
    report = (campaign.results / "report.html").read_text()
    own = {"flux": "sched-simple", "easy": "a reservation for the first job that waits"}
    for words in (own[variant], "by the Python API", "flux-core"):
        assert words in report, words


def test_the_run_leaves_nothing(campaign: Campaign) -> None:
    assert campaign.left() == []
