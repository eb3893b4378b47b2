"""Create a cluster's virtual machines with Terraform, check them, snapshot them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from schedlab import design, processes
from schedlab.config import Cluster
from schedlab.errors import Interrupted, SchedlabError
from schedlab.outside.output import copy_output
from schedlab.paths import ACCELERATOR, CHECKOUT, LOGS, RECORD
from schedlab.privacy.identity import identity
from schedlab.privacy.private_files import copy_secret, secret_folder
from schedlab.results.records import RecordWriter, verify_outputs, write_json
from schedlab.sources import stage_files
from schedlab.stages.context import Context
from schedlab.stages.guests import (
    all_facts,
    emulator_pids,
    emulator_user,
    liveness,
    require_running,
    resident_mib,
)
from schedlab.stages.terraform import ATTEMPTS, InVain, Terraform
from schedlab.testbed import snapshot
from schedlab.testbed.nodes import terraform_nodes
from schedlab.testbed.placement import NodeDemand, place
from schedlab.testbed.readback import compare_domain, compare_threads, require_declared
from schedlab.testbed.session import Testbed, domain_pid, open_testbed, remove_objects
from schedlab.testbed.ssh import Node, connect, wait_until_reachable
from schedlab.testbed.topology import HostTopology
from schedlab.toolchain import Toolchain

STAGE = "provision"


def terraform_variables(
    context: Context, machines: str, cluster: Cluster, testbed: Testbed, public_key: str
) -> dict[str, Any]:
    """Build the root module's variables for machines, shaped as those of a cluster.

    :mod:`schedlab.testbed.placement` decides the placement, which Terraform gets as data.
    """
    experiment = context.experiment
    image = context.image(design.image_of(experiment, cluster))
    pool = testbed.scratch / "pool"
    consoles = testbed.scratch / machines
    consoles.mkdir(parents=True, exist_ok=True)
    placement = cluster.placement
    demands = {
        name: NodeDemand("compute" if number else "head", guest.vcpus, guest.memory_mib)
        for number, (name, guest) in enumerate(cluster.machines().items())
    }
    placed = place(
        HostTopology.from_capabilities(testbed.connection.getCapabilities()),
        demands,
        policy=placement.pinning,
        numa=placement.numa,
        hugepages=placement.hugepages,
        pci=placement.pci,
    )
    network = experiment.network
    return {
        "libvirt_uri": testbed.uri,
        "checkout": testbed.identity,
        "run": str(os.getpid()),
        "cluster": machines,
        "accelerator": context.accelerator["accelerator"],
        "nodes": terraform_nodes(
            demands, placed, checkout=testbed.identity, cluster=machines, cidr=network.cidr
        ),
        "network": {"cidr": network.cidr, "domain": network.domain},
        "pool_directory": str(pool.resolve()),
        "console_directory": str(consoles.resolve()),
        "base_image": str((image / "disk.qcow2").resolve()),
        "ssh_public_key": public_key,
        "boot_timeout": int(experiment.limits.boot),
    }


def generate_key(folder: Path) -> str:
    """Make the cluster's SSH key; return the public part."""
    key = secret_folder(folder) / "id_ed25519"
    processes.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "schedlab", "-f", str(key)],
        check=True,
        capture_output=True,
    )
    return key.with_suffix(".pub").read_text().strip()


def wait_for_cloud_init(nodes: dict[str, Node], timeout: float) -> None:
    """Wait until cloud-init finished on every node.

    Raises
    ------
    SchedlabError
        When cloud-init failed on a node; the message has cloud-init's own status.
    """
    for node in nodes.values():
        done = node.run("cloud-init status --wait --long", timeout=timeout, check=False)
        # 2 means "done, with recoverable errors" (warnings about deprecated keys, for example).
        if done.returncode not in {0, 2} or "status: done" not in done.stdout:
            raise SchedlabError(
                f"cloud-init failed: {(done.stdout + done.stderr).strip()[-600:]}",
                stage=STAGE,
                node=node.name,
            )


