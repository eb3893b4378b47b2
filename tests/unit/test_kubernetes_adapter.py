"""The Kubernetes and Volcano adapters, on SYNTHETIC records (see kubernetes_factory)."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import kubernetes_factory as made
import pytest
from kubernetes_factory import at

from schedlab.schedulers import get_scheduler
from schedlab.schedulers.base import TIMESTAMPS
from schedlab.schedulers.kubernetes.records import BATCH, clock_ns, events, jobs, processors
from schedlab.schedulers.rows import collect
from schedlab.workloads import Job, Machine, Trace

BOTH = ["kubernetes", "volcano"]
GROUP = {"kubernetes": "batch", "volcano": "batch.volcano.sh"}
DONE = {"kubernetes": ("SuccessCriteriaMet", "Complete"), "volcano": ("Completed",)}
FAILED = {"kubernetes": ("FailureTarget", "Failed"), "volcano": ("Failed",)}


def translate(name: str, **fields: Any) -> Any:
    job = Job(**({"job": 0, "arrival": 0.5, "nodes": 1, "cpus": 2, "runtime": 1.0} | fields))
    trace = Trace("w", "gang", 1, Machine(4, 2), (replace(job, job=0),))
    return get_scheduler(name).translate(job, trace)


def pod_name(scheduler: str, job: int, rank: int) -> str:
    return f"job{job}-{rank}-x7k2p" if scheduler == "kubernetes" else f"job{job}-rank-{rank}"


def records(name: str) -> tuple[str, str]:
    """Audit log and objects of jobs of every fate."""
    group = GROUP[name]

    def pod(job: int, rank: int = 0) -> str:
        return pod_name(name, job, rank)

    interim = ("SuccessCriteriaMet",) if group == "batch" else ("Running",)
    lines = [
        made.created(-9, "health", group),
        made.bound(-8, "health-0-abcde", "compute1"),
        made.ended(-7, "health", group, *DONE[name]),
        *(made.created(0.12 + number / 100, f"job{number}", group) for number in range(6)),
        # A gang: allocated with its second rank; the first attempt of it was refused.
        made.bound(0.3, pod(0, 0), "compute1"),
        made.bound(0.35, pod(0, 1), "compute2", code=409),
        made.bound(0.41, pod(0, 1), "compute2"),
        made.exited(1.8, pod(0, 0), 0),
        made.exited(1.9, pod(0, 1), 0),
        made.ended(1.95, "job0", group, *interim),
        made.ended(2.0, "job0", group, *DONE[name], code=409),
        made.ended(2.25, "job0", group, *DONE[name]),
        # Volcano's controller writes the final status again when it clears up.
        made.ended(2.5, "job0", group, *DONE[name]),
        '{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"to',
        "[]",
        made.bound(0.5, pod(1), "compute1"),
        made.exited(1.5, pod(1), 7),
        made.ended(1.6, "job1", group, *FAILED[name]),
        made.bound(0.6, pod(2), "compute2"),
        made.exited(61.0, pod(2), 137, reason="DeadlineExceeded"),
        made.ended(61.5, "job2", group, *FAILED[name]),
        # Only one of the job's two ranks has a node.
        made.bound(0.7, pod(3, 0), "compute1"),
        made.ended(9.0, "job0", "batch.volcano.sh" if group == "batch" else "batch", "Failed"),
    ]
    waiting = {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/2 nodes are available: 2 Insufficient cpu.",
            }
        ],
    }
    running = {"active": 1} if group == "batch" else made.volcano_status("Inqueue")
    final = made.batch_status("Complete") if group == "batch" else made.volcano_status("Completed")
    objects = made.object_list(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "compute1"},
            "status": {"nodeInfo": {"kubeletVersion": "v1.34.1"}},
        },
        made.pod_object(pod(0, 0), "compute1", "2"),
        made.pod_object(pod(0, 1), "compute2", "2"),
        made.pod_object(pod(1), "compute1"),
        made.pod_object(pod(2), "compute2"),
        made.pod_object(pod(3, 0), "compute1"),
        made.pod_object(pod(3, 1), None, status=waiting),
        made.pod_object(pod(4), "compute1"),
        made.job_object("job3", group, running),
        # The log was lost before the end of this one.
        made.job_object("job4", group, final),
        *(made.job_object(f"job{number}", group, {}) for number in range(3)),
    )
    return "\n".join(lines) + "\n", objects


def submitted(job: int, code: int | None = 0) -> dict[str, Any]:
    return {
        "job": job,
        "intended_ns": at(0),
        "submit_ns": at(0.05),
        "accepted_ns": at(0.2),
        "native_id": f"job{job}" if code == 0 else None,
        "returncode": code,
        "stderr": "" if code == 0 else "etcdserver: mvcc: database space exceeded",
    }


def collected(name: str, folder: Path, *, objects: bool = True) -> dict[int, dict[str, Any]]:
    native = folder / "native"
    native.mkdir()
    audit, listed = records(name)
    (native / "audit.log").write_text(audit)
    if objects:
        (native / "objects.json").write_text(listed)
    nodes = [2, 1, 1, 2, 1, 1, 1, 1]
    translations = [
        asdict(translate(name, job=number, nodes=count)) for number, count in enumerate(nodes)
    ]
    driver = [submitted(job) for job in range(6)] + [submitted(6, 500)]
    rows = collect(get_scheduler(name), native, [], translations, driver)
    return {row["job"]: row for row in rows}


@pytest.mark.parametrize("name", BOTH)
def test_gang_has_every_instant_from_the_audit_log(name: str, tmp_path: Path) -> None:
    row = collected(name, tmp_path)[0]
    assert (row["accepted"], row["allocated"], row["completed"]) == (at(0.12), at(0.41), at(2.25))
    for instant in ("accepted", "allocated", "completed"):
        assert "audit.log" in row[f"{instant}_source"]
        assert "1 us" in row[f"{instant}_source"]
    assert (row["state"], row["native_state"]) == ("COMPLETED", DONE[name][-1])
    assert (row["exit_code"], row["placement"]) == (0, ["compute1", "compute2"])
    assert (row["nodes"], row["cpus"]) == (2, 4)


def test_ranks_that_had_one_node_in_turn_count_as_two_nodes() -> None:
    """Kubernetes' own scheduler does this, as it has no gangs; the job asked for two nodes."""
    pods = [pod_name("kubernetes", 0, rank) for rank in range(2)]
    lines = [
        made.created(0.1, "job0", "batch"),
        made.bound(0.3, pods[0], "compute1"),
        made.exited(1.8, pods[0], 0),
        made.bound(2.4, pods[1], "compute1"),
        made.exited(3.9, pods[1], 0),
        made.ended(4.0, "job0", "batch", "Complete"),
    ]
    objects = made.object_list(
        *(made.pod_object(pod, "compute1", "2") for pod in pods),
        made.job_object("job0", "batch", made.batch_status("Complete")),
    )
    job = jobs("\n".join(lines), objects, BATCH, {"job0": 2})["job0"]
    assert (job.nodes, job.cpus, job.placement) == (2, 4, ["compute1"])
    assert job.allocated == at(2.4)


