"""The Terraform module: validation, its variables, and a real apply of empty disks."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from terraform_module import (
    HEAD,
    HERE,
    MODULE,
    PROVIDER_VERSION,
    ROOT,
    node,
    terraform_program,
    variables,
)

from schedlab.testbed.nodes import terraform_nodes
from schedlab.testbed.placement import NodeDemand, place
from schedlab.testbed.readback import read_domain
from schedlab.testbed.topology import HostTopology

pytestmark = pytest.mark.infrastructure


@pytest.fixture(scope="module")
def terraform() -> str:
    return terraform_program()


@pytest.fixture(scope="module")
def provider() -> Path:
    """The provider: of SCHEDLAB_TERRAFORM_PROVIDER, or of PATH (`make test` sets either)."""
    name = "terraform-provider-libvirt"
    found = os.environ.get("SCHEDLAB_TERRAFORM_PROVIDER") or shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: set SCHEDLAB_TERRAFORM_PROVIDER, or build it with `make setup`")
    return Path(found).resolve()


@pytest.fixture(scope="module")
def initialised(
    terraform: str, provider: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """A copy of the root module, initialised from a filesystem mirror alone."""
    work = tmp_path_factory.mktemp("terraform")
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    for registry in ("registry.terraform.io", "registry.opentofu.org"):
        folder = work / "mirror" / registry / "dmacvicar/libvirt" / PROVIDER_VERSION
        folder = folder / f"linux_{architecture}"
        folder.mkdir(parents=True)
        (folder / f"terraform-provider-libvirt_v{PROVIDER_VERSION}").symlink_to(provider)
    cli = work / "cli.tfrc"
    cli.write_text(
        "provider_installation {\n"
        f'  filesystem_mirror {{\n    path = "{work / "mirror"}"\n  }}\n'
        '  direct {\n    exclude = ["*/*/*"]\n  }\n}\n'
    )
    root = work / "root"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".terraform*"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_CLI_CONFIG_FILE", str(cli))
        patch.setenv("CHECKPOINT_DISABLE", "1")
        subprocess.run([terraform, f"-chdir={root}", "init", "-input=false"], check=True)
        yield terraform, root


def plan_variables(terraform: str, folder: Path, variables: dict[str, Any]) -> str:
    """Evaluate the module's variables, which needs no provider; return what was said."""
    folder.mkdir()
    shutil.copy(MODULE / "variables.tf", folder)
    (folder / "terraform.tfvars.json").write_text(json.dumps(variables))
    done = subprocess.run(
        [terraform, f"-chdir={folder}", "plan", "-no-color", "-input=false"],
        capture_output=True,
        text=True,
        check=False,
    )
    # Messages are wrapped and framed.
    said = " ".join(line.strip("│╷╵ ") for line in (done.stdout + done.stderr).splitlines())
    return f"{done.returncode} {' '.join(said.split())}"


