"""Volcano on a real control plane with eight virtual nodes, from the base disk to the report.

`make test` runs this if the programs are in the cache; otherwise it skips this module with a
message, as `test_kubernetes` does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest
from campaign import Campaign, complete, guests, measured, not_as_asked, shapes

from schedlab.results.records import load_record
from schedlab.schedulers import image_programs
from schedlab.schedulers.equivalence import differences
from schedlab.toolchain.guest_binaries import is_prepared

CLUSTER = "volcano-virtual-n8"
WORKLOADS = ("gang", "burst")
NODES = {f"compute{number}" for number in range(1, 9)}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network and mount namespaces"),
    pytest.mark.skipif(
        os.environ.get("SCHEDLAB_TEST_ALL") != "1"
        and not all(is_prepared(group) for group in image_programs("kubernetes")),
        reason="the cache has no programs of Kubernetes, Volcano and KWOK: make test-all builds"
        " them",
    ),
]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """One complete run."""
    folder = tmp_path_factory.mktemp("e2e") / "results"
    yield from complete(Campaign("config/tests/virtual-volcano.yaml", folder))


def test_two_machines_are_eight_nodes(campaign: Campaign) -> None:
    configured = campaign.results / "clusters" / CLUSTER / "configured"
    manifest = json.loads((configured / "snapshot/cluster.json").read_text())
    assert [node["name"] for node in manifest["nodes"]] == ["head", "carrier1"]
    objects = json.loads((campaign.trial(CLUSTER, "burst") / "native/objects.json").read_text())
    nodes = {one["metadata"]["name"]: one for one in objects["items"] if one["kind"] == "Node"}
    assert set(nodes) == NODES
    for node in nodes.values():
        assert node["status"]["allocatable"]["cpu"] == "2"
        assert node["status"]["nodeInfo"]["kubeletVersion"].startswith("kwok-")
        assert not node["spec"].get("taints")


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_job_takes_the_time_that_the_trace_asks_for(
    campaign: Campaign, workload: str
) -> None:
    trace, translated, ran = shapes(campaign.trial(CLUSTER, workload))
    assert differences(trace, translated) == []
    assert not_as_asked(trace, ran) == []


def test_a_job_of_eight_nodes_has_all_of_them_at_once(campaign: Campaign) -> None:
    jobs = pq.read_table(campaign.results / "tables/jobs.parquet").to_pandas()
    assert set(jobs["state"]) == {"COMPLETED"}
    whole = jobs[(jobs["workload"] == "gang") & (jobs["nodes"] == 8)]
    assert len(whole) == 1
    assert set(whole.iloc[0]["placement"]) == NODES
    assert len(whole.iloc[0]["rank_started"]) == 8


def test_the_tables_say_that_no_payload_ran(campaign: Campaign) -> None:
    jobs = pq.read_table(campaign.results / "tables/jobs.parquet").to_pandas()
    for name in ("started", "finished"):
        assert jobs[f"{name}_source"].str.contains("no payload ran").all()
    assert set(jobs["ranks"]) == {0}
    assert jobs["launch_skew_ns"].isna().all()
    assert (campaign.trial(CLUSTER, "gang") / "stamps.jsonl").read_text() == ""


def test_the_tables_and_the_report_call_the_nodes_virtual(campaign: Campaign) -> None:
    trials = pq.read_table(campaign.results / "tables/trials.parquet").to_pandas()
    assert measured(trials), list(trials["reasons"])
    assert set(trials["carriers"]) == {1}
    assert set(trials["cores"]) == {16}
    assert trials["launch_skew_median_s"].isna().all()
    assert load_record(campaign.trial(CLUSTER, "gang") / "record.json")["trial"]["carriers"] == 1
    for text in trials["parity"]:
        said = json.loads(text)["node daemons"]
        assert "8 virtual nodes, played by KWOK" in said
        assert "leases renewed every 10 s; delays of start and end: none" in said
    report = (campaign.results / "report.html").read_text()
    assert f"The nodes of {CLUSTER.removesuffix('-n8')} are virtual" in report


def test_the_cost_of_kwok_is_that_of_its_own_unit(campaign: Campaign) -> None:
    record = load_record(campaign.trial(CLUSTER, "burst") / "record.json")
    costs = record["conditions"]["unit_cost"]["end"]
    assert costs["carrier1"]["kwok"]["cpu_seconds"] > 0
    assert "kwok" not in costs["head"]


def test_a_second_run_of_the_playbook_changes_nothing(campaign: Campaign) -> None:
    done = campaign.schedlab("configure", "--cluster", CLUSTER, "--check-again")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_run_leaves_nothing(campaign: Campaign) -> None:
    assert guests() == []
    assert list((campaign.results / "scratch").iterdir()) == []