@pytest.mark.parametrize("name", BOTH)
def test_other_fates(name: str, tmp_path: Path) -> None:
    rows = collected(name, tmp_path)
    assert (rows[1]["state"], rows[1]["exit_code"], rows[1]["completed"]) == ("FAILED", 7, at(1.6))
    assert (rows[2]["state"], rows[2]["exit_code"]) == ("TIMEOUT", 137)
    assert rows[3]["state"] == "UNFINISHED"
    assert "2 Insufficient cpu" in rows[3]["native_state"]
    assert (rows[3]["allocated"], rows[3]["placement"]) == (None, ["compute1"])
    assert (rows[4]["state"], rows[4]["allocated"], rows[4]["completed"]) == (
        "COMPLETED", None, None
    )  # fmt: skip
    assert rows[4]["placement"] == ["compute1"]
    assert (rows[5]["state"], rows[5]["accepted"]) == ("LOST", at(0.17))
    assert rows[6]["state"] == "REJECTED"
    assert rows[7]["state"] == "NOT_SUBMITTED"


@pytest.mark.parametrize("name", BOTH)
def test_the_audit_log_alone_tells_instants_and_ends(name: str, tmp_path: Path) -> None:
    rows = collected(name, tmp_path, objects=False)
    assert (rows[0]["state"], rows[0]["allocated"]) == ("COMPLETED", at(0.41))
    assert (rows[0]["nodes"], rows[0]["cpus"]) == (None, None)
    # No record says that these jobs were removed.
    assert [rows[job]["state"] for job in (3, 4, 5)] == ["UNFINISHED"] * 3


@pytest.mark.parametrize("name", BOTH)
def test_rows_without_any_record(name: str, tmp_path: Path) -> None:
    (row,) = collect(get_scheduler(name), tmp_path / "native", [], [{"job": 0}])
    assert row["state"] == "NOT_SUBMITTED"
    assert all(row[instant] is None for instant in TIMESTAMPS)


