# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device code runs on a GPU: machine code, PTX, families, and PTX versions that a driver knows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...model.workload import NEEDS_REBUILD, PTX, RUNS, RUNS_SLOWLY, SASS, UNKNOWN, Code, code_of

PTX_OF_CUDA = {
    "12.0": "8.0",
    "12.1": "8.1",
    "12.2": "8.2",
    "12.3": "8.3",
    "12.4": "8.4",
    "12.5": "8.5",
    "12.6": "8.5",
    "12.8": "8.7",
    "12.9": "8.8",
    "13.0": "9.0",
    "13.1": "9.1",
    "13.2": "9.2",
    "13.3": "9.3",
    "13.4": "9.4",
}
"""Newest PTX ISA version that a CUDA version knows: PTX ISA release notes; 12.8, 12.9 and 13.0 measured with ptxas."""

Unit = Sequence[str]


@dataclass(frozen=True)
class CodeVerdict:
    """What the device code of one file means on one GPU."""

    verdict: str
    reason: str
    rules: tuple[str, ...] = ()


def number(capability: str) -> int:
    """12.1 as 121. Raises ValueError for text that is no capability."""
    major, dot, minor = capability.partition(".")
    if not dot or not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()) or len(minor) != 1 or len(major) > 2:
        raise ValueError(f"{capability!r} is not a compute capability")
    return int(major) * 10 + int(minor)


def fits(code: Code, device: int) -> bool:
    """Whether the target of the code fits a device (121 for 12.1); the PTX version is another question."""
    same_family = code.target // 10 == device // 10 and code.target <= device
    if code.suffix == "a":
        return code.target == device
    if code.suffix == "f" or code.kind == SASS:
        return same_family
    return code.kind == PTX and code.target <= device


def isa_known(isa: str | None, cuda: str | None) -> bool | None:
    """Whether a driver of a CUDA version knows a PTX version; null when that cannot be told.

    A driver newer than the table knows at least what its predecessors knew.
    """
    driver = _key(".".join((cuda or "").split(".")[:2]))
    wanted = _key(isa or "")
    if driver is None or wanted is None:
        return None
    older = [(key, ptx) for version, ptx in PTX_OF_CUDA.items() if (key := _key(version)) is not None and key <= driver]
    if not older:
        return None
    newest_key, newest = max(older)
    known = _key(newest)
    if known is not None and wanted <= known:
        return True
    return False if newest_key == driver else None


def judge_code(units: Sequence[Unit], relocatable: Sequence[Unit], capability: str | None, cuda: str | None) -> CodeVerdict | None:
    """The verdict on a file's device code; null when it has none.

    ``units`` and ``relocatable`` hold ``Code.text`` by fat binary; ``cuda`` is the driver's CUDA version.
    """
    units = [unit for unit in units if unit]
    relocatable = [unit for unit in relocatable if unit]
    if not units and not relocatable:
        return None
    if capability is None:
        return CodeVerdict(UNKNOWN, "the GPU's compute capability is not known", ("not-read",))
    device = number(capability)
    if not units:
        return _of_relocatable(relocatable, device, cuda, f"no linked device code; holds {_told(relocatable)}")
    ways = [_unit(unit, device, cuda) for unit in units]
    bad = [(unit, way) for unit, way in zip(units, ways, strict=True) if way.verdict == NEEDS_REBUILD]
    if bad:
        if len(bad) == 1 and relocatable:
            # One unit without code for this GPU beside relocatable parts is what a device link leaves: the driver can link anew.
            linked = _of_relocatable(relocatable, device, cuda, f"holds {_told([bad[0][0]])}, none for {capability}")
            if linked.verdict == RUNS_SLOWLY:
                return linked
        some = f"{len(bad)} of {len(units)} units have" if len(units) > 1 else "it has"
        rules = [*bad[0][1].rules, *(["units"] if len(units) > 1 else [])]
        return CodeVerdict(NEEDS_REBUILD, f"{some} no code for {capability}: {bad[0][1].reason}", tuple(dict.fromkeys(rules)))
    for verdict in (UNKNOWN, RUNS_SLOWLY):
        some_way = next((way for way in ways if way.verdict == verdict), None)
        if some_way is not None:
            return some_way
    return ways[0]


