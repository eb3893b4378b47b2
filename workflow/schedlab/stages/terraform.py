"""Terraform (or OpenTofu) at work on the root module."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.paths import INFRASTRUCTURE
from schedlab.toolchain import Toolchain

STAGE = "provision"
TERRAFORM = INFRASTRUCTURE / "terraform"

ATTEMPTS = 4
SEED_LOST = "error while retrieving remote ISO: error initializing ISO reader"
"""What the provider says of a seed that it could not read back, although it is whole.

It reads every seed back through libvirt, right after it made it and at each refresh. libvirtd
(daemonAddClientStream) lets its main thread send the data before its worker thread has sent the
reply to the call; the provider's RPC library (go-libvirt, requestStream) takes whichever packet
comes first for the reply, and a reply after that for the end of the data: it then has an empty
seed, or a part of one. Packets traced on 2 cores (libvirt 9.0): the data came first in 51 of 20,000
downloads made one by one, in 125 of 16,000 made two at a time; so a lower -parallelism makes it
rarer and is no remedy. Running the command again is one: nothing was changed at a refresh, and a
seed whose creation ended like this is tainted in the state and made anew.
"""


def call(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    capture: bool = False,
) -> str:
    """Run Terraform; run it again where it lost a seed that is there (`SEED_LOST`).

    Parameters
    ----------
    command : sequence of str
        Executable, subcommand and arguments.
    folder : pathlib.Path
        The root module.
    environment : mapping
        Environment of the process.
    capture : bool
        Return the output; by default it goes to the job's log.

    Raises
    ------
    SchedlabError
        With Terraform's own message.
    """
    for attempt in range(1, ATTEMPTS + 1):
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        if not done.returncode:
            return done.stdout or ""
        # Terraform wraps and frames its messages.
        said = " ".join(word for word in done.stderr.split() if word not in "│╷╵")
        if SEED_LOST not in said:
            break
        # Standard output may be someone's to read; this belongs to the log.
        print(
            f"terraform {command[1]}: a seed was lost on its way (attempt {attempt} of {ATTEMPTS})",
            file=sys.stderr,
            flush=True,
        )
    raise SchedlabError(
        f"terraform {command[1]} failed: {done.stderr.strip()[-1500:]}",
        stage=STAGE,
        remedy="see the message above; `make reap` removes what an earlier run left",
    )


class Terraform:
    """Terraform (or OpenTofu) at work in a folder of its own.

    Parameters
    ----------
    toolchain : Toolchain
        Names the executable and its environment (plugin mirror).
    folder : pathlib.Path
        Working copy of the root module; state is kept here.
    """

    def __init__(self, toolchain: Toolchain, folder: Path) -> None:
        self._executable = str(toolchain.path("terraform"))
        self._environment = os.environ | toolchain.environment() | {"TF_IN_AUTOMATION": "1"}
        self.folder = folder
        shutil.copytree(
            TERRAFORM, folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*")
        )

    def run(self, *arguments: str, capture: bool = False) -> str:
        """Run a subcommand; its output goes to the job's log unless captured.

        Raises
        ------
        SchedlabError
            With Terraform's own message.
        """
        command = [self._executable, *arguments]
        return call(command, self.folder, self._environment, capture=capture)

    def apply(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Initialise, apply, and return the outputs document."""
        (self.folder / "terraform.tfvars.json").write_text(json.dumps(variables, indent=1))
        self.run("init", "-input=false", "-no-color")
        self.run("apply", "-input=false", "-no-color", "-auto-approve")
        outputs: dict[str, Any] = json.loads(self.run("output", "-json", capture=True))
        return outputs
