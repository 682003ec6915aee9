# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons why a desk cannot be entered: the words that tell each, and what to do. Data; `connection_errors` chooses."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """Why a desk could not be entered."""

    kind: str
    """refused, timed_out, no_route, name, host_key_unknown, host_key, algorithm, certificate, auth, become, shell, processes, full,
    no_files, closed, port, damaged, jump, other"""
    code: str
    sentence: str
    remedy: str | None = None
    late: bool = False
    """Whether it is only known that no answer came in time."""

    def told(self, text: str) -> str:
        """The sentence; with the words themselves where nobody knows yet what they mean."""
        known = self.kind != "other" or self.remedy is not None
        return self.sentence if known else f"{self.sentence}: {' '.join(text.split())[-300:]}"

    @property
    def become(self) -> bool:
        """Whether the login worked and only becoming root failed."""
        return self.kind == "become"

    @property
    def plain_error(self) -> bool:
        """Whether Ansible raises it as a plain error, not as a failed connection."""
        return self.kind in ("become", "host_key_unknown")


OTHER_PROGRAM = re.compile(r"open terminal failed|must be connected to a terminal|fish: unknown command", re.IGNORECASE)
"""What tmux, screen and another shell say when the login's start-up files put them in the place of what is run there."""

NO_SHELL = re.compile(
    r"account is currently not available|restricted: cannot specify|service allows sftp connections only|interactive git shell is not",
    re.IGNORECASE,
)
"""What nologin, a restricted shell and those that serve one purpose say in the place of what is run there."""

LOGIN_SHELLS = (
    (
        "{start-up}",
        OTHER_PROGRAM,
        "the login user's shell start-up starts another program",
        (
            "Let the user's ~/.bashrc (or ~/.profile, /etc/profile.d) on the desk start tmux, screen or another shell in interactive "
            "shells only; ssh USER@ADDRESS true must end at once. Then run again."
        ),
    ),
    (
        "{no shell}",
        NO_SHELL,
        "the login user's shell runs no commands (nologin, a restricted shell or one for file transfers)",
        (
            "Give the user a usual shell on the desk (sudo usermod -s /bin/bash USER; loginShell in a directory; for sftp alone, "
            "ForceCommand or a Match block in sshd's configuration decides), or log in as another user (ansible_user). Then run again."
        ),
    ),
)
"""A mark, what is printed where the login works and what is run there never starts, in words, and what to do."""


def login_shell(text: str) -> tuple[str, str] | None:
    """Words and remedy for a login that does not run what it is told, by what it prints; null for any other text."""
    return next(((words, remedy) for _mark, pattern, words, remedy in LOGIN_SHELLS if pattern.search(text)), None)


UNKNOWN_KEY = ("host key is known for", "because host key checking is enabled", "{unknown key}")
"""ssh's own words for a key that it does not know, and Ansible's for any unknown or changed key where a password is set."""

HOST_KEY = Reason(
    "host_key",
    "DESK_IDENTITY_WRONG",
    "the desk's ssh host key is unknown or differs from the known one",
    "If the desk was re-imaged or its address or port has changed, run enrol.yml again, which compares its serial number; otherwise "
    "another machine answers at this address: check the lease and the cable.",
)

REVOKED_KEY = Reason(
    "host_key",
    "DESK_IDENTITY_WRONG",
    "the ssh host key that it presents is marked as revoked in a known_hosts file of the controller",
    "Give the desk new host keys at its console (sudo rm /etc/ssh/ssh_host_*; sudo ssh-keygen -A; sudo systemctl restart ssh) and run "
    "enrol.yml again, which compares its serial number. Where the key was revoked by mistake, take the line that begins with @revoked out "
    "of that file (ssh -v shows which files are read).",
)

