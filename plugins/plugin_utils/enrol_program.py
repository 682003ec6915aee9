# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What enrolment runs on a desk, before any key or module is there (see `programs.carrier`): standard library only.

It reads one JSON request from standard input, looks, changes what the request asks for, and prints one JSON answer. It never prints
what it was given.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from ..module_utils.programs import user_files

SERIAL = "/sys/class/dmi/id/product_serial"
RELEASE = "/etc/dgx-release"
PLACEHOLDERS = ("not specified", "default string", "to be filled by o.e.m.", "none", "n/a", "system serial number", "unknown")
FIRST_BOOT_FLAG = "/var/lib/nvidia-spark-run-apt-upgrade-once/done"
FIRST_BOOT_UNIT = "nvidia-spark-run-apt-upgrade-once.service"
UNIT_FOLDERS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
OOBE_UNIT = "dgx-oobe.service"
SUDOERS = "/etc/sudoers.d/90-dgx-spark-{user}"
SUDOERS_HEAD = "# labops.dgx_spark: chosen at enrolment"
SSHD = "/etc/ssh/sshd_config.d/10-dgx-spark-keys-only.conf"
SSHD_CONFIG = "/etc/ssh/sshd_config"
SSHD_TEXT = """# labops.dgx_spark: key login was proven before this was written.
PasswordAuthentication no
KbdInteractiveAuthentication no
"""
CLOSED = ("passwordauthentication no", "kbdinteractiveauthentication no")
HOSTS = "/etc/hosts"
AVAHI = "/etc/avahi/avahi-daemon.conf"
NETDEVS = "/sys/class/net"
MELLANOX = "0x15b3"
TEMPORARY = ".dgx_spark."


