"""How the ssh server and /etc/hosts of a desk may differ: what the facts see, and what is judged of it before a stack is made."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import Options, collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import AUDIT, STACK, JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import sshd_config

from .fake_desk import SSHD, healthy, sshd_question

HERE = Where(pair="pair_a", desk="desk-01")
CODES = ("PAIR_LOGIN_CLOSED", "PAIR_NAME_TAKEN")
FILES = "authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2"


def desk_with(said: str, hosts: str | None = None):
    desk = healthy()
    for question in (sshd_question(10, 11), sshd_question(11, 10)):
        desk.commands[question] = said
    if hosts is not None:
        desk.files["/etc/hosts"] = hosts
    return desk


def told(desk, purpose: str = STACK) -> dict[str, str]:
    found = judge(collect(desk), HERE, JudgeOptions(purpose=purpose))
    return {item.code: item.severity for item in found if item.code in CODES}


@pytest.mark.parametrize(
    ("line", "files"),
    [
        (FILES, ("/home/lab/.ssh/authorized_keys", "/home/lab/.ssh/authorized_keys2")),
        ("authorizedkeysfile /etc/ssh/keys/%u", ("/etc/ssh/keys/lab",)),
        ("authorizedkeysfile /etc/ssh/keys/%u %h/.ssh/%u.keys", ("/etc/ssh/keys/lab", "/home/lab/.ssh/lab.keys")),
        ("authorizedkeysfile /srv/keys/%U/100%%", ("/srv/keys/1000/100%",)),
        ("authorizedkeysfile .config/../.ssh/keys", ("/home/lab/.ssh/keys",)),
        ("authorizedkeysfile none", ()),
        ("authorizedkeysfile /etc/ssh/keys/%x", ()),
        ("", None),
    ],
)
def test_where_keys_are_looked_for(line: str, files: tuple[str, ...] | None) -> None:
    facts = collect(desk_with(SSHD.replace(FILES, line)))
    assert facts.network.sshd.key_files == files
    assert ("network.sshd.key_files" in facts.unread) is (files is None)


def test_the_server_is_asked_for_the_very_connection_that_the_peer_will_make() -> None:
    desk = healthy()
    collect(desk, Options(login_user="lab"))
    assert [item for item in desk.asked if "sshd" in item] == [sshd_question(10, 11)]
    alone = healthy(None)
    collect(alone)
    assert [item for item in alone.asked if "sshd" in item] == [sshd_question(11, 10)]


@pytest.mark.parametrize(
    ("port", "said", "asked"),
    [
        (2222, "port 22\nport 2222\n", [2222]),
        (22, "port 2222\n", [22]),
        (None, "port 2222\n", [22, 2222]),
        (None, "port 22\nport 2222\n", [22]),
        (None, "", [22]),
    ],
)
def test_the_server_is_asked_for_the_port_that_the_peer_comes_in_on(port: int | None, said: str, asked: list[int]) -> None:
    """A Match LocalPort block decides over port 22 alone, or over the other one alone."""
    desk = healthy()
    told = SSHD.replace("port 22\n", said)
    for at in (22, 2222):
        desk.commands[sshd_question(10, 11, port=at)] = told if at == asked[-1] else told.replace(FILES, "authorizedkeysfile none")
    facts = collect(desk, Options(login_user="lab", ssh_port=port))
    assert [item for item in desk.asked if "sshd" in item] == [sshd_question(10, 11, port=at) for at in asked]
    assert facts.network.sshd.key_files == ("/home/lab/.ssh/authorized_keys", "/home/lab/.ssh/authorized_keys2")


def test_the_command_to_check_with_tells_the_server_all_that_a_match_block_may_ask_for() -> None:
    """sshd refuses to answer where a Match LocalPort or LocalAddress block stands in its files and -C has no lport or laddr."""
    desk = desk_with(SSHD.replace("pubkeyauthentication yes", "pubkeyauthentication no"))
    [found] = [item for item in judge(collect(desk), HERE, JudgeOptions(purpose=STACK)) if item.code == "PAIR_LOGIN_CLOSED"]
    keys = [pair.partition("=")[0] for pair in sshd_question(10, 11).rpartition(" ")[2].split(",")]
    assert all(f"{key}=" in found.remedy for key in keys)


def test_a_port_that_the_server_will_not_speak_of_leaves_what_it_said() -> None:
    desk = healthy()
    desk.commands[sshd_question(10, 11)] = SSHD.replace("port 22\n", "port 2222\n")
    assert collect(desk, Options(login_user="lab")).network.sshd.key_files is not None


@pytest.mark.parametrize(
    ("old", "new", "severity"),
    [
        ("pubkeyauthentication yes", "pubkeyauthentication no", "fail"),
        ("ssh-ed25519,", "", "fail"),
        ("authenticationmethods any", "authenticationmethods publickey,keyboard-interactive", "fail"),
        ("authenticationmethods any", "authenticationmethods publickey,password publickey", None),
        ("maxsessions 10", "maxsessions 0", "fail"),
        ("maxsessions 10", "maxsessions 1\nforcecommand none", None),
        ("maxsessions 10", "maxsessions 10\nforcecommand internal-sftp", "fail"),
        ("maxsessions 10", "maxsessions 10\nallowusers mara", "fail"),
        ("maxsessions 10", "maxsessions 10\nallowusers mara\nallowusers lab", None),
        ("maxsessions 10", "maxsessions 10\nallowusers lab@10.0.0.*", "fail"),
        ("maxsessions 10", "maxsessions 10\nallowusers la?@192.168.100.0/24", None),
        ("maxsessions 10", "maxsessions 10\nallowusers lab@*.lab.example", None),
        ("maxsessions 10", "maxsessions 10\ndenyusers lab@192.168.*", "fail"),
        ("maxsessions 10", "maxsessions 10\ndenyusers guest", None),
        ("maxsessions 10", "maxsessions 10\nallowgroups cluster", "fail"),
        ("maxsessions 10", "maxsessions 10\nallowgroups cluster\nallowgroups doc*", None),
        ("maxsessions 10", "maxsessions 10\nallowgroups !guests", None),
        ("maxsessions 10", "maxsessions 10\ndenygroups docker", "fail"),
        ("maxsessions 10", "maxsessions 10\ndenygroups guests\nallowusers lab", None),
        ("maxsessions 10", "maxsessions 10\nallowgroups docker\nallowusers mara", "fail"),
        (FILES, "authorizedkeysfile /etc/ssh/keys/%u", "warn"),
        (FILES, "authorizedkeysfile none", "warn"),
        (FILES, "authorizedkeysfile .ssh/keys", None),
        (FILES, FILES, None),
    ],
)
def test_a_server_that_will_not_take_the_peers_key_is_named(old: str, new: str, severity: str | None) -> None:
    desk = desk_with(SSHD.replace(old, new))
    assert told(desk) == ({} if severity is None else {"PAIR_LOGIN_CLOSED": severity})
    assert told(desk, AUDIT) == ({} if severity is None else {"PAIR_LOGIN_CLOSED": "note"})


@pytest.mark.parametrize(("line", "severity"), [("allowgroups cluster", None), ("denygroups cluster", None), ("denygroups docker", "fail")])
def test_groups_of_a_directorys_user_are_not_all_known(line: str, severity: str | None) -> None:
    desk = desk_with(SSHD.replace("maxsessions 10", f"maxsessions 10\n{line}"))
    users = desk.files["/etc/passwd"].splitlines(keepends=True)
    desk.files["/etc/passwd"] = "".join(row for row in users if not row.startswith("lab:"))
    desk.commands["getent passwd lab"] = next(row for row in users if row.startswith("lab:"))
    found = {item.code: item.severity for item in judge(collect(desk, Options(login_user="lab")), HERE, JudgeOptions(purpose=STACK))}
    assert found.get("PAIR_LOGIN_CLOSED") == severity


def test_a_line_that_the_admin_added_elsewhere_is_seen_as_the_user_sees_it() -> None:
    desk = desk_with(SSHD.replace(FILES, "authorizedkeysfile /etc/ssh/keys/%u"))
    line = 'restrict,from="192.168.100.10" ssh-ed25519 AAAA dgx_spark_pair'
    asked: list[tuple[str, tuple[str, ...]]] = []

    def read_as(user: str, paths, keys=()):
        asked.append((user, tuple(paths)))
        known = {"/etc/ssh/keys/lab": line + "\n", "/home/lab/.ssh/authorized_keys": "ssh-ed25519 OLD dgx_spark_pair\n"}
        return [dataclasses.replace(desk.read_text("/nowhere"), path=path, text=known.get(path), error=None) for path in (*paths, *keys)]

    desk.read_as = read_as
    setup = collect(desk).setup
    assert asked[0][0] == "lab" and setup.trust_authorized == (line,)
    assert setup.trust_left_in == ("/home/lab/.ssh/authorized_keys",)
    assert told(desk) == {}


@pytest.mark.parametrize(
    ("hosts", "names"),
    [
        ("127.0.0.1 localhost\n192.168.100.11 pair-peer # dgx_spark_pair\n", ()),
        ("10.99.0.1 pair-head pair-peer\n", ("10.99.0.1 pair-head", "10.99.0.1 pair-peer")),
        ("10.99.0.1\tnode7 Pair-Peer  # old cluster\n", ("10.99.0.1 Pair-Peer",)),
        ("# 10.99.0.1 pair-head\n10.99.0.1 pair-header\n\n::1\n", ()),
        ("fd00::1 pair-peer2\n192.168.100.11 pair-peer # dgx_spark_pair\n", ("fd00::1 pair-peer2",)),
    ],
)
def test_names_of_ours_that_others_gave_away(hosts: str, names: tuple[str, ...]) -> None:
    desk = desk_with(SSHD, hosts)
    assert collect(desk).setup.foreign_names == names
    assert told(desk) == ({"PAIR_NAME_TAKEN": "warn"} if names else {})


def test_a_server_that_was_not_asked_is_not_judged() -> None:
    desk = healthy()
    for question in (sshd_question(10, 11), sshd_question(11, 10)):
        del desk.commands[question]
    facts = collect(desk)
    assert "network.sshd" in facts.unread and told(desk) == {}


def test_a_recording_that_asked_for_other_addresses_answers_too() -> None:
    desk = healthy()
    for question in (sshd_question(10, 11), sshd_question(11, 10)):
        del desk.commands[question]
    other = "sshd -T -C user=lab,host=192.168.57.10,addr=192.168.57.10,laddr=192.168.57.11,lport=22"
    desk.commands[other] = SSHD.replace("pubkeyauthentication yes", "pubkeyauthentication no")
    desk.recorded_commands = lambda: (tuple(other.split(" ")),)
    assert collect(desk).network.sshd.pubkey is False


def test_the_reader_takes_what_may_stand_several_times_together() -> None:
    read = sshd_config.read(
        "AllowUsers a\nallowusers b@10.0.0.1 c\nPubkeyAuthentication YES\nmaxsessions x\n\x00\nauthorizedkeysfile NONE\n"
    )
    assert read["allow_users"] == ["a", "b@10.0.0.1", "c"] and read["pubkey_authentication"] is True
    assert read["max_sessions"] is None and read["authorized_keys_files"] == [] and read["deny_users"] is None
