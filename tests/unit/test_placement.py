"""Placement of virtual CPUs, host topology, CPU sets, node addresses."""

from __future__ import annotations

import pytest

from schedlab.addresses import node_address
from schedlab.errors import SchedlabError
from schedlab.testbed.cpuset import format_cpuset, parse_cpuset
from schedlab.testbed.nodes import mac_address, terraform_nodes
from schedlab.testbed.placement import NodeDemand, NodePlacement, place
from schedlab.testbed.topology import HostTopology

FLAT = HostTopology(cores=((0,), (1,), (2,), (3,), (4,), (5,)), numa={0: frozenset(range(6))})
# Two sockets of two cores with two threads each, numbered as Linux does on Intel.
SMT = HostTopology(
    cores=((0, 4), (1, 5), (2, 6), (3, 7)),
    numa={0: frozenset({0, 1, 4, 5}), 1: frozenset({2, 3, 6, 7})},
    hugepages_mib={0: 1024, 1: 4096},
)


def demands(nodes: int = 2, head: int = 1, node: int = 2) -> dict[str, NodeDemand]:
    compute = {f"compute{i}": NodeDemand("compute", node, 768) for i in range(1, nodes + 1)}
    return {"head": NodeDemand("head", head, 1024), **compute}


@pytest.mark.parametrize(
    ("text", "members"),
    [("", set()), ("3", {3}), ("0,2-4", {0, 2, 3, 4}), (" 0-1 , 5\n", {0, 1, 5})],
)
def test_cpuset_reads(text: str, members: set[int]) -> None:
    assert parse_cpuset(text) == members


@pytest.mark.parametrize(
    "text", ["a", "1-", "-1", "3-1", "0;1", "0-8/2", "1-2-3-4-5", "1,,2", "0-999999999"]
)
def test_cpuset_refuses(text: str) -> None:
    with pytest.raises(SchedlabError, match="not a set of CPUs"):
        parse_cpuset(text)


def test_cpuset_writes_what_it_reads() -> None:
    assert format_cpuset([5, 0, 1, 3, 4, 1, 10]) == "0-1,3-5,10"
    assert format_cpuset([]) == ""
    assert parse_cpuset(format_cpuset({7, 2, 3})) == {2, 3, 7}


def test_none_pins_nothing() -> None:
    placement = place(FLAT, demands(), policy="none")
    assert list(placement) == ["head", "compute1", "compute2"]
    assert set(placement.values()) == {NodePlacement()}


def test_exclusive_gives_every_vcpu_a_core_and_the_rest_to_the_emulators() -> None:
    placement = place(FLAT, demands(nodes=2), policy="exclusive")
    assert [placement[name].vcpu_pins for name in placement] == [("0",), ("1", "2"), ("3", "4")]
    assert {p.emulator_pins for p in placement.values()} == {"5"}


def test_exclusive_without_spare_core_keeps_emulators_on_their_own_node() -> None:
    placement = place(SMT, demands(nodes=1, node=3), policy="exclusive")
    assert placement["head"] == NodePlacement(("0",), "0,4")
    assert placement["compute1"] == NodePlacement(("1", "2", "3"), "1-3,5-7")


def test_exclusive_refuses_more_vcpus_than_cores_and_says_what_to_do() -> None:
    # Eight threads, but four cores.
    with pytest.raises(SchedlabError) as caught:
        place(SMT, demands(nodes=2), policy="exclusive")
    assert "5 vCPUs need as many cores, this host has 4" in caught.value.message
    assert "at most 4 vCPUs" in str(caught.value.remedy)
    assert "spread" in str(caught.value.remedy)


def test_exclusive_on_one_numa_node_counts_its_cores_only() -> None:
    placement = place(SMT, demands(nodes=1, node=1), policy="exclusive", numa=1)
    assert [placement[n].vcpu_pins for n in placement] == [("2",), ("3",)]
    assert {p.numa_nodes for p in placement.values()} == {"1"}
    with pytest.raises(SchedlabError, match="NUMA node 1 has 2"):
        place(SMT, demands(nodes=1, node=2), policy="exclusive", numa=1)


