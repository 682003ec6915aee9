"""A second run leaves known_hosts as it is, also for desks that are not the file's last."""

from __future__ import annotations

import base64
import hmac
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.known_hosts import alias_of, keys_of, remember, text_of


def key(word: str, kind: str = "ssh-ed25519") -> str:
    """A host key made from a word."""
    return f"{kind} {base64.b64encode(word.encode()).decode()}"


DESKS = ("desk-01", "desk-02", "desk-03")


def test_a_second_run_changes_nothing_whatever_the_order(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    for desk in DESKS:
        assert remember(path, desk, (desk,), [key(desk), key(desk, "ssh-rsa")]) is True
    text = text_of(path)
    for desk in reversed(DESKS):
        assert remember(path, desk, (desk,), [key(desk, "ssh-rsa"), key(desk)]) is False
    assert text_of(path) == text


def test_a_remark_in_another_character_set_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    remark = "# Schl\u00fcssel\n".encode("latin-1")
    path.write_bytes(remark)
    assert remember(path, "desk-01", ("desk-01",), [key("a")]) is True
    assert remember(path, "desk-01", ("desk-01",), [key("a")]) is False
    assert path.read_bytes().startswith(remark) and keys_of(text_of(path), "desk-01") == (key("a"),)


def test_a_changed_key_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text("# of the admin\nelsewhere ssh-ed25519 AAAA\n", encoding="utf-8")
    for desk in DESKS:
        remember(path, desk, (desk,), [key(desk)])
    assert remember(path, "desk-02", ("desk-02",), [key("new")]) is True
    text = text_of(path)
    assert keys_of(text, "desk-02") == (key("new"),) and keys_of(text, "desk-03") == (key("desk-03"),)
    assert text.startswith("# of the admin\nelsewhere ssh-ed25519 AAAA\n")


@pytest.mark.parametrize(
    ("desk", "names"),
    [
        ("DESK-01", ("DESK-01", "10.0.0.66")),
        ("other", ("other", "Desk-01")),
        ("DESK-01", ("[DESK-01]:2222", "[10.0.0.66]:2222")),
        ("FE80:0::1%eth0", ("FE80:0::1%eth0",)),
    ],
)
def test_no_key_stands_for_another_desk_by_its_name_in_another_spelling(tmp_path: Path, desk: str, names: tuple[str, ...]) -> None:
    path = tmp_path / "known_hosts"
    for known in ("desk-01", "fe80::1%eth0"):
        remember(path, known, (known, "10.0.0.1"), [key(known)])
    before = text_of(path)
    with pytest.raises(ValueError, match="that ssh takes for the desk"):
        remember(path, desk, names, [key("another")])
    assert text_of(path) == before
    for known in ("desk-01", "FE80::1%eth0") if shutil.which("ssh-keygen") else ():
        told = subprocess.run(["ssh-keygen", "-F", known, "-f", str(path)], capture_output=True, text=True, check=True).stdout
        assert told.count(" found: ") == 1


def test_a_desk_that_is_written_otherwise_now_keeps_its_key(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    remember(path, "Desk-01", ("Desk-01", "10.0.0.1"), [key("desk")])
    assert remember(path, "desk-01", ("desk-01", "10.0.0.1"), [key("desk"), key("desk", "ssh-rsa")]) is True
    assert keys_of(text_of(path), "desk-01") == (key("desk"), key("desk", "ssh-rsa")) and "Desk-01" not in text_of(path)


def hashed(text: str) -> str:
    """What ``ssh-keygen -H`` makes of a file: a line for each name, which is hashed; the remark stays."""
    lines = []
    for line in text.splitlines():
        names, _blank, rest = line.partition(" ")
        for number, name in enumerate(names.split(",")):
            salt = bytes([number]) * 20
            words = [base64.b64encode(item).decode() for item in (salt, hmac.digest(salt, name.encode(), "sha1"))]
            lines.append(f"|1|{'|'.join(words)} {rest}\n")
    return "".join(lines)


def test_names_that_ssh_keygen_hashed_are_still_the_desks(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    for number, desk in enumerate(DESKS):
        remember(path, desk, (desk, f"10.0.0.{number}"), [key(desk)])
    path.write_text(hashed(text_of(path)) + "|1|bad|bad ssh-ed25519 AAAA dgx_spark:desk-09\n", encoding="utf-8")
    assert [keys_of(text_of(path), desk) for desk in DESKS] == [(key(desk),) for desk in DESKS]
    # A desk that was installed anew: the old key does not stay beside the new one.
    assert remember(path, "desk-02", ("desk-02", "10.0.0.1"), [key("new")]) is True
    assert keys_of(text_of(path), "desk-02") == (key("new"),) and key("desk-02") not in text_of(path)
    # An address that now is another desk's leaves the line of the one that had it.
    remember(path, "desk-03", ("desk-03", "10.0.0.0"), [key("desk-03")])
    text = text_of(path)
    assert sum(line.startswith("|1|") and line.endswith(":desk-01") for line in text.splitlines()) == 1
    assert (alias_of(text, "desk-01", "10.0.0.9"), alias_of(text, "desk-04", "10.0.0.1")) == ("desk-01", "desk-04")
    assert alias_of(hashed(text), "desk-04", "10.0.0.1") == "desk-04" and alias_of(text, "desk-04", "10.0.0.77") is None
