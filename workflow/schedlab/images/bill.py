"""The bill of materials of an image (SBOM): its packages and programs, with declared licences.

The format is CycloneDX 1.6, JSON. The same image gives the same bytes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schedlab.config.sections import FAMILIES
from schedlab.images.base_disk import EPOCH
from schedlab.images.go_modules import linked_modules
from schedlab.images.installed import parts
from schedlab.results.digests import file_digest

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from rattler import RepoDataRecord

    from schedlab.toolchain.installation import Packed

BILL = "sbom.cdx.json"
"""File beside an image."""
_NAMESPACE = uuid.UUID(hex="5c4ed1ab000040008000000000000003")
LICENCE = "schedlab:licence"
NOT_DECLARED = "not declared in a machine-readable form"


def bill_of_materials(
    image: str,
    spec: Mapping[str, Any],
    sha256: str,
    packages: str,
    licences: Mapping[str, Sequence[str]],
    programs: Iterable[Path],
    given: Packed | None = None,
) -> str:
    """Write the bill of materials of an image.

    Parameters
    ----------
    image : str
        Id of the image.
    spec : mapping
        The image section of the configuration: ``kind``, and ``suite`` or ``os``.
    sha256 : str
        Of the disk.
    packages : str
        Lines ``name=version``, from dpkg or rpm.
    licences : mapping of str to sequence of str
        Licences by package, as far as they are declared.
    programs : iterable of pathlib.Path
        Programs that were built for the image. Those of Go name the modules in them.
    given : schedlab.toolchain.installation.Packed, optional
        Installation for the image, as the user gave it or made from pinned packages of a channel,
        which are listed one by one. Another one names its parts, as far as it tells them.
    """
    # Imported here, because their import is slow.
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    disk = Component(
        name=image,
        type=ComponentType.OPERATING_SYSTEM,
        bom_ref="image",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
    )
    bom = Bom(
        serial_number=uuid.uuid5(_NAMESPACE, f"{image} {sha256}"),
        # The time of the base disk's files: that of the run would be another one each time.
        metadata=BomMetaData(component=disk, timestamp=datetime.fromtimestamp(EPOCH, UTC)),
    )
    vendor = "debian" if spec["kind"] == "mmdebstrap" else str(spec["os"])
    form = "deb" if FAMILIES[vendor] == "Debian" else "rpm"
    for line in packages.split():
        name, _, version = line.partition("=")
        bom.components.add(
            _package(name, version, (form, vendor), spec.get("suite"), licences.get(name, ()))
        )
    for program in programs:
        bom.components.add(_program(program))
    if given and given.packages:
        for package in given.packages:
            bom.components.add(_conda_package(package))
    elif given:
        bom.components.add(_installation(given))
    bom.register_dependency(disk, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _package(
    name: str,
    version: str,
    of: tuple[str, str],
    suite: str | None,
    licences: Sequence[str],
) -> Component:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        # rpm may have several versions of one package, such as kernels.
        bom_ref=f"{of[0]}/{name}" if of[0] == "deb" else f"{of[0]}/{name}/{version}",
        purl=PackageURL(*of, name, version, {"distro": suite} if suite else None),
        **_licensed(licences),
    )


def _conda_package(record: RepoDataRecord) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    name, version = record.name.normalized, str(record.version)
    about = {"build": str(record.build), "subdir": record.subdir}
    digest = record.sha256.hex() if record.sha256 else ""
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=f"conda/{name}",
        purl=PackageURL("conda", None, name, version, about),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        **_licensed([record.license] if record.license else ()),
    )


def _program(program: Path) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    modules = [
        Component(
            name=module.path,
            version=module.version,
            type=ComponentType.LIBRARY,
            bom_ref=f"go/{program.name}/{module.path}",
            purl=PackageURL("golang", *_split(module.path), module.version),
            **_licensed(()),
        )
        for module in linked_modules(program)
    ]
    return Component(
        name=program.name,
        type=ComponentType.APPLICATION,
        bom_ref=f"program/{program.name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file_digest(program))],
        components=modules,
        **_licensed(()),
    )


def _installation(given: Packed) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    found = [
        Component(
            name=part.name,
            version=part.version,
            type=ComponentType.LIBRARY,
            bom_ref=f"installation/{given.name}/{number}",
            purl=PackageURL("conda", None, part.name, part.version, {"build": part.build})
            if part.build
            else None,
            **_licensed([part.licence] if part.licence else ()),
        )
        for number, part in enumerate(parts(given.archive))
    ]
    own = [part.version for part in found if part.name in {given.name, f"{given.name}-core"}]
    return Component(
        name=given.name,
        version=own[0] if own else None,
        type=ComponentType.APPLICATION,
        bom_ref=f"installation/{given.name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=given.sha256)],
        components=found,
        **_licensed(()),
    )


def _split(path: str) -> tuple[str | None, str]:
    """Split the path of a module as a package URL has it: namespace and name."""
    namespace, _, name = path.rpartition("/")
    return namespace or None, name


def _licensed(names: Sequence[str]) -> dict[str, Any]:
    """Licences of a component, or the statement that none is declared."""
    from cyclonedx.model import Property
    from cyclonedx.model.license import DisjunctiveLicense, LicenseAcknowledgement
    from cyclonedx.spdx import is_supported_id

    if not names:
        return {"properties": [Property(name=LICENCE, value=NOT_DECLARED)]}
    return {
        "licenses": [
            DisjunctiveLicense(
                # Debian's short names are partly those of SPDX. They stay as they are written.
                id=name if is_supported_id(name) else None,
                name=None if is_supported_id(name) else name,
                acknowledgement=LicenseAcknowledgement.DECLARED,
            )
            for name in names
        ]
    }
