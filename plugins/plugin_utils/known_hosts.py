# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's known_hosts: one marked line for each host key of each enrolled desk. Lines of others are left alone."""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import ipaddress
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..module_utils.model.kinds import PUBLIC_KEY
from .run.store import file_text, lock_file, write_atomically

MARK = "dgx_spark:"
ALIAS = "HostKeyAlias"
"""ssh's option for the name under which it looks for a host key."""
HASHED = "|1|"
ANY_BYTES = "surrogateescape"
KEY = re.compile(PUBLIC_KEY)
_WITH_PORT = re.compile(r"^\[(.*)\]:[0-9]+$")
NO_NAME = re.compile(r"^[-#@|]|[\s,*?!\[\]\x00-\x1f\x7f$`'\"\\;&<>|()]")
"""In a name or an address: what known_hosts or ssh would take for a pattern, for several names, for another field or for an option, and
what a shell would take for a command (ssh before 9.6 hands it to a ProxyCommand as it is)."""


def ssh_arguments(path: str, alias: str | None = None) -> str:
    """Arguments with which ssh looks into the project's file first, as ``ansible_ssh_extra_args`` wants them.

    ``alias``: the name that it looks for there in place of the address. Quoted twice: for ssh's own configuration, and for the words of a
    command line. Raises ValueError.
    """
    more = f" -o {shlex.quote(f'{ALIAS}={alias}')}" if alias else ""
    return f"-o {shlex.quote(f'UserKnownHostsFile={for_ssh(path)} ~/.ssh/known_hosts')}{more}"


def alias_of(text: str, desk: str, address: str) -> str | None:
    """What ssh must look for where the network alone told the desk's address: the desk that really has it may be another one that the
    text knows, and its key must not do for this one. Null where the text knows neither."""
    lines = [(_marked(words), words[0].split(",")) for words in _lines(text) if _marked(words)]
    mine = [name for owner, names in lines if owner == desk for name in names]
    own = next((desk if name.startswith(HASHED) else name for name in mine if not name.startswith(HASHED) or _is(name, desk)), None)
    taken = any(_is(name, address) or name.startswith(f"[{address}]:") for _owner, names in lines for name in names)
    return own or (desk if taken else None)


def fingerprint(key: str) -> str | None:
    """SHA256:... of a public key (``type base64``), as ssh-keygen -l prints it; null for anything else, also for one more word or line."""
    if KEY.fullmatch(key) is None:
        return None
    try:
        raw = base64.b64decode(key.split()[1], validate=True)
    except (binascii.Error, ValueError):
        return None
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def names_of(desk: str, address: str, port: int) -> tuple[str, ...]:
    """The names under which ssh looks for the desk's key."""
    names = (desk, address) if address != desk else (desk,)
    return names if port == 22 else tuple(f"[{name}]:{port}" for name in names)


def keys_of(text: str, desk: str) -> tuple[str, ...]:
    """The keys that the text holds for a desk (marked lines only)."""
    return tuple(dict.fromkeys(" ".join(words[1:3]) for words in _lines(text) if _marked(words) == desk))


def looked_for(name: str) -> str:
    """A name or address as ssh looks for it: in small letters, a numeric address in its short form."""
    numeric, percent, scope = name.partition("%")
    try:
        return f"{ipaddress.ip_address(numeric)}{percent}{scope}"
    except ValueError:
        return name.lower()


def revoked_in(text: str) -> frozenset[str]:
    """The keys that nobody may be trusted with any more (``@revoked``), whichever names their lines give."""
    return frozenset(" ".join(words[2:4]) for words in _lines(text) if words[0] == "@revoked" and len(words) > 3)


def merged(text: str, desk: str, names: Sequence[str], keys: Iterable[str]) -> str:
    """The text with exactly these keys for the desk. Another desk's line loses an address that now is this desk's.

    Raises ValueError for a name of another desk: its key would stand for that desk too.
    """
    keys = sorted(keys)
    bare = {looked_for(_WITH_PORT.sub(r"\1", name)) for name in names}
    kept: list[str] = []
    place: int | None = None
    for line in text.splitlines():
        words = line.split()
        owner = _marked(words)
        if owner == desk:
            # Where they stood they stand again, so that a second run changes nothing.
            place = len(kept) if place is None else place
            continue
        if owner is not None:
            if looked_for(owner) in bare and " ".join(words[1:3]) not in keys:
                raise ValueError(
                    f"{desk} has a name or address that ssh takes for the desk {owner}, which has another key; give it another one or take "
                    f"the lines that end with {MARK}{owner} out of the file where that desk is gone"
                )
            left = [name for name in words[0].split(",") if not any(_is(name, item) for item in names)]
            line = " ".join([",".join(left), *words[1:]]) if left else ""
        kept.append(line)
    while kept and not kept[-1].strip():
        kept.pop()
    place = len(kept) if place is None else min(place, len(kept))
    kept[place:place] = [f"{','.join(names)} {key} {MARK}{desk}" for key in keys]
    return "".join(f"{line}\n" for line in kept)


def remember(path: Path, desk: str, names: Sequence[str], keys: Iterable[str], write: bool = True) -> bool:
    """Put the keys of a desk into the file; whether it changed. Many desks do so at once, hence the lock.

    What is no key does not get in: a line end in it would be a line about another desk, or a certificate authority.
    """
    listed = sorted({key for key in keys if fingerprint(key)})
    if not write:
        return merged(text_of(path), desk, names, listed) != text_of(path)
    with lock_file(path.parent / f".{path.name}.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = text_of(path)
        after = merged(before, desk, names, listed)
        if after != before:
            write_atomically(path, after, mode=0o644, errors=ANY_BYTES)
    return after != before


def for_ssh(path: Path | str) -> str:
    """The path as a value of ssh's own options, where a quote, a backslash and ``%`` mean something. Raises ValueError."""
    text = str(path)
    if "${" in text or "\n" in text:
        raise ValueError(f"ssh cannot use the path {text!r}: rename the folder, because ssh would replace part of it")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def text_of(path: Path) -> str:
    """The file's text, empty when there is none. Bytes of others that are no UTF-8 (a remark) come through as they are. Raises OSError."""
    if str(path) == os.devnull:
        return ""
    try:
        return file_text(path, errors=ANY_BYTES)
    except FileNotFoundError:
        return ""


def _is(written: str, name: str) -> bool:
    """Whether the name of a line is this one; ``ssh-keygen -H`` keeps a salted hash of each name, and our mark behind the key."""
    if not written.startswith(HASHED):
        return looked_for(written) == looked_for(name)
    salt, _bar, kept = written.removeprefix(HASHED).partition("|")
    try:
        hashes = [hmac.digest(base64.b64decode(salt), form.encode(), "sha1") for form in (name, looked_for(name))]
        return base64.b64decode(kept) in hashes
    except ValueError:
        return False


def _lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _marked(words: Sequence[str]) -> str | None:
    return words[3].removeprefix(MARK) if len(words) == 4 and words[3].startswith(MARK) and words[0][:1] not in ("#", "@") else None
