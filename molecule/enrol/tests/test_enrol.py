"""Eight boxed desks: five enrolled and three named, nothing accepted blindly, nothing changed twice, no secret to be found anywhere."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
import pytest
from admin import CHOICES, DESKS, ENROLLED, NAMED, USER, Admin, Ended, own_keys, picture, root_of
from desks import as_root, inventory, kill, lab

CANARY = "a-word-that-must-be-seen-in-the-list-of-processes"


@dataclass
class Story:
    """What happened to the eight desks, run by run, and how they looked after each."""

    admin: Admin
    check: Ended
    boxed: dict[str, dict[str, tuple[float, str]]]
    after_check: dict[str, dict[str, tuple[float, str]]]
    killed_at: dict[str, bool]
    first: Ended
    second: Ended
    after: list[dict[str, dict[str, tuple[float, str]]]] = field(default_factory=list)
    known: list[str] = field(default_factory=list)


def pictures() -> dict[str, dict[str, tuple[float, str]]]:
    return {desk: picture(desk) for desk in DESKS if desk != "desk-06"}


def end_upgrade(log: Path) -> None:
    """Let the first-boot upgrade end, with the restart that follows it, once the run has said that it waits."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if log.exists() and "first-boot upgrade is running" in log.read_text(encoding="utf-8", errors="replace"):
            lab("fault", "set", "desk-02", "first_boot_upgrade", "seconds=1")
            return
        time.sleep(0.2)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    # New file systems. The first-boot upgrade of desk-02 ends when it is told to, however slow this machine is.
    lab("reset")
    lab("fault", "set", "desk-02", "first_boot_upgrade")
    admin = Admin(tmp_path_factory.mktemp("admin"))
    boxed = pictures()
    check = admin.run("enrol.yml", "--check", limit=["desk-01", "desk-08"])
    after_check = pictures()

    # Killed as soon as the first desk has the key, before its host keys are known.
    process, _folder = admin.start("enrol.yml", limit=["desk-01"])
    path = root_of("desk-01") / "home/labadmin/.ssh/authorized_keys"
    deadline = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    kill(process)
    killed_at = {"key": path.exists(), "known": admin.known_hosts.exists() and "desk-01" in admin.known_hosts.read_text()}

    canary = subprocess.Popen(["sh", "-c", "sleep 3; true", CANARY])
    upgrade = threading.Thread(target=end_upgrade, args=(admin.home / "ansible.log",))
    upgrade.start()
    first = admin.run("enrol.yml", "-vvv", watched=True)
    upgrade.join()
    canary.wait()
    told = Story(admin, check, boxed, after_check, killed_at, first, first)
    told.after.append(pictures())
    told.known.append(admin.known_hosts.read_text(encoding="utf-8"))
    told.second = admin.run("enrol.yml", limit=ENROLLED)
    told.after.append(pictures())
    told.known.append(admin.known_hosts.read_text(encoding="utf-8"))
    yield told


# ---- what the admin sees -----------------------------------------------------------------------------------------------


def test_five_are_enrolled_and_three_are_named(story: Story) -> None:
    assert story.first.rc != 0, "three desks are not enrolled, and the exit code says so"
    for desk in ENROLLED:
        assert "DESK_ENROLLED" in story.first.codes(desk), story.first.output
    for desk, code in NAMED.items():
        assert [name for name, severity in story.first.codes(desk).items() if severity in ("fail", "unknown")] == [code]
    expected = {**dict.fromkeys(ENROLLED, "PASS"), "desk-08": "WARN", **dict.fromkeys(NAMED, "FAIL")}
    assert story.first.verdicts() == expected
    assert "HOST_KEY_CHANGED" in story.first.codes("desk-08"), "its sheet has an old fingerprint, its serial number is right"


def test_the_table_says_who_is_in_by_what_and_who_is_not(story: Story) -> None:
    rows = {line.split()[0]: line.split() for line in story.second.output.splitlines() if re.match(r"desk-\d+ +(PASS|WARN|FAIL) ", line)}
    assert {desk: row[1:5] for desk, row in rows.items() if desk != "desk-08"} == {
        desk: ["PASS", "pair_a" if desk in ("desk-01", "desk-02") else "pair_b", "yes", "known"] for desk in ENROLLED if desk != "desk-08"
    }
    assert rows["desk-08"][1] == "WARN" and "HOST_KEY_CHANGED" in rows["desk-08"]