@pytest.mark.parametrize("name", BOTH)
def test_completion_pattern_takes_ends_of_the_own_jobs_only(name: str) -> None:
    pattern = re.compile(get_scheduler(name).completion()["pattern"])
    audit, _ = records(name)
    found = [m.group(1) for line in audit.splitlines() if (m := pattern.search(line))]
    assert found == ["job0", "job0", "job1", "job2"]


def test_torn_and_foreign_lines_are_left_out() -> None:
    whole = made.bound(1.0, "job1-rank-0", "compute1")
    assert len(list(events(f"{whole}\n{whole[:-40]}\n\x00\x00\n7\n[1]\n{{}}\n{whole}"))) == 2
    assert not list(events(whole.replace('"code":201', '"code":null')))
    assert not list(events(whole.replace("ResponseComplete", "Panic")))


def test_time_stamps_and_quantities_are_exact() -> None:
    assert clock_ns("2026-03-20T09:46:40.000001Z") == made.BASE + 1000
    assert [float(processors(text)) for text in ("2", "500m", 1)] == [2.0, 0.5, 1.0]


@pytest.mark.parametrize("name", BOTH)
def test_a_job_is_one_request(name: str) -> None:
    done = translate(name, job=3, nodes=3, walltime=61.0, user="u7")
    assert (done.argv, done.request["method"]) == ([], "POST")
    body = done.request["body"]
    version = "batch/v1" if name == "kubernetes" else "batch.volcano.sh/v1alpha1"
    assert done.request["path"] == f"/apis/{version}/namespaces/default/jobs"
    assert (body["apiVersion"], body["metadata"]["name"]) == (version, "job3")
    spec = body["spec"]
    if name == "kubernetes":
        assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (3, 3, 0)
        assert spec["completionMode"] == "Indexed"
        index = "$(JOB_COMPLETION_INDEX)"
    else:
        assert (spec["minAvailable"], spec["queue"], spec["schedulerName"]) == (
            3, "default", "volcano"
        )  # fmt: skip
        assert spec["plugins"] == {"env": []}
        (spec,) = spec["tasks"]
        assert (spec["replicas"], spec["minAvailable"]) == (3, 3)
        index = "$(VC_TASK_INDEX)"
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert [*container["command"], *container["args"]] == [
        "/usr/local/bin/schedlab-payload", "/var/lib/schedlab/stamps.txt", "3", index, "1.000000",
        "sleep",
    ]  # fmt: skip
    assert container["resources"]["requests"]["cpu"] == "2"
    assert container["resources"]["limits"] == {"cpu": "2"}
    assert (container["imagePullPolicy"], pod["restartPolicy"]) == ("Never", "Never")
    assert (pod["hostNetwork"], pod["automountServiceAccountToken"]) == (True, False)
    assert pod["activeDeadlineSeconds"] == 120
    assert pod["volumes"][0]["hostPath"]["path"] == "/var/lib/schedlab"
    (term,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert get_scheduler(name).read_back(asdict(done))[:3] == (3, 2, 1.0)
    assert "affinity" not in json.dumps(translate(name).request)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(("priority", "named"), [(3, "schedlab-above-3"), (-2, "schedlab-below-2")])
def test_a_priority_is_a_class_that_is_made_before_the_first_job(
    name: str, priority: int, named: str
) -> None:
    adapter = get_scheduler(name)
    done = translate(name, priority=priority)
    text = json.dumps(done.request)
    # Volcano orders jobs by their own class, and pods by theirs.
    assert text.count(f'"priorityClassName": "{named}"') == (2 if name == "volcano" else 1)
    jobs = (Job(0, 0.0, 1, 1, 0.0), Job(1, 0.0, 1, 1, 0.0, priority=priority))
    (made,) = adapter.preparation(Trace("w", "gang", 1, Machine(1, 2), jobs))
    body = made["body"]
    assert (body["metadata"]["name"], body["value"]) == (named, priority)
    assert body["preemptionPolicy"] == "Never"
    assert "priorityClassName" not in json.dumps(translate(name).request)


@pytest.mark.parametrize("name", BOTH)
def test_health_checks_are_sound_shell_and_touch_no_stamps(name: str) -> None:
    commands = get_scheduler(name).health(2, 2)
    for command in commands:
        subprocess.run(["sh", "-n", "-c", command], check=True)
        assert "stamps.txt" not in command
    (job,) = [word for word in shlex.split(commands[0]) if word.startswith("--job=")]
    body = json.loads(job.removeprefix("--job="))
    assert body["metadata"]["name"] == "health"
    assert GROUP[name] in body["apiVersion"]
