"""What lets two desks log in to each other, and the small files of a pair."""

from __future__ import annotations

import base64
import dataclasses
import errno
import json
import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import side
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import pair_files, settings, trust
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer, Listing, Text
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import sha256
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, Limits, Network, Setup, SshServer
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs.homes import LiveHomes
from login_shells import LOGIN_SHELLS
from proof_samples import ENDS

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexample{0} dgx_spark_pair"


def facts(number: int, **changes: object) -> Desk:
    setup = Setup(
        trust_public_key=KEY.format(number), host_public_keys=(f"ssh-ed25519 AAAAhost{number}", f"ecdsa-sha2-nistp256 BBBB{number}")
    )
    desk = Desk(limits=Limits(user="lab", home="/home/lab", uid=1000, gid=1000), network=Network(ufw_active=True), setup=setup)
    return dataclasses.replace(desk, **changes)  # type: ignore[arg-type]


def known_in(arguments: dict) -> str | None:
    """The host keys that a desk gets."""
    return next(item["content"] for item in arguments["files"] if item["path"] == trust.KNOWN_HOSTS)


ME, OTHER = ("desk-01", facts(1), ENDS[0]), ("desk-02", facts(2), ENDS[1])


def applied(arguments: dict) -> Setup:
    """Facts after the arguments were applied."""
    files = {item["path"]: sha256(item["content"]) for item in arguments["files"] if item["content"]}
    return dataclasses.replace(
        facts(1).setup,
        pair_files=files,
        trust_authorized=tuple(arguments["lines"][0]["lines"]),
    )


def test_the_peer_may_run_commands_from_its_fabric_addresses_only() -> None:
    [line] = trust.wanted(ME, OTHER)["lines"][0]["lines"]
    assert line == 'restrict,from="192.168.100.11,192.168.101.11" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexample2 dgx_spark_pair'


