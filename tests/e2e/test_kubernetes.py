"""Kubernetes and Volcano on real machines: the trace, the jobs that ran, the report.

`make test` runs this with Volcano only, if the programs are in the cache; otherwise it skips this
module with a message. `make test-all` builds the programs and also runs Kubernetes' own scheduler.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest
from campaign import ROOT, Campaign, changed, complete, guests, measured, not_as_asked, shapes

from schedlab.schedulers import image_programs
from schedlab.schedulers.equivalence import differences
from schedlab.toolchain.guest_binaries import is_prepared

ALL = os.environ.get("SCHEDLAB_TEST_ALL") == "1"
EXPERIMENT = ROOT / "config/tests/kubernetes.yaml"
SCHEDULERS = ("volcano", "kubernetes") if ALL else ("volcano",)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network and mount namespaces"),
    pytest.mark.skipif(
        not ALL and not all(is_prepared(group) for group in image_programs("kubernetes")),
        reason="the cache has no programs of Kubernetes and Volcano: make test-all builds them",
    ),
]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """One complete run."""
    results = tmp_path_factory.mktemp("e2e") / "results"
    yield from complete(changed(EXPERIMENT, results, schedulers=list(SCHEDULERS)))


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


@pytest.mark.skipif(len(SCHEDULERS) < 2, reason="one scheduler runs: make test-all compares two")
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
    done = campaign.schedlab("configure", "--cluster", "volcano-n1", "--check-again")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_no_key_is_in_a_record_or_a_log_and_nothing_is_left_running(campaign: Campaign) -> None:
    for path in campaign.results.rglob("*"):
        if path.suffix in {".json", ".log", ".html", ".txt", ".env"} and (
            "secrets" not in path.parts
        ):
            assert b"PRIVATE KEY" not in path.read_bytes(), path
    assert guests() == []
    assert list((campaign.results / "scratch").iterdir()) == []


def test_an_api_server_that_dies_is_an_outcome_that_the_report_tells(campaign: Campaign) -> None:
    process = campaign.start_again("volcano-n1", "poisson")
    campaign.on_guest("head", "systemctl kill --signal=KILL kube-apiserver")
    assert process.wait(1800) == 0
    trials = pq.read_table(campaign.results / "tables/trials.parquet").to_pandas()
    row = trials.set_index("scheduler").loc["volcano"]
    assert any("kube-apiserver" in said for said in row["daemons"])
    assert "kube-apiserver was started again" in (campaign.results / "report.html").read_text()
    for other in SCHEDULERS[1:]:
        assert measured(trials[trials["scheduler"] == other])
