"""What an adapter says of its scheduler's virtual nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from schedlab.schedulers.delays import Latencies


class VirtualNodes:
    """Virtual nodes of a scheduler; by default it has none."""

    name: ClassVar[str]
    virtual_node_mib: ClassVar[float | None] = None
    """Memory of a carrier for each virtual node with a job (MiB); None: no virtual nodes."""
    virtual_job_mib: ClassVar[float] = 0.0
    """Memory of a carrier for each further rank that runs at the same time, MiB."""
    virtual_batch_mib: ClassVar[float] = 0.0
    """Memory of a carrier for what leads a job of several nodes, on the first of them, MiB."""
    virtual_most_per_carrier: ClassVar[int | None] = None
    """Most virtual nodes of a carrier, whatever its memory; None: no other limit is known."""
    virtual_head_mib: ClassVar[tuple[int, float]] = (0, 0.0)
    """Least memory of the head with virtual nodes (MiB): in any case, and for each of them."""
    virtual_daemon: ClassVar[str] = ""
    """Name from `daemons` of what has the virtual nodes on a carrier; empty: nothing there has."""
    virtual_daemon_each: ClassVar[bool] = False
    """Whether each virtual node has one of its own, which nothing starts again; or all have one."""
    virtual_shape_mib: ClassVar[tuple[int, int]] = (0, 0)
    """Least memory of a virtual node's shape (MiB): in any case, and for each processor."""
    virtual_delays: ClassVar[Latencies | None] = None
    """Where virtual nodes run no payload: measures on real ones how late jobs start and end."""

    def virtual_variables(
        self, virtual: Mapping[str, Any], own: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Ansible variables of a cluster with virtual nodes, put over `own` from `variables`.

        `virtual`: `cpus` and `memory_mib` of a node, `carriers` (carrier -> numbers of its nodes),
        and `delays` where `virtual_delays` is set.
        """
        return {f"{self.name}_virtual": dict(virtual)}
