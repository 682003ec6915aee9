"""What a task gives is taken as the module's documentation says: an admin's no is a no, and a misspelt option is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.module_utils.testing import patch_module_args
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Apt, Busy, Desk, Identity
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import GpuProcess, Kernel, KernelImage
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.modules import pair_files
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.documented import spec_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, FAILED, Part, RunStore
from house import ACTIONS, MODULES, Passed, arguments_with, needed, option_paths, passed_options, role_variables, value_at
from sample_run import run_of
from scripted_action import Script, part

NO = ["false", "False", "no", "off", "0", 0, False]
YES = ["true", "True", "yes", "on", "1", 1, True]
BOOLEANS = [(module, path) for module in MODULES for path, option in option_paths(spec_of(module)) if option.get("type") == "bool"]
OPTIONS = [(module, path) for module in MODULES for path, _option in option_paths(spec_of(module))]
ids = [f"{module}.{'.'.join(path)}" for module, path in BOOLEANS]


def checked(module: str, args: dict[str, Any]) -> dict[str, Any]:
    """The arguments as the action, or the module that has none, takes them."""
    if module in ACTIONS:
        return dict(Script(module, args).action._checked())
    assert module == "pair_files", "how does this module take its arguments?"
    taken: dict[str, Any] = {}

    class Taken(Exception):
        pass

    class Module(pair_files.AnsibleModule):
        def __init__(self, *a: Any, **k: Any) -> None:
            super().__init__(*a, **k)
            taken.update(self.params)
            raise Taken

        def fail_json(self, msg: str, **_more: Any) -> None:
            raise AnsibleActionFail(f"{module}: {msg}")

    original = pair_files.AnsibleModule
    pair_files.AnsibleModule = Module
    try:
        with patch_module_args(args):
            pair_files.main()
    except Taken:
        return taken
    finally:
        pair_files.AnsibleModule = original
    raise AssertionError("the module made no AnsibleModule")


def test_the_table_is_whole() -> None:
    assert len(BOOLEANS) >= 15 and {"persistenced", "desk_reboot", "enrol_desk", "cx7_link"} <= {module for module, _path in BOOLEANS}
    assert set(ACTIONS) <= set(MODULES) and set(MODULES) - set(ACTIONS) == {"pair_files"}


@pytest.mark.parametrize(("module", "path"), BOOLEANS, ids=ids)
def test_every_boolean_takes_text_for_what_it_says(module: str, path: tuple[str, ...]) -> None:
    spec = spec_of(module)
    for words, meant in ((NO, False), (YES, True)):
        for word in words:
            assert value_at(checked(module, arguments_with(spec, path, word)), path) is meant, word
    with pytest.raises(AnsibleActionFail):
        checked(module, arguments_with(spec, path, "perhaps"))


@pytest.mark.parametrize(("module", "path"), OPTIONS, ids=[f"{module}.{'.'.join(path)}" for module, path in OPTIONS])
def test_every_misspelt_option_is_refused_by_name(module: str, path: tuple[str, ...]) -> None:
    wrong = (*path[:-1], f"{path[-1]}x")
    with pytest.raises(AnsibleActionFail) as refused:
        checked(module, arguments_with(spec_of(module), wrong, "x"))
    assert module in str(refused.value) and wrong[-1] in str(refused.value)


@pytest.mark.parametrize("module", ACTIONS)
def test_an_option_that_nobody_knows_is_refused_by_the_task(module: str) -> None:
    script = Script(module, {**needed(spec_of(module)), "minimun": 99})
    with pytest.raises(AnsibleActionFail, match="minimun"):
        script.run()
    assert script.asked == []


def test_a_misspelt_option_of_a_stage_fails_that_stage_alone(tmp_path: Path) -> None:
    run = run_of(folder=tmp_path)
    script = Script("persistenced", {"repare": True})
    result = script.run(run=run, stage="persistence")
    kept = part(run, "persistence", "desk-01")
    assert result["failed"] is False and kept is not None and kept.state == FAILED
    assert kept.failing_codes == ("DESK_STAGE_FAILED",) and "repare" in str(kept.findings[0]["message"]) and script.asked == []


@pytest.mark.parametrize("empty", [None, ""])
def test_what_a_role_leaves_empty_is_not_set(empty: Any) -> None:
    given = checked("cx7_link", {"pair": {"port": empty, "mtu": empty}, "force": empty})
    assert given["force"] is False and given["pair"]["mtu"] == 9000 and given["pair"].get("port") is None


# ---- roles ---------------------------------------------------------------------------------------------------------------

ROLE_BOOLEANS = sorted(name for name, option in role_variables().items() if option.get("type") == "bool")
PASSED = passed_options()


def where_passed(variable: str) -> list[Passed]:
    return [item for item in PASSED if variable in item.text.replace("|", " ").split()]


@pytest.mark.parametrize("variable", ROLE_BOOLEANS)
def test_every_boolean_of_a_role_reaches_a_boolean_of_its_module(variable: str) -> None:
    targets = where_passed(variable)
    assert targets, f"no task passes {variable} on"
    for item in targets:
        assert item.spec.get("type") == "bool", f"{item.file}: {item.module}.{item.option} is {item.spec.get('type')}"
        assert item.text.replace(" | default(omit)", "") == "{{ %s }}" % variable  # noqa: UP031


@pytest.mark.parametrize(
    "item", [item for item in PASSED if item.spec.get("type") == "bool"], ids=lambda item: f"{item.file}:{item.option}"
)
def test_every_boolean_that_a_task_passes_is_documented(item: Passed) -> None:
    assert (item.module, tuple(item.option.split("."))) in BOOLEANS


def test_every_option_that_a_task_passes_is_documented() -> None:
    assert [f"{item.file}: {item.module}.{item.option}" for item in PASSED if not item.spec] == []


# ---- what the five that went wrong do now --------------------------------------------------------------------------------


@pytest.mark.parametrize("word", NO)
def test_persistenced_repair_from_the_command_line_may_be_a_no(tmp_path: Path, word: Any) -> None:
    run = run_of(folder=tmp_path)
    off = finding("PERSISTENCED_INACTIVE", Where(desk="desk-01"), "off", evidence={"active": False, "enabled": True}).as_dict()
    RunStore(tmp_path).write(Part("facts", "desk-01", DONE, "pair_a", findings=(off,)))
    script = Script("persistenced", {"repair": word}, [{"changed": True, "findings": []}])
    result = script.run(run=run, stage="persistence")
    assert script.asked == [] and result["changed"] is False


@pytest.mark.parametrize("word", ["true", "yes", "1", True])
def test_persistenced_repair_from_the_command_line_may_be_a_yes(tmp_path: Path, word: Any) -> None:
    run = run_of(folder=tmp_path)
    off = finding("PERSISTENCED_INACTIVE", Where(desk="desk-01"), "off", evidence={"active": False, "enabled": True}).as_dict()
    RunStore(tmp_path).write(Part("facts", "desk-01", DONE, "pair_a", findings=(off,)))
    script = Script("persistenced", {"repair": word}, [{"changed": True, "findings": []}])
    assert script.run(run=run, stage="persistence")["changed"] is True and script.modules == ["labops.dgx_spark.persistenced"]


@pytest.mark.parametrize(("word", "closes"), [*((word, False) for word in NO), *((word, True) for word in YES)])
def test_password_login_is_closed_only_by_a_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: Any, closes: bool) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_ed25519.pub").write_text("ssh-ed25519 QURNSU4= admin@lab")
    script = Script("enrol_desk", {"known_hosts": str(tmp_path / "known"), "close_password_login": word, "set_hostname": word})
    wishes: list[Any] = []

    class Stop(Exception):
        pass

    def way(wanted: Any, *_rest: Any, **_more: Any) -> None:
        wishes.append(wanted)
        raise Stop

    monkeypatch.setattr(script.module, "Enrolment", way)
    with pytest.raises(Stop):
        script.run()
    assert wishes[0].close_password_login is closes and wishes[0].hostname == ("desk-01" if closes else None)


@pytest.mark.parametrize(("word", "goes"), [*((word, False) for word in NO), *((word, True) for word in YES)])
def test_a_reboot_goes_over_users_only_by_a_yes(tmp_path: Path, word: Any, goes: bool) -> None:
    image = "6.17.0-1021-nvidia"
    desk = Desk(
        identity=Identity(boot_id="0f9e8d7c-6b5a-4c3d-8e2f-1a0b9c8d7e6f"),
        kernel=Kernel(running=image, next_boot=image, installed=(KernelImage(image, True),)),
        apt=Apt(first_boot_upgrade="done", reboot_required=True, reboot_reasons=("linux-image",)),
        busy=Busy((GpuProcess(4711, "train.py", "C", 900, "ada"),), (), True),
    )
    script = Script(
        "desk_reboot",
        {"policy": "if_needed", "force": word},
        [{"ansible_facts": {"spark": as_dict(desk)}, "findings": []}],
        check_mode=True,
    )
    result = script.run(run=run_of(folder=tmp_path, check_mode=True))
    assert result["changed"] is goes and [item["code"] for item in result["findings"]] == ([] if goes else ["REBOOT_REFUSED"])
