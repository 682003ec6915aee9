"""Making small Debian packages and the indexes of an archive, without dpkg. Pure: data in, bytes out."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

from sparklab.errors import LabError

_AR = b"!<arch>\n"
SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "conffiles", "triggers")


@dataclass(frozen=True)
class File:
    """A file of a package: content, or the target of a symbolic link."""

    data: bytes = b""
    mode: int = 0o644
    link: str | None = None


@dataclass(frozen=True)
class Package:
    """One build of a package."""

    name: str
    version: str
    arch: str
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)

    @property
    def filename(self) -> str:
        """The name of its .deb (the epoch is left out, as Debian does)."""
        return f"{self.name}_{self.version.split(':', 1)[-1]}_{self.arch}.deb"

    def control(self) -> dict[str, str]:
        """Its control fields in the usual order."""
        size = sum(len(one.data) for one in self.files.values())
        found = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.arch,
            "Maintainer": "Spark lab <lab@example.org>",
            "Installed-Size": str(max(1, size // 1024)),
        }
        for key, value in self.fields.items():
            if value:
                found[key] = value
        found.setdefault("Section", "misc")
        found.setdefault("Priority", "optional")
        found.setdefault("Description", f"{self.name} of a simulated desk\n Stands in for the real package; it contains nothing of it.")
        return found


def stanza(fields: Mapping[str, str]) -> str:
    """Control fields as text."""
    return "".join(f"{key}: {value}\n" for key, value in fields.items())


def parse_stanza(text: str) -> dict[str, str]:
    """Control text as fields (the first paragraph)."""
    found: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if not line.strip():
            if found:
                break
            continue
        if line[0] in " \t" and last:
            found[last] += "\n" + line
            continue
        key, colon, value = line.partition(":")
        if not colon:
            raise LabError(f"not a control field: {line!r}")
        last = key.strip()
        found[last] = value.strip()
    return found


def build(package: Package) -> bytes:
    """The .deb of a package; the same package gives the same bytes."""
    if "/" in package.filename or "\n" in package.filename:
        # It names a file of this machine, and a lab file may have named it.
        raise LabError(f"{package.filename!r} is not the file of a package: a name or version holds a slash or a line end.")
    control: dict[str, File] = {"control": File(stanza(package.control()).encode())}
    sums = "".join(
        f"{hashlib.md5(one.data, usedforsecurity=False).hexdigest()}  {path.lstrip('/')}\n"
        for path, one in sorted(package.files.items())
        if one.link is None
    )
    control["md5sums"] = File(sums.encode())
    for name, text in package.scripts.items():
        if name not in SCRIPTS:
            raise LabError(f"package {package.name}: {name!r} is not a maintainer script; known: {', '.join(SCRIPTS)}.")
        control[name] = File(text.encode(), 0o755 if name not in ("conffiles", "triggers") else 0o644)
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", _tar(control)),
        ("data.tar.gz", _tar(package.files)),
    ]
    out = bytearray(_AR)
    for name, data in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        out += data
        if len(data) % 2:
            out += b"\n"
    return bytes(out)


def _tar(files: Mapping[str, File]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as archive:
        made: set[str] = set()
        for path, one in sorted(files.items()):
            parts = path.strip("/").split("/")
            for depth in range(1, len(parts)):
                folder = "/".join(parts[:depth])
                if folder not in made:
                    made.add(folder)
                    entry = tarfile.TarInfo(f"./{folder}/")
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(entry)
            entry = tarfile.TarInfo("./" + "/".join(parts))
            entry.mode = one.mode
            if one.link is not None:
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, one.link, 0o777
                archive.addfile(entry)
            else:
                entry.size = len(one.data)
                archive.addfile(entry, io.BytesIO(one.data))
    return gzip.compress(raw.getvalue(), 6, mtime=0)


def read_control(deb: bytes) -> dict[str, str]:
    """The control fields of a real .deb (gz, xz or plain control)."""
    if not deb.startswith(_AR):
        raise LabError("this is not a .deb file")
    place = len(_AR)
    while place + 60 <= len(deb):
        head = deb[place : place + 60]
        name, size = head[:16].decode().strip().rstrip("/"), int(head[48:58])
        body = deb[place + 60 : place + 60 + size]
        if name.startswith("control.tar"):
            if name.endswith(".xz"):
                body = lzma.decompress(body)
            elif name.endswith(".gz"):
                body = gzip.decompress(body)
            elif name.endswith(".zst"):
                raise LabError("control.tar.zst cannot be read here; use dpkg-deb")
            with tarfile.open(fileobj=io.BytesIO(body)) as archive:
                for member in archive:
                    if member.name in ("./control", "control"):
                        stream = archive.extractfile(member)
                        return parse_stanza(stream.read().decode("utf-8")) if stream else {}
        place += 60 + size + size % 2
    raise LabError("this .deb has no control file")


def index_entry(control: Mapping[str, str], filename: str, size: int, sha256: str) -> str:
    """One paragraph of a Packages file."""
    return stanza({**control, "Filename": filename, "Size": str(size), "SHA256": sha256})


def release(fields: Mapping[str, str], indexes: Mapping[str, bytes], when: datetime, architectures: Iterable[str]) -> str:
    """The text of a Release file over these index files (path -> content)."""
    head = {
        **fields,
        "Date": format_datetime(when.astimezone(UTC), usegmt=True).replace("GMT", "UTC"),
        "Architectures": " ".join(architectures),
        "Acquire-By-Hash": "no",
    }
    lines = [f"{key}: {value}\n" for key, value in head.items() if value]
    lines.append("SHA256:\n")
    for path, data in sorted(indexes.items()):
        lines.append(f" {hashlib.sha256(data).hexdigest()} {len(data):>12} {path}\n")
    return "".join(lines)
