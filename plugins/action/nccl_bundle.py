# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the NCCL bundle once on a builder desk, keep it on the controller, send it only where it differs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import resource
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError

from ..module_utils.changes import bundle, received
from ..module_utils.judges.catalogue import finding
from ..module_utils.judges.known_versions import evidence_of, known_bad, told
from ..module_utils.model.finding import Finding, Where
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.run.gate import takes_part
from ..plugin_utils.run.model import Run
from ..plugin_utils.run.stages import STAGES
from ..plugin_utils.run.store import RunStore, write_atomically

MODULE = "labops.dgx_spark.nccl_bundle"
BUILT = re.compile(re.escape(f"{received.PLACE}/{received.HANDED_PREFIX}") + r"[A-Za-z0-9_]{8}/bundle\.tar\.gz")
"""Where a desk may say that it laid a bundle for the login user; nothing else is fetched or removed."""

WHEEL = re.compile(r"nvidia_nccl_cu13-(?P<version>[0-9]+(\.[0-9]+){2,3})-[A-Za-z0-9_.-]*aarch64\.whl")
VERSION = re.compile(r"[0-9]+(\.[0-9]+){2}-[0-9]+\+cuda[0-9.]+")

ARCHIVE_LIMIT = 2 << 30
"""Bytes of a bundle that is fetched: a few times what NCCL and its tests have in all their architectures."""

COMMITS = "commits.json"
"""Beside the bundles on the controller: the commit that each tag had when it was first built."""

SOURCES = ("nccl", "nccl_tests")


