"""The list of codes, the table of known-bad versions, the options of the judges."""

from __future__ import annotations

import re
import typing

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import CODES, DOMAINS, finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.common import older, version_key
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.known_versions import KNOWN_BAD, known_bad, matches
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import JudgeOptions, options_from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import SEVERITIES, Where
from judge_samples import change, healthy


def test_codes_are_listed_once_and_completely() -> None:
    assert sum(len(codes) for codes in DOMAINS.values()) == len(CODES)
    for code in CODES.values():
        assert re.fullmatch(r"[A-Z][A-Z0-9_]+", code.code)
        assert code.title and code.meaning and code.remedy and code.source, code.code
        assert set(code.allowed) <= set(SEVERITIES) and len(set(code.allowed)) == len(code.allowed), code.code


def test_a_finding_needs_a_listed_code_and_an_allowed_severity() -> None:
    assert finding("DRIVER_MISSING", Where(desk="a"), "x").severity == "fail"
    with pytest.raises(KeyError):
        finding("NO_SUCH_CODE", Where(), "x")
    with pytest.raises(ValueError, match="DRIVER_MISSING cannot be note"):
        finding("DRIVER_MISSING", Where(), "x", severity="note")


def test_known_bad_severity_follows_the_grade() -> None:
    for entry in KNOWN_BAD:
        assert entry.grade in ("official", "community", "single") and entry.source and entry.advice
        assert entry.severity == ("warn" if entry.grade == "official" or entry.reports >= 3 else "note")
        desk = healthy()
        path, version = EXAMPLES[entry.component, entry.source]
        assert [found for found, _version in matches(change(desk, **{path: version}))] == [entry]
        assert matches(desk) == []


EXAMPLES = {
    ("kernel", "NVIDIA advisory 2026-09-13, developer forum F383254 and F383926"): ("kernel__running", "7.0.0-1019-nvidia"),
    ("kernel", "developer forum F366026"): ("kernel__running", "6.17.0-1008-nvidia"),
    ("driver", "hasso5703/dgx-spark-qwen38 26, sgl-project/sglang 40948, vllm-project/vllm 52877"): (
        "driver__module_version",
        "580.159.03",
    ),
    ("driver", "developer forum F378200"): ("driver__module_version", "580.173.02"),
    ("cx7_firmware", "developer forum F373900"): ("cx7__firmware", "28.47.1088"),
    ("nccl", "one owner's notes"): ("toolkit__nccl", "2.30.4-1+cuda13.0"),
    ("bios", "one owner's notes"): ("identity__bios_version", "GX10DGX.0103.2026.0129.1152"),
}


@pytest.mark.parametrize(
    ("component", "version", "bad"),
    [
        ("nccl", "2.30.4", True),
        ("nccl", "2.30.7", False),
        ("nccl", "2.30.3-1+cuda13.0", False),
        ("nccl", "2.28.9-1+cuda13.0", False),
        ("bios", "GX10DGX.0105.2026.0505.1153", False),
        ("bios", "GX10DGX.0101.2025.1112.1000", True),
        ("bios", "5.36_0ACUM018", False),
    ],
)
def test_a_version_that_a_measurement_told_is_looked_up(component: str, version: str, bad: bool) -> None:
    assert (known_bad(component, version) is not None) is bad


def test_the_kernel_of_the_next_boot_is_warned_of_unless_kho_will_be_off() -> None:
    desk = change(healthy(), kernel__running="6.17.0-1032-nvidia", kernel__next_boot="7.0.0-1019-nvidia")
    (found,) = matches(desk)
    assert (found[0].component, found[1], found[0].own_code) == ("next kernel", "7.0.0-1019-nvidia", None)
    assert matches(change(desk, kernel__next_boot_kho="off")) == []
    assert matches(change(desk, kernel__next_boot="7.0.0-1021-nvidia")) == []


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("7.2.3", "7.10.0", True),
        ("7.6", "7.6.0", False),
        ("7.6.0", "7.5.9", False),
        ("580.95.05", "580.142", True),
        ("", "7.0", None),
        (None, "7.0", None),
        ("abc", "7.0", None),
    ],
)
def test_older(one: str | None, two: str | None, expected: bool | None) -> None:
    assert older(one, two) is expected


def test_version_key_of_a_hostile_text() -> None:
    assert version_key("9" * 5000) is not None
    assert version_key("\x00\ufffd") is None


def test_options_from_plain_data() -> None:
    assert options_from_dict(None) == JudgeOptions()
    options = options_from_dict(
        {
            "purpose": "stack",
            "wanted_branch": "580",
            "wanted_mtu": "9000",
            "minimum_memory_gib": "60",
            "take_over": "yes",
            "expected_host_key_fingerprints": "SHA256:a",
            "minimum_dgx_os": None,
        }
    )
    assert (options.wanted_branch, options.wanted_mtu, options.minimum_memory_gib, options.take_over) == (580, 9000, 60.0, True)
    assert options.expected_host_key_fingerprints == ("SHA256:a",)
    assert options.minimum_dgx_os == "7.2.3"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"purpos": "audit"}, "unknown judge options: purpos"),
        ({"purpose": "party"}, "one of audit"),
        ({"wanted_branch": "five"}, "wanted_branch"),
        ({"take_over": "perhaps"}, "take_over"),
        ({"minimum_dgx_os": ["7.2.3"]}, "minimum_dgx_os"),
        ({"expected_host_key_fingerprints": 5}, "expected_host_key_fingerprints"),
    ],
)
def test_options_that_make_no_sense_are_refused(data: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        options_from_dict(data)


NUMBERS = {name: hint for name, hint in typing.get_type_hints(JudgeOptions).items() if {int, float, bool} & {hint, *typing.get_args(hint)}}


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_of_the_options_may_come_as_text(name: str) -> None:
    """As ``-e`` and templates give it, a field without a default too."""
    text = "true" if NUMBERS[name] is bool else "7"
    value = getattr(options_from_dict({name: text}), name)
    assert type(value) in {NUMBERS[name], *typing.get_args(NUMBERS[name])} - {str} and value in (True, 7)
    with pytest.raises(ValueError, match=name):
        options_from_dict({name: "many"})
