"""Settings, counters, parity and audit policy of the schedulers on Kubernetes."""

from __future__ import annotations

from pathlib import Path

import jinja2
import kubernetes_factory as made
import pytest
import yaml

from schedlab.schedulers import get_scheduler, scheduler_names
from schedlab.schedulers.base import PARITY
from schedlab.schedulers.kubernetes.control_plane import KubernetesBase

ROOT = Path(__file__).resolve().parents[2]
BOTH = ["kubernetes", "volcano"]
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "compute1"},
    "status": {"nodeInfo": {"kubeletVersion": "v1.34.1"}},
}
PROCESSES = """\
/sbin/init
/usr/local/bin/etcd --data-dir /var/lib/etcd --unsafe-no-fsync
/usr/local/bin/kube-apiserver --audit-log-path=/a --audit-log-mode=batch --v=2 \
--tls-private-key-file=/k --enable-priority-and-fairness=false --max-requests-inflight 400
/usr/local/bin/kube-controller-manager --kube-api-qps=20 --kube-api-burst=30
/usr/local/bin/kube-scheduler --kubeconfig=/x --v=2
/usr/local/bin/vc-scheduler --schedule-period=500ms --kube-api-qps=99 --kube-api-burst=100
grep --kube-api-qps=1
"""


def native_folder(folder: Path) -> Path:
    (folder / "processes.txt").write_text(PROCESSES)
    (folder / "etcd.env").write_text(
        "# late\nETCD_DATA_DIR=/x\nETCD_LISTEN_PEER_URLS=http://y\nETCD_HEARTBEAT_INTERVAL=500\n"
    )
    (folder / "version.json").write_text('{"major": "1", "gitVersion": "v1.34.1"}')
    (folder / "versions.txt").write_text(
        "etcd Version: 3.5.16\nGit SHA: x\ncrun version 1.21\ncommit: 10269840\n"
        "API Version: v1\nVersion: v1.14.1\n"
    )
    (folder / "objects.json").write_text(made.object_list(NODE))
    (folder / "volcano-scheduler.conf").write_text('actions: "enqueue, allocate"\ntiers: []\n')
    (folder / "scheduler-metrics.txt").write_text(
        "# TYPE scheduler_schedule_attempts_total counter\n"
        'scheduler_schedule_attempts_total{profile="a b",result="scheduled"} 30\n'
        'scheduler_x_seconds_bucket{le="1"} 3\nscheduler_x_seconds_sum 0.5\n'
        "volcano_e2e_scheduling_latency_milliseconds_sum 12\nvolcano_y NaN\ngo_threads 9\n"
    )
    (folder / "audit.log").write_text(
        made.exited(1, "job0-0-x7k2p", 0) + "\n" + made.bound(0, "job0-0-x7k2p", "compute1")
    )
    return folder


def test_settings_and_counters_are_what_was_in_force(tmp_path: Path) -> None:
    native = native_folder(tmp_path)
    settings = get_scheduler("kubernetes").settings(native)
    assert settings["kube-controller-manager --kube-api-qps"] == "20"
    assert settings["kube-apiserver --max-requests-inflight"] == "400"
    assert settings["etcd --unsafe-no-fsync"] == "true"
    assert settings["etcd --heartbeat-interval"] == "500"
    assert not [key for key in settings if "data-dir" in key or "urls" in key]
    assert settings["version kubernetes"] == "v1.34.1"
    assert "version volcano" not in settings
    assert get_scheduler("volcano").settings(native)["version volcano"] == "v1.14.1"
    assert settings["version kubeletVersion"] == "v1.34.1"
    assert not [key for key in settings if "path" in key or "-file" in key or "kubeconfig" in key]
    assert not [key for key in settings if key.startswith("vc-scheduler")]
    counters = get_scheduler("kubernetes").counters(native)
    assert counters["scheduler_x_seconds_sum"] == 0.5
    assert counters['scheduler_schedule_attempts_total{profile="a b",result="scheduled"}'] == 30
    assert counters["audit.kubelet.patch.pods/status"] == 1
    assert "volcano_y" not in counters
    assert get_scheduler("volcano").counters(tmp_path / "none") == {}


