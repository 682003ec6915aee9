# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The items with known right answers, each through the readers and judges that a run uses: recorded registries, indexes and wheels, and
ELF files written for the test. The list stands in ``../shared/cases``; where that folder is not beside the checkout, the tests say so."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather import workload
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.binary import judge_binary
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.image import judge_image
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.parts import TOOLKIT_13
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.requirement import judge_chosen
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.rules import RULES
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.wheel import misfit
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.workload import WONT_RUN, Judged, Target, Wheel
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import requirement_lines
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers.simple_index import normal
from ansible_collections.labops.dgx_spark.plugins.module_utils.tree import Limits, Walk
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload import fetch, offers
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.elf import binary_of_desk
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.registry import Options, Registry
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.requirements import Requirements, applicable
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.resolve import environment_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.wheels import named
from elf_file import elf
from items import reference_of, registry, too_large, torch_of
from recorded_index import RecordedIndexes, RecordedLooker, load, recorded_resolver

FILE = Path(__file__).resolve().parents[4] / "shared" / "cases" / "workload.yml"
TODAY = "2026-11-26"
pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="shared/cases/workload.yml is not beside this checkout")


def items(kind: str) -> list[Any]:
    found = yaml.safe_load(FILE.read_text(encoding="utf-8"))["items"] if FILE.is_file() else []
    return [pytest.param(item, id=item["id"]) for item in found if item["kind"] == kind]


@functools.cache
def recording() -> dict[str, Any]:
    return load()


@pytest.fixture
def desk(spark: Target) -> Target:
    """With the CUDA 13 toolkit that DGX OS brings."""
    return Target(**{**spark.__dict__, "libraries": (*(spark.libraries or ()), *TOOLKIT_13)})


def check(item: dict[str, Any], verdict: str, gpu: str | None, rules: tuple[str, ...], instead: str) -> None:
    assert verdict in (item["expected"], *item.get("accept", ())), item["reason"]
    if "gpu" in item:
        assert gpu == item["gpu"]
    assert rules
    assert set(rules) <= set(RULES)
    assert verdict in ("RUNS",) or instead


def check_judged(item: dict[str, Any], judged: Judged) -> None:
    check(item, judged.verdict, judged.gpu, judged.rules, judged.instead)


@pytest.mark.parametrize("item", items("image"))
def test_images(item: dict[str, Any], desk: Target) -> None:
    image = Registry(Options(), registry()).image(reference_of(item["item"]))
    check_judged(item, judge_image(image, desk, TODAY))


@pytest.mark.parametrize("item", items("requirement"))
def test_requirements(item: dict[str, Any], desk: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    told = recording()
    monkeypatch.setattr(offers, "_is_stub", lambda _web, file: told["stubs"].get(file.filename, False))
    ask, indexes, looker = recorded_resolver(told), RecordedIndexes(told), RecordedLooker(told)
    if "pytorch.org" in item["index"]:
        version = item["item"].partition("==")[2]
        build = item["index"].rpartition("/")[2]
        monkeypatch.setattr(looker, "look", lambda wheel, *_more: too_large(wheel))
        monkeypatch.setattr(RecordedIndexes, "files", lambda *_more: [])

        def ask(_text):
            return torch_of(build, version)

    judge = Requirements(desk, ask, indexes, looker, fetch.Web(1), TODAY)
    (judged,) = judge.judge(requirement_lines.lines(item["item"]).requirements)
    check_judged(item, judged)
    if "fix" in item:
        assert item["fix"].rpartition(" ")[2].rstrip("/") in " ".join([judged.instead, *judged.notes])


@pytest.mark.parametrize("item", items("wheel"))
def test_wheels(item: dict[str, Any], desk: Target) -> None:
    told = named(item["item"])
    unfit = misfit(told.tags, desk)
    if unfit:
        check(item, WONT_RUN, None, ("tags",), unfit[1])
        return
    wheel = RecordedLooker(recording()).look(Wheel(item["item"], normal(told.project), told.version, told.tags, item["index"]), "", None)
    asked = [entry for answer in recording()["resolutions"].values() for entry in answer["chosen"] if entry["url"] == item["item"]]
    needs = applicable(asked[0]["requires"], environment_of(desk))
    wheel = Wheel(**{**wheel.__dict__, "requires": tuple(text for _name, _extras, text in needs)})
    check_judged(item, judge_chosen(item["item"], wheel.project, {wheel.project: wheel}, desk, TODAY, alone=True))


@pytest.mark.parametrize("item", items("elf"))
def test_binaries(item: dict[str, Any], desk: Target, tmp_path: Path) -> None:
    """The described file is written as a real ELF file, sent in parts as a desk does, and read with pyelftools."""
    described = item["elf"]
    codes, units = described.get("nv_fatbin") or [], described.get("units")
    whole = [list(unit) for unit in units] if isinstance(units, list) else [codes] * (units or 1) if codes else []
    data = elf(
        described["machine"],
        bits=32 if described.get("class") == "ELF32" else 64,
        kind=2 if described.get("type") == "EXEC" else 3,
        needed=described.get("needed", ()),
        interpreter=described.get("interp", ""),
        versions=[("libc.so.6", [f"GLIBC_{described['glibc']}"])] if "glibc" in described else (),
        units=whole,
        relocatable=[[f"ptx {code}"] for code in described.get("relfatbin_ptx", ())],
    )
    path = tmp_path / "item.so"
    path.write_bytes(data)
    ((told,),) = [entry["files"] for entry in workload.paths([str(path)], lambda: Walk(Limits()))]
    # Who brings CUDA 12's libraries is part of the question only where the item says so.
    brought = None if "present" in item["item"] or "judged only" in item["item"] else ()
    verdict = judge_binary(binary_of_desk(told), desk, brought)
    check(item, verdict.verdict, verdict.gpu, verdict.rules, verdict.instead)


def test_every_item_has_a_kind_that_is_tested() -> None:
    kinds = {item["kind"] for item in yaml.safe_load(FILE.read_text(encoding="utf-8"))["items"]}
    assert kinds == {"image", "requirement", "wheel", "elf"}
