"""The playbooks and roles: syntax, inventory, and what is written on every node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
import yaml
from rendering import ANSIBLE, OUTPUTS, inventory, rendered, role_defaults, tool

from schedlab.schedulers import get_scheduler, image_roles, scheduler_names
from schedlab.sources.ansible import FAMILIES

pytestmark = pytest.mark.infrastructure

PLAYBOOKS = sorted((ANSIBLE / "playbooks").glob("*.yml"))
ROLES = sorted(path for path in (ANSIBLE / "roles").iterdir() if path.is_dir())


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


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.name)
def test_syntax(playbook: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [tool("ansible-playbook"), "--syntax-check", "--inventory",
         str(ANSIBLE / "inventory/terraform.py"), str(playbook)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    # The group `head` has one node, which is also named `head` in the cluster.
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert [w for w in warnings if "both group and host with same name: head" not in w] == []


@pytest.mark.parametrize("name", scheduler_names())
def test_every_variable_that_a_role_requires_is_given(name: str, tmp_path: Path) -> None:
    """The adapter or the inventory gives every variable, and no variable that no role has."""
    scheduler = get_scheduler(name)
    given = scheduler.variables(scheduler.merged_settings({}))
    given |= scheduler.secret_variables(tmp_path)
    required, known = set(), set()
    for role in scheduler.roles:
        path = ANSIBLE / "roles" / role / "meta/argument_specs.yml"
        options = yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]
        required |= {key for key, option in options.items() if option.get("required")}
        known |= set(options)
    inventory = {"schedlab_cluster_name", "schedlab_domain", "schedlab_os_family"}
    assert required <= {*given, *inventory}
    assert set(given) <= known


@pytest.mark.parametrize("name", scheduler_names())
def test_every_role_of_an_image_has_an_install_part_and_checks(name: str) -> None:
    for role in image_roles(get_scheduler(name).image):
        folder = ANSIBLE / "roles" / role
        assert (folder / "tasks/install.yml").exists()
        subprocess.run(["sh", "-n", str(folder / "files/verify.sh")], check=True)
        # Where a role has variables of one family, it has those of each.
        stated = {path.stem for path in (folder / "vars").glob("[A-Z]*.yml")}
        assert stated in (set(), set(FAMILIES))
        known = [
            set(yaml.safe_load((folder / "vars" / f"{family}.yml").read_text()))
            for family in sorted(stated)
        ]
        assert not known or known[0] == known[1]


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_role_is_described(role: Path) -> None:
    assert (role / "README.md").read_text().startswith(f"# {role.name}\n")
    specification = yaml.safe_load((role / "meta/argument_specs.yml").read_text())
    options = specification["argument_specs"]["main"]["options"]
    defaults = role_defaults(role.name)
    assert set(defaults) <= set(options)
    for name, text in defaults.items():
        if "default" in options[name]:
            assert options[name]["default"] == text


def listed(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The inventory as Ansible asks for it."""
    return subprocess.run(
        [str(ANSIBLE / "inventory/terraform.py"), "--list"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_inventory_comes_from_terraforms_outputs(environment: dict[str, str]) -> None:
    done = listed(environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == inventory()
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
    done = listed(environment)
    assert done.returncode == 1
    assert "SCHEDLAB_TERRAFORM_OUTPUTS" in done.stderr


def tuning_table() -> list[dict[str, str]]:
    text = (ANSIBLE / "roles/common/vars/tuning.yml").read_text()
    found: list[dict[str, str]] = yaml.safe_load(text)["common_tuning"]
    return found


@pytest.mark.parametrize(
    ("template", "kind", "form"),
    [
        ("sysctl.conf.j2", "sysctl", "-{key} = {value}"),
        ("tmpfiles.conf.j2", "file", "w {key} - - - - {value}"),
        ("limits.conf.j2", "limit", "* - {lower} {value}"),
        ("system.conf.j2", "limit", "DefaultLimit{key}={systemd}"),
    ],
)
def test_every_setting_of_the_kernel_is_written(template: str, kind: str, form: str) -> None:
    table = tuning_table()
    jinja = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
    text = (ANSIBLE / "roles/common/templates" / template).read_text()
    lines = jinja.from_string(text).render(ansible_managed="", common_tuning=table).splitlines()
    written = {line for line in lines if line and line[0] not in "#["}
    assert written == {
        form.format(
            **row, lower=row["key"].lower(), systemd=row["value"].replace("unlimited", "infinity")
        )
        for row in table
        if row["kind"] == kind
    }
    assert written


def test_every_node_knows_every_name() -> None:
    lines = rendered("common", "hosts.j2", "compute1").splitlines()
    assert "10.0.100.10 head.benchmark.local head" in lines
    assert "10.0.100.12 compute2.benchmark.local compute2" in lines


@pytest.mark.parametrize("host", ["head", "compute1"])
def test_no_clock_ever_steps(host: str) -> None:
    text = rendered("common", "chrony.conf.j2", host)
    settings = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert not [s for s in settings if s.split()[0] in ("makestep", "rtcsync", "initstepslew")]
    serves = "local stratum 8" in settings
    follows = [s for s in settings if s.startswith("server 10.0.100.10 ")]
    assert (serves, bool(follows)) == ((True, False) if host == "head" else (False, True))


@pytest.mark.parametrize("name", scheduler_names())
def test_the_collector_reads_the_adapters_processes_and_what_it_asks_for(name: str) -> None:
    template = "schedlab-exporter.service.j2"
    daemons = get_scheduler(name).daemons()
    for host, role in (("head", "head"), ("compute1", "compute")):
        text = rendered("monitoring", template, host, name)
        (start,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
        words = start.split()
        assert words[words.index("--processes") + 1] == ",".join(daemons[role])
        units = list(get_scheduler(name).cost_units()[role])
        assert ("--units" in words) == bool(units)
        if units:
            assert words[words.index("--units") + 1] == ",".join(units)
        counters = "--counters schedlab_slurm_sdiag=sdiag --counters-period 5"
        assert start.endswith(counters) == (name == "slurm" and host == "head")
        assert ("sdiag" in start) == (name == "slurm" and host == "head")


def test_guests_listen_where_they_are_read_and_know_who_asks() -> None:
    """Ports that are open to a network are those of the cluster's; no client is anonymous."""
    for host, address in (("head", "10.0.100.10"), ("compute1", "10.0.100.11")):
        node = rendered(
            "monitoring",
            "schedlab-node-exporter.service.j2",
            host,
            monitoring_node_exporter="/usr/bin/node_exporter",
        )
        assert f"--web.listen-address={address}:9100 " in node
        own = rendered("monitoring", "schedlab-exporter.service.j2", host)
        assert f"--address {address} --port 9101 " in own
    roles = ANSIBLE / "roles"
    plane = roles / "kubernetes/files/disk/etc/systemd/system"
    assert "--anonymous-auth=false" in (plane / "kube-apiserver.service").read_text()
    for name in ("kube-scheduler", "kube-controller-manager"):
        assert "--bind-address=127.0.0.1" in (plane / f"{name}.service").read_text()
    volcano = roles / "volcano/files/disk/etc/systemd/system/vc-scheduler.service"
    assert "--listen-address=${SCHEDLAB_ADDRESS}:8080" in volcano.read_text()
    arguments = rendered("kubernetes", "arguments.env.j2", "head", "volcano")
    assert "SCHEDLAB_ADDRESS=10.0.100.10\n" in arguments
    assert "listen-address" not in arguments
    tuning = yaml.safe_load((roles / "common/vars/tuning.yml").read_text())["common_tuning"]
    # They may start before the address is there.
    assert {row["key"]: row.get("value") for row in tuning}["net.ipv4.ip_nonlocal_bind"] == "1"
