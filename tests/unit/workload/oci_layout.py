"""Images as OCI layouts, and the answers that a registry gives of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class Variant:
    """One image of an index. ``platform``: what the index says, ``architecture``: what is in it."""

    platform: str = "linux/arm64"
    architecture: str = ""
    env: Sequence[str] = ()
    labels: dict[str, str] = field(default_factory=dict)
    size: int | None = None

    @property
    def inside(self) -> str:
        return self.architecture or self.platform.split("/")[1]


class Blobs:
    """Content by digest."""

    def __init__(self) -> None:
        self.by_digest: dict[str, bytes] = {}

    def add(self, data: bytes) -> dict[str, object]:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.by_digest[digest] = data
        return {"digest": digest, "size": len(data)}

    def image(self, variant: Variant) -> dict[str, object]:
        """The descriptor of one image."""
        out = io.BytesIO()
        tarfile.open(fileobj=out, mode="w").close()
        layer = self.add(gzip.compress(out.getvalue(), mtime=0))
        if variant.size is not None:
            layer = {**layer, "size": variant.size}
        plain = "sha256:" + hashlib.sha256(out.getvalue()).hexdigest()
        config = {"architecture": variant.inside, "os": "linux", "config": {"Env": list(variant.env), "Labels": variant.labels}}
        inner = self.add(json.dumps({**config, "rootfs": {"type": "layers", "diff_ids": [plain]}, "history": []}).encode())
        layers = [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **layer}]
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **inner}}
        return {"mediaType": MANIFEST, **self.add(json.dumps({**body, "layers": layers}).encode())}

    def index(self, variants: Sequence[Variant], attest: bool = False) -> dict[str, object]:
        """The descriptor of an index."""
        entries = []
        for variant in variants:
            system, architecture, *more = variant.platform.split("/")
            platform = {"os": system, "architecture": architecture, **({"variant": more[0]} if more else {})}
            entries.append({**self.image(variant), "platform": platform})
            if attest:
                note = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": entries[-1]["digest"]}
                descriptor = self.image(Variant("unknown/unknown"))
                entries.append({**descriptor, "platform": {"os": "unknown", "architecture": "unknown"}, "annotations": note})
        return {"mediaType": INDEX, **self.add(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode())}


def layout(folder: Path, blobs: Blobs, descriptor: dict[str, object]) -> Path:
    """Write a layout that skopeo copies from."""
    place = folder / "blobs" / "sha256"
    place.mkdir(parents=True)
    for digest, data in blobs.by_digest.items():
        (place / digest.partition(":")[2]).write_bytes(data)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    named = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": "latest"}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    return folder
