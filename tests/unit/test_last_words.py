"""What tools that failed said, from captured output; remedies only where the cause is known."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from schedlab.errors import SchedlabError
from schedlab.last_words import ansible_failure, last_words, network_remedy, packer_error
from schedlab.stages import configure
from schedlab.stages.terraform import call
from schedlab.testbed.ssh import Node, wait_until_reachable

PACKER = """\
qemu.image: output will be in this color.

==> qemu.image: Running local shell script: /tmp/packer-shell123
    qemu.image: TASK [common : Install packages] *****************
    qemu.image: ok: [127.0.0.1]
    qemu.image: TASK [slurm : Install Slurm] *********************
    qemu.image: failed: [127.0.0.1] (item=slurmd) => FAILED! => {"msg": "No package slurmd"}
    qemu.image: fatal: [127.0.0.1]: FAILED! => {"changed": false, "msg": "No package slurmd"}
    qemu.image: PLAY RECAP ***************************************
==> qemu.image: Provisioning step had errors: Running the cleanup provisioner, if present...
==> qemu.image: Deleting output directory...
Build 'qemu.image' errored after 3 minutes 2 seconds: Script exited with non-zero exit status: 2

==> Wait completed after 3 minutes 2 seconds

==> Some builds didn't complete successfully and had errors:
--> qemu.image: Script exited with non-zero exit status: 2. Allowed exit codes are: [0]

==> Builds finished but no artifacts were created.
"""

PACKER_SCRIPT = """\
==> qemu.image: Provisioning with shell script: /tmp/s/verify.sh
==> qemu.image: sudo: unable to resolve host image
==> qemu.image: verify: sshd accepts passwords
==> qemu.image: Provisioning step had errors: Running the cleanup provisioner, if present...
Build 'qemu.image' errored after 4 minutes: Script exited with non-zero exit status: 1.
"""

PACKER_BOOT = """\
==> qemu.image: Waiting for SSH to become available...
==> qemu.image: Timeout waiting for SSH.
Build 'qemu.image' errored after 15 minutes 9 seconds: Timeout waiting for SSH.
==> Some builds didn't complete successfully and had errors:
--> qemu.image: Timeout waiting for SSH.
==> Builds finished but no artifacts were created.
"""


def test_packer_names_the_failed_task_and_its_own_error() -> None:
    said = packer_error(PACKER.splitlines())
    assert "TASK [slurm : Install Slurm]" in said
    assert "No package slurmd" in said
    assert said.endswith("non-zero exit status: 2. Allowed exit codes are: [0]")
    assert "cleanup" not in said and "Install packages" not in said
    said = packer_error(PACKER_SCRIPT.splitlines())
    assert "verify: sshd accepts passwords" in said and said.endswith("exit status: 1.")
    assert "cleanup" not in said
    assert packer_error(PACKER_BOOT.splitlines()).endswith(
        "--> qemu.image: Timeout waiting for SSH."
    )
    assert packer_error(["Error: Failed to prepare build", "", "no such plugin"]).startswith(
        "Error"
    )
    assert packer_error(["something else"]) == "something else"


def test_last_words_are_whole_lines_without_colours_and_frames() -> None:
    said = "\x1b[31m╷\x1b[0m\n│ Error: no pool\n│\n│   with libvirt_pool.a\n╵\n"
    assert last_words(said) == "Error: no pool\nwith libvirt_pool.a"
    assert last_words("a" * 40 + "\nlast line", 20) == "last line"
    assert last_words("b" * 40, 10) == "b" * 10
    assert last_words("\n \n") == ""


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("dial tcp: lookup proxy.golang.org: no such host", "GOPROXY"),
        (
            "E: Failed to fetch http://deb.debian.org/x  Could not resolve 'deb.debian.org'",
            "GOPROXY",
        ),
        ("x509: certificate signed by unknown authority", "SSL_CERT_FILE"),
        ("./main.go:3: undefined: x", None),
        ("no space left on device", None),
    ],
)
def test_a_remedy_for_the_network_only_where_it_failed(said: str, word: str | None) -> None:
    remedy = network_remedy(said, "GOPROXY")
    assert remedy is None if word is None else word in str(remedy)


def event(kind: str, task: str, res: dict, host: str = "head", **more: object) -> dict:
    data = {"task": task, "task_uuid": task, "host": host, "res": res, **more}
    return {"event": kind, "event_data": data}


def test_ansible_names_the_first_item_that_failed_and_no_earlier_task() -> None:
    results = [
        {"item": "a", "failed": False, "changed": True},
        {"item": "b", "failed": True, "msg": "non-zero return code", "stderr": "no b", "rc": 4},
        {"item": "c", "failed": True, "msg": "no c"},
    ]
    events = [
        event("runner_on_failed", "Ignored", {"msg": "x"}, ignore_errors=True),
        event("runner_on_failed", "Rescued", {"msg": "y"}),
        event("runner_on_failed", "Loop", {"msg": "One or more items failed", "results": results}),
        event("runner_on_failed", "Loop", {"msg": "other"}, host="compute1"),
    ]
    failure = ansible_failure(events)
    assert failure and (failure.task, failure.host) == ("Loop", "head")
    assert failure.message == "no b (status 4)\n(item b)"
    assert ansible_failure(events[:1]) is None
    said = "Failed to connect to the host via ssh: ssh: connect to host 10.0.0.2: No route to host"
    gone = ansible_failure([event("runner_on_unreachable", "Facts", {"msg": said})])
    assert gone and gone.message == said


PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Many
      ansible.builtin.command: sh -c '{{ item }}'
      changed_when: true
      loop: ["true", "echo first >&2; exit 3", "echo second >&2; exit 4"]
"""

