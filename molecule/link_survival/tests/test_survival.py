"""A link change that is cut off: at the end the desk is reachable, as it was before, and the next run says what happened."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from desks import as_root, lab
from links import JOURNAL, RENDERERS, Change, Cut, armed, change, codes, journal, links, live, picture, wait_for, wait_for_state

each_renderer = pytest.mark.parametrize("desk", RENDERERS.values(), ids=RENDERERS.keys())


@pytest.fixture
def fresh(desk: str) -> Iterator[str]:
    """A desk without a link, up and reachable, with an empty journal; left in the same state."""
    change(desk, [], state="absent")
    yield desk
    result = change(desk, [], state="absent")
    assert not result.get("failed"), result["msg"]


def interfaces(desk: str) -> dict[str, list[str]]:
    return {
        item["ifname"]: sorted(held["local"] for held in item["addr_info"]) for item in json.loads(as_root(desk).check_output("ip -j -4 a"))
    }


def settled_by_the_next_run(desk: str) -> None:
    """The next run names what was left, settles it and succeeds."""
    result = change(desk)
    assert result["changed"] and not result.get("failed"), result["msg"]
    noted = [item for item in result["findings"] if item["code"] == "CX7_CHANGE_UNDONE"]
    assert noted and noted[0]["severity"] == "note", result["findings"]
    assert armed(desk) == []
    assert [addresses for _mtu, addresses in live(desk).values()] == [["192.168.100.10"], ["192.168.101.10"]]


@pytest.fixture
def cut(fresh: str) -> Iterator[Cut]:
    """New connections are refused as soon as a change is applied."""
    made = Cut(fresh)
    yield made
    made.mend()


def files(desk: str) -> dict[str, str]:
    return {key: value for key, value in picture(desk).items() if key.startswith("/")}


@each_renderer
def test_a_killed_controller(fresh: str, cut: Cut) -> None:
    before, held = picture(fresh), interfaces(fresh)
    running = Change({fresh: links()}, confirm_timeout=45)
    wait_for_state(fresh, "applied", "undone")
    running.kill()
    cut.mend()
    wait_for_state(fresh, "undone", seconds=90)
    assert "it was not confirmed within 45 s" in journal(fresh)["reason"]
    assert picture(fresh) == before and interfaces(fresh) == held and armed(fresh) == []
    settled_by_the_next_run(fresh)


@each_renderer
def test_a_later_run_does_not_wait_for_the_timer(fresh: str, cut: Cut) -> None:
    running = Change({fresh: links()}, confirm_timeout=900)
    wait_for_state(fresh, "applied")
    running.kill()
    cut.mend()
    settled_by_the_next_run(fresh)


@each_renderer
def test_a_network_that_is_cut_and_comes_back(fresh: str, cut: Cut) -> None:
    before, held = picture(fresh), interfaces(fresh)
    running = Change({fresh: links()}, confirm_timeout=45)
    wait_for_state(fresh, "applied", "undone")
    lab("fault", "set", fresh, "mute")
    try:
        wait_for_state(fresh, "undone", seconds=90)
    finally:
        lab("fault", "clear", fresh, "mute")
        cut.mend()
    result = running.results()[fresh]
    assert result["failed"] and codes(result) == {"CX7_CHANGE_UNDONE"}, result["msg"]
    assert result["changed"] is False and "it was not confirmed" in result["msg"]
    assert files(fresh) == {key: value for key, value in before.items() if key.startswith("/")} and armed(fresh) == []
    wait_for(lambda: interfaces(fresh) == held, 30, "the addresses that were there")


@each_renderer
def test_a_network_that_stays_cut(fresh: str, cut: Cut) -> None:
    before = files(fresh)
    running = Change({fresh: links()}, confirm_timeout=45)
    wait_for_state(fresh, "applied", "undone")
    lab("fault", "set", fresh, "mute")
    try:
        result = running.results()[fresh]
        wait_for_state(fresh, "undone", seconds=90)
        assert files(fresh) == before
    finally:
        lab("fault", "clear", fresh, "mute")
        cut.mend()
    assert result["failed"] and "CX7_CHANGE_UNCONFIRMED" in codes(result), result["msg"]
    settled_by_the_next_run(fresh)


@each_renderer
def test_a_desk_that_is_started_again_while_armed(fresh: str, cut: Cut) -> None:
    before = files(fresh)
    running = Change({fresh: links()}, confirm_timeout=900)
    wait_for_state(fresh, "applied")
    running.kill()
    lab("power", "reboot", fresh)
    wait_for_state(fresh, "undone", seconds=180)
    assert "restarted" in journal(fresh)["reason"]
    assert files(fresh) == before
    assert all(mtu == 1500 and not addresses for mtu, addresses in live(fresh).values()) and armed(fresh) == []
    settled_by_the_next_run(fresh)


@each_renderer
def test_a_disk_that_is_full_while_writing(fresh: str) -> None:
    host = as_root(fresh)
    # A tiny file system over /etc/netplan with the desk's files in it and no room for one more.
    host.check_output(
        "cp -a /etc/netplan /root/netplan.copy && mount -t tmpfs -o size=64k,mode=755 tmpfs /etc/netplan && "
        "cp -a /root/netplan.copy/. /etc/netplan/ && (dd if=/dev/zero of=/etc/netplan/filler bs=4k 2>/dev/null || true)"
    )
    try:
        before, held = picture(fresh), interfaces(fresh)
        result = change(fresh)
        assert result["failed"] and codes(result) == {"CX7_CHANGE_UNDONE"}, result["msg"]
        assert "No space left" in result["msg"] and result["changed"] is False
        assert picture(fresh) == before and interfaces(fresh) == held and armed(fresh) == []
    finally:
        host.check_output("umount /etc/netplan && rm -r /root/netplan.copy")
    settled_by_the_next_run(fresh)


@each_renderer
def test_a_disk_that_is_full_before_the_change(fresh: str) -> None:
    host = as_root(fresh)
    host.check_output("mkdir -p /var/lib/dgx_spark && mount -t tmpfs -o size=64k,mode=755 tmpfs /var/lib/dgx_spark")
    try:
        before = picture(fresh)
        result = change(fresh)
        assert result["failed"] and codes(result) == {"CX7_CHANGE_REFUSED"} and "No space left" in result["msg"], result["msg"]
        assert picture(fresh) == before and armed(fresh) == []
    finally:
        host.check_output("umount /var/lib/dgx_spark")


@each_renderer
def test_a_renderer_that_fails_half_way(fresh: str) -> None:
    renderer = next(name for name, desk in RENDERERS.items() if desk == fresh)
    tool = "nmcli" if renderer == "NetworkManager" else "networkctl"
    word = "netplan-enP2p1s0f0np0" if renderer == "NetworkManager" else "enP2p1s0f0np0"
    script = f'#!/bin/sh\ncase "$*" in *up*{word}*|*reconfigure*{word}*) echo made to fail; exit 4;; esac\nexec /usr/bin/{tool} "$@"\n'
    host = as_root(fresh)
    host.check_output("printf %s > /usr/local/bin/%s && chmod 755 /usr/local/bin/%s", script, tool, tool)
    try:
        before, held = picture(fresh), interfaces(fresh)
        result = change(fresh)
        assert result["failed"] and codes(result) == {"CX7_CHANGE_UNDONE"} and "made to fail" in result["msg"], result["msg"]
        assert picture(fresh) == before and interfaces(fresh) == held and armed(fresh) == []
    finally:
        host.check_output("rm /usr/local/bin/%s", tool)
    settled_by_the_next_run(fresh)


@each_renderer
def test_netplan_that_fails(fresh: str) -> None:
    host = as_root(fresh)
    script = '#!/bin/sh\ncase "$*" in *after*) echo out of memory; exit 1;; esac\nexec /usr/sbin/netplan "$@"\n'
    host.check_output("printf %s > /usr/local/sbin/netplan && chmod 755 /usr/local/sbin/netplan", script)
    try:
        before = picture(fresh)
        result = change(fresh)
        assert result["failed"] and codes(result) == {"CX7_NETPLAN_INVALID"} and "out of memory" in result["msg"]
        assert picture(fresh) == before and armed(fresh) == []
    finally:
        host.check_output("rm /usr/local/sbin/netplan")


@each_renderer
def test_an_unstack_that_is_cut_off_puts_the_link_back(fresh: str) -> None:
    change(fresh)
    before, held = picture(fresh), live(fresh)
    cut = Cut(fresh)
    try:
        running = Change({fresh: []}, state="absent", confirm_timeout=45)
        wait_for_state(fresh, "applied", "undone")
        running.kill()
    finally:
        cut.mend()
    wait_for_state(fresh, "undone", seconds=90)
    assert picture(fresh) == before and armed(fresh) == []
    assert live(fresh) == held
    result = change(fresh, [], state="absent")
    assert result["changed"] and "CX7_CHANGE_UNDONE" in codes(result)
    assert not as_root(fresh).file(JOURNAL).exists
