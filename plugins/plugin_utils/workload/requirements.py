# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python requirements of a file, each judged for one kind of desk: pip chooses, the chosen wheels are looked into."""

from __future__ import annotations

import errno
import os
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ...module_utils.judges.workload.known import project_entry
from ...module_utils.judges.workload.requirement import judge_chosen, judge_offer, judge_placeholder
from ...module_utils.judges.workload.wheel import NVIDIA_LIBRARY, cuda_build, misfit
from ...module_utils.model.workload import NEEDS_REBUILD, RUNS, UNKNOWN, WONT_RUN, Judged, Target, Wheel
from ...module_utils.readers import pip_report, requirement_lines
from ...module_utils.readers.simple_index import normal
from ..run.store import file_text
from ..secret_shapes import telling_key
from .fetch import FetchError, Web, shown, without_logins
from .offers import offer, releases
from .packaged import InvalidMarker, InvalidRequirement, InvalidVersion, Requirement, UndefinedComparison, UndefinedEnvironmentName, Version
from .resolve import Resolved, environment_of
from .wheels import KNOWN, LISTED, WHOLE, Indexes, Looker, WheelError, named

FILE_LIMIT = 1 << 20
DEPTH_LIMIT = 5
WORKERS = 4
SENTENCE = {
    "no_pip": ("pip is not available", "install pip on the controller or on the desks (apt install python3-pip)"),
    "no_network": ("the package index could not be reached", "check the network of the controller and workload_check_indexes"),
    "timeout": ("pip found no set in time", "raise workload_check_resolve_limit, or check fewer requirements at once"),
    "syntax": ("it is not a requirement that pip accepts", "correct the line"),
    "hashes": ("its hashes do not match", "write the hashes of the wheels for aarch64 too (pip hash)"),
    "conflict": ("it contradicts itself: no set of versions matches", "loosen the versions"),
    "other": ("pip could not resolve it", "try pip install --dry-run by hand; its output is in the evidence"),
}
"""Why pip gave no set: what is told, and what to do."""

Resolver = Callable[[str], Resolved]
"""Text of a requirements file to what pip says."""


@dataclass(frozen=True)
class Wanted:
    """What a requirements file asks for, includes joined."""

    lines: tuple[requirement_lines.Line, ...]
    constraints: str = ""
    indexes: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class FileProblem(Exception):
    """The requirements file cannot be used; the message is one sentence."""


def wanted_of(path: Path) -> Wanted:
    """The requirements of a file on the controller with everything that it includes. Raises FileProblem."""
    lines: list[requirement_lines.Line] = []
    constraints: list[str] = []
    indexes: list[str] = []
    links: list[str] = []
    problems: list[str] = []
    seen: set[Path] = set()

    def take(file: Path, kind: str, depth: int) -> None:
        where = file.resolve()
        if where in seen or depth > DEPTH_LIMIT:
            return
        seen.add(where)
        read = requirement_lines.lines(_text(file))
        if kind == "-c":
            # As they stand they go into a file that pip reads in its own way; a requirement is one in every way.
            constraints.extend(line.text for line in read.requirements if _is_requirement(line.text))
            problems.extend(
                f"{file.name}: line {line.number} is not a constraint" for line in read.requirements if not _is_requirement(line.text)
            )
        else:
            lines.extend(read.requirements)
        indexes.extend(([read.index] if read.index else []) + list(read.extra_indexes))
        links.extend(link for link in read.find_links if link.startswith(("http://", "https://")))
        problems.extend(f"{file.name}: {problem}" for problem in read.problems)
        for inner, name in read.includes:
            if "://" in name:
                problems.append(f"{file.name}: {shown(name)} is not fetched; put the file beside it")
            elif not _may_be_included((file.parent / name).resolve(), path.resolve().parent):
                problems.append(
                    f"{file.name}: {name[:100]!r} is not read, its name is not one of a requirements file; call it requirements-NAME.txt"
                )
            else:
                take(file.parent / name, "-c" if "-c" in (kind, inner) else "-r", depth + 1)

    take(path, "-r", 0)
    return Wanted(tuple(lines), "\n".join(constraints) + "\n" if constraints else "", tuple(indexes), tuple(links), tuple(problems))


