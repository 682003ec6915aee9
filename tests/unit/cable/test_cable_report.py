"""The cabling as text, as a picture and as an inventory: each says what the map says, and guesses nothing."""

from __future__ import annotations

import dataclasses
import re
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_judge import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_map import read_map
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import CableMap, End, Neighbour
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.cable_report import (
    COLOURS,
    discover,
    inventory_text,
    picture,
    text_map,
)
from cabled_lab import Lab, mac, pairs, right

DESKS, PLAN = pairs(4)
A1, A2, B1, B2 = (End(desk, 0) for desk in DESKS[:4])
SWITCH = "48:8f:5a:00:00:07"
NAMED = {item.pair: (item.a, item.b) for item in PLAN}


def lab(*cables: list[End | str | None]) -> Lab:
    return Lab(DESKS, [*cables, *right(PLAN[2:])])


def mapped(this: Lab) -> CableMap:
    return read_map(this.probes(), {}, this.unread())


def lines(this: Lab) -> list[str]:
    probes = this.probes()
    cables = mapped(this)
    judged = judge(cables, PLAN, probes)
    return text_map(cables, judged.edges, judged.steps)


# ---- text --------------------------------------------------------------------------------------------------------------


def test_a_right_lab_is_four_lines_and_says_nothing_of_hands() -> None:
    text = "\n".join(lines(lab(*right(PLAN[:2]))))
    assert text.count("=====") == 4 and text.count("right") == 4
    assert "BY HAND" not in text and "WITHOUT A KNOWN CABLE" not in text
    assert "8 more cages without a signal" in text


def test_crossed_pairs_are_wrong_and_the_movement_is_the_last_word() -> None:
    text = lines(lab([A1, B1], [A2, B2]))
    assert any(re.search(r"desk-01 port 0 ===== desk-03 port 0 +WRONG", line) for line in text)
    assert text[-2].startswith("  1. Swap two plugs: ")
    assert text[-1].startswith("  Then reboot desk-01, desk-02, desk-03 and desk-04 with the cables in.") and "13 Gb/s" in text[-1]


def test_every_cage_of_which_nothing_is_known_is_told_with_its_reason() -> None:
    this = lab([A1, SWITCH])
    this.silent, this.deaf = {"desk-04"}, {"desk-05"}
    text = "\n".join(lines(this))
    assert f"desk-01 port 0  unknown desk or device: {SWITCH} (MikroTik)" in text
    assert "desk-04         no response: no route to host" in text
    assert "desk-05 port 0  not seen: the functions have no IPv6 link-local address" in text
    assert "desk-02 port 0  no signal" in text


@pytest.mark.parametrize("cable", [[], [[End("desk-05", 0), End("desk-06", 0)]]])
def test_a_lab_on_a_switch_is_its_switch_and_not_a_lack_of_cables(cable: list[Any]) -> None:
    text = lines(Lab(DESKS[:6], cable, switches=[[A1, A2, B1, B2]]))
    assert ("CABLES" in text) == bool(cable) and text[0] == ("CABLES" if cable else "SWITCHES")
    assert "  desk-01 port 0, desk-02 port 0, desk-03 port 0, desk-04 port 0" in text
    assert "  no cable between two desks was seen" not in text


def test_a_lab_without_any_link_says_so() -> None:
    assert lines(Lab(DESKS[:2], []))[:2] == ["CABLES", "  no cable between two desks was seen"]


# ---- picture -----------------------------------------------------------------------------------------------------------


def report(this: Lab) -> dict[str, Any]:
    probes = this.probes()
    judged = judge(mapped(this), PLAN, probes)
    found = [item.as_dict() for pair in judged.pairs for item in pair.findings]
    return {
        "pairs": [
            {"name": item.pair, "members": [{"desk": item.a}, {"desk": item.b}], "verdict": "PASS", "findings": found} for item in PLAN
        ],
        "desks": [
            {"name": desk, "verdict": "PASS", "findings": [item for item in found if item["where"].get("desk") == desk]} for desk in DESKS
        ],
        "cables": list(judged.edges),
    }


def drawn(this: Lab) -> ElementTree.Element:
    return ElementTree.fromstring(picture(report(this)))


def strokes(svg: ElementTree.Element) -> list[str | None]:
    return [item.get("stroke") for item in svg.iter("{http://www.w3.org/2000/svg}path")]


