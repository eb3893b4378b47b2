"""What of a results folder, and of the cache, the current experiment does not name.

Only what carries schedlab's marks is ever listed: folders of results with a record whose stage and
id are those of their path, and entries of the cache with a manifest whose inputs give their name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from schedlab import design, paths
from schedlab.bundle.contents import stage_records, trial_folders
from schedlab.config import Experiment
from schedlab.errors import SchedlabError, WrongFolder
from schedlab.results.records import digests, file_digest, load_record
from schedlab.schedulers import image_installation, image_programs
from schedlab.schedulers.installation import lock_file
from schedlab.sources import stage_files
from schedlab.stages.base_disk import cache_inputs
from schedlab.storage.marks import is_marked, is_plain_file, no_marks
from schedlab.storage.usage import Usage, usage
from schedlab.toolchain.build import HOST_TOOLS
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.installation import KIND as INSTALLATION
from schedlab.toolchain.installation import given_digest

_FOLDERS = {
    paths.image_folder("*", "*"): {"base": "base", "programs": "programs", "image": "image"},
    paths.cluster_folder("*", "*"): {"provisioned": "provision", "configured": "configure"},
    paths.trial_folder("*", "*", "*"): None,
}
"""Patterns of the folders that belong to an experiment; stage of the record by the last part."""


@dataclass(frozen=True)
class Item:
    """Something that can be removed.

    Attributes
    ----------
    name : str
        For people.
    paths : tuple of pathlib.Path
        Folders and files that are removed, in this order.
    usage : Usage
        Of these folders.
    """

    name: str
    paths: tuple[Path, ...]
    usage: Usage


@dataclass(frozen=True)
class Plan:
    """What can be removed.

    Attributes
    ----------
    results, cache : list of Item
        What of the results, and of the cache, no current target needs.
    """

    results: list[Item]
    cache: list[Item]

    @property
    def items(self) -> list[Item]:
        """Everything that can be removed."""
        return [*self.results, *self.cache]

    @property
    def paths(self) -> list[Path]:
        """The folders and files of all items."""
        return [path for item in self.items for path in item.paths]

    @property
    def freed(self) -> int:
        """Bytes that are free after the removal."""
        return _together(self.items).freed


def plan(results: Path, cache: Cache, experiment: Experiment) -> Plan:
    """List what no target of an experiment needs.

    Raises
    ------
    SchedlabError
        The folder of results is not schedlab's, or not this experiment's.
    """
    own: list[Item] = []
    if results.is_symlink() or results.is_dir():
        if results.is_symlink():
            raise SchedlabError(
                f"{results} is a link", remedy=f"name the folder itself, {results.resolve()}"
            )
        if not is_marked(results):
            raise WrongFolder(
                f"{results} is no folder of results: {no_marks()}",
                remedy="name the results folder itself",
            )
        own = of_results(results, experiment)
    return Plan(own, of_cache(cache, experiment, _together(own)))


def _together(items: Iterable[Item]) -> Usage:
    used = Usage()
    for item in items:
        used.include(item.usage)
    return used


def of_results(results: Path, experiment: Experiment) -> list[Item]:
    """List clusters, trials, decisions about them, and images that an experiment does not name.

    Trials of a workload on a cluster are one item, and decisions too.

    Raises
    ------
    SchedlabError
        The folder holds such things, and the experiment names none of them: these are the results
        of another experiment.
    """
    named = {record.rpartition("/")[0] for record in stage_records(experiment)}
    named |= set(trial_folders(experiment))
    marked = list(_marked(results))
    unneeded = [name for name in marked if name not in named]
    if unneeded and len(unneeded) == len(marked):
        raise SchedlabError(
            f"{results} holds nothing that the experiment {experiment.name} names",
            remedy="choose the experiment of these results: --experiments FILE, or make disk "
            "CONFIG=FILE; to remove all results: make clean",
        )
    unneeded += [name for name, about in _decisions(results) if about not in named]
    groups: dict[str, list[Path]] = defaultdict(list)
    for name in unneeded:
        groups[str(PurePosixPath(name).parent)].append(results / name)
    return [_item(name, folders) for name, folders in groups.items()]


def _item(name: str, found: list[Path]) -> Item:
    used = Usage()
    for path in found:
        used.include(usage(path))
    parts = ", ".join(path.name.removesuffix(f".{paths.RECORD}") for path in found)
    return Item(f"{name}: {parts}", tuple(found), used)


def _marked(results: Path) -> Iterator[str]:
    """Yield the folders below `results` that a stage of schedlab made, by their records."""
    for pattern, stages in _FOLDERS.items():
        for folder in sorted(results.glob(pattern)):
            name = folder.relative_to(results)
            record = _record(results, name / paths.RECORD)
            if record is None:
                continue
            stage = "trial" if stages is None else stages.get(folder.name)
            identifier = ("." if stages is None else "/").join(name.parts[1:])
            if (record["stage"], record["id"]) == (stage, identifier):
                yield name.as_posix()


def _decisions(results: Path) -> Iterator[tuple[str, str]]:
    """Yield the records of decisions below `results`, each with the folder that it is about."""
    for path in sorted(results.glob(paths.cluster_decision_record("*"))):
        name = path.relative_to(results)
        cluster = name.parts[1]
        record = _record(results, name)
        about = ("decision", f"{cluster}/configured")
        if record is not None and (record["stage"], record["id"]) == about:
            yield name.as_posix(), paths.cluster_folder(cluster, "configured")
    for path in sorted(results.glob(paths.decision_record("*", "*", "*"))):
        name = path.relative_to(results)
        cluster, workload = name.parts[1:3]
        repetition = name.name.removesuffix(f".{paths.RECORD}")
        record = _record(results, name)
        about = ("decision", f"{cluster}.{workload}.{repetition}")
        if record is not None and (record["stage"], record["id"]) == about:
            yield name.as_posix(), paths.trial_folder(cluster, workload, repetition)


def _record(results: Path, name: Path) -> dict[str, Any] | None:
    """Record below `results`; None if it cannot be read, or a link leads to it."""
    above = [results / parent for parent in name.parents][:-1]
    if any(path.is_symlink() for path in above) or not is_plain_file(results / name):
        return None
    try:
        return load_record(results / name)
    except (SchedlabError, OSError):
        return None


def entries(cache: Cache) -> list[Item]:
    """List all entries of the cache."""
    return [_entry(entry, manifest) for entry, manifest in cache.entries()]


def _entry(entry: Path, manifest: Mapping[str, Any]) -> Item:
    return Item(_described(manifest), (entry,), usage(entry))


def of_cache(cache: Cache, experiment: Experiment, removed: Usage) -> list[Item]:
    """List the entries of the cache that nothing needs.

    An entry stays if the experiment or the tools of this release need it, if results anywhere on
    its file system have files of it, or if its need cannot be told.

    Parameters
    ----------
    cache : Cache
        The cache.
    experiment : Experiment
        What names images.
    removed : Usage
        What is removed of the results.
    """
    found = list(cache.entries())
    wanted = _wanted(experiment)
    tools = {
        facts.get("sha256"): _fits(manifest, wanted["go-tool"])
        for _, manifest in found
        if manifest["kind"] == "go-tool"
        for facts in manifest["files"].values()
    }
    items = []
    for entry, manifest in found:
        kind, inputs = manifest["kind"], manifest["inputs"]
        if kind in wanted:
            needed = _fits(manifest, wanted[kind])
        elif kind in {"packer-plugins", "provider-mirror"}:
            # Made of a tool: of one that was not built here, it cannot be told.
            needed = tools.get(inputs.get("plugin", inputs.get("provider")), True)
        else:
            needed = True
        item = _entry(entry, manifest)
        if not needed and not _elsewhere(item.usage, removed):
            items.append(item)
    return items


def _elsewhere(used: Usage, removed: Usage) -> bool:
    """Whether files have other names than these and those that are removed."""
    return any(
        names > seen + removed.inodes.get(key, (0, 0, 0))[2]
        for key, (_, names, seen) in used.inodes.items()
    )


def _wanted(experiment: Experiment) -> dict[str, list[dict[str, Any]]]:
    """By kind of entry, the inputs by which an entry that is needed is known."""
    images = design.images(experiment)
    programs = [group.folder for image in images for group in image_programs(image)]
    tools = [paths.TOOL_MODULES / name for name in HOST_TOOLS]
    return {
        "base-disk": [cache_inputs(experiment, image) for image in images],
        "image": [
            {"code": digests(stage_files("image", image=image), paths.CHECKOUT)} for image in images
        ],
        "guest-binaries": [_pins(folder) for folder in programs],
        INSTALLATION: [one for image in images for one in _given(experiment, image)],
        "go-tool": [_pins(folder) for folder in tools],
        "go": [{"requirements": file_digest(paths.TOOL_MODULES / "go" / "requirements.txt")}],
    }


def _given(experiment: Experiment, image: str) -> Iterator[dict[str, Any]]:
    """Yield the inputs of the installation that the settings give for an image, if they do."""
    installation = image_installation(image)
    if installation is None:
        return
    settings = design.installation_settings(experiment, image)
    if settings.get("prefix"):
        there = settings.get("sha256") or paths.expanded(settings["prefix"], "prefix").is_dir()
    elif not (there := lock_file(installation, settings).is_file()):
        return
    # Where the given folder is no longer there, every entry may be the one that was made of it.
    given = {"given": given_digest(installation, settings)} if there else {}
    yield {"name": installation.name, **given}


def _pins(folder: Path) -> dict[str, str]:
    return {name: file_digest(folder / name) for name in ("go.mod", "go.sum")}


def _fits(manifest: Mapping[str, Any], wanted: list[dict[str, Any]]) -> bool:
    inputs = manifest["inputs"]
    return any(all(inputs.get(key) == one[key] for key in one) for one in wanted)


def _described(manifest: Mapping[str, Any]) -> str:
    """Describe an entry in a few words."""
    inputs = manifest["inputs"]
    spec = inputs.get("spec")
    words = [
        *([spec.get("image"), spec.get("suite")] if isinstance(spec, dict) else []),
        *(inputs.get(key) for key in ("module", "version", "accelerator")),
        inputs.get("package") if manifest["kind"] == "prometheus" else None,
        str(inputs["base"])[:12] if manifest["kind"] == "image" else None,
    ]
    return " ".join([manifest["kind"], *(word for word in words if isinstance(word, str))])
