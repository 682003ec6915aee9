"""The bill of materials names what ships and what is pinned."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tools.sbom import bill, packages

ONE, TWO = "1" * 64, "2" * 64


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    info = {"namespace": "labops", "name": "dgx_spark", "version": "1.0.0", "description": "d", "repository": "https://example.org"}
    listed = [{"name": ".", "ftype": "dir", "chksum_sha256": None}, {"name": "plugins/a.py", "ftype": "file", "chksum_sha256": ONE}]
    path = tmp_path / "labops-dgx_spark-1.0.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in {"MANIFEST.json": {"collection_info": info}, "FILES.json": {"files": listed}}.items():
            text = json.dumps(data).encode()
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return path


def test_files_packages_and_sources_are_named(tarball: Path) -> None:
    made = bill(tarball)
    by_name: dict[str, Any] = {item["name"]: item for item in made["components"]}
    assert by_name["plugins/a.py"]["hashes"] == [{"alg": "SHA-256", "content": ONE}]
    assert "." not in by_name
    assert by_name["jinja2"]["scope"] == "required"
    assert by_name["pytest"]["scope"] == by_name["reuse"]["scope"] == "excluded"
    assert by_name["NVIDIA/nccl"]["purl"].startswith("pkg:github/nvidia/nccl@")
    references = [item["bom-ref"] for item in made["components"]]
    assert len(references) == len(set(references))
    needed = made["dependencies"][0]["dependsOn"]
    assert by_name["jinja2"]["bom-ref"] in needed
    assert by_name["pytest"]["bom-ref"] not in needed


def test_the_same_tarball_gives_the_same_bill(tarball: Path) -> None:
    assert bill(tarball) == bill(tarball)


def test_every_hash_of_a_package_is_named() -> None:
    lock = (
        f"a==1 \\\n    --hash=sha256:{ONE} \\\n    --hash=sha256:{TWO}\n    # via b\nb==2 ; python_version < '3.12' --hash=sha256:{TWO}\n"
    )
    first, second = packages(lock, lock)
    assert [item["content"] for item in first["hashes"]] == [ONE, TWO]
    assert second["properties"][0]["value"] == 'python_version < "3.12"'
