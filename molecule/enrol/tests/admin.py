"""The admin of the boxed desks: a home with a key, a lab sheet, a vault with the desks' passwords, and runs of playbooks, watched."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.constants import DEFAULT_VAULT_ID_MATCH
from ansible.parsing.vault import VaultLib, VaultSecret
from desks import LAB, ROOT, kill, lab, status

ENROLLED = ("desk-01", "desk-02", "desk-03", "desk-04", "desk-08")
NAMED = {"desk-05": "DESK_IDENTITY_WRONG", "desk-06": "DESK_UNREACHABLE", "desk-07": "OOBE_PENDING"}
DESKS = tuple(sorted((*ENROLLED, *NAMED)))
USER = "labadmin"

CHOICES: dict[str, dict[str, Any]] = {
    "desk-03": {"desk_enrol_sudo": "nopasswd", "desk_enrol_sudo_commands": ["/usr/bin/id", "/usr/bin/true"]},
    "desk-04": {"desk_enrol_set_hostname": True},
    "desk-08": {"desk_enrol_close_password_login": True},
}
"""What the admin chose; the others keep the defaults."""


@dataclass
class Ended:
    """A playbook's run that ended."""

    rc: int
    output: str
    folder: Path
    cmdlines: set[str] = field(default_factory=set)
    """Command lines of all processes of this machine, desks included, while it ran."""

    @property
    def report(self) -> dict[str, Any]:
        """Its report."""
        (path,) = self.folder.glob("*/report.json")
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def changed(self) -> dict[str, int]:
        """Changed tasks of each desk, from the recap."""
        return {name: int(count) for name, count in re.findall(r"(?m)^(desk-\d+)\s+: ok=\d+\s+changed=(\d+)", self.output)}

    def codes(self, desk: str) -> dict[str, str]:
        """Code to severity of the desk's findings."""
        (found,) = [item for item in self.report["desks"] if item["name"] == desk]
        return {item["code"]: item["severity"] for item in found["findings"]}

    def verdicts(self) -> dict[str, str]:
        """Verdict of each desk."""
        return {item["name"]: item["verdict"] for item in self.report["desks"]}


