# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What looks like a secret, wherever it stands: values of telling keys in any style, tokens, keys, base64 that says something. Pure."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from . import plain_yaml

REMOVED = "REMOVED"
"""Takes the place of a secret, which needs no stand-in."""

_LONG_WORDS = (
    r"passwor[dt]|passwd|passphrase|passcode|kennwort|psk|secret|token|credential|cookie|api[-_ ]?key|access[-_ ]?key|auth[-_ ]?key"
    r"|private[-_ ]?key|pre-?shared[-_ ]?key|wep[-_]?key\d?|session[-_]?id|authorization|anonymous[-_]identity|license[-_]?key"
    r"|(?-i:[A-Z0-9]_KEY)"
)
_WORDS = rf"(?:{_LONG_WORDS}|(?<![A-Za-z])(?:pass|pwd|pw|pin(?!-priority\b)|puk|otp|community)(?![A-Za-z]))"
"""Parts of a key that name a secret; the short ones as whole words."""

_NO_VALUE = r"(?!(?:release|version|origin) |REMOVED\b)"
"""`Pin: release ...` is a line of apt's preferences. What stands before it must give no blank back, or every value would pass."""

_QUOTED = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\n]|'')*'"
_BLOCK = re.compile(
    rf"(?im)^(?P<head>(?P<indent>[ \t]*+)(?:- ++)?[\"']?[\w. -]{{0,60}}?{_WORDS}[\w-]{{0,30}}[\"']?[ \t]*:)(?P<value>[^\n]*)"
    r"(?P<more>(?:\n(?P=indent)[ \t]+[^\n]*|\n[ \t]*(?=\n))+)"
)
"""A value on the lines below its key: folded, literal, or a plain or quoted text of several lines."""

_FIELD = re.compile(rf"(?im)^(?P<head>[^\n=:{{]*{_WORDS}[\w-]{{0,30}}[\"']?[ \t]*[:=][ \t]*+){_NO_VALUE}(?P<value>[^\n]+)$")
_MEMBER = re.compile(
    rf"(?i)(?P<head>[\"']?{_WORDS}[\w-]{{0,30}}[\"']?[ \t]*[:=][ \t]*+){_NO_VALUE}"
    rf"(?P<value>{_QUOTED}|\{{[^{{}}\n]*\}}|\[[^\[\]\n]*\]|[^\s,;{{}}\[\]&\"']+)"
)
_OPTION = re.compile(rf"(?i)(?P<head>(?<![\w-])--?[\w-]{{0,30}}{_WORDS}[\w-]{{0,30}} ++){_NO_VALUE}(?P<value>{_QUOTED}|[^\s\"'-][^\s\"']*)")
_HEADER = re.compile(r"(?i)(?P<head>\bauthorization[\"']?[ \t]*[:=][ \t]*+[\"']?)(?!REMOVED\b)(?P<value>[^\s\"',;}][^\"'\n,;}]*)")
"""Its value has two words: a scheme, and what is secret."""
_SAID = re.compile(
    rf"(?i)(?P<head>(?<![A-Za-z])(?:{_LONG_WORDS})[ \t]++(?:is[ \t]++)?)(?=[^\s]{{0,200}}\d)(?=[^\s]{{0,200}}[A-Za-z])(?!0x|REMOVED)"
    rf"(?P<value>{_QUOTED}|[^\s\"',;:=]{{6,}})"
)
"""Behind the bare word, as in .netrc; what has letters and digits is no prose."""
_FIELDS = (_HEADER, _FIELD, _MEMBER, _OPTION, _SAID)
_KEY_OF_SECRET = re.compile(_WORDS, re.IGNORECASE)

_TOKEN = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
    r"|(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|gl(?:pat|dt|rt|cbt|ptt)-[\w-]{12,}|sk-[\w-]{16,}|xox[a-z]-[\w-]{10,}"
    r"|(?:AKIA|ASIA|AGPA|AIDA)[A-Z0-9]{12,}|AIza[\w-]{20,}|hf_[A-Za-z0-9]{16,}|nvapi-[\w-]{16,}|npm_\w{20,}|dckr_pat_[\w-]{10,}|ya29\.[\w-]{10,}"
    r"|pypi-[\w-]{16,}|tskey-[\w-]{10,}|dop_v1_\w{16,}|SG\.[\w.-]{16,}|shpat_\w{16,}|gsk_\w{16,}|r8_\w{16,}|rk_live_\w{10,}|[sp]k_live_\w{10,}"
    r"|(?<![\w-])eyJ[\w-]{8,4000}+\.[\w-]{4,}(?:\.[\w-]*)?|AGE-SECRET-KEY-\w{10,}|hvs\.[\w-]{10,}|ops_[\w-]{30,})"
    r"|(?i:\b(?:bearer|basic))[ \t]+(?!REMOVED)[A-Za-z0-9+/._~-]{8,}=*"
    r"|\$(?:\d|2[abxy]|[a-z][a-z0-9-]{0,15})\$[^\s:\"']{8,}|\{(?:S?SHA|S?MD5|CRYPT|PBKDF2)[\w-]*\}[^\s\"']{8,}|grub\.pbkdf2\.[\w.]{8,}"
    r"|(?i:scram-sha-\d{1,4})\$[^\s\"']{8,}|(?<=[?&]sig=)[^\s&\"']{8,}|(?<![A-Za-z0-9])(?=[A-Za-z]{0,7}[G-Zg-z])[A-Za-z]{2,8}[0-9a-f]{32,64}(?![0-9A-Za-z])"
    r"|(?<=://)(?!(?:git|anonymous|REMOVED)@)[^\s/?#\"']{1,300}(?=@(?!sha256:))"
    r"|(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])",
    re.DOTALL,
)
_RUN = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"[0-9A-Fa-f]+")
_SWITCHES = 0.3
"""Changes between capitals, small letters and digits for each character, above which a long run is no word or path (random base64: 0.6)."""

