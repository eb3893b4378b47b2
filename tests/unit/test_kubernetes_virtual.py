"""Virtual nodes of the schedulers on Kubernetes, on SYNTHETIC records (see kubernetes_factory)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import kubernetes_factory as made
import pytest
from kubernetes_factory import at

from schedlab.schedulers import get_scheduler
from schedlab.schedulers.kubernetes.virtual import heartbeat, told
from schedlab.schedulers.rows import collect
from schedlab.workloads.trace import Job, Machine, Trace

GROUP = {"kubernetes": "batch", "volcano": "batch.volcano.sh"}
DONE = {"kubernetes": "Complete", "volcano": "Completed"}
KWOK = "kwok/v0.8.0 (linux/amd64)"
TRACE = Trace("gang", "gang", 1, Machine(2, 2), (Job(0, 0.0, 2, 1, 1.0),))
NO_DELAYS: dict[str, list[list[float]]] = {"start": [], "completion": []}
VIRTUAL = {
    "cpus": 1,
    "memory_mib": 768,
    "carriers": {"carrier1": [1, 3], "carrier2": [2]},
    "delays": NO_DELAYS,
}


def reported(seconds: float, pod: str, phase: str, agent: str = KWOK) -> str:
    """A status of a pod; KWOK's has the same form as a kubelet's."""
    state = {"running": {}} if phase == "Running" else {"terminated": {"exitCode": 0}}
    status = {"phase": phase, "containerStatuses": [{"name": "payload", "state": state}]}
    return made.audit(seconds, "patch", "pods/status", pod, {"status": status}, agent=agent)


def gang(name: str, agent: str = KWOK) -> str:
    """Audit log of a job of two ranks."""
    group = GROUP[name]
    pods = [f"job0-{r}-x7k2p" if name == "kubernetes" else f"job0-rank-{r}" for r in (0, 1)]
    return "\n".join(
        [
            made.created(0.1, "job0", group),
            *(made.bound(0.3 + rank / 10, pod, f"compute{rank}") for rank, pod in enumerate(pods)),
            *(reported(0.5 + r / 10, pod, "Running", agent) for r, pod in enumerate(pods)),
            *(reported(1.5 + r / 10, pod, "Succeeded", agent) for r, pod in enumerate(pods)),
            # KWOK may report the same again after it was started again.
            reported(1.9, pods[0], "Succeeded", agent),
            made.ended(2.0, "job0", group, DONE[name]),
        ]
    )


def row(folder: Path, name: str, audit: str, stamps: list[dict[str, Any]]) -> dict[str, Any]:
    (folder / "native").mkdir()
    (folder / "native/audit.log").write_text(audit)
    (translated,) = get_scheduler(name).submissions(TRACE)
    entry = asdict(translated)
    driver = [{"job": 0, "returncode": 0, "native_id": "job0"}]
    (found,) = collect(get_scheduler(name), folder / "native", stamps, [entry], driver)
    return found


@pytest.mark.parametrize("name", GROUP)
def test_start_and_end_of_a_virtual_job_are_its_nodes_reports(name: str, tmp_path: Path) -> None:
    found = row(tmp_path, name, gang(name), [])
    assert (found["started"], found["finished"]) == (at(0.5), at(1.6))
    assert found["rank_started"] == [at(0.5), at(0.6)]
    assert found["rank_finished"] == [at(1.5), at(1.6)]
    for instant in ("started", "finished"):
        assert "virtual node" in found[f"{instant}_source"]
        assert "no payload ran" in found[f"{instant}_source"]
    # What only a payload can tell is absent.
    assert (found["ranks"], found["launch_skew_ns"]) == (0, None)
    assert (found["state"], found["exit_code"]) == ("COMPLETED", 0)


@pytest.mark.parametrize("name", GROUP)
def test_reports_of_real_nodes_do_not_stand_in_for_stamps(name: str, tmp_path: Path) -> None:
    found = row(tmp_path, name, gang(name, agent="kubelet/v1.34.4 (linux/amd64)"), [])
    assert (found["started"], found["finished"], found["rank_started"]) == (None, None, [])


def test_a_job_that_did_not_end_has_no_end(tmp_path: Path) -> None:
    audit = "\n".join(gang("volcano").split("\n")[:5])
    found = row(tmp_path, "volcano", audit, [])
    assert (found["started"], found["finished"], found["rank_finished"]) == (at(0.5), None, [])


def test_heartbeats_are_those_of_kubelets_until_there_are_too_many() -> None:
    assert [heartbeat(nodes) for nodes in (1, 8, 50, 51, 1024)] == [10, 10, 10, 11, 205]


@pytest.mark.parametrize("name", GROUP)
def test_the_controller_waits_for_the_heartbeats_of_many_nodes(name: str) -> None:
    scheduler = get_scheduler(name)
    own = scheduler.variables(scheduler.merged_settings({}))
    few = scheduler.virtual_variables(VIRTUAL, own)
    assert few["kubernetes_arguments"] == own["kubernetes_arguments"]
    assert few["kubernetes_virtual"]["lease"] == 40
    numbers = list(range(1, 1025))
    many = scheduler.virtual_variables({**VIRTUAL, "carriers": {"carrier1": numbers}}, own)
    manager = many["kubernetes_arguments"]["kube-controller-manager"]
    assert manager[-1] == "--node-monitor-grace-period=1025s"
    assert many["kubernetes_virtual"]["lease"] == 820
    assert many["kubernetes_virtual"]["annotations"]["schedlab/heartbeat"] == "205 s"


def virtual_node(name: str, carrier: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"schedlab/carrier": carrier},
            "annotations": {"schedlab/heartbeat": "10 s", "schedlab/delays": "none"},
        },
        "status": {"nodeInfo": {"kubeletVersion": "kwok-v0.8.0"}},
    }


def test_the_manifest_says_what_the_nodes_are(tmp_path: Path) -> None:
    nodes = [virtual_node("compute1", "carrier1"), virtual_node("compute2", "carrier2")]
    (tmp_path / "objects.json").write_text(made.object_list(*nodes))
    rows = get_scheduler("volcano").parity(tmp_path)
    assert "on carriers that of KWOK" in rows["costs"] and "crun" not in rows["costs"]
    text = rows["node daemons"]
    for words in (
        "2 virtual nodes",
        "kwok-v0.8.0",
        "carriers: 2",
        "every 10 s",
        "end: none",
        "watch",
    ):
        assert words in text
    real = {"kind": "Node", "metadata": {"name": "compute1"}, "status": {}}
    assert told(json.dumps({"items": [real]})) == "a kubelet on each node"
    node = real | {"status": {"nodeInfo": {}}}
    (tmp_path / "objects.json").write_text(json.dumps({"items": [node]}))
    assert "crun" in get_scheduler("volcano").parity(tmp_path)["costs"]
    assert told("") == told("[]") == told('{"items": 3}') == "unknown"
