# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the words of ssh and sudo are taken for, beside the usual ones."""

from __future__ import annotations

import time

import pytest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.connection_errors import classify


@pytest.mark.parametrize(
    "text",
    [
        "sudo-rs: A terminal is required to authenticate",
        "sudo: you are required to change your password immediately",
        "sudo: pam_unix: account expired",
        "sudo: I'm sorry lab. I'm afraid I can't do that",
        "sudo: /etc/sudoers.d/lab is world writable",
        'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.',
        "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set",
        "sudo: PAM account management error: Authentication service cannot retrieve authentication info",
        "sudo: Ein Passwort ist notwendig",
        "Welcome\nsudo: unable to resolve host desk: Name or service not known\nsudo: Konto ist abgelaufen",
        "sudo : d\u00e9sol\u00e9, vous devez avoir un terminal tty pour ex\u00e9cuter sudo",
        "sudo\u00a0: il est n\u00e9cessaire de saisir un mot de passe",
        "Failed to start transient service unit: Interactive authentication required.",
        "su: Authentication failure",
        "su: Permission denied",
    ],
)
def test_sudo_that_refuses_is_no_lost_connection(text: str) -> None:
    assert (classify(text).kind, classify(text).code) == ("become", "BECOME_FAILED")


@pytest.mark.parametrize("step", ["account management", "authentication"])
def test_an_account_that_sudo_cannot_look_up_is_told(step: str) -> None:
    found = classify(f"sudo: PAM {step} error: Authentication service cannot retrieve authentication info\nsudo: a password is required")
    assert found.code == "BECOME_FAILED" and "look up the account" in found.sentence
    assert found.remedy is not None and "sssd" in found.remedy and "/etc/shadow" in found.remedy


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("You must change your password now and login again!", "auth", "password has expired"),
        ("System is booting up. Unprivileged users are not permitted to log in yet.", "closed", "starting or shutting down"),
        ("Bad owner or permissions on /home/u/.ssh/config", "other", "its own configuration"),
        ('Load key "/home/u/.ssh/id_ed25519": error in libcrypto', "other", "its own configuration or key"),
        ('unix_listener: path "/home/u/.ansible/cp/x" too long for Unix domain socket', "other", "its own configuration"),
        ('Please login as the user "nvidia" rather than the user "root".', "auth", "refuses the login"),
        ("mux_client_request_session: session request failed: Session open refused by peer", "closed", "opens no session"),
        ("channel 0: open failed: administratively prohibited: open failed", "closed", "opens no session"),
        ("shell request failed on channel 0", "closed", "opens no session"),
        ("ssh: connect to host fe80::1 port 22: Invalid argument", "other", "the controller cannot open a connection"),
        ("ssh: connect to host 10.0.0.7 port 22: Permission denied", "other", "the controller cannot open a connection"),
        ("ssh: connect to host 10.0.0.7 port 2222: Operation not permitted", "other", "the controller cannot open a connection"),
        ("ssh: connect to host 10.0.0.7 port 22: Cannot assign requested address", "other", "the controller cannot open a connection"),
        ("kex_exchange_identification: banner line contains invalid characters", "port", "not a usable ssh server"),
        ("Bad remote protocol version identification: 'HTTP/1.1 400 Bad Request'", "port", "not a usable ssh server"),
        ("Bad packet length 1231976033.", "damaged", "arrives damaged"),
        ("ssh_dispatch_run_fatal: Connection to 10.0.0.7 port 22: message authentication code incorrect", "damaged", "arrives damaged"),
        ("banner exchange: Connection to 10.0.0.7 port 22: Broken pipe", "closed", "closed by the desk"),
        ("No user exists for uid 1000650000", "other", "has no account"),
        ("OpenSSL version mismatch. Built against 30000020, you have 30300000", "other", "does not start"),
        ("ssh: symbol lookup error: ssh: undefined symbol: EVP_KDF_ctrl, version OPENSSL_1_1_1b", "other", "does not start"),
        ("Not allowed at this time", "closed", "blocks the controller for a while"),
        ("No supported authentication methods available (server sent: publickey)", "auth", "refuses the login"),
        ("Control socket connect(/x): Connection refused\nssh: connect to host x port 22: No route to host", "no_route", "no route"),
        ("sudo: unable to resolve host desk: Temporary failure in name resolution\nConnection reset by peer", "closed", "closed"),
        ("ssh: Could not resolve hostname desk: Name or service not known", "name", "does not resolve"),
        ("mkdir: cannot create directory '/home/u/.ansible/tmp/x': No space left on device\n", "full", "no room left"),
        ("mkdir: cannot create directory '/home/u/.ansible/tmp/x': Disk quota exceeded", "full", "no room left"),
        ("Failed to create temporary directory. In some cases, you may have been able to authenticate", "no_files", "may not write"),
        (
            "Failed to create temporary directory. result 254, stderr output: bash: fork: retry: Resource unavailable",
            "processes",
            "no more processes",
        ),
        ("exited with result 2, stderr output: /bin/sh: 1: Cannot fork", "processes", "no more processes"),
        ("mkdir: cannot create directory '/home/u/.ansible/tmp': Read-only file system", "no_files", "may not write"),
        (
            "Failed to create temporary directory. exited with result 1, stdout output: This account is currently not available.",
            "shell",
            "runs no commands",
        ),
        ("Failed to create temporary directory. result 1, stdout output: Must be connected to a terminal.", "shell", "start-up"),
        ("rbash: /bin/sh: restricted: cannot specify `/' in command names", "shell", "runs no commands"),
        ("This service allows sftp connections only.", "shell", "runs no commands"),
        (
            "kex_exchange_identification: banner line contains invalid characters\nbanner exchange: invalid format",
            "port",
            "not a usable ssh server",
        ),
        (
            "Corrupted MAC on input.\nssh_dispatch_run_fatal: Connection to 10.0.0.7 port 22: message authentication code incorrect",
            "damaged",
            "damaged on its way",
        ),
        ("Connection to 10.0.0.7 closed by remote host.", "closed", "closed by the desk"),
        (
            "Could not create directory '/home/u/.ssh' (Permission denied).\nConnection reset by 10.0.0.7 port 22",
            "closed",
            "closed by the desk",
        ),
        ("Bad packet length 1349676916.\r\nConnection closed by 10.0.0.7 port 22", "damaged", "damaged on its way"),
    ],
)
def test_other_words(text: str, kind: str, words: str) -> None:
    assert classify(text).kind == kind and words in classify(text).sentence


