# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print a bill of materials (CycloneDX 1.6) of a tarball: its files, the pinned Python packages, the sources that it builds on a desk.

python3 tools/sbom.py labops-dgx_spark-1.0.0.tar.gz

The same tarball and lock files give the same text, whenever and wherever it is made.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.check_locks import HASH, key, lines, pinned  # noqa: E402

LICENCE = [{"license": {"id": "GPL-3.0-or-later"}}]


def digest(text: str) -> dict[str, str]:
    """A SHA-256 as CycloneDX names it."""
    return {"alg": "SHA-256", "content": text}


def files(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What ships, with the checksums of the collection's own list."""
    for item in manifest["files"]:
        if item["ftype"] == "file":
            yield {"type": "file", "bom-ref": f"file:{item['name']}", "name": item["name"], "hashes": [digest(item["chksum_sha256"])]}


def packages(runtime: str, development: str) -> Iterator[dict[str, Any]]:
    """Pinned Python packages with the hashes of all their files; those for tests alone are ``excluded``."""
    needed = {(entry.name, str(entry.specifier)) for entry in pinned(runtime, "requirements.lock")}
    for line, entry in zip(lines(development), pinned(development, "requirements-dev.lock"), strict=True):
        (pin,) = entry.specifier
        version = pin.version
        purl = f"pkg:pypi/{key(entry.name)}@{version}"
        made: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": entry.name, "version": version, "purl": purl}
        made["scope"] = "required" if (entry.name, str(entry.specifier)) in needed else "excluded"
        made["hashes"] = [digest(found.removeprefix("--hash=sha256:")) for found in HASH.findall(line)]
        if entry.marker is not None:
            made["properties"] = [{"name": "labops:marker", "value": str(entry.marker)}]
        yield made


def sources(defaults: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the role nccl_bundle fetches and builds on a desk unless it is told otherwise."""
    for variable in ("nccl_bundle_nccl", "nccl_bundle_nccl_tests"):
        source = defaults[variable]
        owner = re.sub(r"^https://github\.com/|\.git$", "", source["url"])
        purl = f"pkg:github/{owner.lower()}@{source['commit']}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": owner,
            "version": source["tag"],
            "purl": purl,
            "scope": "optional",
            "description": f"source at the commit that {variable} pins; built on a desk",
        }


def bill(tarball: Path) -> dict[str, Any]:
    """The whole document."""
    with tarfile.open(tarball) as archive:
        info = json.load(archive.extractfile("MANIFEST.json"))["collection_info"]  # type: ignore[arg-type]
        listed = json.load(archive.extractfile("FILES.json"))  # type: ignore[arg-type]
    texts = [
        (ROOT / name).read_text(encoding="utf-8") for name in ("requirements.lock", "requirements-dev.lock", "requirements-source.lock")
    ]
    defaults = yaml.safe_load((ROOT / "roles/nccl_bundle/defaults/main.yml").read_text(encoding="utf-8"))
    name = f"{info['namespace']}.{info['name']}"
    checksum = hashlib.sha256(tarball.read_bytes()).hexdigest()
    collection = {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "version": info["version"],
        "description": info["description"],
        "licenses": LICENCE,
        "hashes": [digest(checksum)],
        "externalReferences": [{"type": "vcs", "url": info["repository"]}],
    }
    runtime, development, source = texts
    components = [*files(listed), *packages(runtime, f"{development}\n{source}"), *sources(defaults)]
    needed = [item["bom-ref"] for item in components if item.get("scope") in ("required", "optional")]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, checksum + ''.join(texts))}",
        "version": 1,
        "metadata": {"component": collection},
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": list(dict.fromkeys(needed))}],
    }


if __name__ == "__main__":
    print(json.dumps(bill(Path(sys.argv[1])), indent=1))
