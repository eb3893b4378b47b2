"""Kubernetes and Volcano on real machines: the trace, the jobs that ran, the report.

`make test-all` runs this, and builds the programs where the cache has none.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest
from campaign import (
    NEEDS_ROOT,
    Campaign,
    complete,
    measured,
    not_as_asked,
    shapes,
)

from schedlab.schedulers.equivalence import differences

SCHEDULERS = ("volcano", "kubernetes")

pytestmark = [
    pytest.mark.e2e,
    NEEDS_ROOT,
    pytest.mark.long,
]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """One complete run."""
    folder = tmp_path_factory.mktemp("e2e") / "results"
    yield from complete(Campaign("config/tests/kubernetes.yaml", folder))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_job_ran_and_its_instants_are_the_audit_logs(
    campaign: Campaign, scheduler: str
) -> None:
    trials = pq.read_table(campaign.results / "tables/trials.parquet").to_pandas()
    own = trials[trials["scheduler"] == scheduler]
    assert len(own) == 1 and measured(own), own["reasons"]
    row = own.iloc[0]
    jobs = pq.read_table(campaign.results / "tables/jobs.parquet").to_pandas()
    jobs = jobs[jobs["scheduler"] == scheduler]
    assert set(jobs["state"]) == {"COMPLETED"}
    for name in ("accepted", "allocated", "completed"):
        assert jobs[f"{name}_source"].str.startswith("audit.log").all(), name
    samples = pq.read_table(campaign.results / "tables/samples.parquet").to_pandas()
    seen = samples[samples["trial"] == row["trial"]]["labels"].str.cat()
    assert all(process in seen for process in ("etcd", "kube-apiserver", "kubelet"))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_what_ran_is_what_the_trace_asked_for(campaign: Campaign, scheduler: str) -> None:
    trace, translated, ran = shapes(campaign.trial(f"{scheduler}-n1", "poisson"))
    assert len({(job.cpus, job.arrival) for job in trace}) == len(trace) > 2
    assert differences(trace, translated) == []
    assert not_as_asked(trace, ran) == []


def test_all_schedulers_got_the_same_trace(campaign: Campaign) -> None:
    first, second = (
        (campaign.trial(f"{name}-n1", "poisson") / "trace.json").read_bytes() for name in SCHEDULERS
    )
    assert first == second


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_report_says_what_bounds_the_scheduler(campaign: Campaign, scheduler: str) -> None:
    report = (campaign.results / "report.html").read_text()
    own = {"volcano": "minAvailable", "kubernetes": "a batch/v1 Job (Indexed)"}
    for words in (own[scheduler], "client limits", "50/s, burst 100"):
        assert words in report, words


def test_a_second_run_of_the_playbook_changes_nothing(campaign: Campaign) -> None:
    campaign.configure_again("volcano-n1")


def test_no_key_is_in_a_record_or_a_log_and_nothing_is_left_running(campaign: Campaign) -> None:
    for path in campaign.results.rglob("*"):
        if path.suffix in {".json", ".log", ".html", ".txt", ".env"} and (
            "secrets" not in path.parts
        ):
            assert b"PRIVATE KEY" not in path.read_bytes(), path
    assert campaign.left() == []


def test_an_api_server_that_dies_is_an_outcome_that_the_report_tells(campaign: Campaign) -> None:
    process = campaign.start_again("volcano-n1", "poisson")
    campaign.on_guest("head", "systemctl kill --signal=KILL kube-apiserver")
    assert process.wait(1800) == 0
    trials = pq.read_table(campaign.results / "tables/trials.parquet").to_pandas()
    row = trials.set_index("scheduler").loc["volcano"]
    assert any("kube-apiserver" in said for said in row["daemons"])
    assert "kube-apiserver was started again" in (campaign.results / "report.html").read_text()
    assert measured(trials[trials["scheduler"] == "kubernetes"])
