"""The source in a bundle has all files that the pipeline reads, but no results and no secrets."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pytest
import zstandard
from bundle_factory import git, make_checkout, packed
from test_bundle_secrets import private_key

from schedlab.bundle import checkout as module
from schedlab.bundle.checkout import Checkout
from schedlab.bundle.pack import pack
from schedlab.errors import SchedlabError
from schedlab.privacy.identity import Identity
from schedlab.results.provenance import source

NOBODY = Identity({})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "checkout")


def patch(root: Path, results: Path, *others: str) -> bytes:
    return Checkout(root).patch(NOBODY, results, others).read()


@pytest.mark.parametrize("name", ["mine", "config/mine", "resources", "a b", "workflow/{x}", "-r"])
def test_results_are_no_source_whatever_they_are_called(root: Path, name: str) -> None:
    before = source(root)
    results = root / name
    (results / "trials").mkdir(parents=True, exist_ok=True)
    (results / "trials/key").write_text("a result")
    (results / "toolchain.json").write_text("{}")
    assert b"a result" not in patch(root, results)
    assert source(root, results) == before


def test_another_results_folder_among_the_sources_is_none_either(root: Path) -> None:
    (root / "config/older/trials").mkdir(parents=True)
    (root / "config/older/.snakemake.json").write_text("{}")
    (root / "config/older/trials/record.json").write_text("a result")
    text = patch(root, root / "results")
    assert b"older" not in text and b"config/new.txt" in text


def test_only_what_the_pipeline_reads_is_source(root: Path) -> None:
    (root / "diary.txt").write_text("dear diary")
    (root / "tests").mkdir()
    (root / "tests/test_x.py").write_text("assert True")
    (root / "mine.swf").write_text("; a trace")
    (root / "run").write_text("#!/bin/sh\nexit\n")
    text = patch(root, root / "results")
    assert b"dear diary" not in text and b"test_x" not in text and b"mine.swf" not in text
    assert b"; a trace" in patch(root, root / "results", "mine.swf", "../x", "/etc/hostname")
    # A path that looks like a pattern is a name.
    assert b"dear diary" not in patch(root, root / "results", ":(glob)**", "*")


def test_a_removed_file_and_the_repository_stay_as_they_are(root: Path) -> None:
    (root / "Snakefile").unlink()
    status = git(root, "status", "--porcelain")
    assert b"deleted file mode" in patch(root, root / "results")
    assert git(root, "status", "--porcelain") == status
    assert b"deleted" not in git(root, "diff", "--cached").encode()


def test_a_large_file_that_is_not_committed_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (root / "config/large").open("wb") as handle:
        handle.truncate(module.LARGEST_FILE + 1)
    with pytest.raises(SchedlabError, match="config/large is not committed") as caught:
        patch(root, root / "results")
    assert ".gitignore" in (caught.value.remedy or "")
    (root / "config/large").unlink()
    monkeypatch.setattr(module, "LARGEST_PATCH", 10)
    with pytest.raises(SchedlabError, match="too much"):
        patch(root, root / "results")


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "hide",
    [
        lambda key: b"\0\1\2" + key,
        lambda key: key.decode().encode("utf-16"),
        gzip.compress,
        lambda key: gzip.compress(b"first member") + gzip.compress(key),
        bz2.compress,
        lzma.compress,
        lambda key: zstandard.ZstdCompressor().compress(key),
        zipped,
    ],
    ids=["bytes", "utf-16", "gzip", "second member", "bzip2", "xz", "zstd", "zip"],
)
def test_a_key_in_what_is_not_text_is_found(root: Path, tmp_path: Path, hide: object) -> None:
    assert callable(hide)
    (root / "resources").mkdir()
    (root / "resources/blob").write_bytes(hide(private_key().encode()))
    with pytest.raises(SchedlabError, match=r"source.patch: resources/blob contains a private key"):
        pack(packed().results, tmp_path / "x", root=root)
    assert not (tmp_path / "x").exists()


def test_a_file_that_only_looks_packed_is_packed(root: Path, tmp_path: Path) -> None:
    (root / "resources").mkdir()
    (root / "resources/torn.gz").write_bytes(gzip.compress(b"x" * 5000)[:-9])
    (root / "resources/text.gz").write_text("no gzip")
    pack(packed().results, tmp_path / "x", root=root)
