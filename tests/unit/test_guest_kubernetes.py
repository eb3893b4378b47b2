"""The guest's client of Kubernetes, against a TLS server that keeps nodes and Jobs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import yaml
from tls_server import JsonHandler, TlsServer, serving

from schedlab.config.sections import Guest
from schedlab.schedulers import get_scheduler
from schedlab.workloads.trace import Job

INFRASTRUCTURE = Path(__file__).resolve().parents[2] / "workflow/infrastructure"
PROGRAM = INFRASTRUCTURE / "ansible/roles/kubernetes/files/disk/lib/schedlab_kubernetes.py"
JOBS = "/apis/batch/v1/namespaces/default/jobs"


def node(name: str, status: str = "True") -> dict[str, Any]:
    conditions = [
        {"type": "MemoryPressure", "status": "False"},
        {"type": "Ready", "status": status},
    ]
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": conditions}}


class Server(TlsServer):
    """Keeps Jobs; `fate` is the status of a Job when it is read for the second time."""

    def __init__(self, certificates: Path) -> None:
        super().__init__(certificates, Handler)
        self.nodes = [node("head"), node("compute1"), node("compute2")]
        self.longest_page = 10**9
        self.fate: dict[str, Any] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.reads: dict[str, int] = {}
        self.deleted: list[Any] = []
        # How often each virtual node was created, and at the how-manieth time it becomes ready.
        self.created: dict[str, int] = {}
        self.ready_at: dict[str, int] = {}


class Handler(JsonHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        path, _, query = self.path.partition("?")
        if path == "/api/v1/nodes":
            self.page("Node", "v1", self.server.nodes, query)
        elif path.endswith("/jobs"):
            self.page("Job", "batch/v1", list(self.server.jobs.values()), query)
        elif self.path == "/metrics":
            self.answer(200, "queue 3\n")
        elif self.path.startswith("/api/v1/nodes/"):
            (found,) = (n for n in self.server.nodes if n["metadata"]["name"] == name)
            self.answer(200, {**found, "metadata": {"resourceVersion": "7", **found["metadata"]}})
        elif name in self.server.jobs:
            self.server.reads[name] = self.server.reads.get(name, 0) + 1
            job = dict(self.server.jobs[name])
            if self.server.reads[name] > 1:
                job["status"] = self.server.fate
            self.answer(200, job)
        else:
            self.answer(404, {"kind": "Status", "message": f"{name} not found"})

    def page(self, kind: str, version: str, items: list[dict[str, Any]], query: str) -> None:
        """Answer with at most as many objects as were asked for, as the API server does."""
        asked = dict(parse_qsl(query, strict_parsing=bool(query)))
        first = int(asked.get("continue", "at +/0").removeprefix("at +/"))
        last = first + min(int(asked.get("limit", 10**9)), self.server.longest_page)
        self.answer(
            200,
            {
                "kind": f"{kind}List",
                "apiVersion": version,
                "metadata": {"continue": f"at +/{last}"} if last < len(items) else {},
                "items": items[first:last] or None,
            },
        )

    def do_POST(self) -> None:
        body = self.body()
        name = body["metadata"]["name"]
        if self.path == "/api/v1/nodes":
            times = self.server.created[name] = self.server.created.get(name, 0) + 1
            status = "True" if times >= self.server.ready_at.get(name, 1) else "Unknown"
            body["status"]["conditions"] = node(name, status)["status"]["conditions"]
            self.server.nodes.append({"spec": {}, **body})
            self.answer(201, body)
        elif name in self.server.jobs:
            self.answer(409, {"kind": "Status", "message": f"{name} already exists"})
        else:
            self.server.jobs[name] = body
            self.answer(201, body)

    def do_PUT(self) -> None:
        body, name = self.body(), self.path.rpartition("/")[2]
        # The kubelet reports every few seconds, so what was read is never the newest.
        if "resourceVersion" in body["metadata"]:
            self.answer(409, {"kind": "Status", "message": "the object has been modified"})
            return
        self.server.nodes = [
            body if n["metadata"]["name"] == name else n for n in self.server.nodes
        ]
        self.answer(200, body)

    def do_DELETE(self) -> None:
        if self.path.startswith("/api/v1/nodes/"):
            name = self.path.rpartition("/")[2]
            self.server.nodes = [n for n in self.server.nodes if n["metadata"]["name"] != name]
            self.answer(200, {"kind": "Status"})
            return
        self.server.deleted.append(self.body())
        gone = self.server.jobs.pop(self.path.rpartition("/")[2], None)
        self.answer(200 if gone else 404, {"kind": "Status"})


@pytest.fixture
def server(certificates: Path) -> Iterator[Server]:
    server = Server(certificates)
    with serving(server):
        yield server


def call(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), f"--api={json.dumps(server.api())}", *words],
        # On a guest, the imported module is in the same folder.
        env=os.environ | {"PYTHONPATH": str(INFRASTRUCTURE / "guest")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def check(
    server: Server, nodes: int = 2, name: str = "kubernetes", *options: str
) -> subprocess.CompletedProcess[str]:
    job = Job(job=0, arrival=0.0, nodes=nodes, cpus=1, runtime=0.0)
    body = get_scheduler(name).body("health", job)  # type: ignore[attr-defined]
    return call(server, "health", f"--nodes={nodes}", f"--job={json.dumps(body)}", *options)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("kubernetes", {"conditions": [{"type": "Complete", "status": "True"}]}),
        ("volcano", {"state": {"phase": "Completed"}, "conditions": [{"status": "Pending"}]}),
    ],
)
def test_a_healthy_cluster_runs_the_job_and_keeps_nothing_of_it(
    server: Server, name: str, status: dict[str, Any]
) -> None:
    server.fate = status
    done = check(server, name=name)
    assert (done.returncode, done.stderr) == (0, "")
    assert server.reads["health"] == 2
    assert server.jobs == {}
    # Without it the Job's pods would outlive the check and take the trial's processors.
    assert server.deleted == [{"propagationPolicy": "Foreground"}]


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_node_that_is_not_ready_fails_the_check_before_any_job(
    server: Server, status: str
) -> None:
    server.nodes[2] = node("compute2", status)
    done = check(server)
    assert done.returncode == 1
    assert done.stderr == "schedlab_kubernetes: 1 of 2 nodes ready: compute1\n"
    assert server.deleted == []


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
        {"state": {"phase": "Aborted"}},
    ],
)
def test_a_job_that_fails_fails_the_check_and_is_removed(
    server: Server, status: dict[str, Any]
) -> None:
    server.fate = status
    done = check(server)
    assert done.returncode == 1
    assert json.dumps(status) in done.stderr
    assert server.jobs == {}


def test_a_job_has_the_delays_of_virtual_nodes_in_addition(server: Server) -> None:
    """A negative one here, so that the limit of a minute is over at once."""
    server.fate = {}
    done = check(server, 2, "kubernetes", "--delay=-59.5")
    assert done.returncode == 1
    assert "did not end within 0.5 s" in done.stderr


def test_a_job_left_behind_fails_one_check_and_not_the_next(server: Server) -> None:
    server.jobs["health"] = {"metadata": {"name": "health"}}
    server.fate = {"conditions": [{"type": "Complete", "status": "True"}]}
    first = check(server)
    assert first.returncode == 1
    assert "already exists" in first.stderr
    assert check(server).returncode == 0


@pytest.mark.parametrize("longest", [1, 2, 3, 500])
def test_several_paths_make_one_list_whose_items_know_their_kind(
    server: Server, longest: int
) -> None:
    """Also where a list comes in several answers."""
    server.longest_page = longest
    server.jobs["job1"] = {"metadata": {"name": "job1"}}
    done = call(server, "get", "/api/v1/nodes", JOBS)
    items = json.loads(done.stdout)["items"]
    kinds = [(item["kind"], item["apiVersion"], item["metadata"]["name"]) for item in items]
    assert kinds == [
        ("Node", "v1", "head"),
        ("Node", "v1", "compute1"),
        ("Node", "v1", "compute2"),
        ("Job", "batch/v1", "job1"),
    ]


def test_nodes_of_all_pages_are_checked(server: Server) -> None:
    server.longest_page = 1
    server.fate = {"conditions": [{"type": "Complete", "status": "True"}]}
    assert check(server, 2).returncode == 0
    assert "2 of 3 nodes ready: compute1, compute2" in check(server, 3).stderr


def test_one_path_is_written_as_it_comes(server: Server) -> None:
    assert call(server, "get", "/metrics").stdout == "queue 3\n"


def test_a_refusal_and_a_server_that_is_gone_are_told(server: Server) -> None:
    refused = call(server, "get", "/nowhere")
    assert refused.returncode == 1
    assert "GET /nowhere: HTTP status 404" in refused.stderr
    server.shutdown()
    server.server_close()
    gone = call(server, "get", "/metrics")
    assert gone.returncode == 1
    assert "ConnectionRefusedError" in gone.stderr
    assert len(gone.stderr.splitlines()) == 1


def test_a_node_gets_no_new_pods_until_it_may_have_them_again(server: Server) -> None:
    for wanted, unschedulable in (("false", True), ("true", False)):
        done = call(server, "schedulable", "compute2", wanted)
        assert done.returncode == 0, done.stderr
        specs = {one["metadata"]["name"]: one["spec"] for one in server.nodes}
        assert specs["compute2"] == {"unschedulable": unschedulable}
        assert specs["compute1"] == {}


VIRTUAL = {
    "cpus": 64,
    "memory_mib": 1000,
    "annotations": {"schedlab/delays": "none"},
    "carriers": {"carrier1": [1, 3], "carrier2": [2]},
}


def test_virtual_nodes_are_registered_once_with_their_shape_and_their_carrier(
    server: Server,
) -> None:
    server.nodes = []
    first, second = (call(server, "register", f"--virtual={json.dumps(VIRTUAL)}") for _ in "12")
    assert (first.stdout, second.stdout) == ("3\n", "0\n"), first.stderr + second.stderr
    found = {one["metadata"]["name"]: one for one in server.nodes}
    assert {name: one["metadata"]["labels"]["schedlab/carrier"] for name, one in found.items()} == {
        "compute1": "carrier1",
        "compute3": "carrier1",
        "compute2": "carrier2",
    }
    # Ranks of a job are kept apart by this label, which a kubelet would set.
    assert found["compute2"]["metadata"]["labels"]["kubernetes.io/hostname"] == "compute2"
    assert found["compute2"]["metadata"]["annotations"] == VIRTUAL["annotations"]
    shape = {"cpu": "64", "memory": "1000Mi", "pods": "256"}
    assert found["compute2"]["status"]["allocatable"] == shape


def test_no_limit_of_pods_keeps_jobs_from_a_node_s_processors() -> None:
    """On real nodes and on virtual ones."""
    kubelet = yaml.safe_load((PROGRAM.parents[1] / "etc/kubernetes/kubelet.yaml").read_text())
    virtual = re.search(r'^PODS = "(\d+)"', PROGRAM.read_text(), re.MULTILINE)
    assert virtual and kubelet["maxPods"] == int(virtual[1])
    assert kubelet["maxPods"] >= Guest.model_json_schema()["properties"]["vcpus"]["maximum"]


@pytest.mark.parametrize(("at", "status"), [(2, 0), (9, 1)])
def test_a_virtual_node_that_does_not_become_ready_is_created_again(
    server: Server, monkeypatch: pytest.MonkeyPatch, at: int, status: int
) -> None:
    server.nodes, server.ready_at = [], {"compute3": at}
    for folder in (INFRASTRUCTURE / "guest", PROGRAM.parent):
        monkeypatch.syspath_prepend(folder)
    import schedlab_kubernetes as program

    monkeypatch.setattr(program, "NODE_POLL", 0.0)
    client = program.Client(server.api())
    if status:
        with pytest.raises(program.Refused, match=r"created 6 times: compute3; .* of carrier1"):
            program.register(client, VIRTUAL)
        assert server.created["compute3"] == 6
    else:
        assert program.register(client, VIRTUAL) == 4
    assert server.created["compute1"] == 1
