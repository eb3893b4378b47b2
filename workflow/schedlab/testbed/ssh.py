"""Commands and files on guests, through OpenSSH with one shared connection per node."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from typing import Any

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.last_words import last_words
from schedlab.printing import LONGEST_COMMAND, brief

USER = "bench"
SSH_FAILED = 255
"""Status with which ssh(1) ends when it could not run the command at all."""
_ABSENT = 66
"""Status of :meth:`Node.read`'s command where there is no such file (EX_NOINPUT of sysexits.h)."""


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
            done = processes.run(
                self.command(command), capture_output=True, text=True, timeout=timeout
            )
        except subprocess.TimeoutExpired as error:
            raise SchedlabError(
                f"`{brief(command, LONGEST_COMMAND)}` did not end within {timeout:g} s",
                stage=stage,
                node=self.name,
            ) from error
        if check and done.returncode:
            raise SchedlabError(
                f"`{brief(command, LONGEST_COMMAND)}` ended with status {done.returncode}: "
                f"{(done.stderr or done.stdout).strip()[-800:]}",
                stage=stage,
                node=self.name,
            )
        return done

    def write(self, path: str, content: bytes) -> None:
        """Write a file on the node, and make its folder where there is none.

        Raises
        ------
        SchedlabError
            When it cannot be written.
        """
        folder = shlex.quote(str(PurePosixPath(path).parent))
        done = self._exchange(
            f"mkdir -p -- {folder} && cat > {shlex.quote(path)}", f"write {path}", content
        )
        if done.returncode:
            raise self._failure(f"write {path}", done)

    def read(self, path: str) -> bytes | None:
        """Read a file of the node as root; None where there is no such file.

        Raises
        ------
        SchedlabError
            When the node cannot be reached or the file cannot be read.
        """
        quoted = shlex.quote(path)
        script = f"test -e {quoted} || exit {_ABSENT}; exec cat -- {quoted}"
        done = self._exchange(f"sudo sh -c {shlex.quote(script)}", f"read {path}")
        if done.returncode == _ABSENT:
            return None
        if done.returncode:
            raise self._failure(f"read {path}", done)
        return done.stdout

    def _exchange(
        self, command: str, task: str, content: bytes = b"", timeout: float = 120.0
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return processes.run(
                self.command(command), input=content, capture_output=True, timeout=timeout
            )
        except subprocess.TimeoutExpired as error:
            raise SchedlabError(f"could not {task} within {timeout:g} s", node=self.name) from error

    def _failure(self, task: str, done: subprocess.CompletedProcess[bytes]) -> SchedlabError:
        cause = "SSH failed" if done.returncode == SSH_FAILED else f"status {done.returncode}"
        said = done.stderr.decode(errors="replace").strip()[-500:]
        return SchedlabError(f"could not {task}: {cause}: {said}", node=self.name)

    def silence(self) -> str | None:
        """Tell why no command runs on the node now, in OpenSSH's words; None if one does."""
        try:
            done = processes.run(
                self.command("true"), capture_output=True, text=True, errors="replace", timeout=20
            )
        except subprocess.TimeoutExpired:
            return "no answer within 20 s"
        return (last_words(done.stderr) or f"status {done.returncode}") if done.returncode else None


def head_of(nodes: Mapping[str, Node]) -> Node:
    """The head among the nodes of a cluster."""
    return next(node for node in nodes.values() if node.role == "head")


def write_config(path: Path, nodes: Sequence[dict[str, Any]], key: Path, sockets: Path) -> None:
    """Write an OpenSSH client configuration for a cluster.

    Each cluster of throw-away guests on its private network has new host keys. They are accepted
    when first seen, and stored in a file beside the configuration.
    """
    lines = []
    for node in nodes:
        lines += [f"Host {node['name']}", f"  HostName {node['address']}", ""]
    lines += [
        "Host *",
        f"  User {USER}",
        f"  IdentityFile {_quoted(key.resolve())}",
        "  IdentitiesOnly yes",
        "  BatchMode yes",
        "  StrictHostKeyChecking accept-new",
        f"  UserKnownHostsFile {_quoted(path.resolve().parent / 'known_hosts')}",
        "  LogLevel ERROR",
        "  ConnectTimeout 15",
        "  ServerAliveInterval 15",
        "  ServerAliveCountMax 8",
        "  ControlMaster auto",
        f"  ControlPath {_quoted(sockets, '/%C')}",
        "  ControlPersist 600",
        "",
    ]
    path.write_text("\n".join(lines))


def _quoted(path: Path, rest: str = "") -> str:
    """Quote a path for ssh_config(5), where ``%`` starts a token and a space starts a new word."""
    return f'"{str(path).replace("%", "%%")}{rest}"'


@contextlib.contextmanager
def connect(scratch: Path, nodes: Sequence[dict[str, Any]], key: Path) -> Iterator[dict[str, Node]]:
    """Yield the nodes of a cluster by name; close the shared connections at the end."""
    config = scratch / "ssh.conf"
    result = {n["name"]: Node(n["name"], n["address"], n["role"], config) for n in nodes}
    with contextlib.ExitStack() as stack:
        write_config(config, nodes, key, stack.enter_context(processes.socket_folder()))
        stack.callback(_disconnect, config, result.values())
        yield result


def _disconnect(config: Path, nodes: Iterable[Node]) -> None:
    for node in nodes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            processes.run(
                ["ssh", "-F", config, "-O", "exit", node.name], capture_output=True, timeout=10
            )


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
        Time for all nodes together, s.
    stage : str
        Stage that errors name.
    log : pathlib.Path, optional
        Log file that errors name.
    alive : callable
        Called between attempts. It ends the waiting by raising an error when a guest is gone.

    Raises
    ------
    SchedlabError
        When a node does not answer within `timeout` seconds; it names the node.
    """
    deadline = time.monotonic() + timeout
    stop = threading.Event()

    def wait(node: Node) -> None:
        while (why := node.silence()) is not None and not stop.is_set():
            alive()
            if time.monotonic() > deadline:
                raise SchedlabError(
                    f"{node.name} did not answer over SSH within {timeout:g} s: {why}",
                    stage=stage,
                    node=node.name,
                    log=log,
                )
            stop.wait(0.3)

    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        try:
            # Whichever node fails first ends the waiting for the others.
            for future in as_completed([pool.submit(wait, node) for node in nodes.values()]):
                future.result()
        finally:
            # The pool waits for its threads, so they must end after a signal or a node's failure.
            stop.set()
