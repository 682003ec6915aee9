"""Who may open connections to Open MPI's ports on a desk: the rules, how they get there, how they are seen and how they go."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import pair_files, trust
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer, Link
from ansible_collections.labops.dgx_spark.plugins.module_utils.model import mpi_guard
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import sha256
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, MpiGuard, Setup
from proof_samples import ENDS
from test_trust import ME, OTHER, FakeDesk, applied, facts

GUARD = mpi_guard.Guard(1000, ("192.168.100.11", "192.168.101.11"))
IPV4 = (
    "-A INPUT -p tcp -m tcp --dport 28400:28499 --tcp-flags FIN,SYN,RST,ACK SYN -j dgx-spark-mpi-in",
    "-A OUTPUT -p tcp -m tcp --dport 28400:28499 --tcp-flags FIN,SYN,RST,ACK SYN -j dgx-spark-mpi-out",
    "-A FORWARD -p tcp -m tcp --dport 28400:28499 --tcp-flags FIN,SYN,RST,ACK SYN -j dgx-spark-mpi-through",
    "-A dgx-spark-mpi-in -i lo -j RETURN",
    "-A dgx-spark-mpi-in -s 192.168.100.11/32 -j RETURN",
    "-A dgx-spark-mpi-in -s 192.168.101.11/32 -j RETURN",
    "-A dgx-spark-mpi-in -j DROP",
    "-A dgx-spark-mpi-out -m owner --uid-owner 1000 -j RETURN",
    "-A dgx-spark-mpi-out -j DROP",
    "-A dgx-spark-mpi-through -j DROP",
)
IPV6 = tuple(rule for rule in IPV4 if " -s " not in rule)
WHOLE = MpiGuard(True, IPV4, IPV6)
ADDRESSES = "00000000000000000000000000000001 01 80 10 80       lo\n"
HOLES = {
    "not at the next boot": dataclasses.replace(WHOLE, enabled=False),
    "all flushed": MpiGuard(True, (), ()),
    "flushed for IPv6": dataclasses.replace(WHOLE, ipv6=()),
    "nothing leads there": dataclasses.replace(WHOLE, ipv4=IPV4[3:]),
    "open for containers": dataclasses.replace(WHOLE, ipv4=tuple(rule for rule in IPV4 if "-A FORWARD" not in rule)),
    "containers reach all but one address": dataclasses.replace(
        WHOLE, ipv4=(*IPV4[:-1], "-A dgx-spark-mpi-through -d 192.168.100.11/32 -j DROP")
    ),
    "containers reach all": dataclasses.replace(WHOLE, ipv4=IPV4[:-1]),
    "containers reach all over IPv6": dataclasses.replace(WHOLE, ipv6=IPV6[:-1]),
    "other ports": dataclasses.replace(WHOLE, ipv4=(IPV4[0].replace("28400:28499", "28400"), *IPV4[1:])),
    "other user": dataclasses.replace(WHOLE, ipv4=tuple(rule.replace("1000", "1001") for rule in IPV4)),
    "other desk": dataclasses.replace(WHOLE, ipv4=tuple(rule.replace("192.168.100.11", "192.168.100.12") for rule in IPV4)),
    "no end": dataclasses.replace(WHOLE, ipv4=tuple(rule for rule in IPV4 if "DROP" not in rule)),
    "one more": dataclasses.replace(WHOLE, ipv4=(*IPV4, "-A dgx-spark-mpi-in -s 10.0.0.0/8 -j RETURN")),
}


def test_the_rules_are_known_again_as_iptables_writes_them() -> None:
    text = "-P INPUT DROP\n-N dgx-spark-mpi-in\n-A INPUT -j ufw-before-input\n" + "".join(f"{rule}\n" for rule in IPV4)
    for none in ("", None):
        found = mpi_guard.found(True, text, None, none)
        assert found == MpiGuard(True, IPV4, None) and mpi_guard.in_force(GUARD, found)
    assert mpi_guard.in_force(GUARD, WHOLE)
    assert mpi_guard.found(True, None, "", ADDRESSES) is None


def test_ip6tables_that_does_not_answer_guards_nothing_where_there_is_ipv6() -> None:
    assert mpi_guard.found(True, "".join(f"{rule}\n" for rule in IPV4), None, ADDRESSES) is None
    desk = Guarded()
    desk.files[mpi_guard.IPV6] = ADDRESSES
    assert done(desk, WANT) == ["guard"]
    desk.answers_ipv6 = False
    assert pair_files.read(desk, WANT).guard is None


@pytest.mark.parametrize("hole", HOLES)
def test_every_hole_is_seen(hole: str) -> None:
    assert not mpi_guard.in_force(GUARD, HOLES[hole])


def wanted_and_there(found: MpiGuard | None, unit: str = mpi_guard.unit(GUARD), modes: tuple[str, ...] = ()) -> bool:
    """Whether a run leaves a desk alone whose facts show this."""
    wanted = trust.wanted(ME, OTHER)
    assert wanted["guard"] == {"uid": 1000, "sources": list(GUARD.sources)}
    setup = applied(wanted)
    kept = setup.pair_files | {mpi_guard.UNIT: sha256(unit)}
    return trust.is_there(facts(1, setup=dataclasses.replace(setup, pair_files=kept, mpi_guard=found, wrong_modes=modes)), wanted)


def test_a_desk_that_is_guarded_is_left_alone_and_any_hole_is_closed() -> None:
    assert wanted_and_there(WHOLE)
    assert not any(wanted_and_there(found) for found in HOLES.values())
    assert not wanted_and_there(WHOLE, modes=(mpi_guard.UNIT,))
    assert not wanted_and_there(WHOLE, unit="edited")
    assert wanted_and_there(None), "without iptables nothing can be done, in any run"


def test_a_user_without_a_known_number_and_an_admin_who_wants_none_get_no_guard() -> None:
    unnamed = dataclasses.replace(ME[1], limits=dataclasses.replace(ME[1].limits, uid=None))
    assert "guard" not in trust.wanted((ME[0], unnamed, ENDS[0]), OTHER)
    wanted = trust.wanted(ME, OTHER, guard_mpi=False)
    assert wanted["guard"] == {}
    there = facts(1, setup=applied(wanted))
    assert trust.is_there(there, wanted)
    assert not trust.is_there(dataclasses.replace(there, setup=dataclasses.replace(there.setup, mpi_guard=WHOLE)), wanted)


@pytest.mark.parametrize("left", [{"pair_files": {mpi_guard.UNIT: "x"}}, {"mpi_guard": WHOLE}, {"mpi_guard": MpiGuard(True, (), None)}])
def test_what_is_left_of_a_guard_is_not_gone(left: dict) -> None:
    assert not trust.is_gone(Desk(setup=dataclasses.replace(Setup(), **left)))
    assert trust.is_gone(Desk(setup=Setup(mpi_guard=MpiGuard(False, (), ()))))
    assert trust.unwanted(facts(1))["guard"] == {}


class Guarded(FakeDesk):
    """A desk whose systemd starts and stops the unit that lies there."""

    def __init__(self, works: bool = True, iptables: bool = True) -> None:
        super().__init__({})
        self.works, self.iptables, self.state = works, iptables, MpiGuard(False, (), ())
        self.answers_ipv6 = True

    def read_link(self, path: str) -> Link:
        return Link(path, "../dgx-spark-mpi.service" if self.state.enabled else None)

    def run(self, argv, **more) -> Answer:
        answer, argv = super().run(argv, **more), tuple(argv)
        if argv[0] in mpi_guard.PROGRAMS:
            rules = self.state.ipv4 if argv[0] == "iptables" else self.state.ipv6
            if argv[0] == "ip6tables" and not self.answers_ipv6:
                return Answer(argv, 3, "", "ip6tables v1.8.10 (legacy): can't initialize ip6tables table `mangle': Table does not exist\n")
            return Answer(argv, 0, "".join(f"{rule}\n" for rule in rules or ())) if self.iptables else Answer(argv, error="missing")
        if argv[0] == "systemctl":
            if argv[1] == "restart":
                if not self.works:
                    return Answer(argv, 1, "", "Job for dgx-spark-mpi.service failed.")
                self.state = dataclasses.replace(self.state, ipv4=IPV4, ipv6=IPV6)
            elif argv[1] == "enable":
                self.state = dataclasses.replace(self.state, enabled=True)
            elif argv[1] == "disable":
                assert mpi_guard.UNIT in self.files, "systemd does not know how the rules go"
                self.state = MpiGuard(False, (), ())
        if argv[0] == "journalctl":
            return Answer(argv, 0, "iptables v1.8.10 (nf_tables): RULE_APPEND failed (No such file): owner\nMain process exited\n")
        return answer


WANT, NONE = pair_files.Wanted(guard=GUARD), pair_files.Wanted(no_guard=True)


def done(desk: Guarded, want: pair_files.Wanted) -> list[str]:
    steps = pair_files.plan(pair_files.read(desk, want), want)
    pair_files.apply(desk, steps)
    assert pair_files.plan(pair_files.read(desk, want), want) == [], "a second run has something to do"
    return [step.kind for step in steps]


@pytest.mark.parametrize("taken", ["nothing", "unit", "rules", "enabled", "text"])
def test_whatever_is_taken_away_comes_back_and_all_of_it_goes_at_the_end(taken: str) -> None:
    desk = Guarded()
    assert done(desk, WANT) == ["guard"] and desk.files[mpi_guard.UNIT] == mpi_guard.unit(GUARD)
    if taken == "unit":
        del desk.files[mpi_guard.UNIT]
    elif taken == "text":
        desk.files[mpi_guard.UNIT] += "# edited\n"
    elif taken != "nothing":
        desk.state = {"rules": MpiGuard(True, (), ()), "enabled": dataclasses.replace(desk.state, enabled=False)}[taken]
    assert done(desk, WANT) == ([] if taken == "nothing" else ["guard"])
    assert done(desk, NONE) == ["unguard"] and desk.state == MpiGuard(False, (), ()) and mpi_guard.UNIT not in desk.files


def test_rules_whose_unit_is_gone_go_as_well() -> None:
    desk = Guarded()
    desk.state = WHOLE
    assert done(desk, NONE) == ["guard", "unguard"] and desk.state == MpiGuard(False, (), ())


def test_a_kernel_that_cannot_guard_keeps_no_unit_that_fails_at_every_boot() -> None:
    desk = Guarded(works=False)
    with pytest.raises(pair_files.UnguardedError, match=r"restart dgx-spark-mpi.service failed.*owner$") as caught:
        pair_files.apply(desk, pair_files.plan(pair_files.read(desk, WANT), WANT))
    assert mpi_guard.UNIT not in desk.files and not desk.state.enabled
    assert caught.value.commands[-1] == ["systemctl", "disable", "--now", "--quiet", "dgx-spark-mpi.service"]


@pytest.mark.parametrize(
    "source", ["10.0.0.1\nExecStart=/bin/sh", "10.0.0.1 -j ACCEPT", "0.0.0.0/0", "fe80::1%eth0", "", "dead.beef", "10"]
)
def test_what_is_no_address_never_gets_into_a_unit_of_roots(source: str) -> None:
    with pytest.raises(pair_files.PairFilesError, match="is not an address"):
        pair_files.plan(pair_files.read(Guarded(), WANT), pair_files.Wanted(guard=mpi_guard.Guard(1000, (source,))))


def test_a_desk_without_iptables_gets_no_unit() -> None:
    desk = Guarded(iptables=False)
    assert pair_files.plan(pair_files.read(desk, WANT), WANT) == []


REAL = os.geteuid() == 0 and shutil.which("iptables") and shutil.which("unshare")

SERVES = """\
import socket, time
server = socket.create_server(("::", 28401), dualstack_ipv6=True, family=socket.AF_INET6)
time.sleep(60)
"""
CONNECTS = """\
import os, socket
for user in (1000, 0, 1001):
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        os.seteuid(user)
        with socket.socket(family) as client:
            client.settimeout(1)
            print("out" if client.connect_ex((address, 28401)) else "in", end=" ")
        os.seteuid(0)
