"""Small wheels."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping


def wheel(
    project: str, version: str, tag: str, files: Mapping[str, bytes], requires: tuple[str, ...] = (), executable: tuple[str, ...] = ()
) -> bytes:
    """The bytes of a wheel that pip can read."""
    info = f"{project}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n" + "".join(f"Requires-Dist: {text}\n" for text in requires)
    extras = dict.fromkeys(found for text in requires for found in re.findall(r'extra == "([a-z]+)"', text))
    metadata += "".join(f"Provides-Extra: {extra}\n" for extra in extras)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if name in executable else 0o100644) << 16
            archive.writestr(entry, data)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
    return out.getvalue()