def test_ssh_itself_accepts_the_line(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    line = trust.authorized_line((tmp_path / "key.pub").read_text(encoding="ascii"), ["192.168.100.11"])
    (tmp_path / "authorized_keys").write_text(line + "\n", encoding="ascii")
    told = subprocess.run(["ssh-keygen", "-l", "-f", str(tmp_path / "authorized_keys")], capture_output=True, text=True, check=True)
    assert "dgx_spark_pair" in told.stdout


def test_known_hosts_has_every_key_for_both_addresses() -> None:
    assert known_in(trust.wanted(ME, OTHER)) == (
        "192.168.100.11,192.168.101.11 ecdsa-sha2-nistp256 BBBB2 dgx_spark_pair\n"
        "192.168.100.11,192.168.101.11 ssh-ed25519 AAAAhost2 dgx_spark_pair\n"
    )


def test_an_address_that_a_desk_only_says_is_its_own_decides_for_no_other_ssh() -> None:
    """Its host key would stand for that address, a file server's perhaps, in every ssh of its partner's user."""
    told = trust.wanted(ME, (*OTHER[:2], dataclasses.replace(ENDS[1], management_address="10.0.0.250")), bootstrap="management")
    assert "10.0.0.250" in str(known_in(told))
    assert [item["path"] for item in told["lines"]] == ["/home/lab/.ssh/authorized_keys"]
    pair_files.refuse_content(trust.KNOWN_HOSTS, known_in(told))
    used = {word for word in trust.PAIR_SSH_SCRIPT.split() if "KnownHosts" in word} | set(side.ssh_options("/home/lab"))
    assert [word for word in used if "UserKnownHostsFile" in word] == [f"UserKnownHostsFile={trust.KNOWN_HOSTS}"]


def test_lines_of_ours_in_the_users_own_known_hosts_go() -> None:
    wanted = trust.wanted(ME, OTHER)
    marked = facts(1, setup=dataclasses.replace(applied(wanted), trust_known_hosts=("10.0.0.250 ssh-ed25519 AAAA dgx_spark_pair",)))
    again = trust.wanted(("desk-01", marked, ENDS[0]), OTHER)
    assert {"path": "/home/lab/.ssh/known_hosts", "lines": [], "user": "lab", "mode": "0600"} in again["lines"]
    assert not trust.is_there(marked, again) and trust.is_there(facts(1, setup=applied(again)), wanted)


def test_the_firewall_is_opened_for_the_peer_on_the_fabric_only() -> None:
    assert trust.wanted(ME, OTHER)["rules"] == [
        {"netdev": "enp1s0f0np0", "source": "192.168.100.11"},
        {"netdev": "enP2p1s0f0np0", "source": "192.168.101.11"},
    ]


@pytest.mark.parametrize(("active", "opened", "rules"), [(False, True, 0), (True, False, 0), (None, True, 2)])
def test_the_firewall_is_left_alone_when_it_is_off_or_not_wanted(active: bool | None, opened: bool, rules: int) -> None:
    me = ("desk-01", facts(1, network=Network(ufw_active=active)), ENDS[0])
    assert len(trust.wanted(me, OTHER, open_firewall=opened)["rules"]) == rules


def test_management_addresses_are_let_in_by_choice() -> None:
    wanted = trust.wanted(ME, OTHER, bootstrap="management")
    assert "10.0.0.12" in wanted["lines"][0]["lines"][0]
    assert {"netdev": "enP7s7", "source": "10.0.0.12"} in wanted["rules"]


def test_a_second_run_has_nothing_to_do() -> None:
    wanted = trust.wanted(ME, OTHER)
    assert not trust.is_there(facts(1), wanted)
    assert trust.is_there(facts(1, setup=applied(wanted)), wanted)


@pytest.mark.parametrize("bootstrap", ["fabric", "management"])
def test_desks_with_one_home_want_the_same_line_in_its_one_file(bootstrap: str) -> None:
    """A home on a file server: both desks show one key, and each takes the other's line for its own old one."""
    one, other = ("desk-01", facts(1), ENDS[0]), ("desk-02", facts(1), ENDS[1])
    [line] = trust.wanted(one, other, bootstrap=bootstrap)["lines"][0]["lines"]
    assert trust.wanted(other, one, bootstrap=bootstrap)["lines"][0]["lines"] == [line]
    assert "192.168.100.10" in line and "192.168.100.11" in line
    pair_files.refuse_line("/home/lab/.ssh/authorized_keys", line, "lab")


def test_lines_that_somebody_removed_are_noticed() -> None:
    wanted = trust.wanted(ME, OTHER)
    assert not trust.is_there(facts(1, setup=dataclasses.replace(applied(wanted), trust_authorized=())), wanted)


@pytest.mark.parametrize(
    ("me", "other", "blamed"),
    [
        (("desk-01", facts(1, limits=Limits()), ENDS[0]), OTHER, "desk-01"),
        (ME, ("desk-02", facts(2, setup=Setup()), ENDS[1]), "desk-02"),
        (ME, ("desk-02", facts(2, setup=Setup(trust_public_key=KEY.format(2))), ENDS[1]), "desk-02"),
    ],
)
def test_what_is_missing_names_the_desk(me, other, blamed: str) -> None:
    with pytest.raises(trust.TrustError) as caught:
        trust.wanted(me, other)
    assert caught.value.desk == blamed


def test_everything_is_taken_back() -> None:
    wanted = trust.unwanted(facts(1))
    assert wanted["rules"] == [] and wanted["key"]["state"] == "absent"
    assert all(item["lines"] == [] for item in wanted["lines"])
    assert trust.is_gone(Desk()) and not trust.is_gone(facts(1))


def served(*files: str, **setup: object) -> Desk:
    """A desk whose ssh server reads keys in these files."""
    network = Network(ufw_active=True, sshd=SshServer(key_files=files))
    return facts(1, network=network, setup=dataclasses.replace(facts(1).setup, **setup))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("files", "place"),
    [
        (("/home/lab/.ssh/authorized_keys", "/home/lab/.ssh/authorized_keys2"), "/home/lab/.ssh/authorized_keys"),
        (("/etc/ssh/keys/lab", "/home/lab/.ssh/authorized_keys"), "/home/lab/.ssh/authorized_keys"),
        (("/etc/ssh/keys/lab", "/home/lab/.config/keys"), "/home/lab/.config/keys"),
    ],
)
def test_the_peers_key_goes_where_sshd_looks_for_it(files: tuple[str, ...], place: str) -> None:
    desk = served(*files)
    arguments = trust.wanted(("desk-01", desk, ENDS[0]), OTHER)
    assert arguments["lines"][0]["path"] == place and arguments["lines"][0]["user"] == "lab"
    pair_files.refuse_line(place, arguments["lines"][0]["lines"][0], "lab")
    done = dataclasses.replace(desk, setup=dataclasses.replace(applied(arguments), firewall_rules=None))
    assert trust.is_there(done, arguments)
    gone = trust.unwanted(done)
    assert {item["path"] for item in gone["lines"]} >= {place, "/home/lab/.ssh/authorized_keys", "/home/lab/.ssh/known_hosts"}


