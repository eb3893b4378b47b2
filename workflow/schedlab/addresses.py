"""IPv4 addresses of a cluster's nodes."""

from __future__ import annotations

import ipaddress

from schedlab.errors import SchedlabError

HEAD_ADDRESS = 10
"""Host number of the head in the cluster's network; compute node i has ``HEAD_ADDRESS + i``.

The numbers below it are left to the host, which is the gateway.
"""


def addresses_needed(compute_nodes: int) -> int:
    """Size of the smallest network that holds a head and this many compute nodes.

    Parameters
    ----------
    compute_nodes : int
        Number of compute nodes.

    Returns
    -------
    int
        Number of addresses, with the network's own and the broadcast address.
    """
    return HEAD_ADDRESS + compute_nodes + 2


def node_address(cidr: str, number: int) -> str:
    """IPv4 address of a node.

    Parameters
    ----------
    cidr : str
        The cluster's network.
    number : int
        0 for the head, i for compute node i.

    Raises
    ------
    SchedlabError
        When the network is too small for the node.
    """
    network = ipaddress.IPv4Network(cidr)
    if network.num_addresses < addresses_needed(number):
        raise SchedlabError(
            f"network.cidr {cidr} has no address for compute node {number}",
            remedy="use a larger network, for example 10.0.0.0/16",
        )
    return str(network[HEAD_ADDRESS + number])
