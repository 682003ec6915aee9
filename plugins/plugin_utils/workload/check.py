# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of images, requirements, wheels and paths for one desk: who is asked for what, and every item its verdict.

One item never costs another its verdict: whatever goes wrong with it is its own UNKNOWN.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...module_utils.judges.workload.findings import findings_of, judge_path, judge_room
from ...module_utils.judges.workload.image import judge_image
from ...module_utils.judges.workload.parts import FACTORY, TOOLKIT_13, cuda_of_driver, version
from ...module_utils.judges.workload.requirement import judge_chosen
from ...module_utils.judges.workload.wheel import misfit
from ...module_utils.model.data import as_dict, from_dict
from ...module_utils.model.finding import Finding, Where
from ...module_utils.model.workload import UNKNOWN, WONT_RUN, Image, Judged, Target, Wheel
from ...module_utils.readers import image_reference, oci, pip_report
from ...module_utils.readers.simple_index import normal
from ..admission.schema import Refused, of_dataclass
from .elf import MISSING_LIBRARY, ELFFile, binary_of_desk, sentence
from .fetch import LOGIN, FetchError, Web, shown, without_logins
from .registry import Options, Registry, of_docker
from .requirements import FileProblem, Requirements, Wanted, applicable, wanted_of
from .resolve import Resolved, environment_of, resolve
from .shared import Shared
from .wheels import Indexes, Looker, WheelError, named

ITEM_LIMIT = 500
UNITS_OF_PATHS = 2_000_000
"""Fat binaries in all files that a desk reports; all of CUDA and PyTorch have some hundred thousand."""
_CHOSEN = of_dataclass(pip_report.Chosen)
_REFUSAL = of_dataclass(pip_report.Refusal)


@dataclass(frozen=True)
class Asked:
    """What a user asked for, and how it is to be looked at."""

    images: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    """Requirements files on the controller."""
    wheels: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    python: str | None = None
    resolve: str = "auto"
    limit: float = 30.0
    resolve_limit: float = 600.0
    read_mb: int = 96
    download_mb: int = 512
    cache: str = "~/.cache/dgx_spark/workload"
    mirrors: Mapping[str, str] = field(default_factory=dict)
    plain_http: tuple[str, ...] = ()
    authfile: str | None = None


OnDesk = Callable[[str, str, Sequence[str]], Mapping[str, Any]]
"""Requirements, constraints and indexes to what pip on the desk says (gather.workload_pip.resolve)."""


def target_of(facts: Mapping[str, Any] | None, offers: Mapping[str, Any], python: str | None) -> Target:
    """What the desk offers, from its facts of this run and from what it told now; what it did not tell is a DGX Spark's, and said so."""

    def fact(group: str, key: str) -> str | None:
        value = ((facts or {}).get(group) or {}).get(key)
        return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", value) else None

    def dotted(value: Any) -> str | None:
        return value if isinstance(value, str) and version(value) else None

    driver = dotted(fact("driver", "module_version")) or dotted(fact("driver", "user_space_version"))
    known = {
        "architecture": fact("identity", "architecture"),
        "compute_capability": dotted(fact("gpu", "compute_capability")),
        "cuda": dotted(fact("driver", "cuda_version")) or cuda_of_driver(driver),
        "glibc": dotted(offers.get("glibc")),
        "python": dotted(python) or dotted(offers.get("python")),
    }
    assumed = tuple(name for name, value in known.items() if value is None)
    values = {name: value if value is not None else getattr(FACTORY, name) for name, value in known.items()}
    libraries, free = offers.get("libraries"), offers.get("free_bytes")
    names = tuple(str(name)[:100] for name in libraries[:5000]) if isinstance(libraries, list) and libraries else None
    toolkit = version(fact("toolkit", "cuda_toolkit"))
    if names is not None and toolkit and toolkit[0] == 13:
        names = tuple(dict.fromkeys([*names, *TOOLKIT_13]))
    room = free if isinstance(free, int) and not isinstance(free, bool) and free >= 0 else None
    return Target(**values, driver=driver, libraries=names, free_bytes=room, assumed=assumed)