class Admin:
    """Somebody with eight boxes. Everything that a run writes on the controller lands below ``home``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.runs = 0
        self.passwords = {desk: lab("password", desk).strip() for desk in DESKS}
        self.key = home / ".ssh" / "id_ed25519"
        self.key.parent.mkdir(mode=0o700)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "admin@lab", "-f", str(self.key)], check=True)
        self.public = self.key.with_suffix(".pub").read_text(encoding="utf-8").strip()
        (home / "tmp").mkdir()
        self.vault_password = home / "vault-password"
        self.vault_password.write_text("of the vault alone", encoding="utf-8")
        self.sheet = lab("sheet")
        self.inventory = self.folder("lab", self.sheet, vault=True)
        self.known_hosts = self.inventory / "known_hosts.txt"

    def folder(self, name: str, sheet: str, vault: bool) -> Path:
        """An inventory: a sheet, the login user, the choices and, where wanted, the vault."""
        folder = self.home / name
        (folder / "group_vars").mkdir(parents=True)
        (folder / "host_vars").mkdir()
        (folder / "lab.desks.csv").write_text(sheet, encoding="utf-8")
        common = {"ansible_user": USER, "ansible_ssh_private_key_file": str(self.key)}
        (folder / "group_vars" / "spark_desks.yml").write_text(json.dumps(common), encoding="utf-8")
        for desk, choices in CHOICES.items():
            (folder / "host_vars" / f"{desk}.yml").write_text(json.dumps(choices), encoding="utf-8")
        if vault:
            vaulted = {
                "desk_passwords": self.passwords,
                "ansible_password": "{{ desk_passwords[inventory_hostname] }}",
                "ansible_become_password": "{{ desk_passwords[inventory_hostname] }}",
            }
            secret = VaultSecret(self.vault_password.read_bytes())
            text = VaultLib([(DEFAULT_VAULT_ID_MATCH, secret)]).encrypt(json.dumps(vaulted), secret=secret).decode()
            (folder / "group_vars" / "all.yml").write_text(text, encoding="utf-8")
        return folder

    def changed_sheet(self, name: str, cells: Mapping[str, Mapping[str, str]]) -> Path:
        """The inventory again with other cells in its sheet, and with the known_hosts of the first."""
        title, *rows = self.sheet.splitlines()
        columns = title.split(",")
        lines = [title]
        for row in rows:
            values = dict(zip(columns, row.split(","), strict=True))
            lines.append(",".join({**values, **cells.get(values["name"], {})}.values()))
        folder = self.folder(name, "\n".join(lines) + "\n", vault=True)
        if self.known_hosts.exists():
            (folder / "known_hosts.txt").write_bytes(self.known_hosts.read_bytes())
        return folder

    # ---- runs

    def start(
        self, playbook: str, *arguments: str, inventory: Path | None = None, limit: Iterable[str] = (), terminal: int | None = None
    ) -> Any:
        """A playbook in a process of its own, and the folder of its report."""
        self.runs += 1
        folder = self.home / f"reports-{self.runs}"
        command = [str(Path(sys.executable).with_name("ansible-playbook")), f"--inventory={inventory or self.inventory}"]
        command += [str(ROOT / "playbooks" / playbook), f"--extra-vars={json.dumps({'spark_report_dir': str(folder)})}", *arguments]
        command += [f"--limit={','.join(limit)}"] if limit else []
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("MOLECULE", "ANSIBLE"))}
        environment |= {
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "ANSIBLE_HOME": str(self.home / ".ansible"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(self.vault_password),
            "ANSIBLE_LOG_PATH": str(self.home / "ansible.log"),
            "ANSIBLE_NOCOLOR": "1",
            # Each run makes its own connections: one that was left open has had its host key checked by an earlier run.
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.home / f"cp-{self.runs}"),
            "LAB": LAB,
        }
        if terminal is None:
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        else:
            streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
            # Its controlling terminal, as a shell's: a question is only put to somebody who is in the foreground.
            streams["preexec_fn"] = lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        return subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **streams), folder

    def run(self, playbook: str, *arguments: str, watched: bool = False, **options: Any) -> Ended:
        """Run a playbook without a terminal to its end."""
        process, folder = self.start(playbook, *arguments, **options)
        with watch() if watched else contextlib.nullcontext(set()) as seen:
            output, _nothing = process.communicate(timeout=900)
        return Ended(process.returncode, output.decode("utf-8", "replace"), folder, seen)

    def type(self, playbook: str, *arguments: str, answers: Mapping[str, str], **options: Any) -> Ended:
        """Run a playbook at a terminal; each answer is typed when its question shows."""
        ours, theirs = pty.openpty()
        try:
            process, folder = self.start(playbook, *arguments, terminal=theirs, **options)
        finally:
            os.close(theirs)
        text, typed, waiting, deadline = "", b"", dict(answers), time.monotonic() + 300
        try:
            while time.monotonic() < deadline:
                if not select.select([ours], [], [], 3.0)[0]:
                    # A question throws away what was typed before it listens, so an answer may be lost. Nobody minds one too many.
                    os.write(ours, typed)
                    continue
                try:
                    data = os.read(ours, 65536)
                except OSError:
                    break  # nobody has the other end any more
                if not data:
                    break
                text += data.decode("utf-8", "replace")
                for question in [question for question in waiting if question in text]:
                    typed = f"{waiting.pop(question)}\n".encode()
                    os.write(ours, typed)
            return Ended(process.wait(timeout=60), text, folder)
        finally:
            kill(process)
            os.close(ours)


@contextlib.contextmanager
def watch() -> Any:
    """The command lines of all processes, looked at again and again."""
    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.05):
            for entry in os.scandir("/proc"):
                if entry.name.isdigit():
                    with contextlib.suppress(OSError):
                        seen.add(Path(entry.path, "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def root_of(desk: str) -> Path:
    """The desk's file system, past every login."""
    engine = status()["engine"]["name"]
    command = [engine, "inspect", "--type", "container", "-f", "{{.State.Pid}}", f"spark-{LAB}-{desk}"]
    return Path(f"/proc/{subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()}/root")


def own_keys(desk: str) -> set[str]:
    """The public host keys on the desk's own disk."""
    paths = (root_of(desk) / "etc/ssh").glob("ssh_host_*_key.pub")
    return {" ".join(path.read_text(encoding="ascii").split()[:2]) for path in paths}


def picture(desk: str) -> dict[str, tuple[float, str]]:
    """What enrolment may touch on a desk: time stamp and text of each file."""
    root = root_of(desk)
    places = [
        "home/labadmin/.ssh/*",
        "etc/sudoers.d/*",
        "etc/ssh/sshd_config.d/*",
        "etc/avahi/avahi-daemon.conf",
        "etc/hostname",
        "etc/hosts",
    ]
    files = [path for place in places for path in root.glob(place) if path.is_file()]
    return {str(path.relative_to(root)): (path.stat().st_mtime, path.read_text(encoding="utf-8", errors="replace")) for path in files}
