"""Reading an experiment: every error at once, each with file, key, value and remedy."""

from __future__ import annotations

import copy
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from schedlab.config.checks import Known, check, did_you_mean
from schedlab.config.host_facts import HostFacts
from schedlab.config.model import Experiment
from schedlab.config.sections import CloudImage, DebianImage
from schedlab.errors import SchedlabError
from schedlab.privacy.identity import identity
from schedlab.workloads import KINDS, Problem

Location = tuple[str | int, ...]

_UNKNOWN = {"extra_forbidden", "union_tag_invalid"}


class _Loader(yaml.SafeLoader):
    """Safe loader that refuses a key written twice; YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} is written twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_experiment(
    path: Path, known: Known, host: HostFacts | None = None, root: Path | None = None
) -> Experiment:
    """Read and check an experiment.

    Parameters
    ----------
    path : pathlib.Path
        YAML file.
    known : mapping of str to KnownScheduler
        Schedulers that it may name (`schedlab.design.load_experiment` fills them in).
    host : HostFacts, optional
        Machine that will run the guests; default: this one.
    root : pathlib.Path, optional
        Folder that relative file names in it are relative to; default: the working folder, which
        is the repository's root under Snakemake.

    Raises
    ------
    SchedlabError
        With every error found, one a line: `file: key = value: what is wrong. Remedy: ...`.
    """
    data = _read(path)
    misplaced = [name for name in data if name in known and name not in Experiment.model_fields]
    moved = [
        Problem(
            name,
            data.pop(name),
            "settings of a scheduler, at the top level",
            f"write it under settings: (settings: {{{name}: {{key: value}}}})",
        )
        for name in misplaced
    ]
    experiment, problems, places = _validate(data)
    if experiment is not None:
        broken = {problem.key for problem in problems}
        found = check(experiment, known, host or HostFacts.detect(), root or Path(), broken)
        problems += [_at_original(problem, places) for problem in found]
    return _sound(path, experiment, moved + problems)


def read_experiment(path: Path) -> Experiment:
    """Read an experiment that was run before, perhaps elsewhere.

    Its form is checked. Whether this machine could run it, and has the files that it names, does
    not matter to someone who reads its results.

    Raises
    ------
    SchedlabError
        As :func:`load_experiment`.
    """
    experiment, problems, _ = _validate(_with_settings(_read(path)))
    return _sound(path, experiment, problems)


def _with_settings(data: dict[str, Any]) -> dict[str, Any]:
    """Same experiment with the settings of schedulers under `settings`.

    Experiments that were kept beside results before that key existed have them at the top level,
    each under the name of its scheduler.
    """
    if "settings" in data:
        return data
    unknown = data.keys() - Experiment.model_fields.keys()
    settings = {name: data[name] for name in sorted(unknown) if isinstance(data[name], dict)}
    rest = {key: value for key, value in data.items() if key not in settings}
    return {**rest, "settings": {name: found for name, found in settings.items() if found}}


def write_experiment(experiment: Experiment, path: Path) -> None:
    """Write an experiment so that it can be shared, with every default spelt out.

    Left out is where it ran (`libvirt`); names of this machine and its user are replaced.
    """
    plain = experiment.model_dump(mode="json", exclude={"libvirt"})
    data = identity().data(plain)
    # What the user calls things is in every path and table: packing refuses it where it tells.
    data["name"] = plain["name"]
    for workload, before in zip(data["workloads"], plain["workloads"], strict=True):
        workload["name"] = before["name"]
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _sound(path: Path, experiment: Experiment | None, problems: list[Problem]) -> Experiment:
    if problems:
        lines = [
            f"{path}: {p.key} = {_shown(p.value)}: {p.what}. Remedy: {p.remedy}" for p in problems
        ]
        raise SchedlabError(
            "\n".join(lines), remedy=f"correct {path}; config/README.md has each key"
        )
    assert experiment is not None  # without problems there is a model
    return experiment


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError as error:
        raise SchedlabError(
            f"{path}: no such file", remedy="name an experiment file; config/ has examples"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SchedlabError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error)
        raise SchedlabError(f"{path}{line}: {what}", remedy="correct the YAML there") from error
    if not isinstance(data, dict):
        raise SchedlabError(
            f"{path}: holds no mapping of keys to values",
            remedy="start from config/experiments.yaml",
        )
    return data


def _validate(
    data: dict[str, Any],
) -> tuple[Experiment | None, list[Problem], dict[int, int]]:
    """Model of the data, and what is wrong with its form.

    What is wrong is taken out, so that defaults step in and the rest can still be checked;
    with errors the model only serves to find more of them. The last result maps the positions
    of the workloads that were kept to their original ones.
    """
    try:
        return Experiment.model_validate(data), [], {}
    except ValidationError as error:
        errors = error.errors(include_url=False)
    problems = [_problem(entry, data) for entry in errors]
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
        # A stand-in: nothing about the workloads is left to check, the rest is.
        repaired["workloads"] = [{"kind": "burst", "name": "stand-in"}]
    try:
        return Experiment.model_validate(repaired), problems, dict(enumerate(kept))
    except ValidationError:
        return None, problems, {}


def _remove(data: dict[str, Any], location: Location) -> None:
    """Take out the top-level list, or the key of a section, that an error lies in."""
    section = data.get(str(location[0]))
    # The key that a section lacks is its own fault: the whole section then goes.
    if len(location) > 1 and isinstance(section, dict) and location[1] in section:
        section.pop(location[1])
    else:
        data.pop(str(location[0]), None)


def _at_original(problem: Problem, places: dict[int, int]) -> Problem:
    def original(match: re.Match[str]) -> str:
        index = int(match[1])
        return f"workloads[{places.get(index, index)}]"

    key = re.sub(r"^workloads\[(\d+)\]", original, problem.key)
    what = re.sub(r"workloads\[(\d+)\]", original, problem.what)
    return Problem(key, problem.value, what, problem.remedy)


def _path(location: Location, data: Any) -> tuple[str, list[str | int]]:
    """Key path as the user wrote it: without the tags that pydantic puts in for unions."""
    text = ""
    steps: list[str | int] = []
    here = data
    for position, step in enumerate(location):
        last = position == len(location) - 1
        if isinstance(step, int):
            text += f"[{step}]"
            here = here[step] if isinstance(here, list) and step < len(here) else None
        elif isinstance(here, dict) and (step in here or last):
            text += f".{step}" if text else step
            here = here.get(step)
        else:
            continue  # a tag: burst, mmdebstrap, or the type of one branch of a union
        steps.append(step)
    return text, steps


def _value(steps: list[str | int], data: Any) -> Any:
    for step in steps:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    return text if len(text) <= 100 else text[:97] + "..."


def _known(location: Location) -> list[str]:
    """Keys allowed where an unknown one was found."""
    model: type[BaseModel] = Experiment
    if location[0] == "workloads":
        model = KINDS[str(location[2])]
    elif location[0] == "image":
        model = CloudImage if location[1] == "cloud" else DebianImage
    elif len(location) > 1:
        annotation = Experiment.model_fields[str(location[0])].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return list(model.model_fields)


def _problem(entry: Any, data: dict[str, Any]) -> Problem:
    location: Location = entry["loc"]
    text, steps = _path(location, data)
    value = _value(steps, data)
    kind, context = entry["type"], entry.get("ctx", {})
    if kind == "extra_forbidden":
        return Problem(
            text, value, "unknown key", did_you_mean(str(location[-1]), _known(location))
        )
    if kind == "union_tag_invalid":
        known = re.findall(r"'([^']+)'", context["expected_tags"])
        tag = str(context["tag"])
        return Problem(f"{text}.kind", tag, "unknown kind", did_you_mean(tag, known))
    if kind == "union_tag_not_found":
        return Problem(f"{text}.kind", None, "missing", "say which kind it is")
    if kind == "missing":
        return Problem(text, None, "missing", "add it; config/README.md says what it means")
    if kind == "literal_error":
        known = re.findall(r"'([^']+)'", context["expected"])
        return Problem(text, value, "not a choice", did_you_mean(str(value), known))
    if kind == "string_pattern_mismatch":
        what = f"does not have the form {context['pattern']}"
        words = [step for step in steps if isinstance(step, str)]
        return Problem(text, value, what, _FORMS.get(words[-1] if words else "", _FORM))
    message = entry["msg"].removeprefix("Value error, ")
    what, _, remedy = message.partition("; ")
    return Problem(text, value, what, remedy or "write a value that satisfies this")


_FORM = "write it in that form"
_FORMS = {
    "name": "use lower-case letters, digits and single hyphens, as in poisson-2",
    "sha256": "give the 64 hexadecimal digits that sha256sum prints, in lower case",
    "domain": "use lower-case labels with dots between, as in benchmark.local",
    "pci": "write domain:bus:slot.function as lspci -D prints it, as in 0000:03:00.0",
    "uri": "use auto, embedded, or a URI such as qemu:///system",
    "suite": "use the code name of a Debian release, as in trixie",
}
