# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one gate for what a desk says: nothing on the controller reads an answer that did not come through here.

Of an answer pass: what the module documents (RETURN; for facts the model's dataclasses), findings, and of Ansible's own keys those that
say what became of a module. Everything else is left out, above all facts under other names than ``spark``, which would become variables on
the controller, and keys that Ansible acts on (``add_host``, ``_ansible_...``).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ...module_utils.judges.catalogue import CODES, finding
from ...module_utils.model.cable import CableProbe
from ...module_utils.model.desk import Desk
from ...module_utils.model.finding import EVIDENCE_LIMIT, Finding, Where, bounded
from ...module_utils.model.kinds import LINE, Kind
from ...module_utils.model.update import Look
from ..documented import returned_of
from ..secret_shapes import cut as without_secrets
from ..secret_shapes import sparing, without_tokens
from .schema import Check, Refused, anything, boolean, declared, either_null_or, integer, listed, of_dataclass, of_documentation, text
from .text import cut, line

COLLECTION = "labops.dgx_spark."
MOST_FINDINGS = 500
MESSAGE_LIMIT = 4096
TEXT_LIMIT = 8 * MESSAGE_LIMIT
"""Characters in which a secret is looked for before a message is cut to its length, lest half of one is left."""
OUTPUT_LIMIT = 16384
"""Characters that are kept of a module's own words when it failed."""
ANSWER_LIMIT = 1 << 24
"""Characters of one answer. The largest honest one, a packed recording, has about a million."""
MEASURING = frozenset({"rdma_pair", "nccl_pair"})
"""Modules that the head of a stack runs for all of its members, of whom it may therefore speak."""
SAYS_IT = frozenset({"findings", "measured", "cable", "recorded"})
"""Documented values without which an answer that did not fail says nothing: an empty one must not pass for a good one."""


class AnswerInvalid(Exception):
    """An answer that did not pass."""

    def __init__(self, desk: str, module: str, refused: Refused) -> None:
        self.desk, self.module, self.refused = desk, module, refused
        super().__init__(f"{desk}: the answer of {module} was not accepted: {refused}")

    @property
    def finding(self) -> Finding:
        """The finding on that desk."""
        evidence = {"module": self.module, "where": self.refused.path, "found": self.refused.found, "expected": self.refused.expected}
        return finding("DESK_ANSWER_INVALID", Where(desk=self.desk), cut(line(str(self)), 600), evidence=evidence)

    @property
    def result(self) -> dict[str, Any]:
        """The failed result that takes the answer's place."""
        found = self.finding
        return {"failed": True, "changed": False, "msg": found.message, "findings": [found.as_dict()]}


@dataclass(frozen=True)
class Speaker:
    """Who answers, and of whom it may speak."""

    desk: str
    stack: str | None = None
    members: frozenset[str] = frozenset()
    """The desks of its stack, itself included."""

    @property
    def names(self) -> frozenset[str]:
        """What its words may name."""
        return frozenset((self.desk, *self.members, *((self.stack,) if self.stack else ())))


def admit(module: str, answer: Any, speaker: Speaker) -> dict[str, Any]:
    """The part of a module's answer that may be read. Raises AnswerInvalid."""
    name = module.removeprefix(COLLECTION)
    try:
        return _admitted(name, answer, speaker, ours=module.startswith(COLLECTION))
    except Refused as refused:
        raise AnswerInvalid(speaker.desk, name, refused) from None
    except RecursionError:
        raise AnswerInvalid(speaker.desk, name, Refused("", "nested too deep", "plain data")) from None


def _admitted(name: str, answer: Any, speaker: Speaker, ours: bool) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise Refused("", type(answer).__name__, "a mapping")
    checks, required = _documented(name) if ours else ({}, frozenset())
    taken: dict[str, Any] = {}
    for key, value in answer.items():
        if key in OWN:
            taken[key] = OWN[key](value, key)
        elif key == "findings" and ours:
            taken[key] = findings(value, speaker, members=name in MEASURING)
        elif key in checks:
            taken[key] = checks[key](value, key)
    if not taken.get("failed"):
        for key in sorted(required):
            if taken.get(key) is None:
                raise Refused(key, "missing", "what the documentation of the module says")
    if isinstance(taken.get("cable"), dict) and taken["cable"]["desk"] != speaker.desk:
        taken["cable"] = {**taken["cable"], "desk": speaker.desk}
    return taken


@functools.cache
def _documented(name: str) -> tuple[dict[str, Check], frozenset[str]]:
    """The checks of a module's documented values, and which are always there."""
    if name == "spark_facts":
        spark = declared({"spark": _desk}, frozenset({"spark"}))
        return {"ansible_facts": spark, "findings": anything, "processes": integer}, frozenset({"ansible_facts", "findings"})
    returned = returned_of(name)
    checks = {**of_documentation(returned), **FINER.get(name, {})}
    if name == "rdma_pair":
        # "In the form of the values" of the whole answer, as its documentation says.
        ends = listed(declared({"desk": text(LINE), "port": either_null_or(integer)}))
        checks["paths"] = listed(declared({**checks, "path": text(LINE), "ends": ends}))
    return checks, frozenset(key for key in SAYS_IT & checks.keys() if returned[key].get("returned") != "on failure")


FINER: dict[str, dict[str, Check]] = {
    "cx7_cable": {"cable": of_dataclass(CableProbe)},
    # A plan is judged with those of all other desks.
    "desk_update": {"look": of_dataclass(Look)},
    "spark_record": {"recorded": text(Kind("base64", r"[A-Za-z0-9+/]*={0,2}", ANSWER_LIMIT))},
    # Read field by field, with limits of its own, by plugin_utils/workload (check.py, elf.py).
    "workload_check": {"told": text(Kind("base64", r"[A-Za-z0-9+/]*={0,2}", ANSWER_LIMIT))},
}
"""Values that are known more closely than the documentation can say."""


def facts(spark: Any, desk: str) -> dict[str, Any]:
    """Facts that come from elsewhere than a module's answer, such as Ansible's variables. Raises AnswerInvalid."""
    try:
        admitted: dict[str, Any] = _desk(spark, "ansible_facts.spark")
    except (Refused, RecursionError) as error:
        refused = error if isinstance(error, Refused) else Refused("ansible_facts.spark", "nested too deep", "plain data")
        raise AnswerInvalid(desk, "spark_facts", refused) from None
    return admitted


def _desk(value: Any, path: str) -> dict[str, Any]:
    """Facts of a desk. Into our files there others may have written what is no business of ours (a token beside the settings)."""
    taken: dict[str, Any] = of_dataclass(Desk)(value, path)
    setup = taken.get("setup") or {}
    setup.update({name: without_secrets(setup[name]) for name in ("pair_env", "link_file") if isinstance(setup.get(name), str)})
    return taken


@functools.lru_cache(256)
def _of(names: frozenset[str]) -> Callable[[str], str]:
    return sparing(names)


def discreet(value: Any, names: Iterable[str] = ()) -> Any:
    """Plain data without the secrets that programs print (apt names an archive with its login). ``names`` of desks and stacks stay."""
    told = _of(frozenset(names))

    def inner(item: Any) -> Any:
        if isinstance(item, str):
            return told(item)
        if isinstance(item, dict):
            return {name: inner(inside) for name, inside in item.items()}
        return [inner(inside) for inside in item] if isinstance(item, list) else item

    return inner(value)


# ---- findings ----------------------------------------------------------------------------------------------------------


def findings(given: Any, speaker: Speaker, members: bool = False) -> list[dict[str, Any]]:
    """Findings of listed codes about the speaker, or (``members``) about the desks of its stack. Raises Refused."""
    if not isinstance(given, list | tuple):
        raise Refused("findings", type(given).__name__, "a list")
    if len(given) > MOST_FINDINGS:
        raise Refused("findings", f"a list of {len(given)}", f"at most {MOST_FINDINGS} entries")
    return [_finding(item, f"findings[{place}]", speaker, members) for place, item in enumerate(given)]


def _finding(given: Any, path: str, speaker: Speaker, members: bool) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise Refused(path, type(given).__name__, "a mapping")
    code, severity = given.get("code"), given.get("severity")
    listed_code = CODES.get(code) if isinstance(code, str) else None
    if listed_code is None:
        raise Refused(f"{path}.code", cut(repr(code)[:200], 80), "a code of the catalogue")
    if severity not in listed_code.allowed:
        raise Refused(f"{path}.severity", cut(repr(severity)[:200], 80), " or ".join(listed_code.allowed))
    place = _where(given.get("where"), path, speaker, members)
    evidence = _evidence(given.get("evidence"), path)
    return {
        "code": code,
        "severity": severity,
        "subject": place.subject,
        "where": place.as_dict(),
        "message": cut(discreet(line(_text(given.get("message"), f"{path}.message")[:TEXT_LIMIT]), speaker.names), MESSAGE_LIMIT),
        "evidence": discreet(evidence, speaker.names),
        # Its own words name options of passwords; what it repeats of a program may hold a login.
        "remedy": cut(without_tokens(_text(given.get("remedy"), f"{path}.remedy")[:TEXT_LIMIT]), MESSAGE_LIMIT),
    }


def _where(given: Any, path: str, speaker: Speaker, members: bool) -> Where:
    """The place, forced to the speaker and its stack."""
    told = given if isinstance(given, dict) else {}
    pair = speaker.stack if told.get("pair") is not None else None
    desk = told.get("desk")
    if not (members and isinstance(desk, str) and desk in speaker.members) and (desk is not None or pair is None):
        desk = speaker.desk
    port, function = told.get("port"), told.get("function")
    if port is not None:
        port = integer(port, f"{path}.where.port")
    if function is not None:
        function = cut(line(_text(function, f"{path}.where.function")), 64)
    return Where(pair, desk, port, function)


def _evidence(given: Any, path: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise Refused(f"{path}.evidence", type(given).__name__, "a mapping")
    # What a finding follows from is known to the judge of all desks alone: it leaves the finding out of what is to be done.
    taken: dict[str, Any] = anything({key: value for key, value in given.items() if key != "follows_from"}, f"{path}.evidence")
    return taken if len(json.dumps(taken)) <= EVIDENCE_LIMIT else bounded(taken)


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise Refused(path, type(value).__name__, "a text")
    return value


# ---- Ansible's own keys ------------------------------------------------------------------------------------------------


def _words(value: Any, path: str) -> str:
    """What somebody said, in whatever form: never refused, since it is only shown."""
    del path
    return cut(value if isinstance(value, str) else repr(value)[: 2 * OUTPUT_LIMIT], OUTPUT_LIMIT)


def _trace(value: Any, path: str) -> str:
    """A module's traceback, which newer versions of Ansible carry in an object; without one the exception's own words."""
    told = getattr(value, "event", value)
    words = getattr(told, "formatted_traceback", None) or getattr(told, "msg", None) or ""
    return _words(value if isinstance(value, str) else words, path)


def _sentences(value: Any, path: str) -> list[str]:
    given = value if isinstance(value, list | tuple) else [value]
    # Newer versions of Ansible carry a warning in an object, as they do a traceback.
    told = [getattr(item, "event", item) for item in given[:50]]
    return [line(_words(getattr(item, "msg", item), path)) for item in told]


def _diff(value: Any, path: str) -> Any:
    """Texts before and after, cleaned as every text."""
    taken = listed(anything, 100)(value, path) if isinstance(value, list | tuple) else anything(value, path)
    for item in taken if isinstance(taken, list | tuple) else [taken]:
        if not isinstance(item, dict):
            raise Refused(path, type(item).__name__, "texts before and after")
    return taken


OWN: dict[str, Check] = {
    "failed": boolean,
    "changed": boolean,
    "msg": _words,
    "warnings": _sentences,
    "diff": _diff,
    "rc": either_null_or(integer),
    "exception": _trace,
    "module_stdout": _words,
    "module_stderr": _words,
}
"""What Ansible itself says of a module, whatever module it is. None of ours is skipped on a desk: who says so has said nothing."""

TOLD = ("msg", "warnings", "exception", "module_stdout", "module_stderr")
"""Those with words of programs in them."""


def told_discreetly(answer: dict[str, Any], speaker: Speaker) -> dict[str, Any]:
    """An admitted answer as it may be kept and shown, once its words were read for the reason of a failure."""
    return {name: discreet(value, speaker.names) if name in TOLD else value for name, value in answer.items()}