def test_a_line_that_sshd_no_longer_reads_is_moved_and_nothing_is_left_behind() -> None:
    usual = "/home/lab/.ssh/authorized_keys"
    desk = served("/home/lab/.ssh/keys", trust_left_in=(usual,))
    arguments = trust.wanted(("desk-01", desk, ENDS[0]), OTHER)
    assert {item["path"]: bool(item["lines"]) for item in arguments["lines"]} == {
        "/home/lab/.ssh/keys": True, usual: False,
    }  # fmt: skip
    done = dataclasses.replace(desk, setup=dataclasses.replace(applied(arguments), firewall_rules=None, trust_left_in=()))
    assert trust.is_there(done, trust.wanted(("desk-01", done, ENDS[0]), OTHER))
    half = dataclasses.replace(done, setup=dataclasses.replace(done.setup, trust_left_in=(usual,)))
    assert not trust.is_there(half, trust.wanted(("desk-01", half, ENDS[0]), OTHER)) and not trust.is_gone(half)


@pytest.mark.parametrize("files", [("/etc/ssh/keys/lab",), ()])
def test_keys_that_only_the_admin_writes_are_named_with_the_line_that_belongs_there(files: tuple[str, ...]) -> None:
    with pytest.raises(trust.KeysElsewhereError) as caught:
        trust.wanted(("desk-01", served(*files), ENDS[0]), OTHER)
    [line] = trust.wanted(ME, OTHER)["lines"][0]["lines"]
    assert (caught.value.path, caught.value.line) == (files[0] if files else None, line)
    if files:
        added = served(*files, trust_authorized=(line,))
        arguments = trust.wanted(("desk-01", added, ENDS[0]), OTHER)
        assert arguments["lines"] == [] and known_in(arguments)


def test_a_desk_that_another_one_replaced_gets_its_keys_anew_on_its_partner() -> None:
    arguments = trust.wanted(ME, OTHER)
    done = dataclasses.replace(facts(1), setup=applied(arguments))
    new = facts(7)
    again = trust.wanted(("desk-01", done, ENDS[0]), ("desk-02", new, ENDS[1]))
    changed = dataclasses.replace(done, setup=dataclasses.replace(done.setup, firewall_rules=None))
    assert trust.is_there(changed, arguments) and not trust.is_there(changed, again)
    assert "AAAAhost2" not in str(known_in(again)) and "AAAAhost7" in str(known_in(again))


def test_the_record_holds_no_key() -> None:
    content = next(item["content"] for item in trust.wanted(ME, OTHER)["files"] if item["path"] == trust.RECORD)
    assert "AAAA" not in content
    assert json.loads(content)["firewall"][0]["netdev"] == "enp1s0f0np0"


def test_pair_ssh_is_a_sound_script_that_hands_the_mark_on(tmp_path: Path) -> None:
    (tmp_path / "ssh").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="ascii")
    (tmp_path / "ssh").chmod(0o755)
    script = tmp_path / "pair-ssh"
    script.write_text(trust.PAIR_SSH_SCRIPT, encoding="utf-8")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": "/home/lab", "DGX_SPARK_MEASUREMENT": "abc"}
    told = subprocess.run(
        ["sh", str(script), "192.168.100.11", "orted", "-x 1"], capture_output=True, text=True, check=True, env=environment
    )
    assert sent(told.stdout) == ("192.168.100.11", "export DGX_SPARK_MEASUREMENT=abc; orted -x 1")
    port = {"PMIX_MCA_ptl_base_ipv4_port": "28408"}
    ported = subprocess.run(
        ["sh", str(script), "192.168.100.11", "orted"], capture_output=True, text=True, check=True, env=environment | port
    )
    assert sent(ported.stdout)[1] == "export DGX_SPARK_MEASUREMENT=abc PMIX_MCA_ptl_base_ipv4_port=28408; orted"
    assert "/home/lab/.ssh/id_ed25519_dgx_spark_pair" in told.stdout
    environment.pop("DGX_SPARK_MEASUREMENT")
    plain = subprocess.run(["sh", str(script), "192.168.100.11", "orted"], capture_output=True, text=True, check=True, env=environment)
    assert sent(plain.stdout) == ("192.168.100.11", "orted")


