"""Settings of Slurm, sound alone, that do not go together.

With them slurmctld does not start, ignores one, or starts no job that waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schedlab.schedulers.slurm import cycles
from schedlab.workloads.registry import Problem

_CONSUMED = ("CR_CPU", "CR_CORE", "CR_SOCKET")
_MODES = ("OFF", "CANCEL", "REQUEUE", "SUSPEND")
_MODIFIERS = {"WITHIN", "PRIORITY"}
_UNITS = ("NONE", "SOCKETS", "CORES", "THREADS")
_CONTAINING = {"CONTAIN", "RUNINJOB", "X11"}
"""Flags of the prolog that are, or include, Contain."""
_SHARED = {"mps", "shard"}
"""Generic resources that are shares of another one, gpu."""
_ONE_OF = (
    ("DefMemPerCPU", "DefMemPerNode"),
    ("MaxMemPerCPU", "MaxMemPerNode"),
    ("PropagateResourceLimits", "PropagateResourceLimitsExcept"),
)
"""Keys of which Slurm ignores the first where it has the second."""


def problems(overrides: Mapping[str, str], in_force: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what does not go together, each at a key that the experiment sets.

    Parameters
    ----------
    overrides : mapping of str to str
        Settings of the experiment, each sound alone.
    in_force : mapping of str to str
        The same over the defaults.
    """
    value = {key.lower(): text.strip('"') for key, text in in_force.items()}
    written = {key.lower(): key for key in overrides}
    fatal = (*_select(value), *_preempt(value), *_tasks(value), *_others(value))
    ignored = (*_ignored(value),)
    kinds = {
        "slurmctld does not start": fatal,
        "Slurm ignores a part in silence": ignored,
        "no job that waits ever starts": (*_idle(in_force),),
    }
    for result, found in kinds.items():
        for keys, what, remedy in found:
            at = next((written[key.lower()] for key in keys if key.lower() in written), None)
            if at:
                yield Problem(at, overrides[at], f"{result}: {what}", remedy)


def too_few(in_force: Mapping[str, str], nodes: int) -> Iterator[Problem]:
    """Yield a MaxNodeCount that is smaller than a cluster of so many nodes."""
    for key, text in in_force.items():
        if key.lower() == "maxnodecount" and text.isdecimal() and int(text) < nodes:
            what = f"clusters have up to {nodes} nodes, and slurmctld does not start with more"
            yield Problem(key, text, what, f"write {nodes} or more, or remove it")


_Found = Iterator[tuple[tuple[str, ...], str, str]]
"""Keys of which one is named, what is wrong, and the remedy."""


def _select(value: Mapping[str, str]) -> _Found:
    kind = value.get("selecttype", "")
    words = _words(value.get("selecttypeparameters", ""))
    keys = ("SelectTypeParameters", "SelectType")
    consumed = [word for word in words if word.removesuffix("_MEMORY") in (*_CONSUMED, "CR")]
    if len(consumed) > 1:
        yield keys, f"{' and '.join(consumed)} exclude one another", "write one of them"
    elif kind == "select/cons_tres" and not any(word.startswith(_CONSUMED) for word in consumed):
        yield keys, f"{kind} needs CR_CPU, CR_Core or CR_Socket", "add one of them"
    elif kind == "select/linear" and any(word.startswith(_CONSUMED) for word in consumed):
        what = f"{kind} does not go with {consumed[0]}, it allocates whole nodes"
        yield keys, what, "set SelectTypeParameters: CR_Memory"
    elif consumed and consumed[0].startswith("CR_CPU") and "CR_ONE_TASK_PER_CORE" in words:
        yield keys, "CR_ONE_TASK_PER_CORE does not go with CR_CPU", "write CR_Core for CR_CPU"
    if "maxnodecount" in value and "cons_tres" not in kind:
        yield ("MaxNodeCount",), f"{kind} does not know it", "remove it"


def _preempt(value: Mapping[str, str]) -> _Found:
    kind, words = value.get("preempttype", "preempt/none"), _words(value.get("preemptmode", "OFF"))
    modes = [word for word in words if word in _MODES]
    keys = ("PreemptMode", "PreemptType")
    off = not modes or modes == ["OFF"]
    if len(modes) > 1 or {"GANG", "WITHIN"} <= set(words):
        yield keys, f"{', '.join(words)} exclude one another", "write one mode, also with GANG"
    elif modes == ["SUSPEND"] and "GANG" not in words:
        yield keys, "SUSPEND needs GANG", "write SUSPEND,GANG"
    elif kind == "preempt/none" and (not off or _MODIFIERS & set(words)):
        yield keys, f"{', '.join(words)} needs a PreemptType", "set PreemptType"
    elif kind != "preempt/none" and off:
        yield keys, f"{kind} needs a PreemptMode", "set PreemptMode: CANCEL or REQUEUE"


