#!/usr/bin/env python3
"""Ansible inventory of a cluster, from Terraform's outputs.

Reads the document of `terraform output -json` that $SCHEDLAB_TERRAFORM_OUTPUTS names.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

VARIABLE = "SCHEDLAB_TERRAFORM_OUTPUTS"


def inventory(outputs: dict[str, Any]) -> dict[str, Any]:
    """Build the inventory as `--list` prints it.

    Parameters
    ----------
    outputs : dict
        Terraform's outputs, with the value of `inventory`: cluster, user, domain, hosts.

    Returns
    -------
    dict
        Groups `head` and `compute`, and all host variables under `_meta`.
    """
    cluster = outputs["inventory"]["value"]
    hosts = cluster["hosts"]
    groups: dict[str, dict[str, list[str]]] = {"head": {"hosts": []}, "compute": {"hosts": []}}
    variables = {}
    for name in sorted(hosts):
        host = hosts[name]
        groups[host["role"]]["hosts"].append(name)
        variables[name] = {
            "ansible_host": host["address"],
            "schedlab_cpus": host["vcpus"],
            "schedlab_memory_mib": host["memory_mib"],
        }
    common = {
        "ansible_user": cluster.get("user", "bench"),
        "schedlab_cluster_name": cluster["cluster"],
        "schedlab_domain": cluster["domain"],
    }
    return {
        "_meta": {"hostvars": variables},
        "all": {"children": ["compute", "head"], "vars": common},
        **groups,
    }


def main() -> int:
    """Print the inventory. It has the variables of all hosts, so `--host` prints nothing more."""
    if "--host" in sys.argv:
        print("{}")
        return 0
    path = os.environ.get(VARIABLE)
    if not path:
        print(f"set {VARIABLE} to a file with the outputs of terraform", file=sys.stderr)
        return 1
    try:
        print(json.dumps(inventory(json.loads(Path(path).read_text())), indent=1))
    except (OSError, ValueError, KeyError) as error:
        print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
