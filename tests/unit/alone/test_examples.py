"""Each role in somebody's own playbook (docs/examples), run by ansible-playbook: what is said, what fails, what must come first."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import honest
import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import bundle
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import End
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from cabled_lab import Lab as CabledLab
from hostile_lab import facts_of
from house import ROLE_NAMES, ROOT, load, tasks_in
from scripted_lab import ScriptedLab

EXAMPLES = ROOT / "docs" / "examples"
DESKS = ("desk-01", "desk-02")
PAIR = {"pair_a": DESKS}
HEAD, PEER = DESKS


def found(code: str, desk: str, **more: Any) -> dict[str, Any]:
    return finding(code, Where(desk=desk), f"{desk}: {code.lower()}", **more).as_dict()


def recorded(name: str, desk: str) -> dict[str, Any]:
    """What spark_facts answers on a recorded sick desk."""
    return honest.facts_answer(name, desk)


def answers(desk: str, **other: Any) -> dict[str, Any]:
    """What a healthy desk of a healthy pair answers; ``other`` answers in place of these."""
    cables = CabledLab(list(DESKS), [[End(HEAD, 1), End(PEER, 1)]])
    given: dict[str, Any] = copy.deepcopy(honest.ANSWERS)
    link = given["cx7_link"]
    given.update(
        spark_facts=facts_of(desk),
        cx7_cable=honest.wire({"changed": False, "cable": as_dict(cables.probe(desk))}),
        cx7_link=[link, {**link, "armed": False}],
        rdma_pair={**given["rdma_pair"], "findings": [], "verdict": "PASS"},
    )
    return {**given, **other}


def lab(folder: Path, **other: Any) -> ScriptedLab:
    """Two desks; ``other`` answers are of both, or a function of the desk."""
    mine = {desk: {name: value(desk) if callable(value) else value for name, value in other.items()} for desk in DESKS}
    return ScriptedLab(folder, {desk: answers(desk, **mine[desk]) for desk in DESKS}, PAIR)


def play(this: ScriptedLab, role: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    return this.play(EXAMPLES / f"{role}.yml", **variables)


def said(done: subprocess.CompletedProcess[str], desk: str, role: str) -> str:
    """The last thing that a role said of a desk."""
    lines = [line for line in done.stdout.splitlines() if line.startswith(f"  {desk:16} {role}: ")]
    assert lines, done.stdout + done.stderr
    return lines[-1].split(": ", 1)[1]


def test_every_role_has_an_example_that_uses_it_by_its_full_name() -> None:
    wrong = {path.stem for path in EXAMPLES.glob("*.yml")} ^ set(ROLE_NAMES)
    assert wrong == set(), f"in only one of docs/examples/ (ROLE.yml) and roles/: {sorted(wrong)}"
    for path in EXAMPLES.glob("*.yml"):
        roles = [task["ansible.builtin.import_role"]["name"] for task in tasks_in(load(path)) if "ansible.builtin.import_role" in task]
        assert f"labops.dgx_spark.{path.stem}" in roles, path


HEALTHY = {
    "cable_check": "ok",
    "desk_containers": "ok",
    "desk_facts": "ok, DGX OS 7.5.0, driver 580.167.08",
    "desk_reboot": "ok",
    "desk_update": "ok",
    "dgx_os": "ok, DGX OS 7.5.0",
    "driver_lock": "changed, ok, hold",
    "pair_link": "changed, ok, write /etc/netplan/90-dgx-spark-link.yaml",
    "pair_proof": "ok, 22.3 >= 21.0 GB/s",
    "pair_settings": "changed, ok, write /etc/dgx_spark/trust.json",
    "pair_tools": "changed, ok, perftest",
    "pair_trust": "changed, ok, write /etc/dgx_spark/trust.json",
    "persistenced": "ok",
}


def test_the_examples_pass_on_healthy_desks_and_say_what_they_found(tmp_path: Path) -> None:
    done = lab(tmp_path).play(*(str(EXAMPLES / f"{role}.yml") for role in HEALTHY))
    assert done.returncode == 0, done.stdout + done.stderr
    assert {role: said(done, HEAD, role).split(", 1 note")[0] for role in HEALTHY} == HEALTHY
    assert not (tmp_path / "reports").exists(), "a role by itself is no run"


SICK: dict[str, tuple[dict[str, Any], str, str]] = {
    "cable_check": ({"cx7_cable": honest.cable_answer}, "CABLE_UNKNOWN_PEER", "Follow the cable."),
    "desk_facts": ({"spark_facts": lambda desk: recorded("driver_branch_590", desk)}, "DRIVER_BRANCH_WRONG", "-> "),
    "dgx_os": ({"spark_facts": lambda desk: recorded("dgx_os_too_old", desk)}, "DGX_OS_TOO_OLD", "-> "),
    "driver_lock": (
        {"driver_lock": lambda desk: {"failed": True, "msg": "x", "findings": [found("APT_FAILED", desk)]}},
        "APT_FAILED",
        "-> ",
    ),
    "desk_containers": (
        {"gpu_container": lambda desk: {"changed": False, "findings": [found("CONTAINER_GPU_FAILED", desk)]}},
        "CONTAINER_GPU_FAILED",
        "-> ",
    ),
    "pair_proof": (
        {"rdma_pair": lambda desk: {**answers(desk)["rdma_pair"], "findings": [found("RDMA_SLOW_13G", desk)]}},
        "RDMA_SLOW_13G",
        "-> ",
    ),
    "pair_tools": ({"pair_tools": {"failed": True, "msg": "apt has no candidate for perftest"}}, "apt has no candidate", "perftest"),
}


@pytest.mark.parametrize("role", sorted(SICK))
def test_an_example_fails_on_sick_desks_with_the_finding_and_what_to_do(role: str, tmp_path: Path) -> None:
    given, code, words = SICK[role]
    done = play(lab(tmp_path, **given), role, **({"spark_fail_on": "fail"} if role == "cable_check" else {}))
    assert done.returncode == 2, done.stdout
    assert code in done.stdout and words in done.stdout and "Traceback" not in done.stdout + done.stderr


OWN = """
- hosts: spark_desks
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: labops.dgx_spark.desk_facts}
    - ansible.builtin.debug: {msg: "verdict {{ desk_facts_result.verdict }}"}
