"""Variants: what an experiment compares, and how often each cell runs.

A variant is a scheduler that may have its own settings, image, machines and sampling. Keys that it
leaves out have the experiment's values. A plain name is a variant that sets nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationInfo,
    field_validator,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from schedlab.config.sections import (
    CloudImage,
    DebianImage,
    Guest,
    Head,
    Metrics,
    NativeSettings,
    Placement,
    Section,
    Virtual,
)
from schedlab.config.trials import MOST_TRIALS
from schedlab.units import Percentage, part
from schedlab.workloads.registry import Name

SECTIONS = ("image", "node", "head", "placement", "metrics", "virtual")
"""Sections of an experiment whose keys a variant may override."""

LIFTED = "-lifted"
"""Suffix of a variant's name when it runs with a limit lifted, to confirm what limits it."""
AGAIN = "-again"
"""Suffix of a variant's name when it runs a second time."""

VIRTUAL = "-virtual"
"""Suffix of a variant's name where it runs on virtual nodes."""

Image = Annotated[DebianImage | CloudImage, Field(discriminator="kind")]


class _Or:
    """Adds to the JSON schema the type that may be written in place of a mapping."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": self._kind}, handler(core_schema)]}


def overridden(settings: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    """Native settings with others over them; keys ignore case."""
    changed = {key.lower() for key in others}
    return {key: text for key, text in settings.items() if key.lower() not in changed} | {**others}


class Variant(Section):
    """One series of an experiment: a scheduler, and the keys that it overrides."""

    name: Annotated[Name, Field(max_length=32)] = Field(description="Its series everywhere.")
    scheduler: str = Field(
        default="", description="Registered scheduler; left out, that of the variant's name."
    )
    settings: NativeSettings = Field(
        default={}, description="Native settings, over those of the experiment for its scheduler."
    )
    image: Image | None = Field(default=None, description="Keys over the experiment's section.")
    node: Guest | None = Field(default=None, description="Keys over the experiment's section.")
    head: Head | None = Field(default=None, description="Keys over the experiment's section.")
    placement: Placement | None = Field(
        default=None, description="Keys over the experiment's section."
    )
    metrics: Metrics | None = Field(default=None, description="Keys over the experiment's section.")
    virtual: Virtual | None = Field(
        default=None,
        description="Keys over the experiment's section; null: real nodes, whatever that has.",
    )

    @property
    def adapter(self) -> str:
        """Name of the variant's scheduler."""
        return self.scheduler or self.name

    def again(self) -> Variant:
        """Return the same variant under another name."""
        return self.renamed(AGAIN, {})

    def renamed(self, suffix: str, settings: Mapping[str, str]) -> Variant:
        """Return the variant under a name with a suffix, with further settings."""
        return self.model_copy(
            update={
                "name": self.name + suffix,
                "scheduler": self.adapter,
                "settings": overridden(self.settings, settings),
            }
        )

    @model_serializer(mode="wrap")
    def _short(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Write a variant that sets nothing else as a plain name, as older versions do."""
        real = self.model_fields_set & {"virtual"}
        written = {key: value for key, value in handler(self).items() if value or key in real}
        return self.name if written.keys() == {"name"} else written


def _from_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


NamedVariant = Annotated[Variant, BeforeValidator(_from_name), _Or("string")]


class Repetitions(Section):
    """How often each workload runs on each cluster, and on how many equal clusters."""

    trials: int = Field(
        default=3, ge=1, le=MOST_TRIALS, description="Trials of each cell and cluster."
    )
    clusters: int = Field(
        default=1, ge=1, le=100, description="Clusters, provisioned and configured anew, of a cell."
    )

    @model_serializer(mode="wrap")
    def _short(self, handler: SerializerFunctionWrapHandler) -> Any:
        return handler(self) if self.clusters > 1 else self.trials


class Rounds(Section):
    """Trials of a cell until the interval of its main quantity is narrow enough."""

    min: int = Field(ge=3, le=100, description="Fewest trials: an interval needs 3.")
    max: int = Field(ge=3, le=100, description="Most trials; every one up to it is planned.")
    until: Percentage = Field(
        description="Half-width of the interval, as a part of the estimate, that is narrow enough."
    )

    @field_validator("max")
    @classmethod
    def _not_below_min(cls, value: int, info: ValidationInfo) -> int:
        least = info.data.get("min")
        if least is not None and value < least:
            raise ValueError(f"less than min, which is {least}; write {least} or more")
        return value

    @property
    def width(self) -> float:
        """Half-width that is narrow enough, relative to the estimate: 0.05 for 5 %."""
        return part(self.until)

    @property
    def trials(self) -> int:
        """Most trials of each cell."""
        return self.max

    @property
    def clusters(self) -> int:
        """One: the rule looks at the interval of one cluster's trials."""
        return 1


_OF_ROUNDS = frozenset(Rounds.model_fields)


def _from_number(value: Any) -> Any:
    return value if isinstance(value, dict | Repetitions | Rounds) else {"trials": value}


def _form(value: Any) -> str:
    rounds = isinstance(value, Rounds) or (isinstance(value, dict) and _OF_ROUNDS & value.keys())
    return "rounds" if rounds else "number"


NumberOrRepetitions = Annotated[
    Annotated[
        Annotated[Repetitions, Tag("number")] | Annotated[Rounds, Tag("rounds")],
        Discriminator(_form),
    ],
    BeforeValidator(_from_number),
    _Or("integer"),
]


def _one_form(value: Any) -> Any:
    if not isinstance(value, bool | str):
        raise ValueError(
            "neither true nor false nor the name of a variant; write true for the first variant"
        )
    return value


Again = Annotated[bool | str, BeforeValidator(_one_form)]
"""Which variant runs a second time: true for the first, or its name."""


_OF_CLOUD = CloudImage.model_fields.keys() - DebianImage.model_fields.keys()


def with_inherited(data: Any) -> Any:
    """Return an experiment's data with the experiment's keys added to its variants' sections.

    It works on the data as written, because after validation a written value cannot be told from a
    default. A section in a section, such as `virtual.carrier`, has its keys added as well. An image
    of another kind than the experiment's gets no keys. The experiment's image has the default kind
    where it names none and has no key of another.
    """
    if not isinstance(data, dict):
        return data
    image = data.get("image")
    if isinstance(image, dict) and "kind" not in image and not _OF_CLOUD & image.keys():
        data = {**data, "image": {"kind": DebianImage().kind, **image}}
    if not isinstance(data.get("schedulers"), list):
        return data
    return {**data, "schedulers": [_filled(entry, data) for entry in data["schedulers"]]}


def _filled(entry: Any, data: dict[str, Any]) -> Any:
    if not isinstance(entry, dict):
        return entry
    filled = dict(entry)
    for name in SECTIONS:
        own = entry.get(name)
        general = data.get(name, {"kind": DebianImage().kind} if name == "image" else {})
        if not isinstance(own, dict) or not isinstance(general, dict):
            continue
        if own.get("kind", general.get("kind")) == general.get("kind"):
            filled[name] = _over(general, own)
    return filled


def _over(general: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Keys of a section, a variant's over the experiment's; so are the keys of sections in it."""
    return general | {
        key: _over(general[key], value)
        if isinstance(value, dict) and isinstance(general.get(key), dict)
        else value
        for key, value in own.items()
    }
