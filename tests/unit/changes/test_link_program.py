"""The program on the desk: real files, fake commands, a crash after every step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import link_carried
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_program import change as link_change
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_program import files as link_files
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_program import main as link_main
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_program import stage as link_stage
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_program import steps
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_program.names import HOME, JOURNAL, RESERVE
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.netplan import OUR_FILE, Interface, text
from link_root import FUNCTIONS, MANAGEMENT, LinkRoot

FOREIGN = "/etc/netplan/99-foreign.yaml"
FOREIGN_TEXT = "network:\n  ethernets:\n    enp1s0f0np0:\n      addresses: [10.100.1.1/24]\n      mtu: 9000\n"
RENDERERS = ("NetworkManager", "networkd")


def wanted(mtu: int = 9000, host: int = 10) -> list[dict[str, Any]]:
    return [{"netdev": name, "address": f"192.168.10{number}.{host}/24", "mtu": mtu} for number, name in enumerate(FUNCTIONS)]


def description(desk: LinkRoot, **changes: Any) -> dict[str, Any]:
    items = changes.pop("items", wanted())
    content = text((Interface(item["netdev"], item["address"], item["mtu"]) for item in items), desk.renderer)
    return {
        "id": "change-1",
        "state": "present",
        "renderer": desk.renderer,
        "netdevs": sorted(FUNCTIONS),
        "ids": sorted(FUNCTIONS),
        "macs": list(FUNCTIONS.values()),
        "wanted": items,
        "ours": [],
        "write": [{"path": OUR_FILE, "content": content, "mode": 0o600}],
        "remove": [],
        "sysctl": {},
        "confirm_timeout": 90,
        "patience": 1,
        "apply_unit": "dgx-spark-link-apply-change-1",
        "management": MANAGEMENT,
        **changes,
    }


def absent(desk: LinkRoot, **changes: Any) -> dict[str, Any]:
    return description(
        desk, id="change-2", state="absent", items=[], write=[], remove=[OUR_FILE], ours=[item["address"] for item in wanted()], **changes
    )


def ask(desk: LinkRoot, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    link_main.main(words, root=str(desk.root))
    data: dict[str, Any] = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    return data


def prepare_and_apply(desk: LinkRoot, capsys: pytest.CaptureFixture[str], change: dict[str, Any]) -> dict[str, Any]:
    prepared = ask(desk, capsys, "prepare", json.dumps(change))
    assert prepared["ok"], prepared
    return ask(desk, capsys, "apply")


def live(desk: LinkRoot) -> dict[str, tuple[int, tuple[str, ...], bool]]:
    return {name: (link["mtu"], tuple(link["addresses"]), link["up"]) for name, link in desk.links().items()}


@pytest.fixture(params=RENDERERS)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> LinkRoot:
    return LinkRoot(tmp_path, request.param)


def test_change_is_applied_confirmed_and_leaves_nothing_armed(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    before = desk.picture("/etc/systemd")
    assert prepare_and_apply(desk, capsys, description(desk))["ok"]
    assert live(desk)["enp1s0f0np0"] == (9000, ("192.168.100.10/24",), True)
    assert desk.state()["units"], "the timer runs until the change is confirmed"
    assert ask(desk, capsys, "confirm", "change-1")["ok"]
    assert desk.state()["units"] == {}
    assert desk.picture("/etc/systemd") == before
    assert not desk.path(JOURNAL).exists()
    assert desk.path(OUR_FILE).stat().st_mode & 0o777 == 0o600
    assert not any("apply" in call for call in desk.calls() if call.startswith("netplan"))
    assert not any("daemon-reload" in call for call in desk.calls())
    assert not any(MANAGEMENT in call for call in desk.calls())


def test_undo_gives_everything_back_byte_for_byte(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write(FOREIGN, FOREIGN_TEXT, 0o640)
    before, links = desk.picture(), live(desk)
    assert prepare_and_apply(desk, capsys, description(desk, remove=[FOREIGN]))["ok"]
    assert not desk.path(FOREIGN).exists()
    undone = ask(desk, capsys, "undo")
    assert undone["undone"] and "it was not confirmed within 90 s" in undone["reason"]
    assert json.loads(desk.path(JOURNAL).read_text())["unconfirmed"] is True
    assert desk.picture() == before
    assert live(desk) == links
    assert desk.state()["units"] == {}


def test_unstacking_gives_back_what_was_before_the_first_change(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write(FOREIGN, FOREIGN_TEXT, 0o640)
    before, links = desk.picture(), live(desk)
    prepare_and_apply(desk, capsys, description(desk, remove=[FOREIGN]))
    ask(desk, capsys, "confirm", "change-1")
    second = description(desk, id="change-3", items=wanted(1500), ours=[item["address"] for item in wanted()])
    assert prepare_and_apply(desk, capsys, second)["ok"]
    ask(desk, capsys, "confirm", "change-3")
    assert live(desk)["enp1s0f0np0"][0] == 1500
    assert prepare_and_apply(desk, capsys, absent(desk))["ok"]
    assert ask(desk, capsys, "confirm", "change-2")["ok"]
    now = desk.picture()
    for path in [path for path in now if "90-netplan.rules" in path or path.endswith(("udev", "rules.d"))]:
        # netplan's own generation of the untouched files, which a fresh desk has after boot
        now.pop(path)
    for path in [path for path in now if "netplan-enp1s0f0np0" in path or path.endswith(("run/systemd", "systemd/network"))]:
        now.pop(path)
    assert now == before
    assert live(desk)["enP2p1s0f0np0"] == links["enP2p1s0f0np0"]
    assert not desk.path("/var/lib/dgx_spark").exists()


def test_undo_of_a_second_change_gives_back_the_first(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    prepare_and_apply(desk, capsys, description(desk))
    ask(desk, capsys, "confirm", "change-1")
    before, links = desk.picture(), live(desk)
    second = description(desk, id="change-3", items=wanted(1500, 20), ours=[item["address"] for item in wanted()])
    assert prepare_and_apply(desk, capsys, second)["ok"]
    assert live(desk) != links
    ask(desk, capsys, "undo")
    assert desk.picture() == before
    assert live(desk) == links


def test_reboot_while_armed_is_named(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    before = desk.picture("/etc")
    prepare_and_apply(desk, capsys, description(desk))
    desk.write("/proc/sys/kernel/random/boot_id", "boot-two\n")
    desk.change_state(renderer_active=False)
    calls = len(desk.calls())
    undone = ask(desk, capsys, "undo")
    assert "restarted" in undone["reason"]
    assert desk.picture("/etc") == before
    assert not any(call.startswith(("nmcli connection load", "networkctl")) for call in desk.calls()[calls:])


def test_failing_renderer_is_undone_at_once(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    before = desk.picture()
    refusing = "nmcli --wait 30 connection up id netplan-enP2" if desk.renderer == "NetworkManager" else "networkctl reconfigure enP2"
    desk.change_state(fail=[refusing])
    undone = prepare_and_apply(desk, capsys, description(desk))
    assert undone["state"] == "undone" and "made to fail" in undone["reason"]
    desk.change_state(fail=[])
    assert desk.picture() == before


def test_renderer_that_does_not_do_it_is_undone(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    change = description(desk)
    change["wanted"] = [{**item, "address": "192.168.200.1/24"} for item in change["wanted"]]
    undone = prepare_and_apply(desk, capsys, change)
    assert undone["state"] == "undone" and "lacks 192.168.200.1/24" in undone["reason"]


def test_disk_full_while_writing_is_undone(desk: LinkRoot, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = desk.picture()
    assert ask(desk, capsys, "prepare", json.dumps(description(desk)))["ok"]
    fill = link_files.Desk._fill
    filled: list[str] = []

    def full(temporary: str, entry: dict[str, Any]) -> None:
        filled.append(temporary)
        if "/run/" in temporary and desk.path(RESERVE).exists():
            with open(temporary, "w") as file:
                file.write("half")
            raise OSError(28, "No space left on device", temporary)
        fill(temporary, entry)

    monkeypatch.setattr(link_files.Desk, "_fill", staticmethod(full))
    undone = ask(desk, capsys, "apply")
    assert undone["state"] == "undone" and "No space left" in undone["reason"]
    monkeypatch.undo()
    assert desk.picture() == before


def test_disk_full_while_preparing_leaves_nothing(
    desk: LinkRoot, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = desk.picture()

    def full(_desk: Any) -> None:
        raise OSError(28, "No space left on device", "/var")

    monkeypatch.setattr(link_change, "_reserve", full)
    answer = ask(desk, capsys, "prepare", json.dumps(description(desk)))
    assert not answer["ok"] and "No space left" in answer["error"]
    assert desk.picture() == before and desk.state()["units"] == {}
    ask(desk, capsys, "tidy")
    assert not desk.path("/var/lib/dgx_spark").exists()


def test_undo_works_on_a_full_disk(desk: LinkRoot, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = desk.picture("/etc/netplan")
    prepare_and_apply(desk, capsys, description(desk))
    write = link_files.Desk.write_json

    def full(self: Any, path: str, data: Any) -> None:
        if path == JOURNAL:
            raise OSError(28, "No space left on device", path)
        write(self, path, data)

    monkeypatch.setattr(link_files.Desk, "write_json", full)
    assert ask(desk, capsys, "undo")["state"] == "undone"
    assert desk.picture("/etc/netplan") == before


def test_invalid_netplan_is_refused_before_anything_is_written(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    before = desk.picture()
    change = description(desk)
    change["write"][0]["content"] += "# INVALID\n"
    answer = ask(desk, capsys, "prepare", json.dumps(change))
    assert answer["error"].startswith("netplan_invalid: ") and "link added" in answer["error"]
    assert desk.picture() == before
    desk.write("/etc/netplan/50-broken.yaml", "INVALID")
    answer = ask(desk, capsys, "check", json.dumps(description(desk)))
    assert "that are on the desk now" in answer["error"]


NETPLAN_SAYS = """\
/etc/netplan/a.yaml:7:28: Invalid YAML: inconsistent indentation:
          password: hunter2: x
                           ^
