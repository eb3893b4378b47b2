#!/usr/bin/env python3
"""Read from the API of Kubernetes, and check that it runs jobs, in one short process.

Runs on the head of a cluster with nothing but Python's standard library (3.9 or later). kubectl
could do the same, but only to start takes it five to thirty seconds on an emulated guest.

    schedlab_kubernetes.py --api JSON get PATH [PATH ...]
    schedlab_kubernetes.py --api JSON health --nodes N --job JSON [--delay S]
    schedlab_kubernetes.py --api JSON register --virtual JSON
    schedlab_kubernetes.py --api JSON release NODE [NODE ...]
    schedlab_kubernetes.py --api JSON schedulable NODE true|false

--api JSON
    As in the driver's plan: {url, certificate, key, authority}.
get
    Writes the answer to standard output. For more than one path, all of lists, it writes one List
    with their items, each with its kind. A path may be a whole URL, for a server with a self-signed
    certificate, which is not checked.
health
    Succeeds when N compute nodes are ready and the Job, run once, has succeeded. It then removes
    the Job. A Job that an interrupted check left makes the next check fail, which removes it.
    Virtual nodes may add S seconds to the Job.
register
    Creates the virtual nodes that the API does not have, and waits until all are ready. Those that
    do not become ready are created again. The last line of its output is the number of nodes that
    it created. JSON: {cpus, memory_mib, annotations, carriers: {carrier: [number, ...]}}.
release
    Deletes the leases of nodes, so that another process can hold them at once.
schedulable
    Lets a node have new pods, or no more of them; those that it has stay.

Exit status: 0 for success, 1 for a failure, with a line on standard error.
"""

from __future__ import annotations

import argparse
import http.client
import json
import ssl
import sys
import time
import urllib.parse
import urllib.request
from typing import Any, Dict, List, Optional

from schedlab_submit import connection_to, exchange

JOB_LIMIT, DELETION_LIMIT, REQUEST_LIMIT = 60.0, 60.0, 30.0  # s
POLL = 0.5  # s

PAGE = 500  # objects of a list in one answer: thousands would take an emulated server too long

NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
CARRIER = "schedlab/carrier"  # label: which machine plays a virtual node
PODS = "256"  # on a node, as its kubelet allows (kubelet.yaml)
NODE_POLL = 2.0  # s
PATIENCE = 30  # polls without progress
ROUNDS = 5  # times that nodes are created again


class Refused(Exception):
    """An answer that reports an error, or a check that fails."""


class Client:
    """One kept connection to the API server."""

    def __init__(self, options: Dict[str, str]) -> None:
        self.connection = connection_to(options)

    def ask(self, method: str, path: str, body: Any = None, allowed: int = 200) -> bytes:
        """Body of the answer; empty if its status is the one that is `allowed` to be an error."""
        status, answer = exchange(self.connection, method, path, body, REQUEST_LIMIT)
        if status >= 300 and status != allowed:
            text = answer.decode("utf-8", "replace").strip()
            raise Refused("{} {}: HTTP status {}: {}".format(method, path, status, text[-400:]))
        return answer if status < 300 else b""


def listed(client: Client, path: str) -> Dict[str, Any]:
    """The whole list at a path, whose items come in several answers."""
    whole: Dict[str, Any] = {}
    query = "?limit={}".format(PAGE)
    while True:
        page = json.loads(client.ask("GET", path + query))
        page["items"] = whole.get("items", []) + (page["items"] or [])
        whole = page
        more = (page.get("metadata") or {}).get("continue")
        if not more:
            return whole
        query = "?limit={}&continue={}".format(PAGE, urllib.parse.quote(more, safe=""))


def get(client: Client, paths: List[str]) -> bytes:
    """Return the answer of one path unchanged, or of several paths as one List."""
    if len(paths) == 1:
        if "://" not in paths[0]:
            return client.ask("GET", paths[0])
        context = ssl._create_unverified_context()  # noqa: S323  (loopback, own certificate)
        with urllib.request.urlopen(paths[0], timeout=REQUEST_LIMIT, context=context) as answer:
            return bytes(answer.read())
    items = []
    for path in paths:
        answer = listed(client, path)
        # A list names the kind of its items once, not in each item.
        kind = {"apiVersion": answer["apiVersion"], "kind": answer["kind"][: -len("List")]}
        items += [{**item, **kind} for item in answer["items"]]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode()


def ready_nodes(nodes: Dict[str, Any]) -> List[str]:
    """Names of the compute nodes that are ready for pods."""
    return [
        node["metadata"]["name"]
        for node in nodes["items"]
        if node["metadata"]["name"].startswith("compute")
        and not node["spec"].get("unschedulable")
        and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in node["status"].get("conditions") or []
        )
    ]


def virtual_node(name: str, carrier: str, virtual: Dict[str, Any]) -> Dict[str, Any]:
    """Node as a kubelet registers it, and by which machine it is played."""
    resources = {
        "cpu": str(virtual["cpus"]),
        "memory": "{}Mi".format(virtual["memory_mib"]),
        "pods": PODS,
    }
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        CARRIER: carrier,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": virtual["annotations"]},
        "status": {"allocatable": resources, "capacity": resources},
    }


