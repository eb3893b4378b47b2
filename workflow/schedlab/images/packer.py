"""Build an image on a base disk with Packer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.images.payload import compile_program
from schedlab.images.qcow2 import move_disk
from schedlab.last_words import packer_error
from schedlab.outside.output import copy_output
from schedlab.paths import ANSIBLE, GUEST_PROGRAMS, PACKER, ROLES
from schedlab.results.records import file_digest

MEMORY, CLOUD_MEMORY = 1024, 2048
"""Memory of a build's guest, MiB; dnf with EPEL's lists does not fit into the smaller one."""
BACKING = "../base/disk.qcow2"
"""Where an image finds its base disk, from ``results/images/<image>/image``."""

USER_DATA = """\
#cloud-config
hostname: image
users:
  - name: bench
    shell: /bin/bash
    lock_passwd: true
    sudo: "ALL=(ALL) NOPASSWD:ALL"
    ssh_authorized_keys: ["{key}"]
disable_root: true
ssh_pwauth: false
ssh_genkeytypes: [ed25519]
package_update: false
growpart: {{mode: "{grow}"}}
resize_rootfs: {resize}
"""


def make_seed(folder: Path, grow: bool) -> tuple[Path, Path]:
    """Make a key and a cloud-init seed for one build; return the seed and the private key.

    `grow` says whether the guest's file system fills its disk, as that of a cloud image does not.
    """
    key = folder / "key"
    processes.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "build", "-f", str(key)],
        check=True,
        capture_output=True,
    )
    public = key.with_suffix(".pub").read_text().strip()
    (folder / "user-data").write_text(
        USER_DATA.format(key=public, grow="auto" if grow else "off", resize=str(grow).lower())
    )
    (folder / "meta-data").write_text("instance-id: image-build\nlocal-hostname: image\n")
    seed = folder / "seed.iso"
    processes.run(
        ["genisoimage", "-quiet", "-output", str(seed), "-volid", "cidata", "-rational-rock",
         "-joliet", str(folder / "user-data"), str(folder / "meta-data")],
        check=True, capture_output=True,
    )  # fmt: skip
    return seed, key


def run_packer(
    roles: Sequence[str],
    base: Path,
    output: Path,
    *,
    variables: Mapping[str, Any],
    cloud: bool,
    secrets: Sequence[str],
    packer: Path,
    environment: Mapping[str, str],
    accelerator: str,
    scratch: Path,
    console: Path,
    files: Path | None = None,
) -> None:
    """Run Packer.

    Parameters
    ----------
    roles : sequence of str
        Ansible roles whose install parts make the image; each one's ``files/verify.sh``, where it
        has one, checks the result.
    base : pathlib.Path
        Base disk.
    output : pathlib.Path
        Folder; gets ``disk.qcow2`` (an overlay of `base` by relative path), ``manifest.json`` and
        ``packages.txt``.
    variables : mapping
        Ansible variables that say which distribution the base disk has.
    cloud : bool
        Whether the base disk is a cloud image: its file system is grown to the size of the disk
        first, and packages are installed in the guest.
    secrets : sequence of str
        Absolute paths of files in the guest that every machine must make itself; they are removed.
    packer : pathlib.Path
        Executable.
    environment : mapping of str to str
        Plugin path and the like.
    accelerator : {"kvm", "tcg"}
        From the accelerator record.
    scratch : pathlib.Path
        Folder for the build's key, seed and temporary files.
    console : pathlib.Path
        File that gets what the guest's console printed, where the build fails.
    files : pathlib.Path, optional
        Disk with large files for the roles.

    Raises
    ------
    SchedlabError
        When the build fails; it names the console's log.
    """
    work = scratch / "packer"
    facts = work / "facts"
    facts.mkdir(parents=True)
    output.mkdir(parents=True, exist_ok=True)
    seed, key = make_seed(work, cloud)
    (work / "variables.json").write_text(json.dumps(dict(variables)))
    payload = compile_program("schedlab_payload", work / "schedlab-payload")
    # Packer and OpenSSH make sockets, for which the path of the scratch folder may be too long. And
    # signs such as # and a comma in a path mean something in Packer's URLs, QEMU's options and the
    # shell. So the build sees all files through links in a folder with a short and plain path.
    with processes.socket_folder() as short:

        def link(name: str, target: Path) -> Path:
            (short / name).symlink_to(target.resolve())
            return short / name

        plain = link("work", work)
        roles_folder = link("ansible", ANSIBLE) / ROLES.relative_to(ANSIBLE)
        scripts = [roles_folder / role / "files/verify.sh" for role in roles]
        given = {
            "roles": json.dumps(list(roles)),
            "verify_scripts": json.dumps([str(path) for path in scripts if path.exists()]),
            "secrets": json.dumps(list(secrets)),
            "files_disk": link("files.iso", files) if files else "",
            "base_disk": link("base.qcow2", base),
            "base_sha256": file_digest(base),
            "seed": plain / seed.relative_to(work),
            "private_key": plain / key.relative_to(work),
            "accelerator": accelerator,
            "output_directory": plain / "build",
            "manifest": plain / "facts/manifest.json",
            "ansible_directory": short / "ansible",
            "guest_directory": link("guest", GUEST_PROGRAMS),
            "payload": plain / payload.relative_to(work),
            "facts_directory": plain / "facts",
            "variables_file": plain / "variables.json",
            "memory": CLOUD_MEMORY if cloud else MEMORY,
        }
        command: list[str | Path] = [packer, "build", "-color=false"]
        for name, value in given.items():
            command += ["-var", f"{name}={value}"]
        command.append(link("packer", PACKER) / "scheduler.pkr.hcl")
        status, said = processes.run_logged(
            command,
            added={
                **environment,
                "PACKER_CACHE_DIR": str(plain / "cache"),
                "PACKER_CONFIG_DIR": str(plain / "config"),
                "TMPDIR": str(short),
                "ANSIBLE_LOCAL_TEMP": str(plain / "ansible"),
                "ANSIBLE_HOME": str(plain / "ansible-home"),
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(short),
            },
        )
    if status:
        # Beside the stage's log, because a cache entry that was not finished is removed.
        if printed := (facts / "console.log").exists():
            copy_output(facts / "console.log", console)
        raise SchedlabError(
            f"packer ended with status {status}: {packer_error(said)}",
            stage="image",
            log=console if printed else None,
        )
    # `output` may be a cache entry: the path is relative to the results folder that gets it.
    move_disk(work / "build" / "disk.qcow2", output / "disk.qcow2", BACKING)
    for name in ("manifest.json", "packages.txt"):
        shutil.copyfile(facts / name, output / name)