def test_each_cable_is_drawn_in_the_colour_of_its_verdict() -> None:
    assert strokes(drawn(lab(*right(PLAN[:2])))) == [COLOURS["ok"]] * 4
    crossed = drawn(lab([A1, B1], [A2, B2]))
    assert sorted(map(str, strokes(crossed))) == sorted([COLOURS["wrong"]] * 2 + [COLOURS["ok"]] * 2)
    assert COLOURS["wrong_port"] in strokes(drawn(lab([A1, End("desk-02", 1)], [B1, B2])))
    titles = [item.text for item in crossed.iter("{http://www.w3.org/2000/svg}title")]
    assert "desk-01 port 0 to desk-03 port 0: WRONG" in titles


def test_desks_do_not_overlap_and_all_are_in_the_frame() -> None:
    svg = drawn(lab(*right(PLAN[:2])))
    frame = [float(number) for number in str(svg.get("viewBox")).split()]
    boxes = [item for item in svg.iter("{http://www.w3.org/2000/svg}rect") if item.get("rx")]
    corners = [tuple(float(str(item.get(key))) for key in ("x", "y", "width", "height")) for item in boxes]
    assert len(corners) == len(DESKS)
    for index, (x, y, width, height) in enumerate(corners):
        assert x >= 0 and x + width <= frame[2] and y >= 0 and y + height <= frame[3]
        for other_x, other_y, _width, _height in corners[index + 1 :]:
            assert abs(x - other_x) >= width or abs(y - other_y) >= height


def test_no_cable_lies_upon_another_and_none_runs_behind_a_box() -> None:
    """Crossed pairs once looked like right ones: two straight lines upon each other."""

    def points(path: str) -> list[tuple[float, float]]:
        x1, y1, c1, d1, c2, d2, x2, y2 = (float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path))
        steps = [number / 20 for number in range(21)]
        return [
            (
                (1 - t) ** 3 * x1 + 3 * (1 - t) ** 2 * t * c1 + 3 * (1 - t) * t**2 * c2 + t**3 * x2,
                (1 - t) ** 3 * y1 + 3 * (1 - t) ** 2 * t * d1 + 3 * (1 - t) * t**2 * d2 + t**3 * y2,
            )
            for t in steps
        ]

    far = [End(DESKS[0], 0), End(DESKS[7], 1)]
    for this in (lab([A1, B1], [A2, B2]), Lab(DESKS, [[A1, B2], [A2, B1], [End("desk-05", 0), End("desk-05", 1)]]), Lab(DESKS, [far])):
        svg = drawn(this)
        lines = [points(str(item.get("d"))) for item in svg.iter("{http://www.w3.org/2000/svg}path")]
        boxes = [item for item in svg.iter("{http://www.w3.org/2000/svg}rect") if item.get("rx")]
        for index, line in enumerate(lines):
            for other in lines[index + 1 :]:
                near = sum(min(abs(x - u) + abs(y - v) for u, v in other) < 2 for x, y in line)
                assert near <= 2, "they may cross, not run together"
            for box in boxes:
                x, y, width, height = (float(str(box.get(key))) for key in ("x", "y", "width", "height"))
                assert not any(x + 1 < px < x + width - 1 and y < py < y + height for px, py in line)


def test_an_unknown_device_is_a_broken_red_line_with_a_question_mark() -> None:
    def marks(this: Lab) -> list[str | None]:
        return [item.text for item in drawn(this).iter("{http://www.w3.org/2000/svg}text") if item.text == "?"]

    assert marks(lab([A1, SWITCH], [B1, B2])) == ["?"]
    assert marks(lab(*right(PLAN[:2]))) == []


def test_a_name_cannot_break_the_picture() -> None:
    data = report(lab(*right(PLAN[:2])))
    data["desks"][0]["name"] = data["pairs"][0]["members"][0]["desk"] = "<b>&\"'"
    assert ElementTree.fromstring(picture(data)) is not None
    assert picture({"pairs": [], "desks": [{"name": "a", "verdict": "PASS", "findings": []}], "cables": []}) == ""


# ---- inventory ---------------------------------------------------------------------------------------------------------


