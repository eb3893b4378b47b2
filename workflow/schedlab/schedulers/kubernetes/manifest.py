"""What was in force in a Kubernetes cluster: flags of the processes, versions, metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

# Flags that only say where something is; they do not bound a result.
_PLACE = re.compile(
    r"(file|dir|path|kubeconfig|address|addresses|servers?|urls?|port|hostname-override|issuer"
    r"|name|conf|config|cidr|range|endpoint|socket)s?$|(^|-)(cert|key|ca|tls|client|peer)(-|$)"
)
_KEPT = ("kube-api-qps", "kube-api-burst", "scheduler-name")


def flags(processes: str, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Flags of the running processes.

    Parameters
    ----------
    processes : str
        Command lines, one a line (`ps -e -o args=`).
    names : sequence of str
        Programs to look for.

    Returns
    -------
    dict
        Program -> flag without hyphens -> value; `true` for a flag that stands alone.
    """
    found: dict[str, dict[str, str]] = {}
    for line in processes.splitlines():
        words = line.split()
        program = words[0].rpartition("/")[2] if words else ""
        if program not in names:
            continue
        options = found.setdefault(program, {})
        for index, word in enumerate(words[1:], 1):
            match = re.fullmatch(r"--?([A-Za-z][\w-]*)(?:=(.*))?", word)
            if match:
                following = words[index + 1] if index + 1 < len(words) else "-"
                alone = "true" if following.startswith("-") else following
                options[match[1]] = match[2] if match[2] is not None else alone
    return found


def settings(
    running: Mapping[str, Mapping[str, str]],
    patterns: Mapping[str, str],
    version: str,
    versions: str,
    objects: str,
    etcd: str,
) -> dict[str, Any]:
    """Flags that can bound a result, and versions.

    Parameters
    ----------
    running : mapping
        As from `flags`.
    patterns : mapping of str to str
        Program -> regular expression of its version in `versions`.
    version : str
        Answer of the API server's /version.
    versions : str
        Output of the programs' `--version`.
    objects : str
        List of API objects that includes the nodes.
    etcd : str
        Environment that etcd takes its settings from.
    """
    found: dict[str, Any] = {
        f"{program} --{flag}": value
        for program, options in running.items()
        for flag, value in options.items()
        if flag in _KEPT or not _PLACE.search(flag)
    }
    for name, value in re.findall(r"^ETCD_(\w+)=(.*)$", etcd, re.M):
        flag = name.lower().replace("_", "-")
        if not _PLACE.search(flag):
            found[f"etcd --{flag}"] = value
    found["version kubernetes"] = _json(version).get("gitVersion", "unknown")
    for program, pattern in patterns.items():
        match = re.search(pattern, versions, re.M)
        if match:
            found[f"version {program}"] = match[1]
    infos = [
        item["status"]["nodeInfo"]
        for item in _json(objects).get("items", [])
        if item.get("kind") == "Node"
    ]
    for key in ("kubeletVersion", "containerRuntimeVersion"):
        seen = sorted({info[key] for info in infos if key in info})
        if seen:
            found[f"version {key}"] = ", ".join(seen)
    found["deletion"] = "none during a trial: objects stay until the cluster is discarded"
    return dict(sorted(found.items()))


def client_limits(
    running: Mapping[str, Mapping[str, str]], defaults: Mapping[str, tuple[str, str]]
) -> str:
    """Describe QPS and burst of the programs' clients, marking values that no flag sets.

    Parameters
    ----------
    running : mapping
        As from `flags`.
    defaults : mapping
        Program -> QPS and burst built into it.
    """
    told = []
    for program, default in defaults.items():
        options = running.get(program, {})
        qps, burst = options.get("kube-api-qps"), options.get("kube-api-burst")
        mark = "" if qps and burst else " (default)"
        told.append(f"{program} {qps or default[0]}/s, burst {burst or default[1]}{mark}")
    return "; ".join(told)


def log_levels(running: Mapping[str, Mapping[str, str]]) -> str:
    """Describe the programs' verbosity, which is 0 if no flag sets it."""
    levels = [f"{name} {options.get('v', '0')}" for name, options in sorted(running.items())]
    return ", ".join(levels) or "unknown"


def metrics(text: str, prefixes: Sequence[str], prefix: str) -> dict[str, float]:
    """Read values of Prometheus' text format, without the buckets of histograms.

    Parameters
    ----------
    text : str
        Text as scraped.
    prefixes : sequence of str
        Only metrics whose names begin with one of these are read.
    prefix : str
        Put before each name in the result.
    """
    found: dict[str, float] = {}
    for line in text.splitlines():
        match = re.match(r"([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)", line)
        if match and match[1].startswith(tuple(prefixes)) and not match[1].endswith("_bucket"):
            try:
                found[f"{prefix}{match[1]}{match[2] or ''}"] = float(match[3])
            except ValueError:
                continue
    # Drop NaN (a summary without samples), which JSON cannot hold.
    return {name: value for name, value in found.items() if value == value}


def _json(text: str) -> dict[str, Any]:
    """Object in a record; empty where a failed trial left none."""
    try:
        data = json.loads(text)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