def test_it_waits_for_the_first_boot_upgrade_and_its_restart_and_says_so(story: Story) -> None:
    assert "desk-02: first-boot upgrade is running" in story.first.output
    assert "desk-02: first-boot upgrade is done" in story.first.output
    assert as_root("desk-02").file("/var/lib/nvidia-spark-run-apt-upgrade-once/done").exists


def test_check_mode_changes_nothing(story: Story) -> None:
    assert story.after_check == story.boxed
    assert "desk-01" in story.check.output and story.check.changed()["desk-01"] == 1, "it says what it would change"


def test_a_killed_run_is_continued(story: Story) -> None:
    assert story.killed_at == {"key": True, "known": False}
    assert "DESK_ENROLLED" in story.first.codes("desk-01")


def test_a_second_run_changes_nothing(story: Story) -> None:
    assert story.second.rc == 0, story.second.output
    assert story.second.changed() == dict.fromkeys(ENROLLED, 0)
    assert story.after[0] == story.after[1] and story.known[0] == story.known[1]


# ---- what holds on the desks -------------------------------------------------------------------------------------------


def methods(desk: str) -> set[str]:
    """Kinds of login that the desk offers."""
    transport = paramiko.Transport((inventory()["_meta"]["hostvars"][desk]["ansible_host"], 22))
    try:
        transport.start_client(timeout=30)
        with pytest.raises(paramiko.BadAuthenticationType) as refused:
            transport.auth_none(USER)
        return set(refused.value.allowed_types)
    finally:
        transport.close()


@pytest.mark.parametrize("desk", ENROLLED)
def test_the_admins_key_is_installed_once_and_private(story: Story, desk: str) -> None:
    file = as_root(desk).file(f"/home/{USER}/.ssh/authorized_keys")
    assert file.content_string.splitlines() == [story.admin.public]
    assert (file.mode, file.user) == (0o600, USER) and as_root(desk).file(f"/home/{USER}/.ssh").mode == 0o700


@pytest.mark.parametrize("desk", ["desk-05", "desk-07"])
def test_a_desk_that_was_only_named_is_as_it_was(story: Story, desk: str) -> None:
    assert story.after[1][desk] == story.boxed[desk]


@pytest.mark.parametrize("desk", ENROLLED)
def test_sudo_is_as_it_was_chosen(story: Story, desk: str) -> None:
    host, path = as_root(desk), f"/etc/sudoers.d/90-dgx-spark-{USER}"
    assert host.run("visudo -c").rc == 0
    free = host.run(f"su {USER} -c 'sudo -k; sudo -n /usr/bin/id'").rc == 0
    everything = host.run(f"su {USER} -c 'sudo -k; sudo -n /usr/bin/cat /etc/shadow'").rc == 0
    chosen = "desk_enrol_sudo" in CHOICES.get(desk, {})
    assert (host.file(path).exists, free, everything) == (chosen, chosen, False)
    if chosen:
        assert host.file(path).mode == 0o440


@pytest.mark.parametrize("desk", ENROLLED)
def test_password_login_is_closed_by_choice_only_and_after_the_key_was_proven(story: Story, desk: str) -> None:
    chosen = "desk_enrol_close_password_login" in CHOICES.get(desk, {})
    assert ("password" in methods(desk)) is not chosen and "publickey" in methods(desk)
    if chosen:
        (written,) = [stamp for name, (stamp, _text) in story.after[0][desk].items() if "keys-only" in name]
        log = as_root(desk).check_output("journalctl --no-pager -b -o short-unix -g 'Accepted publickey for labadmin'")
        assert float(log.split()[0]) < written


@pytest.mark.parametrize("desk", ENROLLED)
def test_the_host_name_is_set_by_choice_only(story: Story, desk: str) -> None:
    name = as_root(desk).check_output("hostname")
    assert (name == desk) is ("desk_enrol_set_hostname" in CHOICES.get(desk, {}))
    assert as_root(desk).run(f"getent hosts {name}").rc == 0


