# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What GRUB starts next: the default of /etc/default/grub, the saved entry of grubenv, the kernels in /boot.

DGX OS's GRUB starts the highest version unless a default is chosen (community reports), or an order: GRUB_FLAVOUR_ORDER (Ubuntu's) puts
the flavours that it names before all others, GRUB_TOP_LEVEL (since 2.12) one kernel before those.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from . import text as _text

_RELEASE = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}[A-Za-z0-9.+~-]{0,60}")
_SUFFIX = "-advanced"
ENTRIES_LIMIT = 500
_ENTRY = re.compile(r"""(menuentry|submenu)\s{1,8}(?:'([^'\n]{0,300})'|"([^"\n]{0,300})")([^\n]{0,400}?)\{\s{0,8}$""")
_ID = re.compile(r"""(?:--id|\$menuentry_id_option)\s{1,8}(?:'([^']{1,300})'|"([^"]{1,300})"|(\S{1,300}))""")
_LINUX = re.compile(r"linux(?:efi|16)?\s{1,8}\S{0,200}?/vmlinu[xz]-(\S{1,100})")


def read(text: str) -> dict[str, Any]:
    """GRUB_DEFAULT, GRUB_FLAVOUR_ORDER (flavours) and GRUB_TOP_LEVEL (top_level) of a file, and saved_entry and next_entry of a grubenv;
    kho: the last ``kho=`` that a GRUB_CMDLINE_LINUX line of the file gives the kernel. Each a text, null when absent."""
    values: dict[str, str] = {}
    kho: str | None = None
    for key, written in _text.key_values(text, keep_quotes=True):
        value = _text.unquoted(written if written[:1] in ('"', "'") else written.partition(" #")[0])
        values[key] = value
        if key.startswith("GRUB_CMDLINE_LINUX"):
            for word in value.split():
                kho = word.removeprefix("kho=").strip("\"'") if word.startswith("kho=") else kho
    return {
        "kho": _text.word(kho, 32),
        "default": _text.word(values.get("GRUB_DEFAULT")),
        "flavours": _text.word(values.get("GRUB_FLAVOUR_ORDER")),
        "top_level": _text.word(values.get("GRUB_TOP_LEVEL")),
        "saved_entry": _text.word(values.get("saved_entry")),
        "next_entry": _text.word(values.get("next_entry")),
    }


def menu(text: str) -> list[dict[str, Any]]:
    """The menu of a grub.cfg: a list of entries, each with title, id, release (the kernel that it starts, null for anything else), kho
    (what ``kho=`` gives that kernel: empty for nothing, null when its line does not tell) and entries (those of a submenu, null for an
    entry)."""
    top: list[dict[str, Any]] = []
    opened: list[dict[str, Any] | None] = []
    count = 0
    for line in _text.lines(text):
        stripped = line.strip()
        entry = _ENTRY.match(stripped)
        inside = next((item for item in reversed(opened) if item is not None), None)
        if entry and count < ENTRIES_LIMIT:
            count += 1
            named = _ID.search(entry.group(4))
            made: dict[str, Any] = {
                "title": _text.word(entry.group(2) or entry.group(3)),
                "id": _text.word(next((item for item in named.groups() if item), None)) if named else None,
                "release": None,
                "kho": None,
                "entries": [] if entry.group(1) == "submenu" else None,
            }
            place = top if inside is None else inside["entries"]
            if place is not None:
                place.append(made)
            opened.append(made)
        elif stripped.endswith("{") and len(opened) < ENTRIES_LIMIT:
            opened.append(None)
        elif stripped == "}" and opened:
            opened.pop()
        elif inside is not None and inside["release"] is None and (kernel := _LINUX.match(stripped)):
            inside["release"] = _text.word(kernel.group(1), 100)
            words = stripped[kernel.end() :].split()
            given = [word.removeprefix("kho=")[:32] for word in words if word.startswith("kho=")]
            inside["kho"] = (given or [""])[-1] if words else None
    return top


_DEFAULT = re.compile(r'^\s{0,40}set default="([^"\n]{0,300})"', re.MULTILINE)
_OLD_TITLE = re.compile(r"""if \[ "x\$default" = '([^'\n]{1,300})' \]; then default='([^'\n]{1,300})'; fi;""")


def default_of(text: str) -> str | None:
    """GRUB_DEFAULT as it was when update-grub wrote this grub.cfg, which is what counts at the boot; null when it is not told."""
    told = next((value for value in _DEFAULT.findall(text) if value != "${next_entry}"), None)
    return "saved" if told == "${saved_entry}" else _text.word(told)


def place_of(entry: str | None, text: str) -> str | None:
    """An entry as grub.cfg takes it: one that is named by its title alone, as before GRUB 2, is put right by update-grub."""
    return next((_text.word(place) for title, place in _OLD_TITLE.findall(text) if title == entry), entry)


def of_menu(entry: str, entries: list[dict[str, Any]]) -> str | None:
    """The kernel that an entry of the menu starts, named by number, title or id, within submenus by ``>``; null when the menu has none.

    As GRUB does it, a submenu without a chosen entry starts its first one.
    """
    found = _started(entry, entries)
    return (found["release"] or entry_release(found["title"])) if found else None


