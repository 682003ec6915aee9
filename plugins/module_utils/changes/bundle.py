# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The NCCL bundle: NCCL and nccl-tests built once on a builder desk, packed with a manifest, installed elsewhere as packed.

The steps are those of NVIDIA's playbook (dgx-spark-playbooks, nvidia/nccl): ``make -j src.build`` for sm_121, then nccl-tests with MPI=1.
By choice NCCL itself is not compiled but taken from the desk's packages or from NVIDIA's wheel; the manifest says which.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import gzip
import io
import itertools
import json
import os
import posixpath
import re
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ..desk import Answer, Desk, LiveDesk, make_folder
from .received import digest, given_away
from .unwritten import remedy

SCHEMA = "labops.dgx_spark/nccl_bundle/1"
MANIFEST = "manifest.json"
PROGRAMS = ("all_gather_perf", "all_reduce_perf")
ARCHIVE = "bundle.tar.gz"
MANIFEST_LIMIT = 1 << 20
"""Bytes; an honest one has under a thousand."""
MEMBERS_LIMIT = 64
"""Files of an archive; a bundle has four. tarfile keeps a record of each."""
READ_LIMIT, UNPACKED_LIMIT = 16 << 20, 8 << 30
"""Bytes that are unpacked of an archive at once, and altogether. tarfile reads a header as large as the archive says."""
OWN_FOLDER = "/opt/dgx_spark"
BUILD, SYSTEM, WHEEL = "build", "system", "wheel"
LIBRARIES = (BUILD, SYSTEM, WHEEL)
"""Where the library comes from: compiled, the desk's packages libnccl2 and libnccl-dev, NVIDIA's wheel for Python."""

HEADER = "/usr/include/nccl.h"
SYSTEM_PACKAGES = ("libnccl2", "libnccl-dev")
BUILD_SECONDS = 3600.0
FETCH_SECONDS = 900.0


class BundleError(Exception):
    """Building, packing or installing failed; ``said`` is what the tool said last, ``remedy`` what to do where that is known."""

    def __init__(self, text: str, said: str = "", remedy: str | None = None) -> None:
        self.text, self.said, self.remedy = text, said, remedy
        super().__init__(text)


@dataclass(frozen=True)
class Source:
    """Where one of the two programs comes from: an archive on the desk, else a tag of a git repository."""

    name: str
    url: str = ""
    tag: str = ""
    commit: str = ""
    """Full commit id that the tag must have; empty: whatever it has, noted in the manifest."""
    archive: str = ""
    """Our own copy of a source archive or a wheel, which the user who builds may read."""
    version: str = ""
    """Version of the desk's packages, or of the wheel."""


@dataclass(frozen=True)
class Spec:
    """What is built."""

    sources: tuple[Source, Source]
    """NCCL, then nccl-tests."""
    library: str = BUILD
    """build, system or wheel"""
    gencode: str = "-gencode=arch=compute_121,code=sm_121"
    cuda_home: str = "/usr/local/cuda"
    mpi_home: str = ""
    jobs: int = 0
    extra: tuple[str, ...] = ()
    user: str | None = None
    """Who builds; null: this process' own user."""
    scratch: str = ""
    """The folder in which the tools build and keep what is between two of their steps."""
    commands: list[list[str]] = field(default_factory=list, compare=False)


