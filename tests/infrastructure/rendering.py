"""Templates of the roles, rendered as Ansible renders them, but in this process."""

from __future__ import annotations

import os
import runpy
import shutil
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from schedlab.schedulers import get_scheduler

ANSIBLE = Path(__file__).resolve().parents[2] / "workflow/infrastructure/ansible"

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
    """Path of a program; the test is skipped where it is not installed."""
    found = shutil.which(
        name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def role_defaults(role: str) -> dict[str, Any]:
    """Variables that a role sets where nothing else does."""
    path = ANSIBLE / "roles" / role / "defaults/main.yml"
    return dict(yaml.safe_load(path.read_text())) if path.exists() else {}


@cache
def inventory() -> dict[str, Any]:
    """What the inventory makes of Terraform's outputs."""
    script = runpy.run_path(str(ANSIBLE / "inventory/terraform.py"))
    result: dict[str, Any] = script["inventory"](OUTPUTS)
    return result


def rendered(
    role: str,
    template: str,
    host: str,
    scheduler: str = "slurm",
    settings: Mapping[str, str] | None = None,
    **variables: Any,
) -> str:
    """A role's template, with the variables of inventory and adapter, and the role's defaults."""
    adapter = get_scheduler(scheduler)
    found = inventory()
    groups = {name: found[name]["hosts"] for name in ("head", "compute")}
    jinja = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    path = ANSIBLE / "roles" / role / "templates" / template
    return jinja.from_string(path.read_text()).render(
        ansible_managed="Ansible managed",
        inventory_hostname=host,
        ansible_host=found["_meta"]["hostvars"][host]["ansible_host"],
        group_names=[name for name, hosts in groups.items() if host in hosts],
        groups=groups,
        hostvars=found["_meta"]["hostvars"],
        **found["all"]["vars"],
        **role_defaults(role)
        | adapter.variables(adapter.merged_settings(settings or {}))
        | variables,
    )


VIRTUAL = {
    "cpus": 64,
    "memory_mib": 1000,
    "carriers": {"compute1": [1, 3, 5], "compute2": [2]},
}
