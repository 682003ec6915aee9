# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed connection means, told apart from the text that ssh or sudo printed. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from .admission.text import ends
from .connection_reasons import HOST_KEY, LOGIN_SHELLS, REASONS, UNKNOWN_KEY, Reason

WORDS_LIMIT = 65536
"""Characters of one text that are looked at: what a desk writes before ssh fails may have no end. ssh's own words come last."""

_CONTROLLER = re.compile(
    r"connect to host \S{1,255} port \d{1,5}: "
    r"(?:permission denied|operation not permitted|invalid argument|cannot assign requested address|address family not supported)"
)
"""What the controller's own kernel says of a connection, before anything leaves it."""
_SUDO = re.compile(r"(?:^|\n|[\"'] ?)sudo(?:-rs)?[ \u00a0\u202f]?: (?!\S{1,100}: command not found)\S")
"""A line in which sudo speaks, in whatever language; French puts a blank before the colon."""


_STARTED = re.compile(r"traceback \(most recent call last\)|fatal python error|error while loading shared libraries|bad interpreter")
"""What only a program says that sudo started: a line of sudo's before it (a file that it passed over, the audit) was no refusal."""
_HINT = re.compile(
    r"sudo(?:-rs)?: (?:unable to resolve host|unable to send audit message|setrlimit\(|timestamp too far in the future|"
    r"/etc/sudoers\S{0,100}?:\d{1,6}(?::\d{1,6})?: (?:unknown defaults entry|value |option )|problem with defaults entries|"
    r"unable to \w{2,8} /(?:var/)?(?:run|lib)/sudo)[^\n]*"
)
"""What sudo only remarks before it goes on: the error, if there is one, is another line."""
_STALE = re.compile(
    r"warning: the \S{1,40} host key for '[^'\n]{1,255}' differs from the key for the ip address[^\n]*"
    r"(?:\n(?:offending key for ip|matching host key) in [^\n]*)*"
)
"""An older key of the address, whose owner's name has the right one; ssh goes on, unless it is told to be strict."""
_SUDOERS = re.compile(
    r"/sudoers(?:\.d/\S{1,100})?:\d{1,6}(?::\d{1,6})?: syntax error|parse error in /etc/sudoers|no valid sudoers sources found|"
    r"/etc/sudo(?:ers(?:\.d(?:/\S{1,100})?)?|\.conf) (?:is owned by (?:uid|gid) |is (?:world|group) writable|is mode )"
)
"""A sudoers file that sudo does not read; what it says next, such as that a password is required, only follows from that."""
_SUDOERS_FILE = re.compile(r"/etc/sudo(?:ers(?:\.d/[^\s:,]{1,100})?|\.conf)")
_KEY = re.compile(
    r"load key |unprotected private key file|sign_and_send_pubkey: |identity file \S{1,255} not accessible|no such identity: "
)
"""A key that ssh could not read or sign with; it matters where a login was refused then."""
_OTHER_KEY = re.compile(r"identification has changed|has changed and you have|revoked|differs from the key|offending")
"""What ssh says before it gives up where it knows another key. Of a key that it does not know at all it asks on a terminal, and without
one says nothing but that the verification failed."""
_PIPE_CLOSED = "connection closed by unknown port 65535"
"""What ssh says where it speaks through a jump host (a pipe, which has no address) and that way ends."""
_JUMP = re.compile(
    r"open failed: administratively prohibited|could not resolve hostname|connect to host |permission denied \(|host key verification"
    r"|exec: \S{1,200}: not found|command not found|\bproxy\b|websocket: bad handshake"
)
"""Why the ssh to the jump host, or the program of a ProxyCommand, ended. What a jump host tells of the desk ("open failed: connect
failed") is not among it."""


def classify(*texts: str, enrolled: bool = False) -> Reason:
    """The reason behind some error texts. ``enrolled``: its host keys are known, so a key that is not known is another one."""
    text = "\n".join(ends(text, WORDS_LIMIT) for text in texts).lower()
    text = _HINT.sub("", text)
    # The controller's own ~/.ssh, which ssh does without where it may not be written (as in a container).
    text = re.sub(r"could not create directory '[^\n]*|failed to add the host to the list of known hosts[^\n]*", "", text)
    if "exiting, you have requested strict checking" not in text:
        text = _STALE.sub("", text)
    # A shared connection that is gone, after which ssh makes one of its own.
    text = re.sub(r"control socket connect\([^\n]*", "", text)
    if _JUMP.search(text.rpartition(_PIPE_CLOSED)[0]):
        text += " {jump}"
    if _KEY.search(text.rpartition("permission denied (")[0]):
        text += " {key}"
    if "host key verification failed" in text and not _OTHER_KEY.search(text):
        text += " {unknown key}"
    text = _CONTROLLER.sub("{controller}", text)
    if _SUDOERS.search(text):
        text += " {sudoers}"
    said = list(_SUDO.finditer(text))
    if said and not _STARTED.search(text, said[-1].end()):
        text += " {sudo}"
    if "sudo" in text.partition("account is locked due to ")[2] and "permission denied (" not in text:
        text += " {sudo locked}"
    text += "".join(f" {mark}" for mark, pattern, _words, _remedy in LOGIN_SHELLS if pattern.search(text))
    for signs, reason in REASONS:
        if any(sign in text for sign in signs):
            if "{sudoers}" in signs and (named := _SUDOERS_FILE.search("\n".join(ends(text, WORDS_LIMIT) for text in texts))):
                return replace(reason, sentence=f"{reason.sentence} ({named.group()})")
            return HOST_KEY if enrolled and signs is UNKNOWN_KEY else reason
    return Reason("other", "DESK_UNREACHABLE", "it could not be reached", None)
