"""The experiment file: defaults, projections, and every refusal with its remedy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from schedlab import design
from schedlab.config import Experiment, HostFacts, read_experiment
from schedlab.config.schema import SCHEMA_PATH, schema_text
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError
from schedlab.schedulers import get_scheduler, scheduler_names
from schedlab.schedulers.settings import table
from schedlab.units import mib
from schedlab.workloads import workload_from

ROOT = Path(__file__).resolve().parents[2]
HOST = HostFacts(cores=8, memory_mib=16384, numa_nodes=frozenset({0}), hugepages_mib=0)
BURST = {"name": "burst", "kind": "burst", "jobs": 3}


def write(folder: Path, **keys: Any) -> Path:
    """Write an experiment with one burst workload and the given keys."""
    path = folder / "experiments.yaml"
    path.write_text(yaml.safe_dump({"workloads": [BURST], **keys}))
    return path


def load(folder: Path, host: HostFacts = HOST, **keys: Any) -> Experiment:
    return load_experiment(write(folder, **keys), host, ROOT)


def refusal(folder: Path, host: HostFacts = HOST, **keys: Any) -> list[str]:
    """Lines of the error with which an experiment is refused, without the closing remedy."""
    with pytest.raises(SchedlabError) as caught:
        load(folder, host, **keys)
    return caught.value.message.splitlines()


@pytest.mark.parametrize("name", ["experiments.yaml", "tests/one-node.yaml", "tests/dag.yaml"])
def test_shipped_experiments_load_on_a_small_host(name: str) -> None:
    host = HostFacts(cores=2, memory_mib=8192)
    assert load_experiment(ROOT / "config" / name, host, ROOT).clusters()


@pytest.mark.parametrize("path", sorted((ROOT / "config/images").glob("*.yaml")), ids=str)
def test_experiments_of_images_load_on_a_small_host(path: Path) -> None:
    experiment = load_experiment(path, HostFacts(cores=2, memory_mib=8192), ROOT)
    assert [workload.kind for workload in experiment.workloads] == ["burst"]


def test_a_distribution_has_a_family_and_its_image_the_familys_variables(tmp_path: Path) -> None:
    cloud = {"kind": "cloud", "url": "https://x/y", "sha256": "0" * 64, "os": "rocky"}
    source = {"name": "slurm", "url": "https://x/el9/$basearch"}
    experiment = load(tmp_path, image={**cloud, "repositories": [source]})
    given = design.image_variables(experiment, "slurm")
    assert (given["schedlab_os"], given["schedlab_os_family"]) == ("rocky", "RedHat")
    assert given["schedlab_repositories"] == [{**source, "key": "", "key_sha256": ""}]
    cluster = experiment.clusters()[0]
    assert design.variables(cluster)["schedlab_os_family"] == "RedHat"
    debian = load(tmp_path)
    assert design.image_variables(debian, "slurm") == {
        "schedlab_os": "debian", "schedlab_os_family": "Debian", "schedlab_repositories": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("os", "source", "said"),
    [
        ("ubuntu", {"url": "https://x/y"}, "only for rocky"),
        ("rocky", {"url": "http://x/y"}, "unprotected connection"),
        ("rocky", {"url": "https://x/y", "key": "https://x/key"}, "belong together"),
        ("rocky", {"url": "https://x/y", "key_sha256": "0" * 64}, "belong together"),
    ],
)
def test_package_sources_that_cannot_be_trusted_or_used(
    tmp_path: Path, os: str, source: dict[str, str], said: str
) -> None:
    cloud = {"kind": "cloud", "url": "https://x/y", "sha256": "0" * 64, "os": os}
    (line,) = refusal(tmp_path, image={**cloud, "repositories": [{"name": "slurm", **source}]})
    assert said in line and "image" in line


def test_default_experiment_has_the_documented_cells() -> None:
    experiment = load_experiment(ROOT / "config/experiments.yaml", HOST, ROOT)
    assert [cluster.id for cluster in experiment.clusters()] == ["slurm-n1", "slurm-n2"]
    assert len(experiment.trials()) == 2 * 4 * 3
    largest = experiment.cluster("slurm-n2")
    assert (largest.cores, largest.vcpus_total, largest.memory_total_mib) == (4, 5, 2560)
    assert list(largest.machines()) == ["head", "compute1", "compute2"]
    assert str(experiment.network.address(10)) == "10.0.100.10"


def test_schema_file_is_up_to_date() -> None:
    assert SCHEMA_PATH.read_text() == schema_text(), "run: python -m schedlab.config.schema"


def test_readme_names_every_key() -> None:
    text = (ROOT / "config/README.md").read_text()
    schema = json.loads(schema_text())
    keys = set(schema["properties"])
    for section in schema["$defs"].values():
        keys |= set(section["properties"])
    assert not [key for key in sorted(keys) if f"`{key}`" not in text]


def test_readme_has_every_native_setting_as_its_adapter_declares_it() -> None:
    text = (ROOT / "config/README.md").read_text()
    for name in scheduler_names():
        rows = "\n".join(table(get_scheduler(name).native_settings))
        assert rows in text, f"rows of {name} in config/README.md should be:\n{rows}"


@pytest.mark.parametrize("name", scheduler_names())
def test_every_default_setting_has_the_form_that_it_is_declared_with(name: str) -> None:
    scheduler = get_scheduler(name)
    # An empty default means none; written, it is refused.
    written = {key: text for key, text in scheduler.merged_settings({}).items() if text}
    assert scheduler.settings_problems(written) == []


def test_a_kept_experiment_of_before_the_key_settings_can_be_read(tmp_path: Path) -> None:
    path = write(tmp_path, slurm={"MinJobAge": "10"}, kubernetes={}, volcano={})
    assert read_experiment(path).settings == {"slurm": {"MinJobAge": "10"}}
    with pytest.raises(SchedlabError, match="nodess"):
        read_experiment(write(tmp_path, nodess=[1]))


@pytest.mark.parametrize(
    ("text", "expected"), [("768 MiB", 768), ("1 GiB", 1024), ("2GiB", 2048), ("1MiB", 1)]
)
def test_sizes(text: str, expected: int) -> None:
    assert mib(text) == expected


@pytest.mark.parametrize("text", ["1 GB", "1", "0 MiB", "-1 GiB", "1.5 GiB", "GiB", " 1 GiB"])
def test_sizes_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        mib(text)


def test_trial_order_is_a_seeded_permutation(tmp_path: Path) -> None:
    first = load(tmp_path, nodes=[1, 2, 3], seed=1)
    again = load(tmp_path, nodes=[1, 2, 3], seed=1)
    other = load(tmp_path, nodes=[1, 2, 3], seed=2)
    assert first.trials() == again.trials() != other.trials()
    assert sorted(k.id for k in first.trials()) == sorted(k.id for k in other.trials())
    assert len({k.id for k in first.trials()}) == 9
    assert first.trials() != sorted(first.trials(), key=lambda key: key.id)


def test_adding_cells_changes_no_spec_and_no_trace_of_the_others(tmp_path: Path) -> None:
    poisson = {"name": "poisson", "kind": "poisson", "jobs": 5}
    before = load(tmp_path, nodes=[1], workloads=[poisson], repetitions=1)
    after = load(tmp_path, nodes=[2, 1], workloads=[BURST, poisson], repetitions=4)
    key = before.trials()[0]
    assert key in after.trials()
    assert before.trial_spec(key) == after.trial_spec(key)
    assert design.cluster_spec(before, "slurm-n1") == design.cluster_spec(after, "slurm-n1")
    assert before.trace("poisson", 1, 1) == after.trace("poisson", 1, 1)
    assert after.trace("poisson", 1, 1) != after.trace("poisson", 1, 2)


def test_specs_are_sorted_plain_json_and_separate_concerns(tmp_path: Path) -> None:
    plain = load(tmp_path)
    meant = {"unlisted": "Extra"}
    tuned = load(tmp_path, settings={"slurm": {"minjobage": 10, "Extra": True, **meant}})
    spec = design.cluster_spec(plain, "slurm-n1")
    assert json.dumps(spec) == json.dumps(spec, sort_keys=True)
    assert design.cluster_spec(tuned, "slurm-n1") == spec, "settings act when it is configured"
    settings = design.settings(tuned.cluster("slurm-n1"))
    assert settings["MinJobAge"] == "10"
    assert settings["Extra"] == "true"
    found = design.variables(tuned.cluster("slurm-n1"))
    # The adapter's own settings do not reach slurm.conf.
    assert found["slurm_settings"] | {"submission": "api", **meant} == settings
    assert found["schedlab_roles"] == ["common", "slurm", "monitoring"]
    assert load(tmp_path, limits={"trial": 5}).trial_spec(plain.trials()[0]) == plain.trial_spec(
        plain.trials()[0]
    )
    assert design.image_spec(plain, "slurm") == {
        "disk": "3 GiB",
        "image": "slurm",
        "kind": "mmdebstrap",
        "suite": "trixie",
    }


def test_workload_spec_rebuilds_the_workload(tmp_path: Path) -> None:
    experiment = load(tmp_path)
    assert workload_from(experiment.workload_spec("burst")) == experiment.workload("burst")


def test_passthrough_forces_booting(tmp_path: Path) -> None:
    pci = {"pci": ["0000:03:00.0", "0000:03:00.1"]}
    assert load(tmp_path, placement=pci).cluster("slurm-n2").reset == "boot"
    assert load(tmp_path).cluster("slurm-n2").reset == "restore"


@pytest.mark.parametrize(
    ("keys", "key", "what", "remedy"),
    [
        ({"repetitons": 3}, "repetitons = 3", "unknown key", "did you mean repetitions?"),
        (
            {"node": {"vcpu": 1}},
            "node.vcpu = 1",
            "unknown key",
            "did you mean vcpus?",
        ),
        (
            {"workloads": [{"name": "a", "kind": "burst", "job": 1}]},
            "workloads[0].job = 1",
            "unknown key",
            "did you mean jobs?",
        ),
        (
            {"workloads": [{"name": "a", "kind": "bursty"}]},
            "workloads[0].kind = 'bursty'",
            "unknown kind",
            "did you mean burst?",
        ),
        ({"workloads": [{"name": "a"}]}, "workloads[0].kind = null", "missing", "say which"),
        ({"workloads": []}, "workloads = []", "at least 1 item", ""),
        ({"workloads": [BURST, BURST]}, "workloads[1].name = 'burst'", "duplicate name", "own"),
        ({"nodes": [1, 1]}, "nodes[1] = 1", "written twice", "remove one"),
        ({"repetitions": "3"}, "repetitions = '3'", "valid integer", ""),
        ({"repetitions": True}, "repetitions = true", "valid integer", ""),
        ({"schedulers": ["slrum"]}, "schedulers[0] = 'slrum'", "not a registered", "slurm?"),
        (
            {"placement": {"pinning": "exclusive"}, "nodes": [4]},
            "placement.pinning = 'exclusive'",
            "9 vCPUs (head 1 + 4 nodes of 2) on 8 host cores",
            "spread",
        ),
        (
            {"placement": {"pinning": "exclusive", "oversubscribe": True}, "nodes": [4]},
            "placement.pinning = 'exclusive'",
            "needs a core for each",
            "lower nodes",
        ),
        ({"nodes": [4]}, "placement.oversubscribe = false", "oversubscribe the host", "true"),
        (
            {"node": {"memory": "16 GiB"}, "limits": {"memory": "64 GiB"}},
            "node.memory = '16 GiB'",
            "more than the host's 16384 MiB",
            "lower node.memory",
        ),
        (
            {"node": {"memory": "3 GiB"}},
            "node.memory = '3 GiB'",
            "more than limits.memory 6144 MiB",
            "raise limits.memory",
        ),
        ({"limits": {"memory": "6 GB"}}, "limits.memory = '6 GB'", "not a size", "768 MiB"),
        (
            {"placement": {"hugepages": True}},
            "node.memory = '768 MiB'",
            "huge pages",
            "vm.nr_hugepages",
        ),
        ({"placement": {"numa": 1}}, "placement.numa = 1", "no such NUMA node", "use one of 0"),
        (
            {"placement": {"pci": ["03:00.0"]}},
            "placement.pci[0] = '03:00.0'",
            "does not have the form",
            "lspci -D",
        ),
        (
            {"placement": {"pci": ["0000:03:00.0"]}},
            "placement.pci = ['0000:03:00.0']",
            "1 PCI functions for 2 compute nodes",
            "one for each",
        ),
        ({"network": {"cidr": "10.0.100.0"}}, "network.cidr = '10.0.100.0'", "addresses", "/24"),
        (
            {"network": {"cidr": "10.0.100.1/24"}},
            "network.cidr = '10.0.100.1/24'",
            "not an IPv4 network",
            "10.0.100.0/24",
        ),
        ({"network": {"cidr": "8.8.8.0/24"}}, "network.cidr", "not a private network", "10/8"),
        (
            {"workloads": [{"name": "s", "kind": "swf", "file": "no/such.swf"}]},
            "workloads[0].file = 'no/such.swf'",
            "no such file",
            "put the trace at",
        ),
        (
            {"workloads": [{"name": "p", "kind": "poisson", "sizes": [1, 5]}]},
            "workloads[0].sizes[1] = 5",
            "larger than the smallest cluster",
            "at most 2",
        ),
        (
            {"image": {"kind": "cloud", "url": "https://x/y", "sha256": "0", "os": "ubuntu"}},
            "image.sha256 = '0'",
            "does not have the form",
            "sha256sum",
        ),
        ({"image": {"disk": "20 GiB"}}, "image.disk = '20 GiB'", "outside 1 GiB to", "choose"),
        (
            {"settings": {"slurm": {"ClusterName": "x"}}},
            "settings.slurm.ClusterName = 'x'",
            "set by the workflow",
            "",
        ),
        (
            {"settings": {"slurm": {"LaunchParameters": ""}}},
            "settings.slurm.LaunchParameters = ''",
            "not one value without",
            "remove it",
        ),
        (
            {"settings": {"slurm": {"MinJobAge": "long"}}},
            "settings.slurm.MinJobAge = 'long'",
            "not a whole number",
            "for the default",
        ),
        (
            {"settings": {"volcano": {"logLevel": 11}}},
            "settings.volcano.logLevel = '11'",
            "not a level from 0 to 10",
            "for the default",
        ),
        (
            {"settings": {"kubernetes": {"schedulePeriod": "1s"}}},
            "settings.kubernetes.schedulePeriod = '1s'",
            "not a setting",
            "did you mean schedulerQps?",
        ),
        (
            {"settings": {"slrum": {"MinJobAge": 5}}},
            "settings.slrum = 'slrum'",
            "not a registered scheduler",
            "did you mean slurm?",
        ),
        (
            {"slurm": {"MinJobAge": 10}},
            "slurm = {'MinJobAge': 10}",
            "at the top level",
            "write it under settings:",
        ),
        ({"volcano": {}}, "volcano = {}", "at the top level", "settings: {volcano: "),
        ({"libvirt": {"uri": "local"}}, "libvirt.uri = 'local'", "form", "qemu:///system"),
    ],
)
def test_refusals_name_file_key_value_and_remedy(
    tmp_path: Path, keys: dict[str, Any], key: str, what: str, remedy: str
) -> None:
    if keys.get("image", {}).get("disk"):
        keys["image"]["kind"] = "mmdebstrap"
    lines = refusal(tmp_path, **keys)
    place = re.escape(f"{tmp_path}/experiments.yaml") + r"(:\d+)?: " + re.escape(key)
    matching = [line for line in lines if re.match(place, line)]
    assert len(matching) == 1, lines
    problem, _, advice = matching[0].partition(". Remedy: ")
    assert what in problem
    assert advice
    assert remedy in advice


def test_all_errors_are_reported_at_once(tmp_path: Path) -> None:
    lines = refusal(
        tmp_path,
        repetitons=1,
        nodes=[1, 40],
        placement={"numa": 9, "pci": ["x"]},
        network={"cidr": "nowhere"},
        workloads=[
            {"name": "a", "kind": "burst", "jobs": 0},
            BURST,
            BURST,
            {"name": "s", "kind": "swf", "file": "none.swf"},
        ],
    )
    keys = [line.split(": ")[1].split(" = ")[0] for line in lines]
    assert sorted(keys) == [
        "network.cidr",
        "node.memory",
        "node.memory",
        "placement.numa",
        "placement.oversubscribe",
        "placement.pci[0]",
        "repetitons",
        "workloads[0].jobs",
        "workloads[2].name",
        "workloads[3].file",
    ]
    duplicate = next(line for line in lines if "duplicate" in line)
    assert "already that of workloads[1]" in duplicate


def test_checks_that_read_a_broken_key_stay_silent(tmp_path: Path) -> None:
    # If the default replaced `pinning`, the message would be about another fault.
    lines = refusal(tmp_path, nodes=[9], placement={"pinning": "exclusiv"})
    assert [line for line in lines if "vCPUs" in line] == []
    assert any("did you mean exclusive?" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: [", "experiments.yaml:1:"),
        ("- a", "no mapping"),
        ("", "no mapping"),
        ("seed: 1\nseed: 2\n", "experiments.yaml:2: key 'seed' is written twice"),
    ],
)
def test_files_that_are_no_experiment(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "experiments.yaml"
    path.write_text(text)
    with pytest.raises(SchedlabError) as caught:
        load_experiment(path, HOST, ROOT)
    assert what in caught.value.message
    assert caught.value.remedy


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="no such file"):
        load_experiment(tmp_path / "none.yaml", HOST)


def test_host_facts_are_plausible() -> None:
    host = HostFacts.detect()
    assert host.cores >= 1
    assert host.memory_mib > 100
    assert 0 in host.numa_nodes
