"""What several unit tests start from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def openssl(folder: Path, words: str) -> None:
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server's certificate for 127.0.0.1 and a client's, by the openssl program."""
    folder = tmp_path_factory.mktemp("certificates")
    curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    openssl(folder, f"req -x509 {curve} -subj /CN=test -keyout ca.key -out ca.crt")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl(folder, f"req {curve} -subj /CN={name} -keyout {name}.key -out {name}.csr")
        openssl(
            folder,
            f"x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2"
            f" -extfile names -out {name}.crt",
        )
    return folder