class Check:
    """One check of one desk."""

    def __init__(
        self, asked: Asked, desk: str, target: Target, answer: Mapping[str, Any], shared: Shared, on_desk: OnDesk, today: str
    ) -> None:
        self._asked, self._where, self._target, self._answer = asked, Where(desk=desk), target, answer
        self._shared, self._on_desk, self._today = shared, on_desk, today
        self._web = Web(asked.limit)
        self._looker = Looker(self._web, Path(asked.cache).expanduser(), asked.read_mb << 20, asked.download_mb << 20)
        options = Options(asked.limit, dict(asked.mirrors), asked.plain_http, asked.authfile)
        self._registry = Registry(options)
        # What of the desk decides about requirements and wheels; the same for most desks of a lab.
        self._kind = as_dict(replace(target, free_bytes=None))

    def run(self) -> tuple[list[Judged], list[Finding]]:
        """Every item's verdict, and all findings."""
        judged: list[Judged] = []
        findings: list[Finding] = []
        for image in self.images():
            judged.append(judge_image(image, self._target, self._today))
            findings += judge_room(image, self._where, self._target)
        for name in self._asked.requirements:
            judged += self._file(name)
        judged += [self._wheel(text) for text in self._asked.wheels]
        judged += self._paths()
        found = [item for entry in judged for item in findings_of(entry, self._where, self._target)]
        return judged, found + findings

    def images(self) -> list[Image]:
        """Every image: as docker on the desk knows it, else as its registry does."""
        local = self._answer.get("images")
        found = []
        for text in self._asked.images:
            own = local.get(text) if isinstance(local, Mapping) else None
            image = _on_desk(text, own)
            if image is None:
                image = from_dict(Image, self._shared.once(["image", text], partial(self._asked_registry, text)))
            found.append(image)
        return found

    def _asked_registry(self, text: str) -> dict[str, Any]:
        plain: dict[str, Any] = as_dict(self._registry.image(text))
        return plain

    def _file(self, name: str) -> list[Judged]:
        try:
            wanted = wanted_of(Path(name).expanduser())
        except FileProblem as error:
            return [Judged(name, "requirements", UNKNOWN, str(error), None, "give a requirements file on the controller", ("reference",))]
        key = ["requirements", [line.text for line in wanted.lines], [line.hashes for line in wanted.lines], wanted.constraints, self._kind]
        told = None
        if self._asked.resolve != "desk":
            told = self._shared.once([*key, self._indexes(wanted)], lambda: self._requirements_here(wanted))
        # What a desk resolved is its own affair: no other one is judged by it.
        told = [as_dict(item) for item in self._requirements(wanted, on_desk=True)] if told is None else told
        problems = [
            Judged(name, "requirements", UNKNOWN, problem, None, "check that line by hand", ("not-read",)) for problem in wanted.problems
        ]
        return [from_dict(Judged, item) for item in told] + problems

    def _requirements_here(self, wanted: Wanted) -> list[dict[str, Any]] | None:
        """The verdicts as the controller alone comes to them; null where it hands over to the desk."""
        try:
            return [as_dict(item) for item in self._requirements(wanted, on_desk=False)]
        except _HandsOver:
            return None

    def _requirements(self, wanted: Wanted, on_desk: bool) -> list[Judged]:
        indexes = self._indexes(wanted)

        def ask(text: str) -> Resolved:
            return self._on_the_desk(text, wanted, indexes) if on_desk else self._resolved(text, wanted, indexes)

        judge = Requirements(self._target, ask, Indexes(self._web, indexes), self._looker, self._web, self._today)
        return judge.judge(wanted.lines)

    def _indexes(self, wanted: Wanted) -> list[str]:
        return list(dict.fromkeys([*self._asked.indexes, *wanted.indexes]))

    def _resolved(self, text: str, wanted: Wanted, indexes: Sequence[str]) -> Resolved:
        cache = Path(self._asked.cache).expanduser() / "pip"
        here = resolve(
            text, self._target, indexes, self._asked.resolve_limit, constraints=wanted.constraints, links=wanted.links, cache=cache
        )
        # No desk gets a login because the controller could not resolve, only where the admin says so.
        may = self._asked.resolve != "controller" and not any(LOGIN.search(part) for part in (*indexes, wanted.constraints))
        if may and here.refusal is not None and here.refusal.kind in ("no_pip", "no_network"):
            raise _HandsOver(text)
        return here

    def _on_the_desk(self, text: str, wanted: Wanted, indexes: Sequence[str]) -> Resolved:
        there = _resolution(self._on_desk(text, wanted.constraints, indexes))
        if self._asked.resolve != "desk" and there.refusal is not None and there.refusal.kind in ("no_pip", "no_network", "other"):
            # A desk that can do no better must not hide why the controller could not.
            return resolve(text, self._target, indexes, self._asked.resolve_limit, constraints=wanted.constraints, links=wanted.links)
        listed = Indexes(self._web, indexes)
        return replace(there, chosen=tuple(_as_listed(item, listed, wanted) for item in there.chosen))

    def _wheel(self, text: str) -> Judged:
        return from_dict(
            Judged, self._shared.once(["wheel", text, self._kind, list(self._asked.indexes)], lambda: as_dict(self._wheel_here(text)))
        )

    def _wheel_here(self, text: str) -> Judged:
        link, item = re.match(r"https?://", text) is not None, without_logins(text)[:200]
        path = Path(text).expanduser()
        filename = shown(text).rpartition("/")[2] if link else path.name
        try:
            told = named(filename.replace("%2B", "+").replace("%2b", "+"))
        except WheelError as error:
            return Judged(item, "wheel", UNKNOWN, str(error), None, "give a wheel by file name, link or path", ("reference",))
        wheel = Wheel(filename, normal(told.project), told.version, told.tags, shown(text).rpartition("/")[0] if link else "")
        unfit = misfit(wheel.tags, self._target)
        if unfit:
            return Judged(item, "wheel", WONT_RUN, unfit[0], None, unfit[1], ("tags",))
        if link:
            wheel = self._looker.look(wheel, text, None)
        elif path.is_file():
            wheel = self._looker.look_local(wheel, path)
        else:
            wheel = self._named_wheel(wheel)
        wheel = replace(wheel, requires=tuple(text for _name, _extras, text in applicable(wheel.requires, environment_of(self._target))))
        return replace(judge_chosen(item, wheel.project, {wheel.project: wheel}, self._target, self._today, alone=True), kind="wheel")

    def _named_wheel(self, wheel: Wheel) -> Wheel:
        """A wheel of which only the name is given: looked up in the indexes."""
        indexes = Indexes(self._web, list(self._asked.indexes))
        try:
            files = indexes.files(wheel.project)
        except FetchError as error:
            return replace(wheel, not_read=f"its name matches the desk, but the index could not be queried: {error}")
        for index, file in files:
            if file.filename == wheel.filename:
                return self._looker.look(replace(wheel, source=shown(index)), file.url, file.sha256)
        return replace(
            wheel, not_read="its name matches the desk, but none of the given indexes has it, so its contents could not be examined"
        )

    def _paths(self) -> list[Judged]:
        told = self._answer.get("paths")
        by_path = {str(item.get("path")): item for item in told if isinstance(item, Mapping)} if isinstance(told, list) else {}
        found = []
        room = UNITS_OF_PATHS
        for path in self._asked.paths:
            item = by_path.get(path)
            if item is None:
                found.append(
                    Judged(path, "path", UNKNOWN, "the desk reported nothing about it", None, "check the path on the desk", ("not-read",))
                )
                continue
            listed = item.get("files")
            files = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
            trouble = sentence(item.get("trouble"))
            if files and ELFFile is None:
                trouble = MISSING_LIBRARY
            stopped, binaries = sentence(item.get("stopped")), []
            for entry in files:
                binary = binary_of_desk(entry)
                room -= len(binary.units) + len(binary.relocatable)
                if room < 0:
                    stopped = f"the desk reports more fat binaries than {UNITS_OF_PATHS}"
                    break
                if binary.kind != "object":
                    binaries.append(binary)
            found.append(judge_path(path, binaries, stopped, trouble, self._target))
        return found


