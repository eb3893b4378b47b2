"""Modules that a stage imports and that do not shape its results, each with the reason.

Everything else that a stage imports is a source of it. A module that is imported only through an
exempt one must be exempt too, or be a source in another way: `tests/unit/test_sources.py` checks.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

TOOLS = frozenset({"toolchain"})
PREPARATION = frozenset({"base", "accelerator", "programs", "image"})
CLUSTER = frozenset({"provision", "configure", "trial"})
ANALYSIS = frozenset({"decision", "tables", "figure", "report", "bundle"})
READING = frozenset({"decision", "tables"})
STAGES = TOOLS | PREPARATION | CLUSTER | ANALYSIS | {"trace"}


class Exemption(NamedTuple):
    """Modules that do not shape results.

    Parameters
    ----------
    modules : str
        Name of a module below ``schedlab``, or a pattern (``config.*``).
    reason : str
        Why they do not.
    stages : frozenset of str
        Stages in which they are exempt.
    """

    modules: str
    reason: str
    stages: frozenset[str] = STAGES

    def matches(self, stage: str, module: str) -> bool:
        """Whether a module is exempt in a stage."""
        name = module.removeprefix("schedlab.")
        return stage in self.stages and fnmatchcase(name, self.modules)


_CONFIG = "its decisions reach a stage as parameters of its rule, which Snakemake compares"
_RECORDS = "writes and checks records, whose form has a version of its own"
_TOOLS = "finds or keeps tools; their versions and digests are in toolchain.json, an input"
_NAMED = "gives these stages only an image, roles and programs; their files are sources already"
_ONLY_TYPES = "imported only by modules that are themselves exempt"
_IDENTITY = "removes names of this machine from what is written, and measures nothing"
_NO_JOBS = "defines jobs; no workload runs while a cluster is configured"
_OUTSIDE = "refuses hostile or damaged content, and does not change other content"
_GIT = "asks Git for the commit, which a record has, and measures nothing"
_PROGRESS = "prints how far a campaign is"

EXEMPT = (
    Exemption("schedlab", "says which release this is"),
    Exemption("errors", "says what went wrong; a stage that fails has no result"),
    Exemption("last_words", "says what went wrong; a stage that fails has no result"),
    Exemption("plain", "says what went wrong; a stage that fails has no result"),
    Exemption("locks", "lets a stage wait until another one has ended"),
    Exemption("processes", _GIT, ANALYSIS | {"trace"}),
    Exemption("paths", "says where files are; a moved result is another output of its rule"),
    Exemption("config", _CONFIG),
    Exemption("config.*", _CONFIG),
    Exemption("design", _CONFIG),
    Exemption("search_checks", _CONFIG),
    Exemption("workloads.duration", _CONFIG, STAGES - READING),
    Exemption("units", _CONFIG, STAGES - {"base", "trace", "decision"}),
    Exemption("addresses", _CONFIG, STAGES - {"provision"}),
    Exemption("printing", "escapes what is printed"),
    Exemption("outside.*", _OUTSIDE),
    Exemption("stages.context", "hands a stage its configuration and its folders"),
    Exemption("sources", "lists what a stage depends on; Snakemake compares the list itself"),
    Exemption("sources.*", "lists what a stage depends on; Snakemake compares the list itself"),
    Exemption("results.records", _RECORDS),
    Exemption("results.digests", _RECORDS),
    Exemption("results.record_form", _RECORDS),
    Exemption("results.conditions_form", _RECORDS),
    Exemption("results.contradictions", _RECORDS),
    Exemption("results.form_checks", _RECORDS),
    Exemption("results.parentage", _RECORDS),
    Exemption("results.provenance", _RECORDS),
    # Machines.
    Exemption("privacy.identity", _IDENTITY, STAGES - {"bundle"}),
    Exemption("privacy.secrets", _IDENTITY, STAGES - {"report", "bundle"}),
    Exemption("privacy.machine_names", _IDENTITY, STAGES - {"bundle"}),
    Exemption("privacy.package_mirrors", _IDENTITY, STAGES - {"base", "bundle"}),
    Exemption("toolchain.cache", "keeps files under the digest of what they were made from"),
    Exemption("toolchain", _TOOLS),
    Exemption("toolchain.assembly", _TOOLS, STAGES - {"toolchain"}),
    Exemption("toolchain.tools", _TOOLS, STAGES - {"toolchain", "programs"}),
    Exemption("toolchain.build", _TOOLS, STAGES - {"toolchain", "programs"}),
    Exemption(
        "toolchain.guest_binaries",
        "builds programs whose digests are in their own record, an input",
        frozenset({"image"}),
    ),
    *(
        Exemption(
            name,
            "packs what settings give, whose digest is in the programs' record, an input",
            STAGES - {"programs"},
        )
        for name in (
            "schedulers.contents",
            "schedulers.lockfile",
            "toolchain.channel",
            "toolchain.installation",
        )
    ),
    Exemption(
        "testbed.supervisor",
        "makes the folder that a stage works in, and removes it",
        PREPARATION,
    ),
    Exemption("schedulers", _NAMED, PREPARATION | {"provision"}),
    *(
        Exemption(f"schedulers.{name}", _NAMED, PREPARATION | {"provision", "trace"})
        for name in (
            "accounted",
            "base",
            "breaking",
            "delays",
            "exported",
            "limits",
            "translation",
            "virtual_nodes",
        )
    ),
    *(
        Exemption(
            f"schedulers.{name}", _NAMED, STAGES - {"configure", "trial", "decision", "tables"}
        )
        for name in ("installation", "programs", "register", "settings")
    ),
    *(
        Exemption(name, "reads lists of hosts in a trial's records", frozenset({"configure"}))
        for name in ("ranges", "schedulers.hosts")
    ),
    Exemption("schedulers", _ONLY_TYPES, frozenset({"trace"})),
    Exemption("workloads", _ONLY_TYPES, PREPARATION | {"provision"}),
    Exemption("workloads.*", _ONLY_TYPES, PREPARATION | {"provision"}),
    Exemption("workloads", _NO_JOBS, frozenset({"configure"})),
    Exemption("workloads.*", _NO_JOBS, frozenset({"configure"})),
    Exemption(
        "schedulers.*.latencies",
        "measures delays for a user, who writes them into the experiment",
    ),
    Exemption(
        "schedulers.*.records",
        "reads a trial's records; there are none while a cluster is configured",
        frozenset({"configure"}),
    ),
    Exemption(
        "schedulers.rows",
        "makes rows of tables; there are none while a cluster is configured",
        frozenset({"configure"}),
    ),
    # Trials.
    Exemption("invocation", "says in which run of the workflow a trial is", frozenset({"trial"})),
    Exemption("stages.progress", _PROGRESS, frozenset({"trial"})),
    Exemption("lineage.*", _PROGRESS, frozenset({"trial"})),
    Exemption("results.store", _PROGRESS, frozenset({"trial"})),
    Exemption("results.imports", _PROGRESS, frozenset({"trial"})),
)


def is_exempt(stage: str, module: str) -> bool:
    """Whether a module shapes no result of a stage."""
    return any(exemption.matches(stage, module) for exemption in EXEMPT)
