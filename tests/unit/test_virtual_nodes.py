"""Virtual nodes: which machines carry them, what the scheduler sees, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config_factory import HOST, ROOT, load, refusal
from trial_factory import make_experiment

from schedlab import design
from schedlab.config import HostFacts, read_experiment, write_experiment
from schedlab.design import load_experiment
from schedlab.report.records_section import _virtual
from schedlab.workloads import Machine

TWO = {"carriers": 2}
BIG = {"node": {"vcpus": 64, "memory": "256 GiB"}, "nodes": [2, 5]}
SMALL = HostFacts(cores=5, memory_mib=12288)


def test_the_scheduler_sees_nodes_and_the_host_runs_carriers(tmp_path: Path) -> None:
    experiment = load(tmp_path, SMALL, virtual=TWO, **BIG)
    cluster = experiment.cluster("slurm-virtual-n5")
    assert cluster.machine == Machine(5, 64)
    assert list(cluster.machines()) == ["head", "carrier1", "carrier2"]
    assert (cluster.vcpus_total, cluster.memory_total_mib) == (5, 1024 + 2 * 2048)
    assert cluster.carried() == {"carrier1": [1, 3, 5], "carrier2": [2, 4]}
    assert design.variables(cluster)["slurm_virtual"] == {
        "cpus": 64,
        "memory_mib": 256 * 1024,
        "carriers": cluster.carried(),
    }
    assert experiment.trial_facts(experiment.trials()[0])["carriers"] == 2


def test_no_carrier_is_without_a_node(tmp_path: Path) -> None:
    cluster = load(tmp_path, nodes=[2], virtual={"carriers": 3}).clusters()[0]
    assert cluster.carried() == {"carrier1": [1], "carrier2": [2]}
    assert list(cluster.machines()) == ["head", "carrier1", "carrier2"]


def test_sizes_that_are_also_real_have_both_kinds_and_the_real_ones_are_as_without(
    tmp_path: Path,
) -> None:
    plain = load(tmp_path, nodes=[2])
    both = load(tmp_path, nodes=[2, 4], virtual=TWO | {"real": [2]})
    assert [cluster.id for cluster in both.clusters()] == [
        "slurm-n2",
        "slurm-virtual-n2",
        "slurm-virtual-n4",
    ]
    real = both.cluster("slurm-n2")
    assert real == plain.cluster("slurm-n2")
    assert real.carried() == {}
    assert design.cluster_spec(both, "slurm-n2") == design.cluster_spec(plain, "slurm-n2")
    assert design.variables(real) == design.variables(plain.cluster("slurm-n2"))
    assert "carriers" not in both.trial_facts(plain.trials()[0])
    # Both kinds run the same traces.
    assert {both.machine_name(cluster) for cluster in both.clusters()} == {"2", "4"}


def test_clusters_of_equal_carriers_share_machines_and_no_others_do(tmp_path: Path) -> None:
    experiment = load(tmp_path, nodes=[2, 4, 40], virtual=TWO | {"real": [2]})
    machines = {c.id: design.machines_of(experiment, c) for c in experiment.clusters()}
    assert machines["slurm-virtual-n4"] == machines["slurm-virtual-n40"]
    assert machines["slurm-n2"] == "slurm-n2" != machines["slurm-virtual-n2"]
    shape = design.machines_spec(experiment, machines["slurm-virtual-n40"])
    assert list(shape) == ["head", "carrier1", "carrier2"]
    specs = [design.cluster_spec(experiment, f"slurm-virtual-n{n}") for n in (4, 40)]
    assert specs[0] != specs[1]


def test_a_variant_may_have_virtual_nodes_alone(tmp_path: Path) -> None:
    entry = {"name": "many", "scheduler": "slurm", "virtual": {"per_carrier": 100}}
    experiment = load(tmp_path, nodes=[1], schedulers=["slurm", entry | {"virtual": TWO}])
    assert [c.id for c in experiment.clusters()] == ["slurm-n1", "many-virtual-n1"]
    inherited = load(tmp_path, nodes=[1], schedulers=[entry], virtual=TWO)
    virtual = inherited.clusters()[0].virtual
    assert virtual is not None
    assert (virtual.carriers, virtual.per_carrier) == (2, 100)


def test_a_variant_keeps_what_it_does_not_override_of_carriers_and_delays(tmp_path: Path) -> None:
    general = {"carriers": 2, "carrier": {"vcpus": 3, "memory": "512 MiB"}}
    general |= {"delays": {"start": [0.1, 0.2], "completion": [0.3, 0.4]}}
    own = {"carrier": {"memory": "768 MiB"}, "delays": {"start": []}}
    entry = {"name": "own", "scheduler": "volcano", "virtual": own}
    keys: dict[str, Any] = {"schedulers": ["volcano", entry], "head": {"memory": "3 GiB"}}
    experiment = load(tmp_path, nodes=[4], virtual=general, **keys)
    virtual = experiment.cluster("own-virtual-n4").virtual
    assert virtual is not None
    assert (virtual.carrier.vcpus, virtual.carrier.memory) == (3, "768 MiB")
    assert (virtual.delays.start, virtual.delays.completion) == ([], [0.3, 0.4])
    write_experiment(experiment, tmp_path / "kept.yaml")
    assert read_experiment(tmp_path / "kept.yaml") == experiment
    # What is wrong in the experiment is told there alone, and what is wrong in the variant too.
    wrong = general | {"carrier": {"vcpus": 0, "memory": "512 MiB"}}
    (line,) = refusal(tmp_path, nodes=[4], virtual=wrong, **keys)
    assert " virtual.carrier.vcpus = 0" in line
    keys["schedulers"] = ["volcano", entry | {"virtual": {"carrier": {"vcpus": 0}}}]
    assert len(refusal(tmp_path, nodes=[4], virtual=wrong, **keys)) == 2


def test_a_written_experiment_with_virtual_nodes_reads_the_same(tmp_path: Path) -> None:
    experiment = load(tmp_path, nodes=[2, 4], virtual=TWO | {"real": [2]}, aa=True)
    write_experiment(experiment, tmp_path / "kept.yaml")
    kept = read_experiment(tmp_path / "kept.yaml")
    assert kept == experiment
    assert [key.id for key in kept.trials()] == [key.id for key in experiment.trials()]


def test_a_written_null_means_real_nodes_and_is_kept(tmp_path: Path) -> None:
    """As the remedy says where virtual nodes cannot have a workload's fault."""
    plain = {"name": "plain", "scheduler": "slurm", "virtual": None}
    keys: dict[str, Any] = {"nodes": [2], "virtual": TWO, "schedulers": ["slurm", plain]}
    experiment = load(tmp_path, **keys, aa="plain")
    names = ["slurm-virtual-n2", "plain-n2", "plain-again-n2"]
    assert [cluster.id for cluster in experiment.clusters()] == names
    write_experiment(experiment, tmp_path / "kept.yaml")
    kept = read_experiment(tmp_path / "kept.yaml")
    assert [cluster.id for cluster in kept.clusters()] == names
    fault = {"kind": "fail", "at": 3.0, "lasts": 5.0}
    work = {"name": "w", "kind": "poisson", "jobs": 90, "rate": 1.0, "runtime": 5.0}
    keys |= {"workloads": [work | {"fault": fault}]}
    (line,) = refusal(tmp_path, **keys)
    assert "slurm has virtual nodes" in line
    assert "virtual: null in its mapping" in line
    load(tmp_path, **keys | {"schedulers": [plain]})