def build(desk: LiveDesk, spec: Spec, room: str, key: str) -> tuple[dict[str, Any], str]:
    """Fetch, make, pack: the manifest, and the archive in ``room``, a folder of ours. Raises BundleError.

    The tools run as the login user in a folder of that user's. What they made is copied out by a program of that user, so that a link
    in it leads nowhere that the user may not go, and only our copies are hashed and packed.
    """
    work = given_away(room, spec.user)
    spec = dataclasses.replace(spec, scratch=work)
    of_nccl, of_tests = spec.sources
    nccl = {BUILD: _fetch, SYSTEM: _linked, WHEEL: _unpacked_wheel}[spec.library](desk, spec, of_nccl, work)
    tests = _fetch(desk, spec, of_tests, work)
    jobs = [f"-j{spec.jobs or os.cpu_count() or 1}"]
    cuda = [f"CUDA_HOME={spec.cuda_home}"]
    if spec.library == BUILD:
        _run(desk, spec, ["make", *jobs, "-C", nccl["folder"], "src.build", f"NVCC_GENCODE={spec.gencode}", *cuda], BUILD_SECONDS, "NCCL")
    mpi = spec.mpi_home or mpi_home(desk)
    words = ["MPI=1", f"MPI_HOME={mpi}", f"NCCL_HOME={nccl['folder']}/build", f"NVCC_GENCODE={spec.gencode}", *cuda]
    _run(desk, spec, ["make", *jobs, "-C", tests["folder"], *words], BUILD_SECONDS, "nccl-tests")
    files = collect(desk, spec, nccl["folder"], tests["folder"], room)
    manifest = {
        "schema": SCHEMA,
        "key": key,
        "sources": [{name: item[name] for name in ("name", "url", "tag", "commit")} for item in (nccl, tests)],
        "library": {"from": spec.library, **({"version": of_nccl.version} if of_nccl.version else {})},
        "gencode": spec.gencode,
        "files": {name: digest(path) for name, path in sorted(files.items())},
    }
    target = posixpath.join(room, ARCHIVE)
    pack(files, manifest, target)
    return manifest, target


def mpi_home(desk: Desk) -> str:
    """Where Open MPI's headers are: Debian and Ubuntu keep them per architecture."""
    for folder in library_folders(desk):
        if desk.list_dir(f"{folder}/openmpi/include").error is None:
            return f"{folder}/openmpi"
    raise BundleError("the headers of Open MPI were not found below /usr/lib", "install libopenmpi-dev on the builder desk")


def library_folders(desk: Desk) -> list[str]:
    """Where Debian and Ubuntu keep libraries, one folder an architecture."""
    return [f"/usr/lib/{name}" for name in sorted(desk.list_dir("/usr/lib").names) if name.endswith("-linux-gnu")]


def _linked(desk: LiveDesk, spec: Spec, source: Source, work: str) -> dict[str, str]:
    """The desk's own NCCL, laid out as a build is."""
    home = next((item for item in library_folders(desk) if "libnccl.so.2" in desk.list_dir(item).names), None)
    if home is None:
        raise BundleError(f"libnccl.so.2 was not found below /usr/lib although {' and '.join(SYSTEM_PACKAGES)} are installed")
    build = f"{work}/{source.name}/build"
    _run(desk, spec, ["mkdir", "-p", f"{build}/lib", f"{build}/include"], 30.0, source.name)
    for path, link in ((f"{home}/libnccl.so.2", "lib/libnccl.so.2"), ("libnccl.so.2", "lib/libnccl.so"), (HEADER, "include/nccl.h")):
        _run(desk, spec, ["ln", "-s", path, f"{build}/{link}"], 30.0, source.name)
    return {"name": source.name, "url": " ".join(SYSTEM_PACKAGES), "tag": source.version, "commit": "", "folder": f"{work}/{source.name}"}


def _unpacked_wheel(desk: LiveDesk, spec: Spec, source: Source, work: str) -> dict[str, str]:
    """NCCL from NVIDIA's wheel, laid out as a build is."""
    folder = f"{work}/{source.name}"
    _run(desk, spec, ["/usr/bin/python3", "-I", "-m", "zipfile", "-e", source.archive, folder], FETCH_SECONDS, "the wheel of NCCL")
    _run(desk, spec, ["mv", f"{folder}/nvidia/nccl", f"{folder}/build"], 30.0, "the wheel of NCCL")
    _run(desk, spec, ["ln", "-s", "libnccl.so.2", f"{folder}/build/lib/libnccl.so"], 30.0, "the wheel of NCCL")
    return {"name": source.name, "url": "wheel", "tag": source.version, "commit": digest(source.archive), "folder": folder}


