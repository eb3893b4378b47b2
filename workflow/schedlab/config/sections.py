"""Sections of the experiment file: types, forms, ranges, defaults and meanings of their keys."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from schedlab.config.urls import (
    checked_key,
    checked_source,
    checked_source_name,
    checked_uri,
    checked_url,
)
from schedlab.units import SIZE, Percentage, mib

_PRIVATE = tuple(
    ipaddress.IPv4Network(cidr) for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)
"""RFC 1918; Python's `is_private` also accepts loopback, link-local and reserved networks."""
WIDEST = 16
"""Shortest prefix: 65,534 addresses for at most 129 machines."""
_YEAR = 366 * 86400


def _checked_size(size: Any) -> str:
    if isinstance(size, int | float) and not isinstance(size, bool):
        raise ValueError(
            f"a size without its unit; write the unit: {size:.15g} MiB, or {size:.15g} GiB"
        )
    if not isinstance(size, str):
        raise ValueError("not a size; write a whole number with its unit: 768 MiB, 2 GiB")
    mib(size)
    return size


def _checked_cidr(cidr: str) -> str:
    if not re.fullmatch(r"[0-9.]+/[0-9]{1,2}", cidr):
        raise ValueError(
            "not a first address with a prefix, such as /24, which says how many addresses there "
            "are; write both: 10.0.100.0/24"
        )
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(
            f"not an IPv4 network ({error}); write its first address and prefix: 10.0.100.0/24"
        ) from None
    if not any(network.subnet_of(private) for private in _PRIVATE):
        raise ValueError("not a private network; use one of 10/8, 172.16/12 or 192.168/16")
    if network.prefixlen < WIDEST:
        raise ValueError(
            f"wider than a cluster needs; use a prefix from /{WIDEST} on, such as 10.0.100.0/24"
        )
    return cidr


def _checked_domain(domain: str) -> str:
    if any(len(label) > 63 for label in domain.split(".")):
        raise ValueError("a label of more than 63 characters; shorten it")
    return domain


def _checked_native(text: str) -> str:
    """Check that a value can be written unchanged, on one line, into the scheduler's file."""
    if not text.isprintable():
        raise ValueError(
            "holds control characters or ends of lines; write visible characters on one line"
        )
    if text != text.strip():
        raise ValueError("begins or ends with a blank; remove it, or remove the key")
    if text.endswith("\\"):
        raise ValueError(
            "ends with a backslash, which joins the next line of the file; remove the backslash"
        )
    found = re.search(r"\{[{%#]", text)
    if found:
        raise ValueError(
            f"holds {found[0]}, which Ansible would take for a template; write a value without it"
        )
    return text


Size = Annotated[
    str, Field(json_schema_extra={"pattern": SIZE.pattern}), BeforeValidator(_checked_size)
]
Cidr = Annotated[str, AfterValidator(_checked_cidr)]
PciAddress = Annotated[str, Field(pattern=r"^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$")]
Domain = Annotated[
    str,
    Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)+$", max_length=200),
    AfterValidator(_checked_domain),
]
NativeSettings = dict[
    Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$", max_length=100)],
    Annotated[
        str,
        Field(max_length=2000, json_schema_extra={"type": ["string", "number", "boolean"]}),
        AfterValidator(_checked_native),
    ],
]
"""Settings that only a scheduler understands: the text as it is written in the experiment file
(`schedlab.config.yaml_reader`), which reaches the scheduler's file unchanged."""


class Section(BaseModel):
    """A part of the configuration: exact types, no unknown keys, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Guest(Section):
    """Shape of one virtual machine; by default that of a compute node."""

    vcpus: int = Field(default=2, ge=1, le=256, description="Virtual processors.")
    memory: Size = Field(default="768 MiB", description="Memory.")

    @property
    def memory_mib(self) -> int:
        """Memory, MiB."""
        return mib(self.memory)


class Head(Guest):
    """Shape of the head node, which runs the scheduler's controller and the driver."""

    vcpus: int = Field(default=1, ge=1, le=256, description="Virtual processors.")
    memory: Size = Field(default="1 GiB", description="Memory.")


class Carrier(Guest):
    """Shape of a machine that carries virtual nodes."""

    memory: Size = Field(default="2 GiB", description="Memory.")


