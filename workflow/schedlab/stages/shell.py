"""A restored cluster that a person can use."""

from __future__ import annotations

import os
import time
from pathlib import Path

from schedlab import processes
from schedlab.paths import RECORD
from schedlab.results.records import verify_outputs, write_json
from schedlab.stages.context import Context
from schedlab.testbed import snapshot
from schedlab.testbed.session import open_testbed
from schedlab.testbed.ssh import connect, wait_until_reachable


def run_with_cluster(
    context: Context, cluster: str, state: str, command: list[str], timing: Path | None = None
) -> int:
    """Restore a cluster, run a command in its testbed, discard the cluster.

    Parameters
    ----------
    context : Context
        Experiment and folders.
    cluster, state : str
        Id of the cluster, and its state ``provisioned`` or ``configured``.
    command : list of str
        The command; if empty, a shell.
    timing : pathlib.Path, optional
        Gets JSON with the seconds until the nodes run (``restore``) and until all answer over
        SSH (``reachable``).

    Returns
    -------
    int
        The command's exit status.
    """
    experiment = context.experiment
    found = experiment.cluster(cluster)
    machines = context.provisioned(found)
    folder = machines if state == "provisioned" else context.configured(cluster)
    verify_outputs(folder / RECORD)
    key = machines / "secrets" / "id_ed25519"
    with open_testbed(
        experiment.libvirt.uri,
        context.results,
        f"exec-{cluster}",
        hugepages=found.placement.hugepages,
    ) as testbed:
        start = time.monotonic()
        restored = snapshot.restore(testbed, folder / "snapshot")
        with connect(testbed.scratch, restored["nodes"], key) as nodes:
            wait_until_reachable(nodes, 120, "exec")
            if timing is not None:
                seconds = {
                    "restore": restored["seconds"],
                    "reachable": time.monotonic() - start,
                }
                write_json(timing, seconds)
            added = {
                "SCHEDLAB_SSH_CONFIG": str(testbed.scratch / "ssh.conf"),
                "LIBVIRT_DEFAULT_URI": testbed.uri,
            }
            words = command or [os.environ.get("SHELL", "/bin/sh")]
            return processes.run(words, added=added, stdin=None).returncode
