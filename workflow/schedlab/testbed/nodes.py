"""Addresses of a cluster's nodes, and the node table that Terraform is given."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.testbed.placement import NodeDemand, NodePlacement

HEAD_ADDRESS = 10
"""Host number of the head in the cluster's network; compute node i has ``HEAD_ADDRESS + i``."""


def mac_address(checkout: str, cluster: str, node: str) -> str:
    """MAC address of a node: ``52:54`` and 32 bits of a hash of its identity.

    ``52:54`` is locally administered and the mark of QEMU's guests. It differs between checkouts
    and clusters, so that two of them on one host never answer for each other.
    """
    digest = hashlib.sha256(f"{checkout}/{cluster}/{node}".encode()).digest()
    return ":".join(["52", "54", *(f"{byte:02x}" for byte in digest[:4])])


def node_address(cidr: str, number: int) -> str:
    """IPv4 address of a node: the head is number 0, compute node i number i.

    Raises
    ------
    SchedlabError
        When the network is too small for it.
    """
    network = ipaddress.IPv4Network(cidr)
    position = HEAD_ADDRESS + number
    if position >= network.num_addresses - 1:
        raise SchedlabError(
            f"network.cidr {cidr} has no address for compute node {number}",
            remedy="use a larger network, for example 10.0.0.0/16",
        )
    return str(network[position])


def terraform_nodes(
    demands: Mapping[str, NodeDemand],
    placement: Mapping[str, NodePlacement],
    *,
    checkout: str,
    cluster: str,
    cidr: str,
) -> dict[str, dict[str, Any]]:
    """Build the value of Terraform's variable ``nodes``.

    Parameters
    ----------
    demands, placement : mapping
        The nodes by name, the head first, and where each runs.
    checkout, cluster : str
        Identity of the checkout (eight hexadecimal digits) and id of the cluster.
    cidr : str
        The cluster's IPv4 network.

    Returns
    -------
    dict
        Plain JSON, as ``workflow/infrastructure/terraform/variables.tf`` describes it.
    """
    return {
        name: {
            "role": demand.role,
            "vcpus": demand.vcpus,
            "memory_mib": demand.memory_mib,
            "mac": mac_address(checkout, cluster, name),
            "address": node_address(cidr, number),
            "vcpu_pins": list(placement[name].vcpu_pins),
            "emulator_pins": placement[name].emulator_pins,
            "numa_nodes": placement[name].numa_nodes,
            "hugepages": placement[name].hugepages,
            "pci": list(placement[name].pci),
        }
        for number, (name, demand) in enumerate(demands.items())
    }