REASONS: tuple[tuple[tuple[str, ...], Reason], ...] = (
    (
        ("{jump}",),
        Reason(
            "jump",
            "DESK_UNREACHABLE",
            "the way to it leads through a jump host or a ProxyCommand, and that failed, which says nothing about the desk",
            "Log in to the jump host by hand (ssh shows it with -v; ProxyJump or ProxyCommand in ansible_ssh_common_args or ~/.ssh/config "
            "names it): its host key must be known, the login must work without a prompt, and its sshd must allow TCP forwarding. A "
            "ProxyCommand's program must be there and work on the controller.",
        ),
    ),
    (
        ("{controller}",),
        Reason(
            "other",
            "DESK_UNREACHABLE",
            "the controller cannot open a connection to this address, which says nothing about the desk",
            "Look at the address in the inventory (an IPv6 link-local one needs its interface, as in fe80::1%eth0) and at what limits the "
            "controller's own connections (its packet filter, a sandbox or container), then run again.",
        ),
    ),
    (
        ("you must have a tty to run sudo", "sudo: no tty present", "sudo: a terminal is required", "sudo-rs: a terminal is required"),
        Reason(
            "become",
            "BECOME_FAILED",
            "the login works, but sudo wants a terminal",
            "Remove requiretty from the desk's sudoers (sudo visudo; also the files in /etc/sudoers.d), and give the sudo password "
            "(--ask-become-pass or a vaulted ansible_become_password).",
        ),
    ),
    (
        (
            "sudo: account or password is expired",
            "sudo: password expired",
            "sudo: account validation failure",
            "sudo-rs: account validation",
            "sudo: you are required to change your password",
            "sudo: pam_unix: account expired",
        ),
        Reason(
            "become",
            "BECOME_FAILED",
            "the login works, but sudo says that the account or its password has expired",
            "Set a new password on the desk (passwd USER) or lift the expiry (sudo chage -E -1 -M -1 USER), then run again.",
        ),
    ),
    (
        (
            "sudo: pam account management error: authentication service cannot",
            "sudo: pam authentication error: authentication service",
            "error: user not known to the underlying authentication module",
            "sudo: you do not exist in the passwd database",
            "sudo: unknown uid",
        ),
        Reason(
            "become",
            "BECOME_FAILED",
            "the login works, but sudo cannot look up the account",
            "At the desk as root or with pkexec: a user of a directory needs its service there (systemctl status sssd; sssctl "
            "domain-status DOMAIN), a local one its lines in /etc/passwd and /etc/shadow (pwck -r names what is missing there, pwconv adds "
            "the second). getent passwd USER must print the user. Then run again.",
        ),
    ),
    (
        ("{sudoers}",),
        Reason(
            "become",
            "BECOME_FAILED",
            "the login works, but sudo passes over one of the desk's sudoers files",
            "Put right the file that sudo names (the error in the evidence), at the desk as root or with pkexec: visudo -c shows a slip in "
            "its syntax, and it must belong to root with mode 0440 (chown root:root FILE; chmod 0440 FILE). Then it counts again.",
        ),
    ),
    (
        ("{sudo locked}",),
        Reason(
            "become",
            "BECOME_FAILED",
            "the login works, but the desk has locked the user for sudo after failed passwords",
            "Wait as long as the message says, or at the desk as root or with pkexec: faillock --user USER --reset. Then check the sudo "
            "password that Ansible is given, or it locks again.",
        ),
    ),
    (
        ("sudo: command not found", "sudo: not found", "/usr/bin/sudo: no such file"),
        Reason(
            "become",
            "BECOME_FAILED",
            "the login works, but there is no sudo on the desk",
            "Install sudo on the desk, or choose another ansible_become_method.",
        ),
    ),
    (
        ("is not allowed to execute",),
        Reason(
            "become",
            "BECOME_FAILED",
            "the login works, but sudo lets this user run some commands only",
            "Ansible runs a shell as root: allow the user every command (sudo visudo on the desk, USER ALL=(ALL:ALL) ALL), or log in as "
            "another user (ansible_user).",
        ),
    ),
    (
        (
            "incorrect sudo password",
            "missing sudo password",
            "incorrect become password",
            "missing become password",
            "a password is required",
            "is not in the sudoers file",
            "is not allowed to run sudo",
            "may not run sudo",
            "sorry, try again",
            "incorrect password attempt",
            "incorrect authentication attempt",
            "interactive authentication is required",
            "interactive authentication required",
            "sudo-rs: authentication failed",
            "sudo-rs: i'm sorry",
            "sudo: i'm sorry",
            "su: authentication failure",
            "su: permission denied",
            "duplicate become password prompt",
        ),
        Reason(
            "become",
            "BECOME_FAILED",
            "the login works, but becoming root with sudo does not",
            "Give the sudo password (--ask-become-pass or a vaulted ansible_become_password) and check that the login user may use sudo.",
        ),
    ),
    (
        ("[sudo: [sudo via ansible",),
        Reason(
            "become",
            "BECOME_FAILED",
            "the login works, but the desk's sudo is sudo-rs, which puts its own words before the password prompt that Ansible waits for",
            "Let Ansible use the desk's other sudo (ansible_become_exe: sudo.ws in the inventory; /usr/bin/sudo.ws comes with the package "
            "sudo), or allow the login user sudo without a password (NOPASSWD). Then run again.",
        ),
    ),
    (
        ("waiting for privilege escalation", "waiting for become success", "sudo: timed out", "sudo: timeout"),
        Reason(
            "become",
            "BECOME_FAILED",
            "the login works, but sudo did not respond in time",
            "Log in by hand (ssh USER@ADDRESS) and try sudo -v: name resolution, a directory service or a frozen desk makes it slow. "
            "A sudoers file with a passprompt of its own keeps Ansible waiting too: remove that. Then run again.",
            late=True,
        ),
    ),
    (
        ("{sudo}",),
        Reason(
            "become",
            "BECOME_FAILED",
            "the login works, but sudo refuses",
            "Its message says why. Log in by hand (ssh USER@ADDRESS) and try sudo -v; sudo visudo -c checks the sudoers files.",
        ),
    ),
    (
        ("fork: retry", "cannot fork", "fork: resource temporarily unavailable"),
        Reason(
            "processes",
            "DESK_UNREACHABLE",
            "the login works, but the desk starts no more processes for this user",
            "At the desk's console or as another user: ps -u USER shows what runs, systemctl status user-UID.slice its limit (TasksMax; "
            "nproc in /etc/security/limits.d is another). End what has run away or raise the limit, then run again.",
        ),
    ),
    *(
        ((mark,), Reason("shell", "DESK_UNREACHABLE", f"the desk answers, but {words}", remedy))
        for mark, _pattern, words, remedy in LOGIN_SHELLS
    ),
    (
        ("no space left on device", "disk quota exceeded", "no usable temporary directory found"),
        Reason(
            "full",
            "DESK_UNREACHABLE",
            "the login works, but the desk has no room left for the files that Ansible needs there",
            "Free space or inodes in the login user's home and in /tmp (df -h ~ /tmp; df -i ~ /tmp), then run again.",
        ),
    ),
    (
        ("failed to create temporary directory", "read-only file system"),
        Reason(
            "no_files",
            "DESK_UNREACHABLE",
            "the login works, but Ansible may not write its files on the desk",
            "Log in by hand (ssh USER@ADDRESS) and try mkdir -p ~/.ansible/tmp: the home is read-only, not the user's own, or not there "
            "(findmnt -T ~; ls -ld ~). A file system that became read-only on its own is named in journalctl -k.",
        ),
    ),
    (
        ("certificate invalid: ",),
        Reason(
            "certificate",
            "DESK_UNREACHABLE",
            "the certificate of the desk's ssh host key is not valid now or not for this name, which says nothing about who answers",
            "Compare the clocks (timedatectl on both), then sign the desk's host key again for its name or address in the inventory (at "
            "the desk, ssh-keygen -L -f CERTIFICATE shows its names and how long it is valid). Or take HostCertificate out of the desk's "
            "sshd_config and enrol it by its key.",
        ),
    ),
    (
        ("subsystem request failed",),
        Reason(
            "other",
            "DESK_UNREACHABLE",
            "the login works, but the desk's sshd has no sftp, so that no file can be sent",
            "Put Subsystem sftp internal-sftp into the desk's sshd_config and restart ssh, or do without it: export "
            "ANSIBLE_SSH_TRANSFER_METHOD=piped.",
        ),
    ),
    (
        UNKNOWN_KEY,
        Reason(
            "host_key_unknown",
            "HOST_KEY_UNCONFIRMED",
            "no ssh host key is known for it: the desk is not enrolled",
            "Enrol it first: ansible-playbook -i INVENTORY playbooks/enrol.yml --ask-pass --ask-become-pass --limit DESK.",
        ),
    ),
    (
        ("no matching host key type", "no matching key exchange method", "no matching cipher", "no matching mac found"),
        Reason(
            "algorithm",
            "DESK_UNREACHABLE",
            "ssh on the controller and on the desk have no key type or cipher in common, which says nothing about who answers",
            "Let the desk's sshd offer ed25519 keys again (sudo ssh-keygen -A, then restart ssh), or update its ssh; the message says "
            "what it offered.",
        ),
    ),
    (
        ("revoked host key detected", "is marked as revoked", "was revoked and you have requested"),
        REVOKED_KEY,
    ),
    (
        ("host key verification failed", "remote host identification has changed", "host key for"),
        HOST_KEY,
    ),
    (
        ("your account has expired", "account is expired", "account expired"),
        Reason(
            "auth",
            "AUTH_FAILED",
            "the desk answers, but the login user's account has expired",
            "Lift the expiry at the desk's console (sudo chage -E -1 USER), then run again.",
        ),
    ),
    (
        (
            "password has expired",
            "password change required",
            "required to change your password",
            "must change your password",
            "password expired",
        ),
        Reason(
            "auth",
            "AUTH_FAILED",
            "the desk answers, but the login user's password has expired",
            "Log in once by hand with a terminal (ssh USER@ADDRESS) and set a new password, then run again.",
        ),
    ),
    (
        ("account is locked", "account has been locked", "login is currently disabled"),
        Reason(
            "auth",
            "AUTH_FAILED",
            "the desk answers, but the login user's account is locked",
            "Unlock the account at the desk's console (sudo passwd -u USER, sudo faillock --user USER --reset), then run again.",
        ),
    ),
    (
        ("{key}",),
        Reason(
            "auth",
            "AUTH_FAILED",
            "the desk answers, but refuses the login, and ssh on the controller could not use a key of its own",
            "First put right the key that the message names (on the controller: chmod 600 FILE, the path in ansible_ssh_private_key_file; "
            "ssh-add -l shows what an agent holds), then check ansible_user (ssh USER@ADDRESS must work without a prompt).",
        ),
    ),
    (
        (
            "permission denied",
            "authentication failed",
            "too many authentication failures",
            "invalid/incorrect password",
            "no supported authentication methods",
            "no more authentication methods",
            "please login as the user",
        ),
        Reason(
            "auth",
            "AUTH_FAILED",
            "the desk answers, but refuses the login",
            "Check ansible_user and the ssh key (ssh USER@ADDRESS must work without a prompt).",
        ),
    ),
    (
        ("not permitted to log in yet", "not permitted to log in anymore", "pam_nologin"),
        Reason(
            "closed",
            "DESK_UNREACHABLE",
            "the desk is starting or shutting down and accepts no logins now",
            "Wait until it has started, then run again; if that does not help, look at the desk's console (ls /run/nologin /etc/nologin).",
        ),
    ),
    (
        (
            "bad owner or permissions",
            "bad configuration option",
            "load key ",
            "unprotected private key file",
            "too long for unix domain socket",
            "controlpath too long",
            "percent_expand: ",
        ),
        Reason(
            "other",
            "DESK_UNREACHABLE",
            "ssh on the controller rejects its own configuration or key, which says nothing about the desk",
            "Fix the file that the message names on the controller (its owner, its mode, its content or the named option), then run again. "
            "A path that is too long: export ANSIBLE_SSH_CONTROL_PATH_DIR=$(mktemp -d).",
        ),
    ),
    (
        ("no user exists for uid", "you don't exist, go away"),
        Reason(
            "other",
            "DESK_UNREACHABLE",
            "ssh on the controller does not start, because its user id has no account, which says nothing about the desk",
            "Run as a user that has one (whoami must answer in the same terminal). In a container: choose a user of the image, or add the "
            "id to its /etc/passwd.",
        ),
    ),
    (
        ("openssl version mismatch", "ssh: symbol lookup error", "ssh: error while loading shared libraries"),
        Reason(
            "other",
            "DESK_UNREACHABLE",
            "ssh on the controller does not start, which says nothing about the desk",
            "ssh -V on the controller must work in the same terminal: a conda environment, an AppImage or LD_LIBRARY_PATH gives it the "
            "wrong libraries. Leave that (conda deactivate; unset LD_LIBRARY_PATH), then run again.",
        ),
    ),
    (
        (
            "session open refused",
            "open failed: administratively prohibited",
            "shell request failed",
            "pty allocation request failed",
            "exec request failed",
        ),
        Reason(
            "closed",
            "DESK_UNREACHABLE",
            "the login works, but the desk's ssh server opens no session (MaxSessions, a forced command, or nothing left to start one "
            "with)",
            "On the desk: sudo sshd -T | grep -iE 'maxsessions|forcecommand', and ps, df /dev/pts and ulimit of the login user; then run "
            "again.",
        ),
    ),
    (
        ("not allowed at this time", "exceeded maxstartups"),
        Reason(
            "closed",
            "DESK_UNREACHABLE",
            "the desk's ssh server blocks the controller for a while (too many logins at a time, or refused ones before)",
            "Wait some minutes, then run again; on the desk sudo sshd -T | grep -iE 'maxstartups|persourcepenalties' shows its limits.",
        ),
    ),
    (
        ("could not resolve hostname", "name or service not known", "temporary failure in name resolution", "nodename nor servname"),
        Reason(
            "name",
            "DESK_UNREACHABLE",
            "its name does not resolve",
            "Set ansible_host of the desk to an address, or fix the name in DNS or mDNS.",
        ),
    ),
    (
        ("connection refused",),
        Reason(
            "refused",
            "DESK_UNREACHABLE",
            "the connection was refused: the machine is up, but sshd is not listening there, or something rejects the controller",
            "Start ssh on the desk (at its console), check ansible_port, and check that the address is the desk's. A ban rejects too: sudo "
            "fail2ban-client status sshd on the desk lists them. So does a rule LIMIT for ssh (sudo ufw status), from the sixth login "
            "within 30 seconds: allow the controller's address before it (sudo ufw prepend allow from ADDRESS).",
        ),
    ),
    (
        ("no route to host", "network is unreachable", "host is down"),
        Reason(
            "no_route",
            "DESK_UNREACHABLE",
            "there is no route to it: the desk is off, on another network, or its lease has moved",
            "Switch the desk on, check its management cable or Wi-Fi and its address in the inventory.",
        ),
    ),
    (
        ("timed out", "timeout", "did not respond", "not responding"),
        Reason(
            "timed_out",
            "DESK_UNREACHABLE",
            "no response in time: the desk is off, frozen or behind a firewall",
            "Look at the desk's console; a frozen desk needs a power cycle. Check the address in the inventory.",
            late=True,
        ),
    ),
    (
        ("banner line contains invalid", "banner line too long", "bad remote protocol version", "protocol major versions differ"),
        Reason(
            "port",
            "DESK_UNREACHABLE",
            "what listens at its port is not a usable ssh server",
            "Set ansible_port (the lab sheet's column port) to the port of the desk's sshd: sudo sshd -T | grep ^port tells it there; "
            "without one it is 22. Another program (a web server, a proxy, a router's page) has this port.",
        ),
    ),
    (
        (
            "message authentication code incorrect",
            "bad packet length",
            "packet corrupt",
            "corrupted mac on input",
            "corrupted padlen",
            "padding error",
            "connection corrupted",
        ),
        Reason(
            "damaged",
            "DESK_UNREACHABLE",
            "the connection arrives damaged on its way",
            "Something between the controller and the desk changes the bytes: look for errors of the management interface on both sides "
            "(ip -s link, ethtool -S), try another cable, port or adapter (Wi-Fi, a USB adapter), and leave out a VPN. Then run again.",
        ),
    ),
    (
        (
            "connection closed",
            "connection reset",
            "closed by remote host",
            "received disconnect from",
            "broken pipe",
            "lost connection",
            "kex_exchange_identification",
            "shared connection",
        ),
        Reason(
            "closed",
            "DESK_UNREACHABLE",
            "the connection was closed by the desk",
            "Look at the desk's ssh log (journalctl -u ssh); it may have restarted, be shutting down or be limiting logins. Where that has "
            "no entry, something else listens at this port: check ansible_port.",
        ),
    ),
)
