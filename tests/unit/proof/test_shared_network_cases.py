"""The cases made after public reports (network half), read from the shared folder where it stands beside the checkout.

The project carries inputs of its own for each of these kinds; see the tests of readers, proof, changes and cables.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.rdma import failure
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_plan import LinkOptions, LinkRequest, plan, resolve
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.owners import owners_of
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.nccl import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Finding, Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import nccl_tests, perftest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.connection_errors import classify
from proof_samples import ENDS, nccl_evidence, nccl_growth, nccl_moved
from shared_archive import unpack

ROOT = Path(__file__).resolve().parents[3]
ARCHIVE = ROOT.parent / "shared" / "cases" / "network.tar.xz"
TRANSCRIPTS = ROOT.parent / "shared" / "domain" / "transcripts"
WHERE = Where(desk="desk-01")
DEVICES = ["rocep1s0f0", "roceP2p1s0f0"]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not ARCHIVE.is_file():
        pytest.skip("the shared cases stand beside the project's own checkout only")
    return unpack(ARCHIVE, tmp_path_factory.mktemp("cases"))


def texts(cases: Path, folder: str) -> dict[str, str]:
    found = {path.name: path.read_text(encoding="utf-8") for path in sorted((cases / folder).glob("*.txt"))}
    assert found
    return found


def replayed(folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "replay.py"), str(folder)], capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout)


def judged(text: str, **changes: Any) -> list[Finding]:
    moved = nccl_growth(nccl_moved({1 << 30: 0, 2 << 30: 0, 4 << 30: 0}))
    return judge("pair_a", ENDS, nccl_evidence(text, **{"growth": moved, **changes}), iterations=20, warmups=5)


@pytest.mark.parametrize("folder", ["00-good", "02-hca-rail-plane", "03-timestamp-info", "04-mpirun-tags"])
def test_healthy_logs_stay_healthy(cases: Path, folder: str) -> None:
    for name, text in texts(cases, folder).items():
        read = nccl_tests.read(text)
        assert read["complete"] and len(read["rows"]) == 3 and len(read["ranks"]) == 2, name
        assert read["hcas"] == {"spark-0001": DEVICES, "spark-0002": DEVICES}, name
        assert judged(text) == [], name


@pytest.mark.parametrize(("folder", "rows"), [("05-per-iteration-table", 1), ("15-playbook-25-table", 1)])
def test_tables_of_one_row(cases: Path, folder: str, rows: int) -> None:
    read = nccl_tests.read(texts(cases, folder)["nccl.txt"])
    assert read["complete"] and len(read["rows"]) == rows and read["rows"][0]["in_place"]["busbw"] == 20.95


def test_newest_tables(cases: Path) -> None:
    assert all(nccl_tests.read(text)["complete"] for text in texts(cases, "07-nccl-tests-2.20.0").values())


LAUNCH = {
    "firewall": "firewall",
    "if_include": "interface",
    "no_space": "no_space",
    "orte": "daemon_lost",
    "prte": "daemon_lost",
    "with_refused": "ssh",
}


@pytest.mark.parametrize("name", sorted(LAUNCH))
def test_launches(cases: Path, name: str) -> None:
    told = texts(cases, "06-orte-lost")
    text = told[f"{name}.stderr.txt"]
    [item] = judged("", stderr=text, rc=1, ranks=(), growth=())
    assert (item.code, item.evidence["cause"]) == ("NCCL_LAUNCH_FAILED", LAUNCH[name]) and item.evidence["errors"]
    if name in ("orte", "prte"):
        [late] = judged(told["ranks.stdout.txt"], stderr=text, rc=1, growth=())
        assert (late.code, late.evidence["cause"]) == ("NCCL_CONNECTION_LOST", "daemon_lost")
        assert "out-of-memory" not in late.remedy


BROKEN = {
    "errno110": "NCCL_PATH_BROKEN", "errno22": "NCCL_GID_WRONG", "errno61": "NCCL_GID_WRONG", "errno101": "NCCL_GID_WRONG",
    "old_form_101": "NCCL_GID_WRONG", "errno19": "NCCL_INCOMPLETE", "duplicate_gpu": "NCCL_GPU_SHARED", "truncated": "NCCL_INCOMPLETE",
    "reset": "NCCL_CONNECTION_LOST", "remote_access": "NCCL_INCOMPLETE",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_runs_that_broke_off(cases: Path, name: str) -> None:
    [item] = judged(texts(cases, "10-modify-qp-texts")[f"{name}.txt"], rc=3, growth=())
    assert item.code == BROKEN[name] and item.evidence["cause"] != "unknown"
    assert "out-of-memory" not in item.message + item.remedy


@pytest.mark.parametrize(
    ("folder", "code"), [("11-foreign-net-plugin", "NCCL_TRANSPORT_UNSEEN"), ("30-warn-in-passing-run", "NCCL_WARNED")]
)
def test_passing_runs_with_a_note(cases: Path, folder: str, code: str) -> None:
    for name, text in texts(cases, folder).items():
        assert [(item.code, item.severity) for item in judged(text)] == [(code, "note")], name


def test_perftest(cases: Path) -> None:
    assert perftest.read(texts(cases, "08-perftest-report-both")["client.txt"])["bw_average_gbps"] == 213.36
    assert perftest.read(texts(cases, "16-perftest-bond-table")["client.txt"])["bw_average_gbps"] == 184.94
    kinds = {"status10.txt": "remote_access", "status12.txt": "retry", "status4.txt": "local_protection", "status5_new.txt": "flushed"}
    for name, text in texts(cases, "12-rdma-completion-status").items():
        assert failure(text, Answer(("ib_write_bw",), 1, text)) == kinds[name]


def test_ssh(cases: Path) -> None:
    kinds = {
        "account_expired.txt": ("auth", "AUTH_FAILED"), "password_expired.txt": ("auth", "AUTH_FAILED"),
        "sudo_tty.txt": ("become", "BECOME_FAILED"), "sudo_rs.txt": ("become", "BECOME_FAILED"),
        "no_hostkey_type.txt": ("algorithm", "DESK_UNREACHABLE"), "maxstartups.txt": ("closed", "DESK_UNREACHABLE"),
        "changed_2222.txt": ("host_key", "DESK_IDENTITY_WRONG"),
    }  # fmt: skip
    for name, text in texts(cases, "13-ssh-texts").items():
        reason = classify(text, enrolled=True)
        assert (reason.kind, reason.code) == kinds[name], name


def facts(folder: Path) -> Desk:
    return from_dict(Desk, replayed(folder)["facts"])


def test_the_official_file_is_set_aside(cases: Path) -> None:
    desk = facts(cases / "17-official-40-cx7" / "desk")
    wants, _found = resolve(desk, WHERE, [LinkRequest(0, ("192.168.100.10/24", "192.168.101.10/24"))])
    path = "/etc/netplan/40-cx7.yaml"
    for name in ("40-cx7.yaml", "four-functions.yaml"):
        owners = owners_of(desk.cx7.functions, {path: (cases / "17-official-40-cx7" / name).read_text()})
        made = plan(desk, WHERE, wants, LinkOptions(take_over=True), owners)
        assert made.set_aside == (path,) and "CX7_FOREIGN_OWNER" not in [item.code for item in made.findings if item.severity == "fail"]
    assert plan(desk, WHERE, wants, LinkOptions(take_over=True)).set_aside == (path,)  # from facts alone, as the controller plans


def test_other_sections_and_matches(cases: Path) -> None:
    desk = facts(cases / "17-official-40-cx7" / "desk")
    for path in sorted((cases / "18-netplan-other-sections").glob("*.yaml")):
        [owner] = owners_of(desk.cx7.functions, {f"/etc/netplan/{path.name}": path.read_text()})
        assert owner.others, path.name
    [driver] = owners_of(desk.cx7.functions, {"/etc/netplan/60-cx7.yaml": (cases / "19-netplan-match-driver" / "60-cx7.yaml").read_text()})
    assert len(driver.netdevs) == 4 and not driver.others
    for path in sorted((cases / "29-nm-match-keyfile").glob("*.nmconnection")):
        place = f"/etc/NetworkManager/system-connections/{path.name}"
        [owner] = owners_of(desk.cx7.functions, {place: path.read_text()}, others=("enP7s7", "wlP9s9"))
        assert "enp1s0f0np0" in owner.netdevs, path.name


def test_routes(cases: Path) -> None:
    desk = facts(cases / "17-official-40-cx7" / "desk")
    wants, _found = resolve(desk, WHERE, [LinkRequest(0, ("192.168.100.10/24", "192.168.101.10/24"))])
    for name, text in texts(cases, "28-vpn-routes").items():
        routed = from_dict(Desk, {"network": {"routed_networks": text.splitlines()}, "cx7": json.loads(json.dumps({}))}).network
        with_routes = Desk(**{**desk.__dict__, "network": routed})
        codes = [item.code for item in plan(with_routes, WHERE, wants).findings]
        assert ("CX7_ADDRESS_OVERLAP" in codes) == (name == "rfc1918_over_lan.txt"), name


@pytest.mark.parametrize(
    ("folder", "codes"),
    [
        ("20-official-ring/node1", {"CX7_FOREIGN_OWNER": "warn"}),
        ("21-mikrotik-dhcp/desk", {"CX7_DEFAULT_ROUTE": "warn", "CX7_TWINS_SAME_SUBNET": "warn"}),
        ("22-gid-hole-mtu/desk", {"CX7_MTU_MISMATCH": "warn"}),
        ("24-lacp-bond/desk", {"CX7_FOREIGN_OWNER": "warn", "CX7_MTU_MISMATCH": "warn", "CX7_BONDED": "note", "CX7_NO_ADDRESS": "note"}),
        ("25-nvidia-sync/desk", {"CX7_FOREIGN_OWNER": "warn"}),
        ("26-linklocal-and-30/desk", {"CX7_FOREIGN_OWNER": "warn", "CX7_NO_ADDRESS": "note"}),
        ("17-official-40-cx7/desk", {"CX7_FOREIGN_OWNER": "warn", "CX7_NO_ADDRESS": "note"}),
        ("23-slash31/desk", {"CX7_FOREIGN_OWNER": "warn"}),
    ],
)
def test_recordings(cases: Path, folder: str, codes: dict[str, str]) -> None:
    found = replayed(cases / folder)["findings"]
    assert {item["code"]: item["severity"] for item in found if item["code"].startswith("CX7_")} == codes
    bare = next((item["message"] for item in found if item["code"] == "CX7_NO_ADDRESS"), None)
    assert bare is None or "only link-local" in bare


@pytest.mark.parametrize("name", ["nccl-all_gather.socket.h100.txt", "nccl-all_gather.cuda-oom.h100.txt"])
def test_short_host_names_of_real_runs(name: str) -> None:
    path = TRANSCRIPTS / name
    if not path.is_file():
        pytest.skip("the real transcripts stand beside the project's own checkout only")
    read = nccl_tests.read(path.read_text(encoding="utf-8"))
    assert [rank["host"] for rank in read["ranks"]] == ["vm", "vm"] and read["transport"] == "Socket"
    if "oom" in name:
        [item] = judged(path.read_text(encoding="utf-8"), rc=3, growth=())
        assert (item.code, item.evidence["cause"]) == ("NCCL_ENOMEM", "gpu_memory")