def _is_requirement(text: str) -> bool:
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def _may_be_included(file: Path, folder: Path) -> bool:
    """Whether a requirements file of somebody else may name this one: its lines are told to the indexes which that file names too."""
    way = Path(os.path.relpath(file, folder)).parts
    hidden = any(part.startswith(".") and part != ".." for part in way)
    if file.name.startswith(".") or (hidden and way[0] == ".."):
        return False
    if re.search(r"requirement|constraint", file.name, re.IGNORECASE):
        return True
    # A file of one word, such as a password, reads like a requirement.
    return way[0] != ".." and file.suffix in (".txt", ".in", ".pip") and not telling_key(file.stem)


def _text(path: Path) -> str:
    try:
        text = file_text(path, FILE_LIMIT, "replace")
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise FileProblem(f"{path} is larger than {FILE_LIMIT >> 20} MB, so it is not a requirements file") from None
        raise FileProblem(f"{path} cannot be read: {error.strerror}") from None
    if "\0" in text:
        raise FileProblem(f"{path} is not a text file")
    return text


class Requirements:
    """Judges requirements for one kind of desk."""

    def __init__(self, target: Target, resolve: Resolver, indexes: Indexes, looker: Looker, web: Web, today: str) -> None:
        self._target, self._resolve, self._indexes, self._looker, self._web, self._today = target, resolve, indexes, looker, web, today
        self._environment = environment_of(target)
        self._looked: dict[str, Wheel] = {}

    def judge(self, lines: Sequence[requirement_lines.Line]) -> list[Judged]:
        """Every line, in its order, and one more entry where the lines exclude one another."""
        told: dict[int, Judged] = {}
        rest: list[tuple[int, requirement_lines.Line, Requirement]] = []
        for place, line in enumerate(lines):
            judged, requirement = self._first_look(line)
            if judged is not None:
                told[place] = judged
            elif requirement is not None:
                rest.append((place, line, requirement))
        extra = self._resolved(rest, told)
        return [told[place] for place in sorted(told)] + extra

    def _first_look(self, line: requirement_lines.Line) -> tuple[Judged | None, Requirement | None]:
        """A line that is settled without pip, or its requirement."""
        item = line.text[:200]
        bare = re.sub(r"[\x00-\x1f\x7f]", "?", _shown(line))
        if re.match(r"(?:git|hg|svn|bzr)\+", item) or (line.project is None and re.match(r"https?://", item)):
            return self._direct(bare, line.text.partition(" ")[0]), None
        if line.project is None and re.match(r"[./~]|file:", item):
            return self._told(
                bare,
                UNKNOWN,
                "it is a path, which only the machine that has it can examine",
                "use wheels to check a wheel",
                "reference",
            ), None
        try:
            requirement = Requirement(line.text)
        except InvalidRequirement as error:
            words = " ".join(without_logins(str(error)).partition("\n")[0].split())[:160]
            return self._told(bare, UNKNOWN, f"line {line.number} is not a requirement: {words}", "correct the line", "reference"), None
        try:
            excluded = requirement.marker is not None and not requirement.marker.evaluate({**self._environment, "extra": ""})
        except (UndefinedComparison, UndefinedEnvironmentName, ValueError) as error:
            words = " ".join(str(error).split())[:160]
            return self._told(bare, UNKNOWN, f"line {line.number} has a marker without a meaning: {words}", "correct it", "reference"), None
        if excluded:
            return self._told(bare, RUNS, "its marker excludes it on this desk", "", "tags"), None
        if requirement.url:
            return self._direct(bare, requirement.url), None
        return None, requirement

    def _resolved(self, rest: list[tuple[int, requirement_lines.Line, Requirement]], told: dict[int, Judged]) -> list[Judged]:
        """Resolve what is left, together as far as possible. Fills ``told``."""
        while rest:
            answer = self._resolve("".join(f"{line.text}\n" for _place, line, _requirement in rest))
            refusal = answer.refusal
            if refusal is None:
                for place, line, requirement in rest:
                    told[place] = self._chosen(line, requirement, answer.chosen)
                return []
            if refusal.kind in ("no_pip", "no_network", "timeout"):
                for place, line, _requirement in rest:
                    told[place] = self._refused(line, refusal)
                return []
            missing = [entry for entry in rest if refusal.kind == "no_wheel" and normal(entry[2].name) == normal(refusal.project or "")]
            if not missing and len(rest) == 1:
                missing = rest
            if not missing:
                return self._one_by_one(rest, refusal, told)
            for place, line, requirement in missing:
                told[place] = self._without_wheel(line, requirement, refusal)
            rest = [entry for entry in rest if entry not in missing]
        return []

    def _one_by_one(
        self, rest: list[tuple[int, requirement_lines.Line, Requirement]], refusal: pip_report.Refusal, told: dict[int, Judged]
    ) -> list[Judged]:
        clean = True
        for place, line, requirement in rest:
            answer = self._resolve(f"{line.text}\n")
            if answer.refusal is None:
                told[place] = self._chosen(line, requirement, answer.chosen)
            else:
                clean = False
                told[place] = self._without_wheel(line, requirement, answer.refusal)
        if not clean:
            return []
        reason = f"each requirement has wheels, but pip finds no set for all of them: {refusal.words}"
        return [
            Judged(
                "all requirements together",
                "requirements",
                WONT_RUN,
                reason,
                None,
                "loosen the versions that exclude one another",
                ("conflict",),
            )
        ]

    def _without_wheel(self, line: requirement_lines.Line, requirement: Requirement, refusal: pip_report.Refusal) -> Judged:
        if refusal.kind != "no_wheel" or refusal.project is None:
            return self._refused(line, refusal)
        own = normal(refusal.project) == normal(requirement.name)
        found = offer(self._web, self._indexes, normal(refusal.project), str(requirement.specifier) if own else "", self._target)
        return judge_offer(_shown(line), normal(requirement.name), found, self._target)

    def _chosen(self, line: requirement_lines.Line, requirement: Requirement, chosen: Sequence[pip_report.Chosen]) -> Judged:
        by_name = {normal(item.name): item for item in chosen}
        root = normal(requirement.name)
        if root not in by_name:
            return self._refused(line, pip_report.Refusal("other", words="pip chose nothing for it"))
        item = _shown(line)
        if line.hashes and by_name[root].sha256 and f"sha256:{by_name[root].sha256}" not in line.hashes:
            reason = "none of its hashes belongs to the wheel for this desk, and pip accepts nothing else"
            return self._told(item, WONT_RUN, reason, SENTENCE["hashes"][1], "tags")
        newer = self._newer(requirement, by_name[root])
        wheels = self._closure(root, requirement.extras, by_name)
        if newer is not None:
            kept = self._kept_from(line, requirement, by_name[root], wheels[root], newer)
            if kept is not None:
                return kept
        return judge_chosen(item, root, self._looked_into(wheels, by_name), self._target, self._today)

    def _newer(self, requirement: Requirement, chosen: pip_report.Chosen) -> tuple[str, tuple[str, ...], str | None] | None:
        """A newer version that pip was kept from only because it has no wheel: (version, tags, source archive)."""
        if re.search(r"===?(?!.*\*)", str(requirement.specifier)):
            return None
        try:
            found = releases(self._indexes, normal(requirement.name), str(requirement.specifier), self._target)
        except FetchError:
            return None
        if not found or not _later(found[-1].version, chosen.version):
            return None
        newest = found[-1]
        return newest.version, newest.wheel_tags, newest.sdist.filename if newest.sdist else None

    def _kept_from(
        self,
        line: requirement_lines.Line,
        requirement: Requirement,
        chosen: pip_report.Chosen,
        wheel: Wheel,
        newer: tuple[str, tuple[str, ...], str | None],
    ) -> Judged | None:
        """What keeps pip from the newest version; null when that has nothing to do with wheels."""
        version, tags, sdist = newer
        item, root = _shown(line), normal(requirement.name)
        if tags and misfit(tags, self._target) is None:
            extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            answer = self._resolve(f"{requirement.name}{extras}=={version}\n")
            if answer.refusal is None or answer.refusal.kind != "no_wheel":
                return None
            return self._without_wheel(line, requirement, answer.refusal)
        if sdist:
            reason = f"pip would build {sdist} on the desk; {chosen.version} is the newest version with a wheel for it"
            pre = Version(chosen.version).is_prerelease
            remedy = f"build it once on a desk: pip wheel {root}" if pre else f"pin it: {requirement.name}=={chosen.version}"
            return self._told(item, NEEDS_REBUILD, reason, remedy, "sdist")
        return judge_placeholder(item, wheel, version, tags, self._target) if _is_placeholder(chosen.version) else None

    def _closure(self, root: str, extras: set[str], by_name: Mapping[str, pip_report.Chosen]) -> dict[str, Wheel]:
        """The wheels of a project and of everything that it asks for on the desk."""
        found: dict[str, Wheel] = {}
        waiting: list[tuple[str, frozenset[str]]] = [(root, frozenset(extras))]
        asked: set[tuple[str, frozenset[str]]] = set()
        while waiting:
            name, wanted = waiting.pop()
            if (name, wanted) in asked or name not in by_name:
                continue
            asked.add((name, wanted))
            needs = self._needs(by_name[name], wanted)
            texts = tuple(text for _name, _extras, text in needs)
            known = found.get(name)
            found[name] = _wheel(by_name[name], tuple(dict.fromkeys([*(known.requires if known else ()), *texts])))
            waiting += [(inner, inner_extras) for inner, inner_extras, _text in needs]
        return found

    def _needs(self, chosen: pip_report.Chosen, extras: frozenset[str]) -> list[tuple[str, frozenset[str], str]]:
        return applicable(chosen.requires, self._environment, extras)

    def _looked_into(self, wheels: Mapping[str, Wheel], by_name: Mapping[str, pip_report.Chosen]) -> dict[str, Wheel]:
        def look(name: str) -> Wheel:
            wheel, chosen = wheels[name], by_name[name]
            if not re.match(r"https?://", chosen.url):
                return replace(wheel, not_read="none of the given indexes has it, so its contents could not be examined")
            if wheel.filename not in self._looked:
                self._looked[wheel.filename] = self._looker.look(wheel, chosen.url, chosen.sha256, self._depth(wheel))
            return replace(self._looked[wheel.filename], requires=wheel.requires)

        with ThreadPoolExecutor(WORKERS) as pool:
            return dict(zip(wheels, pool.map(look, wheels), strict=True))

    def _depth(self, wheel: Wheel) -> str:
        if NVIDIA_LIBRARY.fullmatch(wheel.project):
            return LISTED
        entry = project_entry(wheel.project, wheel.version, cuda_build(wheel), self._today, False)
        return KNOWN if entry is not None and (entry.units or entry.verdict) else WHOLE

    def _direct(self, item: str, url: str) -> Judged:
        """A requirement that is a link."""
        name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
        if not name.endswith(".whl") or not re.match(r"https?://", url):
            return self._told(
                item, NEEDS_REBUILD, "it is a link to source code, which pip builds on the desk", "use a wheel if there is one", "sdist"
            )
        try:
            told = named(name)
        except WheelError as error:
            return self._told(item, UNKNOWN, str(error), "check the link", "reference")
        wheel = Wheel(name, normal(told.project), told.version, told.tags, shown(url).rpartition("/")[0])
        wheel = self._looker.look(wheel, url, None, self._depth(wheel))
        return judge_chosen(item, wheel.project, {wheel.project: wheel}, self._target, self._today)

    def _refused(self, line: requirement_lines.Line, refusal: pip_report.Refusal) -> Judged:
        sentence, remedy = SENTENCE.get(refusal.kind, SENTENCE["other"])
        verdict = WONT_RUN if refusal.kind == "hashes" else UNKNOWN
        return self._told(_shown(line), verdict, f"{sentence}: {refusal.words}", remedy, "access")

    @staticmethod
    def _told(item: str, verdict: str, reason: str, instead: str, rule: str = "access") -> Judged:
        return Judged(item, "requirement", verdict, reason, None, instead, (rule,))