def sent(told: str) -> tuple[str, str]:
    """Address and command of an ssh whose arguments were printed, one a line. The command is one line that every shell takes alike."""
    address, line = told.splitlines()[-2:]
    found = re.fullmatch(r"""/bin/sh -c 'eval "\$\(echo ([A-Za-z0-9+/=]+) \| base64 -d\)"'""", line)
    assert found is not None, line
    return address, base64.b64decode(found.group(1)).decode()


@pytest.mark.parametrize(
    "command",
    [
        "echo one two",
        "echo 'a  b'",
        'PATH=/x:$PATH ; export PATH ; echo "$PATH" | cut -c1-3',
        "cat",
        "exit 7",
        "echo " + "x" * 9000,
        "echo \\! \\$HOME '~' {a,b} *.none",
    ],
)
@pytest.mark.parametrize("shell", LOGIN_SHELLS)
def test_what_pair_ssh_sends_means_the_same_to_every_login_shell(tmp_path: Path, command: str, shell: str) -> None:
    """The stand-in for sshd hands the line to a login shell, as sshd does, after a start-up file that prints a window's title."""
    (tmp_path / "ssh").write_text(
        f"#!/bin/sh\nfor last; do :; done\nprintf '\\033]0;lab\\007'\nexec {shell} -c \"$last\"\n", encoding="ascii"
    )
    (tmp_path / "ssh").chmod(0o755)
    (tmp_path / "pair-ssh").write_text(trust.PAIR_SSH_SCRIPT, encoding="utf-8")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": "/home/lab"}
    through, plain = (
        subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, input="from stdin\n")
        for argv in (["sh", str(tmp_path / "pair-ssh"), "192.168.100.11", command], ["sh", "-c", command])
    )
    # The stand-in is the first in PATH, nothing else differs.
    assert (through.stdout.removeprefix("\033]0;lab\007"), through.returncode) == (plain.stdout, plain.returncode)


