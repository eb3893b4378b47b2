"""The Terraform module: formatting, validation, its XML, and a real apply of empty disks."""

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
import yaml

from schedlab.testbed.nodes import terraform_nodes
from schedlab.testbed.placement import NodeDemand, place
from schedlab.testbed.readback import compare_domain, read_domain
from schedlab.testbed.topology import HostTopology

pytestmark = pytest.mark.infrastructure

HERE = Path(__file__).parent
ROOT = HERE.parents[1] / "workflow/infrastructure/terraform"
MODULE = ROOT / "modules/cluster"
PROVIDER_VERSION = "0.8.3"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f bench"


def need(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


@pytest.fixture(scope="module")
def terraform() -> str:
    found = shutil.which("terraform") or shutil.which("tofu")
    if found is None:
        pytest.skip("neither terraform nor tofu is installed")
    return found


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


def render(terraform: str, folder: Path, template: str, values: dict[str, Any]) -> str:
    """Render a template of the module as Terraform does, without a provider."""
    folder.mkdir()
    call = f'${{templatefile("{MODULE}/templates/{template}", var.values)}}'
    configuration = {"variable": {"values": {"type": "any"}}, "output": {"text": {"value": call}}}
    (folder / "main.tf.json").write_text(json.dumps(configuration))
    (folder / "terraform.tfvars.json").write_text(json.dumps({"values": values}))
    for words in (["apply", "-auto-approve", "-input=false"], ["output", "-raw", "text"]):
        done = subprocess.run(
            [terraform, f"-chdir={folder}", *words], capture_output=True, text=True, check=True
        )
    return done.stdout


def transform(stylesheet: str, document: str, folder: Path) -> str:
    """Apply a stylesheet with the options that the provider uses."""
    (folder / "x.xslt").write_text(stylesheet)
    (folder / "x.xml").write_text(document)
    command = [need("xsltproc"), "--nomkdir", "--nonet", "--nowrite"]
    return subprocess.run(
        [*command, str(folder / "x.xslt"), str(folder / "x.xml")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def accepted_by_libvirt(document: str) -> str:
    """Define a domain on libvirt's test driver, schema check included; return libvirt's view."""
    libvirt = pytest.importorskip("libvirt")
    connection = libvirt.open("test:///default")
    domain = connection.defineXMLFlags(document, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    try:
        return str(domain.XMLDesc())
    finally:
        domain.undefine()
        connection.close()


def node(**changes: Any) -> dict[str, Any]:
    return {
        "role": "compute",
        "vcpus": 2,
        "memory_mib": 128,
        "mac": "52:54:0a:1b:2c:3d",
        "address": "10.0.100.11",
    } | changes


HEAD = node(role="head", vcpus=1, mac="52:54:0a:1b:2c:3c", address="10.0.100.10")


def variables(**changes: Any) -> dict[str, Any]:
    return {
        "checkout": "0a1b2c3d",
        "run": "r1",
        "cluster": "slurm-n1",
        "accelerator": "tcg",
        "nodes": {"head": HEAD, "compute1": node()},
        "pool_directory": "/scratch/pool",
        "console_directory": "/scratch/console",
        "base_image": "/images/slurm.qcow2",
        "ssh_public_key": KEY,
    } | changes


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkout": "xyz"}, "eight hexadecimal digits"),
        ({"run": "a b"}, "letters, digits, dots"),
        ({"cluster": "Slurm_1"}, "lower-case letters"),
        ({"accelerator": "auto"}, 'accelerator must be "kvm" or "tcg"'),
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
        ({"network": {"cidr": "10.0.100.1/24"}}, "IPv4 network address with its prefix"),
        ({"network": {"domain": "Bench_mark"}}, "DNS domain in lower case"),
        ({"pool_directory": "pool"}, "pool_directory must be an absolute path"),
        ({"console_directory": "/logs/"}, "without a trailing slash"),
        ({"base_image": "disk.qcow2"}, "base_image must be the absolute path"),
        ({"disk_size": 1000}, "multiple of 512 bytes"),
        ({"disk_cache": "fast"}, "disk_cache must be"),
        ({"ssh_public_key": "-----BEGIN"}, "one OpenSSH public key line"),
        ({"boot_timeout": 1}, "10 or more"),
    ],
)
def test_bad_variables_are_refused(
    terraform: str, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    said = plan_variables(terraform, tmp_path / "w", variables(**changes))
    assert said.startswith("1 ")
    assert message in said


DECLARED: dict[str, Any] = {
    "domain": "schedlab-0a1b2c3d-slurm-n1-compute1",
    "domain_type": "kvm",
    "machine": "q35",
    "cpu_mode": "host-passthrough",
    "vcpus": 2,
    "memory_mib": 768,
    "vcpu_pins": [],
    "emulator_pins": None,
    "numa_nodes": None,
    "hugepages": False,
    "pci": [],
    "mac": "52:54:0a:1b:2c:3d",
    "network": "schedlab-0a1b2c3d-slurm-n1",
    "console": "/scratch/<console> & logs/compute1.log",
    "metadata": {"run": "r1", "checkout": "0a1b2c3d", "cluster": "slurm-n1", "node": "compute1"},
}


@pytest.mark.parametrize(
    "placement",
    [
        {},
        {"vcpu_pins": ["2", "3,5-6"]},
        {"vcpu_pins": ["2", "3"], "emulator_pins": "0-1"},
        {"numa_nodes": "0"},
        {"hugepages": True},
        {"pci": ["0000:03:10.2", "0000:1a:1f.7"]},
        {
            "vcpu_pins": ["2", "3"],
            "emulator_pins": "4",
            "numa_nodes": "0-1",
            "hugepages": True,
            "pci": ["0000:03:00.0"],
        },
    ],
    ids=["plain", "pins", "emulator", "numa", "hugepages", "pci", "all"],
)
def test_domain_xml(terraform: str, tmp_path: Path, placement: dict[str, Any]) -> None:
    def escaped(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    declared = DECLARED | placement
    addresses = [address.replace(".", ":").split(":") for address in declared["pci"]]
    stylesheet = render(
        terraform,
        tmp_path / "w",
        "domain.xslt.tftpl",
        {
            **declared["metadata"],
            "vcpus": 2,
            "vcpu_pins": declared["vcpu_pins"],
            "emulator": declared["emulator_pins"],
            "numa": declared["numa_nodes"],
            "hugepages": declared["hugepages"],
            "pci": [
                dict(zip(("domain", "bus", "slot", "function"), a, strict=True)) for a in addresses
            ],
            "disk_cache": "none",
            "disk_path": "/scratch/pool/compute1.qcow2",
            "seed_path": "/scratch/pool/compute1-seed.iso",
            "console_log": escaped(declared["console"]),
        },
    )
    document = transform(stylesheet, (HERE / "data/provider-domain.xml").read_text(), tmp_path)
    live = accepted_by_libvirt(document)
    assert compare_domain(declared, live) == []

    domain = ElementTree.fromstring(live)
    disks = domain.findall("./devices/disk")
    assert [disk.get("type") for disk in disks] == ["file", "file"]
    assert [disk.find("./readonly") is not None for disk in disks] == [False, True]
    assert disks[0].find("./driver").get("cache") == "none"  # type: ignore[union-attr]
    assert domain.find("./cpu/topology").get("cores") == "2"  # type: ignore[union-attr]
    assert domain.find("./devices/rng") is not None
    for absent in ("graphics", "video", "channel"):
        assert domain.find(f"./devices/{absent}") is None, absent


@pytest.mark.parametrize("sized", [True, False])
def test_volume_xml(terraform: str, tmp_path: Path, sized: bool) -> None:
    values = {"base_image": "/images/a &amp; b.qcow2", "sized": sized}
    stylesheet = render(terraform, tmp_path / "w", "volume.xslt.tftpl", values)
    before = (
        "<volume><name>head.qcow2</name><capacity unit='bytes'>1073741824</capacity>"
        "<target><format type='qcow2'/><permissions><mode>644</mode></permissions></target>"
        "</volume>"
    )
    volume = ElementTree.fromstring(transform(stylesheet, before, tmp_path))
    assert volume.findtext("./backingStore/path") == "/images/a & b.qcow2"
    assert (volume.findtext("./capacity") is not None) == sized
    assert volume.findtext("./target/compat") == "1.1"


@pytest.mark.parametrize("grow", [True, False])
def test_user_data(terraform: str, tmp_path: Path, grow: bool) -> None:
    hosts = [
        {"address": "10.0.100.11", "fqdn": "compute1.benchmark.local", "name": "compute1"},
        {"address": "10.0.100.10", "fqdn": "head.benchmark.local", "name": "head"},
    ]
    text = render(
        terraform,
        tmp_path / "w",
        "user-data.yaml.tftpl",
        {
            "name": "head",
            "fqdn": "head.benchmark.local",
            "hosts": hosts,
            "ssh_public_key": KEY + ": #1",
            "grow": grow,
        },
    )
    assert text.startswith("#cloud-config\n")
    data = yaml.safe_load(text)
    assert data["hostname"] == "head"
    assert data["users"][0]["name"] == "bench"
    assert data["users"][0]["ssh_authorized_keys"] == [KEY + ": #1"]
    assert data["growpart"]["mode"] == ("auto" if grow else "off")
    assert data["resize_rootfs"] is grow
    assert data["package_update"] is False
    assert data["write_files"][0]["content"].splitlines() == [
        "127.0.0.1 localhost",
        "::1 localhost ip6-localhost ip6-loopback",
        "10.0.100.11 compute1.benchmark.local compute1",
        "10.0.100.10 head.benchmark.local head",
    ]
    assert "ntp" not in data


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
