"""Refusals say what the user probably meant, and how to write it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from schedlab.cli.main import main
from schedlab.config import HostFacts
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError
from schedlab.schedulers import get_scheduler, quota, scheduler_names
from schedlab.schedulers.slurm.keys import known_keys

HOST = HostFacts(cores=8, memory_mib=16384, numa_nodes=frozenset({0}), hugepages_mib=0)
BURST = "workloads: [{kind: burst, name: b}]\n"
SLURM = BURST + "schedulers: [slurm]\n"


def refusals(folder: Path, text: str) -> str:
    path = folder / "experiments.yaml"
    path.write_text(text)
    with pytest.raises(SchedlabError) as caught:
        load_experiment(path, HOST, folder)
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        (SLURM + "node: {memory: 768}\n", "node.memory = 768", "write the unit: 768 MiB"),
        (SLURM + "limits: {disk: 20}\n", "limits.disk = 20", "20 GiB"),
        (SLURM + "limits: {trial: 10m}\n", "limits.trial = '10m'", "is not written: 600"),
        (SLURM + "limits: {trial: 2 h}\n", "limits.trial = '2 h'", "is not written: 7200"),
        (
            SLURM + "metrics: {scrape_interval: 500ms}\n",
            "metrics.scrape_interval = '500ms'",
            "is not written: 0.5",
        ),
        (SLURM + "limits: {trial: '600'}\n", "limits.trial = '600'", "remove the quotes: 600"),
        (SLURM + "seed: 10m\n", "seed = '10m'", "write a whole number"),
        (SLURM + "metrics: {monitoring: yes}\n", "metrics.monitoring = 'yes'", "write true,"),
        (BURST + "schedulers: slurm\n", "schedulers = 'slurm'", "write a list: [slurm]"),
        (SLURM + "nodes: 2\n", "nodes = 2", "write a list: [2]"),
        (
            BURST + "schedulers: [slurm, {name: fast, settings: {MinJobAge: 1}}]\n",
            "schedulers[1].scheduler = null: missing",
            "add it: one of flux, kubernetes",
        ),
        (BURST + "schedulers: [{scheduler: slurm}]\n", "schedulers[0].name = null", "add it: "),
        (
            "schedulers: [slurm]\nworkloads: [{kind: swf, name: s, file: ~/x.swf}]\n",
            "workloads[0].file = '~/x.swf'",
            "write the whole path",
        ),
        (
            "schedulers: [slurm]\nworkloads: [{kind: swf, name: s, file: $HOME/x.swf}]\n",
            "workloads[0].file = '$HOME/x.swf'",
            "write the whole path",
        ),
        (
            SLURM + "settings: {slurm: {SchedulerParamters: x}}\n",
            "settings.slurm.SchedulerParamters = 'x': not a key of slurm.conf",
            "did you mean SchedulerParameters?",
        ),
        (
            BURST + "schedulers: [{name: f, scheduler: slurm, settings: {Zq: x}}]\n",
            "schedulers[0].settings.Zq = 'x': not a key of slurm.conf",
            "add unlisted: Zq",
        ),
        (SLURM + "aa: yes\n", "aa = 'yes'", "write true, without quotes"),
        (SLURM + "node: {memory: 1 MiB}\n", "node.memory = '1 MiB'", "to 128 MiB or more"),
        (SLURM + "head: {memory: 1 MiB}\n", "head.memory = '1 MiB'", "to 128 MiB or more"),
        (
            SLURM + "nodes: [300]\nnetwork: {cidr: 10.0.0.0/24}\n",
            "network.cidr = '10.0.0.0/24'",
            "use the prefix /23",
        ),
        (
            "schedulers: [volcano]\nsettings: {volcano: {schedulePeriod: 1h}}\n" + BURST,
            "schedulePeriod = '1h': not a whole number of ms or s",
            "correct it",
        ),
        (
            "schedulers: [volcano]\nsettings: {volcano: {schedulerQps: 1e9}}\n" + BURST,
            "schedulerQps = '1e9': not a number from 1 to below 1,000,000",
            "correct it",
        ),
        (
            SLURM + "image: {kind: cloud, os: debian, sha256: x, url: 'https://h:99999/x'}\n",
            "image.url",
            "use one from 1 to 65535",
        ),
        (
            SLURM + "image: {kind: cloud, os: debian, sha256: x, url:"
            " 'https://h/x?X-Amz-Signature=1'}\n",
            "image.url",
            "file:///folder/file",
        ),
        (SLURM + "libvirt: {uri: 'qemu+ssh://h:99999/system'}\n", "libvirt.uri", "to 65535"),
    ],
)
def test_the_remedy_has_what_was_meant(tmp_path: Path, text: str, key: str, remedy: str) -> None:
    line = next(line for line in refusals(tmp_path, text).splitlines() if key in line)
    assert remedy in line.partition("Remedy: ")[2]


def test_a_key_that_is_said_to_be_meant_is_accepted(tmp_path: Path) -> None:
    slurm = get_scheduler("slurm")
    meant = {"unlisted": "Zq, Other", "zq": "1", "OTHER": "2", "maxjobcount": "5"}
    assert not slurm.settings_problems(meant)
    written = slurm.variables(slurm.merged_settings(meant))["slurm_settings"]
    assert written["zq"] == "1" and "unlisted" not in written
    assert [p.key for p in slurm.settings_problems({**meant, "unlisted": "Zq;"})] == [
        "unlisted",
        "zq",
        "OTHER",
    ]


def test_every_scheduler_accepts_its_own_defaults_and_slurm_knows_those_of_its_role() -> None:
    for name in scheduler_names():
        scheduler = get_scheduler(name)
        # An empty default stands for nothing that is given.
        given = {key: text for key, text in scheduler.merged_settings({}).items() if text}
        assert not scheduler.settings_problems(given)
    keys = {key.lower() for key in known_keys()}
    own = set(get_scheduler("slurm").native_settings) - {"submission", quota.KEY}
    assert not {key for key in own if key.lower() not in keys}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trace", "makespan", "--results", "absent"], "absent: no such folder"),
        (["trace", "makespan", "--source", "absent", "--results", "."], "absent: no such folder"),
        (["trials", "--results", "a-file"], "a-file: not a folder"),
        (["trials", "--results", "absent"], "absent: no such folder"),
        (["trials"], "results: no such folder"),
        (["disk", "--results", "absent"], "absent: no such folder"),
        (["export", "--perfetto", "x.y.1", "--results", "absent"], "absent: no such folder"),
        (["dashboard", "--results", "absent"], "absent: no such folder"),
        (["diff", "absent", "."], "absent: no such file"),
        (["trace", "makespan", "--results", "others"], "others is no folder of results: "),
        (["why", "--results", "others"], "others is no folder of results: "),
        (["trials", "--results", "others"], "others is no folder of results: "),
        (["disk", "--results", "others"], "others is no folder of results: "),
        (["export", "--perfetto", "x.y.1", "--results", "others"], "others is no folder of"),
        (["dashboard", "--results", "others"], "others is no folder of results: "),
        (["bundle", "--output", "b", "--results", "others"], "others is no folder of results: "),
        (["calibrate", "slurm", "--results", "others"], "others is no folder of results: "),
        (["watch", "--once", "others"], "others is no folder of results: "),
        (["diff", "others", "others"], "others: contains no results"),
    ],
)
def test_folders_that_do_not_serve_are_refused_like_everything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").touch()
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "passwd").touch()
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"schedlab: {message}")
    assert "remedy:" in done.stderr and "Usage:" not in done.stderr
