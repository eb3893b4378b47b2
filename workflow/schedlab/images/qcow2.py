"""Overlays and their backing files, by qemu-img."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from schedlab import processes
from schedlab.errors import SchedlabError


def _qemu_img(*arguments: str) -> None:
    done = processes.run(["qemu-img", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SchedlabError(f"qemu-img {' '.join(arguments)}: {done.stderr.strip()}")


def create_overlay(backing: Path, overlay: Path) -> Path:
    """Create a qcow2 overlay whose backing path is relative to it."""
    overlay.parent.mkdir(parents=True, exist_ok=True)
    relative = os.path.relpath(backing.resolve(), overlay.parent.resolve())
    _qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", relative, str(overlay))
    # What a guest writes may be secret.
    overlay.chmod(0o600)
    return overlay


def move_disk(source: Path, target: Path, backing: str) -> None:
    """Move a disk and point it at its backing file by a path relative to its new place."""
    shutil.move(source, target)
    _qemu_img("rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", backing, str(target))