class ActionModule(DeskAction):
    """Arguments: state (built, present, absent), cache, archive, checksum, builder, nccl, nccl_tests, and the module's."""

    def work(self, call: Call) -> dict[str, Any]:
        """Build, install or remove."""
        state = call.given["state"]
        try:
            if state == "built":
                return self._built(call)
            if state == "present":
                return self._present(call)
            return self.execute(MODULE, {"state": "absent", **_only(call.given, ("folder",))}, call)
        except bundle.BundleError as error:
            found = finding("NCCL_BUNDLE_FAILED", Where(desk=call.desk), f"{call.desk}: {error.text}", evidence={"said": error.said})
            return self.refused([found])

    def _built(self, call: Call) -> dict[str, Any]:
        """On the builder desk, and only when the controller has no bundle of these wishes."""
        given, desk = call.given, call.desk
        wishes = Wishes(given)
        if given.get("archive"):
            wishes.given_archive()
            return {"changed": False, "builder": None}
        wishes.check()
        builder = str(given.get("builder") or "") or default_builder(call.run, call.store)
        if desk == builder and (refused := wishes.refused(desk)):
            return self.refused(refused)
        if desk != builder or wishes.is_kept():
            return {"changed": False, "builder": builder, "bundle": str(wishes.cached)}
        arguments = {
            "state": "built",
            "key": wishes.key,
            "desk": desk,
            "user": self.login_user(call.task_vars) or "",
            **{name: wishes.pinned(name) for name in SOURCES},
            **_only(given, ("folder", "library", "gencode", "cuda_home", "mpi_home", "jobs", "packages", "lock_timeout")),
        }
        if self._task.check_mode:
            return self.execute(MODULE, arguments, call)
        folder = self._connection._shell.tmpdir or self._make_tmp_path()
        for name in SOURCES:
            if arguments[name].get("archive"):
                source = wishes.source(name)
                arguments[name] |= {"archive": self._send(source, folder, f"{name}.tar"), "sha256": bundle.digest(str(source))}
        answer = self.execute(MODULE, arguments, call)
        if not answer.get("failed"):
            with _fresh(wishes.cached) as fresh:
                self._fetch(answer, fresh)
                wishes.pin(json.loads(bundle.manifest_of(str(fresh))))
            answer["bundle"] = str(wishes.cached)
        self._remove_tmp_path(self._connection._shell.tmpdir)
        return answer

    def _present(self, call: Call) -> dict[str, Any]:
        """On every desk whose manifest differs."""
        given, desk = call.given, call.desk
        wishes = Wishes(given)
        path = wishes.given_archive() if given.get("archive") else wishes.cached
        if not (path.is_file() if given.get("archive") else wishes.is_kept()):
            if self._task.check_mode:
                return {"changed": True, "msg": "in check mode: the bundle would be built first"}
            text = f"{desk}: there is no bundle to install; see the findings of the builder desk"
            found = finding("NCCL_BUNDLE_FAILED", Where(desk=desk), text, severity="unknown", evidence={"expected": str(path)})
            return {"failed": True, "msg": text, "findings": [found.as_dict()]}
        wanted = hashlib.sha256(bundle.manifest_of(str(path)).encode()).hexdigest()
        setup = (call.facts or {}).get("setup") or {}
        if setup.get("nccl_bundle") == wanted:
            return {"changed": False, "manifest_sha256": wanted}
        arguments = {"state": "present", "desk": desk, "archive": str(path), **_only(given, ("folder",))}
        arguments |= {"sha256": bundle.digest(str(path)), "user": self.login_user(call.task_vars) or ""}
        if not self._task.check_mode:
            folder = self._connection._shell.tmpdir or self._make_tmp_path()
            arguments["archive"] = self._send(path, folder, "bundle.tar.gz")
        answer = self.execute(MODULE, arguments, call)
        answer["manifest_sha256"] = wanted
        if not self._task.check_mode:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return answer

    def _fetch(self, answer: Mapping[str, Any], target: Path) -> None:
        """Fetch what was built as the login user, and prove that it is what the module told over the connection. Raises BundleError."""
        path = str(answer.get("archive") or "")
        if not BUILT.fullmatch(path):
            raise bundle.BundleError(f"the builder desk names {path[:100]!r} as its bundle, which is not a path this collection uses")
        try:
            with _bounded(ARCHIVE_LIMIT):
                self._connection.fetch_file(path, str(target))
            got = bundle.digest(str(target))
        except (AnsibleError, OSError) as error:
            raise bundle.BundleError(
                f"the bundle (at most {ARCHIVE_LIMIT >> 20} MiB) cannot be fetched as the login user (set ansible_user): {error}"
            ) from error
        finally:
            command = self._connection._shell.remove(path.rpartition("/")[0], recurse=True)
            self._low_level_execute_command(command, sudoable=False)
        if got != answer.get("sha256"):
            target.unlink()
            raise bundle.BundleError(f"the fetched bundle has SHA-256 {got}, but the builder desk reported {answer.get('sha256')}")

    def _send(self, path: Path, folder: str, name: str) -> str:
        target: str = self._connection._shell.join_path(folder, name)
        self._transfer_file(str(path), target)
        self._fixup_perms2([folder, target])
        return target


