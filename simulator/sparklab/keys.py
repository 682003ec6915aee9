"""A lab's keys: its own ssh key, the desks' passwords, and which host keys are known."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from sparklab import desks, files, shell
from sparklab.base import Base
from sparklab.errors import LabError
from sparklab.spec import DeskSpec


class Keys(Base):
    """Who may log in where, and by what a desk is known."""

    def _keys(self) -> None:
        """The lab's own ssh key, and a password for each desk."""
        key = self.record.dir / "ssh" / "id_ed25519"
        if not (key.exists() and key.with_suffix(".pub").exists()):
            key.parent.mkdir(mode=0o700, exist_ok=True)
            for left in key.parent.glob("id_ed25519*"):
                left.unlink()
            shell.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {self.name}", "-f", str(key)])
        path = self.record.dir / "secrets.json"
        passwords: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            passwords = json.loads(path.read_text(encoding="utf-8"))
        for name in self.record.spec.desks:
            passwords.setdefault(name, secrets.token_urlsafe(12))
        files.write_json(path, passwords, 0o600)

    def passwords(self) -> dict[str, str]:
        """The login password of each desk's labadmin."""
        found: dict[str, str] = json.loads((self.record.dir / "secrets.json").read_text(encoding="utf-8"))
        return found

    def enrolled(self, desk: DeskSpec) -> bool:
        """Whether the lab's key lets us in: what the description says of this desk, else what `up` was asked for."""
        return (desk.state or ("enrolled" if self.record.data["enrolled"] else "boxed")) == "enrolled"

    @property
    def sheet_folder(self) -> Path:
        """Where `sheet --folder` writes an admin's inventory."""
        return self.record.dir / "lab"

    @property
    def known_hosts(self) -> tuple[Path, Path]:
        """The lab's own, and the one that enrolment from the lab's sheet leaves."""
        return self.record.dir / "known_hosts", self.sheet_folder / "known_hosts.txt"

    def write_known_hosts(self) -> None:
        """known_hosts of the enrolled desks, from the keys in the desks themselves (never from the network)."""
        lines = []
        for name, desk in self.record.spec.desks.items():
            entry = self.record.desk(name)
            if not self.enrolled(desk):
                continue
            keys = self.host_keys(name) or entry.get("host_keys", [])
            entry["host_keys"] = keys
            # `known_keys` keeps what we knew before a desk changed its key.
            lines += [f"{self.address(name)} {key}" for key in entry.get("known_keys", keys)]
        files.write_atomic(self.record.dir / "known_hosts", "".join(f"{line}\n" for line in lines))
        self.record.save()

    def host_keys(self, name: str) -> list[str]:
        """The public host keys of a desk, never read from the network; empty when it is off."""
        entry = self.record.desk(name)
        return desks.host_keys(int(entry["pid"]["pid"])) if files.process_alive(entry.get("pid")) else []

    def ssh_argv(self, name: str, user: str, options: Sequence[str] = ()) -> list[str]:
        """A login with the lab's key; the desk's host key has to be known.

        :raises LabError: when it is not.
        """
        address = self.address(name)
        known = [line.split()[0].split(",") for path in self.known_hosts if path.exists() for line in path.read_text().splitlines() if line]
        if not any(address in names for names in known):
            raise LabError(f"{name} is not enrolled; log in yourself: ssh labadmin@{address} (simulator/lab password {name}).")
        line = ["ssh", *options, "-i", str(self.record.dir / "ssh" / "id_ed25519"), "-o", "IdentitiesOnly=yes"]
        line += ["-o", f"UserKnownHostsFile={' '.join(str(path) for path in self.known_hosts)}"]
        line += ["-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes"]
        return [*line, f"{user}@{address}"]

    def _forget(self, names: Sequence[str]) -> None:
        """Desks with new file systems have new host keys: what enrolment knew of them is no longer true."""
        _, path = self.known_hosts
        with contextlib.suppress(FileNotFoundError):
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            files.write_atomic(path, "".join(line for line in lines if line.split(",")[0] not in names))