def applicable(
    requires: Sequence[str], environment: Mapping[str, str], extras: frozenset[str] = frozenset()
) -> list[tuple[str, frozenset[str], str]]:
    """(project, extras, requirement without its marker) of what metadata asks for in an environment."""
    needs = []
    for text in requires:
        try:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)):
                needs.append((normal(requirement.name), frozenset(requirement.extras), text.partition(";")[0].strip().lower()))
        except (InvalidRequirement, InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, ValueError, KeyError):
            # Hostile metadata: what packaging does not read asks for nothing.
            continue
    return needs


def _shown(line: requirement_lines.Line) -> str:
    """A line as reports have it."""
    return without_logins(line.text)[:200]


def _wheel(chosen: pip_report.Chosen, requires: tuple[str, ...]) -> Wheel:
    filename = urllib.parse.unquote(urllib.parse.urlsplit(chosen.url).path.rpartition("/")[2])
    try:
        tags = named(filename).tags
    except WheelError:
        tags = ()
    return Wheel(filename, normal(chosen.name), chosen.version, tags, shown(chosen.url).rpartition("/")[0], requires=requires)


def _later(version: str, other: str) -> bool:
    try:
        return Version(version) > Version(other)
    except InvalidVersion:
        return False


def _is_placeholder(version: str) -> bool:
    """0.0.0.dev0 and the like."""
    return re.match(r"0(?:\.0)*(?:$|[.]?(?:dev|a|b|rc|post))", version) is not None
