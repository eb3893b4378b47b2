"""Settings of Slurm that an experiment may not change, and why.

They are the workflow's own, name what is on the guests, have programs run there, or leave records
from which jobs cannot be read. All kinds hold for keys too that only a newer Slurm has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from schedlab.schedulers.slurm.keys import NOT_OF_SLURM
from schedlab.workloads.registry import Problem

OWN = (
    "AuthType",
    "ClusterName",
    "CredType",
    "LogTimeFormat",
    "NodeName",
    "PartitionName",
    "SlurmUser",
    "SlurmctldDebug",
    "SlurmctldHost",
    "SlurmctldLogFile",
    "SlurmdLogFile",
    "SlurmdParameters",
    "SlurmdPidFile",
    "SlurmdSpoolDir",
    "StateSaveLocation",
)
"""Keys that the role writes or the adapter depends on."""


class _Kind(NamedTuple):
    """Settings that are refused for one reason.

    The pattern is of the whole key, or of the whole ``key=value``; the key is in lower case.
    """

    pattern: str
    what: str
    remedy: str


_ANY = "remove it; keys that name nothing of the guests and run nothing there may be set"
_KINDS = (
    _Kind(
        "|".join(OWN).lower(),
        "set by the workflow itself, which depends on it",
        "remove it; any other key of slurm.conf may be set",
    ),
    _Kind(
        "include",
        "includes another file, whose settings no record and no comparison would have",
        "write the settings themselves",
    ),
    _Kind(
        # Also what loads a plugin that may run a script, or changes jobs between their submission
        # and the queue, where the same trace is given to every scheduler.
        r".*(program|prog|script|command|(prolog|epilog)(slurmctld)?|plugstack)"
        r"|plugstackconfig|plugindir|jobsubmitplugins|clifilterplugins",
        "has programs run or loaded on the guests, whose work would be taken for Slurm's",
        _ANY,
    ),
    _Kind(
        r".*(file|dir|location|loc|path|pass|privatekey|publiccertificate)|tmpfs",
        "names a file or a folder of the guests, which are the workflow's own",
        _ANY,
    ),
    _Kind(
        r".*(host|addr|port|portrange|user|username|nodename|machine)|backupcontroller|frontendname"
        r"|nodeset|downnodes|authalt.*|cryptotype",
        "names hosts, nodes, ports, users or how they authenticate, which are the workflow's own",
        _ANY,
    ),
    _Kind(
        "slurmschedloglevel",
        "changes where the scheduler's decisions are logged, and the log is what jobs are read"
        " from",
        "remove it",
    ),
    _Kind(
        "accountingstorageenforce",
        "needs a database of accounts, and the guests have none",
        "remove it",
    ),
    _Kind(
        "burstbuffer.*|nodefeaturesplugins|certgen.*|certmgr.*|federationparameters|poweraction",
        "needs a script, hardware or servers that the guests do not have",
        "remove it",
    ),
    _Kind(
        "fastschedule|accountingstorejobcomment",
        "a key that slurmctld only names as removed, and does not start with",
        "remove it",
    ),
    _Kind(
        "firstjobid|maxjobid",
        "lets numbers of jobs be given again, and jobs are told apart by their numbers",
        "remove it",
    ),
)

_VALUES = (
    _Kind(
        r"authinfo=(?!cred_expire=([5-9]|[1-9]\d{1,5})$).*",
        "names how hosts authenticate, which is the workflow's own",
        "remove it, or write cred_expire=N alone, from 5 s: how long a job's credential is valid",
    ),
    _Kind(
        r"accountingstoragetype=(?!accounting_storage/none$).*",
        "keeps records in a database, and the guests have none",
        "remove it, or write accounting_storage/none",
    ),
    _Kind(
        r"accountingstoragetres=.*/.*|priorityweight(age|fairshare)=(?!0$).*",
        "needs a database of accounts, and the guests have none: slurmctld does not start, or"
        " ignores it",
        "remove it",
    ),
    _Kind(
        r"(proctracktype|taskplugin|jobacctgathertype)=.*cgroup.*",
        "uses control groups, which Slurm has off on the guests (cgroup.conf)",
        "remove it for the default",
    ),
    _Kind(
        r"(acctgather(energy|filesystem|profile)type|corespecplugin|extsensorstype|powerplugin"
        r"|jobcontainertype|namespacetype|switchtype|tlstype|topologyplugin)"
        r"=(?![a-z_]+/none$|topology/(default|flat)$).*",
        "needs a file, hardware or a service that the guests do not have",
        "remove it",
    ),
    _Kind(
        r"jobcomptype=jobcomp/script",
        "has a program run for every job, whose work would be taken for Slurm's",
        "remove it, or write jobcomp/none",
    ),
    _Kind(
        r"jobcomptype=jobcomp/(elasticsearch|kafka|mysql)",
        "sends records to a server, and the guests have none",
        "remove it, or write jobcomp/none",
    ),
    _Kind(
        r"[^=]*=(.*[,;\s])?\w*(script|program|command)=.*",
        "has programs run on the guests, whose work would be taken for Slurm's",
        _ANY,
    ),
    _Kind(
        # A name that begins with / ./ ../ or ~, at the start or after what divides a list, or that
        # leads up.
        r"[^=]*=((.*[^\w./~])?(~[^/]*|\.\.?)?/|.*/\.\./).*",
        "names a file or a folder of the guests, which are the workflow's own",
        _ANY,
    ),
)


def refused(overrides: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the settings that no experiment may have, each with the reason; one for a key."""
    for key, text in overrides.items():
        if key.lower() in NOT_OF_SLURM:
            continue
        # Slurm takes a value in double quotes without them.
        bare = text.replace('"', "")
        kind = _of(_KINDS, key.lower()) or _of(_VALUES, f"{key.lower()}={bare}")
        if kind:
            yield Problem(key, text, kind.what, kind.remedy)


def _of(kinds: tuple[_Kind, ...], text: str) -> _Kind | None:
    return next((kind for kind in kinds if re.fullmatch(kind.pattern, text, re.DOTALL)), None)
