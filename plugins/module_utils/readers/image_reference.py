# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name of a container image: registry, repository, tag and digest, as docker understands it."""

from __future__ import annotations

import re
from dataclasses import dataclass

LENGTH_LIMIT = 512
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOST = re.compile(
    r"(?:localhost|\[[0-9a-fA-F:]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}))*)(?::[0-9]{1,5})?"
)


class ReferenceProblem(ValueError):
    """A reference that no registry can be asked for; the text says what is wrong with it."""


@dataclass(frozen=True)
class Reference:
    """A complete reference."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def text(self) -> str:
        """What to ask for: a digest wins over a tag."""
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"

    def at(self, digest: str) -> str:
        """The same repository at another digest. Raises ReferenceProblem for what is no digest."""
        if not _DIGEST.fullmatch(digest):
            raise ReferenceProblem("the registry returned an invalid digest")
        return f"{self.name}@{digest}"


def parse(text: str) -> Reference:
    """The reference that docker would take. Raises ReferenceProblem with a sentence."""
    if not text or len(text) > LENGTH_LIMIT:
        raise ReferenceProblem("the image has no name" if not text else "the name is too long")
    if re.search(r"[^\x21-\x7e]", text):
        raise ReferenceProblem("the name has a space or a character that image names cannot have")
    if re.match(r"[a-z][a-z0-9+.-]*://", text):
        raise ReferenceProblem("write the image without a scheme, as for docker pull")
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ReferenceProblem("a digest is sha256: and 64 hexadecimal digits")
    first, slash, remainder = rest.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first or first.startswith("[")):
        registry, path = first, remainder
    else:
        registry, path = "docker.io", rest
    if not _HOST.fullmatch(registry):
        raise ReferenceProblem(f"{registry!r} is not a registry")
    repository, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise ReferenceProblem(f"{tag!r} is not a tag")
    if not _NAME.fullmatch(repository):
        lower = " (names are lower case)" if repository != repository.lower() else ""
        raise ReferenceProblem(f"{repository!r} is not a repository name{lower}")
    if registry in ("index.docker.io", "registry-1.docker.io"):
        registry = "docker.io"
    if registry == "docker.io" and "/" not in repository:
        repository = f"library/{repository}"
    return Reference(registry, repository, tag if colon else (None if at else "latest"), digest if at else None)
