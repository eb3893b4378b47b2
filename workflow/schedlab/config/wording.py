"""Rewords the model's validation errors for users: key, value, fault, remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from schedlab.config.model import Experiment
from schedlab.config.variants import Repetitions, Rounds, Variant
from schedlab.printing import brief, did_you_mean, some
from schedlab.workloads import KINDS, Problem

Location = tuple[str | int, ...]

_TYPES = {
    "int": ("not a valid integer", "write a whole number without quotes, such as 3"),
    "float": ("not a valid number", "write a number without quotes, such as 1.5"),
    "bool": ("not true or false", "write true or false, without quotes"),
    "string": ("not text", "put the text in quotes"),
    "list": ("not a list", "write a list: [first, second]"),
    "tuple": ("not a list", "write a list: [first, second]"),
    "dict": ("not a mapping of keys to values", "write keys and values: {key: value}"),
    "model": ("not a mapping of keys to values", "write keys and values: {key: value}"),
}
"""Prefix of an error's type -> what is wrong, and the remedy."""

_BOUNDS = {
    "greater_than": ("gt", "not more than {}", "write a number above {}"),
    "greater_than_equal": ("ge", "less than {}", "write {} or more"),
    "less_than": ("lt", "not less than {}", "write a number below {}"),
    "less_than_equal": ("le", "more than {}", "write {} or less"),
    "too_short": ("min_length", "needs at least {} item", "write {} or more"),
    "too_long": ("max_length", "more than {} items", "remove some"),
    "string_too_short": ("min_length", "shorter than {} character", "write a longer text"),
    "string_too_long": ("max_length", "longer than {} characters", "write a shorter text"),
}
"""Type of an error -> key of its bound, what is wrong, and the remedy."""

_FORM = "write it in that form"
_FORMS = {
    "name": "use lower-case letters, digits and single hyphens, as in poisson-2",
    "sha256": "give the 64 hexadecimal digits that sha256sum prints, in lower case",
    "domain": "use lower-case labels with dots between, as in benchmark.local",
    "pci": "write domain:bus:slot.function as lspci -D prints it, as in 0000:03:00.0",
    "suite": "use the code name of a Debian release, as in trixie",
    "schedulers": "use the name of a registered scheduler",
    "user": "use 1 to 16 lower-case letters and digits, a letter first, as in ann",
    "key_sha256": "give the 64 hexadecimal digits that sha256sum prints, in lower case",
}
"""Key -> what its form is, in words."""
_DICTIONARY_KEY = "[key]"
"""How pydantic ends the location of an error of a mapping's key."""


def worded(entry: Any, data: Mapping[str, Any]) -> Problem:
    """Return the problem that describes one of pydantic's errors.

    Parameters
    ----------
    entry : mapping
        Error from `ValidationError.errors`.
    data : mapping
        Data that was validated.
    """
    location: Location = entry["loc"]
    kind, context = entry["type"], entry.get("ctx", {})
    # What is wrong with a section as a whole ends with the tag of its kind.
    text, steps = _path(location, data, whole=kind == "value_error")
    value = _value(steps, data)
    if kind == "extra_forbidden":
        return Problem(
            text, value, "unknown key", did_you_mean(str(location[-1])[:100], _known(location))
        )
    if kind == "union_tag_invalid":
        known = re.findall(r"'([^']+)'", context["expected_tags"])
        tag = str(context["tag"])
        return Problem(f"{text}.kind", tag, "unknown kind", did_you_mean(tag[:100], known))
    if kind == "union_tag_not_found":
        return Problem(
            f"{text}.kind", None, "missing", f"add it: one of {some(_kinds(location), 20)}"
        )
    if kind == "missing":
        meaning = _meaning(location)
        remedy = f"add it: {meaning}" if meaning else "add it; config/README.md says what it means"
        return Problem(text, None, "missing", remedy)
    if kind == "literal_error":
        known = re.findall(r"'([^']+)'", context["expected"])
        return Problem(text, value, "not a choice", did_you_mean(str(value)[:100], known))
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        if location[-1] == _DICTIONARY_KEY:
            what = f"the key does not have the form {pattern}"
            return Problem(text, value, what, "correct it; config/README.md has the keys")
        words = [step for step in steps if isinstance(step, str)]
        key = words[-1] if words else ""
        remedy = _FORMS.get(key, _FORM)
        if key == "schedulers" and isinstance(value, str) and re.fullmatch(pattern, value.lower()):
            remedy = f"write {value.lower()}"
        return Problem(text, value, f"does not have the form {pattern}", remedy)
    if kind == "value_error":
        # The message of this project's own validators has the form "what is wrong; what to do".
        what, _, remedy = entry["msg"].removeprefix("Value error, ").partition("; ")
        return Problem(text, value, what, remedy or _FORM)
    if kind in _BOUNDS:
        bound, what, remedy = _BOUNDS[kind]
        number = context[bound]
        what = what.format(number) + "s" * (bound == "min_length" and number != 1)
        return Problem(text, value, what, remedy.format(number))
    if kind == "finite_number":
        return Problem(text, value, "not a finite number", "write a finite number")
    wanted = kind.partition("_")[0]
    fallback = ("not what this key takes", "see config/README.md for what it takes")
    what, remedy = _TYPES.get(wanted, fallback)
    return Problem(text, value, what, _meant(wanted, value, _meaning(location)) or remedy)


