"""Canaries in every source of private data, which shared files must not contain."""

from __future__ import annotations

import base64
import gzip
import io
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bundle_factory import (
    adopt,
    analyse,
    make_checkout,
    make_stages,
    packed,
    small_experiment,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trial_factory import make_trial

from schedlab.bundle.pack import pack
from schedlab.bundle.scan import Scanner
from schedlab.bundle.verify import unpack
from schedlab.errors import SchedlabError
from schedlab.privacy import identity as neutral
from schedlab.privacy.identity import Identity
from schedlab.results.records import RecordWriter, load_record
from schedlab.schedulers import get_scheduler
from schedlab.stages.context import Context

HOST, USER, MIRROR, PROXY = "canaryhost7", "canaryuser", "canary-mirror.test", "canary-proxy.test"
NAMES = (HOST, USER, MIRROR, PROXY, "canarypass")


def private_key() -> str:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    ).decode()  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine on which every name is a canary; return its home folder for results."""
    apt = tmp_path / "root/etc/apt/sources.list.d"
    apt.mkdir(parents=True)
    (apt / "x.sources").write_text(
        f"Types: deb\nURIs: http://{MIRROR}/debian\nSuites: trixie\nComponents: main\n"
    )
    home = tmp_path / "home" / USER
    home.mkdir(parents=True)
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", USER)
    monkeypatch.setenv("https_proxy", f"http://me:canarypass@{PROXY}:3128")
    monkeypatch.setenv("SCHEDLAB_RESULTS", str(home / "results"))
    detect = Identity.detect
    monkeypatch.setattr(Identity, "detect", lambda root=tmp_path / "root": detect(root))
    neutral.identity.cache_clear()
    yield home
    neutral.identity.cache_clear()


def told(home: Path, key: str) -> dict[str, object]:
    """Content that a careless stage might write into its record."""
    return {
        "xml": f"<source file='{home}/results/scratch/x/head.qcow2'/>",
        "log": f"Get:1 http://{MIRROR}/debian trixie InRelease",
        "proxy": f"http://me:canarypass@{PROXY}:3128",
        "said": f"{USER}@{HOST}: no space left",
        "key": key,
        "kubeconfig": f"client-key-data: {base64.b64encode(key.encode()).decode()}",
        f"{home}/results/a": 1,
        "token": "canarypass",
    }


def everything(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and text of every file: gzip unpacked, strings of Parquet read."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            words = [c.cast(pa.string()) for c in table.columns if pa.types.is_dictionary(c.type)]
            words += [c for c in table.columns if pa.types.is_string(c.type)]
            texts = {str(word) for column in words for word in column.unique().to_pylist()}
            data = "\n".join(sorted(texts)).encode() + str(table.schema).encode()
        yield path.relative_to(folder).as_posix(), data.decode("utf-8", "replace")


def test_canaries_are_found_nowhere(machine: Path, tmp_path: Path) -> None:
    results, experiment = machine / "results", small_experiment()
    context = Context(experiment, results)
    key = private_key()
    make_stages(results, experiment)
    secrets = results / "clusters/slurm-n1/configured/secrets"
    secrets.mkdir()
    (secrets / "id_ed25519").write_text(key)
    get_scheduler("slurm").make_secrets(secrets, {"head": "10.0.100.10"})
    get_scheduler("kubernetes").make_secrets(secrets, {"head": "10.0.100.10"})
    hidden = [path for path in secrets.rglob("*") if path.is_file()]
    assert len(hidden) >= 3
    for stage in ("provisioned", "configured"):
        path = results / f"clusters/slurm-n1/{stage}/record.json"
        record = load_record(path)
        parents = {name: results / parent["path"] for name, parent in record["parents"].items()}
        RecordWriter(record["stage"], record["id"], results, results, parents).write(
            path,
            outputs=[path.parent / name for name in record["outputs"]],
            realised=record["realised"] | {"facts": told(machine, key)},
            settings={},
        )
    for order, trial in enumerate(experiment.trials()):
        folder = make_trial(results, trial, experiment, order=order)
        record = load_record(folder / "record.json")
        kept = {k: record[k] for k in ("trial", "conditions", "tools")}
        kept["conditions"] |= {"careless": told(machine, key)}
        writer = RecordWriter("trial", trial.id, results, results, parents={
            name: results / parent["path"] for name, parent in record["parents"].items()},
            _created=record["created"])  # fmt: skip
        reasons = [] if order else [f"{name}: {text}" for name, text in told(machine, key).items()]
        verdict = {"valid": not reasons, "reasons": reasons}
        if reasons:  # of a trial that failed, the health is not asked
            kept["conditions"].pop("health", None)
        writer.write(folder / "record.json", **kept, verdict=verdict)
        adopt(results, folder)
    analyse(context)
    checkout = make_checkout(machine / "checkout")
    (checkout / "notes.txt").write_text(f"{USER}@{HOST} {machine}/x http://{MIRROR}/y\n")
    pack(results, tmp_path / "bundle.tar.zst", root=checkout)
    folder = tmp_path / "unpacked"
    folder.mkdir()
    unpack(tmp_path / "bundle.tar.zst", folder)
    words = [*NAMES, str(machine), str(tmp_path), *key.splitlines()[1:-1]]
    for path in hidden:
        data = path.read_bytes()
        words += [data.hex(), base64.b64encode(data).decode().rstrip("=")]
        words += [line for line in data.decode("utf-8", "ignore").splitlines() if len(line) > 40]
    found = [
        (name, word) for name, text in everything(folder) for word in words if word and word in text
    ]
    assert found == []
    assert "secrets" not in "".join(name for name, _ in everything(folder))
    report = (results / "report.html").read_text()
    assert [word for word in words if word in report] == []
    # The canaries were in the sources, because their replacements are in the results.
    assert "mirror.invalid" in report and "[controller]" in report


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed().results, tmp_path / "results"))


def spoil(results: Path, name: str, content: bytes) -> None:
    """Add something to a trial and to its record, so that both agree."""
    folder = results / "trials/slurm-n1/burst/1"
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    adopt(results, folder)


def test_the_last_lock_refuses_keys_and_tokens(results: Path, tmp_path: Path) -> None:
    key = private_key().encode()
    body = base64.b64encode(key)
    signed = b".".join(
        base64.urlsafe_b64encode(b'{"alg":"none","x":1}').rstrip(b"=") for _ in "abc"
    )
    for content, what in (
        (key, "a private key"),
        (key.replace(b"\n", b"\\n"), "a private key"),
        (b"x: " + body, "a private key"),
        (b"    client-certificate-data: " + body, "a kubeconfig"),
        (b"Authorization: Bearer " + signed, "a signed token"),
        (bytes(3 << 20) + key, "a private key"),
        (b"A" * ((1 << 20) - 40) + key, "a private key"),
    ):
        spoil(results, "native/left.txt", content)
        with pytest.raises(SchedlabError, match=f"left.txt contains .*{what}") as caught:
            pack(results, tmp_path / "x", root=packed().checkout)
        assert caught.value.remedy and key.decode()[60:90] not in str(caught.value)
        assert not (tmp_path / "x").exists()
    spoil(results, "native/left.txt", b"")
    spoil(results, "left.json.gz", gzip.compress(bytes(3 << 20) + key))
    with pytest.raises(SchedlabError, match=r"left.json.gz contains a private key"):
        pack(results, tmp_path / "x", root=packed().checkout)


@pytest.mark.parametrize("form", ["plain", "base64", "hex"])
def test_the_last_lock_knows_the_folders_of_secrets(
    results: Path, tmp_path: Path, form: str
) -> None:
    secrets = results / "clusters/slurm-n1/configured/secrets"
    secrets.mkdir()
    get_scheduler("slurm").make_secrets(secrets, {})
    munge = (secrets / "munge.key").read_bytes()
    forms = {"plain": munge, "base64": base64.b64encode(munge), "hex": munge.hex().encode()}
    spoil(results, "native/left.txt", b"<" + forms[form] + b">")
    with pytest.raises(SchedlabError, match="folder of secrets"):
        pack(results, tmp_path / "x", root=packed().checkout)


@pytest.mark.parametrize("word", [HOST, USER, MIRROR, PROXY])
def test_the_last_lock_knows_the_machine(
    results: Path, tmp_path: Path, machine: Path, word: str
) -> None:
    spoil(results, "native/left.txt", f"at {word} once".encode())
    with pytest.raises(SchedlabError, match="left.txt contains") as caught:
        pack(results, tmp_path / "x", root=packed().checkout)
    assert word not in str(caught.value)


def test_a_key_that_was_not_committed_is_not_packed(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout")
    (checkout / "config/id").write_text(private_key())
    with pytest.raises(SchedlabError, match="source.patch contains a private key"):
        pack(packed().results, tmp_path / "x", root=checkout)


def test_a_log_is_clean_when_it_is_written(tmp_path: Path) -> None:
    key = private_key()
    text = f"I: http://{MIRROR}/debian\n{USER} on {HOST} in {tmp_path}/x\n{key}after\n"
    command = [sys.executable, "-m", "schedlab", "log", "--show", str(tmp_path / "a.log")]
    apart = ["unshare", "--uts", "--user", "--map-root-user", "sh", "-c"]
    if subprocess.run([*apart, f"hostname {HOST}"], capture_output=True, check=False).returncode:
        text = text.replace(HOST, "host")
    else:
        command = [*apart, f'hostname {HOST}; exec "$@"', "sh", *command]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=True,
        env=os.environ | {
            "USER": USER, "HOME": str(tmp_path), "SCHEDLAB_DEBIAN_MIRROR": f"http://{MIRROR}/debian"
        },
    )  # fmt: skip
    log = (tmp_path / "a.log").read_text()
    assert log == done.stdout
    assert [word for word in (*NAMES, str(tmp_path), *key.splitlines()) if word in log] == []
    assert log.splitlines()[0] == "I: http://mirror.invalid/debian"
    assert log.splitlines()[-1] == "after"


def test_a_log_outlives_an_interruption(tmp_path: Path) -> None:
    """The log also has the lines that a stage writes while it cleans up."""
    process = subprocess.Popen(
        [sys.executable, "-m", "schedlab", "log", str(tmp_path / "a.log")], stdin=subprocess.PIPE
    )
    assert process.stdin
    process.stdin.write(b"before\n")
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not (tmp_path / "a.log").exists() or not (tmp_path / "a.log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    process.communicate(b"removed the cluster\n", timeout=60)
    assert process.returncode == 0
    assert (tmp_path / "a.log").read_text() == "before\nremoved the cluster\n"


def test_a_file_is_searched_across_parts() -> None:
    scanner = Scanner(Identity({}), frozenset({b"needle-of-a-secret"}))
    for place in range((1 << 20) - 20, (1 << 20) + 2):
        with pytest.raises(SchedlabError):
            scanner.check("x", io.BytesIO(bytes(place) + b"needle-of-a-secret"))
    scanner.check("x", io.BytesIO(bytes(3 << 20)))
