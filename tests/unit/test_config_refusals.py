"""Experiments that are refused: the message names file, key, value and remedy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from config_factory import BURST, HOST, ROOT, load, refusal, write

from schedlab.config import Experiment, read_experiment
from schedlab.config.extent import MOST_CELLS, MOST_TRIALS
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError


@pytest.mark.parametrize(
    ("keys", "key", "what", "remedy"),
    [
        (
            {"workloads": [{"name": "p", "kind": "poisson", "rate": 1e-300}]},
            "workloads[0].rate = 1e-300",
            "less than 1e-06",
            "write 1e-06 or more",
        ),
        *(
            (
                {"workloads": [{"name": "w", "kind": kind, key: 1e-12, **more}]},
                f"workloads[0].{key} = 1e-12",
                "less than 1e-06",
                "write 1e-06 or more",
            )
            for kind, key, more in (
                ("esp", "time_scale", {}),
                ("lublin", "time_scale", {}),
                ("swf", "time_scale", {"file": "resources/traces/sample.swf"}),
                ("daily", "hour", {}),
                ("constant", "runtime", {}),
                ("priority", "runtime", {}),
                ("starvation", "runtime", {}),
                ("fairness", "runtime", {}),
            )
        ),
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
        (
            {"workloads": [{"name": "a"}]},
            "workloads[0].kind = null",
            "missing",
            "one of array, burst",
        ),
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
        ({"schedulers": ["Slurm"]}, "schedulers[0] = 'Slurm'", "does not have the form", "slurm"),
        (
            {"settings": {"flux": {"queue_depth": "8"}}},
            "settings.flux.queue_depth = '8'",
            "the key does not have the form",
            "config/README.md has the keys",
        ),
        (
            {
                "workloads": [
                    {
                        "name": "m",
                        "kind": "mix",
                        "parts": [{"user": "a b", "workload": {"kind": "burst", "jobs": 2}}],
                    }
                ]
            },
            "workloads[0].parts[0].user = 'a b'",
            "does not have the form",
            "a letter first",
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
            {"workloads": [{"name": "s", "kind": "swf", "file": "traces/{year}.swf"}]},
            "workloads[0].file = 'traces/{year}.swf'",
            "holds braces",
            "rename the file",
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
    assert str(caught.value).lower().count("remedy: ") == 1


def test_each_fault_has_one_remedy_and_the_whole_none(tmp_path: Path) -> None:
    path = write(tmp_path, repetitons=1, nodes=[1, 40])
    with pytest.raises(SchedlabError) as caught:
        load_experiment(path, HOST, ROOT)
    *faults, last = str(caught.value).splitlines()
    assert len(faults) > 2
    assert all(line.lower().count("remedy: ") == 1 for line in faults)
    assert last == "  see: config/README.md, which has each key"


def test_a_trace_that_is_not_there_is_told_with_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under Snakemake names are relative to the working folder, which a user may not know."""
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, workloads=[{"name": "s", "kind": "swf", "file": "traces/none.swf"}])
    with pytest.raises(SchedlabError) as caught:
        load_experiment(path, HOST)
    assert "workloads[0].file = 'traces/none.swf': no such file" in str(caught.value)
    assert f"put the trace at {tmp_path}/traces/none.swf" in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="no such file"):
        load_experiment(tmp_path / "none.yaml", HOST)


def _bursts(count: int) -> list[dict[str, Any]]:
    return [BURST | {"name": f"burst-{number}"} for number in range(count)]


def _variants(count: int) -> list[dict[str, str]]:
    return [{"name": f"v{number}", "scheduler": "slurm"} for number in range(count)]


@pytest.mark.parametrize(
    ("keys", "key", "what"),
    [
        (
            {
                "repetitions": {"trials": 1000, "clusters": 100},
                "nodes": [*range(1, 129)],
                "workloads": _bursts(20),
            },
            "nodes = [1, 2,",
            "256,000 cells, more than 10,000 (1 variants x 128 node counts x 100 equal clusters x"
            " 20 workloads)",
        ),
        (
            {"schedulers": _variants(900), "nodes": [1], "workloads": _bursts(900)},
            "schedulers = ['v0',",
            "810,000 cells",
        ),
        ({"workloads": _bursts(5001)}, "workloads = ['burst-0',", "10,002 cells"),
        ({"repetitions": {"trials": 1, "clusters": 100}, "workloads": _bursts(51)},
         "repetitions.clusters = 100", "10,200 cells"),
        ({"repetitions": 1000, "workloads": _bursts(26)}, "repetitions = 1000", "52,000 trials"),
        (
            {"repetitions": {"trials": 1000, "clusters": 26}},
            "repetitions.trials = 1000",
            "52,000 trials, more than 50,000",
        ),
        (
            {"repetitions": {"min": 3, "max": 100, "until": "5 %"}, "workloads": _bursts(251)},
            "workloads = [",
            "50,200 trials",
        ),
    ],
)  # fmt: skip
def test_too_many_cells_or_trials_are_refused_before_any_is_made(
    keys: dict[str, Any], key: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(experiment: Experiment) -> None:
        pytest.fail("the experiment was expanded")

    monkeypatch.setattr(Experiment, "clusters", made)
    monkeypatch.setattr(Experiment, "trials", made)
    (line,) = refusal(tmp_path, **keys)
    assert key in line and what in line and "Remedy: lower" in line
    with pytest.raises(SchedlabError, match=re.escape(what)):
        read_experiment(write(tmp_path, **keys))


def test_as_many_cells_and_trials_as_allowed_are_taken(tmp_path: Path) -> None:
    made = load(tmp_path, nodes=[1], schedulers=_variants(100), workloads=_bursts(100),
                repetitions=5)  # fmt: skip
    assert len(made.clusters()) * len(made.workloads) == MOST_CELLS
    assert len(made.trials()) == MOST_TRIALS


def test_limits_that_are_lifted_count_as_further_cells(tmp_path: Path) -> None:
    search = {
        "kind": "saturate", "name": "knee", "confirm": True, "rate": {"low": 1, "high": 2},
        "workload": {"kind": "poisson", "jobs": 30, "rate": 1.0},
    }  # fmt: skip
    keys: dict[str, Any] = {"nodes": [1], "repetitions": 1, "schedulers": _variants(4000)}
    told = refusal(tmp_path, workloads=[BURST, search], **keys)
    assert "cells, more than 10,000" in told[0]
