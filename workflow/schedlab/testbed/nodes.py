"""MAC addresses of a cluster's nodes, and the table of nodes that Terraform is given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from schedlab.addresses import node_address
from schedlab.testbed.placement import NodeDemand, NodePlacement


def mac_address(checkout: str, cluster: str, node: str) -> str:
    """MAC address of a node: ``52:54`` and 32 bits of a hash of its identity.

    ``52:54`` is a locally administered prefix that QEMU's guests usually have. The hash differs
    between checkouts and clusters, so that clusters on one host have different addresses.
    """
    digest = hashlib.sha256(f"{checkout}/{cluster}/{node}".encode()).digest()
    return ":".join(["52", "54", *(f"{byte:02x}" for byte in digest[:4])])


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
