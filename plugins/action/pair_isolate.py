# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lead through the swap of a suspect pair: what to move next, the plan of the trial, and what its measurement said."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsiblePromptInterrupt, AnsiblePromptNoninteractive

from ..module_utils.judges.isolate import (
    AS_IT_IS,
    FAIL,
    GOOD_FOR_HEAD,
    GOOD_FOR_PEER,
    OTHER_PORT,
    PASS,
    UNKNOWN,
    WITHOUT_SWITCH,
    Move,
    Suspects,
    Trial,
    advance,
)
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.admission.text import line
from ..plugin_utils.endpoints import EndpointError, desk_facts
from ..plugin_utils.run.model import DIRECT, SWITCH, Run, Stack, plain
from ..plugin_utils.run.store import DONE, Part, RunStore, file_name, json_of, write_atomically
from ..plugin_utils.terminal import ask

HOSTS = {AS_IT_IS: 20, GOOD_FOR_PEER: 22, GOOD_FOR_HEAD: 24, OTHER_PORT: 26, WITHOUT_SWITCH: 28}
"""Host number of a trial's head; its peer has the next. Every trial has its own, so that no desk brings a role along."""


class ActionModule(DeskAction):
    """See the module documentation of pair_isolate."""

    def work(self, call: Call) -> dict[str, Any]:
        """Note a trial where one was made; what to try next."""
        if call.given["phase"] == "ask":
            return self._ask(call.given)
        given, run = call.given, call.run
        pair, good = run.stack(given.get("pair")), str(given.get("good") or "")
        if given["at_most"] < 1:
            raise AnsibleActionFail(f"isolate_trials is {given['at_most']}; 1 or more was expected")
        if pair is None:
            known = ", ".join(stack.name for stack in run.stacks)
            raise AnsibleActionFail(f"isolate_pair is {given.get('pair')!r}; a pair in the inventory was expected: {known}")
        two = _suspected(pair, given.get("cable") or ())
        if good not in run.members or good in two:
            outside = f"pair {pair.name}" if pair.is_pair else f"{' and '.join(two)}"
            raise AnsibleActionFail(f"isolate_good is {good!r}; a desk in the inventory outside {outside} was expected")
        notes = run.folder.parent / f"isolate-{file_name(pair.name if pair.is_pair else '-'.join((pair.name, *two)))}.json"
        trials = [] if given["restart"] else read_trials(notes)
        suspects = (*two, good)
        ports = _ports(given.get("ports") or {}, suspects)
        head_port, peer_port, good_port = (ports[name] for name in suspects)
        what = Suspects(*suspects, head_port, peer_port, good_port, pair.topology == SWITCH)
        if given["phase"] == "note":
            trials.append(self._note(given, run))
            write_atomically(notes, json.dumps([trial.__dict__ for trial in trials], indent=1))
        elif given["restart"]:
            write_atomically(notes, "[]")
        move = advance(what, trials)
        if not pair.is_pair and not move.done:
            # Both cages of a ring's desk hold a plug, and a desk on a switch keeps its own.
            move = replace(move, instruction=f"{move.instruction} Take out what is in the way and remember where it was.")
        self._say(trials, move, given["phase"])
        over_switch = what.on_switch and move.kind == AS_IT_IS
        return {
            "changed": False,
            "done": move.done,
            "kind": move.kind,
            "desks": list(move.desks),
            "ports": dict(move.ports),
            # The other desks of a switch keep their addresses beside a trial's.
            "head_host": HOSTS.get(move.kind, 0) + (len(pair.members) if over_switch else 0),
            "instruction": move.instruction,
            "blame": move.blame,
            "conclusion": move.conclusion,
            "trials": [trial.__dict__ for trial in trials],
            "at_most": given["at_most"],
            "plan": {} if move.done else plain(trial_run(run, move.kind, move.desks, move.ports, SWITCH if over_switch else DIRECT)),
        }

    def _ask(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Wait until somebody says that the plugs are in. Raises AnsibleActionFail where nobody can say so."""
        kind, instruction = str(given.get("kind")), str(given.get("instruction") or "")
        if not given["confirm"] or given.get("moved") == kind:
            return {"changed": False}
        try:
            ask(self._display, f"{instruction} Press Enter when the plugs are in; Ctrl+C stops here, and a later run goes on: ")
        except AnsiblePromptInterrupt:
            raise AnsibleActionFail("stopped before the plugs were moved; run isolate.yml again to go on") from None
        except AnsiblePromptNoninteractive:
            raise AnsibleActionFail(
                f"nobody can be asked here, so nothing was done. {instruction} "
                f"When the plugs are in, run again with -e isolate_moved={kind}"
            ) from None
        return {"changed": False}

    def _say(self, trials: list[Trial], move: Move, phase: str) -> None:
        """The trials and what follows, for every output plugin."""
        if phase == "note":
            last = trials[-1]
            self._display.display(f"\nTrial {last.kind}: {last.verdict} {', '.join(last.codes)}")
        if move.done:
            self._display.display(f"\nResult: {move.blame}. {move.conclusion}")
            self._display.display(
                "Plug everything back in as the inventory says, restart the desks with the cables in, then run stack_pair.yml."
            )
        else:
            self._display.display(f"\nNext: {move.instruction}")

    @staticmethod
    def _note(given: Mapping[str, Any], run: Run) -> Trial:
        """The trial from its stages' parts, kept in a run folder of its own."""
        kind, desks = str(given["kind"]), [str(name) for name in given["desks"]]
        store = RunStore(trial_folder(run, kind))
        part = store.part("rdma", desks[0])
        codes = tuple(str(item["code"]) for item in part.findings) if part else ()
        severities = [str(item["severity"]) for item in part.findings] if part else ["unknown"]
        measured = bool(part and part.data.get("measured"))
        verdict = FAIL if "fail" in severities else UNKNOWN if "unknown" in severities or not measured else PASS
        if verdict == FAIL and not measured and "RDMA_ONE_HALF" not in codes:
            verdict = UNKNOWN  # a firewall or a missing key says nothing about the cable
        return Trial(kind, verdict, rebooted(run, store, desks), codes)


def _suspected(stack: Stack, cable: Sequence[Any]) -> tuple[str, str]:
    """The two desks whose cable is suspect. Raises AnsibleActionFail."""
    if stack.is_pair:
        return stack.members[0], stack.members[1]
    two = tuple(str(desk) for desk in cable)
    if len(set(two)) != 2 or not set(two) <= set(stack.members):
        meaning = (
            "the one whose cable is suspect (STACK_SHARED_CAUSE names it), then another"
            if stack.topology == SWITCH
            else "those whose cable is suspect"
        )
        raise AnsibleActionFail(
            f"isolate_cable is {list(two)}; two desks of {stack.topology} {stack.name} were expected, {meaning}: {', '.join(stack.members)}"
        )
    if stack.topology == SWITCH:
        return two[0], two[1]
    first, second = sorted(two, key=stack.members.index)
    return first, second


def rebooted(run: Run, store: RunStore, desks: list[str]) -> bool:
    """Whether both desks have another boot id than when the run began."""
    try:
        before = [desk_facts(RunStore(run.run_dir), name).identity.boot_id for name in desks]
        after = [desk_facts(store, name).identity.boot_id for name in desks]
    except EndpointError:
        return False
    # Within one run the second trial's "before" is older still, which changes nothing: every trial starts the desks again.
    return all(first is not None and last is not None and first != last for first, last in zip(before, after, strict=True))


def read_trials(path: Path) -> list[Trial]:
    """Trials of earlier runs of the playbook."""
    try:
        # It lies in the folder of reports, which somebody may have sent.
        return [_trial(item) for item in json_of(path)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnsibleActionFail(f"{path} cannot be read ({line(str(error))}); start again with isolate_restart=true") from error


def _trial(item: Mapping[str, Any]) -> Trial:
    """Raises ValueError, KeyError, TypeError or AttributeError for what is none."""
    kind, verdict = item["kind"], item["verdict"]
    if kind not in HOSTS or verdict not in (PASS, FAIL, UNKNOWN):
        raise ValueError("an entry is not a trial")
    return Trial(kind, verdict, bool(item["rebooted"]), tuple(line(str(code)) for code in item.get("codes") or ()))


def trial_folder(run: Run, kind: str) -> Path:
    """The folder of a trial's parts."""
    return run.folder / f"trial-{kind}"


def trial_run(run: Run, kind: str, desks: tuple[str, str], ports: Mapping[str, int], topology: str = DIRECT) -> Run:
    """The run of a trial: its two desks as the only stack; the ports are noted where stages look for them."""
    stack = Stack(f"isolate_{kind}", desks, topology)
    trial = run.only(stack, str(trial_folder(run, kind)))
    store = RunStore(trial.run_dir)
    for desk in desks:
        (other,) = stack.others(desk)
        data = {"port": ports[desk]} if stack.is_pair else {"port": None, "ports": {other: ports[desk]}}
        store.write(Part("cable_map", desk, DONE, stack.name, data=data))
    return trial


def _ports(given: Mapping[str, Any], desks: tuple[str, ...]) -> dict[str, int]:
    """The port of each desk, 0 where none is named. Raises AnsibleActionFail."""
    wrong = [f"{name}: {port!r}" for name, port in given.items() if name not in desks or str(port) not in ("0", "1")]
    if wrong:
        raise AnsibleActionFail(f"isolate_ports has {', '.join(wrong)}; the port (0 or 1) of {', '.join(desks)} was expected")
    return {name: int(given.get(name, 0)) for name in desks}
