"""A bundle's RO-Crate metadata, by the validator and without a network."""

from __future__ import annotations

import io
import json
from importlib.resources import files
from pathlib import Path

import pytest
import requests
import urllib3
from bundle_factory import packed
from rocrate_validator import services
from rocrate_validator.utils.http import HttpRequester

from schedlab.bundle.crate import PROFILES
from schedlab.bundle.verify import unpack

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
TERMS_OF_1_1 = {
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}
"""Where the context that comes with the rocrate library (1.3) differs from that of 1.1."""


class LocalContext(requests.adapters.HTTPAdapter):
    """Answers only with the context that the rocrate library contains."""

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:
        assert request.url == CONTEXT
        content = json.loads((files("rocrate") / "data" / "ro-crate.jsonld").read_text())
        content["@context"] |= TERMS_OF_1_1
        answer = urllib3.HTTPResponse(
            io.BytesIO(json.dumps(content).encode()),
            headers={"Content-Type": "application/ld+json"},
            status=200,
            preload_content=False,
            request_url=CONTEXT,
        )
        return self.build_response(request, answer)


@pytest.fixture(scope="module")
def crate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crate")
    unpack(packed().path, folder)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The validator's cache, filled with the one document that it would fetch."""
    path = tmp_path / "cache"
    requester = HttpRequester.initialize_cache(cache_path=str(path))
    requester.session.mount("https://", LocalContext())
    assert requester.fetch_fresh(CONTEXT).ok
    return path


def newest(kind: str) -> str:
    """The newest profile of a kind that the validator knows."""
    known = [p.identifier for p in services.get_profiles() if p.identifier.startswith(kind)]
    return max(known)


def issues(crate: Path, cache: Path, profile: str) -> list[str]:
    result = services.validate(
        services.ValidationSettings(
            rocrate_uri=str(crate), profile_identifier=profile, offline=True, cache_path=cache
        )
    )
    found = [f"{issue.check.identifier}: {issue.message}" for issue in result.get_issues()]
    assert result.passed() is not bool(found)
    return found


@pytest.mark.parametrize("kind", ["workflow-run-crate", "provenance-run-crate"])
def test_a_bundle_is_a_valid_run_crate(crate: Path, cache: Path, kind: str) -> None:
    assert issues(crate, cache, newest(kind)) == []


def test_the_validator_would_find_a_fault(crate: Path, cache: Path, tmp_path: Path) -> None:
    metadata = json.loads((crate / "ro-crate-metadata.json").read_text())
    for entity in metadata["@graph"]:
        entity.pop("instrument", None)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in crate.iterdir():
        if path.name != "ro-crate-metadata.json":
            (copy / path.name).symlink_to(path)
    (copy / "ro-crate-metadata.json").write_text(json.dumps(metadata))
    assert any("instrument" in issue for issue in issues(copy, cache, newest("workflow-run")))


def test_every_file_that_is_told_of_is_there(crate: Path) -> None:
    graph = json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    told = [entity["@id"] for entity in graph if {"File", "Dataset"} & set(_types(entity))]
    assert len(told) > 10
    assert [name for name in told if not (crate / name).exists()] == []
    root = next(entity for entity in graph if entity["@id"] == "./")
    assert {entry["@id"] for entry in root["conformsTo"]} == set(PROFILES)


def _types(entity: dict) -> list[str]:
    return entity["@type"] if isinstance(entity["@type"], list) else [entity["@type"]]


def test_citation_and_zenodo_metadata_are_inside(crate: Path) -> None:
    zenodo = json.loads((crate / ".zenodo.json").read_text())
    assert zenodo["creators"] == [{"name": "The schedlab authors"}]
    assert zenodo["upload_type"] == "dataset" and zenodo["license"] == "apache-2.0"
    assert (crate / "CITATION.cff").read_text().startswith("cff-version: 1.2.0")
