"""Variants of schedulers: what is merged, what is refused, what is shared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config_factory import SLOW, load, refusal

from schedlab import design
from schedlab.config import Experiment, read_experiment, write_experiment

CLI = {"submission": "cli"}
OLD = {"name": "old", "scheduler": "slurm", "image": {"suite": "bookworm"}, "settings": CLI}
BIG = {"name": "big", "scheduler": "slurm", "node": {"vcpus": 1}, "head": {"memory": "2 GiB"}}


def ids(experiment: Experiment) -> list[str]:
    return [cluster.id for cluster in experiment.clusters()]


def test_a_plain_name_is_a_variant_of_that_name(tmp_path: Path) -> None:
    plain = load(tmp_path, schedulers=["slurm", "volcano"], head={"memory": "3 GiB"})
    assert ids(plain) == ["slurm-n1", "slurm-n2", "volcano-n1", "volcano-n2"]
    assert {c.scheduler for c in plain.clusters()} == {"slurm", "volcano"}
    assert plain.model_dump(mode="json")["schedulers"] == ["slurm", "volcano"]
    assert plain.model_dump(mode="json")["repetitions"] == 3
    assert plain == load(tmp_path, schedulers=[{"name": "slurm"}, "volcano"], head={
        "memory": "3 GiB"
    })  # fmt: skip


def test_what_a_variant_leaves_out_is_the_experiments(tmp_path: Path) -> None:
    experiment = load(
        tmp_path,
        nodes=[1],
        schedulers=["slurm", SLOW, OLD, BIG],
        node={"vcpus": 2, "memory": "512 MiB"},
        settings={"slurm": {"MinJobAge": "4000", "SlurmdTimeout": "20"}},
        metrics={"scrape_interval": 2.0},
    )
    plain, slow, old, big = experiment.clusters()
    assert slow.settings == {"MinJobAge": "5000", "SlurmdTimeout": "20"}
    assert plain.settings == {"MinJobAge": "4000", "SlurmdTimeout": "20"}
    assert design.settings(slow)["MinJobAge"] == "5000"
    assert design.settings(slow)["SchedulerType"] == "sched/backfill"
    assert old.image.model_dump() == plain.image.model_dump() | {"suite": "bookworm"}
    assert (big.node.vcpus, big.node.memory) == (1, "512 MiB")
    assert (big.head.vcpus, big.head.memory) == (1, "2 GiB")
    assert {c.metrics.scrape_interval for c in experiment.clusters()} == {2.0}


def test_a_kind_of_image_that_is_none_is_told_where_it_is_written(tmp_path: Path) -> None:
    own = {"name": "own", "scheduler": "slurm", "image": {"kind": "tape"}}
    (line,) = refusal(tmp_path, schedulers=["slurm", own])
    assert "schedulers[1].image.kind = 'tape': unknown kind" in line
    other = own | {"image": {"suite": "sid"}}
    (line,) = refusal(tmp_path, schedulers=["slurm", other], image={"kind": "tape"})
    assert " image.kind = 'tape': unknown kind" in line


def test_an_image_of_another_kind_inherits_nothing(tmp_path: Path) -> None:
    url = (tmp_path / "image").as_uri()
    (tmp_path / "image").touch()
    cloud = {"kind": "cloud", "url": url, "sha256": "0" * 64, "os": "debian"}
    entry = {"name": "cloud", "scheduler": "slurm", "image": cloud}
    experiment = load(
        tmp_path, schedulers=["slurm", entry], image={"kind": "mmdebstrap", "disk": "4 GiB"}
    )
    assert experiment.cluster("cloud-n1").image.disk == "6 GiB"


def test_a_written_experiment_reads_the_same(tmp_path: Path) -> None:
    experiment = load(
        tmp_path,
        schedulers=["slurm", SLOW, OLD, BIG],
        aa="slow",
        repetitions={"trials": 2, "clusters": 2},
    )
    write_experiment(experiment, tmp_path / "kept.yaml")
    kept = read_experiment(tmp_path / "kept.yaml")
    assert kept == experiment
    assert [key.id for key in kept.trials()] == [key.id for key in experiment.trials()]


@pytest.mark.parametrize(
    ("keys", "place", "what", "remedy"),
    [
        ({"schedulers": ["slurm", "slurm"]}, "schedulers[1] = 'slurm'", "twice", "remove one"),
        (
            {"schedulers": ["slurm", SLOW, SLOW]},
            "schedulers[2].name = 'slow'",
            "already the name of schedulers[1]",
            "a name of its own",
        ),
        (
            {"schedulers": [SLOW | {"name": "slow-n2"}]},
            "schedulers[0].name = 'slow-n2'",
            "like the id of a cluster",
            "slow-nodes",
        ),
        (
            {"schedulers": [SLOW | {"name": "volcano"}]},
            "schedulers[0].name = 'volcano'",
            "the name of a scheduler, but",
            "another name",
        ),
        (
            {"schedulers": [{"name": "slow", "scheduler": "slrum"}]},
            "schedulers[0].scheduler = 'slrum'",
            "not a registered scheduler",
            "did you mean slurm?",
        ),
        (
            {"schedulers": [{"name": "slow"}]},
            "schedulers[0] = 'slow'",
            "not a registered scheduler",
            "use one of",
        ),
        (
            {"schedulers": [{"name": "Slow", "scheduler": "slurm"}]},
            "schedulers[0].name = 'Slow'",
            "does not have the form",
            "lower-case",
        ),
        (
            {"schedulers": [SLOW | {"setings": {}}]},
            "schedulers[0].setings = {}",
            "unknown key",
            "did you mean settings?",
        ),
        (
            {"schedulers": [BIG | {"node": {"vcpu": 1}}]},
            "schedulers[0].node.vcpu = 1",
            "unknown key",
            "did you mean vcpus?",
        ),
        (
            {"schedulers": [SLOW | {"settings": {"ClusterName": "x"}}]},
            "schedulers[0].settings.ClusterName = 'x'",
            "set by the workflow",
            "",
        ),
        (
            {"schedulers": ["slurm", BIG | {"node": {"memory": "5 GiB"}}]},
            "schedulers[1].node.memory = '5 GiB'",
            "more than limits.memory",
            "raise limits.memory",
        ),
        (
            {"schedulers": ["slurm", SLOW | {"placement": {"numa": 3}}]},
            "schedulers[1].placement.numa = 3",
            "no such NUMA node",
            "use one of 0",
        ),
        ({"aa": "fast"}, "aa = 'fast'", "nor the name of a variant", "slurm"),
        ({"aa": 3}, "aa = 3", "neither true nor false", "write true"),
        (
            {"schedulers": ["slurm", SLOW | {"name": "slurm-again"}], "aa": True},
            "schedulers[1].name = 'slurm-again'",
            "the label under which aa runs slurm",
            "leave out aa",
        ),
        (
            {"repetitions": {"trials": 3, "cluster": 2}},
            "repetitions.cluster = 2",
            "unknown key",
            "did you mean clusters?",
        ),
        ({"repetitions": {"clusters": 0}}, "repetitions.clusters = 0", "less than 1", "1 or more"),
    ],
)
def test_refusals(tmp_path: Path, keys: dict[str, Any], place: str, what: str, remedy: str) -> None:
    lines = [line for line in refusal(tmp_path, **keys) if place in line]
    assert len(lines) == 1, lines
    problem, _, advice = lines[0].partition(". Remedy: ")
    assert problem.startswith(f"{tmp_path}/experiments.yaml:"), problem
    assert what in problem
    assert remedy in advice and advice


def test_a_fault_of_the_experiment_is_not_told_of_each_variant(tmp_path: Path) -> None:
    lines = refusal(tmp_path, node={"vcpus": "two"}, schedulers=[BIG | {"node": {}}, SLOW])
    assert len([line for line in lines if "vcpus" in line]) == 1


def test_what_is_equal_is_made_once(tmp_path: Path) -> None:
    experiment = load(tmp_path, nodes=[1], schedulers=["slurm", SLOW, OLD, BIG], aa=True)
    assert ids(experiment) == ["slurm-n1", "slow-n1", "old-n1", "big-n1", "slurm-again-n1"]
    assert design.images(experiment) == ["slurm", "slurm-bookworm"]
    made = [design.machines_of(experiment, cluster) for cluster in experiment.clusters()]
    assert made[0] == made[1] == made[4] == "slurm-n1"
    assert made[2] == "slurm-bookworm-n1"
    assert made[3].startswith("slurm-n1-")
    assert list(design.machines(experiment)) == [made[0], made[2], made[3]]
    assert experiment.machine_names() == ["1", "1x1"]
    for name in design.machines(experiment):
        assert "scheduler" not in design.provision_spec(experiment, name)


def test_ids_do_not_depend_on_the_order_of_variants(tmp_path: Path) -> None:
    first = load(tmp_path, schedulers=["slurm", SLOW, OLD, BIG])
    last = load(tmp_path, schedulers=[BIG, OLD, SLOW, "slurm"])
    assert set(design.machines(first)) == set(design.machines(last))
    for name in design.machines(first):
        assert design.provision_spec(first, name) == design.provision_spec(last, name)


def test_permissions_and_metrics_shape_no_machines(tmp_path: Path) -> None:
    own = {"placement": {"oversubscribe": True}, "metrics": {"scrape_interval": 9.0}}
    experiment = load(tmp_path, nodes=[1], schedulers=["slurm", SLOW | own])
    assert list(design.machines(experiment)) == ["slurm-n1"]


def test_images_that_differ_in_more_than_the_release_have_a_digest(tmp_path: Path) -> None:
    other = OLD | {"name": "other", "image": {"suite": "bookworm", "disk": "4 GiB"}}
    images = design.images(load(tmp_path, schedulers=["slurm", OLD, other]))
    assert len(set(images)) == 3 and images[:2] == ["slurm", "slurm-bookworm"]
    assert len(images[2]) == len("slurm-") + 6


def test_further_clusters_are_provisioned_anew(tmp_path: Path) -> None:
    experiment = load(tmp_path, nodes=[1], repetitions={"trials": 2, "clusters": 3})
    assert ids(experiment) == ["slurm-n1", "slurm-n1-c2", "slurm-n1-c3"]
    assert list(design.machines(experiment)) == ["slurm-n1", "slurm-n1-c2", "slurm-n1-c3"]
    assert len(experiment.trials()) == 3 * 2 * len(experiment.workloads)
    assert "slurm-n1-c2.burst.2" in {key.id for key in experiment.trials()}


def test_every_ready_made_experiment_is_well_formed() -> None:
    root = Path(__file__).resolve().parents[2]
    releases = read_experiment(root / "config/releases.yaml")
    assert design.images(releases) == ["slurm", "slurm-bookworm", "slurm-forky"]
    assert releases.again() is not None
    comparison = read_experiment(root / "config/comparison.yaml")
    assert "slurm-again-n1" in ids(comparison)


def test_a_variants_setting_replaces_a_shared_one_whatever_its_case(tmp_path: Path) -> None:
    """Both would stand in slurm.conf, and the checks would read another one than Slurm."""
    experiment = load(
        tmp_path,
        nodes=[1],
        schedulers=[{"name": "slow", "scheduler": "slurm", "settings": {"KillWait": "31"}}],
        settings={"slurm": {"killwait": "29", "SlurmdTimeout": "20"}},
    )
    (cluster,) = experiment.clusters()
    assert cluster.settings == {"SlurmdTimeout": "20", "KillWait": "31"}
