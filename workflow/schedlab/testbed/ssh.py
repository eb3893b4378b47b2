"""Commands and files on guests, through OpenSSH with one shared connection per node."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError

USER = "bench"


class Node:
    """One guest.

    Parameters
    ----------
    name, address : str
        Its name in the cluster and its IPv4 address.
    config : pathlib.Path
        OpenSSH client configuration that knows the node (see :func:`write_config`).
    """

    def __init__(self, name: str, address: str, role: str, config: Path) -> None:
        self.name = name
        self.address = address
        self.role = role
        self._config = config

    def command(self, *words: str) -> list[str]:
        """Build the local command line that runs `words` on the node."""
        return ["ssh", "-F", str(self._config), self.name, *words]

    def run(
        self, command: str, *, timeout: float = 120.0, check: bool = True, stage: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command on the node.

        Raises
        ------
        SchedlabError
            When it fails and `check` is set, or does not end within `timeout` seconds.
        """
        try:
            done = subprocess.run(
                self.command(command),
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise SchedlabError(
                f"`{command}` did not end within {timeout:g} s", stage=stage, node=self.name
            ) from error
        if check and done.returncode:
            raise SchedlabError(
                f"`{command}` ended with status {done.returncode}: "
                f"{(done.stderr or done.stdout).strip()[-800:]}",
                stage=stage,
                node=self.name,
            )
        return done

    def write(self, path: str, content: bytes) -> None:
        """Write a file on the node."""
        subprocess.run(
            self.command(f"mkdir -p $(dirname {path}) && cat > {path}"),
            input=content,
            check=True,
            capture_output=True,
            timeout=120,
        )

    def read(self, path: str) -> bytes:
        """Read a file of the node (as root); an absent file reads as empty."""
        done = subprocess.run(
            self.command(f"sudo cat {path}"), capture_output=True, check=False, timeout=120
        )
        return done.stdout

    def answers(self) -> bool:
        """Tell whether a command runs on the node now."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                self.command("true"), capture_output=True, timeout=20, check=False
            )
            return done.returncode == 0
        return False


def write_config(path: Path, nodes: Sequence[dict[str, Any]], key: Path, sockets: Path) -> None:
    """Write an OpenSSH client configuration for a cluster.

    Host keys are those of throw-away guests on a private network, made new with each cluster; they
    are learnt into a file beside the configuration.
    """
    lines = []
    for node in nodes:
        lines += [f"Host {node['name']}", f"  HostName {node['address']}", ""]
    lines += [
        "Host *",
        f"  User {USER}",
        f"  IdentityFile {key.resolve()}",
        "  IdentitiesOnly yes",
        "  BatchMode yes",
        "  StrictHostKeyChecking accept-new",
        f"  UserKnownHostsFile {path.resolve().parent / 'known_hosts'}",
        "  LogLevel ERROR",
        "  ConnectTimeout 15",
        "  ServerAliveInterval 15",
        "  ServerAliveCountMax 8",
        "  ControlMaster auto",
        f"  ControlPath {sockets}/%C",
        "  ControlPersist 600",
        "",
    ]
    path.write_text("\n".join(lines))


@contextlib.contextmanager
def connect(scratch: Path, nodes: Sequence[dict[str, Any]], key: Path) -> Iterator[dict[str, Node]]:
    """Yield the nodes of a cluster by name; close the shared connections at the end."""
    config = scratch / "ssh.conf"
    # Not in the scratch folder: a socket's path may have no more than 107 characters.
    sockets = Path(tempfile.mkdtemp(prefix="schedlab-"))
    write_config(config, nodes, key, sockets)
    result = {n["name"]: Node(n["name"], n["address"], n["role"], config) for n in nodes}
    try:
        yield result
    finally:
        for node in result.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    ["ssh", "-F", str(config), "-O", "exit", node.name],
                    capture_output=True,
                    timeout=10,
                    check=False,
                )
        shutil.rmtree(sockets, ignore_errors=True)


def wait_until_reachable(
    nodes: dict[str, Node],
    timeout: float,
    stage: str,
    log: Path | None = None,
    alive: Callable[[], None] = lambda: None,
) -> None:
    """Wait until every node runs commands.

    Parameters
    ----------
    nodes : dict of str to Node
        The nodes.
    timeout : float
        Seconds.
    stage : str
        Named in errors.
    log : pathlib.Path, optional
        Named in errors.
    alive : callable
        Raises where a guest is gone: then waiting for it is in vain.

    Raises
    ------
    SchedlabError
        Names the first node that does not answer within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout

    def wait(node: Node) -> None:
        while not node.answers():
            alive()
            if time.monotonic() > deadline:
                raise SchedlabError(
                    f"{node.name} did not answer over SSH within {timeout:g} s",
                    stage=stage,
                    node=node.name,
                    log=log,
                    remedy="read the node's console log; raise limits.boot for a slow machine",
                )
            time.sleep(0.3)

    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        list(pool.map(wait, nodes.values()))
