"""Citation of a bundle and its metadata for Zenodo, both made from the project's CITATION.cff."""

from __future__ import annotations

import json
from typing import Any

import yaml

from schedlab.errors import SchedlabError
from schedlab.plain import plain


def read_citation(content: bytes | None) -> dict[str, Any]:
    """Read CITATION.cff.

    Parameters
    ----------
    content : bytes or None
        Content of the file; None if the commit has none.

    Raises
    ------
    SchedlabError
        The file is missing, is not YAML, or lacks a key that a citation needs.
    """
    remedy = "CITATION.cff at the root of the checkout needs title, version, license and authors"
    try:
        citation = yaml.safe_load(content or b"")
        missing = [key for key in ("title", "version", "license", "authors") if not citation[key]]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise SchedlabError(
            f"CITATION.cff of the commit cannot be used: {plain(error)}", remedy=remedy
        ) from error
    if missing:
        raise SchedlabError(f"CITATION.cff: {', '.join(missing)} is empty", remedy=remedy)
    return dict(citation)


def author_names(citation: dict[str, Any]) -> list[str]:
    """Return the names of the authors. The family name of a person comes first."""
    return [
        str(author["name"])
        if "name" in author
        else ", ".join(str(author[key]) for key in ("family-names", "given-names") if key in author)
        for author in citation["authors"]
    ]


def zenodo(citation: dict[str, Any], name: str, date: str) -> bytes:
    """Return the metadata with which Zenodo deposits the bundle (``.zenodo.json``).

    Parameters
    ----------
    citation : dict
        Content of CITATION.cff.
    name : str
        Name of the experiment.
    date : str
        Date of the newest record, ISO 8601.
    """
    creators = []
    for person, shown in zip(citation["authors"], author_names(citation), strict=True):
        creator = {"name": shown}
        creator |= {k: str(person[k]) for k in ("affiliation",) if k in person}
        if "orcid" in person:
            creator["orcid"] = str(person["orcid"]).rpartition("/")[2]
        creators.append(creator)
    content = {
        "title": f"Results of the experiment {name}, made with schedlab {citation['version']}",
        "upload_type": "dataset",
        "description": " ".join(str(citation.get("abstract") or citation["title"]).split()),
        "creators": creators,
        "license": str(citation["license"]).lower(),
        "keywords": [str(word) for word in citation.get("keywords", [])],
        "version": str(citation["version"]),
        "publication_date": date[:10],
        "access_right": "open",
    }
    if "repository-code" in citation:
        content["related_identifiers"] = [
            {
                "identifier": str(citation["repository-code"]),
                "relation": "isDerivedFrom",
                "resource_type": "software",
            }
        ]
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
