"""A second run leaves known_hosts as it is, also for desks that are not the file's last."""

from __future__ import annotations

import base64
from pathlib import Path

from ansible_collections.labops.dgx_spark.plugins.plugin_utils.known_hosts import keys_of, remember, text_of


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
