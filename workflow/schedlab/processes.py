"""Starts programs, apart from the settings of whoever runs schedlab.

Every program gets an environment of the variables that ``envs/environment.txt`` lists, and of those
that are the same for everybody. The settings that a user made for Ansible, Terraform, Packer, Git,
Python or the locale would otherwise change a tool in silence. A test checks that no other module
starts a program.
"""

from __future__ import annotations

import codecs
import contextlib
import locale
import os
import pwd
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal, NoReturn, overload

from schedlab.errors import SchedlabError
from schedlab.last_words import last_words
from schedlab.outside.temporary import temporary_folder
from schedlab.paths import CHECKOUT, ENVIRONMENT

ADMINISTRATION = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Folders with libvirtd and others that Debian leaves out of an ordinary user's PATH."""
UMASK = 0o022
"""Permissions that new files do not get. Other users of the machine, such as the one that QEMU runs
as, must read disks, and modes are part of what is built. Secrets get modes of their own."""
LONGEST_TEMPORARY = 28
"""Largest length of TMPDIR, bytes. The path of a socket has at most 107 (unix(7)), and that of a
shared connection has up to 78 below it: ``schedlab-s.`` and 8 letters, OpenSSH's ``%C``, and the 17
that ssh adds while it makes the socket. Terraform and Packer make sockets with shorter names."""

