"""What starts next: the menu that update-grub writes, the entry that is set, and that an entry for one start is used up by it."""

from __future__ import annotations

import re
from pathlib import Path

NAME = "DGX OS GNU/Linux"
UUID = "00000000-0000-4000-8000-00000000000a"
SUBMENU = (f"Advanced options for {NAME}", f"gnulinux-advanced-{UUID}", "1")
BLOCK = 1024
"""Bytes of a grubenv, whatever is in it."""


def version_key(name: str) -> list[int]:
    """Sort key of a kernel release: its numbers."""
    return [int(part) for part in re.findall(r"\d+", name)]


def releases(boot: Path) -> list[str]:
    """Kernels of the machine in /boot, as GRUB orders them: the highest version first."""
    found = [path.name.removeprefix("vmlinuz-") for path in boot.glob("vmlinuz-*-nvidia*")]
    return sorted(found, key=version_key, reverse=True)


def menu(boot: Path, chosen: str) -> str:
    """grub.cfg, as far as anybody reads it: the default that was chosen, the entries with their titles and ids."""
    listed = releases(boot)
    place = "${saved_entry}" if chosen == "saved" else chosen
    lines = [
        "### made by update-grub",
        'if [ "${next_entry}" ] ; then',
        '   set default="${next_entry}"',
        "else",
        f'   set default="{place}"',
        "fi",
        f"menuentry '{NAME}' --class gnu-linux $menuentry_id_option 'gnulinux-simple-{UUID}' {{",
        "}",
    ]
    lines.append(f"submenu '{SUBMENU[0]}' $menuentry_id_option '{SUBMENU[1]}' {{")
    for release in listed:
        lines += [f"\tmenuentry '{title(release)}' --class gnu-linux $menuentry_id_option '{entry_id(release)}' {{", "\t}"]
    return "\n".join([*lines, "}", ""])


def title(release: str) -> str:
    """The title of a kernel's entry."""
    return f"{NAME}, with Linux {release}"


def entry_id(release: str) -> str:
    """The id of a kernel's entry."""
    return f"gnulinux-{release}-advanced-{UUID}"


def write_menu(root: Path = Path("/")) -> None:
    """What update-grub does."""
    folder = root / "boot/grub"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "grub.cfg").write_text(menu(root / "boot", default(root)), encoding="utf-8")


def environment(root: Path) -> dict[str, str]:
    """Values of grubenv."""
    try:
        text = (root / "boot/grub/grubenv").read_text(encoding="utf-8")
    except OSError:
        return {}
    return {key: value for key, equals, value in (line.partition("=") for line in text.splitlines()) if equals and not key.startswith("#")}


def set_environment(root: Path, values: dict[str, str]) -> None:
    """Write grubenv."""
    text = "# GRUB Environment Block\n" + "".join(f"{key}={value}\n" for key, value in values.items())
    folder = root / "boot/grub"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "grubenv").write_text(text.ljust(BLOCK, "#"), encoding="utf-8")


def default(root: Path) -> str:
    """GRUB_DEFAULT; a file of grub.d that is read later wins."""
    value = "0"
    for path in (root / "etc/default/grub", *sorted((root / "etc/default/grub.d").glob("*.cfg"))):
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith("GRUB_DEFAULT="):
                value = line.partition("=")[2].strip().strip("\"'")
    return value


def written(root: Path) -> str:
    """The default of grub.cfg, which is all that a boot reads: a later choice counts from the next update-grub on."""
    try:
        text = (root / "boot/grub/grub.cfg").read_text(encoding="utf-8")
    except OSError:
        return "0"
    return next((value for value in re.findall(r'set default="(.*)"', text) if value != "${next_entry}"), "0")


def start(root: Path = Path("/")) -> str | None:
    """The kernel that starts now; null without one. An entry that was set for one start is used up."""
    listed = releases(root / "boot")
    values = environment(root)
    once = values.pop("next_entry", "")
    if once:
        set_environment(root, values)
    chosen = once or (values.get("saved_entry", "0") if (found := written(root)) == "${saved_entry}" else found)
    return named(chosen, listed) or (listed[0] if listed else None)


def named(entry: str, listed: list[str]) -> str | None:
    """The kernel of a menu entry (title, id or number, the submenu's before it); null where there is no such entry."""
    above, arrow, below = entry.partition(">")
    if not arrow or above not in SUBMENU:
        return None
    for number, release in enumerate(listed):
        if below in (title(release), entry_id(release), str(number)):
            return release
    return None