@pytest.mark.parametrize("name", scheduler_names())
def test_every_scheduler_fills_the_same_rows_of_the_manifest(name: str, tmp_path: Path) -> None:
    for native in (native_folder(tmp_path), tmp_path / "none"):
        rows = get_scheduler(name).parity(native)
        assert sorted(rows) == sorted(PARITY)
        assert all(isinstance(text, str) and text for text in rows.values())


def test_limits_in_the_manifest(tmp_path: Path) -> None:
    native = native_folder(tmp_path)
    plain, gang = (get_scheduler(name).parity(native) for name in BOTH)
    assert plain["gang"].startswith("no")
    assert gang["gang"].startswith("yes")
    assert "kube-scheduler 50/s, burst 100 (default)" in plain["client limits"]
    assert "kube-controller-manager 20/s, burst 30;" in plain["client limits"]
    assert "vc-scheduler 99/s, burst 100;" in gang["client limits"]
    assert "not limited by the API server" in gang["client limits"]
    assert "500ms" in gang["scheduling period"]
    assert "enqueue, allocate" in gang["scheduling period"]
    assert "(batch)" in gang["accounting"]
    assert "kube-apiserver 2" in plain["logging level"]


def test_settings_are_checked() -> None:
    volcano = get_scheduler("volcano")
    assert not volcano.settings_problems(volcano.merged_settings({}))
    assert not volcano.settings_problems({"scheduleperiod": "200ms", "actions": "allocate"})
    wrong = {"schedulePeriod": "1", "controllerQps": "0", "bindAddress": "x", "actions": "bind"}
    assert [problem.key for problem in volcano.settings_problems(wrong)] == list(wrong)
    assert volcano.settings_problems({"schedulePeriod": "999999999999s"})
    assert get_scheduler("kubernetes").settings_problems({"actions": "allocate"})


@pytest.mark.parametrize("name", BOTH)
def test_arguments_carry_settings_and_let_metrics_be_read(name: str) -> None:
    scheduler = get_scheduler(name)
    assert isinstance(scheduler, KubernetesBase)
    found = scheduler.arguments(scheduler.merged_settings({"controllerQps": "77"}))
    first, controller = scheduler.controllers
    assert "--kube-api-qps=77" in found[controller]
    assert "--v=2" in found[first]
    assert any(word.startswith(("--enable-metrics", "--authorization")) for word in found[first])
    assert ("--schedule-period=1s" in found[first]) == (name == "volcano")


@pytest.mark.parametrize("name", BOTH)
def test_policy_records_what_the_adapters_read(name: str) -> None:
    path = ROOT / "workflow/infrastructure/ansible/roles/kubernetes/templates/audit-policy.yaml.j2"
    scheduler = get_scheduler(name)
    variables = scheduler.variables(scheduler.merged_settings({}))
    text = jinja2.Template(path.read_text(), undefined=jinja2.StrictUndefined).render(
        ansible_managed="", **variables
    )
    policy = yaml.safe_load(text)
    assert policy["apiVersion"] == "audit.k8s.io/v1"

    def level(verb: str, group: str, resource: str) -> str:
        for rule in policy["rules"]:
            groups = rule.get("resources", [])
            matches = not groups or any(
                entry["group"] == group and resource in entry.get("resources", [resource])
                for entry in groups
            )
            if matches and verb in rule.get("verbs", [verb]) and "nonResourceURLs" not in rule:
                return str(rule["level"])
        return "None"

    assert isinstance(scheduler, KubernetesBase)
    group = scheduler.kind.group
    assert level("create", group, "jobs") == "Metadata"
    assert level("update", group, "jobs/status") == "Request"
    assert level("create", "", "pods/binding") == "Request"
    assert level("patch", "", "pods/status") == "Request"
    assert level("update", "coordination.k8s.io", "leases") == "None"
    assert level("create", "", "events") == "None"
    assert level("watch", "", "pods") == "None"