def _checked_quantiles(values: list[float]) -> list[float]:
    if len(values) == 1:
        raise ValueError("one quantile is no distribution; write the smallest and the largest too")
    if values != sorted(values):
        raise ValueError("not in ascending order; write the quantiles from the smallest on")
    return values


Quantiles = Annotated[
    list[Annotated[float, Field(ge=0, le=3600)]],
    Field(max_length=101),
    AfterValidator(_checked_quantiles),
]
"""Quantiles of a delay, s, from the smallest to the largest; delays are equally likely between any
two neighbours."""


class Delays(Section):
    """Delays of virtual nodes that run no payload: those of real nodes (`schedlab calibrate`)."""

    start: Quantiles = Field(
        default=[],
        description="From the allocation of a rank's node to the rank's start, s; []: no delay.",
    )
    completion: Quantiles = Field(
        default=[],
        description="From the end of a rank to the node's report of it, s; []: no delay.",
    )

    @property
    def longest(self) -> float:
        """The most that both delays together add to a job, s."""
        return max(self.start, default=0.0) + max(self.completion, default=0.0)

    @property
    def mean(self) -> float:
        """What both delays together add to a rank on the mean, s."""
        middles = [[(low + high) / 2 for low, high in pairs] for pairs in self.intervals().values()]
        return sum(sum(some) / len(some) for some in middles if some)

    def intervals(self) -> dict[str, list[list[float]]]:
        """Intervals (s) of equal probability by kind of delay; none where there is no delay."""
        found = {"start": self.start, "completion": self.completion}
        return {
            kind: [[low, high] for low, high in zip(values, values[1:], strict=False)]
            for kind, values in found.items()
        }


class Virtual(Section):
    """Virtual compute nodes, whose daemons share machines, the carriers.

    The scheduler sees nodes of the shape `node`; the host needs the processors and the memory of
    the carriers alone.
    """

    carriers: int = Field(ge=1, le=128, description="Machines that carry the virtual nodes.")
    per_carrier: int | None = Field(
        default=None,
        ge=1,
        description="Most virtual nodes on one carrier; null: as many as its memory holds.",
    )
    carrier: Carrier = Carrier()
    real: list[Annotated[int, Field(ge=1)]] = Field(
        default=[],
        description="Node counts that also run on real nodes, with which virtual ones are"
        " compared.",
    )
    delays: Delays = Delays()
    margin: Percentage = Field(
        default="5 %", description="Relative error below which virtual nodes count as true."
    )


class Placement(Section):
    """Where guests' processors and memory go on the host."""

    pinning: Literal["exclusive", "spread", "none"] = Field(
        default="none",
        description="exclusive: each vCPU its own host core; spread: pinned round robin, cores "
        "may be shared; none: the host decides.",
    )
    oversubscribe: bool = Field(
        default=False, description="Allow more vCPUs than host cores; shown in the report."
    )
    reset: Literal["auto", "boot"] = Field(
        default="auto",
        description="auto: trials restore a running cluster from memory, where its devices allow; "
        "boot: they boot it from frozen disks.",
    )
    numa: int | None = Field(
        default=None, ge=0, description="Host NUMA node that holds all guests' memory; null: any."
    )
    hugepages: bool = Field(default=False, description="Back guests' memory with huge pages.")
    pci: list[PciAddress] = Field(
        default=[],
        description="Host PCI functions, one per compute node in order; such clusters cannot be "
        "saved, so every trial boots them from frozen disks.",
    )


FAMILIES: dict[str, str] = {"debian": "Debian", "ubuntu": "Debian", "rocky": "RedHat"}
"""Distribution (``ID`` of its os-release) -> family, as Ansible names it: distributions of a family
share the roles' lists of packages, names of services and paths (``vars/<family>.yml``)."""


class Repository(Section):
    """Package source beside the distribution's own."""

    name: Annotated[
        str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$"), AfterValidator(checked_source_name)
    ] = Field(description="Name of the source: lower-case letters, digits, hyphens.")
    url: Annotated[str, AfterValidator(checked_source)] = Field(
        description="dnf's baseurl, such as https://host/el9/$basearch."
    )
    key: Annotated[str, AfterValidator(checked_key)] = Field(
        default="", description="Where the key is that signs its packages; none: not checked."
    )
    key_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = Field(
        default="", description="Digest of the key's file, required with a key."
    )

    @model_validator(mode="after")
    def _trusted(self) -> Self:
        if bool(self.key) != bool(self.key_sha256):
            raise ValueError("key and key_sha256 belong together; give both, or neither")
        if not self.key and not self.url.startswith("https://"):
            raise ValueError(
                "packages without a signing key over an unprotected connection; use https://, or"
                " give key and key_sha256"
            )
        return self


