"""The live XML of a domain as pairs of path and text, without what differs between any two runs."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator

from schedlab.diff.normalise import VOLATILE, without_run_names
from schedlab.errors import SchedlabError

_DROPPED = frozenset({"uuid", "alias", "seclabel"})
"""Elements to which libvirt gives new numbers or labels at each start."""

_CHOSEN = frozenset({("domain", "id"), ("source", "index"), ("backingStore", "index")})
"""Attributes to which libvirt gives new values at each start, as element and attribute."""

_IDENTITY = {
    "disk": ("target/@dev",),
    "controller": ("@type", "@index"),
    "vcpupin": ("@vcpu",),
    "feature": ("@name",),
    "cell": ("@id",),
}
"""Attributes that identify an element among siblings of its tag. Others count by position."""


def domain_facts(xml: str, name: str) -> dict[str, str]:
    """Read the XML of a domain into one entry for each attribute and text.

    Parameters
    ----------
    xml : str
        Live XML of the domain.
    name : str
        Name of the domain, for messages.

    Returns
    -------
    dict of str to str
        For example ``devices/disk[vda]/driver@cache`` -> ``unsafe``.

    Raises
    ------
    SchedlabError
        The text is not XML.
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
        # The host chooses the name of its end of an interface.
        host_end = path.endswith("interface/target") and key == "dev"
        # The path contains the attributes that identify the element.
        in_path = f"@{key}" in _IDENTITY.get(element.tag, ())
        chosen = key in VOLATILE or (element.tag, key) in _CHOSEN or host_end
        if not (in_path or chosen):
            yield f"{path}@{key}", without_run_names(value)
    text = (element.text or "").strip()
    if text:
        yield path or element.tag, without_run_names(text)
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
    """Return the values that identify an element among siblings of its tag."""
    values = []
    for where in _IDENTITY.get(tag, ()):
        inner, _, attribute = where.rpartition("@")
        holder = element.find(inner.rstrip("/")) if inner else element
        values.append("" if holder is None else holder.get(attribute, ""))
    return " ".join(filter(None, values))