def _fetch(desk: LiveDesk, spec: Spec, source: Source, work: str) -> dict[str, str]:
    folder = f"{work}/{source.name}"
    if source.archive:
        _run(desk, spec, ["mkdir", "-p", folder], 30.0, source.name)
        _run(desk, spec, ["tar", "-x", "-f", source.archive, "-C", folder], FETCH_SECONDS, f"the archive of {source.name}")
        names = _run(desk, spec, ["ls", "-1", "--", folder], 30.0, source.name).stdout.splitlines()
        if len(names) == 1 and desk.run(["test", "-d", f"{folder}/{names[0]}"], user=spec.user).ok:
            folder = f"{folder}/{names[0]}"
        return {"name": source.name, "url": "", "tag": source.tag, "commit": digest(source.archive), "folder": folder}
    url, login = login_of(source.url)
    argv = ["git", "clone", "--quiet", "--depth", "1", "--branch", source.tag, url, folder]
    _run(desk, spec, argv, FETCH_SECONDS, f"{source.name} {source.tag}", login)
    commit = _run(desk, spec, ["git", "-C", folder, "rev-parse", "HEAD"], 30.0, source.name).stdout.strip()
    if source.commit and commit != source.commit:
        raise BundleError(f"{source.name} {source.tag} has commit {commit}; {source.commit} was expected")
    return {"name": source.name, "url": without_login(source.url), "tag": source.tag, "commit": commit, "folder": folder}


def collect(desk: LiveDesk, spec: Spec, nccl: str, tests: str, room: str) -> dict[str, str]:
    """Name in the bundle to our copy of each built file. Raises BundleError when one is missing."""
    built = {"lib/libnccl.so.2": f"{nccl}/build/lib/libnccl.so.2"}
    built |= {f"bin/{program}": f"{tests}/build/{program}" for program in PROGRAMS}
    files = {}
    for name, path in built.items():
        files[name] = posixpath.join(room, name.replace("/", "_"))
        try:
            desk.copy_as(spec.user, path, files[name])
        except OSError as error:
            raise BundleError(f"the build did not produce {path}", str(error.strerror)) from error
    return files