_SECONDS = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_TIME = re.compile(rf"([0-9]+(?:\.[0-9]+)?) ?({'|'.join(_SECONDS)})")
_BOOLEANS = {
    **dict.fromkeys(("yes", "on", "true", "y"), "true"),
    **dict.fromkeys(("no", "off", "false", "n"), "false"),
}


def boolean_meant(value: Any) -> str | None:
    """Remedy where a word of older YAML stands for true or false."""
    meant = _BOOLEANS.get(value.lower()) if isinstance(value, str) else None
    return f"write {meant}, without quotes" if meant else None


def _meant(wanted: str, value: Any, meaning: str) -> str | None:
    """Remedy with the value that a user meant, where a value of the wrong type says it clearly."""
    if wanted in {"list", "tuple"} and isinstance(value, str | int | float):
        return f"write a list: [{brief(str(value))}]"
    if not isinstance(value, str):
        return None
    if wanted == "bool":
        return boolean_meant(value)
    if wanted in {"int", "float"}:
        number = r"[0-9]{1,18}" if wanted == "int" else r"[0-9]{1,18}(\.[0-9]{1,18})?"
        if re.fullmatch(number, value, re.ASCII):
            return f"remove the quotes: {value}"
        time = _TIME.fullmatch(value)
        if time and re.search(r"(^|, )s\b", meaning):
            return f"the unit is s, and is not written: {float(time[1]) * _SECONDS[time[2]]:.15g}"
    return None


def _path(location: Location, data: Any, *, whole: bool = False) -> tuple[str, list[str | int]]:
    """Key path as the user wrote it, without the tags that pydantic inserts for unions."""
    text = ""
    steps: list[str | int] = []
    here = data
    for position, step in enumerate(location):
        last = position == len(location) - 1
        if isinstance(step, int):
            text += f"[{step}]"
            here = here[step] if isinstance(here, list) and step < len(here) else None
        elif isinstance(here, dict) and (step in here or (last and not whole)):
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


def _meaning(location: Location) -> str:
    """Description of a key with its unit, without the last stop; empty for an item of a list."""
    field = _model(location).model_fields.get(str(location[-1]))
    return (field.description or "").rstrip(".") if field else ""


def _known(location: Location) -> list[str]:
    """Keys that are allowed in the section where an unknown key was found."""
    return list(_model(location).model_fields)


def _kinds(location: Location) -> list[str]:
    """Kinds of which the section at a location may be."""
    while isinstance(location[-1], int):
        location = location[:-1]
    field = _model(location).model_fields[str(location[-1])]
    return [str(one.model_fields["kind"].default) for one in _within(field.annotation)]


def _model(location: Location) -> type[BaseModel]:
    """Model of the section that has the last key of a location."""
    models: list[type[BaseModel]] = [Experiment]
    steps = location[:-1]
    if location[0] == "schedulers":
        models, steps = [Variant], location[2:-1]
    for step in steps:
        if isinstance(step, int):
            continue
        field = next((one.model_fields[step] for one in models if step in one.model_fields), None)
        if field:
            # The type of an inner workload is known only when all kinds are: `COMPOSITE`.
            models = _within(field.annotation) or list(KINDS.values())
        else:
            models = [one for one in models if step in _tags(one)] or models
    return models[0]


def _within(annotation: Any) -> list[type[BaseModel]]:
    """Models that a type is made of: `Virtual` of `Virtual | None`, each kind of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for one in get_args(annotation) for model in _within(one)]


def _tags(model: type[BaseModel]) -> set[str]:
    """How pydantic names a member of a union in a location."""
    kind = model.model_fields.get("kind")
    return {model.__name__, _BRANCHES.get(model, ""), str(kind.default) if kind else ""}


_BRANCHES: Mapping[type[BaseModel], str] = {Rounds: "rounds", Repetitions: "number"}
