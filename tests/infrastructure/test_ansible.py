"""The playbooks and roles: lint (production profile), syntax, inventory, rendered settings."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from schedlab.schedulers import get_scheduler

pytestmark = pytest.mark.infrastructure

ANSIBLE = Path(__file__).resolve().parents[2] / "workflow/infrastructure/ansible"
PLAYBOOKS = sorted((ANSIBLE / "playbooks").glob("*.yml"))
ROLES = sorted(path for path in (ANSIBLE / "roles").iterdir() if path.is_dir())

OUTPUTS = {
    "inventory": {
        "value": {
            "cluster": "slurm-n2",
            "user": "bench",
            "domain": "benchmark.local",
            "hosts": {
                "head": {"role": "head", "address": "10.0.100.10", "vcpus": 1, "memory_mib": 1024},
                "compute1": {
                    "role": "compute", "address": "10.0.100.11", "vcpus": 2, "memory_mib": 768
                },
                "compute2": {
                    "role": "compute", "address": "10.0.100.12", "vcpus": 2, "memory_mib": 768
                },
            },
        }
    }
}  # fmt: skip


def tool(name: str) -> str:
    found = shutil.which(
        name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps(OUTPUTS))
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
        "SCHEDLAB_TERRAFORM_OUTPUTS": str(outputs),
        "NO_COLOR": "1",
    }


def test_lint_finds_nothing_in_the_production_profile(environment: dict[str, str]) -> None:
    lint = tool("ansible-lint")
    done = subprocess.run(
        [lint, "--offline", "--profile", "production", "--strict", "playbooks", "roles"],
        cwd=ANSIBLE, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(ANSIBLE / ".ansible", ignore_errors=True)


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.name)
def test_syntax(playbook: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [tool("ansible-playbook"), "--syntax-check", "--inventory",
         str(ANSIBLE / "inventory/terraform.py"), str(playbook)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    # The one node of the group `head` is called so too: its name in the cluster.
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert [w for w in warnings if "both group and host with same name: head" not in w] == []


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_role_is_described(role: Path) -> None:
    assert (role / "README.md").read_text().startswith(f"# {role.name}\n")
    specification = yaml.safe_load((role / "meta/argument_specs.yml").read_text())
    options = specification["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    assert set(defaults) <= set(options)
    for name, text in defaults.items():
        if "default" in options[name]:
            assert options[name]["default"] == text


def inventory(environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [str(ANSIBLE / "inventory/terraform.py"), "--list"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_inventory_comes_from_terraforms_outputs(environment: dict[str, str]) -> None:
    found = inventory(environment)
    assert found["head"] == {"hosts": ["head"]}
    assert found["compute"] == {"hosts": ["compute1", "compute2"]}
    assert found["_meta"]["hostvars"]["compute2"] == {
        "ansible_host": "10.0.100.12",
        "schedlab_cpus": 2,
        "schedlab_memory_mib": 768,
    }
    assert found["all"]["vars"] == {
        "ansible_user": "bench",
        "schedlab_cluster_name": "slurm-n2",
        "schedlab_domain": "benchmark.local",
    }


def test_inventory_without_outputs_says_what_is_missing(environment: dict[str, str]) -> None:
    del environment["SCHEDLAB_TERRAFORM_OUTPUTS"]
    done = subprocess.run(
        [str(ANSIBLE / "inventory/terraform.py"), "--list"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "SCHEDLAB_TERRAFORM_OUTPUTS" in done.stderr


def rendered(environment: dict[str, str], role: str, template: str, host: str) -> str:
    """A role's template, with the inventory's variables and the role's defaults."""
    found = inventory(environment)
    groups = {name: found[name]["hosts"] for name in ("head", "compute")}
    defaults = yaml.safe_load((ANSIBLE / "roles" / role / "defaults/main.yml").read_text())
    jinja = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    path = ANSIBLE / "roles" / role / "templates" / template
    return jinja.from_string(path.read_text()).render(
        ansible_managed="Ansible managed",
        inventory_hostname=host,
        group_names=[name for name, hosts in groups.items() if host in hosts],
        groups=groups,
        hostvars=found["_meta"]["hostvars"],
        **found["all"]["vars"],
        **defaults,
    )


def test_every_node_knows_every_name(environment: dict[str, str]) -> None:
    lines = rendered(environment, "common", "hosts.j2", "compute1").splitlines()
    assert "10.0.100.10 head.benchmark.local head" in lines
    assert "10.0.100.12 compute2.benchmark.local compute2" in lines


@pytest.mark.parametrize("host", ["head", "compute1"])
def test_no_clock_ever_steps(environment: dict[str, str], host: str) -> None:
    text = rendered(environment, "common", "chrony.conf.j2", host)
    settings = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert not [s for s in settings if s.split()[0] in ("makestep", "rtcsync", "initstepslew")]
    serves = "local stratum 8" in settings
    follows = [s for s in settings if s.startswith("server 10.0.100.10 ")]
    assert (serves, bool(follows)) == ((True, False) if host == "head" else (False, True))


def test_slurm_conf_describes_the_cluster(environment: dict[str, str]) -> None:
    lines = rendered(environment, "slurm", "slurm.conf.j2", "head").splitlines()
    assert "ClusterName=slurm-n2" in lines
    assert "SlurmctldHost=head(10.0.100.10)" in lines
    assert "LogTimeFormat=iso8601_ms" in lines
    assert any(re.match(r"NodeName=compute2 NodeAddr=10\.0\.100\.12 CPUs=2 ", x) for x in lines)
    assert any(x.startswith("PartitionName=main Nodes=compute1,compute2 ") for x in lines)
    keys = [x.partition("=")[0].lower() for x in lines if x and not x.startswith(("#", "NodeName"))]
    assert len(keys) == len(set(keys))


def test_the_roles_defaults_are_the_adapters() -> None:
    defaults = yaml.safe_load((ANSIBLE / "roles/slurm/defaults/main.yml").read_text())
    assert defaults["slurm_settings"] == dict(get_scheduler("slurm").default_settings)


def test_no_key_of_slurm_conf_can_be_written_twice() -> None:
    """A key is the template's and reserved, or a default that an experiment may override."""
    from schedlab.schedulers.slurm.adapter import _RESERVED, Slurm

    template = (ANSIBLE / "roles/slurm/templates/slurm.conf.j2").read_text()
    written = set(re.findall(r"^([A-Za-z]+)=", template, re.M))
    assert written <= set(_RESERVED)
    assert not written & set(Slurm.default_settings)
