# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: enrol_desk
short_description: Make first contact with a boxed DGX Spark
version_added: 1.0.0
description:
  - Connects with the login password, finds out whether the machine is the one of the lab sheet, and only then changes anything.
  - The host key is accepted when it is known from before, when its fingerprint is the one of the lab sheet
    (C(spark_expected_host_key)), or when, after the login, the chassis serial number is the one of the lab sheet
    (C(spark_expected_serial)). Otherwise it is shown on the terminal for confirmation; without a terminal the desk is left alone.
  - Waits for the upgrade and the restart of the first boot.
  - Installs the admin's public key, writes the desk's host keys into the project's known_hosts, and proves a new connection with the key.
  - Passwords come from C(ansible_password) and C(ansible_become_password) (vaulted, for each desk) or from C(--ask-pass) and
    C(--ask-become-pass). They go to the desk over standard input only and appear in no output, argument, file or report.
options:
  known_hosts:
    description: File on the controller for the desks' host keys.
    type: path
    required: true
  public_key:
    description:
      - File of the admin's public key.
      - Default is the one beside C(ansible_ssh_private_key_file), else the first of id_ed25519, id_ecdsa and id_rsa in C(~/.ssh).
    type: path
  sudo:
    description:
      - V(password) keeps the password question of sudo, and takes a file away that was written with V(nopasswd).
      - V(nopasswd) writes a sudoers file for the login user alone and O(sudo_commands), checked by visudo first.
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
    description: Whether to name the desk as in the inventory.
    type: bool
    default: false
  avahi:
    description: Whether to keep avahi off the cables between desks, where it makes ghost names.
    type: bool
    default: true
  close_password_login:
    description: Whether to close password login, after the login with the key was proven. It is opened again when the key fails then.
    type: bool
    default: false
  upgrade_wait:
    description: Seconds to wait for the upgrade of the first boot.
    type: int
    default: 1800
attributes:
  check_mode:
    description: Logs in and looks, says what would be changed, changes nothing on the desk or the controller, asks nothing.
    support: full
  diff_mode:
    description: The result lists the changes instead.
    support: none
  platform:
    description: Runs on the controller, which needs paramiko and the OpenSSH client; the desk runs DGX OS.
    support: full
    platforms: posix
notes:
  - First contact goes straight to the desk's address; a ProxyJump of the ssh configuration is not used for it.
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
  description: What was changed (in check mode, would be).
  returned: always
  type: list
  elements: str
identity:
  description: What proved the identity - V(known), V(fingerprint), V(serial) or V(confirmed).
  returned: when it was proven
  type: str
host_key_fingerprints:
  description: Fingerprints of the host keys that the desk showed.
  returned: when it was reached
  type: list
  elements: str
uid:
  description: User id of the login user, beside C(user) and C(gid).
  returned: when it was entered
  type: int
"""
