"""What enrolment runs on a desk, on a temporary root: files as a whole, checks before they count, nothing without ``apply``."""

from __future__ import annotations

import getpass
import io
import json
import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import enrol_program as program
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.enrolment import Enrolment, Secrets, Wanted
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.ssh_door import AdminKey, Answer

KEY = "ssh-ed25519 QURNSU4= admin@lab"
USER = getpass.getuser()
AVAHI = "# avahi\n[server]\nuse-ipv4=yes\n\n[wide-area]\nenable-wide-area=yes\n"

Answers = dict[str, tuple[int, str, str]]


class Root:
    """A desk's root folder; ``answers`` gives return code, output and errors of commands by the start of their words."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: Answers = {}
        self.calls: list[str] = []

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        words = " ".join(argv)
        self.calls.append(words)
        found = [answer for start, answer in self.answers.items() if words.startswith(start)]
        return subprocess.CompletedProcess(argv, *(found[0] if found else (0, "", "")))

    def put(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def picture(self) -> dict[str, str]:
        """Every file with its mode and text."""
        files = sorted(item for item in self.path.rglob("*") if item.is_file())
        return {str(item.relative_to(self.path)): f"{item.stat().st_mode:o} {item.read_text(encoding='utf-8')}" for item in files}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    made = Root(tmp_path)
    names = {
        "SERIAL": "sys/class/dmi/id/product_serial",
        "RELEASE": "etc/dgx-release",
        "FIRST_BOOT_FLAG": "var/lib/first-boot/done",
        "SUDOERS": "etc/sudoers.d/90-dgx-spark-{user}",
        "SSHD": "etc/ssh/sshd_config.d/10-dgx-spark-keys-only.conf",
        "SSHD_CONFIG": "etc/ssh/sshd_config",
        "HOSTS": "etc/hosts",
        "AVAHI": "etc/avahi/avahi-daemon.conf",
        "NETDEVS": "sys/class/net",
    }
    for name, place in names.items():
        monkeypatch.setattr(program, name, f"{tmp_path}/{place}")
    monkeypatch.setattr(program, "UNIT_FOLDERS", (f"{tmp_path}/usr/lib/systemd/system",))
    monkeypatch.setattr(program, "run", made.run)
    account = SimpleNamespace(pw_name=USER, pw_uid=1000, pw_gid=1000, pw_dir=str(tmp_path / "home"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _user: account)
    (tmp_path / "home").mkdir()
    return made


# ---- looking -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dmi", "release", "serial"),
    [
        ("1581924000017\n", "", "1581924000017"),
        ("Default string\n", 'DGX_SERIAL_NUMBER="1581924000017"\n', "1581924000017"),
        (None, "DGX_NAME=x\nDGX_SERIAL_NUMBER=1581924000017\n", "1581924000017"),
        ("\n", "DGX_NAME=x\n", None),
        (None, None, None),
    ],
)
def test_the_serial_number(root: Root, dmi: str | None, release: str | None, serial: str | None) -> None:
    if dmi is not None:
        root.put("sys/class/dmi/id/product_serial", dmi)
    if release is not None:
        root.put("etc/dgx-release", release)
    assert program.look(USER)["serial"] == serial


@pytest.mark.parametrize(
    ("flag", "unit", "active", "state"),
    [
        (False, False, "inactive", "absent"),
        (False, True, "activating", "pending"),
        (False, True, "inactive", "pending"),
        (True, True, "activating", "pending"),
        (True, True, "inactive", "done"),
        (True, False, "inactive", "done"),
    ],
)
def test_the_first_boot_upgrade(root: Root, flag: bool, unit: bool, active: str, state: str) -> None:
    if flag:
        root.put("var/lib/first-boot/done", "")
    if unit:
        root.put(f"usr/lib/systemd/system/{program.FIRST_BOOT_UNIT}", "")
    root.answers[f"systemctl is-active {program.FIRST_BOOT_UNIT}"] = (3, f"{active}\n", "")
    assert program.look(USER)["first_boot"] == state


@pytest.mark.parametrize(("active", "oobe"), [("active", True), ("activating", True), ("inactive", False), ("failed", False), ("", False)])
def test_the_wizard(root: Root, active: str, oobe: bool) -> None:
    root.answers[f"systemctl is-active {program.OOBE_UNIT}"] = (0, f"{active}\n", "")
    assert program.look(USER)["oobe"] is oobe


# ---- the login user's key ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("present", [None, "", "ssh-rsa OTHERS= someone", "ssh-rsa OTHERS= someone\n# a remark\n"])
def test_the_key_is_added_and_other_entries_stay(root: Root, present: str | None) -> None:
    path, mode = root.path / "home/.ssh/authorized_keys", 0o600
    if present is not None:
        root.put("home/.ssh/authorized_keys", present)
        path.parent.chmod(0o700)
        path.chmod(mode := 0o644)
    assert len(program.change({"user": USER, "key": KEY, "apply": True})) == 1
    text = path.read_text()
    assert text.splitlines()[-1] == KEY and text.endswith("\n") and (present or "").strip() in text
    assert stat.S_IMODE(path.stat().st_mode) == mode and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert program.change({"user": USER, "key": KEY, "apply": True}) == []
    assert program.change({"user": USER, "key": KEY.replace("admin@lab", "another comment"), "apply": True}) == []


# ---- sudo --------------------------------------------------------------------------------------------------------------


def test_sudoers_is_checked_then_written_then_left_alone_then_taken_away(root: Root) -> None:
    path = root.path / f"etc/sudoers.d/90-dgx-spark-{USER}"
    request = {"user": USER, "sudo_commands": ["/usr/bin/true", "/usr/bin/id"], "apply": True}
    assert len(program.change(request)) == 1 and root.calls[0].startswith("visudo -cf ")
    assert path.read_text().splitlines()[-1] == f"{USER} ALL=(root) NOPASSWD: /usr/bin/true, /usr/bin/id"
    assert stat.S_IMODE(path.stat().st_mode) == 0o440
    assert program.change(request) == []
    assert len(program.change({**request, "sudo_commands": None})) == 1 and not path.exists()
    assert program.change({**request, "sudo_commands": None}) == []


@pytest.mark.parametrize(
    ("user", "named"),
    [
        ("CORP\\lab", "CORP\\\\lab"),
        ("A\\x41", "A\\\\x41"),
        ("LAB", "\\LAB"),
        ("ALL", "\\ALL"),
        ("Mara.Lind", "Mara.Lind"),
        ("lab@corp.example", "lab@corp.example"),
    ],
)
def test_no_other_user_becomes_root_by_the_way_sudo_reads_a_name(root: Root, user: str, named: str) -> None:
    """To sudo a backslash belongs to the character behind it, and a word of capitals is a list of users."""
    assert program.change({"user": user, "sudo_commands": ["ALL"], "apply": True})
    (written,) = (root.path / "etc/sudoers.d").iterdir()
    assert written.read_text().splitlines()[-1] == f"{named} ALL=(root) NOPASSWD: ALL"


def sudoers_files(root: Root) -> dict[str, str]:
    """Each of our files in sudoers.d by the end of its name, with the rule in it."""
    files = (root.path / "etc/sudoers.d").iterdir()
    return {item.name.removeprefix("90-dgx-spark-"): item.read_text().splitlines()[-1].partition(" ALL=")[0] for item in files}


def test_no_two_users_share_a_sudoers_file(root: Root) -> None:
    users = ["a.b", "a_b", "a@b", "CORP\\b", "Jürgen", "a%2Eb"]
    for user in users:
        assert program.change({"user": user, "sudo_commands": ["ALL"], "apply": True})
    names = sudoers_files(root)
    assert set(names) == {"a%2Eb", "a_b", "a%40b", "CORP%5Cb", "J%C3%BCrgen", "a%252Eb"}
    assert not [name for name in names if "." in name or name.endswith("~")], "sudo passes over these"
    assert program.change({"user": "a_b", "sudo_commands": None, "apply": True}) and len(sudoers_files(root)) == len(users) - 1
    for user in users[:1] + users[2:]:
        assert program.change({"user": user, "sudo_commands": ["ALL"], "apply": True}) == []


@pytest.mark.parametrize(
    ("user", "rule"), [("a.b", "a.b ALL=(root) NOPASSWD: ALL"), ("a\\b", "a\\b ALL=(root) NOPASSWD: ALL"), ("a\\b", "a\\\\b ALL=(root) x")]
)
@pytest.mark.parametrize("commands", [None, ["/usr/bin/id"]])
@pytest.mark.parametrize("written", [False, True])
def test_the_shared_file_of_an_earlier_version_goes(root: Root, user: str, rule: str, commands: list[str] | None, written: bool) -> None:
    if written:
        program.change({"user": user, "sudo_commands": commands, "apply": True})
    former = root.put("etc/sudoers.d/90-dgx-spark-a_b", f"# labops.dgx_spark: chosen at enrolment\n{rule}\n")
    request = {"user": user, "sudo_commands": commands}
    told = program.change(request)
    assert former.exists() and any(str(former) in item for item in told)
    assert program.change({**request, "apply": True}) == told
    assert not former.exists() and len(list(former.parent.iterdir())) == (0 if commands is None else 1)
    assert program.change({**request, "apply": True}) == []


@pytest.mark.parametrize("text", ["# labops.dgx_spark: chosen at enrolment\na_b ALL=(root) NOPASSWD: ALL\n", "a.b ALL=(ALL) ALL\n", ""])
def test_what_another_user_or_an_admin_has_under_the_former_name_stays(root: Root, text: str) -> None:
    former = root.put("etc/sudoers.d/90-dgx-spark-a_b", text)
    assert program.change({"user": "a.b", "sudo_commands": None, "apply": True}) == []
    assert len(program.change({"user": "a.b", "sudo_commands": ["ALL"], "apply": True})) == 1
    assert former.read_text() == text


def test_sudoers_that_visudo_refuses_are_not_put_in_place(root: Root) -> None:
    root.answers["visudo"] = (1, "", "/tmp/x:2:17: syntax error")
    with pytest.raises(program.Refused, match="syntax error"):
        program.change({"user": USER, "sudo_commands": ["not a path"], "apply": True})
    assert not (root.path / "etc").exists() and [call for call in root.calls if call.startswith("visudo")]


# ---- name, avahi -------------------------------------------------------------------------------------------------------


def test_the_host_name_is_set_also_in_hosts(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="spark-a1b2"))
    hosts = root.put("etc/hosts", "127.0.0.1 localhost\n127.0.1.1\tspark-a1b2.lan spark-a1b2\n10.0.0.9 spark-a1b2-nas\n")
    assert program.change({"user": USER, "hostname": "desk-01", "apply": True}) == ["host name desk-01"]
    assert "hostnamectl set-hostname desk-01" in root.calls
    assert "10.0.0.9 spark-a1b2-nas" in hosts.read_text() and "desk-01" in hosts.read_text().splitlines()[1]
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="desk-01"))
    assert program.change({"user": USER, "hostname": "desk-01", "apply": True}) == []


def test_a_name_that_hostnamectl_refuses(root: Root) -> None:
    root.answers["hostnamectl"] = (1, "", "Invalid hostname")
    with pytest.raises(program.Refused, match="Invalid hostname"):
        program.change({"user": USER, "hostname": "-", "apply": True})


def netdev(root: Root, name: str, vendor: str | None) -> None:
    (root.path / "sys/class/net" / name).mkdir(parents=True)
    if vendor is not None:
        root.put(f"sys/class/net/{name}/device/vendor", f"{vendor}\n")


def test_avahi_keeps_to_wired_and_wifi_management_and_off_the_cables(root: Root) -> None:
    conf = root.put("etc/avahi/avahi-daemon.conf", AVAHI)
    for name, vendor in (("enP7s7", "0x10ec"), ("wlP9s9", "0x14c3"), ("enp1s0f0np0", "0x15b3"), ("enP2p1s0f0np0", "0x15b3"), ("lo", None)):
        netdev(root, name, vendor)
    netdev(root, "docker0", None)
    assert program.change({"user": USER, "avahi": True, "apply": True}) == ["avahi: allow-interfaces=enP7s7,wlP9s9"]
    assert (
        "[server]\n# labops.dgx_spark: not on the cables between desks\nallow-interfaces=enP7s7,wlP9s9\nuse-ipv4=yes\n" in conf.read_text()
    )
    assert "systemctl try-restart avahi-daemon.service" in root.calls
    assert program.change({"user": USER, "avahi": True, "apply": True}) == []


@pytest.mark.parametrize(
    "text",
    [
        AVAHI.replace("[server]\n", "[server]\nallow-interfaces=eth0\n"),
        AVAHI.replace("[server]\n", "[server]\n deny-interfaces = enp1s0f0np0\n"),
        "no section\n",
        None,
    ],
)
def test_avahi_that_the_admin_has_set_is_left_alone(root: Root, text: str | None) -> None:
    netdev(root, "enP7s7", "0x10ec")
    conf = root.put("etc/avahi/avahi-daemon.conf", text) if text is not None else None
    assert program.change({"user": USER, "avahi": True, "apply": True}) == []
    assert conf is None or conf.read_text() == text


def test_avahi_without_a_management_interface_is_left_alone(root: Root) -> None:
    root.put("etc/avahi/avahi-daemon.conf", AVAHI)
    netdev(root, "enp1s0f0np0", "0x15b3")
    assert program.change({"user": USER, "avahi": True, "apply": True}) == []


# ---- password login ----------------------------------------------------------------------------------------------------

CLOSED = (0, "port 22\npasswordauthentication no\nkbdinteractiveauthentication no\n", "")


def test_password_login_is_closed_and_opened_again(root: Root) -> None:
    root.answers["sshd -T"] = CLOSED
    path = root.path / "etc/ssh/sshd_config.d/10-dgx-spark-keys-only.conf"
    assert program.change({"user": USER, "keys_only": True, "apply": True}) == ["sshd: key login only"]
    assert path.read_text() == program.SSHD_TEXT and root.calls == ["sshd -T", "systemctl reload ssh.service"]
    assert program.change({"user": USER, "keys_only": True, "apply": True}) == []
    assert len(program.change({"user": USER, "reopen": True, "apply": True})) == 1 and not path.exists()


@pytest.mark.parametrize(
    ("start", "answer", "words"),
    [
        ("sshd -T", (255, "", "bad configuration option"), "bad configuration option"),
        ("sshd -T", (0, "passwordauthentication yes\nkbdinteractiveauthentication no\n", ""), "another of its configuration files"),
        ("systemctl reload", (1, "", "ssh.service is not active"), "not active"),
    ],
)
def test_what_does_not_close_password_login_is_taken_back(root: Root, start: str, answer: tuple[int, str, str], words: str) -> None:
    root.answers["sshd -T"] = CLOSED
    root.answers[start] = answer
    with pytest.raises(program.Refused, match=words):
        program.change({"user": USER, "keys_only": True, "apply": True})
    assert not (root.path / "etc/ssh/sshd_config.d/10-dgx-spark-keys-only.conf").exists()


# ---- as a whole --------------------------------------------------------------------------------------------------------

EVERYTHING = {"user": USER, "key": KEY, "sudo_commands": ["ALL"], "hostname": "desk-01", "avahi": True, "keys_only": True}


def test_without_apply_everything_is_told_and_nothing_is_changed(root: Root) -> None:
    root.put("etc/avahi/avahi-daemon.conf", AVAHI)
    netdev(root, "enP7s7", "0x10ec")
    before = root.picture()
    assert len(program.change(EVERYTHING)) == 5
    assert root.picture() == before
    assert not [call for call in root.calls if not call.startswith("visudo -cf")]


def test_a_write_that_is_interrupted_leaves_the_old_file(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root.put("etc/hosts", "old\n")

    def die(_from: str, _to: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        program.write(str(path), "new\n", 0o644)
    assert root.picture() == {"etc/hosts": "100644 old\n"}


def answer_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stdin: str) -> dict[str, Any]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    program.main()
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("# Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication yes\n", "does not include .*sshd_config.d"),
        ("Include /etc/ssh/sshd_config.d/*.conf\n", "another of its configuration files"),
    ],
)
def test_an_ssh_server_that_reads_no_other_files_is_named(root: Root, config: str, words: str) -> None:
    root.put("etc/ssh/sshd_config", config)
    root.answers["sshd -T"] = (0, "passwordauthentication yes\nkbdinteractiveauthentication no\n", "")
    with pytest.raises(program.Refused, match=words):
        program.change({"user": USER, "keys_only": True, "apply": True})


@pytest.mark.parametrize("before", ["", "the-sudo-password\n"])
def test_it_runs_as_sent_in_a_home_full_of_traps(tmp_path: Path, before: str) -> None:
    """The very command and input that a desk gets, a password line that sudo left unread included, begun in a hostile home."""
    for name in ("base64", "json", "tempfile", "grp", "typing", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'taken')!r}, 'w')\n", encoding="ascii")
    door = Recorder()
    wanted = Wanted("desk-01", "10.0.0.1", USER, AdminKey(KEY), tmp_path / "known_hosts")
    Enrolment(wanted, Secrets(), door, lambda: None, lambda _text: False, lambda _text: None)._program({"user": USER}, root=False)
    assert door.argv[:3] == ["/usr/bin/python3", "-I", "-c"] and "\n" not in door.argv[3] and "'" not in door.argv[3]
    told = subprocess.run(
        [sys.executable, *door.argv[1:]],
        input=before + door.stdin,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not (tmp_path / "taken").exists()
    answer = json.loads(told.stdout)
    assert answer["changes"] == [] and answer["look"]["user"] == USER and "the-sudo-password" not in told.stdout + told.stderr


class Recorder:
    """A door that notes what would be run."""

    def run(self, argv: Sequence[str], stdin: str = "", seconds: float = 60.0) -> Answer:
        self.argv, self.stdin = list(argv), stdin
        return Answer(1, "", "")


def test_authorized_keys_that_is_a_link_stays_one_and_keeps_its_bytes(root: Root) -> None:
    kept = root.put("home/dotfiles/keys", "")
    kept.write_bytes(b"ssh-rsa OTHERS= m\xfcller\r\n")
    link = root.path / "home/.ssh/authorized_keys"
    link.parent.mkdir()
    link.symlink_to(kept)
    assert program.change({"user": USER, "key": KEY, "apply": True}) != []
    assert link.is_symlink() and kept.read_bytes() == b"ssh-rsa OTHERS= m\xfcller\r\n" + KEY.encode() + b"\n"


def test_authorized_keys_that_leads_to_anothers_file_is_refused(root: Root) -> None:
    kept = root.put("home/theirs", "x\n")
    os.chown(kept, 65534, 65534)
    link = root.path / "home/.ssh/authorized_keys"
    link.parent.mkdir()
    link.symlink_to(kept)
    with pytest.raises(program.Refused, match="belongs to user id 65534"):
        program.change({"user": USER, "key": KEY, "apply": True})


@pytest.mark.parametrize(
    "breaks", [lambda root: root.answers.update(visudo=(1, "", "no")), lambda root: root.put("etc", "a file, no folder")]
)
def test_a_refused_change_is_an_answer_and_no_trace(
    root: Root, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], breaks: Callable[[Root], Any]
) -> None:
    breaks(root)
    request = {"user": USER, "sudo_commands": ["ALL"], "apply": True}
    told = answer_of(monkeypatch, capsys, json.dumps(request))
    assert told["refused"] and told["changes"] == [] and told["look"]["user"] == USER
