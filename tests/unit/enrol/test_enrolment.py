"""Enrolling one desk: the order of trust, each finding with its broken and its healthy state, patience, check mode and secrets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.enrolment import STARTING_SECONDS, Secrets
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.known_hosts import keys_of, names_of, remember
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.logins import logins_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Stack
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.ssh_door import Answer, Unreachable
from scripted_desk import KEY, OTHER_KEY, OTHER_PRINT, PASSWORD, PRINT, SERIAL, SUDO_PASSWORD, ScriptedDesk, enrol

NAMES = names_of("desk-01", "192.0.2.11", 22)
PAIR = Stack("pair_a", ("desk-01", "desk-02"))


@pytest.fixture
def known_hosts(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts.txt"


# ---- what proves the identity ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sheet", "identity"),
    [
        ({"serial": SERIAL}, "serial"),
        ({"serial": SERIAL.lower() + " "}, "serial"),
        ({"serial": None, "host_key": PRINT}, "fingerprint"),
        ({"serial": SERIAL, "host_key": PRINT}, "fingerprint"),
    ],
)
def test_green_the_sheet_proves_the_desk_and_nobody_is_asked(known_hosts: Path, sheet: dict[str, Any], identity: str) -> None:
    run = enrol(ScriptedDesk(), known_hosts, **sheet)
    assert run.codes == {"DESK_ENROLLED": "ok"} and not run.outcome.failed
    assert run.outcome.data["identity"] == identity and run.outcome.data["login"] == "password"
    assert keys_of(run.known, "desk-01") == (KEY,) and run.known.startswith("desk-01,192.0.2.11 ")
    assert len(run.desk.authorised) == 1 and not run.desk.closed and not run.person.asked


def test_a_second_run_goes_in_by_key_and_changes_nothing(known_hosts: Path) -> None:
    desk = ScriptedDesk()
    first = enrol(desk, known_hosts)
    text, state = first.known, dict(desk.root_files)
    again = enrol(desk, known_hosts)
    assert first.outcome.changes and not again.outcome.changes
    assert again.outcome.data["identity"] == "known" and again.outcome.data["login"] == "key"
    assert again.known == text and desk.root_files == state


def test_an_interrupted_run_continues(known_hosts: Path) -> None:
    desk = ScriptedDesk()

    class Killed(BaseException):
        """The end of the process."""

    def die(_desk: ScriptedDesk) -> str | None:
        raise Killed

    with pytest.raises(Killed):
        enrol(desk, known_hosts, prove=die)
    known_hosts.unlink()
    assert desk.authorised, "it died after the key was installed, before known_hosts was written"
    run = enrol(desk, known_hosts)
    assert run.codes == {"DESK_ENROLLED": "ok"} and run.outcome.data["login"] == "key" and keys_of(run.known, "desk-01") == (KEY,)


def test_red_another_serial_number_and_nothing_was_changed(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(), known_hosts, serial="1581924000099")
    assert run.codes == {"DESK_IDENTITY_WRONG": "fail"} and not run.desk.touched and run.known == ""
    # Serial numbers stay out of findings: they are the owner's data.
    assert SERIAL not in run.shown and "1581924000099" not in run.shown
    assert "...0099 was expected, ...0017 was found" in run.shown


@pytest.mark.parametrize("proof", [{"host_key": PRINT}, {}])
def test_red_another_serial_number_counts_more_than_the_right_key(known_hosts: Path, proof: dict[str, str]) -> None:
    if not proof:
        remember(known_hosts, "desk-01", NAMES, [KEY])
    before = known_hosts.read_text() if not proof else ""
    run = enrol(ScriptedDesk(serial="ANOTHER"), known_hosts, **proof)
    assert run.codes == {"DESK_IDENTITY_WRONG": "fail"} and not run.desk.touched and run.known == before


def test_red_another_key_and_no_serial_number_in_the_sheet(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(keys=(OTHER_KEY,)), known_hosts, serial=None, host_key=PRINT, says=True)
    assert run.codes == {"DESK_IDENTITY_WRONG": "fail"} and OTHER_PRINT in run.shown and PRINT in run.shown
    assert not run.desk.logins, "no password is sent to a machine that is known to be another one"
    assert not run.person.asked and not run.desk.touched and run.known == ""


def test_red_another_key_than_the_known_one(known_hosts: Path) -> None:
    remember(known_hosts, "desk-01", NAMES, [KEY])
    run = enrol(ScriptedDesk(keys=(OTHER_KEY,)), known_hosts, serial=None, says=True)
    assert run.codes == {"DESK_IDENTITY_WRONG": "fail"} and not run.desk.logins and keys_of(run.known, "desk-01") == (KEY,)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("proof", [{"host_key": PRINT}, {}])
def test_red_a_revoked_key_gets_no_password_whatever_else_speaks_for_it(known_hosts: Path, proof: dict[str, str], known: bool) -> None:
    if known:
        remember(known_hosts, "desk-01", NAMES, [KEY])
    known_hosts.write_text(f"{known_hosts.read_text() if known else ''}@revoked * {KEY}\n", encoding="utf-8")
    before = known_hosts.read_text()
    run = enrol(ScriptedDesk(), known_hosts, says=True, **proof)
    assert run.codes == {"DESK_IDENTITY_WRONG": "fail"} and not run.desk.logins and not run.desk.touched and not run.person.asked
    assert PRINT in run.shown and "revoked" in run.shown and run.known == before


@pytest.mark.parametrize("old", ["sheet", "known_hosts"])
def test_the_right_serial_number_excuses_an_old_key_and_says_so(known_hosts: Path, old: str) -> None:
    if old == "known_hosts":
        remember(known_hosts, "desk-01", NAMES, [OTHER_KEY])
    run = enrol(ScriptedDesk(), known_hosts, host_key=OTHER_PRINT if old == "sheet" else None)
    assert run.codes == {"HOST_KEY_CHANGED": "warn", "DESK_ENROLLED": "ok"} and not run.outcome.failed
    assert keys_of(run.known, "desk-01") == (KEY,)


def test_unknown_a_serial_number_that_cannot_be_read(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(serial=None), known_hosts)
    assert run.codes == {"DESK_IDENTITY_WRONG": "unknown"} and run.outcome.failed and not run.desk.touched and run.known == ""


def test_red_a_machine_that_changes_between_key_and_login(known_hosts: Path) -> None:
    class Changing(ScriptedDesk):
        def host_keys(self) -> tuple[str, ...]:
            shown, self.keys = self.keys, (OTHER_KEY,)
            return shown

    run = enrol(Changing(), known_hosts)
    assert run.codes == {"DESK_IDENTITY_WRONG": "fail"} and not run.desk.touched and run.known == ""


# ---- a person confirms, or nobody does ---------------------------------------------------------------------------------


def test_red_nothing_proves_the_desk_and_nobody_is_there(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(), known_hosts, serial=None, says=False)
    assert run.codes == {"HOST_KEY_UNCONFIRMED": "fail"} and not run.desk.logins and not run.desk.touched and run.known == ""
    assert len(run.person.asked) == 1 and PRINT in run.person.asked[0] and "desk-01" in run.person.asked[0]


def test_green_a_person_confirms_the_key(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(), known_hosts, serial=None, says=True)
    assert run.codes == {"DESK_ENROLLED": "ok"} and run.outcome.data["identity"] == "confirmed"


def test_check_mode_asks_nobody(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(), known_hosts, serial=None, says=True, check_mode=True)
    assert run.codes == {"HOST_KEY_UNCONFIRMED": "fail"} and not run.person.asked and not run.desk.logins


# ---- not reached, not entered ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("connect to 192.0.2.11 port 22: Connection refused", "refused"),
        ("connect to 192.0.2.11 port 22: Connection timed out", "timed_out"),
        ("connect to 192.0.2.11 port 22: No route to host", "no_route"),
        ("could not resolve hostname spark.local: Name or service not known", "name"),
        ("connection closed by 192.0.2.11 port 22 during the key exchange: EOF", "closed"),
    ],
)
def test_red_unreachable_in_each_way(known_hosts: Path, text: str, reason: str) -> None:
    run = enrol(ScriptedDesk(unreachable=[Unreachable(text)] * 50), known_hosts)
    assert run.codes == {"DESK_UNREACHABLE": "fail"} and run.outcome.findings[0].evidence["reason"] == reason
    assert run.outcome.findings[0].remedy and not run.desk.touched and run.known == ""
    # Only a desk that is up and says no may be starting; the others are told at once.
    assert (run.slept >= STARTING_SECONDS) == (reason in ("refused", "closed")) and run.slept < STARTING_SECONDS + 30


@pytest.mark.parametrize("text", ["connect to 192.0.2.11 port 22: Connection refused", "connection closed by 192.0.2.11 port 22"])
def test_green_a_desk_that_is_starting_is_waited_for(known_hosts: Path, text: str) -> None:
    run = enrol(ScriptedDesk(unreachable=[Unreachable(text)] * 3), known_hosts)
    assert run.codes == {"DESK_ENROLLED": "ok"} and 0 < run.slept <= STARTING_SECONDS
    assert len([line for line in run.said if "may be starting" in line]) == 1


def test_red_a_refused_login(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(password="another"), known_hosts)
    assert run.codes == {"AUTH_FAILED": "fail"} and len(run.desk.logins) == 1, "a wrong password is not tried twice"
    assert not run.desk.touched and run.known == "" and "first-time setup" in str(run.outcome.findings[0].remedy)


@pytest.mark.parametrize("desk", [ScriptedDesk(sudo_password="another"), ScriptedDesk(sudo_password=None)])
def test_red_sudo_does_not_work(known_hosts: Path, desk: ScriptedDesk) -> None:
    run = enrol(desk, known_hosts)
    assert run.codes == {"BECOME_FAILED": "fail"} and not desk.touched and run.known == ""


def test_red_no_sudo_password_and_only_the_serial_number_could_prove_it(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(), known_hosts, secrets=Secrets(PASSWORD, None))
    assert run.codes == {"BECOME_FAILED": "fail"} and not run.desk.touched


def test_green_sudo_without_a_password(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(sudo_free=True), known_hosts, secrets=Secrets(PASSWORD, None))
    assert run.codes == {"DESK_ENROLLED": "ok"}


@pytest.mark.parametrize(
    "greets", ["Welcome to the lab!\n{see wiki}\n", "\033]0;lab@spark-a1b2: ~\007", '{"changes": [1], "look": {}}\nconda activated\r\n']
)
def test_green_a_login_that_prints_something_first(known_hosts: Path, greets: str) -> None:
    run = enrol(ScriptedDesk(greets=greets), known_hosts)
    assert run.codes == {"DESK_ENROLLED": "ok"}


@pytest.mark.parametrize("before", range(90, 220, 5))
def test_a_secret_in_what_a_login_prints_is_hidden_wherever_the_text_is_cut(known_hosts: Path, before: int) -> None:
    """As a start-up file with ``set -x`` does."""
    said = f"{'x' * before} + export DB_PASSWORD=Gletscher77-sommer-42x {'y' * 160} sudo: not found"
    run = enrol(ScriptedDesk(instead=Answer(127, "", said)), known_hosts)
    assert run.codes == {"DESK_STAGE_FAILED": "fail"}
    assert "sommer" not in f"{run.outcome.findings} {run.outcome.data}"


@pytest.mark.parametrize(
    ("instead", "told", "cure"),
    [
        (Answer(1, "", "open terminal failed: not a terminal\n"), "open terminal failed", "~/.bashrc"),
        (Answer(1, "Must be connected to a terminal.\r\n", ""), "Must be connected", "~/.bashrc"),
        (Answer(1, "This account is currently not available.\n", ""), "currently not available", "usermod -s"),
        (Answer(127, "", "sh: 1: /usr/bin/python3: not found"), "python3: not found", "message"),
        (Answer(3, "", ""), "ended with 3", "message"),
    ],
)
def test_red_a_login_that_runs_something_else(known_hosts: Path, instead: Answer, told: str, cure: str) -> None:
    run = enrol(ScriptedDesk(instead=instead), known_hosts)
    assert run.codes == {"DESK_STAGE_FAILED": "fail"} and not run.desk.touched
    assert told in run.outcome.findings[0].message and cure in str(run.outcome.findings[0].remedy)


# ---- patience ----------------------------------------------------------------------------------------------------------


def test_red_the_wizard_is_not_finished(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(oobe=True), known_hosts)
    assert run.codes == {"OOBE_PENDING": "fail"} and not run.desk.touched and run.known == ""
    assert "At the desk" in str(run.outcome.findings[0].remedy)


def boots() -> Iterator[tuple[str, str]]:
    """Looks at a desk in its first-boot upgrade: twice pending, the flag stands, and then it starts again."""
    yield from repeat(("pending", "boot-1"), 3)
    yield ("done", "boot-1")
    yield ("done", "boot-2")
    yield from repeat(("done", "boot-2"))


def test_green_the_first_boot_upgrade_is_waited_for_over_its_reboot(known_hosts: Path) -> None:
    desk = ScriptedDesk(boots=boots())
    run = enrol(desk, known_hosts)
    assert run.codes == {"DESK_ENROLLED": "ok"} and run.outcome.data["first_boot"] == "done"
    assert "first-boot upgrade is running" in run.said[0] and "done" in run.said[-1]


def test_green_connections_that_the_reboot_cuts_are_made_again(known_hosts: Path) -> None:
    desk = ScriptedDesk(boots=boots())

    def cut() -> Iterator[tuple[str, str]]:
        for number, look in enumerate(boots()):
            if number == 2:
                desk.lost.append("EOF")
                desk.unreachable += [Unreachable("connect to 192.0.2.11 port 22: No route to host")] * 4
            yield look

    desk.boots = cut()
    run = enrol(desk, known_hosts)
    assert run.codes == {"DESK_ENROLLED": "ok"} and not desk.unreachable and len(desk.logins) >= 2


def test_red_an_upgrade_that_does_not_end(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(boots=repeat(("pending", "boot-1"))), known_hosts, upgrade_wait=600.0)
    assert run.codes == {"FIRST_BOOT_UPGRADE_PENDING": "fail"} and not run.desk.touched and 600 <= run.slept < 640
    assert 9 <= len(run.said) <= 12, "told once a minute"


def test_red_another_machine_at_the_address_after_the_reboot(known_hosts: Path) -> None:
    desk = ScriptedDesk(boots=boots())

    def swapped() -> Iterator[tuple[str, str]]:
        for number, look in enumerate(boots()):
            if number == 2:
                desk.lost.append("EOF")
                desk.keys = (OTHER_KEY,)
            yield look

    desk.boots = swapped()
    run = enrol(desk, known_hosts)
    assert run.codes == {"DESK_IDENTITY_WRONG": "fail"} and not desk.touched and run.slept < 120


def test_check_mode_does_not_wait(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(boots=repeat(("pending", "boot-1"))), known_hosts, check_mode=True)
    assert run.codes == {"FIRST_BOOT_UPGRADE_PENDING": "fail"} and run.slept == 0


# ---- choices -----------------------------------------------------------------------------------------------------------


def test_by_default_sudo_keeps_its_password_the_name_stays_and_password_login_stays_open(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(), known_hosts)
    assert run.desk.root_files == {"avahi": True} and not run.desk.closed
    asked = [request for request in run.desk.requests if "sudo_commands" in request]
    assert [(request["sudo_commands"], request["hostname"]) for request in asked] == [(None, None)]


def test_choices_reach_the_desk(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(), known_hosts, sudo_commands=("/usr/bin/true",), hostname="desk-01", close_password_login=True)
    assert run.codes == {"DESK_ENROLLED": "ok"} and run.desk.closed
    assert run.desk.root_files == {"avahi": True, "sudo_commands": ["/usr/bin/true"], "hostname": "desk-01"}


def test_red_a_check_of_the_desk_refuses(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(refuses="visudo rejects the sudoers file: syntax error"), known_hosts, sudo_commands=("bad",))
    assert run.codes == {"ENROL_REFUSED": "fail"} and "visudo" in run.outcome.findings[0].message and run.known == ""


def test_red_the_key_does_not_open_the_desk_and_password_login_stays_open(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(), known_hosts, close_password_login=True, prove=lambda _desk: "Permission denied (publickey).")
    assert run.codes == {"KEY_LOGIN_FAILED": "fail"} and not run.desk.closed
    assert not [request for request in run.desk.requests if request.get("keys_only")], "closing was never tried"


def test_red_the_key_fails_once_password_login_is_closed_so_it_is_opened_again(known_hosts: Path) -> None:
    words = f"Permission denied (publickey). {PASSWORD}"
    run = enrol(ScriptedDesk(), known_hosts, close_password_login=True, prove=lambda desk: words if desk.closed else None)
    assert run.codes == {"KEY_LOGIN_FAILED": "fail"} and not run.desk.closed
    assert [request for request in run.desk.requests if request.get("reopen")] and PASSWORD not in run.shown


def test_green_sshd_may_be_away_for_a_moment_while_it_is_reloaded(known_hosts: Path) -> None:
    answers = iter([None, "ssh: connect to host 192.0.2.11 port 22: Connection refused", None])
    run = enrol(ScriptedDesk(), known_hosts, close_password_login=True, prove=lambda _desk: next(answers))
    assert run.codes == {"DESK_ENROLLED": "ok"} and run.desk.closed


def test_red_sshd_that_stays_away(known_hosts: Path) -> None:
    refused = "ssh: connect to host 192.0.2.11 port 22: Connection refused"
    run = enrol(ScriptedDesk(), known_hosts, close_password_login=True, prove=lambda desk: refused if desk.closed else None)
    assert run.codes == {"KEY_LOGIN_FAILED": "fail"} and not run.desk.closed


def test_an_open_desk_is_closed_by_a_later_run_and_only_then(known_hosts: Path) -> None:
    desk = ScriptedDesk()
    enrol(desk, known_hosts)
    assert not desk.closed
    run = enrol(desk, known_hosts, close_password_login=True)
    assert desk.closed and run.outcome.changes == ["keys only"]
    assert enrol(desk, known_hosts, close_password_login=True).outcome.changes == []


# ---- order of trust, check mode, secrets -------------------------------------------------------------------------------


def test_the_order_of_trust(known_hosts: Path) -> None:
    """Looking comes before any change; every change before closing; the proof of the key between them."""
    events: list[str] = []

    def prove(desk: ScriptedDesk) -> str | None:
        events.append(f"proof after {len(desk.requests)}")
        return None

    run = enrol(ScriptedDesk(), known_hosts, close_password_login=True, prove=prove)
    kinds = ["look" if len(item) == 1 else "close" if item.get("keys_only") else "change" for item in run.desk.requests]
    assert kinds == ["look", "change", "change", "close"]
    assert events == ["proof after 3", "proof after 4"]


def test_check_mode_says_what_would_change_and_changes_nothing(known_hosts: Path) -> None:
    run = enrol(ScriptedDesk(), known_hosts, check_mode=True, sudo_commands=("/usr/bin/true",), close_password_login=True)
    assert not run.desk.touched and not known_hosts.exists() and not run.outcome.failed
    assert {"authorized_keys", "sudo_commands", "avahi"} <= set(run.outcome.changes) and any(
        "known_hosts" in item for item in run.outcome.changes
    )
    assert not [item for item in run.desk.requests if item.get("apply")]


def test_check_mode_of_an_enrolled_desk_has_nothing_to_change(known_hosts: Path) -> None:
    desk = ScriptedDesk()
    enrol(desk, known_hosts)
    run = enrol(desk, known_hosts, check_mode=True)
    assert run.codes == {"DESK_ENROLLED": "ok"} and not run.outcome.changes


@pytest.mark.parametrize(
    "desk",
    [
        ScriptedDesk(),
        ScriptedDesk(echoes=f"warning: {PASSWORD} and {SUDO_PASSWORD} were read"),
        ScriptedDesk(sudo_password="another", echoes=f"sudo got {SUDO_PASSWORD} after {PASSWORD}"),
        ScriptedDesk(password="another"),
        ScriptedDesk(unreachable=[Unreachable(f"proxy said {PASSWORD}: No route to host")]),
        ScriptedDesk(lost=[f"{SUDO_PASSWORD}: broken pipe"] * 40),
        ScriptedDesk(refuses=f"visudo: {SUDO_PASSWORD}"),
    ],
)
def test_secrets_are_nowhere_to_be_seen(known_hosts: Path, desk: ScriptedDesk) -> None:
    run = enrol(desk, known_hosts)
    assert PASSWORD not in run.shown and SUDO_PASSWORD not in run.shown
    assert PASSWORD not in repr(Secrets(PASSWORD, SUDO_PASSWORD))
    assert not [request for request in desk.requests if PASSWORD in str(request) or SUDO_PASSWORD in str(request)]


@pytest.mark.parametrize(("password", "become", "part"), [("lab", "lab2026!x", "2026!x"), ("lab", "two  blanks7", "blanks7")])
def test_no_half_of_a_secret_is_left(known_hosts: Path, password: str, become: str, part: str) -> None:
    """One that begins with the other, and one whose blanks become one where lines are joined."""
    desk = ScriptedDesk(password=password, sudo_password="another", echoes=f"sudo got {become} after {password}")
    run = enrol(desk, known_hosts, secrets=Secrets(password, become))
    assert run.codes == {"BECOME_FAILED": "fail"} and part not in run.shown and "sudo got ********" in run.shown


# ---- the two login users of a pair -------------------------------------------------------------------------------------


def account(uid: int = 1000, gid: int = 1000, user: str = "labadmin") -> dict[str, Any]:
    return {"user": user, "uid": uid, "gid": gid}


@pytest.mark.parametrize("other", [account(uid=1001), account(gid=1001), account(user="admin")])
def test_red_login_users_that_differ(other: dict[str, Any]) -> None:
    (found,) = logins_of(PAIR, {"desk-01": account(), "desk-02": other})
    assert found.code == "PAIR_USER_MISMATCH" and found.severity == "fail" and "desk-02" in found.message


@pytest.mark.parametrize("accounts", [{"desk-01": account(), "desk-02": account()}, {"desk-01": account()}, {}])
def test_green_equal_login_users_or_one_desk_alone(accounts: dict[str, Any]) -> None:
    assert logins_of(PAIR, accounts) == []
