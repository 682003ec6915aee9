"""pair.env, hostfile and names: what is in them, who can read them, when they are rewritten."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import launcher
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import settings
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import sha256
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Setup
from proof_samples import ENDS, end, function

MEET = settings.meeting(ENDS)


def text(which: int = 0, run: str = "run-1", ends=ENDS) -> str:
    return settings.pair_env("pair_a", ends, which, settings.settings(ends[which : which + 1], MEET, which), run)


PROOF = {
    "settings": {
        "desks": {"desk-01": {"pair_env": text(0)}, "desk-02": {"pair_env": text(1)}},
        "hostfile": settings.hostfile(MEET),
        "addresses": {"pair-head": "192.168.100.10", "pair-peer": "192.168.100.11"},
    }
}


def test_both_functions_are_named_exactly_and_no_gid_is_pinned() -> None:
    values = settings.values_of(text())
    assert values["NCCL_IB_HCA"] == "=rocep1s0f0,roceP2p1s0f0"
    assert values["NCCL_SOCKET_IFNAME"] == "=enp1s0f0np0"
    assert "NCCL_IB_GID_INDEX" not in text()


def test_each_desk_has_its_own_names() -> None:
    ends = (ENDS[0], end(2, functions=(function(2, 0, rdma_device="mlx5_0", netdev="fast0"), function(2, 1, rdma_device="mlx5_2"))))
    values = settings.settings(ends[1:], settings.meeting(ends), 1)
    assert (values["NCCL_IB_HCA"], values["NCCL_SOCKET_IFNAME"]) == ("=mlx5_0,mlx5_2", "=fast0")


def test_a_shell_and_the_launcher_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "pair.env"
    path.write_text(text(), encoding="utf-8")
    shown = subprocess.run(
        ["sh", "-c", f"set -a; . {path}; env"], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    seen = dict(line.partition("=")[::2] for line in shown.stdout.splitlines())
    wanted = settings.values_of(text())
    assert {key: seen.get(key) for key in wanted} == wanted
    assert launcher.settings(text()) == wanted


def test_no_value_needs_quotes() -> None:
    assert not any(set(value) & set(" \t\"'$`\\") for value in settings.values_of(text()).values())


def test_the_text_is_kept_when_only_the_run_differs() -> None:
    assert settings.kept_or_new(text(run="run-1"), text(run="run-2")) == text(run="run-1")


@pytest.mark.parametrize(
    "changed",
    [{"boot_id": "another"}, {"functions": (function(1, 0, carrier_down_count=2), function(1, 1))}],
    ids=["reboot", "link change"],
)
def test_the_text_is_new_after_a_reboot_or_a_link_change(changed: dict[str, object]) -> None:
    fresh = text(run="run-2", ends=(dataclasses.replace(ENDS[0], **changed), ENDS[1]))
    assert settings.kept_or_new(text(), fresh) == fresh


def test_management_as_the_meeting_place() -> None:
    meet = settings.meeting(ENDS, settings.MANAGEMENT)
    assert (meet.network, meet.addresses, meet.netdevs) == ("10.0.0.0/24", ("10.0.0.11", "10.0.0.12"), ("enP7s7", "enP7s7"))


@pytest.mark.parametrize(
    ("rdma", "nccl", "measured", "elsewhere", "state"),
    [
        ([], [], True, False, settings.PROVEN),
        (["note", "warn"], ["warn"], True, False, settings.PROVEN),
        (["fail"], [], True, False, settings.FAILED),
        ([], ["fail"], True, False, settings.FAILED),
        ([], [], True, True, settings.FAILED),
        (["unknown"], [], True, False, settings.UNKNOWN),
        ([], [], False, False, settings.UNKNOWN),
        ([], ["unknown"], True, False, settings.UNKNOWN),
    ],
)
def test_what_a_run_says_of_a_pair(rdma: list[str], nccl: list[str], measured: bool, elsewhere: bool, state: str) -> None:
    assert settings.state_of(rdma, nccl, measured, elsewhere) == state


def desk_after(arguments: dict[str, object], check: str) -> Setup:
    """Facts of a desk on which the arguments were applied."""
    files = {item["path"]: sha256(item["content"]) for item in arguments["files"] if item["content"] is not None}  # type: ignore[attr-defined]
    env = next((item["content"] for item in arguments["files"] if item["path"] == settings.PAIR_ENV), None)  # type: ignore[attr-defined]
    files.pop(settings.PAIR_ENV, None)
    lines = arguments["lines"][0]["lines"] if arguments["lines"] else []  # type: ignore[index]
    if lines:
        files["/etc/hosts"] = sha256("\n".join(lines))
    return Setup(pair_env=env, pair_files=files)


def test_a_proven_pair_gets_everything_and_a_second_run_nothing() -> None:
    wanted = settings.wanted(settings.PROVEN, "desk-01", PROOF, "#!check\n", False, "run-1")
    assert wanted is not None
    assert not settings.is_there(Setup(), wanted)
    assert settings.is_there(desk_after(wanted, "#!check\n"), wanted)


@pytest.mark.parametrize("path", [settings.HOSTFILE, settings.PAIR_CHECK, "/etc/hosts"])
def test_a_changed_file_is_noticed(path: str) -> None:
    wanted = settings.wanted(settings.PROVEN, "desk-01", PROOF, "#!check\n", False, "run-1")
    assert wanted is not None
    setup = desk_after(wanted, "")
    assert not settings.is_there(dataclasses.replace(setup, pair_files={**setup.pair_files, path: "0" * 64}), wanted)


def test_a_failed_pair_loses_its_settings_and_one_without_has_nothing_to_lose() -> None:
    wanted = settings.wanted(settings.FAILED, "desk-01", {}, "", True, "run-2")
    assert wanted is not None and all(item["content"] is None for item in wanted["files"])
    assert settings.wanted(settings.FAILED, "desk-01", {}, "", False, "run-2") is None


def test_an_unmeasured_pair_is_marked_stale_once() -> None:
    wanted = settings.wanted(settings.UNKNOWN, "desk-01", {}, "", True, "run-2")
    assert wanted is not None and [item["path"] for item in wanted["files"]] == [settings.STALE]
    assert settings.is_there(Setup(pair_env="x", pair_files={settings.STALE: "an earlier run said so"}), wanted)


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content.replace("NCCL_SOCKET_IFNAME==enp1s0f0np0", "NCCL_SOCKET_IFNAME=docker0"),
        lambda content: content + "NCCL_IB_GID_INDEX=3\n",
        lambda content: content.replace("# boot_id desk-01", "# boot_id desk-09"),
        lambda content: content[:40],
        lambda content: content.replace("\n", "\r\n"),
        lambda content: "",
    ],
)
def test_settings_that_somebody_edited_are_written_anew_by_the_next_proof(edit) -> None:
    edited = edit(text())
    assert edited != text() and settings.kept_or_new(edited, text(run="run-2")) == text(run="run-2")
    wanted = settings.wanted(settings.PROVEN, "desk-01", PROOF, "#!check\n", True, "run-2")
    setup = desk_after(wanted, "#!check\n")
    assert settings.is_there(setup, wanted) and not settings.is_there(dataclasses.replace(setup, pair_env=edited), wanted)