@contextlib.contextmanager
def _fresh(target: Path) -> Iterator[Path]:
    """A new file that nobody else knows the name of, and that takes the target's place at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(descriptor)
    try:
        yield Path(name)
        os.chmod(name, 0o644)
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _bounded(limit: int) -> Iterator[None]:
    """No file that this process or a program started by it writes gets longer than ``limit`` bytes: how much a desk sends is its choice."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    soft = limit if before[1] == resource.RLIM_INFINITY else min(limit, before[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Wishes:
    """What is to be built, and where the controller keeps it."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.cache = Path(str(given.get("cache") or "~/.cache/labops.dgx_spark/nccl_bundle")).expanduser()

    @property
    def key(self) -> str:
        """One text for all that the result depends on; source archives count by their content."""
        parts: dict[str, Any] = {"gencode": str(self.given.get("gencode") or "")}
        toolkit = str(self.given.get("cuda_home") or bundle.Spec.cuda_home)
        if toolkit != bundle.Spec.cuda_home:
            parts["cuda_home"] = toolkit
        if self.library != bundle.BUILD:
            parts["library"] = self.library
        for name in SOURCES:
            source = dict(self.given.get(name) or {})
            if name == "nccl" and self.library == bundle.SYSTEM:
                parts[name] = self.version
            elif name == "nccl" and self.library == bundle.WHEEL:
                parts[name] = str(source.get("checksum") or "").removeprefix("sha256:")
            elif source.get("archive"):
                parts[name] = hashlib.sha256(self.source(name).read_bytes()).hexdigest()
            else:
                parts[name] = [str(source.get(item) or "") for item in ("url", "tag", "commit")]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def library(self) -> str:
        """Where the library comes from: build, system or wheel."""
        return str(self.given.get("library") or bundle.BUILD)

    @property
    def version(self) -> str:
        """The version of NCCL that is asked for; empty for a source archive."""
        source = dict(self.given.get("nccl") or {})
        if self.library == bundle.SYSTEM:
            return str(source.get("version") or "")
        if self.library == bundle.WHEEL:
            named = WHEEL.fullmatch(Path(str(source.get("archive") or "")).name)
            return named["version"] if named else ""
        return "" if source.get("archive") else str(source.get("tag") or "").removeprefix("v")

    def check(self) -> None:
        """Refuse wishes that cannot be met, before a desk is asked. Raises BundleError."""
        source = dict(self.given.get("nccl") or {})
        if self.library == bundle.SYSTEM and not VERSION.fullmatch(self.version):
            told = f"version in nccl_bundle_nccl is {self.version!r}; a version of libnccl2 such as 2.28.9-1+cuda13.0 was expected"
            raise bundle.BundleError(f"nccl_bundle_library is system: {told}")
        if self.library != bundle.WHEEL:
            return
        if not self.version:
            told = f"archive in nccl_bundle_nccl is {source.get('archive')!r}; nvidia_nccl_cu13-VERSION-...aarch64.whl was expected"
            raise bundle.BundleError(f"nccl_bundle_library is wheel: {told}")
        wanted = str(source.get("checksum") or "").removeprefix("sha256:")
        got = bundle.digest(str(self.source("nccl")))
        if got != wanted:
            raise bundle.BundleError(f"{source['archive']} has SHA-256 {got}, {wanted or 'no checksum'} is in nccl_bundle_nccl")

    def refused(self, desk: str) -> list[Finding]:
        """Why these wishes are not built: reports of a fault name the version of NCCL. Empty where none does."""
        kinds = ("nccl", "nccl wheel") if self.library == bundle.WHEEL else ("nccl",)
        entry = next((item for kind in kinds if (item := known_bad(kind, self.version))), None)
        if entry is None:
            return []
        text = f"{desk}: nccl_bundle_nccl asks for a version with a known fault. {told(entry, self.version)}"
        remedy = "Ask for another version in nccl_bundle_nccl; a source given as an archive is built whatever its version."
        return [finding("NCCL_BUNDLE_FAILED", Where(desk=desk), text, evidence=evidence_of(entry, self.version), remedy=remedy)]

    def pinned(self, name: str) -> dict[str, Any]:
        """What the module is told of a source. A tag that was built before must still have the commit that it had then."""
        source = dict(self.given.get(name) or {})
        if name == "nccl" and self.library != bundle.BUILD:
            return {"version": self.version, **{key: source[key] for key in ("archive",) if self.library == bundle.WHEEL}}
        if not source.get("archive") and not source.get("commit"):
            commit = self._commits().get(_tagged(source))
            source |= {"commit": commit} if commit else {}
        return source

    def pin(self, manifest: Mapping[str, Any]) -> None:
        """Keep the commits that were built, each the first time."""
        known = self._commits()
        told = manifest.get("sources")
        fresh = {
            _tagged(item): str(item.get("commit"))
            for item in (told if isinstance(told, list) else [])
            if isinstance(item, dict) and item.get("url") and re.fullmatch(r"[0-9a-f]{40}", str(item.get("commit")))
        }
        asked = {_tagged(dict(self.given.get(name) or {})) for name in SOURCES}
        both = {**{key: value for key, value in fresh.items() if key in asked}, **known}
        if both != known:
            write_atomically(self.cache / COMMITS, json.dumps(both, indent=1, sort_keys=True) + "\n", mode=0o644)

    def _commits(self) -> dict[str, str]:
        try:
            data = json.loads((self.cache / COMMITS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in data.items()} if isinstance(data, dict) else {}

    @property
    def cached(self) -> Path:
        """The bundle on the controller."""
        return self.cache / f"{self.key[:32]}.tar.gz"

    def is_kept(self) -> bool:
        """Whether it is there. Raises BundleError for one that another user laid in a folder of everybody's: it runs on every desk."""
        if not self.cached.is_file():
            return False
        owner = self.cached.lstat().st_uid
        if self.cache.stat().st_mode & 0o002 and owner not in (0, os.geteuid()):
            raise bundle.BundleError(
                f"{self.cached} belongs to user id {owner}, and everybody may write to its folder; a bundle that this user (id "
                f"{os.geteuid()}) built was expected. Name a folder of your own (nccl_bundle_cache), or remove the file where it is yours"
            )
        return True

    def source(self, name: str) -> Path:
        """The source archive on the controller; a folder is packed first."""
        path = Path(str((self.given.get(name) or {}).get("archive"))).expanduser()
        if path.is_file():
            return path
        if path.is_dir():
            return packed(path, self.cache)
        raise bundle.BundleError(f"nccl_bundle: the source of {name} is {path}, which does not exist on the controller")

    def given_archive(self) -> Path:
        """The ready bundle that was given, checked against its checksum."""
        path = Path(str(self.given["archive"])).expanduser()
        wanted = str(self.given.get("checksum") or "").removeprefix("sha256:")
        if not path.is_file():
            raise bundle.BundleError(f"nccl_bundle_archive: {path} is not a file on the controller")
        if not wanted:
            raise AnsibleActionFail("nccl_bundle_checksum (SHA-256) must be given together with nccl_bundle_archive")
        got = bundle.digest(str(path))
        if got != wanted:
            raise bundle.BundleError(f"{path} has SHA-256 {got}, {wanted} was expected")
        return path


