"""Images: package sources of the host, cloud images by digest, the payload, the accelerator."""

from __future__ import annotations

import hashlib
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.images import base, base_guest
from schedlab.images.base import bootstrap_command
from schedlab.images.cloud import download, fetch_cloud_image
from schedlab.images.parts import RoleParts, role_parts
from schedlab.images.payload import compile_program
from schedlab.images.probe import boot_options, boots, probe_accelerator
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
    assert [group.name for group in image_programs("kubernetes")] == ["kubernetes", "volcano"]
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


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    return compile_program(
        "schedlab_payload", tmp_path_factory.mktemp("payload") / "schedlab-payload"
    )


def stamps(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text().splitlines()]


@pytest.mark.parametrize("mode", ["sleep", "spin"])
def test_payload_stamps_its_first_and_last_instant(
    payload: Path, tmp_path: Path, mode: str
) -> None:
    file = tmp_path / "stamps.txt"
    before = time.time_ns()
    subprocess.run([payload, file, "12", "3", "0.2", mode], check=True)
    after = time.time_ns()
    first, last = stamps(file)
    assert first[:3] == ["first", "12", "3"]
    assert last[:3] == ["last", "12", "3"]
    assert before <= int(first[3]) < int(last[3]) <= after
    assert int(last[3]) - int(first[3]) >= 0.2e9 - 1e6
    assert first[4:] == last[4:] == [os.uname().nodename, str(len(os.sched_getaffinity(0)))]


def test_payload_lets_every_user_stamp_whatever_the_umask(payload: Path, tmp_path: Path) -> None:
    file = tmp_path / "stamps.txt"
    subprocess.run([payload, file, "1", "0", "0", "sleep"], check=True, umask=0o077)
    assert file.stat().st_mode & 0o777 == 0o666


def test_stamps_of_many_payloads_do_not_mix(payload: Path, tmp_path: Path) -> None:
    file = tmp_path / "stamps.txt"
    running = [subprocess.Popen([payload, file, str(job), "0", "0", "sleep"]) for job in range(100)]
    assert all(process.wait() == 0 for process in running)
    rows = stamps(file)
    assert len(rows) == 200
    assert {(row[0], row[1]) for row in rows} == {
        (event, str(job)) for job in range(100) for event in ("first", "last")
    }


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["f", "1", "0", "0"], 64),
        (["f", "x", "0", "0", "sleep"], 64),
        (["f", "1", "-1", "0", "sleep"], 64),
        (["f", "1", "0", "-1", "sleep"], 64),
        (["f", "1", "0", "nan", "sleep"], 64),
        (["f", "1", "0", "0", "idle"], 64),
        (["absent/f", "1", "0", "0", "sleep"], 74),
    ],
)
def test_payload_refuses_nonsense(
    payload: Path, tmp_path: Path, arguments: list[str], status: int
) -> None:
    done = subprocess.run([payload, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == status
    assert done.stderr
    assert not (tmp_path / "f").exists()


def test_payload_is_static_and_the_same_each_time(payload: Path, tmp_path: Path) -> None:
    again = compile_program("schedlab_payload", tmp_path / "elsewhere" / "again")
    assert again.read_bytes() == payload.read_bytes()
    # A dynamic program names its loader.
    assert not re.search(rb"/ld-linux[-\w]*\.so", payload.read_bytes())


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def test_a_guest_that_reaches_the_prompt_boots() -> None:
    works, reason = boots(shell("printf '(initr'; sleep 0.1; echo 'amfs) '; exec sleep 60"))
    assert works, reason


def test_an_emulator_that_stops_is_quoted() -> None:
    works, reason = boots(shell("echo 'failed to initialize kvm' >&2"))
    assert not works
    assert "failed to initialize kvm" in reason


def test_a_guest_that_hangs_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    works, reason = boots(shell(f"echo $$ > {pid_file}; exec sleep 3600"), timeout=5)
    assert not works
    assert "5 s" in reason
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for QEMU that only tells its version."""
    program = tmp_path / "bin" / "qemu-system-x86_64"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nprint('QEMU emulator version 7.2.0 (Debian)')\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


def test_without_kvm_auto_falls_back_and_says_why(emulator: None, tmp_path: Path) -> None:
    finding = probe_accelerator(tmp_path, "auto", device=tmp_path / "absent")
    assert finding["accelerator"] == "tcg"
    assert "absent does not exist" in finding["reason"]
    assert finding["requested"] == "auto"
    assert finding["qemu_version"] == "7.2.0"


def test_an_emulator_that_boots_nothing_falls_back(emulator: None, tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    device.touch()
    finding = probe_accelerator(tmp_path, "auto", device=device)
    assert finding["accelerator"] == "tcg"
    assert "is there, but" in finding["reason"]


def test_a_cloud_image_is_probed_by_its_own_disk(tmp_path: Path) -> None:
    folder = tmp_path / "a,b"
    folder.mkdir()
    options, mark = boot_options(folder)
    # It is only read, and a comma does not end the path.
    assert options[1].endswith("/a,,b/disk.qcow2,if=virtio,format=qcow2,snapshot=on")
    assert mark in b"[    2.1] systemd[1]: systemd 252 running in system mode"
    (folder / "vmlinuz").touch()
    assert boot_options(folder)[0][:2] == ["-kernel", str(folder / "vmlinuz")]


def test_kvm_that_was_asked_for_and_does_not_work_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="kvm was requested") as caught:
        probe_accelerator(tmp_path, "kvm", device=tmp_path / "absent")
    assert "accelerator: auto" in str(caught.value.remedy)


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