def test_carriers_that_run_nothing_of_the_scheduler_are_told_as_such() -> None:
    def told(scheduler: str) -> str:
        keys: dict[str, Any] = {"nodes": [8], "virtual": TWO, "schedulers": [scheduler]}
        return _virtual(make_experiment(**keys).clusters()[0])

    shape = "8 virtual nodes of 2 processors and 768 MiB, "
    assert told("slurm") == told("volcano") == f"{shape}carried by 2 of the machines"
    assert told("flux") == (
        f"{shape}played on the head; 2 of the machines run nothing of the scheduler"
    )


def test_a_carrier_gets_an_address_and_a_virtual_node_does_not(tmp_path: Path) -> None:
    load(tmp_path, nodes=[300], virtual=TWO, network={"cidr": "10.0.100.0/28"})


VOLCANO = {"schedulers": ["volcano"], "head": {"memory": "3 GiB"}}


def test_schedulers_on_kubernetes_can_have_thousands_of_virtual_nodes(tmp_path: Path) -> None:
    experiment = load(
        tmp_path,
        schedulers=["volcano", "kubernetes"],
        head={"memory": "3 GiB"},
        nodes=[2000],
        virtual=TWO | {"carrier": {"memory": "1 GiB"}},
    )
    for cluster in experiment.clusters():
        found = design.variables(cluster)
        assert found["kubernetes_virtual"]["carriers"] == cluster.carried()
        assert found["kubernetes_virtual"]["cpus"] == 2
        assert found["kubernetes_units"]["compute"] == []
        assert found["kubernetes_units"]["head"]