def test_mpi_is_told_the_shell_that_pair_ssh_uses(tmp_path: Path) -> None:
    """Without a login: Open MPI asks in these words, and writes a csh's for a user whose own shell is one."""
    (tmp_path / "ssh").write_text("#!/bin/sh\nexit 7\n", encoding="ascii")
    (tmp_path / "ssh").chmod(0o755)
    script = trust.pair_ssh_script({"192.168.100.11": 2222})
    told = subprocess.run(
        ["sh", "-c", script, "pair-ssh", "192.168.100.11", "echo $SHELL"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": "/home/lab"},
    )
    assert (told.stdout, told.returncode) == ("bash\n", 0)
    values = settings.settings((ENDS[0],), settings.meeting(ENDS), 0)
    assert {values["OMPI_MCA_plm_rsh_assume_same_shell"], values["PRTE_MCA_plm_ssh_assume_same_shell"]} == {"0"}


# The small files: lines, rules, plan.

OWN = "x y dgx_spark_pair"


@pytest.mark.parametrize(
    ("before", "lines", "after"),
    [
        (None, [], None),
        (None, [OWN], f"{OWN}\n"),
        ("other\n", [OWN], f"other\n{OWN}\n"),
        ("other", [OWN], f"other\n{OWN}\n"),
        (f"a\n{OWN}\nb\n", [OWN], f"a\n{OWN}\nb\n"),
        (f"a\n{OWN}\nb\n", [], "a\nb\n"),
        (f"{OWN}\n{OWN}\n", [OWN], f"{OWN}\n"),
        ("old dgx_spark_pair\nb\n", [OWN], f"b\n{OWN}\n"),
        ("a\r\nb\n", [], "a\r\nb\n"),
    ],
)
def test_lines_of_others_are_never_touched(before: str | None, lines: list[str], after: str | None) -> None:
    assert pair_files.with_lines(before, lines) == after


def test_our_rules_are_found_among_others() -> None:
    added = (
        "Added user rules (see 'ufw status' for running firewall):\nufw allow 22/tcp\n"
        "ufw allow in on enp1s0f0np0 from 192.168.100.11 comment 'dgx_spark_pair'\nufw allow in on eth0 from 10.0.0.1 comment 'mine'\n"
    )
    assert pair_files.rules_of(added) == (pair_files.Rule("enp1s0f0np0", "192.168.100.11"),)


class FakeDesk:
    """A desk of files and answers; writes are kept."""

    def __init__(self, files: dict[str, str], errors: dict[str, str] | None = None, answers: dict[str, Answer] | None = None) -> None:
        self.files, self.errors, self.answers = files, errors or {}, answers or {}
        self.ran: list[tuple[list[str], str | None]] = []
        self.asked: list[tuple[str, dict]] = []
        self.modes: dict[str, int] = {}
        self.gone: list[str] = []

    def read_text(self, path: str) -> Text:
        if path in self.errors:
            return Text(path, error=self.errors[path])
        return Text(path, self.files.get(path), None if path in self.files else "missing")

    def list_dir(self, path: str) -> Listing:
        return Listing(path)

    def run(self, argv, *, timeout: float = 10.0, stdin: str | None = None, env=None) -> Answer:
        self.ran.append((list(argv), stdin))
        return self.answers.get(argv[0], Answer(tuple(argv), 0))

    def read_as(self, user: str, paths, keys=()) -> list[Text]:
        return [
            *map(self.read_text, paths),
            *(Text(path, self.files.get(path), None if path in self.files else "missing") for path in keys),
        ]

    def ask_as(self, user: str, request: dict) -> dict:
        path, error = request["path"], self.errors.get(request["path"])
        self.asked.append((user, request))
        if error:
            return {"error": error}
        if request["op"] == "merge":
            before = self.files.get(path)
            after = pair_files.with_lines(before, request["lines"])
            if request["apply"] and after is not None:
                self.files[path] = after
            return {"before": before or "", "after": after or ""}
        return {}

    def set_mode(self, path: str, mode: int) -> None:
        self.modes[path] = mode

    def write_text(self, path: str, text: str, mode: int = 0o644) -> None:
        self.files[path] = text
        self.modes[path] = mode

    def remove(self, path: str) -> None:
        self.files.pop(path, None)

    def remove_empty_folder(self, path: str) -> None:
        if not any(name.startswith(f"{path}/") for name in self.files):
            self.gone.append(path)

    def make_folder(self, path: str, mode: int = 0o755) -> None:
        return None


HOSTFILE = "192.168.100.10 slots=1\n"
AUTHORIZED = 'restrict,from="192.168.100.11" ssh-ed25519 AAAApeer dgx_spark_pair'
WANT = pair_files.Wanted(
    files=(pair_files.WantedFile("/etc/dgx_spark/hostfile", HOSTFILE),),
    lines=(pair_files.WantedLines("/home/lab/.ssh/authorized_keys", (AUTHORIZED,), "lab"),),
    rules=(pair_files.Rule("enp1s0f0np0", "192.168.100.11"),),
)


def test_our_folder_goes_with_its_last_file() -> None:
    desk = FakeDesk({"/etc/dgx_spark/hostfile": HOSTFILE, "/etc/dgx_spark/trust.json": "{}", "/usr/local/bin/pair-ssh": "x"})
    for paths, gone in ((("/etc/dgx_spark/hostfile", "/usr/local/bin/pair-ssh"), []), (("/etc/dgx_spark/trust.json",), ["/etc/dgx_spark"])):
        want = pair_files.Wanted(files=tuple(pair_files.WantedFile(path, None) for path in paths))
        pair_files.apply(desk, pair_files.plan(pair_files.read(desk, want), want))
        assert desk.gone == gone


def test_plan_apply_and_nothing_the_second_time() -> None:
    desk = FakeDesk({}, answers={"ufw": Answer(("ufw",), 0, "")})
    steps = pair_files.plan(pair_files.read(desk, WANT), WANT)
    assert [step.kind for step in steps] == ["write", "lines", "allow"]
    pair_files.apply(desk, steps)
    assert desk.files["/etc/dgx_spark/hostfile"] == HOSTFILE
    assert ["ufw", "allow", "in", "on", "enp1s0f0np0", "from", "192.168.100.11", "comment", "dgx_spark_pair"] in [
        argv for argv, _stdin in desk.ran
    ]
    assert desk.files["/home/lab/.ssh/authorized_keys"] == f"{AUTHORIZED}\n"
    desk.answers["ufw"] = Answer(("ufw",), 0, "ufw allow in on enp1s0f0np0 from 192.168.100.11 comment 'dgx_spark_pair'\n")
    assert pair_files.plan(pair_files.read(desk, WANT), WANT) == []


def test_a_users_file_is_read_and_written_by_the_users_helper_alone() -> None:
    desk = FakeDesk({}, answers={"ufw": Answer(("ufw",), error="missing")})
    pair_files.apply(desk, pair_files.plan(pair_files.read(desk, WANT), WANT))
    assert [(user, request["op"], request["apply"]) for user, request in desk.asked] == [("lab", "merge", False), ("lab", "merge", True)]
    assert not any("/home/" in word for argv, _stdin in desk.ran for word in argv)


def test_a_desk_without_ufw_needs_no_rules() -> None:
    desk = FakeDesk({}, answers={"ufw": Answer(("ufw",), error="missing")})
    assert all(step.kind != "allow" for step in pair_files.plan(pair_files.read(desk, WANT), WANT))


def test_what_cannot_be_read_is_not_changed() -> None:
    desk = FakeDesk({}, errors={"/home/lab/.ssh/authorized_keys": "denied"})
    with pytest.raises(pair_files.PairFilesError, match="authorized_keys cannot be read"):
        pair_files.plan(pair_files.read(desk, WANT), WANT)


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/dgx_spark/../passwd", "/usr/local/bin/other"])
def test_no_other_file_is_ever_written(path: str) -> None:
    want = pair_files.Wanted(files=(pair_files.WantedFile(path, "x"),))
    with pytest.raises(pair_files.PairFilesError, match="not one of this collection's files"):
        pair_files.plan(pair_files.Have({path: None}), want)


def test_a_line_without_the_mark_is_refused() -> None:
    want = pair_files.Wanted(lines=(pair_files.WantedLines("/etc/hosts", ("10.0.0.1 x",)),))
    with pytest.raises(pair_files.PairFilesError, match="must end with"):
        pair_files.plan(pair_files.Have({"/etc/hosts": ""}), want)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/home/lab/.ssh/authorized_keys", 'restrict,from="*" ssh-ed25519 AAAA dgx_spark_pair'),
        ("/home/lab/.ssh/authorized_keys", 'restrict,from="10.0.0.1",command="id" ssh-ed25519 AAAA dgx_spark_pair'),
        ("/home/lab/.ssh/authorized_keys", "ssh-ed25519 AAAA dgx_spark_pair"),
        ("/home/lab/.ssh/authorized_keys", 'restrict,from="10.0.0.1" ssh-ed25519 AAAA\nssh-ed25519 BBBB dgx_spark_pair'),
        ("/home/lab/.ssh/known_hosts", "10.0.0.1 ssh-ed25519 AAAA dgx_spark_pair"),
        ("/home/lab/.bashrc", "10.0.0.1 ssh-ed25519 AAAA dgx_spark_pair"),
        ("/etc/hosts", "10.0.0.1 name archive.example # dgx_spark_pair"),
    ],
)
def test_a_line_of_another_kind_is_refused(path: str, line: str) -> None:
    want = pair_files.Wanted(lines=(pair_files.WantedLines(path, (line,), None if path == "/etc/hosts" else "lab"),))
    with pytest.raises(pair_files.PairFilesError, match="is not a line that this collection writes there"):
        pair_files.plan(pair_files.Have({path: ""}), want)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/etc/dgx_spark/pair.env", "# boot_id desk-02 x\nLD_PRELOAD=/tmp/x.so\n"),
        ("/etc/dgx_spark/pair.env", "NCCL_IB_HCA=$(id)\n"),
        ("/etc/dgx_spark/pair.env", "NCCL_IB_HCA=a;id\n"),
        ("/etc/dgx_spark/pair.env", "NCCL_IB_HCA=a b\n"),
        ("/etc/dgx_spark/pair.env", "X=$(command)\n"),
        ("/etc/dgx_spark/pair.env", "# note \x1b]52;c;x\x07\n"),
        ("/etc/dgx_spark/hostfile", "-x LD_PRELOAD=/tmp/x.so\n"),
        ("/etc/dgx_spark/known_hosts", '10.0.0.1,fe80::1%",*," ssh-ed25519 AAAA dgx_spark_pair'),
        ("/etc/dgx_spark/known_hosts", "@cert-authority * ssh-ed25519 AAAA dgx_spark_pair"),
    ],
)
def test_a_file_that_a_program_reads_holds_nothing_to_run(path: str, content: str) -> None:
    want = pair_files.Wanted(files=(pair_files.WantedFile(path, content),))
    with pytest.raises(pair_files.PairFilesError, match="is not a line that this collection writes there"):
        pair_files.plan(pair_files.Have({path: None}), want)


