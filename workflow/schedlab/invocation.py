"""Checks what a user chose on Snakemake's command line, before anything starts."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError, WrongFolder
from schedlab.paths import LONGEST_PATH, own_folder, resolved
from schedlab.printing import brief

CAMPAIGN = "SCHEDLAB_CAMPAIGN"
"""Variable by which the jobs of one run of the workflow know when it began."""
DEFAULTS = {"experiments": "config/experiments.yaml", "results": "results", "include": ""}
"""Keys that ``--config`` may set, and their defaults."""
_LONGEST_PATH = LONGEST_PATH - 511
"""Longest path of a results folder, bytes, which leaves room for the files below it."""
VARIABLES = {"experiments": "SCHEDLAB_EXPERIMENTS", "results": "SCHEDLAB_RESULTS"}
"""Key of ``--config`` -> variable in which the commands of schedlab and the jobs read the same."""
PARTS = ("blocks", "images", "snapshots")
"""Large parts of the results that a bundle has only where the user asks for them."""


def chosen(
    config: Mapping[str, Any],
    configfiles: Sequence[object] = (),
    arguments: Sequence[str] = tuple(sys.argv),
    environment: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the value of each key of ``--config``.

    Parameters
    ----------
    config : mapping
        What Snakemake read.
    configfiles : sequence
        Files that ``--configfile`` names.
    arguments : sequence of str
        The words of the command line.
    environment : mapping, optional
        The variables of the shell from which Snakemake was started.

    Raises
    ------
    SchedlabError
        When there is a key that nothing reads, a value that is empty, that is no part of a bundle
        or that Snakemake did not keep as text, a ``--configfile``, or a variable that chooses
        something else. Otherwise another experiment than the user meant would run.
    """
    _require_no_other(config, environment or {})
    if configfiles:
        raise SchedlabError(
            f"--configfile {configfiles[0]}: the workflow does not read Snakemake's --configfile",
            remedy="did you mean experiments? --config experiments=FILE",
        )
    for key in config:
        if key not in DEFAULTS:
            close = difflib.get_close_matches(key, DEFAULTS, 1, cutoff=0.5) or ["experiments"]
            raise SchedlabError(
                f"--config {brief(key)}: there is no key {brief(key)}",
                remedy=f"did you mean {close[0]}? The keys are {', '.join(DEFAULTS)}",
            )
    for key in ("experiments", "results"):
        # Of `results=` Snakemake keeps the key without a value.
        if key in config and config[key] in (None, ""):
            raise SchedlabError(
                f"--config {key}=: it has no value",
                remedy=f"write a name after it, or leave {key}= out: the default is"
                f" {DEFAULTS[key]}",
            )
    values = {**DEFAULTS, **{key: value for key, value in config.items() if value is not None}}
    for key, value in values.items():
        # Snakemake reads 2024_11_26 and 20241126 as the same number.
        if not isinstance(value, str):
            # The text of a list with aliases can be larger than the memory.
            lists = isinstance(value, list | dict)
            kind = "a list or a mapping" if lists else brief(repr(value))
            raise SchedlabError(
                f"--config {key}: Snakemake reads it as {kind}, which is not text",
                remedy=f"use {', '.join(PARTS)}, separated by commas"
                if key == "include"
                else f"write ./ before it (--config {key}=./NAME), or choose another name",
            )
        # Of `my #1` Snakemake keeps `my`.
        given = [word.partition("=")[2] for word in arguments if word.startswith(f"{key}=")]
        if given and given[-1].strip("\"'") not in (value, quoted(value), ""):
            raise SchedlabError(
                f"--config {key}={given[-1]}: Snakemake reads it as {value!r}",
                remedy=f'quote it for YAML and for the shell: --config "{key}={quoted(given[-1])}"',
            )
    for name in parts(values["include"]):
        if name not in PARTS:
            raise SchedlabError(
                f"--config include={values['include']}: there is no part {name!r}",
                remedy=f"use {', '.join(PARTS)}, separated by commas",
            )
    return values


