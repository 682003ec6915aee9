"""The fleet's lock file: made from a good desk, refused from a bad one, read back, held against other desks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.driver_lock import lock_file_drift
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, DgxOs
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import Driver, Package, Toolkit
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import lock_file
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.lock_file import LockFileError
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import Part, RunStore
from samples import INSTALLED, KERNEL, desk
from scripted_action import Script

WHEN = "2026-11-22T10:00:00Z"


def good() -> Desk:
    """A desk that may stand for the fleet."""
    start = desk()
    driver = replace(start.driver, module_version="580.159.03", user_space_version="580.159.03")
    return replace(start, driver=driver, dgx_os=DgxOs(True, "7.5.0"), toolkit=Toolkit(nccl="2.30.7-1+cuda13.0"))


def test_a_good_desk_writes_a_file_that_reads_back(tmp_path: Path) -> None:
    lock = lock_file.from_desk(good(), "desk-01", [{"code": "FIREWALL_ACTIVE", "severity": "note"}], WHEN)
    path = tmp_path / "fleet.lock.yml"
    assert lock_file.differs(lock, path)
    lock_file.write(lock, path)
    back = lock_file.read(path)
    assert dict(back.packages) == dict(lock.packages) and dict(back.facts) == dict(lock.facts) and back.made_from == "desk-01"
    assert not lock_file.differs(replace(lock, made_at="later"), path)
    assert f"linux-modules-nvidia-580-open-{KERNEL}" not in back.packages, "packages of one kernel follow from the metas"
    assert back.facts["driver.module_version"] == "580.159.03" and "cx7.firmware" not in back.facts


def test_a_file_of_others_is_not_written_over(tmp_path: Path) -> None:
    lock = lock_file.from_desk(good(), "desk-01", [], WHEN)
    path = tmp_path / "all.yml"
    path.write_text("ansible_user: lab\n", encoding="utf-8")
    with pytest.raises(lock_file.LockFileError, match="is not a lock file"):
        lock_file.write(lock, path)
    assert path.read_text(encoding="utf-8") == "ansible_user: lab\n"
    path.write_text(f"schema: {lock_file.SCHEMA}\nbroken: [\n", encoding="utf-8")
    lock_file.write(lock, path)
    assert lock_file.read(path).made_from == "desk-01"


@pytest.mark.parametrize("check", [True, False])
def test_a_file_of_others_is_not_shown_as_what_was_there_before(tmp_path: Path, check: bool) -> None:
    """--check --diff with the wrong name showed whatever stood there."""
    path = tmp_path / "vault.yml"
    path.write_text("ansible_password: Gletscher77\n", encoding="utf-8")
    store = RunStore(tmp_path / "run")
    store.write(Part("facts", "desk-01", "done"))
    call = SimpleNamespace(desk="desk-01", facts=as_dict(good()), store=store, given={"path": str(path), "branch": 580})
    script = Script("lock_file", {}, check_mode=check)
    script.task.diff = True
    with pytest.raises(AnsibleActionFail, match="is not a lock file") as caught:
        script.action.work(call)
    assert "Gletscher77" not in str(caught.value) + str(script.shown)
    path.unlink()
    assert script.action.work(call)["diff"]["before"] == ""


@pytest.mark.parametrize("severity", ["warn", "unknown", "fail"])
def test_a_desk_that_is_not_pass_is_refused(severity: str) -> None:
    with pytest.raises(LockFileError, match=r"desk-01 is not PASS.*DRIVER_MISMATCH"):
        lock_file.from_desk(good(), "desk-01", [{"code": "DRIVER_MISMATCH", "severity": severity, "message": "x"}], WHEN)


def test_a_desk_that_is_not_known_is_refused() -> None:
    with pytest.raises(LockFileError, match="module of the driver"):
        lock_file.from_desk(desk(), "desk-01", [], WHEN)
    bare = replace(good(), driver=replace(good().driver, packages=(Package("hello", "1"),)))
    with pytest.raises(LockFileError, match="no package"):
        lock_file.from_desk(bare, "desk-01", [], WHEN)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[", "lock.yml"),
        ("schema: other", "schema"),
        ("schema: labops.dgx_spark/lock/1\nbranch: x", "branch"),
        ("schema: labops.dgx_spark/lock/1\nbranch: 580", "packages is empty"),
        ("schema: labops.dgx_spark/lock/1\nbranch: 580\npackages: [a]", "packages"),
        ("schema: labops.dgx_spark/lock/1\nbranch: 580\npackages: {a: 1.0}", "quoted"),
        ("schema: labops.dgx_spark/lock/1\nbranch: 580\npackages: {a: 'x y'}", "spaces"),
        ("schema: labops.dgx_spark/lock/1\nbranch: 580\npackages: {'-o': '1'}", "a Debian package and its version"),
        ("schema: labops.dgx_spark/lock/1\nbranch: 580\npackages: {'aa;reboot': '1'}", "a Debian package and its version"),
        ("schema: labops.dgx_spark/lock/1\nbranch: 580\npackages: {aa: '1$(id)'}", "a Debian package and its version"),
        ("schema: labops.dgx_spark/lock/1\nbranch: 580\nfacts: {driver.colour: red}\npackages: {libnccl2: '1'}", "driver.colour"),
        # An update would install it.
        ("schema: labops.dgx_spark/lock/1\nbranch: 580\npackages: {libnccl2: '1', telnetd: '1'}", "telnetd; only packages of driver"),
        ("schema: labops.dgx_spark/lock/1\nbranch: 580\npackages: {nvidia-driver-610-open: '1'}", "nvidia-driver-610-open"),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "lock.yml"
    path.write_text(text)
    with pytest.raises(LockFileError, match=named):
        lock_file.read(path)
    with pytest.raises(LockFileError):
        lock_file.read(tmp_path / "not-there.yml")


@pytest.mark.parametrize("key", ["schema", "branch", "made_from", "facts"])
def test_a_file_that_multiplies_is_not_unfolded(tmp_path: Path, key: str) -> None:
    """Each level nine times the one before: naming what was found would take gigabytes."""
    rows = ["a0: &a0 [x,x,x,x,x,x,x,x,x]", *(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 5))]
    head = {"schema": "labops.dgx_spark/lock/1", "branch": "580", "packages": "{a: '1'}", key: "*a4"}
    path = tmp_path / "lock.yml"
    path.write_text("\n".join([*rows, *(f"{name}: {value}" for name, value in head.items())]) + "\n")
    with pytest.raises(LockFileError, match="aliases"):
        lock_file.read(path)


def drift(other: Desk) -> list[tuple[str, set[str]]]:
    lock = lock_file.from_desk(good(), "desk-01", [], WHEN)
    found = lock_file_drift(other, lock.facts, lock.packages, Where(desk="desk-02"), "fleet.lock.yml")
    return [(item.severity, set(item.evidence)) for item in found]


def test_the_same_desk_does_not_drift() -> None:
    assert drift(good()) == []


def test_another_driver_is_worse_than_another_kernel() -> None:
    other_kernel = replace(good(), kernel=replace(good().kernel, running="6.17.0-1014-nvidia"))
    assert drift(other_kernel) == [("warn", {"kernel"})]
    other_driver = replace(good(), driver=replace(good().driver, module_version="580.142"))
    assert drift(other_driver) == [("fail", {"module of the driver"})]


def test_what_is_not_known_is_no_agreement() -> None:
    unknown = replace(good(), driver=replace(good().driver, module_version=None))
    assert drift(unknown) == [("warn", {"module of the driver"})]


def test_a_package_of_another_version_is_named() -> None:
    packages = desk({**INSTALLED, "libnvidia-compute-580": "580.142-0ubuntu0.24.04.1"}).driver.packages
    assert drift(replace(good(), driver=replace(good().driver, packages=packages))) == [("warn", {"libnvidia-compute-580"})]
    fewer = Driver(packages=tuple(item for item in packages if item.name != "libnccl2"), module_version="580.159.03")
    assert "libnccl2" not in drift(replace(good(), driver=fewer))[0][1]
