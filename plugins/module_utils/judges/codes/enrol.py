# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about first contact with a desk."""

from __future__ import annotations

from .code import Code

RULE = "this collection's rule"

CODES: tuple[Code, ...] = (
    Code(
        code="DESK_ENROLLED",
        title="The desk is enrolled",
        severity="ok",
        meaning="Its identity is proven, its host keys are in the project's known_hosts, and a login with the admin's key worked over a "
        "new connection with host keys checked.",
        remedy="Nothing to do.",
        source=RULE,
    ),
    Code(
        code="HOST_KEY_UNCONFIRMED",
        title="Nothing proves that this is the desk",
        severity="fail",
        meaning="The lab sheet has neither the fingerprint of the ssh host key nor the serial number, the key is not known from an "
        "earlier enrolment, and nobody confirmed it. A host key is never accepted unattended. In a later playbook, this means that the "
        "desk was never enrolled.",
        remedy="Put the serial number on the chassis, or the fingerprint that the desk's console shows "
        "(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), into the lab sheet, or run enrol.yml in a terminal and compare it when asked.",
        source=RULE,
    ),
    Code(
        code="HOST_KEY_CHANGED",
        title="The desk's ssh host key has changed",
        severity="warn",
        meaning="The host key differs from the lab sheet or from the project's known_hosts; the chassis serial number is right, so the "
        "desk was probably re-imaged. Its new keys were accepted.",
        remedy="Correct the fingerprint in the lab sheet. If nobody re-imaged this desk, find out who else can answer at its address.",
        source=RULE,
    ),
    Code(
        code="KEY_LOGIN_FAILED",
        title="The login with the admin's key does not work",
        severity="fail",
        meaning="The public key was installed, but a new connection with it was refused. Password login was left open.",
        remedy="Check sshd's log on the desk (journalctl -u ssh) and the permissions of the login user's home folder and .ssh.",
        source=RULE,
    ),
    Code(
        code="ENROL_REFUSED",
        title="A check on the desk rejected an enrolment change",
        severity="fail",
        meaning="visudo, sshd or hostnamectl rejected what was asked for, so it was not put in place; the message quotes them.",
        remedy="Correct the setting that the message names (variables desk_enrol_*), then run again.",
        source=RULE,
    ),
    Code(
        code="ADMIN_KEY_MISSING",
        title="There is no key to install on the desks",
        severity="fail",
        meaning="The admin's public key was not found on the controller, or its file holds something else, so nothing could be installed.",
        remedy="Create one with ssh-keygen -t ed25519, or name its file with -e desk_enrol_public_key=PATH. ssh-keygen -y -f FILE prints "
        "the public half of a private key, ssh-keygen -i -f FILE turns PuTTY's form into OpenSSH's.",
        source=RULE,
    ),
)