def _require_no_other(config: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """Refuse variables of the shell in whose place Snakemake would take the default in silence."""
    for key, name in VARIABLES.items():
        text = environment.get(name)
        if text is None or key in config:
            continue
        if not text or Path(text).resolve() != Path(DEFAULTS[key]).resolve():
            raise SchedlabError(
                f"{name}={shlex.quote(brief(text))} is set, and Snakemake takes"
                f" {key}={DEFAULTS[key]}",
                remedy=f"give it to Snakemake (--config {shlex.quote(f'{key}={brief(text)}')}),"
                f" or unset {name}"
                if text
                else f"unset {name}",
            )


def parts(include: str) -> list[str]:
    """Names of the parts that a bundle has in addition, separated by commas."""
    return [name.strip() for name in include.split(",") if name.strip()]


def is_snakemake() -> bool:
    """Whether Snakemake is the program that runs; `schedlab why` reads the Snakefile as well."""
    program = Path(sys.argv[0])
    return program.name == "snakemake" or program.parts[-2:] == ("snakemake", "__main__.py")


def is_dry_run(arguments: Sequence[str] = tuple(sys.argv)) -> bool:
    """Whether Snakemake runs and only plans."""
    short = any(re.fullmatch("-[a-zA-Z]*n[a-zA-Z]*", word) for word in arguments)
    return is_snakemake() and (short or bool({"--dry-run", "--dryrun"} & set(arguments)))


def campaign() -> str:
    """Return when this run of the workflow began; for a stage that runs alone, the present time.

    Every process that the run starts returns the same.
    """
    return os.environ.setdefault(CAMPAIGN, datetime.now(UTC).isoformat(timespec="seconds"))


def quoted(text: str) -> str:
    """Quote a text for YAML; Snakemake takes quotation marks at the ends away, but not blanks."""
    return " '" + text.replace("'", "''") + "' "


def command(
    results: Path, experiments: Path | None = None, *, again: tuple[str | Path, ...] = ()
) -> str:
    """Return the command that brings some results up to date, for a remedy.

    Without ``--config`` Snakemake runs the default experiment in the default folder.

    Parameters
    ----------
    results : pathlib.Path
        The results folder.
    experiments : pathlib.Path, optional
        The experiment of these results; where it is not known, the command says so.
    again : tuple of str or pathlib.Path
        Rules whose files, or files that, are made anew in any case.
    """
    words = ["snakemake", *(["--forcerun", *map(str, again)] if again else []), "--config"]
    told = shlex.join([*words, f"experiments={experiments or 'FILE'}", f"results={results}"])
    return told if experiments else f"{told} (FILE: the experiment that these results are of)"


def usable(text: str, what: str) -> str:
    """Return a path that every tool of the pipeline can use.

    Parameters
    ----------
    text : str
        The path.
    what : str
        What is there, for the message.

    Raises
    ------
    SchedlabError
        For a sign in it that rules or tools cannot take.
    """
    # Snakemake takes braces for wildcards, and its lists and logs have a path on one line; in
    # ssh_config(5) and apt.conf(5) no sign can stand before a quotation mark or a backslash.
    bad = [sign for sign in text if sign in '{}"\\' or not sign.isprintable()]
    if not bad and text.startswith("~"):
        bad = ["~"]
    if bad:
        raise SchedlabError(
            f"{what} {text!r} has {bad[0]!r} in its name",
            remedy="choose a name without braces, quotation marks, backslashes and control "
            "characters, and write your home folder out in place of ~",
        )
    return text


def results_name(text: str, checkout: Path) -> str:
    """Return the results folder as rules name it: without ``./`` and without a slash at the end.

    Raises
    ------
    SchedlabError
        When rules cannot use the name, the folder contains the checkout or is one of the checkout's
        own, or a file is in its place.
    """
    usable(text, "the results folder")
    folder = resolved(Path(text), "the results folder")
    usable(str(folder), "the results folder")
    if len(os.fsencode(str(folder))) > _LONGEST_PATH:
        raise SchedlabError(
            f"the results folder {brief(text)}: a path of {len(os.fsencode(str(folder)))}"
            f" bytes leaves no room for the paths below it (at most {_LONGEST_PATH})",
            remedy="choose a shorter path",
        )
    if not text.strip() or checkout.resolve().is_relative_to(folder):
        raise SchedlabError(
            f"the results folder {text!r} is the checkout or contains it",
            remedy="choose a folder of its own, for example results",
        )
    if own := own_folder(folder, checkout.resolve()):
        raise SchedlabError(
            f"the results folder {text!r} is {own} of the checkout, or in it",
            remedy="choose a folder of its own, for example results",
        )
    path = Path(text)
    there = next((one for one in (path, *path.parents) if os.path.lexists(one)), Path())
    if not there.is_dir():
        what = "a link that leads nowhere" if there.is_symlink() else "no folder"
        raise WrongFolder(
            f"the results folder {brief(text, _LONGEST_PATH)}: {there} is {what}",
            remedy="name a folder, which need not exist, for example results",
        )
    return str(path)
