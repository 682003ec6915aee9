# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit of a fleet: what only all desks together show, the drift from a baseline, and the table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..module_utils.changes import settings
from ..module_utils.judges.catalogue import finding
from ..module_utils.judges.drift import baseline_of, judge_drift, unknown_paths
from ..module_utils.judges.driver_lock import lock_file_drift
from ..module_utils.judges.fleet import judge_fleet
from ..module_utils.judges.options import JudgeOptions
from ..module_utils.judges.pair import judge_pair
from ..module_utils.model.desk import Desk
from ..module_utils.model.finding import SEVERITIES, Finding, Where
from . import plain_yaml
from .endpoints import EndpointError, stack_ends, stack_paths
from .lock_file import SCHEMA as LOCK_SCHEMA
from .lock_file import SIZE_LIMIT, LockFile, LockFileError
from .lock_file import read as read_lock
from .run.model import Run, Stack
from .run.store import RunStore, file_text

COLUMNS = ("DESK", "VENDOR", "DGX OS", "KERNEL", "DRIVER", "CX-7", "VERDICT", "WORST FINDING")

VENDORS = {
    "ASUSTEK": "ASUS",
    "MICRO-STAR": "MSI",
    "LENOVO": "Lenovo",
    "GIGA": "Gigabyte",
    "DELL": "Dell",
    "HP": "HP",
    "HEWLETT": "HP",
    "NVIDIA": "NVIDIA",
    "ACER": "Acer",
}
"""How a vendor's DMI name begins, and what people call it."""


class BaselineError(ValueError):
    """The baseline cannot be used; the text says why in one line."""


@dataclass(frozen=True)
class Baseline:
    """A wanted state: facts by dotted path, or a fleet lock file."""

    name: str
    wanted: Mapping[str, Any] = field(default_factory=dict)
    lock: LockFile | None = None
    desk: str | None = None
    """The desk that it was taken from, which has no drift from itself."""


def check_baseline(value: Any, names: Iterable[str], asked: Iterable[str]) -> None:
    """Refuse a baseline that cannot be used whatever the desks answer. Raises BaselineError.

    ``names``: the desks of the inventory; ``asked``: those whose facts this run reads.
    """
    named = value and not isinstance(value, Mapping) and str(value) in set(names)
    if named and str(value) not in set(asked):
        raise BaselineError(
            f"the baseline desk {value} is not asked in this run (left out by --limit, or out of service): add it to --limit, or name a "
            "desk of this run, a lock file or a file of wanted facts"
        )
    if value and not named:
        baseline(value if isinstance(value, Mapping) else str(value), {}, ())