@pytest.mark.parametrize(
    ("keys", "place", "what", "remedy"),
    [
        (
            {"virtual": TWO, "schedulers": ["nullscheduler"]},
            "virtual = 'nullscheduler'",
            "nullscheduler has no virtual nodes yet",
            "kubernetes, slurm, volcano can have it",
        ),
        (
            {"virtual": TWO | {"carrier": {"memory": "1 GiB"}}, "nodes": [10000], **VOLCANO},
            "virtual.carrier.memory = '1 GiB'",
            "5000 virtual nodes need",
            "or raise virtual.carriers",
        ),
        (
            {"virtual": TWO | {"per_carrier": 10}, "nodes": [30]},
            "virtual.per_carrier = 10",
            "30 nodes on 2 carriers are 15 nodes on one carrier",
            "virtual.carriers to 3 or more",
        ),
        (
            {"virtual": TWO | {"per_carrier": 1}, "nodes": [1024]},
            "virtual.per_carrier = 1",
            "1024 nodes on 2 carriers are 512 nodes on one carrier",
            "Remedy: raise it, or lower nodes",
        ),
        (
            {"virtual": TWO, "nodes": [1024]},
            "virtual.carrier.memory = '2 GiB'",
            "512 virtual nodes need 4352 MiB: 8 MiB each",
            "4352 MiB or more",
        ),
        (
            {
                "virtual": {"carriers": 1, "carrier": {"memory": "60 GiB"}},
                "nodes": [5001],
                "limits": {"memory": "90 GiB"},
            },
            "virtual.carriers = 1",
            "5001 of 5001 virtual nodes are on one carrier; slurm can have at most 5000 there",
            "set it to 2 or more",
        ),
        (
            {
                "virtual": TWO,
                "nodes": [8],
                "node": {"vcpus": 64, "memory": "1023 MiB"},
                "schedulers": ["kubernetes"],
            },
            "node.memory = '1023 MiB'",
            "too small for virtual nodes of kubernetes, which need 1024 MiB: a job asks for 16 MiB",
            "set it to 1024 MiB or more",
        ),
        (
            {"virtual": TWO, "nodes": [8], "node": {"memory": "1 MiB"}},
            "node.memory = '1 MiB'",
            "too small for virtual nodes of slurm, which need 2 MiB",
            "2 MiB or more",
        ),
        (
            {"virtual": TWO | {"real": [2, 2]}, "nodes": [2]},
            "virtual.real[1] = 2",
            "written twice",
            "remove one",
        ),
        (
            {"virtual": TWO | {"real": [3]}, "nodes": [2]},
            "virtual.real[0] = 3",
            "not one of the node counts",
            "use some of 2",
        ),
        ({"nodes": [2, 129]}, "nodes[1] = 129", "more than 128 real nodes", "virtual nodes"),
        (
            {"virtual": TWO | {"real": [200]}, "nodes": [200]},
            "virtual.real[0] = 200",
            "more than 128 real nodes",
            "remove it",
        ),
        (
            {
                "virtual": TWO,
                "schedulers": ["slurm", {"name": "slurm-virtual", "scheduler": "slurm"}],
            },
            "schedulers[1].name = 'slurm-virtual'",
            "the name under which slurm runs on virtual nodes",
            "another name",
        ),
        (
            {
                "virtual": TWO,
                "aa": True,
                "schedulers": [
                    "slurm",
                    {"name": "slurm-again-virtual", "scheduler": "slurm", "virtual": None},
                ],
            },
            "schedulers[1].name = 'slurm-again-virtual'",
            "the name under which slurm-again runs on virtual nodes",
            "another name",
        ),
        (
            {"virtual": TWO | {"delays": {"start": [0.0, 1.0]}}, "schedulers": ["nullscheduler"]},
            "virtual",
            "nullscheduler has no virtual nodes",
            "virtual: null in its mapping",
        ),
        (
            {"virtual": TWO | {"carrier": {"vcpus": 8}}, "nodes": [2]},
            "placement.oversubscribe",
            "17 vCPUs (head 1 + 2 carriers of 8) on 8 host cores",
            "lower virtual.carriers, virtual.carrier.vcpus",
        ),
        (
            {"virtual": TWO | {"carrier": {"memory": "9 GiB"}}, "nodes": [2]},
            "virtual.carrier.memory = '9 GiB'",
            "the largest cluster (2 carriers and the head) needs 19456 MiB",
            "lower virtual.carrier.memory",
        ),
        (
            {
                "virtual": TWO,
                "nodes": [256],
                "node": {"vcpus": 256},
                "workloads": [{"name": "b", "kind": "burst", "jobs": 9_000}],
            },
            "virtual.carrier.memory = '2 GiB'",
            "workload b can run 4500 ranks of jobs at one time on a carrier with 128 virtual nodes",
            "18768 MiB or more",
        ),
        (
            {"head": {"memory": "256 MiB"}, "schedulers": ["kubernetes"], "nodes": [1]},
            "head.memory = '256 MiB'",
            "too small for kubernetes, which needs 1024 MiB",
            "1024 MiB or more",
        ),
        (
            {
                "virtual": TWO,
                "head": {"memory": "1 GiB"},
                "schedulers": ["volcano"],
                "nodes": [1024],
            },
            "head.memory = '1 GiB'",
            "too small for volcano, which needs 1664 MiB there with 1024 virtual nodes",
            "1664 MiB or more",
        ),
        (
            {"virtual": TWO, "head": {"memory": "512 MiB"}, "nodes": [1024]},
            "head.memory = '512 MiB'",
            "too small for slurm, which needs 584 MiB there with 1024 virtual nodes",
            "584 MiB or more",
        ),
        ({"virtual": {}}, "virtual.carriers", "missing", "add"),
        (
            {"virtual": TWO | {"delays": {"start": [0.0, 1.0]}}},
            "virtual.delays = {'start': [0.0, 1.0]}",
            "virtual nodes of slurm run the payload",
            "remove it",
        ),
        ({"virtual": TWO | {"margin": "5"}}, "virtual.margin", "not a percentage", "such as 5 %"),
    ],
)
def test_refusals(tmp_path: Path, keys: dict[str, Any], place: str, what: str, remedy: str) -> None:
    lines = [line for line in refusal(tmp_path, **keys) if place in line]
    assert lines, refusal(tmp_path, **keys)
    assert what in lines[0]
    assert remedy in lines[0]


