# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a lab's own marks from the run's measurements of pairs that the admin calls good."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.judges.marks import LEAST_MEASUREMENTS, MarksError, calibrated, nccl_figures, rdma_figures
from ..plugin_utils import plain_yaml
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.run.stages import stage_of_part
from ..plugin_utils.run.store import file_text, write_atomically


HEAD = "---\n# Marks of this lab, from pairs that its admin calls good. Put this file in group_vars/all.\n"
VARS_ENDINGS = ("", ".yml", ".yaml", ".json")
"""How a file of variables that Ansible reads for a group or a host may end."""


class ActionModule(DeskAction):
    """Arguments: path (of the file of marks on the controller), runs (only asks whether that many are enough)."""

    def work(self, call: Call) -> dict[str, Any]:
        """Marks from every repetition of every pair in scope."""
        run, store = call.run, call.store
        measuring = [stack for stack in run.stacks if run.in_scope(stack) and not stack.out_of_service]
        path = Path(str(call.given["path"])).expanduser()
        _refuse_hiding(path)
        _refuse_others(path)
        if (runs := call.given["runs"]) is not None:
            stacks, count = f"{len(measuring)} {'stack' if len(measuring) == 1 else 'stacks'}", runs * len(measuring)
            if count < LEAST_MEASUREMENTS:
                raise AnsibleActionFail(
                    f"calibrate_runs {runs} for {stacks} would give {count} measurements; a mark needs {LEAST_MEASUREMENTS}. Raise "
                    "calibrate_runs or use more pairs. No desk was touched."
                )
            return {"changed": False}
        if self._task.check_mode:
            return {"changed": False, "msg": "check mode measures nothing, so there are no marks to write"}
        heads = {stack.head: stack.name for stack in measuring}
        measured: dict[str, list[dict[str, Any]]] = {"rdma": [], "nccl": []}
        bad: dict[str, set[str]] = {}
        for stage in store.stages():
            kind = stage_of_part(stage)
            if kind not in measured:
                continue
            for desk, part in store.parts(stage).items():
                if desk in heads and part.data.get("measured"):
                    measured[kind].append(dict(part.data))
                    # A slow result is what calibrating is for; a wrong one is not.
                    codes = {str(item["code"]) for item in part.findings if item["severity"] == "fail"}
                    wrong = {code for code in codes if not code.endswith("_SLOW")}
                    if wrong := wrong or _unreadable(kind, part.data):
                        bad.setdefault(heads[desk], set()).update(wrong)
        if bad:
            told = "; ".join(f"{stack} has {', '.join(sorted(codes))}" for stack, codes in sorted(bad.items()))
            raise AnsibleActionFail(f"no mark is set from a stack that is not good: {told}. Leave it out (--limit) or fix it.")
        pairs = ", ".join(stack.name for stack in measuring)
        try:
            marks = calibrated(measured["rdma"], measured["nccl"], f"calibrate.yml, run {run.run_id}, {pairs}")
        except MarksError as error:
            raise AnsibleActionFail(str(error)) from error
        text = HEAD + plain_yaml.for_ansible({"pair_proof_marks": marks})
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        write_atomically(path, text)
        self._display.display(
            "\n" + "".join(f"{_named(mark)}: {mark['value']}\n" for mark in marks) + f"Written to {path}. " + _usage(path)
        )
        return {"changed": before != text, "path": str(path), "marks": marks}


def _unreadable(kind: str, data: Mapping[str, Any]) -> set[str]:
    """What keeps a measurement from setting marks: a head may answer anything that its documentation allows."""
    try:
        (rdma_figures if kind == "rdma" else nccl_figures)(data)
    except MarksError as error:
        return {str(error)}
    return set()


def _refuse_hiding(path: Path) -> None:
    """Ansible reads group_vars/all.yml no more once there is a folder group_vars/all. Raises AnsibleActionFail."""
    folder = path.absolute().parent
    if folder.parent.name not in ("group_vars", "host_vars") or folder.is_dir():
        return
    beside = next((item for ending in VARS_ENDINGS if (item := folder.with_name(folder.name + ending)).is_file()), None)
    if beside is not None:
        first = beside if beside != folder else folder.with_name(f"{folder.name}.yml")
        moved = f"mv {quote(str(beside))} {quote(str(first))} && " if first != beside else ""
        cure = f"{moved}mkdir {quote(str(folder))} && mv {quote(str(first))} {quote(str(folder))}/"
        raise AnsibleActionFail(
            f"{path} would need the folder {folder}, beside which Ansible no longer reads {beside}; every variable in it would be lost to "
            f"later runs. Move it into the folder first ({cure}), then run again."
        )


def _refuse_others(path: Path) -> None:
    """The file is written as a whole: other variables in it would be lost, and what somebody noted there. Raises AnsibleActionFail."""
    text = ""
    try:
        text = file_text(path)
        data = plain_yaml.load(text)
    except FileNotFoundError:
        return
    except (OSError, ValueError, plain_yaml.PlainYamlError):
        data = ""
    notes = [line for line in text.splitlines() if line.lstrip().startswith("#") and line not in HEAD.splitlines()]
    if notes or (data is not None and not (isinstance(data, dict) and set(data) <= {"pair_proof_marks"})):
        # A file of another name beside it would be that of another group's variables.
        folder = path.absolute().parent
        own = (folder.parent if folder.name in ("group_vars", "host_vars") else folder) / "spark_marks.yml"
        raise AnsibleActionFail(
            f"{path} holds something else than marks and is left alone; name a file of its own, such as -e calibrate_file={quote(str(own))}"
        )


def _usage(path: Path) -> str:
    """How the marks come into force."""
    if path.parent.name == "all" and path.parent.parent.name == "group_vars":
        return "Every later run with this inventory uses them."
    return f"Use them with -e @{path}, or write them where every run finds them: -e calibrate_file=INVENTORY/group_vars/all/spark_marks.yml"


def _named(mark: dict[str, Any]) -> str:
    size = mark.get("bytes")
    return f"{mark['name']} at {size >> 20} MiB" if size else str(mark["name"])