def _unit(unit: Unit, device: int, cuda: str | None) -> CodeVerdict:
    codes = [code_of(text) for text in unit]
    machine = max((code for code in codes if code.kind == SASS and fits(code, device)), key=lambda code: code.target, default=None)
    if machine is not None:
        rule = {"a": "sass-a", "f": "sass-f"}.get(machine.suffix, "sass")
        return CodeVerdict(RUNS, f"machine code {machine.text} runs on {_dotted(device)}", (rule,))
    return _of_ptx(codes, device, cuda)


def _of_ptx(codes: Sequence[Code], device: int, cuda: str | None) -> CodeVerdict:
    fitting = [code for code in codes if code.kind == PTX and fits(code, device)]
    answers = [(code, isa_known(code.isa, cuda)) for code in fitting]
    usable = next((code for code, known in answers if known), None)
    if usable is not None:
        reason = f"no machine code for {_dotted(device)}; the driver compiles PTX {usable.text.removeprefix('ptx ')} at first start"
        return CodeVerdict(RUNS_SLOWLY, reason, ("ptx", "ptx-isa"))
    doubtful = next((code for code, known in answers if known is None), None)
    if doubtful is not None:
        what = "the driver's CUDA version" if doubtful.isa is not None else "the PTX version"
        return CodeVerdict(UNKNOWN, f"only PTX for {doubtful.target}{doubtful.suffix}, and {what} is not known", ("ptx-isa",))
    if fitting:
        reason = f"its PTX is version {fitting[0].isa}, newer than the driver's CUDA {cuda} supports"
        return CodeVerdict(NEEDS_REBUILD, reason, ("ptx-isa",))
    if not any(code.kind in (SASS, PTX) for code in codes):
        return CodeVerdict(UNKNOWN, "it holds device code of an unknown kind", ("not-read",))
    return CodeVerdict(NEEDS_REBUILD, f"holds {_told([[code.text for code in codes]])}", _refusing(codes))


def _refusing(codes: Iterable[Code]) -> tuple[str, ...]:
    rules = [
        {"a": "sass-a", "f": "sass-f"}.get(code.suffix, "sass" if code.kind == SASS else "ptx")
        for code in codes
        if code.kind in (SASS, PTX)
    ]
    return tuple(dict.fromkeys(rules))


def _of_relocatable(relocatable: Sequence[Unit], device: int, cuda: str | None, seen: str) -> CodeVerdict:
    """Parts that are linked again at load: machine code that fits will do, else PTX that the driver can compile, in every part."""
    ways = [_unit(unit, device, cuda) for unit in relocatable]
    bad = next((way for way in ways if way.verdict == NEEDS_REBUILD), None)
    if bad is not None:
        return CodeVerdict(NEEDS_REBUILD, f"{seen}; a relocatable part has no matching code: {bad.reason}", (*bad.rules, "relocatable"))
    doubtful = next((way for way in ways if way.verdict == UNKNOWN), None)
    if doubtful is not None:
        return CodeVerdict(UNKNOWN, doubtful.reason, (*doubtful.rules, "relocatable"))
    if all(way.verdict == RUNS for way in ways):
        return CodeVerdict(RUNS, f"{seen}; every relocatable part has matching machine code", (*ways[0].rules, "relocatable"))
    reason = f"{seen}; the driver relinks relocatable code at load time (not tried on a GB10)"
    return CodeVerdict(RUNS_SLOWLY, reason, ("relocatable", "ptx"))


def _told(units: Sequence[Unit], limit: int = 12) -> str:
    texts = list(dict.fromkeys(text for unit in units for text in unit))
    return ", ".join(texts[:limit]) + (f" and {len(texts) - limit} more" if len(texts) > limit else "")


def _dotted(device: int) -> str:
    return f"{device // 10}.{device % 10}"


def _key(version: str) -> tuple[int, ...] | None:
    parts = version.split(".")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 5 for part in parts):
        return None
    return tuple(int(part) for part in parts)
