"""The Packer templates: formatting and validation (a real build is in the end-to-end test)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from schedlab.images.parts import role_parts
from schedlab.schedulers import get_scheduler, image_roles, scheduler_names
from schedlab.sources.ansible import stated_files

pytestmark = pytest.mark.infrastructure

INFRASTRUCTURE = Path(__file__).resolve().parents[2] / "workflow/infrastructure"
TEMPLATES = sorted((INFRASTRUCTURE / "packer").glob("*.pkr.hcl"))
ROLES = INFRASTRUCTURE / "ansible/roles"
IMAGES = sorted({get_scheduler(name).image for name in scheduler_names()})


def of_image(image: str) -> dict[str, str]:
    """Variables that differ between images."""
    roles = image_roles(image)
    return {
        "roles": json.dumps(roles),
        "variables_file": "variables.json",
        "verify_scripts": json.dumps([str(ROLES / role / "files/verify.sh") for role in roles]),
        "secrets": json.dumps(role_parts(stated_files(image_roles(image), "Debian")).secrets),
    }


@pytest.fixture(scope="module")
def packer() -> str:
    """Packer: of SCHEDLAB_PACKER or of PATH. A program of cracklib's has the same name."""
    found = os.environ.get("SCHEDLAB_PACKER") or shutil.which("packer")
    if found is None:
        pytest.skip("no packer: set SCHEDLAB_PACKER, or build it with `make setup`")
    version = subprocess.run(
        [found, "version"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if "Packer v" not in version.stdout:
        pytest.skip(f"{found} is not HashiCorp's packer")
    return found


@pytest.fixture(scope="module")
def environment(packer: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which Packer finds its qemu plugin and asks no network."""
    folder = tmp_path_factory.mktemp("packer")
    result = os.environ | {
        "CHECKPOINT_DISABLE": "1",
        "PACKER_CONFIG_DIR": str(folder / "config"),
        "PACKER_CACHE_DIR": str(folder / "cache"),
    }
    if "PACKER_PLUGIN_PATH" not in result:
        plugin = shutil.which("packer-plugin-qemu")
        if plugin is None:
            pytest.skip("no packer-plugin-qemu: set PACKER_PLUGIN_PATH, or `make setup`")
        result["PACKER_PLUGIN_PATH"] = str(folder / "plugins")
        subprocess.run(
            [packer, "plugins", "install", "--path", str(Path(plugin).resolve()),
             "github.com/hashicorp/qemu"],
            env=result, check=True, capture_output=True,
        )  # fmt: skip
    return result


def validate(
    packer: str, template: Path, environment: Mapping[str, str], variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    words = [word for name, text in variables.items() for word in ("-var", f"{name}={text}")]
    return subprocess.run(
        [packer, "validate", *words, str(template)],
        env=dict(environment), capture_output=True, text=True, stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    for name in ("base.qcow2", "seed.iso", "payload"):
        (tmp_path / name).touch()
    return {
        **of_image("slurm"),
        "base_disk": str(tmp_path / "base.qcow2"),
        "base_sha256": "0" * 64,
        "seed": str(tmp_path / "seed.iso"),
        "private_key": str(key),
        "accelerator": "tcg",
        "output_directory": str(tmp_path / "build"),
        "manifest": str(tmp_path / "manifest.json"),
        "ansible_directory": str(INFRASTRUCTURE / "ansible"),
        "guest_directory": str(INFRASTRUCTURE / "guest"),
        "payload": str(tmp_path / "payload"),
        "facts_directory": str(tmp_path),
    }


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_template_is_formatted(packer: str, template: Path) -> None:
    done = subprocess.run(
        [packer, "fmt", "-check", "-diff", str(template)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("accelerator", ["tcg", "kvm"])
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_template_is_valid(
    packer: str,
    environment: dict[str, str],
    variables: dict[str, str],
    template: Path,
    accelerator: str,
    image: str,
) -> None:
    chosen = {"accelerator": accelerator, **of_image(image)}
    done = validate(packer, template, environment, variables | chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("roles", '["../slurm"]', "The roles must be a list of names of lower-case letters"),
        ("roles", "[]", "The roles must be a list of names of lower-case letters"),
        ("accelerator", "xen", "The accelerator must be kvm or tcg"),
        ("base_sha256", "abc", "The digest must be 64 hexadecimal digits"),
        ("base_disk", "disk.qcow2", "The base disk must be an absolute path"),
    ],
)
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_nonsense_is_refused(
    packer: str,
    environment: dict[str, str],
    variables: dict[str, str],
    template: Path,
    name: str,
    value: str,
    message: str,
) -> None:
    done = validate(packer, template, environment, variables | {name: value})
    assert done.returncode != 0
    assert message in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    "script", sorted((INFRASTRUCTURE / "packer/scripts").glob("*.sh")), ids=lambda path: path.name
)
def test_scripts_parse(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)
