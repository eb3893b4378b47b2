"""Images: package sources of the host, base disks, cloud images by digest."""

from __future__ import annotations

import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from schedlab import design, processes
from schedlab.config import HostFacts
from schedlab.errors import SchedlabError
from schedlab.images import base, base_guest
from schedlab.images.base import bootstrap_command
from schedlab.images.cloud import download, fetch_cloud_image
from schedlab.images.parts import RoleParts, role_parts
from schedlab.paths import CHECKOUT
from schedlab.privacy.package_mirrors import (
    MIRROR_VARIABLE,
    PackageSource,
    debian_mirror,
    parse_deb822,
    parse_one_line,
)
from schedlab.schedulers import image_programs, image_roles
from schedlab.sources.ansible import stated_files
from schedlab.stages.base_disk import cache_inputs

DEB822 = """\
# Comment
Types: deb deb-src
# Another, in the middle of a paragraph
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main
"""

ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://other.example/apt stable main
deb http://deb.example/debian bookworm main contrib # the archive
"""


def machine(root: Path, **files: str) -> Path:
    folder = root / "etc/apt/sources.list.d"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return root


@pytest.fixture(autouse=True)
def no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)


def test_deb822_paragraphs_with_comments_and_continuation_lines() -> None:
    assert list(parse_deb822(DEB822)) == [
        PackageSource("http://mirror.example/debian", "bookworm", ("main", "contrib")),
        PackageSource("http://mirror.example/debian", "bookworm-updates", ("main", "contrib")),
    ]


def test_deb822_text_is_never_taken_for_the_name_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Types: deb").write_text(DEB822)
    monkeypatch.chdir(tmp_path)
    assert list(parse_deb822("Types: deb")) == []


def test_one_line_sources_with_options_and_comments() -> None:
    assert list(parse_one_line(ONE_LINE)) == [
        PackageSource("https://other.example/apt", "stable", ("main",)),
        PackageSource("http://deb.example/debian", "bookworm", ("main", "contrib")),
    ]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"debian_sources": DEB822}, "http://mirror.example/debian"),
        ({"a_list": ONE_LINE}, "http://deb.example/debian"),
        (
            {"s_list": "deb http://s.example/archive/debian/20250809T000000Z/ trixie main\n"},
            "http://s.example/archive/debian/20250809T000000Z/",
        ),
        # Security updates are another archive; Ubuntu's and others' are not Debian's.
        ({"a_list": "deb http://x.example/debian-security trixie-security main\n"}, None),
        ({"a_list": "deb http://x.example/debian trixie-updates main\n"}, None),
        ({"a_list": "deb http://x.example/ubuntu noble main\n"}, None),
        ({"a_list": "deb https://x.example/linux/debian trixie stable\n"}, None),
        ({"a_list_disabled": "deb http://x.example/debian trixie main\n"}, None),
        ({}, None),
    ],
)
def test_the_archive_is_the_hosts_own(
    tmp_path: Path, files: dict[str, str], expected: str | None
) -> None:
    assert debian_mirror(machine(tmp_path, **files)) == expected


def test_a_variable_overrides_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, "http://override.example/debian")
    assert debian_mirror(machine(tmp_path, a_list=ONE_LINE)) == "http://override.example/debian"
    assert base.sources("trixie") == "deb http://override.example/debian trixie main\n"


def test_credentials_of_a_mirror_reach_apt_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, "https://me:hush@mirror.example/debian")
    words = bootstrap_command("trixie", RoleParts([], [], [], []), tmp_path)
    assert words[-1] == "-" and not [word for word in words if "hush" in word]
    # The list of sources comes to the new system by standard input, and stays there without them.
    listing = tmp_path / "etc/apt/sources.list"
    listing.parent.mkdir(parents=True)
    command = ["sh", "-c", f"cat >{listing}"]
    assert processes.run_logged(command, given=base.sources("trixie")) == (0, [])
    assert "me:hush@" in listing.read_text()
    base.forget_credentials(tmp_path)
    assert listing.read_text() == "deb https://mirror.example/debian trixie main\n"


def test_base_disk_has_the_packages_of_the_roles(tmp_path: Path) -> None:
    parts = role_parts(stated_files(image_roles("slurm"), "Debian"))
    packages = parts.packages
    assert {"slurmctld", "slurmd", "munge", "chrony", "prometheus-node-exporter"} <= set(packages)
    assert packages == sorted(set(packages))
    words = bootstrap_command("trixie", parts, tmp_path)
    include = next(word for word in words if word.startswith("--include="))
    assert {"cloud-init", "openssh-server", *packages} <= set(
        include.removeprefix("--include=").split(",")
    )
    assert {
        "slurmctld", "slurmd", "slurmrestd", "munge", "prometheus-node-exporter",
    } == set(parts.disabled_units)  # fmt: skip
    masking = next(word for word in words if "systemctl --quiet mask" in word)
    assert {"apt-daily.timer", "ufw.service"} & set(masking.split()) == {"apt-daily.timer"}
    disabling = next(word for word in words if "systemctl --quiet disable" in word)
    assert " ".join(parts.disabled_units) in disabling


def test_an_image_has_the_parts_of_all_schedulers_that_share_it() -> None:
    assert image_roles("kubernetes") == ("common", "monitoring", "kubernetes", "volcano")
    programs = [group.name for group in image_programs("kubernetes")]
    assert programs == ["kubernetes", "kwok", "volcano"]
    assert image_programs("slurm") == []
    for family in ("Debian", "RedHat"):
        slurm = role_parts(stated_files(image_roles("slurm"), family))
        assert slurm.secrets == ["/etc/munge/munge.key"]
        assert role_parts(stated_files(image_roles("kubernetes"), family)).secrets == []


def test_removing_what_must_not_be_in_an_image(tmp_path: Path) -> None:
    unwanted = [
        "etc/ssh/ssh_host_ed25519_key",
        "etc/munge/munge.key",
        "etc/shadow-",
        "var/lib/systemd/random-seed",
        "var/cache/ldconfig/aux-cache",
        "var/lib/apt/lists/x_Packages",
    ]
    kept = ["etc/shadow", "etc/ssh/sshd_config", "var/lib/dpkg/status"]
    for name in [*unwanted, *kept, "var/log/wtmp"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    base_guest.write_files(tmp_path)
    base_guest.remove_unwanted(tmp_path, ["/etc/munge/munge.key"])
    assert not [name for name in unwanted if (tmp_path / name).exists()]
    assert all((tmp_path / name).read_text() == "x" for name in kept)
    assert (tmp_path / "var/log/wtmp").read_bytes() == b""
    assert (tmp_path / "etc/machine-id").read_bytes() == b""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()
        thread.join()


def test_cloud_image_is_downloaded_checked_and_grown(server: str, tmp_path: Path) -> None:
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed")
    raw = tmp_path / "served" / "image.raw"
    raw.write_bytes(os.urandom(1 << 20))
    sha256 = hashlib.sha256(raw.read_bytes()).hexdigest()
    spec = {"url": f"{server}/image.raw", "sha256": sha256, "disk": "8 MiB"}
    record = fetch_cloud_image(spec, tmp_path / "base")
    assert record["sha256"] == sha256
    assert [p.name for p in (tmp_path / "base").iterdir()] == ["disk.qcow2"]
    back = tmp_path / "back.raw"
    subprocess.run(
        ["qemu-img", "convert", "-O", "raw", tmp_path / "base/disk.qcow2", back], check=True
    )
    assert back.stat().st_size == 8 << 20
    assert back.read_bytes()[: 1 << 20] == raw.read_bytes()


def test_another_file_than_declared_is_refused(server: str, tmp_path: Path) -> None:
    (tmp_path / "served" / "image.raw").write_bytes(b"not it")
    target = tmp_path / "download"
    with pytest.raises(SchedlabError, match="sha256") as caught:
        download(f"{server}/image.raw", "0" * 64, target)
    assert hashlib.sha256(b"not it").hexdigest() in str(caught.value)
    assert "image.sha256" in str(caught.value.remedy)
    assert not target.exists()


@pytest.mark.parametrize("path", ["/absent.qcow2", None])
def test_an_image_that_cannot_be_read_is_said(
    server: str, tmp_path: Path, path: str | None
) -> None:
    url = f"{server}{path}" if path else f"file://{tmp_path}/absent"
    with pytest.raises(SchedlabError, match="cannot be read"):
        download(url, "0" * 64, tmp_path / "download")
    assert not (tmp_path / "download").exists()


def test_a_failing_mmdebstrap_ends_the_job_with_its_last_words(tmp_path: Path) -> None:
    script = f"""
