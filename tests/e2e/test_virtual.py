"""A real controller with eight virtual nodes on one machine, from the base disk to the report."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest
from campaign import Campaign, complete, guests, measured, not_as_asked, shapes

from schedlab.results.records import load_record
from schedlab.schedulers.equivalence import differences

CLUSTER = "slurm-virtual-n8"
WORKLOADS = ("gang", "burst")
NODES = {f"compute{number}" for number in range(1, 9)}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network and mount namespaces"),
]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """One complete run."""
    folder = tmp_path_factory.mktemp("e2e") / "results"
    yield from complete(Campaign("config/tests/virtual.yaml", folder))


def test_two_machines_are_eight_nodes(campaign: Campaign) -> None:
    configured = campaign.results / "clusters" / CLUSTER / "configured"
    manifest = json.loads((configured / "snapshot/cluster.json").read_text())
    assert [node["name"] for node in manifest["nodes"]] == ["head", "carrier1"]
    native = campaign.trial(CLUSTER, "burst") / "native"
    listed = (native / "scontrol-nodes.txt").read_text().splitlines()
    assert {re.findall(r"^NodeName=(\S+)", line)[0] for line in listed} == NODES
    # The controller uses the shape that was asked for, and every node runs Slurm of its own.
    assert all(" CPUTot=2 " in line and " NodeHostName=carrier1 " in line for line in listed)
    assert len({re.findall(r" Port=([0-9]+)", line)[0] for line in listed}) == len(NODES)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_job_runs_as_the_trace_asks(campaign: Campaign, workload: str) -> None:
    folder = campaign.trial(CLUSTER, workload)
    trace, translated, ran = shapes(folder)
    assert differences(trace, translated) == []
    assert not_as_asked(trace, ran) == []


def test_a_job_of_eight_nodes_runs_a_rank_on_each(campaign: Campaign) -> None:
    jobs = pq.read_table(campaign.results / "tables/jobs.parquet").to_pandas()
    assert set(jobs["state"]) == {"COMPLETED"}
    whole = jobs[(jobs["workload"] == "gang") & (jobs["nodes"] == 8)]
    assert len(whole) == 1
    assert set(whole.iloc[0]["placement"]) == NODES
    assert len(whole.iloc[0]["rank_started"]) == 8
    # A rank starts while the others run: all had a node at once.
    assert max(whole.iloc[0]["rank_started"]) < min(whole.iloc[0]["rank_finished"])


def test_the_tables_and_the_report_call_the_nodes_virtual(campaign: Campaign) -> None:
    trials = pq.read_table(campaign.results / "tables/trials.parquet").to_pandas()
    assert measured(trials), list(trials["reasons"])
    assert set(trials["carriers"]) == {1}
    assert set(trials["cores"]) == {16}
    assert load_record(campaign.trial(CLUSTER, "gang") / "record.json")["trial"]["carriers"] == 1
    report = (campaign.results / "report.html").read_text()
    assert f"The nodes of {CLUSTER.removesuffix('-n8')} are virtual" in report


def test_a_second_run_of_the_playbook_changes_nothing(campaign: Campaign) -> None:
    done = campaign.schedlab("configure", "--cluster", CLUSTER, "--check-again")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_run_leaves_nothing(campaign: Campaign) -> None:
    assert guests() == []
    assert list((campaign.results / "scratch").iterdir()) == []
