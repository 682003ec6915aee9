# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An open connection of ssh is one desk's alone: over a shared one ssh looks at no host key."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ADDRESS = "192.0.2.11"
MACS = {"desk-01": "4c:bb:47:01:02:03", "desk-02": "4c:bb:47:01:02:04"}


def asked(tmp_path: Path, *arguments: str) -> list[str]:
    """The command lines of ssh, one for each desk, when Ansible runs a module of ours."""
    log, ssh = tmp_path / "log", tmp_path / "ssh"
    log.unlink(missing_ok=True)
    ssh.write_text(f'#!/bin/sh\necho "$*" >> {log}\nexit 255\n', encoding="utf-8")
    ssh.chmod(0o755)
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_SSH_EXECUTABLE": str(ssh),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(tmp_path / "cp"),
        "ANSIBLE_CONFIG": str(tmp_path / "none.cfg"),
    }
    command = [str(Path(sys.executable).with_name("ansible")), *arguments, "-f", "1", "-m", "labops.dgx_spark.spark_facts"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment, cwd=tmp_path)
    assert log.is_file(), done.stdout + done.stderr
    return log.read_text(encoding="utf-8").splitlines()


def path_of(command: str) -> str:
    return re.findall(r'ControlPath="([^"]+)"', command)[-1]


def test_a_machine_that_was_proven_as_one_desk_is_not_asked_as_the_next(tmp_path: Path) -> None:
    """The network says first that desk-01 has an address and then that desk-02 has it, whose key the machine there lacks."""
    (tmp_path / "known_hosts.txt").write_text(f"desk-01,{ADDRESS} ssh-ed25519 AAAA dgx_spark:desk-01\n", encoding="utf-8")
    rows = "".join(f"{desk},{mac}\n" for desk, mac in MACS.items())
    (tmp_path / "lab.csv").write_text(f"name,mac\n{rows}", encoding="utf-8")
    cache = tmp_path / "cache"
    lines = ["plugin: labops.dgx_spark.desks", "sheet: lab.csv", "cache: true", "cache_plugin: ansible.builtin.jsonfile"]
    (tmp_path / "lab.yml").write_text("\n".join([*lines, f"cache_connection: {cache}\n"]), encoding="utf-8")
    asked(tmp_path, "-i", "lab.yml", "desk-01")
    (kept,) = cache.iterdir()
    paths = []
    for desk in ("desk-01", "desk-02", "desk-01"):
        kept.write_text(json.dumps({"__payload__": json.dumps({MACS[desk]: ADDRESS})}), encoding="utf-8")
        (command,) = asked(tmp_path, "-i", "lab.yml", desk)
        assert f" {ADDRESS} " in command and f"HostKeyAlias={desk}" in command
        paths.append(path_of(command))
    assert paths[0] == paths[2] != paths[1]


def test_the_same_address_behind_another_jump_host_is_another_machine(tmp_path: Path) -> None:
    """Labs have the same private addresses. What the admin says of the path stays."""
    ways = {"desk-01": "lab-a", "desk-02": "lab-b", "desk-03": "lab-a"}
    hosts = {desk: {"ansible_host": ADDRESS, "ansible_ssh_common_args": f"-o ProxyJump={way}"} for desk, way in ways.items()}
    hosts["desk-03"]["ansible_control_path"] = "%(directory)s/mine"
    (tmp_path / "hosts.yml").write_text(json.dumps({"spark_desks": {"hosts": hosts}}), encoding="utf-8")
    one, two, three = (path_of(command) for command in asked(tmp_path, "-i", "hosts.yml", "all"))
    assert one != two and three == f"{tmp_path}/cp/mine"
    # As long as Ansible's own: a socket's path may have a hundred characters.
    assert len(Path(one).name) == 10 and Path(one).parent == tmp_path / "cp"
