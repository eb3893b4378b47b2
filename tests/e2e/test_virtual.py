"""A real control plane with eight virtual nodes on one machine, from the base disk to the report.

`make test` runs Slurm. `make test-all` also builds and runs Volcano, whose nodes KWOK plays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from campaign import (
    NEEDS_ROOT,
    Campaign,
    kept,
    measured,
    not_as_asked,
    shapes,
    with_kept_clusters,
)

from schedlab.results.records import load_record
from schedlab.schedulers.equivalence import differences

SLURM = pytest.param(("virtual", "slurm-virtual-n8"), id="slurm")
VOLCANO = pytest.param(
    ("virtual-volcano", "volcano-virtual-n8"), id="volcano", marks=pytest.mark.long
)
WORKLOADS = ("gang", "burst")
NODES = {f"compute{number}" for number in range(1, 9)}

pytestmark = [pytest.mark.e2e, NEEDS_ROOT]
slurm_only = pytest.mark.parametrize("campaign", [SLURM], indirect=True)
volcano_only = pytest.mark.parametrize("campaign", [VOLCANO], indirect=True)


@dataclass(frozen=True)
class Virtual(Campaign):
    """A campaign with one cluster, whose nodes are virtual."""

    cluster: str

    def table(self, name: str) -> pd.DataFrame:
        """A table of the results."""
        return pq.read_table(self.results / f"tables/{name}.parquet").to_pandas()

    def whole(self) -> Any:
        """The row of the job that has all nodes."""
        jobs = self.table("jobs")
        whole = jobs[(jobs["workload"] == "gang") & (jobs["nodes"] == 8)]
        assert len(whole) == 1
        return whole.iloc[0]


@pytest.fixture(scope="module", params=[SLURM, VOLCANO])
def campaign(request: pytest.FixtureRequest) -> Iterator[Virtual]:
    """One complete run."""
    name, cluster = request.param
    experiment = f"config/tests/{name}.yaml"
    yield from with_kept_clusters(Virtual(experiment, kept(experiment), cluster))


def test_two_machines_are_the_cluster(campaign: Virtual) -> None:
    configured = campaign.results / "clusters" / campaign.cluster / "configured"
    manifest = json.loads((configured / "snapshot/cluster.json").read_text())
    assert [node["name"] for node in manifest["nodes"]] == ["head", "carrier1"]


@slurm_only
def test_slurm_has_eight_nodes_with_a_daemon_each(campaign: Virtual) -> None:
    native = campaign.trial(campaign.cluster, "burst") / "native"
    listed = (native / "scontrol-nodes.txt").read_text().splitlines()
    assert {re.findall(r"^NodeName=(\S+)", line)[0] for line in listed} == NODES
    # The controller uses the shape that was asked for, and every node runs Slurm of its own.
    assert all(" CPUTot=2 " in line and " NodeHostName=carrier1 " in line for line in listed)
    assert len({re.findall(r" Port=([0-9]+)", line)[0] for line in listed}) == len(NODES)


@volcano_only
def test_kubernetes_has_eight_nodes_of_kwok(campaign: Virtual) -> None:
    native = campaign.trial(campaign.cluster, "burst") / "native"
    objects = json.loads((native / "objects.json").read_text())
    nodes = {one["metadata"]["name"]: one for one in objects["items"] if one["kind"] == "Node"}
    assert set(nodes) == NODES
    for node in nodes.values():
        assert node["status"]["allocatable"]["cpu"] == "2"
        assert node["status"]["nodeInfo"]["kubeletVersion"].startswith("kwok-")
        assert not node["spec"].get("taints")


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_job_runs_as_the_trace_asks(campaign: Virtual, workload: str) -> None:
    trace, translated, ran = shapes(campaign.trial(campaign.cluster, workload))
    assert differences(trace, translated) == []
    assert not_as_asked(trace, ran) == []


def test_a_job_of_eight_nodes_has_all_of_them_at_once(campaign: Virtual) -> None:
    assert set(campaign.table("jobs")["state"]) == {"COMPLETED"}
    whole = campaign.whole()
    assert set(whole["placement"]) == NODES
    assert len(whole["rank_started"]) == 8


@slurm_only
def test_a_job_of_eight_nodes_runs_a_rank_on_each(campaign: Virtual) -> None:
    whole = campaign.whole()
    # A rank starts while the others run: all had a node at once.
    assert max(whole["rank_started"]) < min(whole["rank_finished"])


@volcano_only
def test_the_tables_say_that_no_payload_ran(campaign: Virtual) -> None:
    jobs = campaign.table("jobs")
    for name in ("started", "finished"):
        assert jobs[f"{name}_source"].str.contains("no payload ran").all()
    assert set(jobs["ranks"]) == {0}
    assert jobs["launch_skew_ns"].isna().all()
    assert campaign.table("trials")["launch_skew_median_s"].isna().all()
    assert (campaign.trial(campaign.cluster, "gang") / "stamps.jsonl").read_text() == ""


def test_the_tables_and_the_report_call_the_nodes_virtual(campaign: Virtual) -> None:
    trials = campaign.table("trials")
    assert measured(trials), list(trials["reasons"])
    assert set(trials["carriers"]) == {1}
    assert set(trials["cores"]) == {16}
    record = load_record(campaign.trial(campaign.cluster, "gang") / "record.json")
    assert record["trial"]["carriers"] == 1
    report = (campaign.results / "report.html").read_text()
    assert f"The nodes of {campaign.cluster.removesuffix('-n8')} are virtual" in report


@volcano_only
def test_the_tables_say_what_kwok_does(campaign: Virtual) -> None:
    for text in campaign.table("trials")["parity"]:
        said = json.loads(text)["node daemons"]
        assert "8 virtual nodes, played by KWOK" in said
        assert "leases renewed every 10 s; delays of start and end: none" in said


@volcano_only
def test_the_cost_of_kwok_is_that_of_its_own_unit(campaign: Virtual) -> None:
    record = load_record(campaign.trial(campaign.cluster, "burst") / "record.json")
    costs = record["conditions"]["unit_cost"]["end"]
    assert costs["carrier1"]["kwok"]["cpu_seconds"] > 0
    assert "kwok" not in costs["head"]


@pytest.mark.long
def test_a_second_run_of_the_playbook_changes_nothing(campaign: Virtual) -> None:
    campaign.configure_again(campaign.cluster)


def test_the_run_leaves_nothing(campaign: Virtual) -> None:
    assert campaign.left() == []
