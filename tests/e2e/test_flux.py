"""Flux on real machines: the trace, the jobs that ran, the report.

It runs where SCHEDLAB_FLUX_PREFIX names an installation of Flux, a folder or an archive of one.
`make test-all` also runs Fluxion, which the installation must then have, and Slurm beside it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pandas as pd
import pyarrow.parquet as pq
import pytest
from campaign import (
    ALL,
    NEEDS_ROOT,
    ROOT,
    Campaign,
    changed,
    complete,
    flux_installed,
    measured,
    not_as_asked,
    shapes,
)

from schedlab.results.records import load_record
from schedlab.schedulers.equivalence import differences, of_trace
from schedlab.workloads import read_trace

PREFIX = os.environ.get("SCHEDLAB_FLUX_PREFIX", "")
EXPERIMENT = ROOT / "config/tests/flux.yaml"
VARIANTS = ("flux", "easy") if ALL else ("flux",)
HALF = 10.0
"""Within this time after they began, the jobs of the workload `long` still run, s."""

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
    schedulers = {} if ALL else {"schedulers": list(VARIANTS)}
    yield from complete(
        changed(EXPERIMENT, results, settings={"flux": flux_installed(PREFIX)}, **schedulers)
    )


def outcome(campaign: Campaign, workload: str) -> tuple[pd.Series, list[str]]:
    """Row and states of the jobs, in the trace's order, of Flux's trial of a workload."""
    trials = pq.read_table(campaign.results / "tables/trials.parquet").to_pandas()
    own = trials[(trials["cluster"] == "flux-n1") & (trials["workload"] == workload)]
    assert len(own) == 1 and measured(own), own["reasons"].tolist()
    jobs = pq.read_table(campaign.results / "tables/jobs.parquet").to_pandas()
    jobs = jobs[jobs["trial"] == own.iloc[0]["trial"]].sort_values("job")
    return own.iloc[0], jobs["state"].tolist()


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_job_ran_and_its_instants_are_the_event_logs(
    campaign: Campaign, variant: str
) -> None:
    trials = pq.read_table(campaign.results / "tables/trials.parquet").to_pandas()
    own = trials[trials["scheduler"] == variant].set_index("workload")
    assert len(own) == 2 and measured(own), own["reasons"].tolist()
    row = own.loc["poisson"]
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


@pytest.mark.long
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


def test_a_broker_that_dies_takes_its_jobs_with_it(campaign: Campaign) -> None:
    process = campaign.start_again("flux-n1", "long")
    # Both jobs run there: the only compute node has a processor for each.
    time.sleep(HALF)
    campaign.on_guest("compute1", "systemctl kill --signal=KILL flux")
    assert process.wait(1800) == 0
    row, states = outcome(campaign, "long")
    assert states == ["NODE_FAIL", "NODE_FAIL"]
    assert row["failed"] == 2 and row["completed"] == 0


def test_jobs_that_a_limit_forbids_are_rejected_and_counted(campaign: Campaign) -> None:
    process = campaign.start_again("flux-n1", "poisson")
    limit = "[policy.limits.job-size.max]\\nncores = 1\\n"
    campaign.on_guest(
        "head",
        f'printf "{limit}" >> /etc/flux/schedlab.toml;'
        " sudo -u bench env FLUX_URI=local:///run/flux/local flux config reload",
    )
    assert process.wait(1800) == 0
    _, states = outcome(campaign, "poisson")
    trace = of_trace(read_trace(campaign.trial("flux-n1", "poisson") / "trace.json"))
    wide = [state for job, state in zip(trace, states, strict=True) if job.cpus > 1]
    # Those that were due before the limit was there have run.
    assert wide[-1] == "REJECTED" and set(wide) <= {"COMPLETED", "REJECTED"}
    assert states.count("REJECTED") == wide.count("REJECTED")
    assert "rejected" in (campaign.results / "report.html").read_text()


def test_the_run_leaves_nothing(campaign: Campaign) -> None:
    assert campaign.left() == []