@pytest.mark.parametrize("desk", ENROLLED)
def test_avahi_speaks_on_the_management_interface_only(story: Story, desk: str) -> None:
    host = as_root(desk)
    run = "journalctl --no-pager -b _SYSTEMD_INVOCATION_ID=$(systemctl show -p InvocationID --value avahi-daemon.service)"
    spoken = set(re.findall(r"New relevant interface (\S+)\.IPv", host.check_output(run)))
    assert host.service("avahi-daemon").is_running and spoken == {"wlP9s9" if desk in ("desk-03", "desk-04") else "enP7s7"}


def test_known_hosts_has_exactly_the_proven_keys(story: Story) -> None:
    lines = [line.split() for line in story.known[1].splitlines()]
    assert {words[3] for words in lines} == {f"dgx_spark:{desk}" for desk in ENROLLED}
    for desk in ENROLLED:
        address = inventory()["_meta"]["hostvars"][desk]["ansible_host"]
        mine = [words for words in lines if words[3] == f"dgx_spark:{desk}"]
        assert {words[0] for words in mine} == {f"{desk},{address}"}
        assert {" ".join(words[1:3]) for words in mine} == own_keys(desk) and len(mine) == len(own_keys(desk))


# ---- secrets -----------------------------------------------------------------------------------------------------------


def test_no_password_is_seen_while_it_runs_or_in_what_it_prints(story: Story) -> None:
    everything = "\n".join(story.first.cmdlines)
    assert CANARY in everything and "enrol.yml" in everything, "the watch must have seen what there was to see"
    assert "labops.dgx_spark enrol 1" not in everything or "sudo" in everything
    for desk, password in story.admin.passwords.items():
        assert len(password) > 6
        for ended in (story.check, story.first, story.second):
            assert password not in ended.output, f"the password of {desk}"
        assert password not in everything, f"the password of {desk} in a command line"


def test_no_password_is_in_a_file_of_the_controller(story: Story) -> None:
    home = story.admin.home
    names = [path.name for path in home.rglob("*")]
    assert {"report.json", "index.html", "known_hosts.txt", "ansible.log"} <= set(names), "there must be something to search"
    for password in story.admin.passwords.values():
        found = subprocess.run(["grep", "-rlF", "--", password, str(home)], capture_output=True, text=True, check=False)
        assert (found.returncode, found.stdout) == (1, "")


@pytest.mark.parametrize("desk", ["desk-05", "desk-07", *ENROLLED])
def test_no_password_is_on_the_disk_or_in_the_journal_of_a_desk(story: Story, desk: str) -> None:
    host, password = as_root(desk), story.admin.passwords[desk]
    places = [f"{root_of(desk)}/{place}" for place in ("etc", "home", "root", "run", "tmp", "usr/local", "var")]
    searched = ["grep", "-rlF", "--binary-files=text", "--devices=skip", "--"]
    assert subprocess.run([*searched, "ssh_host", f"{root_of(desk)}/etc/ssh"], capture_output=True, check=False).returncode in (0, 1)
    found = subprocess.run([*searched, password, *places], capture_output=True, text=True, check=False)
    assert found.stdout == ""
    journal = host.check_output("journalctl --no-pager -o export")
    assert f"for {USER}" in journal and password not in journal


# ---- nothing is accepted blindly ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unproven(story: Story) -> Path:
    """A sheet that says nothing of desk-05 but its address."""
    return story.admin.changed_sheet("unproven", {"desk-05": {"serial": ""}})


def test_without_a_terminal_an_unproven_key_is_a_no(story: Story, unproven: Path) -> None:
    ended = story.admin.run("enrol.yml", inventory=unproven, limit=["desk-05"])
    assert ended.rc != 0 and set(ended.codes("desk-05")) == {"HOST_KEY_UNCONFIRMED"}
    assert "desk-05" not in (unproven / "known_hosts.txt").read_text() and picture("desk-05") == story.boxed["desk-05"]


