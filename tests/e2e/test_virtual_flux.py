"""Flux with eight virtual nodes, which it plays itself, from the base disk to the report.

It runs where SCHEDLAB_FLUX_PREFIX names an installation of Flux, a folder or an archive of one, and
SCHEDLAB_TEST_ALL is 1. The installation must have Fluxion.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest
from campaign import (
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
from schedlab.schedulers.equivalence import differences

PREFIX = os.environ.get("SCHEDLAB_FLUX_PREFIX", "")
VARIANTS = ("flux-virtual", "easy-virtual")
WORKLOADS = ("gang", "burst")
NODES = {f"compute{number}" for number in range(1, 9)}

pytestmark = [
    pytest.mark.e2e,
    NEEDS_ROOT,
    pytest.mark.long,
    pytest.mark.skipif(not PREFIX, reason="SCHEDLAB_FLUX_PREFIX names no installation of Flux"),
]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """One complete run."""
    results = tmp_path_factory.mktemp("e2e") / "results"
    experiment = ROOT / "config/tests/virtual-flux.yaml"
    yield from complete(changed(experiment, results, settings={"flux": flux_installed(PREFIX)}))


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_machines_are_eight_nodes(campaign: Campaign, variant: str) -> None:
    configured = campaign.results / "clusters" / f"{variant}-n8" / "configured"
    manifest = json.loads((configured / "snapshot/cluster.json").read_text())
    assert [node["name"] for node in manifest["nodes"]] == ["head", "carrier1"]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_job_takes_the_time_that_the_trace_asks_for(
    campaign: Campaign, variant: str, workload: str
) -> None:
    trace, translated, ran = shapes(campaign.trial(f"{variant}-n8", workload))
    assert differences(trace, translated) == []
    assert not_as_asked(trace, ran) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_start_and_end_are_fluxs_own_and_have_the_delays(campaign: Campaign, variant: str) -> None:
    jobs = pq.read_table(campaign.results / "tables/jobs.parquet").to_pandas()
    jobs = jobs[jobs["scheduler"] == variant]
    assert set(jobs["state"]) == {"COMPLETED"}
    for name in ("started", "finished"):
        assert jobs[f"{name}_source"].str.startswith("eventlogs.jsonl").all()
        assert jobs[f"{name}_source"].str.contains("no payload ran").all()
    # No rank ran a payload that stamps its start: what only stamps tell is absent.
    assert set(jobs["ranks"]) == {0}
    assert jobs["launch_skew_ns"].isna().all()
    launch = (jobs["started"] - jobs["allocated"]) / 1e9
    assert launch.min() >= 0.199  # the events are precise to 1 us
    asked = jobs["workload"].map({"gang": 4.0, "burst": 1.0})
    assert ((jobs["finished"] - jobs["started"]) / 1e9 - asked).min() >= 0.099
    whole = jobs[(jobs["workload"] == "gang") & (jobs["nodes"] == 8)]
    assert len(whole) == 1
    assert set(whole.iloc[0]["placement"]) == NODES
    # Flux plays a job as one whole: each of the eight ranks has the job's own instants.
    for name in ("started", "finished"):
        assert whole.iloc[0][f"rank_{name}"].tolist() == [whole.iloc[0][name]] * len(NODES)
    assert (campaign.trial(f"{variant}-n8", "gang") / "stamps.jsonl").read_text() == ""


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_tables_and_the_report_call_the_nodes_virtual(campaign: Campaign, variant: str) -> None:
    trials = pq.read_table(campaign.results / "tables/trials.parquet").to_pandas()
    trials = trials[trials["scheduler"] == variant]
    assert len(trials) == len(WORKLOADS) and measured(trials), list(trials["reasons"])
    assert set(trials["carriers"]) == {1}
    assert set(trials["cores"]) == {16}
    assert trials["launch_skew_median_s"].isna().all()
    for text in trials["parity"]:
        said = json.loads(text)["node daemons"]
        assert "8 virtual nodes" in said
        assert "delays of start and end: start 0.2 to 0.3 s" in said
    assert f"The nodes of {variant} are virtual" in (campaign.results / "report.html").read_text()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_carrier_runs_nothing_of_flux(campaign: Campaign, variant: str) -> None:
    record = load_record(campaign.trial(f"{variant}-n8", "burst") / "record.json")
    costs = record["conditions"]["daemon_cost"]["end"]
    assert costs["head"]["broker"]["cpu_seconds"] > 0
    assert costs["carrier1"].get("broker", {}).get("processes", 0) == 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_second_run_of_the_playbook_changes_nothing(campaign: Campaign, variant: str) -> None:
    campaign.configure_again(f"{variant}-n8")


def test_the_run_leaves_nothing(campaign: Campaign) -> None:
    assert campaign.left() == []