def _tagged(source: Mapping[str, Any]) -> str:
    """A tag of a repository, as the noted commits name it."""
    return f"{bundle.without_login(str(source.get('url')))} {source.get('tag')}"


def packed(folder: Path, cache: Path) -> Path:
    """A folder of source as an archive; the same content gives the same bytes and name.

    A link stays one: what it leads to on the controller may be a private file, and whoever wrote the source builds with it on a desk.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(item for item in folder.rglob("*") if "__pycache__" not in item.parts):
            entry = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder)}")
            if path.is_symlink():
                entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(path)
                archive.addfile(entry)
                continue
            if not path.is_file():
                continue
            content = path.read_bytes()
            entry.size, entry.mode = len(content), 0o755 if os.access(path, os.X_OK) else 0o644
            archive.addfile(entry, io.BytesIO(content))
    data = buffer.getvalue()
    target = cache / f"source-{folder.name}-{hashlib.sha256(data).hexdigest()[:16]}.tar"
    # Its name tells what was in it when it was made, not what is in it.
    if not target.is_file() or target.read_bytes() != data:
        with _fresh(target) as fresh:
            fresh.write_bytes(data)
    return target


def default_builder(run: Run, store: RunStore) -> str | None:
    """The head of the first stack that is still in the run."""
    stage = STAGES["bundle_build"]
    return next((stack.head for stack in run.stacks if all(takes_part(run, store, desk, stage) for desk in stack.members)), None)


def _only(given: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: given[name] for name in names if given.get(name) not in (None, "")}
