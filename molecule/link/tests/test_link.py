"""The link of a desk: what a change does, what it refuses, what it gives back. Runs after converge, on both renderers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from desks import as_root, desk_names, lab
from links import FUNCTIONS, OUR_FILE, PEER, RENDERERS, Change, Ping, armed, change, codes, links, live, picture, wait_for

SYNC = "/etc/netplan/99-nvidia-sync-cluster.yaml"
SYNC_TEXT = """network:
  version: 2
  ethernets:
    enp1s0f0np0:
      addresses: [10.100.7.1/24]
      mtu: 9000
    enP2p1s0f0np0:
      addresses: [10.100.8.1/24]
      mtu: 9000
"""
PLAYBOOK = "/etc/netplan/40-cx7.yaml"
PLAYBOOK_TEXT = """network:
  version: 2
  ethernets:
    enp1s0f0np0:
      addresses:
        - 192.168.200.12/24
      dhcp4: no
    enP2p1s0f0np0:
      addresses:
        - 192.168.201.12/24
      dhcp4: no
"""
VLLM = "/etc/netplan/98-spark-vllm-docker.yaml"
KEYFILE = "/etc/NetworkManager/system-connections/fabric.nmconnection"
KEYFILE_TEXT = """[connection]
id=fabric
uuid=5b1c4a3e-2f6d-4c8a-9e0b-1a2b3c4d5e6f
type=ethernet
interface-name=enp1s0f0np0

[ipv4]
method=manual
address1=172.30.5.1/24

[ipv6]
method=disabled
"""
NM_YAML = "/etc/netplan/90-NM-7c9e6679-7425-40de-944b-e07fc1f90ae7.yaml"
NM_YAML_TEXT = """network:
  version: 2
  ethernets:
    NM-7c9e6679-7425-40de-944b-e07fc1f90ae7:
      renderer: NetworkManager
      match:
        name: "enP2p1s0f0np0"
      addresses:
      - "172.30.6.1/24"
      networkmanager:
        uuid: "7c9e6679-7425-40de-944b-e07fc1f90ae7"
        name: "half"