@pytest.mark.parametrize(
    "text", ["Timeout (12s) waiting for privilege escalation prompt: ", "sudo: timed out reading password", "sudo: timeout waiting for PAM"]
)
def test_sudo_that_is_late_is_told_as_late(text: str) -> None:
    found = classify(text)
    assert found.code == "BECOME_FAILED" and "in time" in found.sentence and "sudo -v" in found.remedy
    assert "in time" not in classify(f"{text}\nSorry, try again.").sentence


@pytest.mark.parametrize(
    "after", ["Traceback (most recent call last):\nMemoryError", "/usr/bin/python3: error while loading shared libraries: libexpat.so.1: x"]
)
def test_what_sudo_says_before_it_starts_the_program_is_no_refusal(after: str) -> None:
    said = "MODULE FAILURE\nsudo: unable to send audit message: Operation not permitted\n"
    assert not classify(f"{said}{after}").become
    refused = said.replace("unable to send audit message", "PERM_SUDOERS: setresuid(-1, 1, -1)")
    assert classify(f"{refused}Shared connection to 10.0.0.7 closed.").become and not classify(f"{refused}{after}").become


@pytest.mark.parametrize("reason", ["expired", "not yet valid", "name is not a listed principal"])
def test_a_host_certificate_that_is_not_valid_is_no_other_machine(reason: str) -> None:
    found = classify(f"Certificate invalid: {reason}\nHost key verification failed.", enrolled=True)
    assert found.code == "DESK_UNREACHABLE" and "certificate" in found.sentence and "timedatectl" in found.remedy


@pytest.mark.parametrize(
    "text",
    [
        "sudo: you do not exist in the passwd database",
        "sudo: unknown uid 30001: who are you?",
        "sudo: PAM account management error: User not known to the underlying authentication module\nsudo: a password is required",
        "Premature end of stream waiting for become success.\n>>> Standard Error\nsudo: you do not exist in the passwd database",
    ],
)
def test_a_user_that_the_directory_no_longer_tells_is_no_wrong_sudoers_file(text: str) -> None:
    """The service of a directory went down while a shared connection still stood."""
    found = classify(text)
    assert (found.code, "look up the account" in found.sentence) == ("BECOME_FAILED", True)
    assert found.remedy is not None and "sssd" in found.remedy and "getent passwd USER" in found.remedy


