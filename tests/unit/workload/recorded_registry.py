"""A registry's answers without a registry: what skopeo prints for a reference, or how it fails."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import image_reference
from oci_layout import Blobs, Variant


class Recorded:
    """Takes the place of ``process.run`` for skopeo."""

    def __init__(self) -> None:
        self.blobs = Blobs()
        self.tops: dict[str, bytes] = {}
        self.errors: dict[str, Answer] = {}
        self.tags: dict[str, list[str]] = {}
        self.asked: list[tuple[str, ...]] = []

    def index(self, reference: str, variants: Sequence[Variant], attest: bool = False) -> None:
        """An index behind a reference."""
        self._top(reference, self.blobs.index(variants, attest))

    def single(self, reference: str, variant: Variant) -> None:
        """A manifest without index."""
        self._top(reference, self.blobs.image(variant))

    def raw(self, reference: str, body: object) -> None:
        """Any text."""
        self.tops[image_reference.parse(reference).text] = body if isinstance(body, bytes) else json.dumps(body).encode()

    def fails(self, reference: str, stderr: str = "", rc: int = 1, error: str | None = None) -> None:
        """A failure."""
        self.errors[image_reference.parse(reference).text] = Answer((), None if error else rc, "", stderr, error)

    def _top(self, reference: str, descriptor: Mapping[str, object]) -> None:
        self.tops[image_reference.parse(reference).text] = self.blobs.by_digest[str(descriptor["digest"])]

    def __call__(self, argv: Sequence[str], _limit: float, *_more: object) -> Answer:
        self.asked.append(tuple(argv))
        reference = argv[-1].removeprefix("docker://")
        if reference in self.errors:
            return self.errors[reference]
        if "list-tags" in argv:
            return Answer(tuple(argv), 0, json.dumps({"Repository": reference, "Tags": self.tags.get(reference, [])}))
        digest = reference.partition("@")[2]
        body = self.blobs.by_digest.get(digest) if digest else self.tops.get(reference)
        if body is None:
            return Answer(
                tuple(argv), 1, "", f'time="" level=fatal msg="reading manifest in {reference}: manifest unknown: manifest unknown"'
            )
        if "--config" in argv:
            body = self.blobs.by_digest[json.loads(body)["config"]["digest"]]
        return Answer(tuple(argv), 0, body.decode("utf-8", "replace"))
