# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""spark_facts: its documentation names every fact, and it answers on any machine."""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.options import SUBSETS, choose
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.modules import spark_facts
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import recorded_desk

RECORDINGS = Path(__file__).resolve().parents[2] / "recordings"

SAME_AS = {"cx7.ungrouped": "cx7.ports.functions"}
"""Facts whose documentation points to another fact with the same keys."""

SCALARS = {str: "str", int: "int", float: "float", bool: "bool"}


def expected(hint) -> tuple[str, str | None, type | None, bool]:
    """Ansible's type of a field, its elements, the dataclass inside, and whether it may be null."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        kind, elements, inside, _null = expected(next(item for item in arguments if item is not types.NoneType))
        return kind, elements, inside, True
    if origin is tuple:
        kind, _elements, inside, _null = expected(arguments[0])
        return "list", kind, inside, False
    if origin is dict:
        return "dict", None, None, False
    if dataclasses.is_dataclass(hint):
        return "dict", None, hint, False
    return SCALARS[hint], None, None, False


def differences(cls: type, documented: dict, path: str = "") -> list[str]:
    hints = typing.get_type_hints(cls)
    fields = {item.name for item in dataclasses.fields(cls)}
    found = [f"{path}{name} is documented and does not exist" for name in documented if name not in fields]
    for name in sorted(fields):
        here = f"{path}{name}"
        if name not in documented:
            found.append(f"{here} is not documented")
            continue
        entry = documented[name]
        kind, elements, inside, null = expected(hints[name])
        if (entry.get("type"), entry.get("elements")) != (kind, elements):
            found.append(f"{here} is documented as {entry.get('type')} of {entry.get('elements')}, it is {kind} of {elements}")
        if not entry.get("description"):
            found.append(f"{here} has no description")
        if null and "null" not in entry["description"]:
            found.append(f"{here} may be null, its description does not say so")
        if inside is not None and here not in SAME_AS:
            found += differences(inside, entry.get("contains", {}), f"{here}.")
    return found


def documented_facts() -> dict:
    return yaml.safe_load(spark_facts.RETURN)["ansible_facts"]["contains"]["spark"]["contains"]


def test_every_fact_is_documented_with_type_and_null():
    assert differences(Desk, documented_facts()) == []


SOURCE = re.compile(
    r"/(?:etc|proc|sys|run|boot|usr|var|opt|lib)/|DMI|nvidia-smi|sysfs|dpkg|package database|netplan|pcie_hotplug|grubenv|_link_"
    r"|C\((?:ip|uname|rdma|modinfo|ethtool|timedatectl|systemctl|journalctl|stat|findmnt|time)\b"
    r"|C\((?:DGX_\w+|Mem\w+|Swap\w+|Cma\w+)\b|O\(|RV\(|this collection"
)
"""What names a source: a file, a tool, an option, another fact."""


def without_source(documented: dict, path: str = "", told: bool = False) -> list[str]:
    """Facts that name no source, neither themselves nor in the fact that holds them."""
    found = []
    for name, entry in documented.items():
        here = told or bool(SOURCE.search(entry["description"]))
        if "contains" in entry:
            found += without_source(entry["contains"], f"{path}{name}.", here)
        elif not here:
            found.append(f"{path}{name}")
    return found


def test_every_fact_names_its_source():
    assert without_source(documented_facts()) == []


def test_a_fact_without_source_would_be_noticed():
    documented = documented_facts()
    documented["cx7"]["contains"]["firmware"]["description"] = "Firmware version; null when unknown."
    assert without_source(documented) == ["cx7.firmware"]


UNITS = {"_kb": "kB", "_mib": "MiB", "_mhz": "MHz", "_w": " W", "_c": "degrees", "_percent": "percent", "_mbps": "Mb/s", "mtu": "bytes"}
"""End of a name to the word that its documentation (or that of the fact that holds it) must have."""


def without_unit(documented: dict, path: str = "", above: str = "") -> list[str]:
    found = []
    for name, entry in documented.items():
        told = f"{above} {entry['description']}"
        if "contains" in entry:
            found += without_unit(entry["contains"], f"{path}{name}.", told)
        elif entry["type"] in ("int", "float"):
            found += [f"{path}{name}" for ending, word in UNITS.items() if name.endswith(ending) and word not in told]
    return found


def test_every_measured_fact_names_its_unit():
    assert without_unit(documented_facts()) == []
    documented = documented_facts()
    documented["gpu"]["contains"]["power_draw_w"]["description"] = "Power now; null when unknown."
    assert without_unit(documented) == ["gpu.power_draw_w"]


def test_a_missing_fact_would_be_noticed():
    documented = documented_facts()
    del documented["gpu"]["contains"]["name"]
    documented["memory"]["contains"]["total_kb"]["type"] = "str"
    assert differences(Desk, documented) == [
        "gpu.name is not documented",
        "memory.total_kb is documented as str of None, it is int of None",
    ]


def test_the_documentation_names_every_subset():
    text = " ".join(yaml.safe_load(spark_facts.DOCUMENTATION)["options"]["gather_subset"]["description"])
    assert all(f"C({name})" in text for name in SUBSETS)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (["all"], SUBSETS),
        ([], SUBSETS),
        (["memory", "gpu"], ("gpu", "memory")),
        (["all", "!setup"], tuple(name for name in SUBSETS if name != "setup")),
        (["!all"], ()),
    ],
)
def test_subsets(wanted, chosen):
    assert choose(wanted) == chosen


def run(arguments: dict, capsys) -> dict:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        spark_facts.main()
    return json.loads(capsys.readouterr().out)


def test_answers_on_a_machine_that_is_no_desk(capsys):
    result = run({"judge_options": {"purpose": "audit"}, "desk": "desk-01", "run_id": "run-1"}, capsys)
    facts = result["ansible_facts"]["spark"]
    assert result["changed"] is False
    assert set(facts) == {item.name for item in dataclasses.fields(Desk)}
    assert facts["run_id"] == "run-1"
    assert facts["memory"]["total_kb"] > 0
    assert facts["identity"]["serial"] is None
    assert any(item["code"] == "DESK_NOT_GB10" for item in result["findings"]) or facts["identity"]["is_gb10"] is not False
    assert result["processes"] <= 20


def test_one_subset_asks_nothing_else(capsys):
    result = run({"gather_subset": ["memory"], "_ansible_check_mode": True}, capsys)
    facts = result["ansible_facts"]["spark"]
    assert (facts["subsets"], result["processes"]) == (["memory"], 0)
    assert facts["identity"]["hostname"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"gather_subset": ["nosuch"]}, "unknown subset 'nosuch'; known subsets are all, identity"),
        ({"judge_options": {"nosuch": 1}}, "nosuch"),
        ({"judge_options": {"purpose": "nosuch"}}, "nosuch"),
    ],
)
def test_refusals_name_the_value(arguments, said, capsys):
    result = run({"desk": "desk-07", **arguments}, capsys)
    assert result["failed"] is True
    assert said in result["msg"] and "desk-07" in result["msg"]


def test_another_serial_number_is_told_shortened_and_goes_no_further(capsys, monkeypatch):
    """Two digits swapped by hand: their ends alone would look alike."""
    _recording, desk = recorded_desk.load(RECORDINGS / "founders_stacked")
    monkeypatch.setattr(spark_facts, "LiveHomes", lambda: desk)
    wanted = {"serial": "INVENTED000040", "host_key_fingerprints": ["SHA256:other"]}
    result = run({"expected_identity": wanted, "gather_subset": ["identity"], "desk": "desk-01"}, capsys)
    (found,) = [item for item in result["findings"] if item["code"] == "DESK_IDENTITY_WRONG"]
    assert "(shortened: ...0040 was expected, ...0004 was found)" in found["message"]
    (key,) = result["ansible_facts"]["spark"]["identity"]["host_key_fingerprints"]
    assert f"(SHA256:other was expected, {key} was found)" in found["message"]
    assert result["ansible_facts"]["spark"]["identity"]["serial"] is None and "INVENTED" not in json.dumps(result)


def test_expected_identity_reaches_the_judges(capsys):
    result = run({"expected_identity": {"serial_sha256": "0" * 64}, "gather_subset": ["identity"]}, capsys)
    assert "failed" not in result