def test_what_larger_machines_then_need_is_told_with_their_faults(tmp_path: Path) -> None:
    """One round: carriers and head that are too small count as large as they have to be."""
    lines = refusal(
        tmp_path,
        SMALL,
        schedulers=["slurm", "volcano"],
        nodes=[1024],
        virtual=TWO | {"carrier": {"memory": "2 GiB", "vcpus": 4}},
    )
    assert [line.split(": ")[1].split(" = ")[0] for line in lines] == [
        "placement.oversubscribe",
        "head.memory",
        "virtual.carrier.memory",
        "virtual.carrier.memory",
    ]
    assert (
        f"needs {1664 + 2 * 4352} MiB when its machines have the memory that they need" in lines[-1]
    )
    assert "raise limits.memory to 10368 MiB or more" in lines[-1]
    # What they say is enough.
    load(
        tmp_path,
        SMALL,
        schedulers=["slurm", "volcano"],
        nodes=[1024],
        head={"memory": "1664 MiB"},
        virtual=TWO | {"carrier": {"memory": "4352 MiB", "vcpus": 4}},
        placement={"oversubscribe": True},
        limits={"memory": "10368 MiB"},
    )


def test_jobs_that_are_too_many_for_carriers_count_in_the_need_too(tmp_path: Path) -> None:
    lines = refusal(
        tmp_path,
        nodes=[16],
        node={"vcpus": 256},
        virtual=TWO,
        workloads=[{"name": "b", "kind": "burst", "jobs": 3000}],
    )
    each = 256 + 8 * 8 + (1500 - 8) * 4
    assert f"set it to {each} MiB or more" in lines[0]
    assert f"raise limits.memory to {1024 + 2 * each} MiB or more" in lines[1]


def test_the_scale_experiment_has_both_schedulers_at_all_sizes_and_traces_that_fit_both() -> None:
    """Volcano is given at most 200 pods of a workload at 1,024 nodes: what 15 minutes are for."""
    host = HostFacts(cores=2, memory_mib=24 * 1024)
    experiment = load_experiment(ROOT / "config/scale.yaml", host, ROOT)
    found = {cluster.id for cluster in experiment.clusters()}
    virtual = {f"{name}-virtual-n{n}" for name in ("slurm", "volcano") for n in (16, 128, 1024)}
    assert virtual <= found
    assert {"slurm-n2", "slurm-n4"} <= found
    assert experiment.limits.trial <= 900
    machine = experiment.cluster("volcano-virtual-n1024").machine
    for workload in experiment.workloads:
        trace = workload.generate(machine, 1, ROOT)
        assert sum(job.nodes for job in trace.jobs) <= 200, workload.name


@pytest.mark.parametrize("name", ["scale.yaml", "tests/virtual.yaml", "tests/virtual-volcano.yaml"])
def test_shipped_experiments_with_virtual_nodes_load_on_a_small_host(name: str) -> None:
    host = HostFacts(cores=2, memory_mib=24 * 1024)
    assert load_experiment(ROOT / "config" / name, host, ROOT).clusters()[-1].virtual
    assert HOST.cores > host.cores