def provision(context: Context, machines: str) -> None:
    """Create machines, compare them with what was declared, save them as provisioned."""
    experiment = context.experiment
    cluster = design.machines(experiment)[machines]
    name = design.image_of(experiment, cluster)
    image = context.image(name)
    for record_path in (context.base(name), image):
        verify_outputs(record_path / RECORD, ["disk.qcow2"])
    folder = context.machines(machines)
    record = RecordWriter(
        STAGE,
        f"{machines}/provisioned",
        CHECKOUT,
        context.results,
        parents={
            "image": image / RECORD,
            "accelerator": context.results / ACCELERATOR,
            "toolchain": context.toolchain,
        },
        inputs=stage_files("provision"),
    )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    toolchain = Toolchain.load(context.toolchain)
    with open_testbed(
        experiment.libvirt.uri,
        context.results,
        f"provision-{machines}",
        hugepages=cluster.placement.hugepages,
    ) as testbed:
        check_network_free(testbed, str(experiment.network.cidr))
        public_key = generate_key(folder / "secrets")
        variables = terraform_variables(context, machines, cluster, testbed, public_key)
        try:
            terraform, outputs = create(
                testbed, toolchain, variables, experiment.limits.boot, folder=testbed.scratch
            )
            described = described_nodes(outputs, cluster)
            with connect(testbed.scratch, described, folder / "secrets" / "id_ed25519") as nodes:
                alive = liveness(testbed, machines, nodes, STAGE)
                wait_until_reachable(nodes, experiment.limits.boot, STAGE, alive=alive)
                wait_for_cloud_init(nodes, experiment.limits.boot)
                require_running(testbed, machines, list(nodes), STAGE)
                live = read_back(testbed, machines, outputs)
                facts = all_facts(nodes)
                for name, node in nodes.items():
                    check_guest(node, cluster.machines()[name].vcpus)
                    node.run("sync")
        except (SchedlabError, Interrupted):
            keep_consoles(testbed, machines, context)
            raise
        backing = {node["name"]: image / "disk.qcow2" for node in described}
        pids = emulator_pids(list(cluster.machines()), testbed, machines)
        memory, qemu = resident_mib(pids), emulator_user(pids, own=testbed.own)
        files = snapshot.save(
            testbed, machines, described, backing, folder / "snapshot", reset=cluster.reset
        )
        copy_secret(
            terraform.folder / "terraform.tfstate", folder / "secrets" / "terraform.tfstate"
        )
    shown = identity().data(without_scratch_path(outputs, testbed))
    write_json(folder / "terraform-outputs.json", shown)
    record.write(
        folder / RECORD,
        outputs=[*files, folder / "terraform-outputs.json"],
        realised={**facts, "domain_xml": live, "terraform_outputs": shown, "qemu": qemu},
        settings=design.provision_spec(experiment, machines),
        resident_mib=memory,
        cluster={"nodes": described},
        tools=toolchain.versions("terraform", "terraform-provider-libvirt", "qemu-system-x86_64"),
    )


def create(
    testbed: Testbed,
    toolchain: Toolchain,
    variables: dict[str, Any],
    limit: float,
    folder: Path,
) -> tuple[Terraform, dict[str, Any]]:
    """Create a cluster with Terraform; when it waits in vain, remove everything and start again.

    It waits in vain for a seed that got stuck, and for a guest whose kernel panicked.

    Parameters
    ----------
    testbed : Testbed
        The job's testbed.
    toolchain : Toolchain
        Has the path of Terraform.
    variables : dict
        The root module's variables.
    limit : float
        Time for one attempt, s.
    folder : pathlib.Path
        Gets the folder ``terraform`` with the root module and the state.

    Returns
    -------
    tuple
        Terraform with its state, and the outputs document.

    Raises
    ------
    SchedlabError
        As `schedlab.stages.terraform.call`.
    """
    consoles = Path(variables["console_directory"])
    for attempt in range(1, ATTEMPTS + 1):
        terraform = Terraform(toolchain, folder / "terraform")
        try:
            return terraform, terraform.apply(variables, limit, lambda: require_no_panic(consoles))
        except InVain as error:
            if attempt == ATTEMPTS:
                raise
            print(f"{error.message}: starting again ({attempt} of {ATTEMPTS})", flush=True)
        # Terraform was interrupted, so its state does not name what it made.
        remove_objects(testbed.connection, testbed.identity)
        shutil.rmtree(variables["pool_directory"], ignore_errors=True)
        shutil.rmtree(folder / "terraform")
        for log in consoles.glob("*.log"):
            log.unlink()
    raise AssertionError("the last attempt returns or raises")


