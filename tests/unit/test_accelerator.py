"""The probe of the accelerator: it boots a guest, and says why it falls back."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from schedlab.errors import SchedlabError
from schedlab.images.probe import boot_options, boots, probe_accelerator


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
