# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First contact with one desk, from the controller: see the module documentation of enrol_desk."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError

from ..module_utils.judges.catalogue import finding
from ..module_utils.model.finding import Where
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.admission.text import shown
from ..plugin_utils.enrolment import Enrolment, Outcome, Secrets, Wanted
from ..plugin_utils.known_hosts import NO_NAME, fingerprint
from ..plugin_utils.terminal import ask
from ..plugin_utils.ssh_door import AdminKey, SshDoor, prove

PASSWORDS = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
BECOME_PASSWORDS = ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass")
KEY_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa")


class ActionModule(DeskAction):
    """Opens its own connections, so Ansible's own connection to the desk is never used."""

    def work(self, call: Call) -> dict[str, Any]:
        """Take one desk through first contact."""
        task_vars = call.task_vars
        if importlib.util.find_spec("paramiko") is None:
            raise AnsibleActionFail(
                "first contact needs paramiko on the controller: pip install paramiko (for the Python that runs ansible-playbook)"
            )
        desk, arguments = call.desk, call.given
        private = self.value(task_vars, "ansible_ssh_private_key_file")
        key = admin_key(private, arguments.get("public_key"))
        if key is None:
            looked = key_files(private, arguments.get("public_key"))
            other = next((path for path in looked if path.is_file()), None)
            text = f"{other} on the controller is not a public key of OpenSSH's (one line: its type and base64)"
            text = text if other else f"there is no public key {' or '.join(map(str, looked))} on the controller"
            return self.refused([finding("ADMIN_KEY_MISSING", Where(desk=desk), f"{desk}: {text}")])
        wanted = self._wanted(desk, arguments, task_vars, key)
        secrets = self._secrets(task_vars)
        way = Enrolment(
            wanted,
            secrets,
            SshDoor(wanted.address, wanted.port),
            prove=lambda: prove(wanted.address, wanted.port, wanted.user, wanted.known_hosts, key),
            ask=self._ask,
            say=lambda text: self._display.display(f"  {text}"),
        )
        return _result(way.run(), wanted)

    def _wanted(self, desk: str, arguments: Mapping[str, Any], task_vars: Mapping[str, Any], key: AdminKey) -> Wanted:
        user = self.login_user(task_vars)
        if not user:
            raise AnsibleActionFail(f"{desk} has no login user; set ansible_user, or the column user of the lab sheet")
        address = str(self.value(task_vars, "ansible_host") or desk)
        if NO_NAME.search(desk) or NO_NAME.search(address):
            raise AnsibleActionFail(f"{shown(desk)} at {shown(address)}: known_hosts would take that for more than one machine; rename it")
        commands = arguments["sudo_commands"]
        return Wanted(
            desk=desk,
            address=address,
            port=int(self.value(task_vars, "ansible_port") or 22),
            user=user,
            key=key,
            known_hosts=Path(str(arguments["known_hosts"])).expanduser().absolute(),
            serial=_text(self.value(task_vars, "spark_expected_serial")),
            host_key=_text(self.value(task_vars, "spark_expected_host_key")),
            sudo_commands=tuple(str(item) for item in commands) if arguments["sudo"] == "nopasswd" else None,
            hostname=desk if arguments["set_hostname"] else None,
            avahi=arguments["avahi"],
            close_password_login=arguments["close_password_login"],
            upgrade_wait=float(arguments["upgrade_wait"]),
            check_mode=bool(self._task.check_mode),
        )

    def _secrets(self, task_vars: Mapping[str, Any]) -> Secrets:
        """Vaulted variables of the desk, else what --ask-pass and --ask-become-pass asked for."""
        password = next((value for name in PASSWORDS if (value := self.value(task_vars, name))), None)
        password = password or getattr(self._play_context, "password", None)
        become = next((value for name in BECOME_PASSWORDS if (value := self.value(task_vars, name))), None)
        become = become or getattr(self._play_context, "become_pass", None) or password
        return Secrets(_text(password), _text(become))

    def _ask(self, question: str) -> bool:
        """Show a question on the terminal. Without a terminal nobody answers, and that is a no."""
        prompt = f"{question}\nDoes the desk's own screen show the same? Type yes to trust it, anything else to skip this desk: "
        try:
            return ask(self._display, prompt).lower() == "yes"
        except AnsibleError:
            return False


def key_files(private: Any, public: Any) -> list[Path]:
    """Where the key to install is looked for: the named public key, else the one beside the private key in use, else the usual ones."""
    if public:
        return [Path(str(public)).expanduser()]
    if private:
        return [Path(f"{Path(str(private)).expanduser()}.pub")]
    return [Path("~/.ssh").expanduser() / f"{name}.pub" for name in KEY_NAMES]


def admin_key(private: Any, public: Any) -> AdminKey | None:
    """The first of `key_files` that is a public key."""
    for path in key_files(private, public):
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if len(text.splitlines()) == 1 and fingerprint(" ".join(text.split()[:2])):
            return AdminKey(text, Path(str(private)).expanduser() if private else path.with_suffix(""))
    return None


def _text(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None


def _result(outcome: Outcome, wanted: Wanted) -> dict[str, Any]:
    findings = [item.as_dict() for item in outcome.findings]
    result: dict[str, Any] = {"changed": bool(outcome.changes), "changes": outcome.changes, "findings": findings, **outcome.data}
    result["address"] = wanted.address
    if outcome.failed:
        worst = next(item for item in outcome.findings if item.severity in ("fail", "unknown"))
        result.update(failed=True, msg=worst.message)
    return result