def pack(files: Mapping[str, str], manifest: Mapping[str, Any], target: str) -> None:
    """Write the archive; the same content gives the same bytes."""
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    with (
        open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, path in sorted(files.items()):
            with open(path, "rb") as file:
                content = file.read()
            archive.addfile(_entry(name, len(content), 0o755), io.BytesIO(content))
        archive.addfile(_entry(MANIFEST, len(text.encode()), 0o644), io.BytesIO(text.encode()))


def _entry(name: str, size: int, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.uname, entry.gname = size, mode, "root", "root"
    return entry


class _Unzipped(gzip.GzipFile):
    """An archive that another desk packed, of which no more is unpacked than a bundle has."""

    def read(self, size: int | None = -1) -> bytes:
        """As files do. Raises OSError."""
        if size is None or not 0 <= size <= READ_LIMIT or self.tell() > UNPACKED_LIMIT:
            raise OSError(errno.EFBIG, "it unpacks to more than a bundle has")
        return super().read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As files do. Raises OSError."""
        if offset > UNPACKED_LIMIT:
            raise OSError(errno.EFBIG, "it unpacks to more than a bundle has")
        return super().seek(offset, whence)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tarfile.TarFile]:
    """An archive for reading. Raises OSError and what tarfile and zlib raise."""
    with _Unzipped(path, "rb") as zipped, tarfile.open(fileobj=zipped, mode="r:") as archive:
        if sum(1 for _member in itertools.islice(archive, MEMBERS_LIMIT + 1)) > MEMBERS_LIMIT:
            raise tarfile.TarError(f"it holds more than {MEMBERS_LIMIT} files")
        yield archive


def manifest_of(archive: str) -> str:
    """The text of the manifest in an archive. Raises BundleError."""
    try:
        with _opened(archive) as file:
            member = file.getmember(MANIFEST)
            if not member.isreg() or member.size > MANIFEST_LIMIT:
                raise ValueError(f"its manifest is not a file of at most {MANIFEST_LIMIT} bytes")
            content = file.extractfile(member)
            text = content.read().decode() if content else ""
        data = json.loads(text)
    except (OSError, KeyError, ValueError, tarfile.TarError, EOFError, zlib.error, RecursionError) as error:
        raise BundleError(f"{archive} is not an NCCL bundle: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA or not isinstance(data.get("files"), dict):
        raise BundleError(f"{archive} is not an NCCL bundle: its manifest does not have schema {SCHEMA}")
    return text


def refuse_foreign(folder: str) -> None:
    """The folder is swapped or removed as a whole: it must be one of ours, and no link to elsewhere. Raises BundleError, OSError."""
    parent = posixpath.dirname(folder)
    for path in (folder, *([parent] if parent == OWN_FOLDER else [])):
        if os.path.islink(path):
            raise BundleError(
                f"{path} is a symbolic link (to {os.readlink(path)}), which is not followed. Remove the link; to keep the bundle on "
                f"another disk, mount that at {parent} (a bind mount in /etc/fstab)"
            )
    if not posixpath.isabs(folder) or parent == "/":
        raise BundleError(f"{folder or '/'} is not a folder for a bundle; an absolute path below another folder was expected")
    if folder.startswith(f"{OWN_FOLDER}/"):
        return
    # Before it is looked into: a link of a user's on the way would lead root anywhere.
    refuse_shared(folder)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    if names and not _is_bundle(folder):
        raise BundleError(
            f"{folder} holds something else than a bundle ({', '.join(names[:4])}), which would be lost; nccl_bundle_folder must name a "
            f"folder of the bundle's own, such as {folder}/nccl"
        )


def _is_bundle(folder: str) -> bool:
    return _installed(folder) is not None


def _installed(folder: str) -> dict[str, Any] | None:
    """The manifest of an installed bundle; null where there is none. Whoever laid it there may have laid a pipe."""
    try:
        manifest = json.loads(LiveDesk().read_text(posixpath.join(folder, MANIFEST)).text or "")
    except (ValueError, RecursionError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("schema") == SCHEMA and isinstance(manifest.get("files"), dict) else None


def refuse_shared(folder: str) -> None:
    """Root writes, packs and removes the folder: nobody else may put something in the place of it, or of a folder above it. Raises
    BundleError, OSError."""
    if posixpath.dirname(folder) == OWN_FOLDER and os.path.isdir(OWN_FOLDER):
        # Made once under root's umask, perhaps: what lies in it is for everybody to read.
        LiveDesk().set_mode(OWN_FOLDER, 0o755)
    for above, about in _shared(folder):
        mode = f"mode {stat.S_IMODE(about.st_mode):o}, user id {about.st_uid}"
        raise BundleError(
            f"{folder} is not root's alone: others may change {above} ({mode}), and so what root writes there and everybody runs. "
            f"Name a folder below root's own in nccl_bundle_folder (the default is {OWN_FOLDER}/nccl), or make {above} root's "
            f"(sudo chown root: {above}; sudo chmod go-w {above})"
        )


def _shared(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """The folders on the way to a path in which somebody else may put something in the place of what is passed. Raises OSError."""
    mine = (0, os.geteuid())
    for above, inside in _way(path):
        about = os.stat(above) if os.path.isdir(above) else None
        stays = about is not None and about.st_mode & stat.S_ISVTX and os.path.lexists(inside) and os.lstat(inside).st_uid in mine
        if about is not None and (about.st_uid not in mine or (about.st_mode & 0o022 and not stays)):
            yield above, about


LINKS_LIMIT = 40
"""Links in one path, as Linux follows."""


def _way(path: str) -> Iterator[tuple[str, str]]:
    """Every folder that the kernel passes on the way to a path, with what it looks for there: each link's own place, and where it leads.
    Raises OSError."""
    here, parts, links = "/", path.split("/"), 0
    while parts:
        part = parts.pop(0)
        inside = posixpath.normpath(posixpath.join(here, part))
        if part not in ("", ".", ".."):
            yield here, inside
        if os.path.islink(inside):
            links += 1
            if links > LINKS_LIMIT:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(inside)
            here, parts = "/" if target.startswith("/") else here, target.split("/") + parts
            continue
        here = inside


def install(archive: str, folder: str) -> dict[str, Any]:
    """Unpack beside the folder, check every file against the manifest, then swap. The manifest. Raises BundleError."""
    refuse_foreign(folder)
    manifest: dict[str, Any] = json.loads(manifest_of(archive))
    refuse_shared(folder)
    # Hidden: somebody may keep a copy beside it as nccl.old.
    fresh, old = (posixpath.join(posixpath.dirname(folder), f".{posixpath.basename(folder)}.{word}") for word in ("new", "old"))
    try:
        _make_way(fresh)
        make_folder(posixpath.dirname(fresh))
        os.mkdir(fresh)
        os.chmod(fresh, 0o755)
        with _opened(archive) as file:
            for name in (*manifest["files"], MANIFEST):
                _unpack(file, name, fresh)
        for name, wanted in manifest["files"].items():
            path = posixpath.join(fresh, name)
            got = digest(path) if os.path.isfile(path) else None
            if got != wanted:
                raise BundleError(f"{name} of the bundle has checksum {got}, but its manifest says {wanted}")
        _make_way(old)
        if os.path.isdir(folder):
            os.rename(folder, old)
        os.rename(fresh, folder)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, tarfile.TarError, EOFError, zlib.error, ValueError) as error:
        what = remedy(error, folder) if isinstance(error, OSError) else None
        raise BundleError(f"{folder} cannot be written: {error}", remedy=what) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return manifest


def _make_way(path: str) -> None:
    """Nothing is at a path any more, whatever was left there. Raises OSError."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _unpack(archive: tarfile.TarFile, name: str, folder: str) -> None:
    """One file that the manifest names; nothing else of the archive reaches the disk. Raises BundleError for a name that leads out."""
    if posixpath.normpath(name) != name or name.startswith(("/", "..")):
        raise BundleError(f"the bundle's manifest names {name!r}, which points outside its folder")
    try:
        about = archive.getmember(name)
    except KeyError:
        return  # the check of its checksum names it
    member = archive.extractfile(about) if about.isreg() and about.sparse is None else None
    if member is None:
        return
    path = posixpath.join(folder, name)
    make_folder(posixpath.dirname(path))
    with open(path, "wb") as file:
        shutil.copyfileobj(member, file)
    os.chmod(path, 0o644 if name == MANIFEST else 0o755)


def repack(folder: str, key: str, target: str) -> bool:
    """Pack an installed bundle again when it was built to the same wishes; whether it was. What others may change is not: they would put
    a link to any file of root's in the place of one that was just looked at."""
    refuse_shared(folder)
    manifest = None if any(_shared(posixpath.join(folder, MANIFEST))) else _installed(folder)
    if manifest is None or manifest.get("key") != key:
        return False
    files = {name: posixpath.join(folder, name) for name in manifest["files"]}
    if any(any(_shared(path)) for path in files.values()):
        return False
    if any(not os.path.isfile(path) or digest(path) != manifest["files"][name] for name, path in files.items()):
        return False
    pack(files, manifest, target)
    return True


def without_login(url: str) -> str:
    """A link without user and password: the manifest is for everybody on every desk, and commands stand in the report."""
    return re.sub(r"(?<=://)[^/?#\s]*@", "", url)


HELPER = """!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$DGX_SPARK_GIT_USER" "$DGX_SPARK_GIT_PASSWORD"; }; f"""
"""What git asks for a login, a line for a shell."""


def login_of(url: str) -> tuple[str, dict[str, str]]:
    """A link without its login, and the environment from which git takes that, for that host alone: every user of a desk sees command
    lines, and nobody another one's environment. A name before ``@`` in a link of ssh is no secret and stays."""
    found = re.match(r"(https?://)([^/?#\s]*)@([^/?#\s@]*)", url)
    if found is None:
        return url, {}
    user, _colon, password = found[2].partition(":")
    settings = (("credential.helper", ""), (f"credential.{found[1]}{found[3]}.helper", HELPER))
    environment = {"GIT_CONFIG_COUNT": str(len(settings)), "GIT_TERMINAL_PROMPT": "0"}
    for number, (key, value) in enumerate(settings):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return without_login(url), {**environment, "DGX_SPARK_GIT_USER": unquote(user), "DGX_SPARK_GIT_PASSWORD": unquote(password)}


def _run(desk: LiveDesk, spec: Spec, argv: Sequence[str], timeout: float, what: str, more: Mapping[str, str] | None = None) -> Answer:
    spec.commands.append([without_login(word) for word in argv])
    path = f"{spec.cuda_home}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    # nvcc's files between its steps have names that everybody can tell beforehand: in /tmp another user could have made them.
    answer = desk.run(argv, timeout=timeout, env={"PATH": path, "TMPDIR": spec.scratch, **(more or {})}, user=spec.user)
    if not answer.ok:
        said = "\n".join((answer.stdout + answer.stderr).strip().splitlines()[-12:])[-1200:]
        raise BundleError(f"{what} could not be built ({answer.error or f'rc {answer.rc}'})", said)
    return answer