"""

each_renderer = pytest.mark.parametrize("desk", RENDERERS.values(), ids=RENDERERS.keys())


def put(desk: str, path: str, text: str, mode: str = "600") -> None:
    as_root(desk).check_output("printf %s > %s && chmod %s %s && touch -d '2026-01-02 03:04:05.678' %s", text, path, mode, path, path)


@pytest.fixture
def fresh(desk: str) -> Iterator[str]:
    """A desk that has no link yet; afterwards everything that the test has put there is gone."""
    result = change(desk, [], state="absent")
    assert not result.get("failed"), result["msg"]
    before = as_root(desk).check_output("ls /etc/netplan /etc/NetworkManager/system-connections")
    yield desk
    change(desk, [], state="absent")
    as_root(desk).run(f"rm -f {SYNC} {PLAYBOOK} {VLLM} {KEYFILE} {NM_YAML}")
    assert as_root(desk).check_output("ls /etc/netplan /etc/NetworkManager/system-connections") == before
    # What a hand took out of netplan is still in the renderer's hands, where it would come back in the middle of the next test.
    as_root(desk).check_output(
        "netplan generate && if systemctl is-active -q NetworkManager; then nmcli connection reload; else networkctl reload; fi"
    )
    wait_for(lambda: not any(addresses for _mtu, addresses in live(desk).values()), 30, f"{desk} to drop the addresses of the test")


# ---- after converge ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("desk", desk_names())
def test_both_functions_are_configured_and_nothing_is_armed(desk: str) -> None:
    assert [mtu for mtu, _addresses in live(desk).values()] == [9000, 9000]
    assert {address.rsplit(".", 1)[0] for _mtu, held in live(desk).values() for address in held} == {"192.168.100", "192.168.101"}
    file = as_root(desk).file(OUR_FILE)
    assert file.mode == 0o600 and "gateway" not in file.content_string and "nameservers" not in file.content_string
    assert armed(desk) == []
    assert "default" not in as_root(desk).check_output("ip route show dev enp1s0f0np0")


def test_a_second_link_stage_runs_no_module_on_a_desk() -> None:
    desks = list(RENDERERS.values())
    count = "journalctl --no-pager -q | grep -c 'cx7_link.*Invoked with'"
    before = [as_root(desk).run(count).stdout for desk in desks]
    wanted = {desk: links(10) for desk in desks}
    results = Change(wanted, facts=True).results()
    assert [(results[desk]["changed"], results[desk]["commands"], results[desk]["steps"]) for desk in desks] == [(False, [], [])] * 2
    assert [as_root(desk).run(count).stdout for desk in desks] == before


# ---- a change ------------------------------------------------------------------------------------------------------


@each_renderer
def test_check_mode_plans_the_same_and_writes_nothing(fresh: str) -> None:
    before = picture(fresh)
    shown = Change({fresh: links()}, check=True).results()["output"]["text"]
    assert "changed=1" in shown and "192.168.100.10/24" in shown
    assert picture(fresh) == before and not as_root(fresh).file("/var/lib/dgx_spark/link").exists


@each_renderer
def test_a_change_loses_no_ping_of_the_management_address(fresh: str) -> None:
    ping = Ping(fresh)
    result = change(fresh)
    sent, lost = ping.lost()
    assert result["changed"] and not result.get("failed"), result["msg"]
    assert sent > 100 and lost == 0
    assert armed(fresh) == []
    ping = Ping(fresh)
    assert change(fresh, [], state="absent")["changed"]
    assert ping.lost()[1] == 0


@each_renderer
def test_the_result_tells_what_was_done_function_by_function(fresh: str) -> None:
    result = change(fresh)
    assert [item["netdev"] for item in result["functions"]] == list(FUNCTIONS)
    for item in result["functions"]:
        assert item["mtu"] == 9000 and item["active_mtu"] == 4096 and item["gid_index"] is not None
        assert item["speed_mbps"] == 200000 and item["pcie_width"] == 4
        index = item["gid_index"]
        base = f"/sys/class/infiniband/{item['rdma_device']}/ports/1"
        assert as_root(fresh).check_output(f"cat {base}/gid_attrs/types/{index}") == "RoCE v2"
    assert result["before"]["file"] is None and result["after"]["file"]
    assert all(argv[0] in ("nmcli", "networkctl") for argv in result["commands"]) and result["commands"]
    assert not any(name in argv for argv in result["commands"] for name in ("apply", "enP7s7", "wlP9s9"))


@each_renderer
def test_a_wrong_live_mtu_is_mended(fresh: str) -> None:
    change(fresh)
    as_root(fresh).check_output("ip link set enP2p1s0f0np0 mtu 1500")
    result = change(fresh, facts=True)
    assert result["changed"] and result["steps"] == ["set the MTU of enP2p1s0f0np0 to 9000"]
    assert [mtu for mtu, _addresses in live(fresh).values()] == [9000, 9000]


@each_renderer
def test_absent_gives_the_desk_back_byte_for_byte(fresh: str) -> None:
    before = picture(fresh)
    change(fresh)
    change(fresh, links(mtu=1500))
    assert [mtu for mtu, _addresses in live(fresh).values()] == [1500, 1500]
    assert change(fresh, [], state="absent")["changed"]
    assert picture(fresh) == before
    assert not as_root(fresh).file("/var/lib/dgx_spark/link").exists
    assert change(fresh, [], state="absent")["changed"] is False


# ---- foreign owners ------------------------------------------------------------------------------------------------


def take_over_and_back(desk: str, path: str, text: str, mode: str = "640") -> None:
    put(desk, path, text, mode)
    before = picture(desk)
    refused = change(desk)
    assert refused["failed"] and codes(refused) == {"CX7_FOREIGN_OWNER"} and path in refused["msg"]
    assert picture(desk) == before
    taken = change(desk, take_over=True)
    assert taken["changed"] and not taken.get("failed"), taken["msg"]
    assert not as_root(desk).file(path).exists
    assert [addresses for _mtu, addresses in live(desk).values()] == [["192.168.100.10"], ["192.168.101.10"]]
    given = change(desk, [], state="absent")
    assert given["changed"] and not given.get("failed"), given["msg"]
    now = picture(desk)
    assert now[path] == before[path], "content, mode, owner and time stamp"
    assert {name: value for name, value in now.items() if name.startswith("/")} == {
        name: value for name, value in before.items() if name.startswith("/")
    }


@each_renderer
@pytest.mark.parametrize(
    ("path", "text"), [(SYNC, SYNC_TEXT), (PLAYBOOK, PLAYBOOK_TEXT), (VLLM, SYNC_TEXT)], ids=["sync", "playbook", "vllm"]
)
def test_a_foreign_netplan_file_is_named_taken_over_and_given_back(fresh: str, path: str, text: str) -> None:
    take_over_and_back(fresh, path, text)


@pytest.mark.parametrize("desk", [RENDERERS["NetworkManager"]])
@pytest.mark.parametrize(("path", "text"), [(KEYFILE, KEYFILE_TEXT), (NM_YAML, NM_YAML_TEXT)], ids=["keyfile", "90-NM"])
def test_a_foreign_profile_is_named_taken_over_and_given_back(fresh: str, path: str, text: str) -> None:
    take_over_and_back(fresh, path, text, "600")


@each_renderer
def test_a_foreign_file_that_also_holds_the_management_is_never_set_aside(fresh: str) -> None:
    put(fresh, PLAYBOOK, PLAYBOOK_TEXT + "    enP7s7:\n      optional: true\n")
    refused = change(fresh, take_over=True)
    assert refused["failed"] and codes(refused) == {"CX7_FOREIGN_OWNER"} and "enP7s7" in refused["msg"]
    assert as_root(fresh).file(PLAYBOOK).exists


@each_renderer
def test_a_file_that_was_edited_since_is_kept_and_named(fresh: str) -> None:
    change(fresh)
    as_root(fresh).check_output(f"echo '# mine' >> {OUR_FILE}")
    result = change(fresh, [], state="absent")
    assert "CX7_FILE_KEPT" in codes(result) and as_root(fresh).file(OUR_FILE).exists
    as_root(fresh).check_output(f"rm {OUR_FILE}")


# ---- refusals ------------------------------------------------------------------------------------------------------


def refused(desk: str, code: str, *, facts: bool = False, **options: object) -> dict:
    before = picture(desk)
    result = change(desk, facts=facts, **options)  # type: ignore[arg-type]
    assert result["failed"] and code in codes(result), result["msg"]
    assert picture(desk) == before and not armed(desk)
    assert all(item["remedy"] for item in result["findings"])
    return result


@each_renderer
@pytest.mark.parametrize("facts", [True, False], ids=["on the controller", "on the desk"])
def test_wishes_that_cannot_be_are_refused(fresh: str, facts: bool) -> None:
    refused(fresh, "CX7_TWINS_SAME_SUBNET", wanted=links(subnets=(100, 100)), facts=facts)
    management = json.loads(as_root(fresh).check_output("ip -j -4 route show dev enP7s7 scope link"))[0]["dst"]
    first = management.split("/")[0].rsplit(".", 1)[0]
    overlap = [{"port": 0, "addresses": [f"{first}.250/24", "192.168.101.10/24"], "mtu": 9000}]
    assert "enP7s7" in refused(fresh, "CX7_ADDRESS_OVERLAP", wanted=overlap, facts=facts)["msg"]
    refused(fresh, "CX7_CHANGE_REFUSED", wanted=links(mtu=4000), facts=facts)


@each_renderer
def test_a_dark_port_and_an_uncertain_port_are_refused(fresh: str) -> None:
    for netdev in ("enp1s0f1np1", "enP2p1s0f1np1"):
        as_root(fresh).check_output(f"ip link set {netdev} up")
    assert "dark" in refused(fresh, "CX7_LINK_DOWN", wanted=links(port=1))["msg"]


@each_renderer
def test_a_missing_twin_is_refused(fresh: str) -> None:
    lab("fault", "set", fresh, "twin_missing")
    try:
        refused(fresh, "CX7_FUNCTION_MISSING")
    finally:
        lab("fault", "clear", fresh, "twin_missing")


@each_renderer
def test_a_busy_desk_is_refused_by_the_name_of_the_process_and_forced(fresh: str) -> None:
    lab("fault", "set", fresh, "gpu_process")
    try:
        assert "process" in refused(fresh, "PAIR_BUSY")["msg"]
        forced = change(fresh, force=True)
        assert forced["changed"] and "PAIR_BUSY" in codes(forced)
        assert change(fresh, [], state="absent", force=True)["changed"]
    finally:
        lab("fault", "clear", fresh, "gpu_process")


@each_renderer
def test_an_address_that_another_desk_has_is_refused(fresh: str) -> None:
    as_root(fresh).check_output(f"ip link set {FUNCTIONS[0]} up && ip link set {FUNCTIONS[1]} up")
    peer = PEER[fresh]
    theirs = live(peer)[FUNCTIONS[0]][1][0]
    host = int(theirs.rsplit(".", 1)[1])
    result = refused(fresh, "CX7_ADDRESS_TAKEN", wanted=links(host=host))
    assert as_root(peer).check_output(f"cat /sys/class/net/{FUNCTIONS[0]}/address") in result["msg"]


@each_renderer
def test_a_netplan_that_is_broken_already_is_refused(fresh: str) -> None:
    put(fresh, VLLM, "network:\n  version: 2\n  ethernets:\n    enP7s7: {dhcp4: maybe}\n")
    refused(fresh, "CX7_NETPLAN_INVALID")


@each_renderer
def test_an_undo_that_cannot_be_armed_refuses_the_change(fresh: str) -> None:
    as_root(fresh).check_output("ln -s /dev/null /run/systemd/system/dgx-spark-link-undo.timer; systemctl daemon-reload")
    as_root(fresh).check_output(
        "mkdir -p /etc/systemd/system.control && ln -s /dev/null /etc/systemd/system.control/dgx-spark-link-undo.timer"
    )
    try:
        as_root(fresh).check_output("systemctl daemon-reload")
        refused(fresh, "CX7_CHANGE_REFUSED")
    finally:
        as_root(fresh).check_output(
            "rm -f /run/systemd/system/dgx-spark-link-undo.timer; rm -rf /etc/systemd/system.control; systemctl daemon-reload"
        )