def register(client: Client, virtual: Dict[str, Any]) -> int:
    """Create the virtual nodes that are missing, until all are ready; return how many."""
    wanted = {
        "compute{}".format(number): carrier
        for carrier, numbers in virtual["carriers"].items()
        for number in numbers
    }
    created = still = rounds = 0
    best = -1
    while True:
        nodes = listed(client, NODES)
        known = {node["metadata"]["name"] for node in nodes["items"]}
        missing = [name for name in wanted if name not in known]
        for name in missing:
            client.ask("POST", NODES, virtual_node(name, wanted[name], virtual), allowed=409)
        created += len(missing)
        ready = set(ready_nodes(nodes))
        late = [name for name in wanted if name not in ready]
        if not late:
            return created
        still = 0 if missing or len(ready) > best else still + 1
        best = max(best, len(ready))
        if still >= PATIENCE:
            rounds, still = rounds + 1, 0
            if rounds > ROUNDS:
                where = ", ".join(sorted({wanted[name] for name in late}))
                raise Refused(
                    "not ready, though created {} times: {}; KWOK's log is in the journal of"
                    " {}".format(rounds, ", ".join(late), where)
                )
            for name in late:
                client.ask("DELETE", "{}/{}".format(NODES, name), allowed=404)
        time.sleep(NODE_POLL)


def ended(status: Dict[str, Any]) -> Optional[str]:
    """How a Job ended, by its phase or its conditions; None while it runs."""
    phase = (status.get("state") or {}).get("phase")
    if phase in {"Completed", "Failed", "Aborted", "Terminated"}:
        return str(phase)
    for condition in status.get("conditions") or []:
        if condition.get("status") == "True" and condition.get("type") in {"Complete", "Failed"}:
            return str(condition["type"])
    return None


def health(client: Client, nodes: int, job: Dict[str, Any], delay: float) -> None:
    """Raise Refused unless all nodes are ready and the Job succeeds."""
    ready = ready_nodes(listed(client, NODES))
    if len(ready) != nodes:
        raise Refused("{} of {} nodes ready: {}".format(len(ready), nodes, ", ".join(ready)))
    folder = "/apis/{}/namespaces/default/jobs".format(job["apiVersion"])
    path = "{}/{}".format(folder, job["metadata"]["name"])
    try:
        client.ask("POST", folder, job)
        limit = JOB_LIMIT + delay
        deadline = time.monotonic() + limit
        while True:
            status = json.loads(client.ask("GET", path)).get("status") or {}
            how = ended(status)
            if how in {"Complete", "Completed"}:
                return
            if how or time.monotonic() > deadline:
                raise Refused(
                    "the health check's job {}: {}".format(
                        how or "did not end within {:g} s".format(limit), json.dumps(status)
                    )
                )
            time.sleep(POLL)
    finally:
        remove(client, path)


def remove(client: Client, path: str) -> None:
    """Delete a Job and its pods, and wait until they are gone."""
    client.ask("DELETE", path, {"propagationPolicy": "Foreground"}, allowed=404)
    deadline = time.monotonic() + DELETION_LIMIT
    while client.ask("GET", path, allowed=404):
        if time.monotonic() > deadline:
            raise Refused("{} was not deleted within {:g} s".format(path, DELETION_LIMIT))
        time.sleep(POLL)


def schedulable(client: Client, node: str, *, wanted: bool) -> None:
    """Let a node have new pods, or no more of them."""
    path = "{}/{}".format(NODES, node)
    found = json.loads(client.ask("GET", path))
    # Without it the server takes the object though the kubelet reported in the meantime.
    found["metadata"].pop("resourceVersion", None)
    found["spec"]["unschedulable"] = not wanted
    client.ask("PUT", path, found)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Read from, and check, the API of Kubernetes.")
    parser.add_argument("--api", type=json.loads, required=True, help="where it is, and as whom")
    commands = parser.add_subparsers(dest="command", required=True)
    reader = commands.add_parser("get", help="read paths of the API")
    reader.add_argument("paths", nargs="+", metavar="PATH")
    checker = commands.add_parser("health", help="check nodes, and run a Job")
    checker.add_argument(
        "--nodes", type=int, required=True, help="compute nodes that must be ready"
    )
    checker.add_argument("--job", type=json.loads, required=True, help="the Job to run")
    checker.add_argument(
        "--delay", type=float, default=0.0, help="what virtual nodes may add to the Job, s"
    )
    registrar = commands.add_parser("register", help="create virtual nodes")
    registrar.add_argument("--virtual", type=json.loads, required=True, help="what they are")
    releaser = commands.add_parser("release", help="delete the leases of nodes")
    releaser.add_argument("nodes", nargs="+", metavar="NODE")
    cordoner = commands.add_parser("schedulable", help="let a node have new pods, or none")
    cordoner.add_argument("node", metavar="NODE")
    cordoner.add_argument("wanted", choices=["true", "false"])
    arguments = parser.parse_args()
    try:
        client = Client(arguments.api)
        if arguments.command == "get":
            sys.stdout.buffer.write(get(client, arguments.paths))
        elif arguments.command == "release":
            for name in arguments.nodes:
                client.ask("DELETE", "{}/{}".format(LEASES, name), allowed=404)
        elif arguments.command == "schedulable":
            schedulable(client, arguments.node, wanted=arguments.wanted == "true")
        elif arguments.command == "register":
            print(register(client, arguments.virtual))
        else:
            health(client, arguments.nodes, arguments.job, arguments.delay)
    except (Refused, OSError, http.client.HTTPException, ValueError, KeyError) as error:
        name = "" if isinstance(error, Refused) else "{}: ".format(type(error).__name__)
        print("schedlab_kubernetes: {}{}".format(name, error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
