"""Runs Terraform (or OpenTofu) on the root module."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.last_words import last_words
from schedlab.paths import TERRAFORM
from schedlab.toolchain import Toolchain

STAGE = "provision"

ATTEMPTS = 4
SEED_LOST = "error while retrieving remote ISO: error initializing ISO reader"
"""Message of the provider about a seed that it could not read back, although the seed is complete.

The provider reads every seed through libvirt, right after it made the seed and at each refresh.
libvirtd (daemonAddClientStream) lets its main thread send the data before its worker thread has
sent the reply to the call. The provider's RPC library (go-libvirt, requestStream) takes whichever
packet comes first for the reply, and a later reply for the end of the data. It then has an empty
or partial seed. Packets traced on 2 cores (libvirt 9.0): the data came first in 51 of 20,000
downloads made one by one, and in 125 of 16,000 made two at a time. So a lower -parallelism makes
the fault rarer but does not prevent it. Running the command again helps: a refresh changes
nothing, and a seed whose creation failed like this is tainted in the state and made again.
"""
SEED_LIMIT = 60
"""Time after which Terraform is ended if a seed is not made, s. One (some 400 kB) takes 1 or 2 s.

The fault of `SEED_LOST` can also make the provider wait for a reply that it has already discarded.
Terraform itself has no limit and was seen to wait for 18 minutes.
"""
_SEED_WAITS = re.compile(
    r"libvirt_cloudinit_disk\.\S+ Still (?:creating|reading)\.\.\. \[(?:(\d+)m)?(\d+)s"
)
_GRACE = 10.0
"""Time that Terraform has to end after a signal, s."""


class InVain(SchedlabError):
    """Terraform waits in vain. What it made must be removed and made again."""


def _nothing() -> None:
    pass


def call(
    command: Sequence[str],
    folder: Path,
    added: Mapping[str, str],
    *,
    capture: bool = False,
    limit: float = 900,
    check: Callable[[], None] = _nothing,
) -> str:
    """Run Terraform, and run it again after the fault that `SEED_LOST` describes.

    Parameters
    ----------
    command : sequence of str
        Executable, subcommand and arguments.
    folder : pathlib.Path
        The root module.
    added : mapping
        Variables to add to its environment.
    capture : bool
        Return the output; by default it goes to the job's log.
    limit : float
        Seconds for one attempt.
    check : callable
        Is called at every line that Terraform prints while it waits, each 10 s; raises `InVain`
        where what it waits for cannot come.

    Raises
    ------
    InVain
        When it waits for a seed in vain, or `check` said so.
    SchedlabError
        When Terraform fails, with its own message, or does not end within the limit.
    """
    for attempt in range(1, ATTEMPTS + 1):
        status, output, errors = _run(
            command, folder, added, capture=capture, limit=limit, check=check
        )
        if not status:
            return output
        # Terraform wraps its messages and draws frames around them.
        said = " ".join(word for word in errors.split() if word not in "│╷╵")
        if SEED_LOST not in said:
            break
        # On standard error, because a caller may read what is on standard output.
        print(
            f"terraform {command[1]}: a seed was lost on its way (attempt {attempt} of {ATTEMPTS})",
            file=sys.stderr,
            flush=True,
        )
    taken = re.search(r"already (?:exists|in use)|is in use by", errors)
    raise SchedlabError(
        f"terraform {command[1]} failed: {last_words(errors)}",
        stage=STAGE,
        remedy="`make reap` removes what an earlier run left" if taken else None,
    )


def _run(
    command: Sequence[str],
    folder: Path,
    added: Mapping[str, str],
    *,
    capture: bool,
    limit: float,
    check: Callable[[], None],
) -> tuple[int, str, str]:
    """Run Terraform once; return its status, its output (where captured), and its errors.

    Raises
    ------
    InVain
        When it waits for a seed, or `check` said so.
    SchedlabError
        When it did not end within its limit.
    """
    ended: list[SchedlabError] = []
    with (
        tempfile.TemporaryFile("w+") as errors,
        processes.start(
            command, added=added, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):

        def end(error: SchedlabError) -> None:
            ended.append(error)
            # After the first signal Terraform finishes what it began; the second one stops that.
            for stop in (process.terminate, process.terminate, process.kill):
                stop()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE)
                    return

        last = ""

        def too_long() -> None:
            waits = f"; it said last: {last_words(last)}" if last.strip() else ""
            message = f"terraform {command[1]} did not end within {limit:g} s{waits}"
            end(SchedlabError(message, stage=STAGE))

        watchdog = threading.Timer(limit, too_long)
        watchdog.daemon = True
        watchdog.start()
        output: list[str] = []
        try:
            assert process.stdout
            for line in process.stdout:
                last = line
                if capture:
                    output.append(line)
                else:
                    print(line, end="", flush=True)
                try:
                    _require_seed(line)
                    check()
                except InVain as error:
                    if not ended:
                        end(error)
            status = process.wait()
        except BaseException:
            # The testbed, which Terraform talks to, is removed next.
            process.kill()
            raise
        finally:
            watchdog.cancel()
        errors.seek(0)
        said = errors.read()
    if ended:
        raise ended[0]
    return status, "".join(output), said


def _require_seed(line: str) -> None:
    """Raise `InVain` when a line of Terraform says that it waits too long for a seed."""
    waits = _SEED_WAITS.search(line)
    if waits and int(waits[1] or 0) * 60 + int(waits[2]) >= SEED_LIMIT:
        raise InVain(f"a seed was not made within {SEED_LIMIT} s", stage=STAGE)


class Terraform:
    """Terraform (or OpenTofu) in a folder of its own.

    Parameters
    ----------
    toolchain : Toolchain
        Names the executable and its environment (plugin mirror).
    folder : pathlib.Path
        Working copy of the root module; state is kept here.
    """

    def __init__(self, toolchain: Toolchain, folder: Path) -> None:
        self._executable = str(toolchain.path("terraform"))
        self._environment = toolchain.environment()
        self.folder = folder
        shutil.copytree(
            TERRAFORM, folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*")
        )

    def run(
        self,
        *arguments: str,
        capture: bool = False,
        limit: float = 900,
        check: Callable[[], None] = _nothing,
    ) -> str:
        """Run a subcommand; its output goes to the job's log unless captured (see `call`)."""
        command = [self._executable, *arguments]
        return call(
            command, self.folder, self._environment, capture=capture, limit=limit, check=check
        )

    def apply(
        self, variables: dict[str, Any], limit: float, check: Callable[[], None] = _nothing
    ) -> dict[str, Any]:
        """Initialise, apply, and return the outputs document.

        `limit` is for the apply, s; `check` as in `call`.
        """
        (self.folder / "terraform.tfvars.json").write_text(json.dumps(variables, indent=1))
        self.run("init", "-input=false", "-no-color")
        apply = ("apply", "-input=false", "-no-color", "-auto-approve")
        self.run(*apply, limit=limit, check=check)
        outputs: dict[str, Any] = json.loads(self.run("output", "-json", capture=True))
        return outputs