/etc/netplan/a.yaml:7:34: Error in network definition: unknown key management type 'hunter2'
          auth: {key-management: hunter2}
                                 ^
/etc/netplan/a.yaml:7:11: Error in network definition: unknown key 'passwort'
          passwort: hunter2
          ^
ERROR: Lab: ASCII passphrase must be between 8 and 63 characters (inclusive)
"""
"""Outputs of netplan 1.1.2."""


def test_what_netplan_says_is_told_without_the_line_that_may_be_a_password() -> None:
    assert link_stage.told(NETPLAN_SAYS) == (
        "/etc/netplan/a.yaml:7:28: Invalid YAML: inconsistent indentation: "
        "/etc/netplan/a.yaml:7:34: Error in network definition: unknown key management type '...' "
        "/etc/netplan/a.yaml:7:11: Error in network definition: unknown key 'passwort' "
        "ERROR: Lab: ASCII passphrase must be between 8 and 63 characters (inclusive)"
    )


def test_change_of_other_interfaces_is_refused(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    before = desk.picture()
    answer = ask(desk, capsys, "prepare", json.dumps(description(desk, remove=["/etc/netplan/10-management.yaml"])))
    assert answer["error"].startswith("other_interfaces: ") and MANAGEMENT in answer["error"]
    assert desk.picture() == before


def test_a_file_that_stood_before_the_managements_can_be_set_aside(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    # netplan then writes its rule for the management interface in another place of the same file.
    desk.write("/etc/netplan/05-cx7.yaml", FOREIGN_TEXT)
    assert prepare_and_apply(desk, capsys, description(desk, remove=["/etc/netplan/05-cx7.yaml"]))["ok"]


def test_another_rule_for_the_management_is_refused(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    content = f"network:\n  ethernets:\n    {MANAGEMENT}:\n      match: {{name: other0}}\n"
    write = [{"path": "/etc/netplan/99-more.yaml", "content": content, "mode": 0o600}]
    answer = ask(desk, capsys, "prepare", json.dumps(description(desk, write=write)))
    assert answer["error"].startswith("other_interfaces: ") and "90-netplan.rules" in answer["error"]


def test_a_file_with_ids_of_its_own_is_given_back(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    text = "network:\n  ethernets:\n    NM-7c9e:\n      match: {name: enP2p1s0f0np0}\n      addresses: [172.30.6.1/24]\n"
    desk.write("/etc/netplan/90-NM-7c9e.yaml", text)
    before = desk.picture("/etc")
    taken = description(desk, remove=["/etc/netplan/90-NM-7c9e.yaml"], ids=["NM-7c9e", *sorted(FUNCTIONS)])
    assert prepare_and_apply(desk, capsys, taken)["ok"]
    assert ask(desk, capsys, "confirm", "change-1")["ok"]
    # Whoever takes the link away knows only the interfaces of our own file.
    assert prepare_and_apply(desk, capsys, absent(desk))["ok"]
    assert ask(desk, capsys, "confirm", "change-2")["ok"]
    assert desk.picture("/etc") == before


def test_undo_that_cannot_be_armed_refuses_the_change(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    before = desk.picture()
    desk.change_state(fail=["systemctl start"])
    answer = ask(desk, capsys, "prepare", json.dumps(description(desk)))
    assert not answer["ok"] and "systemctl start" in answer["error"]
    assert desk.picture() == before
    assert not desk.path(JOURNAL).exists()


def test_check_writes_nothing(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    before = desk.picture("/")
    answer = ask(desk, capsys, "check", json.dumps(description(desk)))
    assert answer["ok"] and OUR_FILE in answer["files"] and answer["generated"]
    after = desk.picture("/")
    after = {path: value for path, value in after.items() if not path.endswith(("calls.txt", "state.json"))}
    assert after == {path: value for path, value in before.items() if not path.endswith(("calls.txt", "state.json"))}


def test_edited_file_is_kept_and_named(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write(FOREIGN, FOREIGN_TEXT)
    prepare_and_apply(desk, capsys, description(desk, remove=[FOREIGN]))
    desk.write(FOREIGN, "network: {}\n# mine now\n")
    undone = ask(desk, capsys, "undo")
    assert undone["kept"] == [FOREIGN]
    assert desk.path(FOREIGN).read_text().endswith("# mine now\n")


def test_unstacking_keeps_an_edited_file_and_lays_out_the_original(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write(FOREIGN, FOREIGN_TEXT)
    prepare_and_apply(desk, capsys, description(desk, remove=[FOREIGN]))
    ask(desk, capsys, "confirm", "change-1")
    desk.write(FOREIGN, "network: {}\n")
    prepare_and_apply(desk, capsys, absent(desk))
    assert ask(desk, capsys, "confirm", "change-2")["kept"] == [FOREIGN]
    assert desk.path(FOREIGN).read_text() == "network: {}\n"
    assert desk.path(f"{HOME}/originals/etc_netplan_99-foreign.yaml").read_text() == FOREIGN_TEXT
    assert not desk.path(OUR_FILE).exists()


def test_later_run_settles_what_was_left(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    before = desk.picture()
    assert ask(desk, capsys, "settle")["found"] is None
    prepare_and_apply(desk, capsys, description(desk))
    refused = ask(desk, capsys, "prepare", json.dumps(description(desk)))
    assert "unsettled (applied)" in refused["error"]
    assert ask(desk, capsys, "settle")["found"] == "applied"
    assert desk.picture() == before
    assert ask(desk, capsys, "status")["journal"] is None


def test_confirm_of_an_undone_change_is_refused(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    prepare_and_apply(desk, capsys, description(desk))
    assert not ask(desk, capsys, "confirm", "change-9")["ok"]
    ask(desk, capsys, "undo", "because")
    assert ask(desk, capsys, "confirm", "change-1") == {"ok": False, "state": "undone", "reason": "because"}


def test_undo_after_confirmation_does_nothing(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    prepare_and_apply(desk, capsys, description(desk))
    ask(desk, capsys, "confirm", "change-1")
    before = desk.picture()
    assert ask(desk, capsys, "undo")["undone"] is False
    assert desk.picture() == before


def test_sysctl_values_are_set_and_given_back(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    value = "/proc/sys/net/ipv4/conf/enp1s0f0np0/arp_ignore"
    desk.write(value, "0\n")
    prepare_and_apply(desk, capsys, description(desk, sysctl={"enp1s0f0np0": {"arp_ignore": 1}}))
    assert desk.path(value).read_text() == "1\n"
    ask(desk, capsys, "undo")
    assert desk.path(value).read_text() == "0\n"


def test_two_changes_at_once_are_refused(desk: LinkRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = link_files.Desk(str(desk.root))
    other = link_files.Desk(str(desk.root))
    with mine.lock(1), pytest.raises(steps.ChangeError, match="another change"), other.lock(0.2):
        pass


def test_undo_ends_a_hanging_apply(desk: LinkRoot, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ask(desk, capsys, "prepare", json.dumps(description(desk)))
    lock = link_files.Desk.lock
    monkeypatch.setattr(link_files.Desk, "lock", lambda self, patience, on_busy=None: lock(self, 0.2, on_busy))
    with link_files.Desk(str(desk.root)).lock(1):
        answer = ask(desk, capsys, "undo")
    assert not answer["ok"]
    assert "systemctl stop dgx-spark-link-apply-change-1" in desk.calls()


# ---- a crash after every step -----------------------------------------------------------------------------------------


def crash(desk: LinkRoot, after: int, *words: str) -> bool:
    """Run a command in a process that dies after so many steps; whether it died."""
    child = os.fork()
    if child == 0:
        seen = 0

        def step(_name: str) -> None:
            nonlocal seen
            seen += 1
            if seen == after:
                os._exit(9)

        steps.after_step = step
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        link_main.main(words, root=str(desk.root))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("phase", ["prepare", "apply", "undo", "confirm"])
def test_crash_after_every_step(tmp_path: Path, capsys: pytest.CaptureFixture[str], renderer: str, phase: str) -> None:
    crashes = 0
    for number in range(1, 30):
        desk = LinkRoot(tmp_path / str(number), renderer)
        desk.write(FOREIGN, FOREIGN_TEXT, 0o640)
        before, links = desk.picture(), live(desk)
        change = description(desk, remove=[FOREIGN])
        if phase == "prepare":
            died = crash(desk, number, "prepare", json.dumps(change))
        else:
            assert ask(desk, capsys, "prepare", json.dumps(change))["ok"]
            if phase == "apply":
                died = crash(desk, number, "apply")
            else:
                assert ask(desk, capsys, "apply")["ok"]
                died = crash(desk, number, *(["undo"] if phase == "undo" else ["confirm", "change-1"]))
        if not died:
            break
        crashes += 1
        after = desk.picture()
        if phase == "confirm" and desk.path(JOURNAL).exists() and "confirmed" in desk.path(JOURNAL).read_text():
            # Confirmed is confirmed: neither the timer nor a later run takes it back.
            assert ask(desk, capsys, "undo")["undone"] is False
            assert ask(desk, capsys, "settle")["found"] == "confirmed"
            assert live(desk)["enp1s0f0np0"][1] == ("192.168.100.10/24",)
            assert desk.path(OUR_FILE).exists()
            assert desk.state()["units"] == {}
            continue
        assert ask(desk, capsys, "undo").get("problems", []) == [], (phase, number, after)
        assert desk.picture() == before, (phase, number)
        assert live(desk) == links, (phase, number)
        assert desk.state()["units"] == {}
        assert ask(desk, capsys, "settle")["ok"]
    assert crashes >= 2, "the phase has steps to crash after"


# ---- the program as it lies on the desk ---------------------------------------------------------------------------------


def carried(desk: LinkRoot, tmp_path: Path, *words: str) -> dict[str, Any]:
    """Run the file that is laid on a desk, by itself: no collection, no Ansible, in a folder and home of somebody hostile."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    for name in ("base64", "json", "tempfile", "fcntl", "pwd", "typing", "sitecustomize"):
        (home / f"{name}.py").write_text(f"open({str(home / 'taken')!r}, 'w').write('x')\n", encoding="ascii")
    text_of = link_carried.program()
    assert text_of.isascii() and text_of.startswith("#!/usr/bin/python3 -I\n")
    undo = tmp_path / "undo.py"
    undo.write_text(text_of.replace("main(sys.argv[1:])", f"main(sys.argv[1:], root={str(desk.root)!r})"), encoding="ascii")
    environment = {"HOME": str(home), "PYTHONPATH": str(home), "PATH": "/usr/bin:/bin"}
    told = subprocess.run([sys.executable, "-I", str(undo), *words], cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert not (home / "taken").exists(), "a module of the home was run"
    data: dict[str, Any] = json.loads(told.stdout.strip().splitlines()[-1])
    return data


def test_the_desk_restores_itself_with_the_file_alone(desk: LinkRoot, tmp_path: Path) -> None:
    before, links = desk.picture(), live(desk)
    assert carried(desk, tmp_path, "prepare", json.dumps(description(desk)))["ok"]
    assert carried(desk, tmp_path, "apply")["ok"]
    assert live(desk)["enp1s0f0np0"][1] == ("192.168.100.10/24",)
    undone = carried(desk, tmp_path, "undo")
    assert undone["undone"] and "it was not confirmed" in undone["reason"]
    assert desk.picture() == before and live(desk) == links


def test_the_unit_starts_python_isolated(desk: LinkRoot, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(desk, capsys, "prepare", json.dumps(description(desk)))["ok"]
    unit = desk.path("/etc/systemd/system/dgx-spark-link-undo.service").read_text()
    assert f"ExecStart=/usr/bin/python3 -I {HOME}/undo.py undo\n" in unit


def test_a_profile_that_networkmanager_forgot_is_loaded_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = LinkRoot(tmp_path, "NetworkManager")
    prepare_and_apply(desk, capsys, description(desk))
    assert ask(desk, capsys, "confirm", "change-1")["ok"]
    state = desk.state()
    links = {name: {**link, "profile": None, "addresses": [], "mtu": 1500} for name, link in state["links"].items()}
    desk.change_state(profiles={}, links=links)
    assert prepare_and_apply(desk, capsys, description(desk, id="change-3"))["ok"]
    assert live(desk)["enp1s0f0np0"] == (9000, ("192.168.100.10/24",), True)


def test_folders_for_a_renderer_can_be_entered_under_a_strict_umask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = LinkRoot(tmp_path, "networkd")
    old = os.umask(0o077)
    try:
        prepare_and_apply(desk, capsys, description(desk))
    finally:
        os.umask(old)
    assert desk.path("/run/systemd/network").stat().st_mode & 0o777 == 0o755
    assert desk.path("/var/lib/dgx_spark").stat().st_mode & 0o777 == 0o755
    assert desk.path(HOME).stat().st_mode & 0o777 == 0o700
