"""Inputs of users that nobody expects: each works, or is refused in a message."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from schedlab.cli.main import main
from schedlab.config import HostFacts
from schedlab.design import load_experiment
from schedlab.errors import SchedlabError
from schedlab.paths import cache_root
from schedlab.privacy.identity import Identity
from schedlab.storage.marks import sign
from schedlab.swf.file import machine_size

HOST = HostFacts(cores=8, memory_mib=16384, numa_nodes=frozenset({0}), hugepages_mib=0)
BURST = "workloads: [{kind: burst, name: b, jobs: 2, runtime: 0}]\n"


def test_the_cache_is_where_the_user_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SCHEDLAB_CACHE", raising=False)
    # The specification of these folders ignores relative names: this one would be in the checkout.
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_root() == tmp_path / ".cache" / "schedlab"
    monkeypatch.setenv("SCHEDLAB_CACHE", "~/mine")
    assert cache_root() == tmp_path / "mine"
    assert str(tmp_path / "mine") in Identity.detect().folders
    monkeypatch.setenv("SCHEDLAB_CACHE", "~no-such-user/x")
    with pytest.raises(SchedlabError, match="SCHEDLAB_CACHE: ~no-such-user/x: there is no such"):
        cache_root()
    sign(tmp_path / "results")
    done = CliRunner().invoke(main, ["disk", "--results", str(tmp_path / "results")])
    assert done.exit_code == 1 and "remedy: write the whole path" in done.stderr


def test_an_installation_of_a_user_who_does_not_exist_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        BURST + "schedulers: [flux]\nsettings: {flux: {prefix: '~no-such-user/flux'}}\n"
    )
    with pytest.raises(SchedlabError, match=r"settings\.flux\.prefix = .* no such user"):
        load_experiment(path, HOST, tmp_path)


@pytest.mark.parametrize("name", ["a-pipe", "a-folder", "a-loop", "dangling", "/dev/zero"])
def test_an_experiment_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "a-pipe")
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "a-loop").symlink_to("a-loop")
    (tmp_path / "dangling").symlink_to("nothing")
    with pytest.raises(SchedlabError) as caught:
        load_experiment(tmp_path / name, HOST, tmp_path)
    assert caught.value.remedy


def test_sections_of_a_variant_that_are_no_mappings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for section in ("node", "head", "image", "placement", "metrics"):
        for value in ("5", "x", "[]", "no"):
            path.write_text(
                f"{BURST}schedulers: [{{name: a, scheduler: slurm, {section}: {value}}}]\n"
            )
            with pytest.raises(SchedlabError, match=rf"schedulers\[0\]\.{section}"):
                load_experiment(path, HOST, tmp_path)


def test_a_header_with_two_sizes_is_refused(tmp_path: Path) -> None:
    """The first would be taken in silence, and with it another workload."""
    job = "1 0 -1 10 1 -1 -1 1 20 -1 1 1 1 1 1 1 -1 -1\n"
    path = tmp_path / "t.swf"
    path.write_text(f"; MaxProcs: 4\n; MaxNodes: 2\n; MaxProcs: 4 (all)\n{job}")
    assert machine_size(path) == 4
    path.write_text(f"; MaxProcs: 4\n; MaxProcs: 8\n{job}")
    with pytest.raises(SchedlabError, match="t.swf:2: MaxProcs = '8', and '4' in a line before"):
        machine_size(path)