class Refused(Exception):
    """A change that a check of the desk itself refused; nothing was changed."""


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """A command in the C locale."""
    environment = {**os.environ, "LC_ALL": "C", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=60, env=environment, stdin=subprocess.DEVNULL, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(argv, 127, "", str(error))


def text_of(path: str, errors: str = "replace") -> str | None:
    """A file's text, null when it is not there or may not be read. ``errors``: what becomes of bytes that are no UTF-8."""
    try:
        with open(path, encoding="utf-8", errors=errors) as file:
            return file.read()
    except OSError:
        return None


def write(path: str, text: str, mode: int) -> None:
    """Write a file of root's as a whole: a reader sees the old or the new one."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder)
        # Made under whatever umask root has.
        os.chmod(folder, 0o755)
    handle, name = tempfile.mkstemp(dir=folder, prefix=TEMPORARY)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


# ---- looking -----------------------------------------------------------------------------------------------------------


def serial() -> str | None:
    """The chassis serial number, which only root may read; where the firmware has none, the one of DGX OS."""
    number = (text_of(SERIAL) or "").strip()
    if number and number.lower() not in PLACEHOLDERS:
        return number
    match = re.search(r"(?m)^DGX_SERIAL_NUMBER=[\"']?([^\"'\s]+)", text_of(RELEASE) or "")
    return match.group(1) if match else None


def look(user: str) -> dict[str, object]:
    """What enrolment must know. Null: could not be read."""
    account = pwd.getpwnam(user)
    unit = any(os.path.exists(f"{folder}/{FIRST_BOOT_UNIT}") for folder in UNIT_FOLDERS)
    first_boot = "done" if os.path.exists(FIRST_BOOT_FLAG) else "pending" if unit else "absent"
    if first_boot == "done" and run("systemctl", "is-active", FIRST_BOOT_UNIT).stdout.strip() == "activating":
        first_boot = "pending"
    oobe = run("systemctl", "is-active", OOBE_UNIT).stdout.strip()
    return {
        "user": user,
        "uid": account.pw_uid,
        "gid": account.pw_gid,
        "groups": sorted(group.gr_name for group in grp.getgrall() if user in group.gr_mem),
        "root": os.geteuid() == 0,
        "hostname": os.uname().nodename,
        "serial": serial(),
        "boot_id": (text_of("/proc/sys/kernel/random/boot_id") or "").strip() or None,
        "first_boot": first_boot,
        "oobe": oobe in ("active", "activating", "reloading"),
    }


# ---- changing: the login user's own file -------------------------------------------------------------------------------


def authorise(user: str, key: str, apply: bool) -> list[str]:
    """The admin's public key in authorized_keys; entries of others stay as they are, byte for byte. Runs as the user.

    Raises Refused where the file is not the user's to write.
    """
    home = pwd.getpwnam(user).pw_dir
    path = os.path.join(home, ".ssh", "authorized_keys")
    if os.geteuid() == 0 and user != "root":
        raise Refused(f"root does not write to the home of {user}")
    answer = user_files.handle({"op": "merge", "path": path, "key": key, "mode": 0o600, "apply": apply})
    if answer.get("error"):
        raise Refused(str(answer["error"]))
    if not answer["changed"]:
        return []
    if apply:
        os.chmod(os.path.dirname(path), 0o700)
    return ["authorized_keys: the admin's public key"]


# ---- changing: root's files --------------------------------------------------------------------------------------------


def sudoers_name(user: str) -> str:
    """A user as sudoers has it: bare, CORP\\lab would be the user CORPlab, and LAB whatever an admin's User_Alias of that name lists."""
    name = user.replace("\\", "\\\\")
    return f"\\{name}" if re.fullmatch(r"[A-Z][A-Z0-9_]*", name) else name


def sudoers_path(user: str) -> str:
    """A user's file in sudoers.d, no other user's: sudo passes over names with a dot, so what is no plain character is written as bytes."""
    plain = re.sub(rb"[^A-Za-z0-9_-]", lambda match: b"%%%02X" % ord(match[0]), user.encode("utf-8", "surrogateescape"))
    return SUDOERS.format(user=plain.decode("ascii"))


def former_sudoers(user: str) -> str | None:
    """The file that an earlier version wrote for a user under a name that several users share; null where there is none of this user."""
    path = SUDOERS.format(user=re.sub(r"[^A-Za-z0-9_-]", "_", user))
    lines = (text_of(path, "surrogateescape") or "").split("\n")
    ours = lines[0] == SUDOERS_HEAD and lines[1:2] and lines[1].startswith((f"{sudoers_name(user)} ALL=", f"{user} ALL="))
    return path if ours and path != sudoers_path(user) else None


def sudoers(user: str, commands: list[str] | None, apply: bool) -> list[str]:
    """Our file in sudoers.d, checked by visudo before it is put in place; without commands it is taken away."""
    path, former = sudoers_path(user), former_sudoers(user)
    if commands is None:
        there = [item for item in (path, former) if item is not None and os.path.exists(item)]
        for item in there if apply else ():
            os.unlink(item)
        return [f"{item} removed: sudo asks for the password again" for item in there]
    changes = [] if former is None else [f"{former} removed: its name stood for several users"]
    text = f"{SUDOERS_HEAD}\n{sudoers_name(user)} ALL=(root) NOPASSWD: {', '.join(commands)}\n"
    if text_of(path) == text:
        if former is not None and apply:
            os.unlink(former)
        return changes
    handle, name = tempfile.mkstemp(prefix="dgx_spark_sudoers.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o440)
        checked = run("visudo", "-cf", name)
        if checked.returncode != 0:
            words = " ".join((checked.stderr or checked.stdout).replace(name, path).split())
            raise Refused(f"visudo rejects the sudoers file: {words[:300]}")
    finally:
        os.unlink(name)
    if apply:
        write(path, text, 0o440)
        if former is not None:
            os.unlink(former)
    return [f"{path}: no password for {', '.join(commands)}", *changes]


def name_desk(name: str, apply: bool) -> list[str]:
    """The host name, also in /etc/hosts."""
    if os.uname().nodename == name:
        return []
    if apply:
        old = os.uname().nodename
        done = run("hostnamectl", "set-hostname", name)
        if done.returncode != 0:
            raise Refused(f"hostnamectl does not set the name {name}: {' '.join(done.stderr.split())[:200]}")
        hosts = text_of(HOSTS, "surrogateescape") or ""
        changed = re.sub(rf"(?m)^(127\.0\.1\.1\s.*?)\b{re.escape(old)}(?=\s|$)", lambda match: f"{match.group(1)}{name}", hosts)
        if changed != hosts:
            write(HOSTS, changed, 0o644)
    return [f"host name {name}"]


def management() -> list[str]:
    """Network interfaces with hardware behind them that are no function of the adapter between desks."""
    try:
        names = sorted(os.listdir(NETDEVS))
    except OSError:
        return []
    vendors = {name: (text_of(f"{NETDEVS}/{name}/device/vendor") or "").strip() for name in names}
    return [name for name in names if os.path.exists(f"{NETDEVS}/{name}/device") and vendors[name] != MELLANOX]


def avahi(apply: bool) -> list[str]:
    """avahi speaks on the management interfaces only: with both twins of a cable it makes ghost names and name conflicts.

    All of them, wired and Wi-Fi, whichever carries the desk today: else its mDNS name is gone on the day when the other one does. The
    functions of the cables cannot be listed instead, since they are absent while no cable is in.
    """
    text = text_of(AVAHI, "surrogateescape")
    if text is None or "[server]\n" not in text or re.search(r"(?m)^\s*(allow|deny)-interfaces\s*=", text):
        return []
    netdevs = management()
    if not netdevs:
        return []
    line = f"allow-interfaces={','.join(netdevs)}"
    if apply:
        write(AVAHI, text.replace("[server]\n", f"[server]\n# labops.dgx_spark: not on the cables between desks\n{line}\n", 1), 0o644)
        run("systemctl", "try-restart", "avahi-daemon.service")
    return [f"avahi: {line}"]


def keys_only(apply: bool) -> list[str]:
    """Password login closed, checked by sshd itself before it is reloaded."""
    if text_of(SSHD) == SSHD_TEXT:
        return []
    if apply:
        before = text_of(SSHD)
        write(SSHD, SSHD_TEXT, 0o644)
        checked = run("sshd", "-T")
        # An earlier file of the folder wins over ours: what sshd makes of them all is what counts.
        effective = {line.lower() for line in checked.stdout.splitlines()}
        missing = [line for line in CLOSED if line not in effective]
        if checked.returncode == 0 and not missing:
            checked = run("systemctl", "reload", "ssh.service")
        if checked.returncode != 0 or missing:
            reopen(before)
            words = " ".join(checked.stderr.split())[:200] or f"another of its configuration files keeps it open ({', '.join(missing)})"
            whole = text_of(SSHD_CONFIG)
            if missing and whole is not None and not re.search(r"(?mi)^\s*include\s.*sshd_config\.d", whole):
                words = f"{SSHD_CONFIG} does not include {os.path.dirname(SSHD)}/*.conf"
            raise Refused(f"sshd refuses to close the password login: {words}")
    return ["sshd: key login only"]


def reopen(before: str | None = None) -> list[str]:
    """Take our sshd file away again."""
    if before is None:
        if not os.path.exists(SSHD):
            return []
        os.unlink(SSHD)
    else:
        write(SSHD, before, 0o644)
    run("systemctl", "reload", "ssh.service")
    return ["sshd: password login re-enabled"]


def change(request: dict[str, object]) -> list[str]:
    """Everything that the request asks for, in order. The list of changes made (or, without ``apply``, to be made)."""
    user, apply = str(request["user"]), bool(request.get("apply"))
    changes: list[str] = []
    if request.get("key"):
        changes += authorise(user, str(request["key"]), apply)
    if "sudo_commands" in request:
        commands = request["sudo_commands"]
        changes += sudoers(user, [str(item) for item in commands] if isinstance(commands, list) else None, apply)
    if request.get("hostname"):
        changes += name_desk(str(request["hostname"]), apply)
    if request.get("avahi"):
        changes += avahi(apply)
    if request.get("keys_only"):
        changes += keys_only(apply)
    if request.get("reopen"):
        changes += reopen()
    return changes


def main(arguments: Sequence[str] = ()) -> int:
    """Read, do, answer."""
    request = json.loads(sys.stdin.read())
    answer: dict[str, object] = {"changes": []}
    try:
        answer["changes"] = change(request)
    except Refused as error:
        answer["refused"] = str(error)
    except OSError as error:
        place = str(error.filename)
        if os.path.basename(place).startswith(TEMPORARY):
            place = os.path.dirname(place)
        answer["refused"] = f"{place}: {error.strerror}{user_files.next_step(error, place)}"
    answer["look"] = look(str(request["user"]))
    print(json.dumps(answer))
    return 0