def test_words_that_nobody_knows_stand_in_the_message() -> None:
    text = "Protocol error: expected packet type 31, got 80"
    assert classify(text).told(text) == f"it could not be reached: {text}"
    assert classify("Connection refused").told("x") == classify("Connection refused").sentence


DENIED = "lab@10.0.0.7: Permission denied (publickey,password)."


@pytest.mark.parametrize(
    "text",
    [
        "Permissions 0644 for '/home/u/.ssh/id' are too open.\nLoad key \"/home/u/.ssh/id\": bad permissions",
        'Load key "/home/u/.ssh/id": error in libcrypto',
        'sign_and_send_pubkey: signing failed for ED25519 "/home/u/.ssh/id" from agent: agent refused operation',
        "Warning: Identity file /home/u/.ssh/lab not accessible: No such file or directory.",
        "no such identity: /home/u/.ssh/lab: No such file or directory",
    ],
)
def test_a_key_that_the_controller_could_not_use_is_named_before_the_desk(text: str) -> None:
    found = classify(f"{text}\n{DENIED}")
    assert found.code == "AUTH_FAILED" and "could not use a key" in found.sentence and "chmod 600" in found.remedy
    assert "could not use a key" not in classify(DENIED).sentence


def test_sudo_for_some_commands_only_is_no_wrong_password() -> None:
    found = classify("Sorry, user lab is not allowed to execute '/bin/sh -c echo BECOME-SUCCESS-x ; /usr/bin/python3' as root on desk-01.")
    assert found.code == "BECOME_FAILED" and "some commands only" in found.sentence and "ask-become-pass" not in found.remedy


CLOSED = "Connection closed by UNKNOWN port 65535"


@pytest.mark.parametrize(
    "text",
    [
        "channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed",
        "ssh: Could not resolve hostname jump: Name or service not known",
        "ssh: connect to host jump port 22: Connection timed out",
        "lab@jump: Permission denied (publickey).",
        "/bin/sh: 1: exec: cloudflared: not found",
        "bash: line 1: exec: ncat: not found\nkex_exchange_identification: Connection closed by remote host",
        "zsh:1: command not found: tailscale",
        "websocket: bad handshake",
        "No ED25519 host key is known for jump and you have requested strict checking.\nHost key verification failed.",
        "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
        "Ncat: Proxy returned status code 407.\nkex_exchange_identification: Connection closed by remote host",
        "/bin/sh: 1: exec: cloudflared: not found\nkex_exchange_identification: Connection closed by remote host",
    ],
)
@pytest.mark.parametrize("enrolled", [False, True])
def test_what_a_jump_host_does_is_not_the_desks_doing(text: str, enrolled: bool) -> None:
    found = classify(f"{text}\n{CLOSED}", enrolled=enrolled)
    assert (found.kind, found.code) == ("jump", "DESK_UNREACHABLE") and "jump host" in found.sentence


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"channel 0: open failed: connect failed: No route to host\nstdio forwarding failed\n{CLOSED}", "no_route"),
        (f"channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\n{CLOSED}", "refused"),
        (f"kex_exchange_identification: Connection closed by remote host\n{CLOSED}", "closed"),
        (DENIED, "auth"),
        ("Host key verification failed.", "host_key_unknown"),
    ],
)
def test_a_desk_behind_a_jump_host_is_told_as_ever(text: str, kind: str) -> None:
    assert classify(text).kind == kind