PANIC = "Kernel panic - not syncing"
"""Last words of a Linux kernel that cannot go on.

An emulated guest of 2 vCPUs was seen to panic at boot (Oops: int3, Debian's 6.12.117 on QEMU 7.2),
once in some hundred boots: code that one processor patches is run by the other in between.
"""


def require_no_panic(consoles: Path) -> None:
    """Check that no guest's kernel panicked, by the consoles' logs in a folder.

    Raises
    ------
    InVain
        When one did; the error names the node and has the kernel's words.
    """
    for log in sorted(consoles.glob("*.log")):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if PANIC in line:
                said = line[line.index(PANIC) :]
                raise InVain(
                    f"the kernel of {log.stem} stopped: {said}", stage=STAGE, node=log.stem
                )


def described_nodes(outputs: dict[str, Any], cluster: Cluster) -> list[dict[str, Any]]:
    """Describe the nodes, head first, from Terraform's outputs."""
    hosts = outputs["inventory"]["value"]["hosts"]
    return [
        {
            "name": name,
            **{k: hosts[name][k] for k in ("role", "address", "mac", "vcpus", "memory_mib")},
        }
        for name in cluster.machines()
    ]


def read_back(testbed: Testbed, cluster: str, outputs: dict[str, Any]) -> dict[str, str]:
    """Compare live domains and emulator threads with what was declared; return the live XML.

    Raises
    ------
    SchedlabError
        When a node differs from its declaration; the message lists every difference.
    """
    declared = outputs["declared"]["value"]
    live, mismatches = {}, {}
    for name, wanted in declared.items():
        domain = testbed.domain_name(cluster, name)
        live[name] = testbed.connection.lookupByName(domain).XMLDesc()
        mismatches[name] = compare_domain(wanted, live[name])
        mismatches[name] += compare_threads(wanted, domain_pid(domain))
    require_declared(mismatches)
    return live


def check_guest(node: Node, vcpus: int) -> None:
    """Check inside a guest that it has the declared number of processors."""
    seen = int(node.run("nproc").stdout)
    if seen != vcpus:
        raise SchedlabError(
            f"the guest has {seen} processors, but {vcpus} were declared",
            stage=STAGE,
            node=node.name,
        )


def check_network_free(testbed: Testbed, cidr: str) -> None:
    """Refuse a network range that another network of the same libvirt or host already uses.

    An embedded testbed has a new, empty network namespace, so no other network can overlap.
    """
    done = processes.run(
        ["ip", "-json", "route", "show", "root", cidr], capture_output=True, text=True
    )
    routes = [r for r in json.loads(done.stdout or "[]") if r.get("dst") != "default"]
    if routes:
        raise SchedlabError(
            f"network.cidr {cidr} is taken: {routes[0].get('dst')} on {routes[0].get('dev')}",
            stage=STAGE,
            remedy="choose another network.cidr in the configuration, or libvirt.uri: embedded",
        )


def keep_consoles(testbed: Testbed, cluster: str, context: Context) -> None:
    """Copy console logs out of the scratch folder, for the diagnosis of a failure."""
    target = context.results / LOGS / "consoles" / cluster
    for log in sorted((testbed.scratch / cluster).glob("*.log")):
        copy_output(log, target / log.name)
        print(f"console of {log.stem}: {target / log.name}", flush=True)


def without_scratch_path(outputs: dict[str, Any], testbed: Testbed) -> Any:
    """Replace this machine's scratch path in Terraform's outputs, for the record."""
    return json.loads(json.dumps(outputs).replace(str(testbed.scratch.resolve()), "$SCRATCH"))
