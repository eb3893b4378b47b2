"""An experiment that the machine cannot run is refused before anything starts."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import config_factory
import pytest

from schedlab.config import HostFacts, workload_checks
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError
from schedlab.schedulers.kubernetes.network import SERVICE_ADDRESS, SERVICE_NETWORK
from schedlab.schedulers.slurm import Slurm
from schedlab.workloads import Job, Machine, Trace
from schedlab.workloads.duration import earliest_end

ROOT = Path(__file__).resolve().parents[2]
HOST = HostFacts(cores=8, memory_mib=16384)
HEAD = "nodes: [1, 2]\nplacement: {oversubscribe: true}\n"
BURST = "workloads:\n  - {name: b, kind: burst, jobs: 2, runtime: 0}\n"


def load(folder: Path, text: str, host: HostFacts = HOST) -> Any:
    path = folder / "experiments.yaml"
    path.write_text(text)
    return load_experiment(path, host, ROOT)


def refusal(folder: Path, text: str, host: HostFacts = HOST) -> str:
    with pytest.raises(SchedlabError) as caught:
        load(folder, text, host)
    return caught.value.message


def trace(machine: Machine, *jobs: tuple[float, int, int, float]) -> Trace:
    """Trace of jobs given as arrival, nodes, processors of each, runtime."""
    made = [
        Job(number, arrival, nodes, cpus, runtime, walltime=60 + 2 * runtime)
        for number, (arrival, nodes, cpus, runtime) in enumerate(jobs)
    ]
    return Trace("w", "burst", 1, machine, tuple(made))


@pytest.mark.parametrize(
    ("machine", "jobs", "seconds"),
    [
        (Machine(1, 2), [(0, 1, 1, 5.0)], 5.0),
        (Machine(1, 2), [(0, 1, 1, 5.0), (9, 1, 1, 1.0)], 10.0),
        (Machine(1, 2), [(0, 1, 1, 5.0)] * 4, 10.0),
        (Machine(1, 2), [(0, 1, 1, 1.0)] + [(7, 1, 1, 5.0)] * 4, 17.0),
        (Machine(2, 2), [(0, 2, 2, 3.0)] * 3, 9.0),
        # A rank takes three of a node's four processors, so no second rank fits on the node.
        (Machine(1, 4), [(0, 1, 3, 3.0)] * 4, 12.0),
        # Two of three nodes, or five of eight processors, are not there twice.
        (Machine(3, 1), [(0, 2, 1, 3.0)] * 4, 12.0),
        (Machine(2, 4), [(0, 1, 1, 9.0)] + [(1, 2, 3, 3.0)] * 4, 13.0),
        (Machine(5, 4), [(0, 3, 3, 3.0), (0, 3, 4, 3.0), (0, 1, 1, 1.0)], 6.0),
    ],
)
def test_no_scheduler_ends_a_trace_sooner(
    machine: Machine, jobs: list[tuple[float, int, int, float]], seconds: float
) -> None:
    assert earliest_end(trace(machine, *jobs)).seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("workload", "figures"),
    [
        ("kind: burst, jobs: 2, runtime: 5000", "at least 5000 s with 1 compute node in"),
        ("kind: burst, jobs: 700, runtime: 2", "700 s with 1 compute node in repetition 1"),
        ("kind: gang, jobs: 4, runtime: 1, interval: 500", "1501 s with 1 compute node in"),
        ("kind: poisson, jobs: 30, rate: 0.001", "with 2 compute nodes in repetition"),
        ("kind: constant, tasks: 700, runtime: 1", "700 s with 1 compute node in"),
        ("kind: esp, time_scale: 0.06", "with 1 compute node in repetition 1"),
        ("kind: lublin, jobs: 100, time_scale: 0.05", "compute node in repetition"),
        ("kind: daily, hour: 30", "with 2 compute nodes in repetition"),
        (
            "kind: swf, file: resources/traces/sample.swf, jobs: 20, time_scale: 1.0",
            "runs for 245 s",
        ),
    ],
)
def test_workloads_that_cannot_end_within_the_limit(
    tmp_path: Path, workload: str, figures: str
) -> None:
    text = f"{HEAD}limits: {{trial: 600}}\nworkloads:\n  - {{name: w, {workload}}}\n"
    message = refusal(tmp_path, text)
    assert "experiments.yaml:3: limits.trial = 600: workload w cannot end" in message
    assert figures in message
    assert "set limits.trial well above" in message
    assert load(tmp_path, text.replace("trial: 600", "trial: 200000"))


def test_a_larger_cluster_that_is_fast_enough_is_not_named(tmp_path: Path) -> None:
    text = f"{HEAD}limits: {{trial: 600}}\nworkloads:\n"
    message = refusal(tmp_path, text + "  - {name: w, kind: burst, jobs: 700, runtime: 2}\n")
    assert "with 2 compute nodes" not in message


def test_parameters_that_make_no_trace_are_refused(tmp_path: Path) -> None:
    text = f"{HEAD}workloads:\n  - {{name: w, kind: poisson, jobs: 30, rate: 1e-300}}\n"
    assert "w" in refusal(tmp_path, text)


def test_a_huge_experiment_is_still_checked_quickly(tmp_path: Path) -> None:
    # 1000 repetitions of 100,000 jobs on 4 clusters would take an hour.
    text = (
        "nodes: [1, 2, 3, 4]\nrepetitions: 1000\nplacement: {oversubscribe: true}\n"
        "settings: {slurm: {MaxJobCount: 200000}}\n"
        "workloads:\n  - {name: w, kind: burst, jobs: 100000, runtime: 0}\n"
    )
    assert load(tmp_path, text)


@pytest.mark.parametrize(
    ("workload", "key"),
    [
        ("kind: constant, tasks: 3", "workloads[0].tasks = 3"),
        ("kind: fairness, jobs: 1", "workloads[0].jobs = 1"),
        ("kind: priority, depth: 3, urgent: 2, at: 0", "workloads[0].depth = 3"),
        ("kind: starvation, length: 12, load: 1", "workloads[0].length = 12"),
        (
            "kind: mix, parts: [{user: a, workload: {kind: constant, tasks: 3}}]",
            "workloads[0].parts[0].workload.tasks = 3",
        ),
    ],
)
def test_as_many_jobs_as_each_machine_makes_must_fit_the_scheduler(
    tmp_path: Path, workload: str, key: str
) -> None:
    # 12 or 14 jobs on the largest machine and half of them on the smallest, where they fit.
    settings = "settings: {slurm: {MaxJobCount: 12}}\n"
    text = f"{HEAD}workloads:\n  - {{name: w, {workload}}}\n"
    message = refusal(tmp_path, text + settings)
    assert key in message and message.count("slurm knows at most 11") == 1
    assert load(tmp_path, text.replace("[1, 2]", "[1]") + settings)


def test_rounding_can_make_a_larger_machine_too_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload_checks, "_JOBS", 1)
    # Of jobs that want 50 of 100 processors 2 of 3 are taken: only one runs at a time.
    line = "{} 0 -1 100 50 -1 -1 -1 -1 -1 1 1 1 -1 1 -1 -1 -1\n"
    lines = "".join(line.format(number) for number in range(1, 6))
    (tmp_path / "t.swf").write_text("; MaxProcs: 100\n" + lines)
    workload = f"{{name: w, kind: swf, file: {tmp_path}/t.swf, jobs: 5, shake: 0, time_scale: 1}}"
    text = (
        "nodes: [2, 3]\nnode: {vcpus: 1}\nplacement: {oversubscribe: true}\n"
        f"limits: {{trial: 320}}\nworkloads:\n  - {workload}\n"
    )
    message = refusal(tmp_path, text)
    assert "at least 500 s with 3 compute nodes" in message and "with 2 compute" not in message


def test_a_priority_of_esp_that_a_scheduler_cannot_be_given_is_told_at_its_key(
    tmp_path: Path,
) -> None:
    text = f"{HEAD}workloads:\n  - {{name: w, kind: esp, time_scale: 0.001, z_priority: 2}}\n"
    message = refusal(tmp_path, text)
    assert "workloads[0].z_priority = 2: job 228 has this priority, slurm can be given" in message
    assert load(tmp_path, text.replace(", z_priority: 2", ""))


def test_what_a_trace_takes_depends_on_how_a_scheduler_runs_it(tmp_path: Path) -> None:
    # Four jobs on two of three nodes: one after the other, unless each rank starts by itself.
    wide = trace(Machine(3, 1), *[(0, 2, 1, 30.0)] * 4)
    assert earliest_end(wide).seconds == 120.0
    assert earliest_end(wide, gang=False).seconds == pytest.approx(80.0)
    assert earliest_end(wide, payload=False).seconds == 0.0


def test_delays_of_virtual_nodes_make_every_job_longer(tmp_path: Path) -> None:
    machine = Machine(2, 2)
    # One after the other: 2 jobs of 10 s and 5 s of delays each; without delays 20 s.
    bound = earliest_end(trace(machine, (0.0, 2, 2, 10.0), (0.0, 2, 2, 10.0)), delay=5.0)
    assert bound.seconds == 30.0
    assert "5 s longer than it runs" in bound.why
    jobs = (Job(0, 0.0, 1, 1, 1.0), Job(1, 0.0, 1, 1, 1.0, after=(0,)))
    chain = Trace("w", "burst", 1, machine, jobs)
    assert earliest_end(chain, delay=5.0).seconds == 12.0
    keys: dict[str, Any] = {
        "schedulers": ["kubernetes"],
        "nodes": [2],
        "head": {"memory": "1 GiB"},
        "limits": {"trial": 60},
        "workloads": [{"name": "b", "kind": "burst", "jobs": 3}],
    }
    virtual = {"carriers": 1, "delays": {"start": [50.0, 90.0], "completion": [20.0, 30.0]}}
    (line,) = config_factory.refusal(tmp_path, **keys, virtual=virtual)
    for words in ("limits.trial = 60", "at least 95 s", "95 s longer than it runs, on the mean"):
        assert words in line
    assert "or virtual.delays" in line
    # Of quantiles each has the same weight: here (0 + 20) / 2 and (20 + 120) / 2 s.
    late = {"carriers": 1, "delays": {"start": [0.0, 20.0, 120.0], "completion": [10.0, 40.0]}}
    (line,) = config_factory.refusal(tmp_path, **keys, virtual=late)
    assert "65 s longer" in line
    # The mean delays bound it, and not those of another variant, whose nodes are real.
    fast = {"carriers": 1, "delays": {"start": [0.0, 90.0]}}
    config_factory.load(tmp_path, **keys, virtual=fast)
    real = {"name": "plain", "scheduler": "kubernetes", "virtual": None}
    config_factory.load(tmp_path, **keys | {"schedulers": [real]}, virtual=virtual)
    text = (
        "nodes: [3]\nnode: {vcpus: 1}\nplacement: {oversubscribe: true}\nlimits: {trial: 600}\n"
        "schedulers: [SCHEDULERS]\nworkloads:\n  - {name: w, kind: gang, jobs: 9, runtime: 80}\n"
    )
    # Nine jobs of three and two nodes; the ranks take 23 x 80 / 3 s.
    assert "takes at least 720 s" in refusal(tmp_path, text.replace("SCHEDULERS", "slurm"))
    assert load(tmp_path, text.replace("SCHEDULERS", "nullscheduler"))
    text = text.replace("trial: 600", "trial: 700").replace("{vcpus: 1}", "{vcpus: 2}")
    memory = "head: {memory: 2 GiB}\nlimits: {trial: 700, memory: 12 GiB}\n"
    text = text.replace("limits: {trial: 700}\n", memory)
    assert "at least 720 s" in refusal(tmp_path, text.replace("SCHEDULERS", "slurm, kubernetes"))
    assert load(tmp_path, text.replace("SCHEDULERS", "kubernetes"))


def test_networks_that_a_scheduler_uses_are_taken(tmp_path: Path) -> None:
    network = ipaddress.IPv4Network(SERVICE_NETWORK)
    assert ipaddress.IPv4Address(SERVICE_ADDRESS) == network[1]
    role = ROOT / "workflow/infrastructure/ansible/roles/kubernetes/files/disk/etc/systemd/system"
    unit = (role / "kube-apiserver.service").read_text()
    assert re.findall(r"--service-cluster-ip-range=(\S+)", unit) == [SERVICE_NETWORK]
    message = refusal(tmp_path, f"{HEAD}network: {{cidr: 10.96.7.0/24}}\n{BURST}")
    assert ":3: network.cidr = '10.96.7.0/24': overlaps 10.96.0.0/16, which is for" in message


def test_memory_below_a_scheduler_s_floor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Slurm, "memory_floors", {"head": 2048, "compute": 512})
    message = refusal(tmp_path, HEAD + BURST)
    assert "head.memory = '1 GiB': too small for slurm, which needs 2048 MiB there" in message
    assert "node.memory" not in message


@pytest.mark.parametrize(
    ("text", "facts", "what"),
    [
        (
            "placement: {oversubscribe: true, pci: ['0000:03:00.0']}\nnodes: [1]\n",
            {"pci": frozenset({"0000:00:00.0"})},
            "placement.pci[0] = '0000:03:00.0': the host has no such PCI function",
        ),
        (
            HEAD + "libvirt: {uri: 'qemu:///system'}\n",
            {"libvirt": False},
            "libvirt.uri = 'qemu:///system': no libvirt of the system runs here",
        ),
    ],
)
def test_what_the_host_lacks(tmp_path: Path, text: str, facts: dict[str, Any], what: str) -> None:
    assert what in refusal(tmp_path, text + BURST, replace(HOST, **facts))
    assert load(tmp_path, text + BURST), "where nothing is known, nothing is refused"


@pytest.mark.parametrize(
    ("suite", "what"),
    [
        ("trixi", "did you mean trixie?"),
        ("hamm", "older than bullseye"),
        ("jessie", "older than bullseye"),
        ("buster", "older than bullseye"),
        ("experimental", "no release: it has only packages to put over those of sid"),
        ("stable", "the name of another release some day"),
        ("duke", "no suite of Debian that is known here"),
    ],
)
def test_suites_that_guests_cannot_have(tmp_path: Path, suite: str, what: str) -> None:
    text = f"{HEAD}settings: {{slurm: {{submission: cli}}}}\nimage: {{suite: %s}}\n{BURST}"
    message = refusal(tmp_path, text % suite)
    assert f"image.suite = '{suite}': " in message and what in message
    for known in ("bullseye", "bookworm", "trixie", "forky", "sid"):
        assert load(tmp_path, text % known)


@pytest.mark.parametrize(
    "uri", ["auto", "embedded", "qemu:///system", "qemu+ssh://user@host.example:22/system"]
)
def test_libvirt_uris(tmp_path: Path, uri: str) -> None:
    assert load(tmp_path, f"{HEAD}libvirt: {{uri: '{uri}'}}\n{BURST}").libvirt.uri == uri


SWF_LINES = "".join(
    f"{number} {10 * number} -1 5 1 -1 -1 1 -1 -1 1 3 1 -1 1 -1 {before} 20\n"
    for number, before in ((1, -1), (2, 1))
)


def test_dependencies_are_refused_where_a_scheduler_has_none(tmp_path: Path) -> None:
    (tmp_path / "t.swf").write_text("; MaxProcs: 2\n" + SWF_LINES)
    text = (
        f"{HEAD}schedulers: [slurm, volcano]\nworkloads:\n  - {{name: s, kind: swf, jobs: 2, file:"
        f" {tmp_path}/t.swf, dependencies: scheduler}}\n"
    )
    message = refusal(tmp_path, text)
    assert "workloads[0].dependencies = 'scheduler': job 1 runs after job 0" in message
    assert "volcano has no dependencies" in message and "slurm has" not in message
    load(tmp_path, text.replace("dependencies: scheduler", "dependencies: users"))