@pytest.mark.parametrize("which", [0, 1])
def test_the_settings_that_we_write_are_of_their_kind(which: int) -> None:
    meet = settings.meeting(ENDS)
    pair_files.refuse_content(
        settings.PAIR_ENV, settings.pair_env("pair_a", ENDS, which, settings.settings(ENDS[which : which + 1], meet, which), "run-1")
    )
    pair_files.refuse_content(settings.HOSTFILE, settings.hostfile(meet))


@pytest.mark.parametrize("text", ['fe80::1%",*,"', "fe80::1%eth0", "*", "10.0.0.1,*", "10.0.0.1 *", ""])
def test_an_address_that_is_a_pattern_lets_nobody_in(text: str) -> None:
    end = dataclasses.replace(ENDS[1], management_address=text)
    if not text:
        assert "10.0.0" not in str(trust.wanted(ME, (*OTHER[:2], end), bootstrap="management")["lines"])
        return
    with pytest.raises(trust.TrustError) as caught:
        trust.wanted(ME, (*OTHER[:2], end), bootstrap="management")
    assert caught.value.desk == ENDS[1].desk


@pytest.mark.parametrize("taken", [trust.PAIR_SSH, trust.RECORD, trust.KNOWN_HOSTS])
def test_a_file_that_somebody_removed_is_noticed(taken: str) -> None:
    wanted = trust.wanted(ME, OTHER)
    setup = applied(wanted)
    left = {path: digest for path, digest in setup.pair_files.items() if path != taken}
    assert not trust.is_there(facts(1, setup=dataclasses.replace(setup, pair_files=left)), wanted)


