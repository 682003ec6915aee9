# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images as a registry describes them, asked with skopeo on the controller. Nothing is pulled: index, manifest and configuration alone.

skopeo takes credentials from where podman and docker keep them (auth.json, ~/.docker/config.json, credential helpers).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...module_utils.desk import MISSING, TIMEOUT, Answer
from ...module_utils.model.workload import Image
from ...module_utils.readers import image_reference, oci, registry_error
from .fetch import without_logins
from .process import run

Runner = Callable[..., Answer]
"""process.run, or a recording."""


@dataclass(frozen=True)
class Options:
    """How registries are asked."""

    limit: float = 30.0
    """Seconds for one question."""
    mirrors: Mapping[str, str] | None = None
    """Registry to the mirror that is asked first, such as docker.io to mirror.lab:5000."""
    plain_http: Sequence[str] = ()
    """Registries without TLS, or with a certificate that nobody signed."""
    authfile: str | None = None


class Registry:
    """Asks registries; one object for one check, so that a registry that is down is waited for once."""

    def __init__(self, options: Options, runner: Runner = run) -> None:
        self._options, self._run = options, runner
        self._down: dict[str, tuple[str, str]] = {}

    def image(self, text: str) -> Image:
        """What a registry says of an image; ``trouble`` is set when it says nothing. Never raises."""
        try:
            reference = image_reference.parse(text)
        except image_reference.ReferenceProblem as error:
            # What is no reference may be a link with a login in it, which belongs in no report.
            return Image(without_logins(text)[:200], "none", trouble="reference", said=without_logins(str(error)))
        empty = Image(reference.text, "none")
        if reference.registry in self._down:
            kind, said = self._down[reference.registry]
            return replace(empty, trouble=kind, said=said)
        try:
            with tempfile.TemporaryDirectory(prefix="dgx-spark-") as folder:
                return self._image(reference, empty, self._configuration(Path(folder)))
        except _Refused as error:
            if error.kind in ("timeout", "rate_limit", "no_network", "client_missing", "certificate", "plain_http"):
                self._down[reference.registry] = (error.kind, str(error))
            return replace(empty, trouble=error.kind, said=str(error))
        except (oci.OciError, image_reference.ReferenceProblem) as error:
            return replace(empty, trouble="not_readable", said=str(error))

    def _image(self, reference: image_reference.Reference, empty: Image, configuration: Sequence[str]) -> Image:
        first = oci.manifest(self._ask(["inspect", "--raw"], reference.text, configuration))
        if first.kind == "schema1":
            return replace(empty, source="schema1", architecture=first.architecture)
        if first.kind == "manifest":
            return self._configured(replace(empty, source="manifest", size=first.size), reference.text, configuration)
        platforms = tuple(entry.platform for entry in first.entries)
        arm = [entry for entry in first.entries if entry.os == "linux" and entry.architecture in ("arm64", "aarch64")]
        image = replace(empty, source="index", platforms=platforms)
        if not arm:
            return replace(image, arm_tags=self._arm_tags(reference, configuration))
        at = reference.at(next((entry.digest for entry in arm if entry.variant in ("", "v8")), arm[0].digest))
        own = oci.manifest(self._ask(["inspect", "--raw"], at, configuration))
        if own.kind != "manifest":
            raise oci.OciError("the entry for arm64 is not an image manifest")
        return self._configured(replace(image, digest=at.rpartition("@")[2], size=own.size), at, configuration)

    def _configured(self, image: Image, reference: str, configuration: Sequence[str]) -> Image:
        told = oci.configuration(self._ask(["inspect", "--config", "--raw"], reference, configuration))
        return replace(image, os=told.os, architecture=told.architecture, environment=told.environment, labels=told.labels)

    def _arm_tags(self, reference: image_reference.Reference, configuration: Sequence[str]) -> tuple[str, ...]:
        """Tags of the repository that are made for arm64 by their name, those beside the wanted tag first; none when it does not tell."""
        try:
            tags = oci.tags(self._ask(["list-tags"], reference.name, configuration))
        except (_Refused, oci.OciError):
            return ()
        arm = [tag for tag in tags if re.search(r"(?:^|[-_.])(?:arm64|aarch64|sbsa)(?:v8)?(?:$|[-_.])", tag)]
        near = [tag for tag in arm if reference.tag and reference.tag in tag]
        return tuple((near or arm[-3:])[:3])

    def _ask(self, command: Sequence[str], reference: str, configuration: Sequence[str]) -> str:
        limit = max(2, int(self._options.limit))
        argv = ["skopeo", "--debug", *configuration, "--command-timeout", f"{limit}s", *command]
        if self._options.authfile:
            argv += ["--authfile", self._options.authfile]
        answer = self._run([*argv, f"docker://{reference}"], limit + 5)
        if answer.ok:
            return str(answer.stdout)
        if answer.error == MISSING:
            raise _Refused("skopeo is not installed", "client_missing")
        words = " ".join((answer.stderr or answer.stdout or answer.error or "").split())
        if re.search("Too many requests to ", words):
            # skopeo waits and asks again, longer than a check may wait; only its debug output tells why.
            raise _Refused("too many requests", "rate_limit")
        fatal = _tail(words)
        kind = registry_error.read(fatal)
        if answer.error == TIMEOUT or kind == "timeout":
            raise _Refused(f"no response within {limit} s", "timeout")
        raise _Refused(fatal, kind)

    def _configuration(self, folder: Path) -> list[str]:
        """The option that replaces skopeo's own configuration of registries, where mirrors or plain HTTP are asked for."""
        mirrors, plain = dict(self._options.mirrors or {}), list(self._options.plain_http)
        if not mirrors and not plain:
            return []
        lines = ['unqualified-search-registries = ["docker.io"]', 'short-name-mode = "disabled"']
        for registry in dict.fromkeys([*mirrors, *plain]):
            lines += ["[[registry]]", f"location = {_toml(registry)}", f"insecure = {'true' if registry in plain else 'false'}"]
            if registry in mirrors:
                lines += ["[[registry.mirror]]", f"location = {_toml(mirrors[registry])}"]
                lines += [f"insecure = {'true' if mirrors[registry].partition('/')[0] in plain else 'false'}"]
        path = folder / "registries.conf"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return ["--registries-conf", str(path)]


class _Refused(Exception):
    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


def of_docker(reference: str, text: str) -> Image:
    """An image that is on the desk, as docker there describes it. Raises oci.OciError."""
    told = oci.docker_image(text)
    return Image(
        reference,
        "docker",
        os=told.os,
        architecture=told.architecture,
        environment=told.environment,
        labels=told.labels,
        size=told.size,
    )


def _tail(words: str) -> str:
    """The last part of a client's message: what the registry itself said."""
    fatal = words.rpartition("level=fatal")[2]
    return fatal.partition('msg="')[2].rstrip('"')[-300:] if 'msg="' in fatal else fatal[-300:]


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "").replace('"', "").replace("\n", "") + '"'