import os, shutil
from pathlib import Path
from schedlab.images import base
from schedlab.stages.base_disk import build_base_disk
from schedlab.stages.context import Context

os.geteuid = lambda: 0
shutil.which = lambda name: name
base.KEYRING = Path("/dev/null")
base.bootstrap_command = lambda *_: ["sh", "-c", "echo I: working; echo E: no suite >&2; exit 25"]
context = Context.load(Path("config/tests/dag.yaml"), Path({str(tmp_path)!r}))
build_base_disk(context, context.experiment.clusters()[0].scheduler)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=CHECKOUT, env=os.environ | {"SCHEDLAB_CACHE": str(tmp_path / "cache")},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 1
    assert "mmdebstrap ended with status 25: I: working\nE: no suite" in done.stderr
    assert done.stderr.startswith("I: working\n"), "the job's log has the output as it comes"


def test_the_campaigns_of_make_test_share_one_image() -> None:
    """Their base disks and images have equal keys in the cache, so both are built once."""
    keys = []
    for name in ("one-node", "virtual", "two-nodes"):
        path = CHECKOUT / "config/tests" / f"{name}.yaml"
        experiment = design.load_experiment(path, HostFacts(cores=8, memory_mib=16384), CHECKOUT)
        (image,) = design.images(experiment)
        keys.append(
            (
                image,
                cache_inputs(experiment, image),
                design.image_variables(experiment, image),
                experiment.accelerator,
            )
        )
    assert keys[0] == keys[1] == keys[2]