def test_a_mode_that_shuts_the_login_user_out_is_noticed_and_set() -> None:
    wanted = trust.wanted(ME, OTHER)
    assert not trust.is_there(facts(1, setup=dataclasses.replace(applied(wanted), wrong_modes=("/etc/dgx_spark",))), wanted)
    want = pair_files.Wanted(files=(pair_files.WantedFile("/etc/dgx_spark/hostfile", HOSTFILE),))
    stat = Answer(("stat",), 0, "700 0 /etc/dgx_spark\n600 0 /etc/dgx_spark/hostfile\n")
    desk = FakeDesk({"/etc/dgx_spark/hostfile": HOSTFILE}, answers={"stat": stat})
    steps = pair_files.plan(pair_files.read(desk, want), want)
    assert [step.kind for step in steps] == ["folder", "write"]
    pair_files.apply(desk, steps)
    assert desk.modes == {"/etc/dgx_spark": 0o755, "/etc/dgx_spark/hostfile": 0o644}


def test_firewall_rules_that_somebody_deleted_are_noticed() -> None:
    wanted = trust.wanted(ME, OTHER)
    rules = ("enP2p1s0f0np0 192.168.101.11", "enp1s0f0np0 192.168.100.11")
    for seen, there in ((rules, True), (rules[:1], False), ((), False), (None, True)):
        assert trust.is_there(facts(1, setup=dataclasses.replace(applied(wanted), firewall_rules=seen)), wanted) is there


@pytest.mark.parametrize("change", [{"trust_key_damaged": True}, {"firewall_rules": ("a 10.0.0.1",)}])
def test_what_is_left_of_ours_is_not_gone(change: dict) -> None:
    assert not trust.is_gone(Desk(setup=dataclasses.replace(Setup(), **change)))


