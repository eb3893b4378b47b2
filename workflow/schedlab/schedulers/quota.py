"""A quota on the processor time of a scheduler's own daemon, set and enforced by systemd.

It limits how fast that daemon can decide, whatever the scheduler's own settings say: CPUQuota= of
systemd.resource-control(5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schedlab.schedulers.limits import Lift, Limit
from schedlab.schedulers.rows import text_of
from schedlab.schedulers.settings import Setting

KEY = "CPUQuota"
NONE = "none"
TWICE = 2
"""By how much a lifted quota exceeds that in force. How many jobs a daemon decides grows with its
processor time until another limiter comes, so a small step tests that, and a large one does not."""
_RECORD = "cpu-quota.txt"
_PROPERTY = "CPUQuotaPerSecUSec"
_FORM = r"[1-9]\d{0,3} ?%"
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
"""Units in which systemd writes the processor time that a unit has in each second."""


def setting(unit: str) -> dict[str, Setting]:
    """Return the setting of the daemon that runs in a unit of the head."""
    return {
        KEY: Setting(
            NONE,
            f"processor time that {unit} on the head may use, of one processor (systemd's"
            f" {KEY}=), from when the cluster is set up",
            f"{NONE}|{_FORM}",
            f"{NONE}, or a whole percentage from 1 % to 9999 %",
        )
    }


def variables(unit: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """Ansible variables that give the unit its quota; none where it has none."""
    share = _share(settings.get(KEY, NONE))
    if share is None:
        return {}
    return {"schedlab_cpu_quotas": {f"{unit}.service": f"{round(100 * share)}%"}}


def command(unit: str) -> dict[str, list[str]]:
    """Record file name -> command on the head that tells the quota in force."""
    return {_RECORD: ["systemctl", "show", f"--property={_PROPERTY}", f"{unit}.service"]}


def in_force(native: Path) -> dict[str, str]:
    """Return the setting by the native record of a trial; empty where that does not tell."""
    found = re.search(rf"^{_PROPERTY}=(.+)$", text_of(native / _RECORD), re.M)
    if not found:
        return {}
    if found[1] == "infinity":
        return {KEY: NONE}
    spans = re.fullmatch(r"(?:\d+(?:\.\d+)?(?:us|ms|s|min) ?)+", found[1])
    parts = re.findall(r"(\d+(?:\.\d+)?)(us|ms|s|min)", found[1])
    share = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return {KEY: f"{100 * share:g} %"} if spans else {}


def limits(unit: str, process: str, settings: Mapping[str, Any]) -> list[Limit]:
    """Return the limit that a quota is; none where there is none.

    Parameters
    ----------
    unit : str
        Unit that has the quota.
    process : str
        Daemons in the unit, as the trial's costs name them.
    settings : mapping
        Settings in force, recorded or to be.
    """
    share = _share(str(settings.get(KEY, NONE)))
    if share is None:
        return []
    words = f"processor time that {unit} may use ({KEY})"
    return [Limit(words, KEY, None, None, cores=share, process=process)]


def lifts(settings: Mapping[str, str]) -> list[Lift]:
    """Return twice the quota; none where there is none."""
    share = _share(settings[KEY])
    if share is None:
        return []
    return [Lift("quota", {KEY: f"{min(9999, round(100 * TWICE * share))} %"})]


def _share(text: str) -> float | None:
    """Processors that a quota gives; None where there is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?(?:e-?\d+)?) ?%", text, re.ASCII)
    return float(found[1]) / 100 if found else None