def baseline(value: str | Mapping[str, Any], desks: Mapping[str, Desk], names: Iterable[str] = ()) -> Baseline:
    """The baseline that ``audit_baseline`` means: a mapping, the name of a desk, or a YAML file (wanted facts or a fleet lock file).

    ``desks`` are the desks that answered, ``names`` all of the inventory. Raises BaselineError.
    """
    if isinstance(value, Mapping):
        return _checked("audit_baseline", value)
    if value in desks:
        return Baseline(f"desk {value}", baseline_of(desks[value]), desk=value)
    if value in set(names):
        raise BaselineError(f"the baseline desk {value} did not answer in this run")
    path = Path(value).expanduser()
    if not path.is_file():
        raise BaselineError(f"the baseline {value!r} is neither a desk of the inventory nor a file")
    try:
        # Somebody may have sent it, as a lock file.
        data = plain_yaml.load(file_text(path, SIZE_LIMIT), SIZE_LIMIT)
    except (OSError, UnicodeDecodeError, plain_yaml.PlainYamlError) as error:
        raise BaselineError(f"the baseline file {path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(data, Mapping) or not data:
        raise BaselineError(f"the baseline file {path} holds {type(data).__name__}; a mapping of wanted facts was expected")
    if data.get("schema") == LOCK_SCHEMA:
        try:
            return Baseline(str(path), lock=read_lock(path))
        except LockFileError as error:
            raise BaselineError(f"the baseline {error}") from error
    if str(data.get("schema")).startswith("labops.dgx_spark/"):
        raise BaselineError(
            f"the baseline file {path} is a {str(data['schema'])[:60]}; the name of a desk, a lock file of lock_from.yml or wanted facts "
            "(driver.module_version: 580.142) were expected"
        )
    return _checked(str(path), data)


def _checked(name: str, wanted: Mapping[str, Any]) -> Baseline:
    if any(not isinstance(key, str) for key in wanted):
        raise BaselineError(f"the baseline {name} has keys that are not fact paths")
    strangers = unknown_paths(wanted)
    if strangers:
        expected = "a path of ansible_facts.spark such as driver.module_version"
        raise BaselineError(f"the baseline {name} names facts that do not exist: {', '.join(strangers)}; {expected} was expected")
    return Baseline(name, wanted)


def drift(wanted: Baseline, desks: Mapping[str, Desk]) -> list[Finding]:
    """Every desk's drift from the baseline."""
    found: list[Finding] = []
    for name, desk in sorted(desks.items()):
        if name == wanted.desk:
            continue
        if wanted.lock is not None:
            found += lock_file_drift(desk, wanted.lock.facts, wanted.lock.packages, Where(desk=name), wanted.lock.name)
        else:
            found += judge_drift(desk, wanted.wanted, Where(desk=name), wanted.name)
    return found


def together(
    desks: Mapping[str, Desk],
    addresses: Mapping[str, str],
    stacks: Sequence[Stack],
    options: JudgeOptions,
    wanted: str | Mapping[str, Any] | None = None,
) -> list[Finding]:
    """What only all desks together show: shared identities, pairs that differ, drift from the baseline.

    ``desks`` are those that answered, ``addresses`` every desk's address, ``stacks`` those of the run. A baseline that cannot
    be used makes every desk unknown instead of ending the run.
    """
    found = judge_fleet(desks, addresses)
    for stack in stacks:
        if not stack.out_of_service:
            # Of more than two desks each is held against the head: what differs among the others differs from it too.
            for path in stack.paths[: len(stack.members) - 1]:
                one, other = path.one.desk, path.other.desk
                if one in desks and other in desks:
                    found += judge_pair(stack.name, desks[one], desks[other], options, (one, other))
    if wanted:
        try:
            found += drift(baseline(wanted, desks, addresses), desks)
        except BaselineError as error:
            found += [finding("REQUIRED_CHECK_MISSING", Where(desk=name), f"{name}: {error}.") for name in sorted(desks)]
    return found


def settings_findings(store: RunStore, stacks: Sequence[Stack], desks: Mapping[str, Desk]) -> list[Finding]:
    """PAIR_SETTINGS_OUTDATED, one for each desk. Where the ends of a stack are not known, other findings say so."""
    found = []
    for stack in stacks:
        proven = [name for name in stack.members if name in desks and desks[name].setup.pair_env is not None]
        if stack.out_of_service or not proven:
            continue
        try:
            ends = stack_ends(stack, stack_paths(store, stack))
        except EndpointError:
            continue
        texts = []
        for bootstrap in (settings.FABRIC, settings.MANAGEMENT):
            with contextlib.suppress(ValueError):
                texts.append(settings.hostfile(settings.meeting(ends, bootstrap)))
        for name in proven:
            files = desks[name].setup.pair_files
            if settings.STALE in files or not texts or files.get(settings.HOSTFILE) in [settings.sha256(text) for text in texts]:
                continue
            now = ", ".join(line.split()[0] for line in texts[0].splitlines())
            message = f"{name}: {settings.HOSTFILE} does not list the addresses that the desks have now ({now})."
            found.append(finding("PAIR_SETTINGS_OUTDATED", Where(pair=stack.name, desk=name), message, evidence={"addresses": now}))
    return found


def vendor(name: str | None) -> str:
    """What people call a vendor."""
    text = (name or "").strip()
    return next((short for begin, short in VENDORS.items() if text.upper().startswith(begin)), text or "-")


def adapter(facts: Mapping[str, Any]) -> str:
    """The ConnectX-7 in a few words, such as ``port 1 200G`` or ``absent``."""
    cx7 = facts.get("cx7") or {}
    ports = [port for port in cx7.get("ports") or () if port.get("carrier")]
    if ports:
        told = []
        for port in ports:
            speed = port.get("speed_mbps")
            told.append(f"port {port.get('number')} {f'{speed // 1000}G' if isinstance(speed, int) else 'up'}")
        return ", ".join(told)
    if cx7.get("ports") or cx7.get("ungrouped"):
        return "no link"
    if not facts or any(path == "cx7" or path.startswith(("cx7.ports", "cx7.functions")) for path in facts.get("unread") or ()):
        return "unknown"
    return "off, no cable" if cx7.get("powered") is False else "absent"


def rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each desk of a report: desk, vendor, dgx_os, kernel, driver, cx7, verdict, out_of_service, worst (a code, or null) and
    findings (codes)."""
    found = []
    for desk in report["desks"]:
        facts = desk.get("facts") or {}

        def fact(part: str, key: str, facts: Mapping[str, Any] = facts) -> Any:
            return (facts.get(part) or {}).get(key)

        told = sorted(desk["findings"], key=lambda item: -SEVERITIES.index(item["severity"]))
        found.append(
            {
                "desk": desk["name"],
                "vendor": vendor(fact("identity", "board_vendor") or fact("identity", "vendor")),
                "product": fact("identity", "product"),
                "dgx_os": fact("dgx_os", "version"),
                "kernel": fact("kernel", "running"),
                "driver": fact("driver", "module_version"),
                "cx7": adapter(facts),
                "verdict": desk["verdict"],
                "out_of_service": desk.get("out_of_service") is True,
                "worst": told[0]["code"] if told else None,
                "findings": [{"code": item["code"], "severity": item["severity"], "message": item["message"]} for item in told],
            }
        )
    return found


def table(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The rows as text, without the header (COLUMNS)."""
    lines = []
    for row in rows(report):
        loud = [item for item in row["findings"] if item["severity"] in ("warn", "unknown", "fail")]
        more = f" (+{len(loud) - 1})" if len(loud) > 1 else ""
        notes = len(row["findings"]) - len(loud)
        worst = f"{loud[0]['code']}{more}" if loud else (f"{notes} note{'s' if notes > 1 else ''}" if notes else "-")
        word = "OUT" if row["out_of_service"] else row["verdict"]
        worst = "out of service" if row["out_of_service"] else worst
        values = (row["dgx_os"], row["kernel"], row["driver"])
        lines.append((row["desk"], row["vendor"], *(str(value or "-") for value in values), row["cx7"], word, worst))
    return lines


def by_desk(run: Run, found: Iterable[Finding]) -> dict[str, list[Finding]]:
    """The findings of each desk in scope; one about a stack lies with its head."""
    heads = {stack.name: stack.head for stack in run.stacks}
    told: dict[str, list[Finding]] = {name: [] for name in run.scope}
    for item in found:
        owner = item.where.desk or heads.get(str(item.where.pair))
        if owner in told:
            told[owner].append(item)
    return told