def test_root_itself_writes_into_no_file_of_a_user() -> None:
    want = pair_files.Wanted(lines=(pair_files.WantedLines("/home/lab/.ssh/authorized_keys", (AUTHORIZED,), None),))
    with pytest.raises(pair_files.PairFilesError, match="name its user"):
        pair_files.plan(pair_files.Have({}), want)


def test_a_step_that_fails_is_named() -> None:
    desk = FakeDesk({}, answers={"ufw": Answer(("ufw",), 0, "")})
    steps = pair_files.plan(pair_files.read(desk, WANT), WANT)
    desk.errors["/home/lab/.ssh/authorized_keys"] = "there is no user lab"
    with pytest.raises(pair_files.PairFilesError, match="no user lab"):
        pair_files.apply(desk, steps)


def test_a_difference_shows_no_key_of_others() -> None:
    step = pair_files.Step("lines", "/x", f"ssh-rsa ADMIN\n{OWN}\n", "ssh-rsa ADMIN\n")
    assert "ADMIN" not in json.dumps(pair_files.difference([step]))


def test_another_port_of_ssh_reaches_every_place() -> None:
    assert trust.known_host_lines([KEY.format(1)], ["192.168.100.11", "192.168.101.11"], 2222)[0].startswith(
        "[192.168.100.11]:2222,[192.168.101.11]:2222 ssh-ed25519 "
    )
    script = trust.pair_ssh_script({"192.168.100.11": 2222, "192.168.101.11": 2222})
    assert "192.168.100.11) port=2222 ;;" in script and '-p "$port" "$host"' in script
    assert trust.pair_ssh_script({"192.168.100.11": 22}) == trust.PAIR_SSH_SCRIPT


def test_the_script_uses_the_port_of_the_desk_that_is_asked_for(tmp_path: Path) -> None:
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\nfor word; do echo "$word"; done\n', encoding="utf-8")
    program.chmod(0o755)
    script = tmp_path / "pair-ssh"
    script.write_text(trust.pair_ssh_script({"192.168.100.11": 2222}), encoding="utf-8")
    for address, port in (("192.168.100.11", "2222"), ("192.168.100.12", "22")):
        told = subprocess.run(
            ["/bin/sh", str(script), address, "orted"],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": "/home/lab"},
            capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
        assert told[told.index("-p") + 1] == port and sent("\n".join(told)) == (address, "orted")


def test_bytes_of_others_in_a_file_of_roots_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = tmp_path / "hosts"
    others = "127.0.0.1 localhost\n10.0.0.9 drucker # B\u00fcro\n".encode("latin-1")
    hosts.write_bytes(others)
    monkeypatch.setattr(pair_files, "ROOTS_FILES", (str(hosts),))
    line = "192.168.100.11 pair-peer # dgx_spark_pair"
    desk = LiveHomes()
    for lines in ((line,), ()):
        want = pair_files.Wanted(lines=(pair_files.WantedLines(str(hosts), lines, mode=0o644),))
        pair_files.apply(desk, pair_files.plan(pair_files.read(desk, want), want))
        assert pair_files.plan(pair_files.read(desk, want), want) == []
        assert hosts.read_bytes() == others + b"".join(f"{line}\n".encode() for line in lines)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EPERM, "Operation not permitted; lsattr -d /etc/dgx_spark /etc/dgx_spark/hostfile"),
        (errno.EROFS, "Read-only file system; findmnt"),
        (errno.ENOSPC, "No space left on device; df -h /etc/dgx_spark and df -i"),
        (errno.ELOOP, "Too many levels of symbolic links; ls -ld /etc/dgx_spark"),
    ],
)
def test_a_file_system_that_takes_nothing_is_told_with_its_file_and_what_to_look_at(number: int, words: str) -> None:
    class Full(FakeDesk):
        def write_text(self, path: str, text: str, mode: int = 0o644) -> None:
            raise OSError(number, words.partition(";")[0], path)

    desk = Full({}, answers={"ufw": Answer(("ufw",), 0, "")})
    steps = pair_files.plan(pair_files.read(desk, WANT), WANT)
    with pytest.raises(pair_files.PairFilesError, match=f"/etc/dgx_spark/hostfile cannot be written: {words}"):
        pair_files.apply(desk, steps)
