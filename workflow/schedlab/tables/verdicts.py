"""Trials with their verdict, outcome and checks, for people and for programs (``schedlab trials``).

They are read from the trials' own folders, so the command also works while a campaign runs.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.formatting import number
from schedlab.outside import permission
from schedlab.outside.tree import require_plain
from schedlab.paths import RECORD
from schedlab.results.imports import Origin
from schedlab.results.records import is_stopped
from schedlab.tables.kept import damage_remedy, kept_trial
from schedlab.tables.schemas import FAILED, FATES

_COPIED = ("trial", "valid", "reasons", "checks", "withheld", "at_least", "timed_out", "limit_s",
           "daemons", "told", "concurrency", "lateness_p99_s", "lateness_max_s",
           "lineage")  # fmt: skip


def verdicts(sources: Iterable[Origin]) -> dict[str, Any]:
    """Verdicts of all trials that ran, in the order in which they were to run.

    Returns
    -------
    dict
        `trials`: columns of the trials table of each, with `jobs` (fate -> number, and `all`);
        `missing`: ids of those that have no record; `stopped`: of those that did not run because
        their cell had ended; `damaged`: `trial`, `problem` and `remedy` of those whose record or
        files are not as schedlab wrote them, or cannot be read; a `remedy` may be None.
    """
    found: list[dict[str, Any]] = []
    missing: list[str] = []
    stopped: list[str] = []
    damaged: list[dict[str, str | None]] = []
    for origin in sources:
        for key, folder in zip(origin.experiment.trials(), origin.trial_folders(), strict=True):
            try:
                # A link that leads nowhere or a pipe is damage, which is told below.
                if not os.path.lexists(folder / RECORD):
                    missing.append(origin.label(key.id))
                    continue
                require_plain(folder, damage_remedy(folder, origin.name))
                if is_stopped(folder / RECORD):
                    stopped.append(origin.label(key.id))
                    continue
                row = kept_trial(folder, origin.name).trial
            except (SchedlabError, OSError) as error:
                # One of many must not hide the others.
                told = (
                    {"problem": error.message, "remedy": error.remedy}
                    if isinstance(error, SchedlabError)
                    else {"problem": str(error), "remedy": permission.remedy(error)}
                )
                damaged.append({"trial": origin.label(key.id), **told})
                continue
            jobs = {"all": row["jobs"], **{fate: row[fate] for fate in FATES}}
            found.append({name: row[name] for name in _COPIED} | {"jobs": jobs})
    return {"trials": found, "missing": missing, "stopped": stopped, "damaged": damaged}


def as_text(found: dict[str, Any], width: int = 100) -> str:
    """Verdicts as text: one line for each trial, and below it what was unusual."""
    trials = found["trials"]
    place = max((len(row["trial"]) for row in trials), default=0)
    lines = [line for row in trials for line in _trial(row, place, width)]
    valid = sum(row["valid"] for row in trials)
    told = f"{valid} of {len(trials)} trials valid; {len(found['missing'])} have not run"
    if found["stopped"]:
        told += f"; {len(found['stopped'])} are not to run, for their cells were measured enough"
    if damaged := found["damaged"]:
        told += f"; {len(damaged)} cannot be read"
    lines.append(told)
    return "\n".join(lines)


def _trial(row: dict[str, Any], place: int, width: int) -> Iterator[str]:
    jobs = row["jobs"]
    others = "".join(f", {jobs[fate]} {fate.replace('_', ' ')}" for fate in FATES[1:] if jobs[fate])
    verdict = "valid  " if row["valid"] else "INVALID"
    yield f"{row['trial']:{place}}  {verdict}  {jobs['completed']} of {jobs['all']} jobs{others}"
    notes = [("outcome", text) for text in (*row["told"], *row["daemons"])]
    if row["timed_out"]:
        limit = (
            "its limit" if row["limit_s"] is None else f"its limit of {number(row['limit_s'])} s"
        )
        notes.append(("outcome", f"{limit} came before the end of all jobs"))
    for check in row["checks"]:
        if check["verdict"] == FAILED:
            notes.append(("withheld" if check["withholds"] else "invalid", check["reason"]))
    for kind, text in notes:
        line = "; ".join(part.strip() for part in text.splitlines())
        wrapped = textwrap.wrap(f"{kind}: {line}", width - 4, subsequent_indent="  ")
        yield from (f"    {part}" for part in wrapped)
