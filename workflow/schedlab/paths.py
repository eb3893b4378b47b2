"""All paths below the checkout and below a results folder. Each path is written only here.

A path below a results folder is a text with slashes, relative to that folder, as in records,
bundles and rules. Each function also accepts wildcards (``{cluster}``) and glob patterns (``*``) in
place of names.
"""

from __future__ import annotations

import os
from pathlib import Path

from schedlab.errors import SchedlabError
from schedlab.printing import brief, word

CHECKOUT = Path(__file__).resolve().parents[2]
"""Root of the checkout that this package runs from."""

PACKAGE = CHECKOUT / "workflow" / "schedlab"
INFRASTRUCTURE = CHECKOUT / "workflow" / "infrastructure"
ANSIBLE = INFRASTRUCTURE / "ansible"
ROLES = ANSIBLE / "roles"
PACKER = INFRASTRUCTURE / "packer"
TERRAFORM = INFRASTRUCTURE / "terraform"
GUEST_PROGRAMS = INFRASTRUCTURE / "guest"
REPORT_TEMPLATES = CHECKOUT / "workflow" / "report"
CITATION = CHECKOUT / "CITATION.cff"
IMAGES = CHECKOUT / "config" / "images"
"""Experiments of the images that `schedlab conformance` knows by name."""
TOOL_MODULES = CHECKOUT / "envs" / "toolchain"
"""One folder for each tool of the controller, with its ``go.mod`` and ``go.sum``."""
ENVIRONMENT = CHECKOUT / "envs" / "environment.txt"
"""Variables of the user that reach the programs that schedlab starts."""

DASHBOARDS = CHECKOUT / "resources" / "dashboards"
"""Dashboards for Grafana, made from `schedlab.dashboards.definition`."""

SOURCES = (
    "Snakefile",
    "workflow",
    "config",
    "envs",
    "profiles",
    "resources",
    "scripts",
    "pyproject.toml",
    "uv.lock",
    "Makefile",
    "CITATION.cff",
)
"""The sources: all files and folders of the checkout that the pipeline reads."""

SNAKEMAKE = ".snakemake"
"""Folder that Snakemake keeps in a checkout, for all runs of it."""
_OWN = frozenset({*SOURCES, "tests", "docs", ".git", ".github", ".ci", ".venv", SNAKEMAKE})
"""Folders (and files) of the checkout that cannot be results."""
_OF_PROGRAMS = frozenset({".git", ".venv", SNAKEMAKE})
"""Folders of the checkout that other programs fill and remove, with all that is in them."""


def own_folder(path: Path, checkout: Path) -> str | None:
    """Return which folder of the checkout a path is, or None where it may be a results folder.

    Parameters
    ----------
    path, checkout : pathlib.Path
        Both absolute and without links.
    """
    if not path.is_relative_to(checkout):
        return None
    first, *below = path.relative_to(checkout).parts or ("",)
    own = first in _OF_PROGRAMS if below else first in _OWN
    return first if own else None


RESULTS = "results"
"""Name of the results folder in records and bundles, whatever its path on disk is."""

RECORD = "record.json"
ACCELERATOR = "accelerator.json"
TOOLCHAIN = "toolchain.json"
EXPERIMENTS = "experiments.yaml"
"""Copy of the results' experiment, beside the report."""
REPORT = "report.html"
REPORT_RECORD = "report.record.json"
BUNDLE = "bundle.tar.zst"
CRATE = "ro-crate-metadata.json"
"""Metadata of a bundle, at its root."""
PACKED_SOURCE = "source"
"""Folder of a bundle with the checkout at its commit."""
RUN_LOCK = ".lock"
"""File that a run locks, so that no other works on the same results."""
RUN_STATE = ".run.json"
"""How far a run is, for people who watch it (`schedlab.watch.run`)."""
STATE = ".snakemake.json"
"""Copy of Snakemake's metadata of the results."""
IDENTITY = ".identity"
"""Name of the results in libvirt, which saved machines have: it moves with the folder."""
TABLES = "tables"
TABLES_RECORD = f"{TABLES}/{RECORD}"
TABLE_FILES = ("jobs.parquet", "samples.parquet", "trials.parquet")
FIGURES = "figures"
LOGS = "logs"
CONFORMANCE = "conformance"
"""Folder with the results of each image that `schedlab conformance` checked."""
IMPORTED = "imported"
"""Folder with one folder for each import."""
IMPORT = "origin.json"
"""Description of an import, in its folder."""


def image_folder(image: str, stage: str) -> str:
    """Return the folder of an image's stage ``base``, ``programs`` or ``image``."""
    return f"images/{image}/{stage}"


