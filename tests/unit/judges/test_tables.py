"""The list of codes, the table of known-bad versions, the options of the judges."""

from __future__ import annotations

import re

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import CODES, DOMAINS, finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.common import older, version_key
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.known_versions import KNOWN_BAD, matches
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
        path = {"driver": "driver__module_version", "kernel": "kernel__running", "cx7_firmware": "cx7__firmware"}[entry.component]
        version = re.sub(r"\(.*\)\?|\.\*|\\", "", entry.pattern)
        assert [found for found, _version in matches(change(desk, **{path: version}))] == [entry]
        assert matches(desk) == []


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
            "previous_carrier_down": {"enp1s0f1np1": 2},
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