SLOW = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Slow
      ansible.builtin.command: sleep 600
      changed_when: true
"""


def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, limit: float) -> SchedlabError:
    """Run a playbook on this machine; return the error."""
    ansible = tmp_path / "copy"
    shutil.copytree(configure.ANSIBLE, ansible)
    (ansible / "playbooks/setup.yml").write_text(text)
    (ansible / "inventory/terraform.py").write_text(
        '#!/bin/sh\necho \'{"all": {"hosts": ["localhost"]}, "_meta": {"hostvars": '
        '{"localhost": {"ansible_connection": "local"}}}}\'\n'
    )
    monkeypatch.setattr(configure, "ANSIBLE", ansible)
    with pytest.raises(SchedlabError) as caught:
        configure.run_playbook(tmp_path / "o", tmp_path / "c", {}, tmp_path, limit)
    return caught.value


def test_a_real_loop_of_ansible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = play(tmp_path, monkeypatch, PLAYBOOK, 300)
    assert error.message.startswith("task 'Many' failed: first (status 3)\n(item echo first")
    assert error.node == "localhost" and error.remedy is None


def test_a_playbook_that_takes_too_long_says_at_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = play(tmp_path, monkeypatch, SLOW, 15)
    assert "did not end within 15 s (limits.configure); it was at task 'Slow'" in error.message


def test_a_playbook_that_does_not_begin_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = play(tmp_path, monkeypatch, "- hosts: all\n  nonsense: true\n", 300)
    assert "'nonsense' is not a valid attribute" in error.message and error.remedy is None


def test_ssh_says_why_a_node_is_silent(tmp_path: Path) -> None:
    config = tmp_path / "ssh.conf"
    config.write_text("Host *\n  HostName 127.0.0.1\n  Port 1\n  BatchMode yes\n  LogLevel ERROR\n")
    nodes = {"head": Node("head", "127.0.0.1", "head", config)}
    with pytest.raises(SchedlabError, match=r"within 0 s: ssh: connect to .* refused") as caught:
        wait_until_reachable(nodes, 0, "provision")
    assert caught.value.remedy is None


def terraform(folder: Path, said: str) -> list[str]:
    path = folder / "terraform"
    path.write_text(f"#!{sys.executable}\nimport sys\nsys.exit({said!r})\n")
    path.chmod(0o755)
    return [str(path), "apply"]


def test_terraform_has_a_remedy_only_for_what_an_earlier_run_left(tmp_path: Path) -> None:
    taken = "Error: operation failed: pool 'schedlab-0' already exists with uuid 1"
    with pytest.raises(SchedlabError, match="already exists") as caught:
        call(terraform(tmp_path, taken), tmp_path, {})
    assert "make reap" in str(caught.value.remedy)
    with pytest.raises(SchedlabError, match="no space") as caught:
        call(terraform(tmp_path, "Error: no space left on device"), tmp_path, {})
    assert caught.value.remedy is None
