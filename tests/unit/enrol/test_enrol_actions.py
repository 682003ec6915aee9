"""What the controller decides around enrolment: which key and which passwords, and which identity later playbooks ask for."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.labops.dgx_spark.plugins.action.enrol_desk import admin_key
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.identity import serial_hashes
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.known_hosts import fingerprint, remember
from scripted_action import Script

PUBLIC = "ssh-ed25519 QURNSU4= admin@lab"
OTHER = "ssh-ed25519 T1RIRVI= other@lab"


# ---- the admin's key ---------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def test_the_named_public_key_comes_before_all_others(home: Path) -> None:
    (home / ".ssh/id_ed25519.pub").write_text(OTHER)
    (home / "mine.pub").write_text(f"{PUBLIC}\n")
    found = admin_key(None, "~/mine.pub")
    assert found is not None and (found.public, found.private) == (PUBLIC, home / "mine")


def test_the_key_beside_the_private_one_in_use(home: Path) -> None:
    (home / ".ssh/id_ed25519.pub").write_text(OTHER)
    (home / "lab_key.pub").write_text(PUBLIC)
    found = admin_key(str(home / "lab_key"), None)
    assert found is not None and (found.public, found.private) == (PUBLIC, home / "lab_key")


def test_else_the_first_usual_key(home: Path) -> None:
    (home / ".ssh/id_rsa.pub").write_text(OTHER)
    (home / ".ssh/id_ecdsa.pub").write_text(PUBLIC)
    found = admin_key(None, None)
    assert found is not None and found.public == PUBLIC


@pytest.mark.parametrize("text", [None, "", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", f"{PUBLIC}\n{OTHER}\n", b"\xff\xfe"])
def test_what_is_no_single_public_key_is_not_installed(home: Path, text: str | bytes | None) -> None:
    if text is not None:
        (home / ".ssh/id_ed25519.pub").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert admin_key(None, None) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "there is no public key {home}/keys/lab.pem.pub"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "lab.pem.pub on the controller is not a public key"),
        ('---- BEGIN SSH2 PUBLIC KEY ----\nComment: "lab"\nAAAA\n---- END SSH2 PUBLIC KEY ----\n', "is not a public key"),
        ("my key\n", "is not a public key"),
    ],
)
def test_the_file_that_was_looked_at_is_named(home: Path, text: str | None, told: str) -> None:
    (home / "keys").mkdir()
    if text is not None:
        (home / "keys/lab.pem.pub").write_text(text, encoding="ascii")
    given = {"ansible_ssh_private_key_file": str(home / "keys/lab.pem")}
    [found] = Script("enrol_desk", {"known_hosts": str(home / "known_hosts.txt")}).run(**given)["findings"]
    assert told.format(home=home) in found["message"] and "ssh-keygen -y -f" in found["remedy"] and "id_rsa" not in found["message"]


def test_without_a_key_the_desk_is_told_so(home: Path) -> None:
    result = Script("enrol_desk", {"known_hosts": str(home / "known_hosts.txt")}).run()
    assert result["failed"] and [item["code"] for item in result["findings"]] == ["ADMIN_KEY_MISSING"]


@pytest.mark.parametrize(("desk", "address"), [("*", "192.0.2.66"), ("desk-01", "192.0.2.66,*")])
def test_a_name_that_stands_for_other_desks_is_not_enrolled(home: Path, desk: str, address: str) -> None:
    """Also where no run looked at the inventory before."""
    (home / ".ssh/id_ed25519.pub").write_text(PUBLIC)
    with pytest.raises(AnsibleError, match="for more than one machine"):
        Script("enrol_desk", {"known_hosts": str(home / "known_hosts.txt")}).run(desk, ansible_host=address, ansible_user="labadmin")
    assert not (home / "known_hosts.txt").exists()


# ---- passwords ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "typed", "expected"),
    [
        ({"ansible_password": "a", "ansible_become_password": "b"}, ("", ""), ("a", "b")),
        ({"ansible_ssh_pass": "a", "ansible_become_pass": "b"}, ("", ""), ("a", "b")),
        ({"ansible_password": "a"}, ("typed", "typed too"), ("a", "typed too")),
        ({}, ("typed", "typed too"), ("typed", "typed too")),
        ({"ansible_password": "a"}, ("", ""), ("a", "a")),
        ({}, ("", ""), (None, None)),
    ],
)
def test_vaulted_passwords_come_before_typed_ones(variables: dict[str, str], typed: tuple[str, str], expected: tuple[str, str]) -> None:
    secrets = Script("enrol_desk", password=typed[0], become=typed[1]).action._secrets(variables)
    assert (secrets.password, secrets.become) == expected


@pytest.mark.parametrize(
    ("typed", "yes"), [(b"yes", True), (b" YES ", True), (b"y", False), (b"", False), (b"no", False), (b"yes please", False)]
)
def test_only_a_whole_yes_is_a_yes(typed: bytes, yes: bool) -> None:
    action = Script("enrol_desk").action
    action._display.prompt_until = lambda _prompt: typed
    assert action._ask("?") is yes


def test_nobody_at_a_terminal_is_a_no() -> None:
    def nobody(_prompt: str) -> bytes:
        raise AnsibleError("stdin is not interactive")

    action = Script("enrol_desk").action
    action._display.prompt_until = nobody
    assert action._ask("?") is False


# ---- later playbooks ---------------------------------------------------------------------------------------------------


def key(word: str) -> str:
    return f"ssh-ed25519 {base64.b64encode(word.encode()).decode()}"


def expected_of(variables: dict[str, Any]) -> dict[str, Any]:
    """The identity that the facts are asked to compare."""
    script = Script("spark_facts")
    script.run(**variables)
    return dict(script.asked[0].get("expected_identity") or {})


def test_keys_that_enrolment_proved_count_before_an_old_one_in_the_sheet(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts.txt"
    remember(path, "desk-01", ("desk-01",), [key("a"), key("b")])
    remember(path, "desk-02", ("desk-02",), [key("c")])
    sheet = {"spark_expected_serial": "S1", "spark_expected_host_key": "SHA256:old"}
    found = expected_of({**sheet, "spark_known_hosts": str(path)})
    assert found["serial"] == "S1" and set(found["host_key_fingerprints"]) == {fingerprint(key("a")), fingerprint(key("b"))}


@pytest.mark.parametrize("named", [True, False])
def test_without_an_enrolment_the_sheet_counts(tmp_path: Path, named: bool) -> None:
    known = {"spark_known_hosts": str(tmp_path / "none.txt")} if named else {}
    assert expected_of({"spark_expected_host_key": "SHA256:x", **known}) == {"host_key_fingerprints": ["SHA256:x"]}
    assert expected_of(known) == {}


@pytest.mark.parametrize(("sheet", "same"), [("Ab12", True), ("AB12", True), ("ab12 ", True), ("AB13", False)])
def test_a_serial_number_may_be_typed_in_another_case(sheet: str, same: bool) -> None:
    assert (hashlib.sha256(b"AB12").hexdigest() in serial_hashes(JudgeOptions(expected_serial=sheet))) is same
