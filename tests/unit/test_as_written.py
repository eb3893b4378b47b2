"""Ansible passes on what a user wrote; it never renders it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from schedlab.stages import configure

PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Write the settings
      ansible.builtin.template:
        src: "{{ playbook_dir }}/slurm.conf.j2"
        dest: "{{ playbook_dir }}/written"
        mode: "0600"
"""
TEMPLATE = """{% for key, value in slurm_settings | dictsort %}
{{ key }}={{ value }}
{% endfor %}
"""


def test_a_setting_reaches_the_file_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    settings = {
        "A": f"{{{{ lookup('pipe', 'touch {trap}') }}}}",
        "B": "{% raw %}",
        "C": "{{ 1 + 1 }}",
        "D": "plain",
    }
    playbooks = tmp_path / "playbooks"
    playbooks.mkdir()
    (playbooks / configure.PLAYBOOK).write_text(PLAYBOOK)
    (playbooks / "slurm.conf.j2").write_text(TEMPLATE)
    (tmp_path / "ansible.cfg").write_text(f"[defaults]\ninterpreter_python = {sys.executable}\n")
    (tmp_path / "inventory").mkdir()
    inventory = tmp_path / "inventory" / "terraform.py"
    inventory.write_text(
        "#!/bin/sh\n"
        """echo '{"all": {"hosts": ["localhost"]},"""
        """ "_meta": {"hostvars": {"localhost": {"ansible_connection": "local"}}}}'\n"""
    )
    inventory.chmod(0o755)
    monkeypatch.setattr(configure, "ANSIBLE", tmp_path)
    configure.run_playbook(
        tmp_path / "outputs.json",
        tmp_path / "ssh.conf",
        {"slurm_settings": settings, "schedlab_roles": ["slurm"]},
        tmp_path / "scratch",
        timeout=300,
    )
    written = (playbooks / "written").read_text().splitlines()
    assert written == [f"{key}={value}" for key, value in settings.items()]
    assert not trap.exists()