def kho_of(entry: str | None, entries: list[dict[str, Any]]) -> str | None:
    """What the menu gives the next kernel with ``kho=``: empty for nothing, null when the menu does not tell."""
    found = _started(entry or "0", entries) or _started("0", entries)
    return found["kho"] if found else None


def _started(entry: str, entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    found = _chosen(entry, entries)
    while found is not None and found["entries"]:
        found = found["entries"][0]
    return found


def _chosen(entry: str, entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The entry of the menu that is found at a place; null when there is none."""
    found: dict[str, Any] | None = None
    for part in entry.split(">"):
        chosen = next((item for item in entries if part in (item["title"], item["id"])), None)
        if chosen is None and part.isdecimal() and len(part) < 6 and int(part) < len(entries):
            chosen = entries[int(part)]
        if chosen is None:
            return None
        found, entries = chosen, chosen["entries"] or []
    return found


_NO_KERNEL = re.compile(r"\.old$|\.dpkg-|\.rpm(?:save|new)$|\.sig(?:ned)?$")
"""What GRUB leaves out of its menu, and older copies, which come behind their kernel."""


def kernels(names: Iterable[str]) -> list[str]:
    """Releases of the kernel images in a listing of /boot, highest version first."""
    found = {name[len(prefix) :] for name in names for prefix in ("vmlinuz-", "vmlinux-") if name.startswith(prefix)}
    releases = [name for name in found if _RELEASE.fullmatch(name) and not _NO_KERNEL.search(name)]
    return sorted(releases, key=_text.version_key, reverse=True)


_RAMDISK = re.compile(r"(?:initrd\.img|initrd|initramfs)-(.{1,100}?)(?:\.img(?:\.gz)?|\.gz)?")


def ramdisks(names: Iterable[str]) -> set[str]:
    """Releases whose initial ramdisk is in a listing of /boot, under the names by which GRUB finds it."""
    return {found.group(1) for name in names if (found := _RAMDISK.fullmatch(name))}


def order(settings: dict[str, Any]) -> str | None:
    """The setting that says which kernel comes first, as it stands in its file; null when none does."""
    named = (("GRUB_TOP_LEVEL", settings.get("top_level")), ("GRUB_FLAVOUR_ORDER", settings.get("flavours")))
    return next((f"{name}={value}" for name, value in named if value), None)


def entry_release(entry: str | None) -> str | None:
    """The kernel release that a menu entry's title or id names, null when it names none."""
    found = _RELEASE.findall((entry or "")[:1000])
    release = found[-1] if found else None
    for ending in ("-recovery", _SUFFIX):
        if release and ending in release:
            release = release.partition(ending)[0]
    return release


_ADVANCED = re.compile(r"gnulinux-(.{1,120}?)-advanced-.{1,120}")


def entries(text: str) -> dict[str, str]:
    """Kernel release to the menu entry that starts it, as grub-reboot takes it (``SUBMENU>ENTRY``), from a grub.cfg."""
    found: dict[str, str] = {}
    for submenu in menu(text):
        for item in submenu["entries"] or () if str(submenu["id"]).startswith("gnulinux-advanced-") else ():
            named = _ADVANCED.fullmatch(item["id"] or "")
            if named and _RELEASE.fullmatch(named.group(1)):
                found.setdefault(named.group(1), f"{submenu['id']}>{item['id']}")
    return found


def chosen_entry(settings: dict[str, Any], environment: dict[str, Any]) -> str | None:
    """The menu entry that is set to start next; null for GRUB's own order."""
    entry: str | None = environment.get("next_entry") or None
    if entry is None:
        default = settings.get("default") or "0"
        entry = environment.get("saved_entry") if default == "saved" else default
    return None if entry in (None, "", "0") else entry


def next_release(
    installed: list[str], settings: dict[str, Any], environment: dict[str, Any], entries: list[dict[str, Any]] | None = None
) -> tuple[str | None, str | None]:
    """The release that starts next, and why it is not known. ``installed`` is in the order of the menu, whose entries ``entries`` are."""
    entry = chosen_entry(settings, environment)
    first = of_menu("0", entries) if entries else None
    highest = first if first in installed else installed[0] if installed else None
    if entry is None:
        return highest, None if highest else "no kernel image is listed"
    named = entry_release(entry)
    if named is not None and entries and _chosen(entry, entries) is None:
        named = None if highest is None else highest  # at this place the menu has nothing, so GRUB starts its first entry
    if named is not None:
        # GRUB starts the first entry of its menu where the chosen one is gone with its kernel.
        return (named if named in installed or not installed else highest), None
    if entry == "1>0" or entry.startswith(("gnulinux-simple-", "gnulinux-advanced-")) or (entry.endswith("GNU/Linux") and ">" not in entry):
        return highest, None if highest else "no kernel image is listed"
    listed = of_menu(str(entry), entries or [])
    if listed is not None:
        return listed, None
    where = "its menu (/boot/grub/grub.cfg) has none for it" if entries else "its menu (/boot/grub/grub.cfg) could not be read"
    return None, f"GRUB starts the entry {str(entry)[:80]!r}, which does not name a kernel, and {where}"
