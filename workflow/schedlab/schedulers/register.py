"""The register of schedulers: one package each, loaded when it is first used.

A scheduler has the name of its package, which is here or in the folder that the environment
variable ``SCHEDLAB_SCHEDULERS`` names. That folder must lie within the checkout, as its files are
recorded like all other sources. Importing a package registers its adapter.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TypeVar

import schedlab.schedulers as package
from schedlab.errors import SchedlabError
from schedlab.paths import CHECKOUT, ROLES
from schedlab.schedulers.base import Scheduler
from schedlab.schedulers.installation import Installation
from schedlab.schedulers.programs import ProgramGroup

FURTHER = "SCHEDLAB_SCHEDULERS"
"""Environment variable with a folder of further packages, each with an adapter."""

_adapters: dict[str, type[Scheduler]] = {}

_S = TypeVar("_S", bound=Scheduler)


def register(adapter: type[_S]) -> type[_S]:
    """Class decorator: make an adapter known by its `name`.

    Raises
    ------
    ValueError
        When the name is taken.
    """
    if adapter.name in _adapters:
        raise ValueError(f"two adapters are named {adapter.name}")
    _adapters[adapter.name] = adapter
    return adapter


def scheduler_names() -> list[str]:
    """Names of all schedulers, sorted; none of them is loaded.

    Raises
    ------
    SchedlabError
        When ``SCHEDLAB_SCHEDULERS`` names no folder, one outside the checkout, or one with a
        package whose name is taken.
    """
    further = os.environ.get(FURTHER)
    if further and str(folder := Path(further).resolve()) not in package.__path__:
        if not folder.is_dir():
            raise SchedlabError(
                f"{FURTHER}={further}: no such folder",
                remedy="name the folder that has a package for each further scheduler, or unset it",
            )
        if not folder.is_relative_to(CHECKOUT.resolve()):
            raise SchedlabError(
                f"{FURTHER}={further}: the folder is outside the checkout, {CHECKOUT}",
                remedy="move it into the checkout: its files are recorded like all other sources",
            )
        own = {module.name for module in iter_modules(package.__path__)}
        twice = own & {module.name for module in iter_modules([str(folder)])}
        if twice:
            raise SchedlabError(
                f"{FURTHER}={further}: {min(twice)!r} is the name of a package here",
                remedy="give the further package another name",
            )
        # Python then finds the packages there as it finds those here.
        package.__path__.append(str(folder))
    return sorted({module.name for module in iter_modules(package.__path__) if module.ispkg})


def get_scheduler(name: str, settings: Mapping[str, str] | None = None) -> Scheduler:
    """Return the adapter of a scheduler.

    Parameters
    ----------
    name : str
        Name of the scheduler.
    settings : mapping of str to str, optional
        Native settings that an experiment sets; the adapter's defaults apply to all others.

    Raises
    ------
    SchedlabError
        When there is no package of that name, it cannot be loaded, it registers no adapter of that
        name, or the adapter lacks methods or names a role that does not exist.
    """
    if name not in _adapters:
        names = scheduler_names()
        if name not in names:
            raise SchedlabError(
                f"scheduler {name!r} is not registered", remedy=f"use one of {', '.join(names)}"
            )
        module = _load(name)
        if name not in _adapters:
            raise SchedlabError(
                f"{module.__file__} registers no adapter named {name!r}",
                remedy="set the adapter's `name` to the package's name, and decorate it with"
                " `register`",
            )
        _check(_adapters[name])
    return _adapters[name](settings)


def _load(name: str) -> ModuleType:
    """Import a scheduler's package, which may be anybody's."""
    try:
        return import_module(f"{package.__name__}.{name}")
    except Exception as error:
        raise SchedlabError(
            f"the package of scheduler {name!r} cannot be loaded: {type(error).__name__}: {error}",
            remedy=f"correct it: {package_folder(name)}",
        ) from error


def _check(adapter: type[Scheduler]) -> None:
    """Refuse an adapter that is not complete."""
    where = package_folder(adapter.name)
    if inspect.isabstract(adapter):
        raise SchedlabError(
            f"the adapter of scheduler {adapter.name!r} lacks methods:"
            f" {', '.join(sorted(adapter.__abstractmethods__))}",
            remedy=f"write them in {where}; `schedlab.schedulers.base` describes them",
        )
    if not re.fullmatch("[a-z][a-z0-9]*", adapter.image):
        raise SchedlabError(
            f"scheduler {adapter.name!r} has the image {adapter.image!r}",
            remedy=f"use lower-case letters and digits alone, a letter first, in {where}",
        )
    missing = [role for role in adapter.roles if not (ROLES / role / "tasks/main.yml").is_file()]
    if missing:
        raise SchedlabError(
            f"scheduler {adapter.name!r} names the role {missing[0]!r}, which has no"
            f" {ROLES / missing[0] / 'tasks/main.yml'}",
            remedy=f"add the role (roles/common/README.md says how), or correct `roles` in {where}",
        )


def package_folder(name: str) -> Path:
    """Folder of a scheduler's package."""
    scheduler_names()  # adds the folder of `SCHEDLAB_SCHEDULERS` to the search path
    return next(
        Path(folder) / name for folder in package.__path__ if (Path(folder) / name).is_dir()
    )


def _sharing(image: str) -> list[Scheduler]:
    """Adapters whose clusters start from an image, sorted by name.

    An image's id is the adapter's `image`, or begins with it: ``alpha``, or ``alpha-bookworm``.
    """
    kind = image.partition("-")[0]
    adapters = (get_scheduler(name) for name in scheduler_names())
    return [adapter for adapter in adapters if adapter.image == kind]


def image_roles(image: str) -> tuple[str, ...]:
    """Roles whose install part goes into an image, for all the schedulers that share it."""
    return tuple(dict.fromkeys(role for adapter in _sharing(image) for role in adapter.roles))


def image_programs(image: str) -> list[ProgramGroup]:
    """Programs built for an image, for all the schedulers that share it, sorted by name."""
    groups = {group.name: group for adapter in _sharing(image) for group in adapter.programs}
    return [groups[name] for name in sorted(groups)]


def image_installation(image: str) -> Installation | None:
    """Software that settings give for an image; schedulers that share the image share it."""
    found = [one.installation for one in _sharing(image) if one.installation]
    return found[0] if found else None


def has_programs(image: str) -> bool:
    """Whether an image carries programs beside packages: built ones, or an installation."""
    return bool(image_programs(image)) or image_installation(image) is not None


def check_programs(image: str, versions: dict[str, str]) -> None:
    """Let each scheduler that shares an image check the versions of the programs in it.

    Parameters
    ----------
    image : str
        Id of the image.
    versions : dict of str to str
        Name of the program group -> version.

    Raises
    ------
    SchedlabError
        When versions do not go together; the message names them.
    """
    for adapter in _sharing(image):
        adapter.check_programs(versions)
