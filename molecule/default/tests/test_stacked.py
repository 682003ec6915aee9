"""After stack_pair.yml on healthy desks: what holds on the desks themselves, not only in the report."""

from __future__ import annotations

import json

import pytest
from desks import as_login_user, as_root, desk_names, newest_report

DESKS = desk_names()


def test_every_pair_passed_and_was_measured() -> None:
    report = newest_report()
    assert {pair["name"]: pair["verdict"] for pair in report["pairs"]} == {"pair_a": "PASS", "pair_b": "PASS"}
    for pair in report["pairs"]:
        assert pair["rdma"]["measured"] is True and pair["nccl"]["measured"] is True


@pytest.mark.parametrize("desk", DESKS)
def test_both_functions_of_the_cabled_port_are_addressed_in_two_subnets(desk: str) -> None:
    addresses = json.loads(as_root(desk).check_output("ip -j -4 addr show"))
    fabric = {item["local"]: link["mtu"] for link in addresses for item in link["addr_info"] if item["local"].startswith("192.168.10")}
    assert sorted(address.rsplit(".", 1)[0] for address in fabric) == ["192.168.100", "192.168.101"]
    assert set(fabric.values()) == {9000}


@pytest.mark.parametrize("desk", DESKS)
def test_our_netplan_file_is_private_and_nothing_is_armed(desk: str) -> None:
    host = as_root(desk)
    file = host.file("/etc/netplan/90-dgx-spark-link.yaml")
    assert file.exists and file.mode == 0o600 and file.user == "root"
    assert not host.file("/etc/systemd/system/dgx-spark-link-undo.timer").exists
    assert host.run("systemctl is-active dgx-spark-link-undo.timer").stdout.strip() != "active"


@pytest.mark.parametrize("desk", DESKS)
def test_the_driver_cannot_leave_its_branch(desk: str) -> None:
    held = as_root(desk).check_output("apt-mark showhold").split()
    assert "nvidia-driver-580-open" in held and "linux-nvidia-hwe-24.04" in held
    candidate = as_root(desk).check_output("apt-cache policy nvidia-driver-590-open")
    assert "Candidate: (none)" in candidate


@pytest.mark.parametrize("desk", DESKS)
def test_the_login_user_keeps_the_proven_settings_and_no_test_is_left_running(desk: str) -> None:
    host = as_login_user(desk)
    assert host.file("/etc/dgx_spark/pair.env").exists
    assert host.run("pgrep 'ib_write_bw|all_gather_per|mpirun|orted|prted'").rc == 1


def test_desks_of_a_pair_trust_each_other_and_nobody_else() -> None:
    first = as_login_user(DESKS[0])
    options = "-o BatchMode=yes -o ConnectTimeout=3 -o UserKnownHostsFile=/etc/dgx_spark/known_hosts -i ~/.ssh/id_ed25519_dgx_spark_pair"
    assert first.run(f"ssh {options} 192.168.100.11 true").rc == 0
    keys = as_root(DESKS[1]).file("/home/labadmin/.ssh/authorized_keys").content_string
    assert 'from="192.168.100.10,192.168.101.10"' in keys.replace(" ", "").replace(
        '"192.168.101.10,192.168.100.10"', '"192.168.100.10,192.168.101.10"'
    )
