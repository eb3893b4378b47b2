"""Commands, files and clocks of nodes, with a stand-in for ssh(1) that runs commands here."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from schedlab.errors import SchedlabError
from schedlab.testbed import clock
from schedlab.testbed.clock import best_offset, measure_offset
from schedlab.testbed.ssh import Node, wait_until_reachable, write_config

SSH = """\
#!/bin/sh
# ssh -F CONFIG NODE COMMAND...
shift 3
[ -e "$0.broken" ] && { echo "No route to host" >&2; exit 255; }
exec sh -c "$*"
"""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node that is this machine; `broken_ssh` makes it unreachable."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {"ssh": SSH, "sudo": '#!/bin/sh\nexec "$@"\n'}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    return Node("compute1", "10.0.0.1", "compute", tmp_path / "ssh.conf")


@pytest.fixture
def broken_ssh(node: Node, tmp_path: Path) -> None:
    (tmp_path / "programs" / "ssh.broken").touch()


def test_a_file_is_read_as_written_whatever_its_path(node: Node, tmp_path: Path) -> None:
    content = b"bytes\x00\xff\n"
    for path in ("a folder/it's $HOME; touch x", "-n/--help"):
        node.write(str(tmp_path / path), content)
        assert (tmp_path / path).read_bytes() == content
        assert node.read(str(tmp_path / path)) == content


def test_an_absent_file_is_none_and_an_empty_one_is_empty(node: Node, tmp_path: Path) -> None:
    assert node.read(str(tmp_path / "absent")) is None
    (tmp_path / "empty").touch()
    assert node.read(str(tmp_path / "empty")) == b""


def test_a_file_that_cannot_be_read_is_an_error_of_the_node(node: Node, tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match=r"could not read .*: status 1: .*directory") as caught:
        node.read(str(tmp_path))
    assert caught.value.node == "compute1"


def test_a_node_that_cannot_be_reached_is_no_absent_file(
    node: Node, broken_ssh: None, tmp_path: Path
) -> None:
    with pytest.raises(SchedlabError, match=r"could not read .*: SSH failed: No route") as caught:
        node.read(str(tmp_path / "stamps.txt"))
    assert caught.value.node == "compute1"
    with pytest.raises(SchedlabError, match=r"could not write .*: SSH failed: No route"):
        node.write(str(tmp_path / "plan.json"), b"{}")


def test_the_clients_configuration_takes_any_path(tmp_path: Path) -> None:
    folder = tmp_path / "my results 100%"
    folder.mkdir()
    described = [{"name": "head", "address": "10.0.0.1"}]
    write_config(folder / "ssh.conf", described, folder / "id", Path("/tmp/s"))
    options = subprocess.run(
        ["ssh", "-G", "-F", str(folder / "ssh.conf"), "head"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert f"userknownhostsfile {folder}/known_hosts" in options
    assert f"identityfile {folder}/id".replace("%", "%%") in options


def test_offset_comes_from_the_shortest_exchange_and_keeps_its_instant() -> None:
    # Guest 1000 behind. The first exchange is asymmetric (reply took 90), the second takes 10.
    offset = best_offset([(5000, 4010, 5100), (6000, 5005, 6010)])
    assert (offset.offset_ns, offset.uncertainty_ns, offset.at_ns) == (-1000, 5, 6005)


def respond(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    command = "exec " + shlex.join([sys.executable, "-u", "-c", program])
    monkeypatch.setattr(clock, "RESPONDER", command)


GUEST = Path(__file__).resolve().parents[2] / "workflow" / "infrastructure" / "guest"


def test_offset_of_a_node_that_is_this_machine(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    respond(monkeypatch, (GUEST / "schedlab_clock.py").read_text())
    before = time.time_ns()
    offset = measure_offset(node)
    assert before < offset.at_ns < time.time_ns()
    assert abs(offset.offset_ns) <= offset.uncertainty_ns


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("input(); import time; time.sleep(600)", "did not answer within 0.5 s"),
        ("input(); print(1, flush=True); raise SystemExit", "did not answer"),
    ],
)
def test_a_clock_that_does_not_answer_is_given_up(
    node: Node, monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    respond(monkeypatch, program)
    with pytest.raises(SchedlabError, match=message) as caught:
        measure_offset(node, timeout=0.5 if "within" in message else 60)
    assert caught.value.node == "compute1"


HOLDER = """\
import pathlib, time
for _ in range(600):
    if pathlib.Path({release!r}).exists():
        break
    time.sleep(0.1)
pathlib.Path({ended!r}).touch()
"""


def test_a_clock_is_given_up_while_a_child_of_ssh_holds_its_pipe(
    node: Node, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As ssh's shared connection or a ProxyCommand may."""
    release, ended = tmp_path / "release", tmp_path / "ended"
    holder = HOLDER.format(release=str(release), ended=str(ended))
    program = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {holder!r}])\n"
        "time.sleep(600)"
    )
    respond(monkeypatch, program)
    try:
        with pytest.raises(SchedlabError, match="did not answer within 1 s"):
            measure_offset(node, timeout=1)
        assert not ended.exists()
    finally:
        release.touch()


@pytest.mark.parametrize("failing", [0, 1])
def test_waiting_for_nodes_ends_with_the_first_failure(
    node: Node, broken_ssh: None, tmp_path: Path, failing: int
) -> None:
    """After a failure the other nodes are not waited for, whichever node failed."""
    threads: list[int] = []

    def alive() -> None:
        me = threading.get_ident()
        if me not in threads:
            threads.append(me)
        if len(threads) == 2 and me == threads[failing]:
            raise SchedlabError("the guest head died")

    nodes = {name: Node(name, "", "compute", tmp_path / "ssh.conf") for name in ("head", "other")}
    with pytest.raises(SchedlabError, match="head died"):
        wait_until_reachable(nodes, 3600, "trial", alive=alive)