def _tasks(value: Mapping[str, str]) -> _Found:
    bound = _words(value.get("taskpluginparam", ""))
    for one in (
        [word for word in bound if word in _UNITS],
        [word for word in bound if word.startswith("AUTOBIND=")],
    ):
        if len(one) > 1:
            yield ("TaskPluginParam",), f"{' and '.join(one)} exclude one another", "write one"
    flags = set(_words(value.get("prologflags", "")))
    if "ENABLE_STEPMGR" in _words(value.get("slurmctldparameters", "")) and not flags & _CONTAINING:
        keys = ("SlurmctldParameters", "PrologFlags")
        yield keys, "enable_stepmgr needs PrologFlags: Contain", "set PrologFlags: Contain"
    generic = value.get("grestypes", "").split(",")
    shares = [name for name in generic if name in _SHARED]
    if shares and "gpu" not in generic:
        yield ("GresTypes",), f"{shares[0]} needs gpu", f"write gpu,{shares[0]}"
    elif shares and "cons_tres" not in value.get("selecttype", ""):
        what = f"{shares[0]} needs select/cons_tres"
        yield ("GresTypes",), what, f"remove {shares[0]}, or SelectType"


def _ignored(value: Mapping[str, str]) -> _Found:
    """What does not keep slurmctld from starting; the first key is the ignored one."""
    for ignored, taken in _ONE_OF:
        if ignored.lower() in value and taken.lower() in value:
            yield (ignored, taken), f"{taken} takes the place of {ignored}", "remove one of them"
    flags = _words(value.get("priorityflags", ""))
    for flag in ("DEPTH_OBLIVIOUS", "NO_FAIR_TREE"):
        if {"FAIR_TREE", flag} <= set(flags):
            yield ("PriorityFlags",), f"{flag} switches FAIR_TREE off", "remove one of them"
            break
    names = {word.partition("=")[0] for word in _words(value.get("schedulerparameters", ""))}
    if {"MAX_RPC_CNT", "MAX_RPC_COUNT"} <= names:
        what = "max_rpc_cnt takes the place of max_rpc_count"
        yield ("SchedulerParameters",), what, "remove max_rpc_count"


def _idle(in_force: Mapping[str, str]) -> _Found:
    """Both loops that start waiting jobs are off.

    With sched_interval=-1 slurmctld's `_schedule` returns at once, also after the end of a job, and
    sched/builtin starts none itself. A job then starts at its submission, or never.
    """
    if not cycles.limits(in_force):
        what = "sched_interval=-1 turns the main loop off, and no back-fill runs"
        remedy = "write sched_interval=0 or more, or SchedulerType: sched/backfill and a"
        yield (cycles.PARAMETERS, "SchedulerType"), what, f"{remedy} bf_interval of 1 or more"


def _others(value: Mapping[str, str]) -> _Found:
    plugin, groups = value.get("mcsplugin", "mcs/none"), value.get("mcsparameters")
    if plugin == "mcs/group" and not groups:
        yield ("MCSPlugin",), "mcs/group needs MCSParameters", "set MCSParameters"
    if groups and "mcsplugin" not in value:
        yield ("MCSParameters",), "it needs an MCSPlugin", "set MCSPlugin"
    flags = _words(value.get("prologflags", ""))
    if "NOHOLD" in flags and {"CONTAIN", "X11", "RUNINJOB"} & set(flags):
        yield ("PrologFlags",), "NoHold does not go with Contain, RunInJob or X11", "remove one"
    if "X11" in flags and value.get("proctracktype") == "proctrack/linuxproc":
        yield ("PrologFlags",), "X11 does not go with proctrack/linuxproc", "remove X11"
    launch = _words(value.get("launchparameters", ""))
    if {"ENABLE_NSS_SLURM", "DISABLE_SEND_GIDS"} <= set(launch):
        what = "enable_nss_slurm and disable_send_gids exclude one another"
        yield ("LaunchParameters",), what, "remove one"
    network = _words(value.get("communicationparameters", ""))
    if "DISABLEIPV4" in network and "ENABLEIPV6" not in network:
        yield ("CommunicationParameters",), "without IPv4 it needs IPv6", "remove DisableIPv4"
    endless = not value.get("prioritydecayhalflife", "1").strip("0:-")
    if endless and "priorityusageresetperiod" not in value:
        what = "a half-life of 0 needs a PriorityUsageResetPeriod"
        yield ("PriorityDecayHalfLife",), what, "set PriorityUsageResetPeriod"
    memory = _words(value.get("jobacctgatherparams", ""))
    if {"USEPSS", "NOSHARED"} <= set(memory):
        yield ("JobAcctGatherParams",), "UsePss and NoShared exclude one another", "remove one"


def _words(text: str) -> list[str]:
    return [word.strip().upper() for word in text.split(",") if word.strip()]