def image_record(image: str, stage: str) -> str:
    """Return the record of an image's stage."""
    return f"{image_folder(image, stage)}/{RECORD}"


def cluster_folder(cluster: str, state: str) -> str:
    """Return the folder of a cluster in state ``provisioned`` or ``configured``."""
    return f"clusters/{cluster}/{state}"


def cluster_record(cluster: str, state: str) -> str:
    """Return the record of a cluster in a state."""
    return f"{cluster_folder(cluster, state)}/{RECORD}"


def trace_file(workload: str, nodes: int | str, repetition: int | str) -> str:
    """Return the neutral trace of a workload for a number of nodes and a repetition."""
    return f"traces/{workload}-n{nodes}-r{repetition}.json"


def trace_record(workload: str, nodes: int | str, repetition: int | str) -> str:
    """Return the record of a neutral trace."""
    return record_beside(trace_file(workload, nodes, repetition))


def decision_record(cluster: str, workload: str, repetition: int | str) -> str:
    """Return the record of the decision whether a trial runs."""
    return f"decisions/{cluster}/{workload}/{repetition}.{RECORD}"


def cluster_decision_record(cluster: str) -> str:
    """Return the record of the decision whether a cluster is configured."""
    return f"decisions/{cluster}/configured.{RECORD}"


def trial_folder(cluster: str, workload: str, repetition: int | str) -> str:
    """Return the folder of a trial."""
    return f"trials/{cluster}/{workload}/{repetition}"


def trial_record(cluster: str, workload: str, repetition: int | str) -> str:
    """Return the record of a trial."""
    return f"{trial_folder(cluster, workload, repetition)}/{RECORD}"


def figure_file(figure: str) -> str:
    """Return the image file of a figure."""
    return f"{FIGURES}/{figure}.svg"


def figure_record(figure: str) -> str:
    """Return the record of a figure."""
    return record_beside(figure_file(figure))


def imported_folder(name: str) -> str:
    """Return the folder of an import; for the empty name, the results folder itself (empty)."""
    return f"{IMPORTED}/{name}" if name else ""


def record_beside(path: str) -> str:
    """Return the record of a file that shares its folder with others.

    For example, the record of ``wait.svg`` is ``wait.record.json``.
    """
    return f"{path.rpartition('.')[0]}.{RECORD}"


def cache_root() -> Path:
    """Return the folder of the cache: ``$SCHEDLAB_CACHE``, or ``schedlab`` in the user's cache.

    Raises
    ------
    SchedlabError
        When ``$SCHEDLAB_CACHE`` names the home folder of a user who does not exist.
    """
    explicit = os.environ.get("SCHEDLAB_CACHE")
    if explicit:
        return expanded(explicit, "SCHEDLAB_CACHE").absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # A relative name does not count (XDG Base Directory Specification).
    return (base if base.is_absolute() else Path.home() / ".cache") / "schedlab"


def resolved(path: Path, what: str) -> Path:
    """Return a path without links and without ``..``; it need not exist.

    Parameters
    ----------
    path : pathlib.Path
        The path.
    what : str
        What is there, for the message.

    Raises
    ------
    SchedlabError
        When links lead from one to another without an end, or a name or the path is longer than
        file systems take.
    """
    try:
        found = path.resolve()
    except RuntimeError:
        raise SchedlabError(
            f"{what} {word(str(path))}: its links lead round in a circle",
            remedy="remove one of these links, or name another path",
        ) from None
    for kind, text, most in (
        *(("name", part, _LONGEST) for part in path.parts),
        ("path", str(found), LONGEST_PATH),
    ):
        if (size := len(os.fsencode(text))) > most:
            raise SchedlabError(
                f"{what} {brief(str(path))}: a {kind} of {size} bytes is longer than file systems"
                f" take ({most})",
                remedy=f"choose a shorter {kind}",
            )
    return found


_LONGEST = 255
"""Longest name of a file on usual file systems, bytes (NAME_MAX, limits.h)."""
LONGEST_PATH = 4095
"""Longest path, bytes (PATH_MAX, limits.h, without the end of the text)."""


def expanded(text: str, what: str) -> Path:
    """Return a path with ``~`` and ``~user`` at its beginning replaced by the home folder.

    Raises
    ------
    SchedlabError
        When there is no such user, or as `resolved`; it names `what`.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise SchedlabError(
            f"{what}: {brief(text)}: there is no such user",
            remedy="write the whole path, or ./ before a name that begins with ~",
        ) from None
    resolved(path, what)
    return path
