"""The form of a record. Every reader of records relies on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schedlab.outside.names import name_problem
from schedlab.results.conditions_form import conditions
from schedlab.results.form_checks import (
    FieldCheck,
    each,
    files,
    keys,
    line,
    mapping,
    moment,
    number,
    perhaps,
    rows,
    shown,
    text,
    texts,
    truth,
    whole,
)


def record_problem(record: Mapping[str, Any]) -> str | None:
    """Return how a record of this schema differs from the form of a record, or None."""
    trial = record.get("stage") == "trial"
    problem = keys(_COMMON | (_TRIAL if trial else {}), _OPTIONAL)(record)
    return (problem or (_contradiction(record) if trial else None) or "").lstrip(" .") or None


def _contradiction(record: Mapping[str, Any]) -> str | None:
    """Return what two values of a trial's record say that cannot both be true."""
    facts, verdict = record["trial"], record["verdict"]
    named = ".".join(str(facts[key]) for key in ("cluster", "workload", "repetition"))
    if record["id"] != named:
        return f"id is {shown(record['id'])}, but trial is that of {shown(named)}"
    if verdict["valid"] != (not verdict["reasons"]):
        return f"verdict.valid is {verdict['valid']}, but reasons is {shown(verdict['reasons'])}"
    return None


def _parents(value: Any) -> str | None:
    if problem := mapping(value):
        return problem
    for name, parent in value.items():
        where = f".{shown(name)[1:-1]}"
        if problem := _PARENT(parent):
            return where + problem
        if len(parent) != len(_PARENT_KEYS):
            return f"{where} has unknown keys"
        if problem := name_problem(parent["path"]):
            return f"{where} names {shown(parent['path'])}, which {problem}"
    return None


def _tools(value: Any) -> str | None:
    return each(lambda tool: None if isinstance(tool, str) else _TOOL(tool))(value)


_PARENT_KEYS = ("id", "lineage", "path", "record")
_PARENT = keys(dict.fromkeys(_PARENT_KEYS, line))
_TOOL = keys({"version": line})

_COMMON: dict[str, FieldCheck] = {
    "stage": line,
    "id": line,
    "lineage": line,
    "created": moment,
    "duration": number(0),
    "command": perhaps(line),
    "source": perhaps(keys({"commit": perhaps(line), "dirty": truth, "diff": perhaps(line)})),
    "inputs": files,
    "outputs": files,
    "parents": _parents,
}
_TRIAL: dict[str, FieldCheck] = {
    "trial": keys(
        dict.fromkeys(("cluster", "workload", "scheduler"), line)
        | dict.fromkeys(("repetition", "nodes", "cpus_per_node"), whole(1))
        | {"order": whole(0)},
        # Records of before there were variants have neither; those of real nodes have no carriers.
        {"variant": line, "number": whole(1), "carriers": whole(1)},
    ),
    "conditions": conditions,
    "verdict": keys({"valid": truth, "reasons": texts}),
}
_MACHINE: dict[str, FieldCheck] = {"vcpus": whole(1), "memory_mib": whole(1)}
_REALISED: dict[str, FieldCheck] = {
    "nodes": each(keys({}, {"lscpu": perhaps(each(text))})),
    "packages": texts,
    "disk_sha256": line,
    "configuration": each(text),
    "software": each(perhaps(text)),
    "domain_xml": each(text),
    "qemu": keys({}, {"user": text, "why": text}),
    "terraform_outputs": each(mapping),
    "tuning": rows(
        keys({"key": text, "found": each(each(text))}, {"reason": text, "source": text})
    ),
    "sha256": each(text),
}
"""What a machine turned out to be, as the report and `diff` show it."""
_OPTIONAL: dict[str, FieldCheck] = {
    "tools": _tools,
    "realised": perhaps(keys({}, _REALISED)),
    "settings": perhaps(mapping),
    "accelerator": keys(
        {},
        dict.fromkeys(("accelerator", "requested", "qemu_version"), line)
        | {"reason": text, "seconds": number(0)},
    ),
    "not_run": line,
    "cluster": keys({}, {"nodes": rows(keys({"name": line}, _MACHINE))}),
    "resident_mib": whole(0),
    "decision": keys(
        {},
        {
            "run": truth,
            "rate": perhaps(number(0, above=True)),
            "predicted": number(0, above=True),
            "ladder": keys({name: number(0, above=True) for name in ("low", "high")}),
            "why": text,
        },
    ),
    "left_out": lambda value: mapping(value) or texts(list(value.values())),
}