def test_spread_deals_cores_first_then_second_threads_then_shares() -> None:
    placement = place(SMT, demands(nodes=4), policy="spread")
    dealt = [pin for node in placement.values() for pin in node.vcpu_pins]
    assert dealt == ["0", "1", "2", "3", "4", "5", "6", "7", "0"]
    assert {p.emulator_pins for p in placement.values()} == {None}


def test_unknown_numa_node_names_those_there_are() -> None:
    with pytest.raises(SchedlabError, match="NUMA nodes 0, 1"):
        place(SMT, demands(), numa=2)


def test_hugepages_are_counted_on_the_node_they_come_from() -> None:
    placement = place(SMT, demands(), numa=1, hugepages=True)
    assert all(p.hugepages for p in placement.values())
    with pytest.raises(SchedlabError, match="needs 2560 MiB .* has 1024 MiB") as caught:
        place(SMT, demands(), numa=0, hugepages=True)
    assert "vm.nr_hugepages=1280" in str(caught.value.remedy)


def test_pci_functions_go_to_compute_nodes_one_guest_each() -> None:
    functions = ["0000:03:00.0", "0000:03:00.1", "0000:03:00.2"]
    placement = place(FLAT, demands(nodes=2), pci=functions)
    assert placement["head"].pci == ()
    assert placement["compute1"].pci == ("0000:03:00.0", "0000:03:00.2")
    assert placement["compute2"].pci == ("0000:03:00.1",)


CAPABILITIES = """
<capabilities><host><topology><cells num='2'>
  <cell id='0'><memory unit='KiB'>100</memory><pages unit='KiB' size='4'>25</pages>
    <pages unit='KiB' size='2048'>8</pages>
    <cpus num='2'><cpu id='0' socket_id='0' core_id='0' siblings='0,2'/>
      <cpu id='2' socket_id='0' core_id='0' siblings='0,2'/></cpus></cell>
  <cell id='1'><cpus num='2'><cpu id='1' siblings='1,3'/><cpu id='3' siblings='1,3'/></cpus></cell>
</cells></topology></host></capabilities>
"""


def test_topology_from_capabilities() -> None:
    topology = HostTopology.from_capabilities(CAPABILITIES)
    assert topology.cores == ((0, 2), (1, 3))
    assert topology.numa == {0: frozenset({0, 2}), 1: frozenset({1, 3})}
    assert topology.hugepages_mib == {0: 16, 1: 0}
    with pytest.raises(SchedlabError):
        HostTopology.from_capabilities("<capabilities><host/></capabilities>")


def test_addresses() -> None:
    assert node_address("10.0.100.0/24", 0) == "10.0.100.10"
    assert node_address("10.0.100.0/24", 244) == "10.0.100.254"
    assert node_address("10.0.0.0/16", 300) == "10.0.1.54"
    with pytest.raises(SchedlabError, match="no address for compute node 245"):
        node_address("10.0.100.0/24", 245)


def test_mac_addresses_are_stable_local_and_of_one_identity() -> None:
    address = mac_address("0a1b2c3d", "slurm-n1", "head")
    assert address == mac_address("0a1b2c3d", "slurm-n1", "head")
    assert int(address.split(":")[0], 16) & 0b11 == 0b10  # local, not multicast
    others = {
        mac_address(checkout, cluster, node)
        for checkout in ("0a1b2c3d", "0a1b2c3e")
        for cluster in ("slurm-n1", "slurm-n2")
        for node in ("head", "compute1")
    }
    assert len(others) == 8


def test_terraform_nodes_are_plain_and_complete() -> None:
    wanted = demands(nodes=1)
    nodes = terraform_nodes(
        wanted,
        place(FLAT, wanted, policy="exclusive"),
        checkout="0a1b2c3d",
        cluster="slurm-n1",
        cidr="10.0.100.0/24",
    )
    assert nodes["compute1"] == {
        "role": "compute",
        "vcpus": 2,
        "memory_mib": 768,
        "mac": mac_address("0a1b2c3d", "slurm-n1", "compute1"),
        "address": "10.0.100.11",
        "vcpu_pins": ["1", "2"],
        "emulator_pins": "3-5",
        "numa_nodes": None,
        "hugepages": False,
        "pci": [],
    }
