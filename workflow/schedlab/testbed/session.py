"""The testbed of one job: a libvirt connection, a scratch folder, an identity, and the clean-up."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libvirt

from schedlab import paths
from schedlab.errors import SchedlabError
from schedlab.outside.output import write_output
from schedlab.plain import plain
from schedlab.testbed import embedded, supervisor
from schedlab.toolchain.cache import Cache

NAMESPACE = "https://schedlab.dev/libvirt/1"


@dataclass(frozen=True)
class Testbed:
    """What a stage needs to create, restore and stop a cluster.

    Attributes
    ----------
    connection : libvirt.virConnect
        Open connection.
    uri : str
        Its URI, for Terraform and ``virsh``.
    scratch : pathlib.Path
        Folder for throw-away files, removed at the end of the job.
    identity : str
        Eight hexadecimal digits of the results; part of every libvirt name.
    own : bool
        Whether libvirtd is the job's own, and not that of a machine.
    """

    connection: libvirt.virConnect
    uri: str
    scratch: Path
    identity: str
    own: bool = False

    def domain_name(self, cluster: str, node: str) -> str:
        """Name of a node's domain; no domain of a user or of another checkout has it."""
        return f"schedlab-{self.identity}-{cluster}-{node}"

    def network_name(self, cluster: str) -> str:
        """Name of a cluster's network."""
        return f"schedlab-{self.identity}-{cluster}"


def identity_of(results: Path, *, keep: bool = False) -> str:
    """Eight hexadecimal digits that distinguish the machines of these results from all others.

    They are made from the folder's path, and kept in the folder: libvirt restores machines only
    under the name that they were saved under, also when the folder was moved since.

    Parameters
    ----------
    results : pathlib.Path
        The results folder.
    keep : bool
        Write the identity into the folder if it has none.
    """
    path = results / paths.IDENTITY
    kept = path.read_text(errors="replace").strip() if path.is_file() else ""
    if re.fullmatch("[0-9a-f]{8}", kept):
        return kept
    identity = hashlib.sha256(str(results.resolve()).encode()).hexdigest()[:8]
    if keep:
        write_output(path, f"{identity}\n")
    return identity


def domain_pid(domain: str, run: Path = Path("/run/libvirt/qemu")) -> int:
    """Process id of a running domain's QEMU.

    libvirt writes it into a file of its run folder; the domain's XML does not have it.

    Parameters
    ----------
    domain : str
        Name of the domain.
    run : pathlib.Path
        libvirt's run folder.

    Raises
    ------
    SchedlabError
        When there is no such file: the domain does not run, or its libvirt is on another host.
    """
    file = run / f"{domain}.pid"
    try:
        return int(file.read_text())
    except FileNotFoundError as error:
        raise SchedlabError(f"no process id of domain {domain}: {plain(error)}") from error


def remove_objects(connection: libvirt.virConnect, identity: str) -> list[str]:
    """Remove the domains, networks and pools of one checkout; return their names.

    Only objects whose names contain the checkout's identity are touched. Volumes are files in the
    scratch folder and are removed with it. Of a pool only the definition is removed, not its files.
    """
    prefix = f"schedlab-{identity}-"
    removed = []
    for domain in connection.listAllDomains():
        if domain.name().startswith(prefix):
            removed.append(f"domain {domain.name()}")
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()
            with contextlib.suppress(libvirt.libvirtError):
                domain.undefineFlags(
                    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
                )
    for kind, objects in (
        ("network", connection.listAllNetworks()),
        ("pool", connection.listAllStoragePools()),
    ):
        for item in objects:
            if item.name().startswith(prefix):
                removed.append(f"{kind} {item.name()}")
                with contextlib.suppress(libvirt.libvirtError):
                    item.destroy()
                with contextlib.suppress(libvirt.libvirtError):
                    item.undefine()
    return removed


def _remove_at_end(connection: libvirt.virConnect, identity: str, *, own: bool) -> None:
    try:
        remove_objects(connection, identity)
    except libvirt.libvirtError:
        # All of an embedded libvirtd that died ends with the testbed's namespaces.
        if not own:
            raise


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Say what libvirt says, in place of a traceback: its daemon may die, or refuse something."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise SchedlabError(f"libvirt: {error}", stage="testbed") from error


def ignore_error(_context: object, _error: object) -> None:
    """Keep libvirt from printing an error to stderr; the error is also raised as an exception."""


@contextlib.contextmanager
def open_testbed(
    uri: str, results: Path, name: str, *, hugepages: bool = False
) -> Iterator[Testbed]:
    """Open the testbed of this job, and remove everything of it at the end.

    Call it in the process in which :func:`schedlab.testbed.supervisor.in_testbed` returned None.

    Parameters
    ----------
    uri : str
        ``libvirt.uri`` of the configuration.
    results : pathlib.Path
        The results folder; it has the scratch folders and the identity.
    name : str
        A short name of the job.
    hugepages : bool
        Whether guests may have huge pages.
    """
    libvirt.registerErrorHandler(ignore_error, None)
    identity = identity_of(results, keep=True)
    own = os.environ.get(supervisor.INSIDE) == "embedded"
    with contextlib.ExitStack() as stack:
        stack.enter_context(supervisor.interruptible())
        stack.enter_context(_told())
        if own:
            scratch = Path(os.environ[supervisor.SCRATCH])
            state = scratch / "libvirt"
            cache = Cache.default().root / "libvirt-capabilities"
            embedded.prepare_namespace(state, cache, hugepages=hugepages)
            uri = stack.enter_context(embedded.libvirt_daemon(state))
        else:
            scratch = stack.enter_context(supervisor.scratch_folder(results, name))
            uri = supervisor.resolve_uri(uri)
        connection = libvirt.open(uri)
        stack.callback(connection.close)
        remove_objects(connection, identity)
        stack.callback(_remove_at_end, connection, identity, own=own)
        yield Testbed(connection, uri, scratch, identity, own)
