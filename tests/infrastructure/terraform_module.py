"""The Terraform module under test: where it is, its programs, and good variables of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1] / "workflow/infrastructure/terraform"
MODULE = ROOT / "modules/cluster"
PROVIDER_VERSION = "0.8.3"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f bench"


def terraform_program() -> str:
    """Terraform or OpenTofu; the test is skipped where neither is."""
    found = shutil.which("terraform") or shutil.which("tofu")
    if found is None:
        pytest.skip("neither terraform nor tofu is installed")
    return found


def node(**changes: Any) -> dict[str, Any]:
    """One of the module's nodes."""
    return {
        "role": "compute",
        "vcpus": 2,
        "memory_mib": 128,
        "mac": "52:54:0a:1b:2c:3d",
        "address": "10.0.100.11",
    } | changes


HEAD = node(role="head", vcpus=1, mac="52:54:0a:1b:2c:3c", address="10.0.100.10")


def variables(**changes: Any) -> dict[str, Any]:
    """Variables that the module takes, with changes."""
    return {
        "checkout": "0a1b2c3d",
        "run": "r1",
        "cluster": "slurm-n1",
        "accelerator": "tcg",
        "nodes": {"head": HEAD, "compute1": node()},
        "pool_directory": "/scratch/pool",
        "console_directory": "/scratch/console",
        "base_image": "/images/slurm.qcow2",
        "ssh_public_key": KEY,
    } | changes
