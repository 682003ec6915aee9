# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lead through the swap of a suspect pair: what to move next, the plan of the trial, and what its measurement said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.judges.isolate import (
    AS_IT_IS,
    FAIL,
    GOOD_FOR_HEAD,
    GOOD_FOR_PEER,
    OTHER_PORT,
    PASS,
    UNKNOWN,
    Move,
    Suspects,
    Trial,
    advance,
)
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.endpoints import EndpointError, desk_facts
from ..plugin_utils.run_store import DONE, Part, RunStore, write_atomically


HOSTS = {AS_IT_IS: 20, GOOD_FOR_PEER: 22, GOOD_FOR_HEAD: 24, OTHER_PORT: 26}
"""Host number of a trial's head; its peer has the next. Every trial has its own, so that no desk brings a role along."""


class ActionModule(DeskAction):
    """Arguments: phase (next, note), pair, good, ports (desk to port), report_dir, restart, confirmed, rebooted."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        given = self.arguments()
        plan = self.required_plan(task_vars)
        pair = next((item for item in plan["pairs"] if item["name"] == given.get("pair")), None)
        good = str(given.get("good") or "")
        if pair is None:
            raise AnsibleActionFail(f"isolate_pair is {given.get('pair')!r}; a pair of the inventory was expected")
        if good not in plan["desks"] or good in pair["members"]:
            raise AnsibleActionFail(f"isolate_good is {good!r}; a desk of the inventory outside pair {pair['name']} was expected")
        notes = Path(plan["run_dir"]).parent / f"isolate-{pair['name']}.json"
        trials = [] if given.get("restart") else read_trials(notes)
        ports = {str(name): int(port) for name, port in dict(given.get("ports") or {}).items()}
        what = Suspects(pair["head"], pair["peer"], good, *(ports.get(name, 0) for name in (pair["head"], pair["peer"], good)))
        if given.get("phase") == "note":
            trials.append(self._note(given, plan, pair))
            write_atomically(notes, json.dumps([trial.__dict__ for trial in trials], indent=1))
        elif given.get("restart"):
            write_atomically(notes, "[]")
        move = advance(what, trials)
        self._say(trials, move, str(given.get("phase") or "next"))
        result.update(
            changed=False,
            done=move.done,
            kind=move.kind,
            desks=list(move.desks),
            ports=dict(move.ports),
            head_host=HOSTS.get(move.kind, 0),
            instruction=move.instruction,
            blame=move.blame,
            conclusion=move.conclusion,
            trials=[trial.__dict__ for trial in trials],
            plan={} if move.done else trial_plan(plan, move.kind, move.desks, move.ports),
        )
        return result

    def _say(self, trials: list[Trial], move: Move, phase: str) -> None:
        """The trials and what follows, for every output plugin."""
        if phase == "note":
            last = trials[-1]
            self._display.display(f"\nTrial {last.kind}: {last.verdict} {', '.join(last.codes)}")
        if move.done:
            self._display.display(f"\nResult: {move.blame}. {move.conclusion}")
            self._display.display(
                "Plug everything back as the inventory says, start the desks again with the cables in, run stack_pair.yml."
            )
        else:
            self._display.display(f"\nNext: {move.instruction}")

    def _note(self, given: Mapping[str, Any], plan: Mapping[str, Any], pair: Mapping[str, Any]) -> Trial:
        """The trial from its stages' parts, kept in a run folder of its own."""
        kind, desks = str(given["kind"]), [str(name) for name in given["desks"]]
        store = RunStore(Path(plan["run_dir"]) / f"trial-{kind}")
        part = store.part("rdma", desks[0])
        codes = tuple(str(item["code"]) for item in part.findings) if part else ()
        severities = [str(item["severity"]) for item in part.findings] if part else ["unknown"]
        measured = bool(part and part.data.get("measured"))
        verdict = FAIL if "fail" in severities else UNKNOWN if "unknown" in severities or not measured else PASS
        if verdict == FAIL and not measured and "RDMA_ONE_HALF" not in codes:
            verdict = UNKNOWN  # a firewall or a missing key says nothing about the cable
        return Trial(kind, verdict, rebooted(plan, store, desks), codes)


def rebooted(plan: Mapping[str, Any], store: RunStore, desks: list[str]) -> bool:
    """Whether both desks have another boot id than when the run began."""
    try:
        before = [desk_facts(RunStore(plan["run_dir"]), name).identity.boot_id for name in desks]
        after = [desk_facts(store, name).identity.boot_id for name in desks]
    except EndpointError:
        return False
    # Within one run the second trial's "before" is older still, which changes nothing: every trial starts the desks again.
    return all(first is not None and last is not None and first != last for first, last in zip(before, after, strict=True))


def read_trials(path: Path) -> list[Trial]:
    """Trials of earlier runs of the playbook."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise AnsibleActionFail(f"{path} cannot be read ({error}); start again with isolate_restart=true") from error
    return [Trial(item["kind"], item["verdict"], bool(item["rebooted"]), tuple(item.get("codes") or ())) for item in data]


def trial_plan(plan: Mapping[str, Any], kind: str, desks: tuple[str, str], ports: Mapping[str, int]) -> dict[str, Any]:
    """A plan with the trial's two desks as its only pair, in a folder of its own; the ports are noted where stages look for them."""
    folder = str(Path(plan["run_dir"]) / f"trial-{kind}")
    store = RunStore(folder)
    name = f"isolate_{kind}"
    members = {}
    for position, desk in enumerate(desks):
        other = desks[1 - position]
        members[desk] = {
            **plan["desks"][desk],
            "pair": name, "peer": other, "head": position == 0, "position": position, "out_of_service": False, "in_scope": True,
        }  # fmt: skip
        store.write(Part("cable_map", desk, DONE, name, data={"port": ports[desk]}))
    pair = {
        "name": name, "head": desks[0], "peer": desks[1], "members": list(desks), "out_of_service": False, "in_scope": True,
        "topology": "direct",
    }  # fmt: skip
    return {**plan, "run_dir": folder, "pairs": [pair], "desks": members}