print()
"""


@pytest.mark.skipif(not REAL, reason="needs root, iptables and a network namespace of its own")
def test_the_kernel_lets_the_login_user_in_and_nobody_else(tmp_path: Path) -> None:
    """The unit's own lines, run as systemd runs them."""
    (tmp_path / "unit").write_text(mpi_guard.unit(mpi_guard.Guard(1000, GUARD.sources)), encoding="ascii")
    (tmp_path / "serve.py").write_text(SERVES, encoding="ascii")
    (tmp_path / "connect.py").write_text(CONNECTS, encoding="ascii")
    shown = [" ".join(command) for command in mpi_guard.COMMANDS]
    script = f"""
    ip link set lo up
    {sys.executable} {tmp_path}/serve.py &
    server=$!
    do_lines() {{ sed -n "s/^$1=//p" {tmp_path}/unit | while read -r line; do
        case $line in -*) ${{line#-}} 2>/dev/null || : ;; *) $line || echo "failed: $line" ;; esac; done; }}
    ask() {{ {sys.executable} {tmp_path}/connect.py; }}
    sleep 1; ask
    do_lines ExecStartPre; do_lines ExecStart; ask
    do_lines ExecStartPre; do_lines ExecStart; ask; echo ---; {shown[0]}; echo ---; {shown[1]}; echo ---
    do_lines ExecStop; ask; {shown[0]}; kill $server
    """
    told = subprocess.run(["unshare", "--net", "/bin/sh", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    before, ipv4, ipv6, after = told.stdout.split("---\n")
    assert before.splitlines() == ["in in in in in in ", *["in in out out out out "] * 2], told.stderr
    found = mpi_guard.found(True, ipv4, ipv6, ADDRESSES)
    assert found is not None and mpi_guard.in_force(GUARD, found), found
    assert after.startswith("in in in in in in \n") and "dgx-spark-mpi" not in after


DESKS = """\
here() {{ nsenter -t $1 -n sh -c "$2"; }}
for name in head peer box; do unshare --net sleep 60 & eval $name=$!; done
sleep 0.5
ip link add fab netns $head type veth peer name fab netns $peer
ip link add docker0 netns $peer type veth peer name eth0 netns $box
here $head "ip link set lo up; ip link set fab up; ip addr add 192.168.100.10/24 dev fab
    ip addr add 192.168.100.60/24 dev fab; ip route add default via 192.168.100.11"
here $peer "ip link set fab up; ip addr add 192.168.100.11/24 dev fab; ip link set docker0 up; ip addr add 172.17.0.1/16 dev docker0
    sysctl -qw net.ipv4.ip_forward=1"
here $box "ip link set eth0 up; ip addr add 172.17.0.2/16 dev eth0; ip route add default via 172.17.0.1"
nsenter -t $head -n {python} -c "import socket, time; held = socket.create_server(('', 28401)); time.sleep(60)" & server=$!
for desk in head peer; do sed -n s/^ExecStart=-*//p {folder}/$desk > {folder}/$desk.sh; eval here \\$$desk "'sh -e {folder}/$desk.sh'"; done
ask() {{ nsenter -t $2 -n {python} -c "
import os, socket
os.setegid($1); os.seteuid($1)
with socket.socket() as client:
    client.settimeout(1)
    print('out' if client.connect_ex(('192.168.100.${{3:-10}}', 28401)) else 'in', end=' ')
"; }}
here $head "iptables -I INPUT -j ACCEPT"
ask 1000 $peer; ask 1001 $peer; ask 1000 $box
here $peer "iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"
ask 1000 $box; ask 0 $box; ask 0 $box 60
kill $head $peer $box $server
"""


@pytest.mark.skipif(not REAL, reason="needs root, iptables and a network namespace of its own")
def test_no_container_and_no_machine_that_a_rule_of_others_lets_in_comes_to_the_other_desk(tmp_path: Path) -> None:
    """A container's connection leaves its desk with that desk's address, and is no program of that desk's; the other desk may have more
    addresses than the desks meet at (Wi-Fi). And what a VPN puts before all rules of the firewall, for its own machines, opens nothing."""
    for desk, other in (("head", "192.168.100.11"), ("peer", "192.168.100.10")):
        (tmp_path / desk).write_text(mpi_guard.unit(mpi_guard.Guard(1000, (other,))), encoding="ascii")
    script = DESKS.format(python=sys.executable, folder=tmp_path)
    told = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert told.stdout == "in out out out out out ", told.stderr