def test_files_are_formatted(terraform: str) -> None:
    command = [terraform, "fmt", "-check", "-diff", "-recursive", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_lock_file_is_tracked() -> None:
    # Its digest is that of the provider as built on one machine, with one Go release. The
    # provider's version is exact, and its sources are pinned by go.sum.
    files = subprocess.run(
        ["git", "ls-files", str(ROOT)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert ".terraform.lock.hcl" not in files


def test_root_is_valid(initialised: tuple[str, Path]) -> None:
    terraform, root = initialised
    done = subprocess.run(
        [terraform, f"-chdir={root}", "validate", "-json"], capture_output=True, check=False
    )
    result = json.loads(done.stdout)
    assert result["valid"], result["diagnostics"]
    assert result["warning_count"] == 0, result["diagnostics"]


def test_root_repeats_every_variable_of_the_module() -> None:
    def names(file: Path) -> set[str]:
        lines = file.read_text().splitlines()
        return {line.split('"')[1] for line in lines if line.startswith('variable "')}

    assert names(ROOT / "variables.tf") == names(MODULE / "variables.tf") | {"libvirt_uri"}


def test_good_variables_are_accepted(terraform: str, tmp_path: Path) -> None:
    assert plan_variables(terraform, tmp_path / "w", variables()).startswith("0 ")


BAD = {
    "checkout": ("xyz", "eight hexadecimal digits"),
    "run": ("a b", "letters, digits, dots"),
    "cluster": ("Slurm_1", "lower-case letters"),
    "accelerator": ("auto", 'accelerator must be "kvm" or "tcg"'),
    "network": ({"cidr": "10.0.100.1/24"}, "IPv4 network address with its prefix"),
    "pool_directory": ("pool", "pool_directory must be an absolute path"),
    "console_directory": ("/logs/", "without a trailing slash"),
    "base_image": ("disk.qcow2", "base_image must be the absolute path"),
    "disk_size": (1000, "multiple of 512 bytes"),
    "disk_cache": ("fast", "disk_cache must be"),
    "ssh_public_key": ("-----BEGIN", "one OpenSSH public key line"),
    "boot_timeout": (1, "10 or more"),
}
"""A bad value of each variable, and what is said of it."""


def test_bad_variables_are_refused_together(terraform: str, tmp_path: Path) -> None:
    values = {name: value for name, (value, _) in BAD.items()}
    said = plan_variables(terraform, tmp_path / "w", variables(**values))
    assert said.startswith("1 ")
    assert [message for _, message in BAD.values() if message not in said] == []
    assert said.count("Error: Invalid value for variable") == len(BAD)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes": {"head": HEAD, "Compute_1": node()}}, "must be host names"),
        ({"nodes": {"compute1": node()}}, 'exactly one node with the role "head"'),
        ({"nodes": {"head": HEAD, "c": node(role="login")}}, 'role must be "head" or "compute"'),
        ({"nodes": {"head": HEAD, "c": node(vcpus=0)}}, "vcpus must be a whole number"),
        ({"nodes": {"head": HEAD, "c": node(memory_mib=64)}}, "128 or more"),
        ({"nodes": {"head": HEAD, "c": node(mac="00:11:22:33:44:55")}}, "locally administered"),
        ({"nodes": {"head": HEAD, "c": node(mac=HEAD["mac"])}}, "Two nodes have the same mac"),
        (
            {"nodes": {"head": HEAD, "c": node(address=HEAD["address"])}},
            "Two nodes have the same address",
        ),
        (
            {"nodes": {"head": HEAD, "c": node(vcpu_pins=["0"])}},
            "one host CPU set for each vCPU",
        ),
        ({"nodes": {"head": HEAD, "c": node(vcpu_pins=["0", "a"])}}, "sets must look like"),
        ({"nodes": {"head": HEAD, "c": node(numa_nodes="x")}}, "sets must look like"),
        ({"nodes": {"head": HEAD, "c": node(pci=["03:00.0"])}}, "PCI addresses must look like"),
        (
            {"nodes": {"head": HEAD | {"pci": ["0000:03:00.0"]}, "c": node()}},
            "PCI functions go to compute nodes only",
        ),
        ({"network": {"domain": "Bench_mark"}}, "DNS domain in lower case"),
    ],
)
def test_bad_variables_are_refused(
    terraform: str, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    said = plan_variables(terraform, tmp_path / "w", variables(**changes))
    assert said.startswith("1 ")
    assert message in said


def private_libvirtd_possible() -> str | None:
    if os.geteuid() != 0:
        return "needs root"
    for program in ("unshare", "tini", "qemu-system-x86_64", "qemu-img", "mkisofs", "xsltproc"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if shutil.which("libvirtd", path="/usr/sbin:/usr/bin") is None:
        return "libvirtd is not installed"
    probe = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], check=False)
    return None if probe.returncode == 0 else "namespaces cannot be made"


def test_apply_on_a_private_libvirtd(initialised: tuple[str, Path], tmp_path: Path) -> None:
    """Two emulated nodes without anything to boot: created, read back, planned again, removed."""
    terraform, root = initialised
    reason = private_libvirtd_possible()
    if reason:
        pytest.skip(f"no private libvirtd: {reason}")
    base = tmp_path / "base image & more.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(base), "64M"], check=True)
    digest = base.read_bytes()
    (tmp_path / "console").mkdir()
    demands = {"head": NodeDemand("head", 1, 128), "compute1": NodeDemand("compute", 2, 128)}
    cpus = sorted(os.sched_getaffinity(0))
    host = HostTopology(cores=tuple((cpu,) for cpu in cpus), numa={0: frozenset(cpus)})
    placement = place(host, demands, policy="spread", numa=0)
    nodes = terraform_nodes(
        demands, placement, checkout="0a1b2c3d", cluster="slurm-n1", cidr="10.0.100.0/24"
    )
    nodes["head"]["emulator_pins"] = str(cpus[0])
    values = variables(
        nodes=nodes,
        libvirt_uri="qemu:///system",
        pool_directory=str(tmp_path / "pool"),
        console_directory=str(tmp_path / "console"),
        base_image=str(base),
        wait_for_lease=False,
    )
    file = tmp_path / "cluster.tfvars.json"
    file.write_text(json.dumps(values))
    command = [
        *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL"),
        *("--mount-proc", "--propagation", "private", "tini", "-s", "--"),
        *(sys.executable, str(HERE / "private_apply.py")),
        *(str(tmp_path / "libvirt"), terraform, str(root), str(file)),
    ]
    (tmp_path / "libvirt").mkdir()
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    result = json.loads(done.stdout)

    assert result["domain_mismatches"] == {"head": [], "compute1": []}
    assert result["thread_mismatches"] == {"head": [], "compute1": []}
    assert result["replaced"] == []
    assert result["left"] == []
    assert base.read_bytes() == digest

    outputs = result["outputs"]
    hosts = outputs["inventory"]["hosts"]
    assert {name: host["address"] for name, host in hosts.items()} == {
        "head": "10.0.100.10",
        "compute1": "10.0.100.11",
    }
    assert hosts["compute1"] == {
        "name": "compute1",
        "role": "compute",
        "address": "10.0.100.11",
        "fqdn": "compute1.benchmark.local",
        "mac": nodes["compute1"]["mac"],
        "vcpus": 2,
        "memory_mib": 128,
        "domain": "schedlab-0a1b2c3d-slurm-n1-compute1",
    }
    assert outputs["network"]["bridge"]
    assert outputs["volumes"]["head"]["disk"] == str(tmp_path / "pool/head.qcow2")

    network = ElementTree.fromstring(result["network"])
    reserved = {
        host.get("mac", "").lower(): host.get("ip") for host in network.findall("./ip/dhcp/host")
    }
    assert reserved == {item["mac"]: item["address"] for item in nodes.values()}
    names = {host.findtext("hostname"): host.get("ip") for host in network.findall("./dns/host")}
    assert names == {name: item["address"] for name, item in nodes.items()}
    assert network.find("./forward").get("mode") == "nat"  # type: ignore[union-attr]
    local = network.find("./domain").attrib  # type: ignore[union-attr]
    assert local == {"name": "benchmark.local", "localOnly": "yes"}

    backing = ElementTree.fromstring(result["live"]["head"]).find(
        "./devices/disk/backingStore/source"
    )
    assert backing is not None
    assert backing.get("file") == str(base)
    assert read_domain(result["live"]["head"])["cpu_mode"] == "maximum"
