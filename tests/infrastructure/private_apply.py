"""Apply and destroy a cluster of empty disks on a libvirtd of its own.

Run in fresh network, mount and process-id namespaces by ``test_terraform.py``:
``private_apply.py STATE TERRAFORM ROOT VARIABLES``; prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import libvirt

from schedlab.stages.terraform import call as terraform_call
from schedlab.testbed import embedded
from schedlab.testbed.readback import compare_domain, compare_threads
from schedlab.testbed.session import domain_pid


def run(state: Path, terraform: str, root: Path, variables: Path) -> dict[str, Any]:
    arguments = ["-no-color", "-input=false", f"-var-file={variables}"]

    def call(*words: str) -> str:
        return terraform_call([terraform, *words], root, {}, capture=True)

    with embedded.libvirt_daemon(state) as uri:
        connection = libvirt.open(uri)
        call("apply", "-auto-approve", *arguments)
        outputs = json.loads(call("output", "-json"))
        outputs = {name: output["value"] for name, output in outputs.items()}
        declared = outputs["declared"]
        live = {
            node: connection.lookupByName(item["domain"]).XMLDesc()
            for node, item in declared.items()
        }
        result = {
            "outputs": outputs,
            "live": live,
            "network": connection.networkLookupByName(outputs["network"]["name"]).XMLDesc(),
            "domain_mismatches": {
                node: [str(m) for m in compare_domain(item, live[node])]
                for node, item in declared.items()
            },
            "thread_mismatches": {
                node: [str(m) for m in compare_threads(item, domain_pid(item["domain"]))]
                for node, item in declared.items()
            },
        }
        plan = call("plan", "-out=second.plan", *arguments)
        changes = json.loads(call("show", "-json", "second.plan"))["resource_changes"]
        result["second_plan"] = plan
        result["replaced"] = [
            change["address"] for change in changes if "delete" in change["change"]["actions"]
        ]
        call("destroy", "-auto-approve", *arguments)
        result["left"] = [
            item.name()
            for items in (
                connection.listAllDomains(),
                connection.listAllNetworks(),
                connection.listAllStoragePools(),
            )
            for item in items
        ]
        connection.close()
    return result


if __name__ == "__main__":
    work = Path(sys.argv[1])
    embedded.prepare_namespace(work, work / "capabilities")
    print(json.dumps(run(work, sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))))
