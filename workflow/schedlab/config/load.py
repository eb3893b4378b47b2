"""Reading an experiment: every error at once, each with file, line, key, value and remedy."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schedlab.config.checks import Known, check
from schedlab.config.extent import extent_problems
from schedlab.config.host_facts import HostFacts
from schedlab.config.levels import Level, Levels, at_original, with_levels
from schedlab.config.messages import fault, together
from schedlab.config.model import Experiment
from schedlab.config.variants import SECTIONS
from schedlab.config.wording import Location, worded
from schedlab.config.yaml_reader import Document, Place, read_yaml
from schedlab.config.yaml_scalars import yaml_text
from schedlab.errors import SchedlabError
from schedlab.outside.output import write_output
from schedlab.privacy.identity import identity
from schedlab.workloads import Problem

_MOST = 100


def _native(place: Place) -> bool:
    """Whether a path of keys leads to settings that only a scheduler understands."""
    return bool(place) and place[-1] == "settings"


def load_experiment(
    path: Path, known: Known, host: HostFacts | None = None, root: Path | None = None
) -> Experiment:
    """Read and check an experiment.

    Parameters
    ----------
    path : pathlib.Path
        YAML file.
    known : mapping of str to KnownScheduler
        Schedulers that the experiment may name (`schedlab.design.load_experiment` gives all).
    host : HostFacts, optional
        Machine that will run the guests; default: this one.
    root : pathlib.Path, optional
        Folder that the experiment's relative file names are relative to; default: the working
        folder, which is the repository's root under Snakemake.

    Raises
    ------
    SchedlabError
        With every error found, one a line: `file:line: key = value: what is wrong. Remedy: ...`.
    """
    document = read_yaml(path, _native)
    data = dict(document.data)
    moved = [
        Problem(
            name,
            data.pop(name),
            "settings of a scheduler, at the top level",
            f"write it under settings: (settings: {{{name}: {{key: value}}}})",
        )
        for name in list(data)
        if name in known and name not in Experiment.model_fields
    ]
    experiment, problems, levels = _validate(data)
    if experiment is not None:
        # Written by an earlier run perhaps on another machine, and found again for this one.
        experiment = experiment.model_copy(update={"left_out": {}, "lifted": {}})
        broken = {problem.key for problem in problems}
        # The further checks make every cluster and trace.
        found = list(extent_problems(experiment)) or check(
            # Messages name the whole path of a file that is not there.
            experiment,
            known,
            host or HostFacts.detect(),
            (root or Path()).absolute(),
            broken,
        )
        problems += [_at_original(problem, levels) for problem in found]
    return _sound(path, document, experiment, moved + problems)


def read_experiment(path: Path) -> Experiment:
    """Read an experiment that was run before, perhaps on another machine.

    Only its form is checked. A reader of the results does not need a machine that can run the
    experiment, nor the files that it names.

    Raises
    ------
    SchedlabError
        As :func:`load_experiment`.
    """
    document = read_yaml(path, _native)
    experiment, problems, _ = _validate(_with_settings(document.data))
    if experiment is not None:
        problems += extent_problems(experiment)
    return _sound(path, document, experiment, problems)


def require_extent(experiment: Experiment, path: Path) -> None:
    """Refuse an experiment that has too many cells or trials once limits are lifted.

    Raises
    ------
    SchedlabError
        With the key that makes most of them.
    """
    for problem in extent_problems(experiment):
        remedy = f"{problem.remedy}, or leave out confirm"
        line = fault(str(path), None, problem.key, problem.value, problem.what, remedy)
        raise SchedlabError(line)


def _with_settings(data: dict[str, Any]) -> dict[str, Any]:
    """Return the same experiment with the settings of schedulers under `settings`.

    Experiments that were stored with results before that key existed have these settings at the top
    level, under the names of the schedulers.
    """
    if "settings" in data:
        return data
    unknown = data.keys() - Experiment.model_fields.keys()
    settings = {name: data[name] for name in sorted(unknown) if isinstance(data[name], dict)}
    rest = {key: value for key, value in data.items() if key not in settings}
    return {**rest, "settings": {name: found for name, found in settings.items() if found}}


def write_experiment(experiment: Experiment, path: Path) -> None:
    """Write an experiment so that it can be shared, with every default spelt out.

    The place where it ran (`libvirt`) is left out; names of this machine and its user are replaced.
    """
    plain = experiment.model_dump(mode="json", exclude={"libvirt"})
    data = identity().data(plain)
    # The user's own name for the experiment is in every path and table, so it cannot be replaced.
    # Packing refuses it if it contains a name of this machine or its user.
    data["name"] = plain["name"]
    for workload, before in zip(data["workloads"], plain["workloads"], strict=True):
        workload["name"] = before["name"]
        if (before["background"] or {}).get("level_of"):
            workload["background"]["level_of"] = before["background"]["level_of"]
    write_output(path, yaml_text(data))


def _sound(
    path: Path, document: Document, experiment: Experiment | None, problems: list[Problem]
) -> Experiment:
    if problems:
        # Levels of one workload share its faults.
        lines = dict.fromkeys(
            fault(str(path), document.line(_place(p.key)), p.key, p.value, p.what, p.remedy)
            for p in problems
        )
        raise SchedlabError(together(list(lines)), see="config/README.md, which has each key")
    assert experiment is not None  # without problems there is a model
    return experiment


def _place(key: str) -> Place:
    """Path of a key that is written as `workloads[0].jobs`."""
    steps = re.findall(r"\[(\d+)\]|([^.\[\]]+)", key)
    return tuple(int(index) if index else word for index, word in steps)


def _validate(data: dict[str, Any]) -> tuple[Experiment | None, list[Problem], list[Level]]:
    """Return the model of the data, and the first `_MOST` faults of its form.

    Values in error are removed, so that defaults replace them and the rest can still be checked; if
    there are faults, the model only serves to find more of them. The last result tells of each
    workload of the model where it is written.
    """
    spread = with_levels(data)
    experiment, problems, kept = _modelled(spread)
    return experiment, [*spread.problems, *problems], kept


def _modelled(spread: Levels) -> tuple[Experiment | None, list[Problem], list[Level]]:
    data, levels = spread.data, spread.levels
    try:
        return Experiment.model_validate(data), [], levels
    except ValidationError as error:
        errors = error.errors(include_url=False)
    errors = [entry for entry in errors if not _inherited(entry, errors, data)]
    problems = [spread.as_written(worded(entry, data)) for entry in errors[:_MOST]]
    repaired = copy.deepcopy(data)
    listed = data.get("workloads")
    count = len(listed) if isinstance(listed, list) else 0
    bad = {e["loc"][1] for e in errors if e["loc"][0] == "workloads" and len(e["loc"]) > 1}
    kept = [index for index in range(count) if index not in bad]
    for entry in errors:
        _remove(repaired, entry["loc"])
    if kept:
        repaired["workloads"] = [data["workloads"][index] for index in kept]
    else:
        # No sound workload is left; this one lets the rest of the experiment be checked.
        repaired["workloads"] = [{"kind": "burst", "name": "stand-in"}]
    try:
        return Experiment.model_validate(repaired), problems, [levels[index] for index in kept]
    except ValidationError:
        return None, problems, []


def _inherited(entry: Any, errors: Sequence[Any], data: dict[str, Any]) -> bool:
    """Whether an error in a variant's section comes from the experiment, where it is reported."""
    location: Location = entry["loc"]
    if location[0] != "schedulers" or len(location) < 3 or location[2] not in SECTIONS:
        return False
    own = data["schedulers"][int(location[1])][location[2]]
    if not isinstance(own, dict):
        return False
    return not _written(own, location[3:]) and any(e["loc"] == location[2:] for e in errors)


def _written(own: Any, steps: Location) -> bool:
    """Whether a section as written has the last of some keys; words for a kind are no keys."""
    if not steps:
        return False  # a fault of the section as a whole
    for step in steps[:-1]:
        if isinstance(own, dict) and step in own:
            own = own[step]
    return isinstance(own, list) or (isinstance(own, dict) and steps[-1] in own)


def _remove(data: dict[str, Any], location: Location) -> None:
    """Remove the top-level list, or the key of a section, that contains an error."""
    section = data.get(str(location[0]))
    # If the error is a missing key, remove the whole section.
    if len(location) > 1 and isinstance(section, dict) and location[1] in section:
        section.pop(location[1])
    else:
        data.pop(str(location[0]), None)


def _at_original(problem: Problem, levels: Sequence[Level]) -> Problem:
    """Name in a problem the places where workloads are written."""
    key = at_original(problem.key, levels)
    return Problem(key, problem.value, at_original(problem.what, levels), problem.remedy)
