# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: enrol_desk
short_description: Make first contact with a boxed DGX Spark
version_added: 1.0.0
description:
  - Connects with the login password, finds out whether the machine is the one in the lab sheet, and only then changes anything.
  - The host key is accepted when it is already known, when its fingerprint is the one in the lab sheet
    (C(spark_expected_host_key)), or when, after the login, the chassis serial number is the one in the lab sheet
    (C(spark_expected_serial)). Otherwise it is shown on the terminal for confirmation; without a terminal, the desk is skipped.
  - Waits for the first-boot upgrade and the restart after it.
  - Installs the admin's public key, writes the desk's host keys to the project's known_hosts, and proves a new connection with the key.
  - Passwords come from C(ansible_password) and C(ansible_become_password) (vaulted, for each desk) or from C(--ask-pass) and
    C(--ask-become-pass). They go to the desk over standard input only and never appear in output, arguments, files or reports.
options:
  known_hosts:
    description: File on the controller for the desks' host keys.
    type: path
    required: true
  public_key:
    description:
      - File of the admin's public key.
      - Defaults to the one beside C(ansible_ssh_private_key_file), or else the first of id_ed25519, id_ecdsa and id_rsa in C(~/.ssh).
    type: path
  sudo:
    description:
      - V(password) keeps sudo's password prompt, and removes a file that was written with V(nopasswd).
      - V(nopasswd) writes a sudoers file for the login user only and O(sudo_commands), checked by visudo first.
    type: str
    choices: [password, nopasswd]
    default: password
  sudo_commands:
    description:
      - Commands that need no password with O(sudo=nopasswd).
      - Ansible's own work as root needs V(ALL).
    type: list
    elements: str
    default: [ALL]
  set_hostname:
    description: Whether to set the desk's host name to its inventory name.
    type: bool
    default: false
  avahi:
    description: Whether to keep avahi off the cables between desks, where it creates ghost names.
    type: bool
    default: true
  close_password_login:
    description: Whether to disable password login once the login with the key is proven. It is re-enabled if the key then fails.
    type: bool
    default: false
  upgrade_wait:
    description: Seconds to wait for the first-boot upgrade.
    type: int
    default: 1800
attributes:
  check_mode:
    description: Logs in, reads, and reports what would change; changes nothing on the desk or the controller, and never prompts.
    support: full
  diff_mode:
    description: The result lists the changes instead.
    support: none
  platform:
    description: Runs on the controller, which needs paramiko and the OpenSSH client; the desk runs DGX OS.
    support: full
    platforms: posix
notes:
  - First contact goes straight to the desk's address; a ProxyJump in the ssh configuration is not used for it.
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: First contact
  labops.dgx_spark.enrol_desk:
    known_hosts: "{{ inventory_dir }}/known_hosts.txt"
"""

RETURN = r"""
findings:
  description: DESK_ENROLLED, or why the desk was not enrolled.
  returned: always
  type: list
  elements: dict
changes:
  description: What was changed (in check mode, what would be).
  returned: always
  type: list
  elements: str
identity:
  description: What proved the identity - V(known), V(fingerprint), V(serial) or V(confirmed).
  returned: when it was proven
  type: str
host_key_fingerprints:
  description: Fingerprints of the host keys that the desk presented.
  returned: when it was reached
  type: list
  elements: str
uid:
  description: User id of the login user, together with C(user) and C(gid).
  returned: when it was entered
  type: int
"""