"""


def test_what_fails_the_play_is_asked_for(tmp_path: Path) -> None:
    def unread(desk: str) -> dict[str, Any]:
        answer = facts_of(desk)
        return {**answer, "findings": [found("FACTS_INCOMPLETE", desk, severity="unknown")]}

    (tmp_path / "own.yml").write_text(OWN, encoding="utf-8")
    sick = lab(tmp_path, spark_facts=lambda desk: recorded("driver_branch_590", desk))
    for fail_on, code in ((None, 0), ("fail", 2), ("never", 0)):
        done = sick.play("own.yml", **({"spark_fail_on": fail_on} if fail_on else {}))
        assert done.returncode == code and said(done, HEAD, "desk_facts").startswith("FAIL"), (fail_on, done.stdout)
        assert code or "verdict FAIL" in done.stdout
    dark = lab(tmp_path, spark_facts=unread)
    for fail_on, code in (("fail", 0), ("unknown", 2)):
        done = dark.play("own.yml", spark_fail_on=fail_on)
        assert done.returncode == code and said(done, HEAD, "desk_facts").startswith("UNKNOWN"), (fail_on, done.stdout)


def test_a_task_that_cannot_do_its_work_fails_the_play_unless_never(tmp_path: Path) -> None:
    broken = {"failed": True, "msg": "apt has no candidate for perftest"}
    this = lab(tmp_path, pair_tools=broken)
    assert play(this, "pair_tools").returncode == 2
    done = play(this, "pair_tools", spark_fail_on="never")
    assert done.returncode == 0 and said(done, HEAD, "pair_tools") == "not done: apt has no candidate for perftest"


def test_a_wrong_wish_is_refused(tmp_path: Path) -> None:
    done = play(lab(tmp_path), "desk_facts", spark_fail_on="false")
    assert done.returncode == 2 and "spark_fail_on" in done.stdout + done.stderr and not lab(tmp_path).asked


def test_a_finding_is_told_once_by_the_roles_of_a_play(tmp_path: Path) -> None:
    done = play(lab(tmp_path, spark_facts=lambda desk: recorded("dgx_os_too_old", desk)), "dgx_os")
    assert done.returncode == 2 and done.stdout.count("      FAIL    DGX_OS_TOO_OLD: ") == len(DESKS), done.stdout
    assert said(done, HEAD, "dgx_os") == "FAIL, reported above, DGX OS 7.1.0"


@pytest.mark.parametrize(
    ("role", "entry"),
    [("dgx_os", "main"), ("persistenced", "main"), ("pair_trust", "keys"), ("pair_trust", "main"), ("pair_proof", "rdma")],
)
def test_a_role_that_needs_facts_names_the_role_to_call_first(role: str, entry: str, tmp_path: Path) -> None:
    task = f"[{{ansible.builtin.import_role: {{name: labops.dgx_spark.{role}, tasks_from: {entry}}}}}]"
    (tmp_path / "own.yml").write_text(f"- hosts: spark_desks\n  gather_facts: false\n  tasks: {task}\n", encoding="utf-8")
    done = lab(tmp_path).play("own.yml", spark_fail_on="unknown")
    assert done.returncode == 2 and "labops.dgx_spark.desk_facts" in done.stdout, done.stdout
    assert not lab(tmp_path).asked


def test_facts_older_than_a_change_are_told(tmp_path: Path) -> None:
    def unaddressed(desk: str) -> dict[str, Any]:
        answer = facts_of(desk)
        for port in answer["ansible_facts"]["spark"]["cx7"]["ports"]:
            for function in port["functions"]:
                function["addresses"] = []
        return answer

    roles = ", ".join(
        f"{{ansible.builtin.import_role: {{name: labops.dgx_spark.{role}}}}}" for role in ("desk_facts", "pair_link", "pair_trust")
    )
    (tmp_path / "own.yml").write_text(f"- hosts: spark_desks\n  gather_facts: false\n  tasks: [{roles}]\n", encoding="utf-8")
    done = lab(tmp_path, spark_facts=unaddressed).play("own.yml")
    assert done.returncode == 2, done.stdout
    assert "Role labops.dgx_spark.desk_facts must run again: pair_link changed a desk since." in done.stdout


def test_no_link_is_made_on_a_wrong_cable(tmp_path: Path) -> None:
    this = lab(tmp_path, cx7_cable=honest.cable_answer)
    done = play(this, "pair_link")
    assert done.returncode == 2 and "cx7_link" not in dict(map(reversed, this.asked))
    assert said(done, HEAD, "pair_link") == f"not done: {HEAD} failed in stage cable_map (CABLE_UNKNOWN_PEER)"


def test_settings_follow_what_was_measured(tmp_path: Path) -> None:
    slow = {"rdma_pair": lambda desk: {**answers(desk)["rdma_pair"], "findings": [found("RDMA_SLOW_13G", desk)]}}
    this = lab(tmp_path, **slow)
    done = play(this, "pair_settings")
    assert done.returncode == 2 and "'settings'" not in done.stderr
    assert "RDMA_SLOW_13G" in done.stdout and "Assertion failed" in done.stdout


def test_the_other_desk_of_a_pair_measures_nothing(tmp_path: Path) -> None:
    this = lab(tmp_path)
    done = play(this, "pair_proof")
    assert said(done, PEER, "pair_proof") == f"nothing to do, {HEAD} measures for pair pair_a"
    assert [desk for desk, module in this.asked if module in ("rdma_pair", "nccl_pair")] == [HEAD, HEAD]


def test_a_desk_whose_identity_is_not_a_sparks_is_left_alone(tmp_path: Path) -> None:
    this = lab(tmp_path, spark_facts=lambda desk: recorded("plain_ubuntu", desk))
    done = play(this, "driver_lock")
    assert done.returncode == 2 and "driver_lock" not in [module for _desk, module in this.asked]
    assert said(done, HEAD, "driver_lock").startswith(f"not done: {HEAD} failed in stage facts")


def test_the_persistence_daemon_is_started(tmp_path: Path) -> None:
    facts = {"spark_facts": lambda desk: recorded("neglected_desk", desk)}
    this = lab(tmp_path, **facts, persistenced={"changed": True, "findings": []})
    done = play(this, "persistenced")
    assert done.returncode == 0 and said(done, HEAD, "persistenced").startswith("changed, ok"), done.stdout
    refused = lab(tmp_path, **facts, persistenced={"failed": True, "msg": "Unit nvidia-persistenced.service is masked."})
    done = play(refused, "persistenced")
    assert done.returncode == 2 and "PERSISTENCED_INACTIVE" in done.stdout
    assert said(done, HEAD, "persistenced").startswith("not done: Unit nvidia-persistenced.service is masked.")


def test_a_reboot_is_refused_while_a_desk_is_in_use(tmp_path: Path) -> None:
    def waiting(desk: str) -> dict[str, Any]:
        answer = facts_of(desk)
        spark = answer["ansible_facts"]["spark"]
        spark["apt"]["reboot_required"] = True
        spark["busy"]["gpu_processes"] = [{"pid": 4239, "user": "ada", "name": "python3", "type": "C"}]
        return answer

    done = play(lab(tmp_path, spark_facts=waiting), "desk_reboot")
    assert done.returncode == 2 and "REBOOT_REFUSED" in done.stdout and "ada" in done.stdout, done.stdout


def test_a_bundle_that_was_made_elsewhere_is_installed(tmp_path: Path) -> None:
    text = json.dumps({"schema": bundle.SCHEMA, "files": {}}).encode()
    path = tmp_path / "bundle.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo(bundle.MANIFEST)
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    this = lab(tmp_path)
    done = play(this, "nccl_bundle", nccl_bundle_archive=str(path), nccl_bundle_checksum=digest)
    assert done.returncode == 0 and said(done, PEER, "nccl_bundle") == "changed, ok", done.stdout
    done = play(this, "nccl_bundle", nccl_bundle_archive=str(path), nccl_bundle_checksum="0" * 64)
    assert done.returncode == 2 and "NCCL_BUNDLE_FAILED" in done.stdout and "SHA-256" in done.stdout


def test_a_workload_is_judged(tmp_path: Path) -> None:
    this = lab(tmp_path)
    pure = tmp_path / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pure, "w") as archive:
        archive.writestr("demo.py", "")
        archive.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        archive.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    other = {"workload_check_images": [], "workload_check_cache": str(tmp_path / "cache")}
    done = play(this, "workload_check", workload_check_wheels=[str(pure)], **other)
    assert done.returncode == 0 and said(done, HEAD, "workload_check").startswith("ok"), done.stdout
    done = play(this, "workload_check", workload_check_wheels=["demo-1.0-cp312-cp312-manylinux2014_x86_64.whl"], **other)
    assert done.returncode == 2 and "WORKLOAD_" in done.stdout, done.stdout


def test_first_contact_needs_a_key_of_the_admin(tmp_path: Path) -> None:
    done = play(lab(tmp_path), "desk_enrol", desk_enrol_public_key=str(tmp_path / "none.pub"))
    assert done.returncode == 2 and "ADMIN_KEY_MISSING" in done.stdout and not (tmp_path / "known_hosts.txt").exists()


def test_hosts_in_none_of_our_groups_are_desks_too(tmp_path: Path) -> None:
    this = ScriptedLab(tmp_path, {desk: answers(desk) for desk in DESKS})
    text = (tmp_path / "hosts.yml").read_text(encoding="utf-8").replace("spark_desks", "gpus")
    (tmp_path / "hosts.yml").write_text(text, encoding="utf-8")
    roles = ", ".join(
        f"{{ansible.builtin.import_role: {{name: labops.dgx_spark.{role}}}}}" for role in ("desk_facts", "dgx_os", "pair_link")
    )
    (tmp_path / "own.yml").write_text(f"- hosts: gpus\n  gather_facts: false\n  tasks: [{roles}]\n", encoding="utf-8")
    done = this.play("own.yml")
    assert done.returncode == 0 and said(done, HEAD, "dgx_os") == "ok, DGX OS 7.5.0", done.stdout
    assert said(done, HEAD, "pair_link") == f"nothing to do, {HEAD} is not in a pair"


def test_desks_with_names_that_are_much_alike_are_each_judged_by_themselves(tmp_path: Path) -> None:
    """A slash was an underscore in the name of a file, so that one desk's facts stood for the other's."""
    sick = answers(PEER, spark_facts=recorded("plain_ubuntu", PEER))
    this = ScriptedLab(tmp_path, {HEAD: answers(HEAD), PEER: sick})
    tree = load(tmp_path / "hosts.yml")
    hosts = tree["spark_desks"]["hosts"]
    named = {"d/1": hosts[HEAD], "d_1": hosts[PEER]}
    (tmp_path / "hosts.yml").write_text(json.dumps({"spark_desks": {"hosts": named}}), encoding="utf-8")
    done = play(this, "dgx_os")
    assert said(done, "d/1", "dgx_os") == "ok, DGX OS 7.5.0", done.stdout
    assert said(done, "d_1", "dgx_os").startswith("not done: d_1 failed in stage facts"), done.stdout