def _on_desk(text: str, told: Any) -> Image | None:
    """An image that docker on the desk described; null when it has to be asked for elsewhere."""
    if not isinstance(told, Mapping) or not isinstance(told.get("text"), str):
        return None
    try:
        return of_docker(image_reference.parse(text).text, told["text"])
    except (oci.OciError, image_reference.ReferenceProblem):
        return None


class _HandsOver(Exception):
    """The controller cannot resolve; the desk is to be asked."""


def _as_listed(item: pip_report.Chosen, indexes: Indexes, wanted: Wanted) -> pip_report.Chosen:
    """What a desk chose, with the link and the checksum that an index gives: the controller fetches nothing, and keeps nothing under a
    checksum, because a desk says so. A link that the requirements themselves hold counts too. Else only the file's name is left."""
    bare = item.url.partition("#")[0]
    if re.match(r"https?://", bare) and any(bare in line.text.split() for line in wanted.lines):
        return replace(item, sha256=None)
    name = bare.rpartition("/")[2]
    try:
        for _index, file in indexes.files(item.name):
            if file.filename == urllib.parse.unquote(name):
                return replace(item, url=file.url, sha256=file.sha256)
    except FetchError:
        pass
    return replace(item, url=name, sha256=None)


def _resolution(told: Mapping[str, Any]) -> Resolved:
    """What a desk said of a resolution; anything else is no answer."""
    try:
        if told.get("refusal"):
            return Resolved(refusal=from_dict(pip_report.Refusal, _REFUSAL(told["refusal"], "refusal")))
        return Resolved(tuple(from_dict(pip_report.Chosen, _CHOSEN(item, "chosen")) for item in told["chosen"]))
    except (KeyError, TypeError, AttributeError, Refused):
        return Resolved(refusal=pip_report.Refusal("other", words="the desk's answer could not be read"))
