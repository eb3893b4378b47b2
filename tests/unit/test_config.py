"""The experiment file: defaults, projections, sizes, and what its documentation says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from config_factory import BURST, HOST, ROOT, load, refusal, write

from schedlab import design
from schedlab.config import HostFacts, read_experiment
from schedlab.config.schema import SCHEMA_PATH, schema_text
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError
from schedlab.schedulers import get_scheduler, scheduler_names
from schedlab.schedulers.settings import table
from schedlab.units import mib
from schedlab.workloads import workload_from


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
        ("rocky", {"url": "https://me:pass@x/y"}, "guests get no credentials"),
        ("rocky", {"url": "https://x/y", "name": "epel"}, "such as own-epel"),
        ("rocky", {"url": "https://x/y", "name": "baseos"}, "such as own-baseos"),
        ("debian", {"url": "https://x/y"}, "image.repositories = "),
    ],
)
def test_package_sources_that_cannot_be_trusted_or_used(
    tmp_path: Path, os: str, source: dict[str, str], said: str
) -> None:
    cloud = {"kind": "cloud", "url": "https://x/y", "sha256": "0" * 64, "os": os}
    (line,) = refusal(tmp_path, image={**cloud, "repositories": [{"name": "slurm", **source}]})
    assert said in line and "image.repositories" in line


def test_two_package_sources_do_not_share_a_file(tmp_path: Path) -> None:
    cloud = {"kind": "cloud", "url": "https://x/y", "sha256": "0" * 64, "os": "rocky"}
    twice = [{"name": "slurm", "url": f"https://x/{place}"} for place in "yz"]
    (line,) = refusal(tmp_path, image={**cloud, "repositories": twice})
    assert "image.repositories = " in line and "two have the name slurm" in line


def test_the_kind_of_image_is_by_default_that_of_the_documents(tmp_path: Path) -> None:
    assert load(tmp_path, image={"disk": "4 GiB"}).image.kind == "mmdebstrap"
    (line,) = refusal(tmp_path, image={"url": "https://x/y"})
    assert "image.kind = null: missing" in line


ROCKY = {
    "kind": "cloud",
    "os": "rocky",
    "sha256": "0" * 64,
    "url": "https://x/Rocky-9-GenericCloud-Base-9.8.x86_64.qcow2",
}
SOURCE = {"name": "slurm", "url": "https://x/y"}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"image": {"suite": "bookworm"}}, "settings.slurm.submission = 'api'"),
        (
            {"schedulers": ["slurm", {"name": "b", "scheduler": "slurm", "image": {
                "suite": "bookworm"}}]},
            "settings.slurm.submission = 'api'",
        ),
        (
            {"schedulers": [{"name": "b", "scheduler": "slurm", "image": ROCKY, "settings": {
                "submission": "api"}}], "settings": {"slurm": {"submission": "cli"}}},
            "schedulers[0].settings.submission = 'api'",
        ),
    ],
)  # fmt: skip
def test_a_release_whose_slurm_has_no_api_is_refused(
    tmp_path: Path, changes: dict[str, Any], key: str
) -> None:
    (line,) = refusal(tmp_path, **changes)
    assert key in line and "22.05" in line and "write submission: cli" in line


@pytest.mark.parametrize(
    "changes",
    [
        {"image": {"suite": "bookworm"}, "settings": {"slurm": {"Submission": "cli"}}},
        {"image": {"suite": "bookworm"}, "schedulers": ["kubernetes"]},
        {"image": {**ROCKY, "repositories": [SOURCE]}},
        {"image": {"suite": "trixie"}},
    ],
)
def test_other_releases_and_ways_of_submission_are_accepted(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    load(tmp_path, **changes)


def test_default_experiment_has_the_documented_cells() -> None:
    experiment = load_experiment(ROOT / "config/experiments.yaml", HOST, ROOT)
    assert [cluster.id for cluster in experiment.clusters()] == ["slurm-n1", "slurm-n2"]
    assert len(experiment.trials()) == 2 * 4 * 3
    largest = experiment.cluster("slurm-n2")
    assert (largest.cores, largest.vcpus_total, largest.memory_total_mib) == (4, 5, 2560)
    assert list(largest.machines()) == ["head", "compute1", "compute2"]
    assert str(experiment.network.address(10)) == "10.0.100.10"


def _examples() -> list[str]:
    """YAML examples of config/README.md."""
    text = (ROOT / "config/README.md").read_text()
    return re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_schema_file_is_up_to_date() -> None:
    assert SCHEMA_PATH.read_text() == schema_text(), "run: python -m schedlab.config.schema"


def test_readme_names_every_key() -> None:
    text = (ROOT / "config/README.md").read_text()
    schema = json.loads(schema_text())
    keys = set(schema["properties"])
    for section in schema["$defs"].values():
        keys |= set(section["properties"])
    assert not [key for key in sorted(keys) if f"`{key}`" not in text]


@pytest.mark.parametrize("text", _examples(), ids=lambda text: text.split("\n")[0][:30])
def test_examples_of_the_readme_load(text: str, tmp_path: Path) -> None:
    """Whole ones on a machine of 2 cores and 12 GiB, as they are; others as part of an experiment.

    A whole one has workloads.
    """
    path = tmp_path / "experiments.yaml"
    whole = "workloads:" in text
    host = HostFacts(cores=2, memory_mib=12 * 1024) if whole else HostFacts(64, 64 * 1024)
    path.write_text(text if whole else text + "workloads: [{name: b, kind: burst}]\n")
    assert load_experiment(path, host, ROOT).trials()


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
    tuned = load(tmp_path, settings={"slurm": {"minjobage": 4000, "Extra": True, **meant}})
    spec = design.cluster_spec(plain, "slurm-n1")
    assert json.dumps(spec) == json.dumps(spec, sort_keys=True)
    assert design.cluster_spec(tuned, "slurm-n1") == spec, "settings act when it is configured"
    settings = design.settings(tuned.cluster("slurm-n1"))
    assert settings["MinJobAge"] == "4000"
    assert settings["Extra"] == "true"
    found = design.variables(tuned.cluster("slurm-n1"))
    # The adapter's own settings do not reach slurm.conf.
    assert found["slurm_settings"] | {"submission": "api", "CPUQuota": "none", **meant} == settings
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


def test_host_facts_are_plausible() -> None:
    host = HostFacts.detect()
    assert host.cores >= 1
    assert host.memory_mib > 100
    assert 0 in host.numa_nodes
