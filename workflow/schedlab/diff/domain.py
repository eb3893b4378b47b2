"""A domain's live XML as pairs of path and text, without what belongs to one run only."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator

from schedlab.diff.normalise import VOLATILE, without_run
from schedlab.errors import SchedlabError

_DROPPED = frozenset({"uuid", "alias", "seclabel"})
"""Elements that libvirt numbers or labels anew at each start."""

_CHOSEN = frozenset({("domain", "id"), ("source", "index"), ("backingStore", "index")})
"""Attributes that it does; so is the host's end of an interface."""

_IDENTITY = {
    "disk": ("target/@dev",),
    "controller": ("@type", "@index"),
    "vcpupin": ("@vcpu",),
    "feature": ("@name",),
    "cell": ("@id",),
}
"""What tells siblings of one tag apart; without an entry here it is their position."""


def domain_facts(xml: str, name: str) -> dict[str, str]:
    """Read a domain's XML into one entry for each attribute and text.

    Parameters
    ----------
    xml : str
        Live XML of the domain.
    name : str
        Named in errors.

    Returns
    -------
    dict of str to str
        For example ``devices/disk[vda]/driver@cache`` -> ``unsafe``.

    Raises
    ------
    SchedlabError
        When it is not XML.
    """
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise SchedlabError(
            f"the domain XML of {name} cannot be read: {error}",
            remedy="run the stage again, or compare --outcomes only",
        ) from error
    return dict(_entries(root, ""))


def _entries(element: ElementTree.Element, path: str) -> Iterator[tuple[str, str]]:
    for key, value in element.attrib.items():
        host_end = path.endswith("interface/target") and key == "dev"
        # What names the element is in its path already.
        told = f"@{key}" in _IDENTITY.get(element.tag, ())
        chosen = key in VOLATILE or (element.tag, key) in _CHOSEN or host_end
        if not (told or chosen):
            yield f"{path}@{key}", without_run(value)
    text = (element.text or "").strip()
    if text:
        yield path or element.tag, without_run(text)
    elif not element.attrib and not len(element):
        yield path, "present"
    seen: Counter[str] = Counter()
    tags = Counter(child.tag for child in element)
    for child in element:
        tag = child.tag.rpartition("}")[2]
        if tag in _DROPPED:
            continue
        label = _label(child, tag)
        if not label and tags[child.tag] > 1:
            seen[tag] += 1
            label = str(seen[tag])
        step = f"{tag}[{label}]" if label else tag
        yield from _entries(child, f"{path}/{step}" if path else step)


def _label(element: ElementTree.Element, tag: str) -> str:
    """What tells an element from its siblings of the same tag."""
    values = []
    for where in _IDENTITY.get(tag, ()):
        inner, _, attribute = where.rpartition("@")
        holder = element.find(inner.rstrip("/")) if inner else element
        values.append("" if holder is None else holder.get(attribute, ""))
    return " ".join(filter(None, values))