def test_the_inventory_follows_the_cabling_and_keeps_the_names_of_pairs_that_are_right() -> None:
    found = discover(mapped(lab([A1, B1], [A2, B2])), DESKS, NAMED)
    assert dict(found.pairs) == {
        "pair_01": ("desk-01", "desk-03"),
        "pair_02": ("desk-02", "desk-04"),
        "pair_3": ("desk-05", "desk-06"),
        "pair_4": ("desk-07", "desk-08"),
    }
    assert found.unsure == {}


@pytest.mark.parametrize(
    ("cables", "reason"),
    [
        ([[A1, SWITCH]], "an unknown device is behind port 0"),
        ([[A1, End("desk-01", 1)]], "one cable joins its own two cages"),
        ([[A1, A2], [End("desk-01", 1), B1]], "its cables lead to desk-02 and desk-03"),
        ([], "no cable was seen at it"),
    ],
)
def test_what_is_not_one_sure_cable_makes_no_pair(cables: list[list[End | str | None]], reason: str) -> None:
    found = discover(mapped(lab(*cables)), DESKS, NAMED)
    assert found.unsure["desk-01"] == reason
    assert all("desk-01" not in pair for pair in found.pairs.values()) and len(found.pairs) == 2


def test_a_cable_seen_from_one_side_makes_no_pair() -> None:
    this = lab(*right(PLAN[:2]))
    this.deaf = {"desk-02"}
    probes = this.probes()
    port = probes["desk-01"].ports[0]
    sees = (Neighbour(mac(1, 0, 0), "ipv6"),)
    port = dataclasses.replace(port, functions=tuple(dataclasses.replace(item, neighbours=sees) for item in port.functions))
    probes["desk-01"] = dataclasses.replace(probes["desk-01"], ports=(port, probes["desk-01"].ports[1]))
    found = discover(read_map(probes, {}, {}), DESKS, NAMED)
    assert "pair_1" not in found.pairs and "one side only" in found.unsure["desk-01"] and "desk-02" in found.unsure


def test_the_inventory_is_yaml_with_the_hosts_variables_and_no_password() -> None:
    found = discover(mapped(lab([A1, B1])), DESKS, NAMED)
    variables = {
        desk: {"ansible_host": f"10.0.0.{index}", "ansible_become_password": "secret", "spark_out_of_service": False}
        for index, desk in enumerate(DESKS)
    }
    variables["desk-01"]["ansible_ssh_extra_args"] = "-o HostKeyAlias=desk-01"
    text = inventory_text(found, variables, "2026-01-01")
    data = yaml.safe_load(text)
    assert data["spark_pairs"]["children"]["pair_01"]["hosts"] == {
        "desk-01": {"ansible_host": "10.0.0.0", "ansible_ssh_extra_args": "-o HostKeyAlias=desk-01", "spark_out_of_service": False},
        "desk-03": {"ansible_host": "10.0.0.2", "spark_out_of_service": False},
    }
    assert set(data["spark_desks"]["hosts"]) == {"desk-02", "desk-04"} and data["spark_desks"]["children"] == {"spark_pairs": {}}
    assert "secret" not in text and "#   desk-02: no cable was seen at it" in text


def test_what_was_no_template_is_none_in_the_inventory() -> None:
    """Values of a lab sheet and of other programs are never templates, but Ansible trusts the file that they are written to."""
    found = discover(mapped(lab([A1, B1])), DESKS, NAMED)
    serial = "{{ lookup('pipe', 'touch hacked') }}"
    text = inventory_text(found, {"desk-01": {"ansible_host": "10.0.0.1", "spark_expected_serial": serial}}, "now")
    assert f'spark_expected_serial: !unsafe "{serial}"' in text and "ansible_host: 10.0.0.1" in text


def test_the_inventory_takes_the_strings_that_ansible_hands_over() -> None:
    class Tagged(str):
        """As Ansible's own strings: YAML's safe writer knows no subclass."""

    found = discover(mapped(lab(*right(PLAN[:2]))), [Tagged(desk) for desk in DESKS], {Tagged(name): pair for name, pair in NAMED.items()})
    variables = {Tagged(desk): {"ansible_host": Tagged("10.0.0.1")} for desk in DESKS}
    assert set(yaml.safe_load(inventory_text(found, variables, "now"))["spark_pairs"]["children"]) == set(NAMED)
