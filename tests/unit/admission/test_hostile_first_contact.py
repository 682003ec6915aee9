"""What a hostile machine tried at first contact, one test for each way that was shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.known_hosts import fingerprint, for_ssh, keys_of, remember, ssh_arguments
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.ssh_door import AdminKey, Answer
from scripted_desk import KEY, OTHER_KEY, PASSWORD, PRINT, SERIAL, Run, ScriptedDesk
from scripted_desk import enrol as enrol_at

ESCAPES = "\x1b]52;c;AAAA\x07\x1b[2K\r\nok desk-02 \u202e"


@dataclass
class Hostile(ScriptedDesk):
    """Changes its program's answer before it goes out."""

    more: dict[str, Any] = field(default_factory=dict)
    """Put into what it saw."""
    text: str | None = None
    """Said instead of an answer."""

    def run(self, argv: Sequence[str], stdin: str = "", seconds: float = 60.0) -> Answer:
        answer = super().run(argv, stdin, seconds)
        if answer.rc:
            return answer
        if self.text is not None:
            return Answer(0, self.text, answer.stderr)
        told = json.loads(answer.stdout)
        told["look"].update(self.more)
        return Answer(0, json.dumps(told), answer.stderr)


def enrol(folder: Path, desk: ScriptedDesk, **wanted: Any) -> Run:
    """Enrol the machine."""
    return enrol_at(desk, folder / "known_hosts.txt", **wanted)


LINES = [
    f"{KEY}\n@cert-authority * {OTHER_KEY} dgx_spark:desk-02",
    f"{KEY}\ndesk-02 {OTHER_KEY} dgx_spark:desk-02",
    f"{KEY} dgx_spark:desk-02\n",
    "* ssh-ed25519 AAAA",
    "ssh-ed25519",
    "",
]


@pytest.mark.parametrize("key", LINES, ids=range(len(LINES)))
def test_no_line_but_its_own_gets_into_known_hosts(tmp_path: Path, key: str) -> None:
    run = enrol(tmp_path, Hostile(more={"host_keys": [KEY, key]}), host_key=PRINT)
    assert run.known == f"desk-01,192.0.2.11 {KEY} dgx_spark:desk-01\n"
    assert fingerprint(key) is None and remember(tmp_path / "known", "desk-01", ("desk-01",), [KEY, key])
    assert (tmp_path / "known").read_text(encoding="utf-8") == f"desk-01 {KEY} dgx_spark:desk-01\n"


@dataclass
class Passing(Hostile):
    """Passes one of the first connections on to desk-02, and tells that desk's public key."""

    def host_keys(self) -> tuple[str, ...]:
        return (*super().host_keys(), OTHER_KEY)


@pytest.mark.parametrize("proof", [{"host_key": PRINT, "serial": None}, {"serial": None, "says": True}, {}, {"known": True}])
def test_a_desk_makes_no_key_of_another_desk_known_as_its_own(tmp_path: Path, proof: dict[str, Any]) -> None:
    """ssh would later take desk-02, to which it passes connections on, for desk-01: a run about desk-01 alone would change desk-02."""
    own = "ssh-ed25519 b3duMg=="
    if proof.get("known"):
        remember(tmp_path / "known_hosts.txt", "desk-01", ("desk-01", "192.0.2.11"), [KEY, OTHER_KEY])
    run = enrol(tmp_path, Passing(keys=(KEY, own), more={"host_keys": [KEY, own, OTHER_KEY]}), **{} if "known" in proof else proof)
    assert not run.outcome.failed and set(keys_of(run.known, "desk-01")) == {KEY, own}


def test_a_key_that_the_handshake_shows_is_a_key(tmp_path: Path) -> None:
    run = enrol(tmp_path, ScriptedDesk(keys=(LINES[0],)), serial=SERIAL)
    assert run.outcome.failed and run.known == "" and run.desk.logins == []