def test_at_a_terminal_the_key_is_shown_and_only_a_yes_counts(story: Story) -> None:
    folder = story.admin.folder("typed", re.sub("SIM0000000005", "", story.admin.sheet), vault=False)
    password = story.admin.passwords["desk-05"]
    answers = {"SSH password:": password, "BECOME password": password, "Type yes to trust it": "y"}
    ended = story.admin.type("enrol.yml", "--ask-pass", "--ask-become-pass", inventory=folder, limit=["desk-05"], answers=answers)
    assert "HOST_KEY_UNCONFIRMED" in ended.output and picture("desk-05") == story.boxed["desk-05"]

    answers["Type yes to trust it"] = "yes"
    ended = story.admin.type("enrol.yml", "--ask-pass", "--ask-become-pass", inventory=folder, limit=["desk-05"], answers=answers)
    assert ended.rc == 0 and set(ended.codes("desk-05")) == {"DESK_ENROLLED"}, ended.output
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(root_of("desk-05") / "etc/ssh/ssh_host_ed25519_key.pub")], capture_output=True, text=True
    )
    assert shown.stdout.split()[1] in ended.output and password not in ended.output
    assert {" ".join(line.split()[1:3]) for line in (folder / "known_hosts.txt").read_text().splitlines()} == own_keys("desk-05")


def test_a_sudoers_file_that_visudo_refuses_is_not_put_in_place(story: Story) -> None:
    choice = '{"desk_enrol_sudo": "nopasswd", "desk_enrol_sudo_commands": ["no path"]}'
    ended = story.admin.run("enrol.yml", f"--extra-vars={choice}", limit=["desk-01"])
    assert ended.rc != 0 and "ENROL_REFUSED" in ended.codes("desk-01") and "visudo" in ended.output
    assert picture("desk-01") == story.after[1]["desk-01"]


# ---- later playbooks ---------------------------------------------------------------------------------------------------


def modules_run(desk: str) -> list[str]:
    """Modules that ran on the desk since its start, from its journal."""
    return re.findall(
        r"python3\[\d+\]: ansible-(\S+) Invoked|ansible-(\S+)\[\d+\]: Invoked", as_root(desk).run("journalctl --no-pager -b").stdout
    )


def test_an_enrolled_desk_is_read_with_a_checked_key_and_one_that_is_not_is_told_so(story: Story) -> None:
    ended = story.admin.run("audit.yml", limit=["desk-01", "desk-05", "desk-08"])
    assert ended.verdicts() == {"desk-01": "PASS", "desk-05": "FAIL", "desk-08": "PASS"}
    assert "HOST_KEY_UNCONFIRMED" in ended.codes("desk-05") and "enrol.yml" in ended.output


def test_a_swapped_desk_is_refused_in_the_call_that_reads_it(story: Story) -> None:
    """Two desks whose serial numbers stand the other way round in the sheet: as if they had been swapped."""
    serials = {row.split(",")[0]: row.split(",")[5] for row in story.admin.sheet.splitlines()[1:]}
    swapped = story.admin.changed_sheet("swapped", {"desk-03": {"serial": serials["desk-04"]}, "desk-04": {"serial": serials["desk-03"]}})
    before = len(modules_run("desk-03"))
    ended = story.admin.run("audit.yml", inventory=swapped, limit=["desk-03", "desk-04"])
    assert ended.rc != 0 and all(ended.codes(desk).get("DESK_IDENTITY_WRONG") == "fail" for desk in ("desk-03", "desk-04"))
    assert len(modules_run("desk-03")) - before == 1

    before = len(modules_run("desk-03"))
    refused = story.admin.run("stack_pair.yml", inventory=swapped, limit=["pair_b"])
    assert refused.rc != 0 and refused.changed() == {"desk-03": 0, "desk-04": 0}
    assert len(modules_run("desk-03")) - before == 1 and not as_root("desk-03").file("/etc/netplan/90-dgx-spark-link.yaml").exists


def test_another_key_at_the_address_is_refused_and_a_reimaged_desk_is_enrolled_again(story: Story) -> None:
    lab("fault", "set", "desk-04", "hostkey_changed")
    ended = story.admin.run("audit.yml", limit=["desk-04"])
    assert ended.rc != 0 and "DESK_IDENTITY_WRONG" in ended.codes("desk-04")
    again = story.admin.run("enrol.yml", limit=["desk-04"])
    assert again.rc == 0 and {"DESK_ENROLLED", "HOST_KEY_CHANGED"} <= set(again.codes("desk-04")), again.output
    lines = [line.split() for line in story.admin.known_hosts.read_text().splitlines() if line.endswith("dgx_spark:desk-04")]
    assert {" ".join(words[1:3]) for words in lines} == own_keys("desk-04")