FIXED = {
    # Present on every machine, and no program's messages or orders depend on the user's language.
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    # This package, and not the user's own packages.
    "PYTHONNOUSERSITE": "1",
    "PYTHONPATH": str(CHECKOUT / "workflow"),
    # HashiCorp's tools neither look for updates nor read the user's settings.
    "CHECKPOINT_DISABLE": "1",
    "TF_CLI_CONFIG_FILE": os.devnull,
    "PACKER_CONFIG": "/proc/none",  # there is no such file, which Packer takes for no settings
    "TF_IN_AUTOMATION": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
"""Variables with the same value for everybody."""

Command = Sequence[str | Path]


@cache
def _listed() -> tuple[str, ...]:
    lines = (line.strip() for line in ENVIRONMENT.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def search_path() -> str:
    """PATH with the programs of this Python environment, and `ADMINISTRATION` at the end."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    own = str(Path(sys.executable).parent)
    # A user who has activated an environment has its folder in PATH already, at its place.
    first = [own] if own not in folders else []
    return os.pathsep.join([*first, *folders, *(f for f in ADMINISTRATION if f not in folders)])


def environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment of a program that schedlab starts.

    Parameters
    ----------
    added : mapping of str to str, optional
        What this program needs in addition.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if any(fnmatchcase(name, pattern) for pattern in _listed())
    }
    temporary = Path(kept.get("TMPDIR", ""))
    suits = temporary.is_absolute() and temporary.is_dir()
    if not suits or len(os.fsencode(temporary)) > LONGEST_TEMPORARY:
        kept.pop("TMPDIR", None)
    if not kept.get("HOME"):
        try:
            kept["HOME"] = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:  # a user of a container may have no entry
            kept["HOME"] = "/"
    return {**kept, **FIXED, "PATH": search_path(), **(added or {})}


@overload
def run(
    command: Command,
    *,
    added: Mapping[str, str] | None = None,
    text: Literal[True],
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[str]: ...


@overload
def run(
    command: Command,
    *,
    added: Mapping[str, str] | None = None,
    text: Literal[False] = False,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[bytes]: ...


def run(
    command: Command,
    *,
    added: Mapping[str, str] | None = None,
    text: bool = False,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """Run a program to its end, without standard input unless `options` give one.

    Parameters
    ----------
    command : sequence of str or pathlib.Path
        The program and its arguments.
    added : mapping of str to str, optional
        Variables to add to its environment.
    text : bool
        Decode its output.
    check : bool
        Raise an error when it fails.
    options
        As of :func:`subprocess.run`, except the environment.

    Raises
    ------
    SchedlabError
        When it fails and `check` is set; it has the program's last words where they are captured.
    subprocess.TimeoutExpired
        When it does not end within the option `timeout`.
    OSError
        When the program cannot be started, for example because it is not installed.
    """
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(
        command, env=environment(added), umask=UMASK, text=text, check=False, **options
    )
    if check and done.returncode:
        said = done.stderr or done.stdout or ""
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        words = f": {last_words(said)}" if said.strip() else ""
        raise SchedlabError(f"{command[0]} ended with status {done.returncode}{words}")
    return done


@overload
def start(
    command: Command,
    *,
    added: Mapping[str, str] | None = None,
    text: Literal[True],
    **options: Any,
) -> subprocess.Popen[str]: ...


@overload
def start(
    command: Command,
    *,
    added: Mapping[str, str] | None = None,
    text: Literal[False] = False,
    **options: Any,
) -> subprocess.Popen[bytes]: ...


def start(
    command: Command, *, added: Mapping[str, str] | None = None, text: bool = False, **options: Any
) -> subprocess.Popen[Any]:
    """Start a program and return it while it runs.

    Parameters and errors are those of `run`; further options are those of
    :class:`subprocess.Popen`.
    """
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(command, env=environment(added), umask=UMASK, text=text, **options)


def run_logged(
    command: Command,
    *,
    added: Mapping[str, str] | None = None,
    given: str = "",
    kept: int = 1000,
) -> tuple[int, list[str]]:
    """Run a program, pass its output on to this job's; return its status and its last lines.

    The output is read here, because what goes to the job's log (a pipe) cannot be read back.

    Parameters
    ----------
    command, added
        As in `run`.
    given : str
        Its standard input, a short text; it has none where this is empty.
    kept : int
        Largest number of lines that are returned.

    Raises
    ------
    OSError
        As `run`.
    """
    last: deque[str] = deque(maxlen=kept)
    process = start(
        command,
        added=added,
        stdin=subprocess.PIPE if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout
    try:
        if process.stdin:
            # The pipe takes a short text at once. A program that has ended already read none.
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(given)
        for line in process.stdout:
            print(line, end="", file=sys.stderr, flush=True)
            last.append(line.rstrip("\n"))
        return process.wait(), list(last)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        process.stdout.close()


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End a program that was started: by SIGTERM, or by SIGKILL if it takes longer than that.

    Parameters
    ----------
    process : subprocess.Popen
        The program; it may have ended.
    seconds : float
        Time that it has after SIGTERM, s.
    """
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def become(command: list[str], added: Mapping[str, str] | None = None) -> NoReturn:
    """Replace this process by a program; `added` is as in `run`.

    Raises
    ------
    OSError
        When the program cannot be started.
    """
    os.execvpe(command[0], command, environment(added))


@contextlib.contextmanager
def socket_folder() -> Iterator[Path]:
    """Make a folder for sockets, whose path is short wherever the results are; remove it."""
    folder = environment().get("TMPDIR", "/tmp")
    with temporary_folder("schedlab-s.", Path(folder)) as made:
        yield made


@contextlib.contextmanager
def listed_only() -> Iterator[None]:
    """Let this process' own environment be that of a child inside the block.

    For libraries that start programs themselves.
    """
    before = dict(os.environ)
    _replace(environment())
    try:
        yield
    finally:
        _replace(before)


def settle(*, again: bool = False) -> None:
    """Take the environment of a child for this process, for what it and its libraries start.

    Parameters
    ----------
    again : bool
        Start the program again if the user's environment has already changed the interpreter (its
        modules, its warnings or its encoding) or Snakemake (its profile).
    """
    wanted = environment()
    strange = any(
        value != wanted.get(name)
        for name, value in os.environ.items()
        if name.startswith(("PYTHON", "SNAKEMAKE_"))
    )
    # Where a system lacks the locale, starting again with it would not help.
    utf8 = codecs.lookup(locale.getpreferredencoding(False)).name == "utf-8"
    foreign = not utf8 and os.environ.get("LC_ALL") != wanted["LC_ALL"]
    if again and (strange or foreign):
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)
    _replace(wanted)
    os.umask(UMASK)
    # This process may have asked for it before.
    tempfile.tempdir = None


def _replace(content: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(content)