@pytest.mark.parametrize(
    ("first", "passed_over"),
    [
        ("/etc/sudoers.d/lab:1:23: syntax error\nlab ALL=(ALL) NOPASSWD ALL\n                      ^~~", True),
        (">>> /etc/sudoers.d/lab: syntax error near line 1 <<<\nsudo: parse error in /etc/sudoers.d/lab near line 1", True),
        ("sudo: /etc/sudoers.d/lab is owned by uid 1000, should be 0", True),
        ("sudo: /etc/sudoers.d/lab is world writable", True),
        ("sudo: /etc/sudoers is mode 0646, should be 0440", True),
        ("sudo: /etc/sudo.conf is group writable", True),
        ("bash: /home/lab/.bashrc: line 120: syntax error near unexpected token `fi'", False),
        ("sudo: unable to resolve host desk: Name or service not known", False),
    ],
)
def test_a_sudoers_file_that_sudo_passes_over_is_no_missing_password(first: str, passed_over: bool) -> None:
    found = classify(f"{first}\nsudo: a password is required")
    assert found.code == "BECOME_FAILED" and ("passes over" in found.sentence) is passed_over
    assert ("visudo -c" in found.remedy) is passed_over and ("--ask-become-pass" in found.remedy) is not passed_over


@pytest.mark.parametrize(
    "hint",
    [
        "sudo: unable to resolve host desk: Name or service not known",
        "sudo: unable to send audit message: Operation not permitted",
        "sudo: setrlimit(RLIMIT_CORE): Operation not permitted",
        "sudo: timestamp too far in the future: Nov 28 10:00:00 2027",
        "sudo: unable to mkdir /run/sudo/ts: Read-only file system",
        'sudo: /etc/sudoers:11:10: unknown defaults entry "requirettty"',
        'sudo: /etc/sudoers.d/lab:3:17: value "yes" is invalid for option "passwd_tries"',
        "sudo: problem with defaults entries",
    ],
)
def test_what_sudo_only_remarks_is_no_refusal(hint: str) -> None:
    assert classify(f"Module result deserialization failed.\n{hint}\nKilled").kind != "become"
    assert classify(f"{hint}\nsudo: a password is required").kind == "become"


LOCKED = "The account is locked due to 3 failed logins.\n(6 minutes left to unlock)"


@pytest.mark.parametrize(
    "then", ["sudo: a password is required", "Sorry, try again.\nsudo: 1 incorrect password attempt", "Incorrect sudo password"]
)
def test_a_user_that_failed_passwords_locked_is_not_only_asked_for_one(then: str) -> None:
    found = classify(f"{LOCKED}\n{then}")
    assert found.code == "BECOME_FAILED" and "locked" in found.sentence and "faillock" in found.remedy


def test_a_login_that_the_desk_locked_is_still_the_logins() -> None:
    assert classify(f"{LOCKED}\n{DENIED}").code == "AUTH_FAILED"


def test_a_stale_key_of_an_address_is_no_other_desk_where_ssh_went_on() -> None:
    warning = "Warning: the ED25519 host key for 'desk-01' differs from the key for the IP address '10.0.0.11'\n"
    lines = "Offending key for IP in /home/a/.ssh/known_hosts:12\nMatching host key in /home/a/.ssh/known_hosts:4\n"
    assert classify(f"{warning}{lines}{DENIED}").code == "AUTH_FAILED"
    stopped = f"{warning}{lines}Exiting, you have requested strict checking.\nHost key verification failed."
    assert classify(stopped).code == "DESK_IDENTITY_WRONG"


@pytest.mark.parametrize("enrolled", [False, True])
@pytest.mark.parametrize("why", ["expired", "not yet valid", "name is not a listed principal"])
def test_a_host_certificate_that_is_not_valid_is_no_missing_enrolment(why: str, enrolled: bool) -> None:
    text = f"Certificate invalid: {why}\nNo ED25519 host key is known for 10.0.0.11 and you have requested strict checking.\n"
    found = classify(f"{text}Host key verification failed.", enrolled=enrolled)
    assert found.code == "DESK_UNREACHABLE" and "certificate" in found.sentence and "ssh-keygen -L" in found.remedy


def test_an_address_that_the_controller_has_no_family_for_is_the_controllers() -> None:
    found = classify("ssh: connect to host fd00::11 port 22: Address family not supported by protocol")
    assert "the controller cannot open" in found.sentence


def test_a_desk_without_sftp_is_not_shutting_down() -> None:
    found = classify(
        "failed to transfer file to /home/lab/.ansible/tmp/x:\n\nsubsystem request failed on channel 0\nscp: Connection closed"
    )
    assert "sftp" in found.sentence and "Subsystem sftp" in found.remedy