_RANDOM_LENGTH = 40
_TOKEN_LENGTH = 20
"""From here on without a slash and with several characters of each kind: the tokens of most services."""
_TOKEN_SWITCHES = 0.4
"""More than in the name of a model or a part, such as DeepSeek-R1-Distill-Qwen-32B."""
_SAYING_LENGTH = 12
_PLAIN_WORD = re.compile(r"[a-z-]{1,12}|[A-Z][a-z]{1,11}|not \w{1,12}")
_YAML_LIMIT = 262_144
"""Characters of a text that is looked through as YAML."""


def values(text: str) -> Iterator[str]:
    """The values of telling keys, without quotes."""
    for pattern in _FIELDS:
        for match in pattern.finditer(text):
            yield match.group("value").strip().strip("\"',")


def telling_key(key: str) -> bool:
    """Whether a key names a secret."""
    return _KEY_OF_SECRET.search(key) is not None


def common(secret: str) -> bool:
    """Whether a value is a word that also stands where it is no secret (`disabled`, `required`)."""
    return len(secret) < 8 or _PLAIN_WORD.fullmatch(secret) is not None or secret == REMOVED


def cut(text: str) -> str:
    """The text with every secret replaced by REMOVED; quotes and a comma behind it stay, so that YAML and JSON stay readable."""
    text = _BLOCK.sub(lambda match: f"{match['head']} {REMOVED}", text)
    for pattern in _FIELDS:
        text = pattern.sub(_without_value, text)
    return without_tokens(text)


def without_tokens(text: str) -> str:
    """The text without what is a secret by its own shape; words behind a telling key, such as an option's name, stay."""
    text = _TOKEN.sub(REMOVED, text)
    return _RUN.sub(lambda match: REMOVED if _telling(text, match) else match.group(), text)


def sparing(names: Iterable[str], look: Callable[[str], str] = cut) -> Callable[[str], str]:
    """`cut` that leaves names of desks and stacks alone: a desk token-1 is no key, and what is said of it is no value."""
    odd = sorted((name for name in set(names) if any(cut(text) != text for text in (name, f"{name}: it is so"))), key=len, reverse=True)
    if not odd:
        return look
    apart = re.compile(rf"((?<![\w.-])(?:{'|'.join(map(re.escape, odd))})(?![\w-]))")
    return lambda text: "".join(part if number % 2 else look(part) for number, part in enumerate(apart.split(text)))


def found(text: str) -> list[str]:
    """Kinds of secrets that are in a text; empty for one that `cut` gave."""
    kinds = ["a value of a telling key" for value in values(text) if value and REMOVED not in value]
    kinds += ["a key or token" for _match in _TOKEN.finditer(text)]
    kinds += ["base64 that says something" for match in _RUN.finditer(text) if _telling(text, match)]
    return kinds + ["a secret in YAML" for _value in _nested(text)]


def _without_value(match: re.Match[str]) -> str:
    value = match.group("value").rstrip()
    if not value:
        return match.group()
    comma = "," if value.endswith(",") else ""
    quote = value[0] if value[0] in "\"'" else ""
    return f"{match.group('head')}{quote}{REMOVED}{quote}{comma}"


def _telling(text: str, match: re.Match[str]) -> bool:
    """Whether a run of base64 characters is a text in disguise, or too random for a name."""
    run = match.group()
    if _HEX.fullmatch(run) or 0 <= run.find("AAAA") < 16 or text[max(0, match.start() - 7) : match.start()] == "SHA256:":
        # Hexadecimal ids, public keys and their fingerprints have stand-ins.
        return False
    bare = run.rstrip("=")
    if len(bare) >= _RANDOM_LENGTH and re.search(r"\d", bare) and _switches(bare) > _SWITCHES:
        return True
    kinds = [len(re.findall(kind, bare)) for kind in ("[A-Z]", "[a-z]", "[0-9]")]
    if len(bare) >= _TOKEN_LENGTH and "/" not in bare and min(kinds[:2]) > 2 and kinds[2] > 1 and _switches(bare) > _TOKEN_SWITCHES:
        return True
    return bool(re.search("[A-Z]", bare) and re.search("[a-z]", bare)) and _says(bare)


def _switches(run: str) -> float:
    kinds = [0 if item.isupper() else 1 if item.islower() else 2 if item.isdigit() else 3 for item in run]
    return sum(one != two and 3 not in (one, two) for one, two in itertools.pairwise(kinds)) / len(run)


def _says(run: str) -> bool:
    """Whether it decodes to printable text."""
    plain = run.replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(plain[: len(plain) // 4 * 4])
    except (binascii.Error, ValueError):
        return False
    return len(data) >= _SAYING_LENGTH and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in data)


def _nested(text: str) -> Iterator[Any]:
    """Values below telling keys of a YAML or JSON text, whatever the style."""
    if len(text) > _YAML_LIMIT or not re.search(_WORDS, text, re.IGNORECASE) or ":" not in text:
        return
    try:
        waiting = [(False, plain_yaml.load(text, _YAML_LIMIT))]
    except plain_yaml.PlainYamlError:
        return
    while waiting:
        secret, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(secret or bool(_KEY_OF_SECRET.search(str(key))), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [(secret, item) for item in value]
        elif secret and isinstance(value, (str, int, float)) and not isinstance(value, bool) and re.match(_NO_VALUE, str(value)):
            yield value