@pytest.mark.parametrize(
    "text",
    [
        '{"look": [], "changes": []}',
        '{"look": {}}',
        '{"look": ' + "[" * 100_000,
        '{"look": {"first_boot": "done", "oobe": "no", "serial": null}}',
        '{"look": {"first_boot": "done", "oobe": false, "uid": {}, "serial": null}}',
        '{"look": {"first_boot": 1, "oobe": false, "serial": null}}',
    ],
    ids=range(6),
)
def test_an_answer_of_another_shape_ends_this_desk_alone(tmp_path: Path, text: str) -> None:
    run = enrol(tmp_path, Hostile(text=text), host_key=PRINT)
    assert run.codes == {"DESK_ANSWER_INVALID": "fail"} and "desk-01" in run.outcome.findings[0].message and run.known == ""


def test_a_password_that_comes_back_as_a_name_is_not_shown(tmp_path: Path) -> None:
    run = enrol(tmp_path, Hostile(more={"hostname": PASSWORD, "user": PASSWORD}), host_key=PRINT)
    assert not run.outcome.failed and run.outcome.data["hostname"] == "********"
    assert PASSWORD not in repr(run.outcome.data) + repr(run.outcome.findings) + repr(run.outcome.changes)


def test_words_of_the_machine_steer_no_terminal(tmp_path: Path) -> None:
    run = enrol(tmp_path, Hostile(sudo_password=None, echoes=ESCAPES, refuses=ESCAPES), host_key=PRINT)
    text = json.dumps([item.as_dict() for item in run.outcome.findings], ensure_ascii=False) + json.dumps(
        run.outcome.data, ensure_ascii=False
    )
    assert "\x1b" not in text and "\u202e" not in text and all("\n" not in item.message for item in run.outcome.findings)


@dataclass
class Between(ScriptedDesk):
    """Another machine that answers some of the connections with a key of its own."""

    offered: list[tuple[str, ...]] = field(default_factory=list)

    def login(self, user: str, password: str | None, key: AdminKey, host_keys: Sequence[str]) -> str:
        self.offered.append(tuple(host_keys))
        return super().login(user, password, key, host_keys)


@pytest.mark.parametrize("by", ["known", "sheet", "person"])
def test_a_password_goes_to_a_proven_key_only(tmp_path: Path, by: str) -> None:
    if by == "known":
        remember(tmp_path / "known_hosts.txt", "desk-01", ("desk-01", "10.0.0.11"), [KEY])
    run = enrol(tmp_path, Between(keys=(KEY, OTHER_KEY)), host_key=PRINT if by == "sheet" else None, serial=None, says=by == "person")
    assert isinstance(run.desk, Between) and run.desk.offered and set(run.desk.offered) == {(KEY,)}


@pytest.mark.parametrize("path", ["/lab/it's/known_hosts.txt", "/lab/100%/k.txt", '/lab/a "b"/k.txt', "/lab/a\\b/k.txt", "/lab/ü/k.txt"])
def test_ssh_is_told_the_very_path(path: str) -> None:
    import shlex
    import shutil
    import subprocess

    ssh = shutil.which("ssh")
    if ssh is None:
        pytest.skip("no ssh here")
    words = shlex.split(ssh_arguments(path))
    for option in (words, ["-o", f"UserKnownHostsFile={for_ssh(path)}"]):
        told = subprocess.run([ssh, "-F", "none", "-G", *option, "desk"], capture_output=True, text=True, check=True).stdout
        line = next(line for line in told.splitlines() if line.startswith("userknownhostsfile "))
        assert line.split(" ", 1)[1].startswith(path)


def test_a_path_that_ssh_would_change_is_refused() -> None:
    with pytest.raises(ValueError, match="rename"):
        for_ssh("/lab/${HOME}/known_hosts.txt")


def test_other_lines_of_known_hosts_stay(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    remember(path, "desk-02", ("desk-02",), [OTHER_KEY])
    remember(path, "desk-01", ("desk-01",), [KEY, f"{KEY}\ndesk-02 {KEY} dgx_spark:desk-02"])
    assert keys_of(path.read_text(encoding="utf-8"), "desk-02") == (OTHER_KEY,)