@pytest.mark.parametrize(
    "text",
    [
        "Connection to 10.0.0.11 closed by remote host.",
        "Received disconnect from 10.0.0.11 port 22:11: disconnected by user\nDisconnected from 10.0.0.11 port 22",
        "Received disconnect from 10.0.0.11 port 22:2: dispatch_protocol_error",
    ],
)
def test_a_desk_that_restarts_in_the_middle_has_closed_the_connection(text: str) -> None:
    found = classify(text)
    assert found.kind == "closed" and found.remedy is not None and "restart" in found.remedy


PROMPT = "[sudo: [sudo via ansible, key=spnnznrgscgdxdontsjkwrly] password:] Password:"


@pytest.mark.parametrize(
    "text",
    [
        f"Task failed: Timeout (12s) waiting for privilege escalation prompt: {PROMPT}",
        f"Task failed: Timed out waiting for become success or become password prompt.\n>>> Standard Error\n{PROMPT}",
    ],
)
def test_the_prompt_of_sudo_rs_is_told_as_that(text: str) -> None:
    found = classify(text)
    assert (found.kind, found.code, found.late) == ("become", "BECOME_FAILED", False)
    assert "sudo-rs" in found.sentence and "ansible_become_exe: sudo.ws" in str(found.remedy)


@pytest.mark.parametrize(
    "text",
    [
        "Timeout (12s) waiting for privilege escalation prompt: ",
        "Task failed: Timed out waiting for become success or become password prompt.",
        "Timed out waiting for become success.\n>>> Standard Output\nMOTD",
        "Premature end of stream waiting for become success or become password prompt.",
    ],
)
def test_a_sudo_that_keeps_ansible_waiting_is_no_desk_that_is_off(text: str) -> None:
    assert (classify(text).kind, classify(text).code) == ("become", "BECOME_FAILED")


@pytest.mark.parametrize("word", ["account is locked due to ", "sudo: ", "from unknown port 65535\n", "warning: the x host key ", "a"])
def test_what_a_desk_writes_before_ssh_fails_may_have_no_end(word: str) -> None:
    """A login's start-up file that writes megabytes to the error output, and ends as ssh ends."""
    begun = time.process_time()
    reason = classify(word * (4_000_000 // len(word)) + "\nssh: connect to host 10.0.0.11 port 22: No route to host")
    assert time.process_time() - begun < 5.0
    assert reason.kind in ("no_route", "become", "auth")


CHANGED = (
    "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nOffending ED25519 key in /home/a/.ssh/known_hosts:3\n"
    "Host key for 10.0.0.11 has changed and you have requested strict checking.\n"
)


@pytest.mark.parametrize("before", ["", "ssh_askpass: exec(/usr/bin/ssh-askpass): No such file or directory\n", "Welcome to the lab\n"])
def test_without_a_terminal_ssh_only_says_that_a_key_it_never_saw_was_not_verified(before: str) -> None:
    text = f"{before}Host key verification failed."
    assert (classify(text).code, classify(text).kind) == ("HOST_KEY_UNCONFIRMED", "host_key_unknown")
    assert classify(text, enrolled=True).code == "DESK_IDENTITY_WRONG"
    assert classify(f"{CHANGED}{text}").code == "DESK_IDENTITY_WRONG"


def test_a_revoked_key_is_told_as_that() -> None:
    text = (
        "@       WARNING: REVOKED HOST KEY DETECTED!               @\nThe ED25519 host key for 10.0.0.11 is marked as revoked.\n"
        "ED25519 host key for 10.0.0.11 was revoked and you have requested strict checking.\nHost key verification failed."
    )
    found = classify(text)
    assert (
        found.code == "DESK_IDENTITY_WRONG"
        and "revoked" in found.sentence
        and "@revoked" in found.remedy
        and "unknown" not in found.sentence
    )


def test_a_name_in_ssh_s_own_configuration_that_it_cannot_expand_is_the_controllers() -> None:
    assert "its own configuration" in classify("percent_expand: unknown key %k").sentence


def test_a_limit_of_ufw_refuses_as_a_missing_server_does() -> None:
    found = classify("ssh: connect to host 10.0.0.11 port 22: Connection refused")
    assert found.kind == "refused" and "ufw" in str(found.remedy) and "LIMIT" in str(found.remedy)