class DebianImage(Section):
    """Base disk made by mmdebstrap from the host's own package sources."""

    os: ClassVar[str] = "debian"
    repositories: ClassVar[tuple[Repository, ...]] = ()

    kind: Literal["mmdebstrap"] = "mmdebstrap"
    suite: Annotated[str, Field(pattern=r"^[a-z]+$")] = Field(
        default="trixie", description="Debian release."
    )
    disk: Size = Field(default="3 GiB", description="Virtual size of the disk.")

    @property
    def release(self) -> str:
        """Release whose packages the image has."""
        return self.suite

    @property
    def disk_mib(self) -> int:
        """Virtual size of the disk, MiB."""
        return mib(self.disk)


class CloudImage(Section):
    """Base disk from a distribution's cloud image."""

    kind: Literal["cloud"] = "cloud"
    url: Annotated[str, AfterValidator(checked_url)] = Field(description="Where the image is.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="Digest of the file."
    )
    os: Literal["ubuntu", "rocky", "debian"] = Field(
        description="Distribution in the image. It decides which packages, services and paths the"
        " roles use; an image of another distribution is refused when it is built."
    )
    repositories: list[Repository] = Field(
        default=[], description="rocky: package sources beside its own and EPEL, before both."
    )
    disk: Size = Field(default="6 GiB", description="Virtual size the disk is grown to.")

    @field_validator("repositories")
    @classmethod
    def _of_the_family(cls, value: list[Repository], info: ValidationInfo) -> list[Repository]:
        system = info.data.get("os")
        if value and system and FAMILIES[system] != "RedHat":
            raise ValueError(f"repositories are only for rocky, not for {system}; remove them")
        names = [one.name for one in value]
        if twice := [name for name in names if names.count(name) > 1]:
            # The second one would overwrite the file of the first.
            raise ValueError(
                f"two have the name {twice[0]}; give each repository a name of its own"
            )
        return value

    @property
    def release(self) -> str:
        """Release whose packages the image has, as far as the file's name tells."""
        return "" if self.repositories else self.url.rpartition("/")[2]

    @property
    def disk_mib(self) -> int:
        """Virtual size of the disk, MiB."""
        return mib(self.disk)


class Libvirt(Section):
    """Which libvirt runs the guests."""

    uri: Annotated[str, AfterValidator(checked_uri)] = Field(
        default="auto",
        description="auto: embedded for root, else qemu:///system where it answers; embedded: a "
        "libvirtd of the workflow's own; or a libvirt URI.",
    )


class Network(Section):
    """The clusters' network."""

    cidr: Cidr = Field(default="10.0.100.0/24", description="Private IPv4 network.")
    domain: Domain = Field(default="benchmark.local", description="DNS domain of the nodes.")

    def address(self, number: int) -> ipaddress.IPv4Address:
        """Address `number` of the network, 0 being the network's own."""
        return ipaddress.IPv4Network(self.cidr)[number]


class Metrics(Section):
    """Sampling during trials."""

    scrape_interval: float = Field(default=1.0, ge=0.2, le=60, description="s between scrapes.")
    monitoring: bool = Field(default=True, description="Whether Prometheus scrapes the nodes.")


class Limits(Section):
    """Time limits (s) of stages, and what the run as a whole may use."""

    boot: int = Field(default=900, ge=1, le=_YEAR, description="Apply, boot and cloud-init, s.")
    configure: int = Field(default=1200, ge=1, le=_YEAR, description="Ansible, s.")
    trial: int = Field(default=600, ge=1, le=_YEAR, description="Workload of one trial, s.")
    memory: Size = Field(default="6 GiB", description="Memory of all guests together.")
    disk: Size = Field(default="15 GiB", description="Disk for results and caches.")

    @property
    def memory_mib(self) -> int:
        """Memory of all guests together, MiB."""
        return mib(self.memory)

    @property
    def disk_mib(self) -> int:
        """Disk for results and caches, MiB."""
        return mib(self.disk)
