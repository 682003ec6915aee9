# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on the controller: begin it, split a stage into waves, make its report, fail the guilty desks."""

from __future__ import annotations

import dataclasses
import datetime
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail

from ..module_utils.judges.catalogue import finding
from ..module_utils.judges.reboot import reboot_reasons
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..module_utils.model.finding import Where
from ..plugin_utils import audit, own_load
from ..plugin_utils.actions import STOPPED, Call, DeskAction
from ..plugin_utils.addressing import STATIC, Numbers, wrong_numbers, wrong_sources
from ..plugin_utils.history.since import SinceError, moment_of
from ..plugin_utils.report.files import Asked, write_report
from ..plugin_utils.report.webhook import wrong as wrong_address
from ..plugin_utils.report.write import Wishes
from ..plugin_utils.run import role_options
from ..plugin_utils.run.clock import utc
from ..plugin_utils.run.gate import changed_since_facts, takes_part
from ..plugin_utils.run.inventory import InventoryError, members_of, stacks_of, view_of_inventory
from ..plugin_utils.run.model import Run, plain
from ..plugin_utils.run.playbook_file import stages_in
from ..plugin_utils.run.stages import PLAYBOOKS, STAGES, playbook
from ..plugin_utils.run.store import RunStore, Wave
from ..plugin_utils.run.wants import (
    BASELINE,
    CERTIFICATE_KEY,
    CERTIFICATE_SERIALS,
    CERTIFICATES,
    LINK_ADDRESSES,
    LOCK_REBOOT,
    METRICS_PATH,
    ONLY_STAGES,
    OUT_OF_SERVICE,
    PAIR_HEAD,
    REBOOT_POLICY,
    REPORT_DIR,
    SHOW_NOTES,
    SINCE,
    SSH_PORT,
    TOPOLOGY,
    WANTS,
    WAVES,
    WEBHOOK,
    WantError,
    check,
)
from ..plugin_utils.run.waves import ALL_AT_ONCE, ONE_FIRST, WaveError, linked_before, units_of, waves, wished

REBOOT = "reboot"
PILOT_FIRST = (REBOOT, "update")
"""Stages that nothing of earlier runs vouches for: one stack goes first always."""
CHOOSABLE = tuple(name for name, stage in STAGES.items() if stage.role and not stage.always)
CONNECTION = ("ansible_host", "ansible_port")
OF_INVENTORY = (*CONNECTION, *(want.variable for want in (PAIR_HEAD, OUT_OF_SERVICE, SSH_PORT, TOPOLOGY)))
"""Variables that say who is where."""


class ActionModule(DeskAction):
    """See the module documentation of spark_run."""

    def work(self, call: Call) -> dict[str, Any]:
        """One phase of the run."""
        phase = call.given["phase"]
        if phase == "begin":
            return self._begin(call)
        if phase == "waves":
            return self._waves(call)
        if phase == "report":
            return self._report(call)
        return _verdict(call)

    # ---- begin ------------------------------------------------------------------------------------------------------

    def _begin(self, call: Call) -> dict[str, Any]:
        """The run's plain form (``spark_plan``). Refuses an inventory or a wish that cannot be used before any desk is asked."""
        name = call.given.get("playbook")
        if name not in PLAYBOOKS:
            raise AnsibleActionFail(f"playbook is {name!r}; known playbooks are {', '.join(PLAYBOOKS)}")
        hostvars = call.task_vars["hostvars"]
        scope = [str(host) for host in call.task_vars.get("ansible_play_hosts_all", [])]
        wishes = {host: _set_of(hostvars, host, (*CONNECTION, *(want.variable for want in WANTS))) for host in scope}
        try:
            # Of desks outside the scope too: a stack is checked as a whole.
            outside = {host: _set_of(hostvars, host, OF_INVENTORY) for host in hostvars if host not in wishes}
            view = view_of_inventory(hostvars._inventory, {**outside, **wishes})
            stacks = stacks_of(view)
            if playbook(name).needs_stacks and not stacks:
                raise InventoryError(
                    [f"{name} needs pairs: make each pair a child group of spark_pairs with two hosts (see inventories/lab)"]
                )
        except InventoryError as error:
            raise _refusal("the inventory cannot be used", error.problems) from None
        # What is wished for the whole run may also be a variable of the play, which hostvars do not hold.
        own = wishes[call.desk] = {**wishes.get(call.desk, {}), **self.values(call.task_vars, [want.variable for want in WANTS])}
        options = {host: role_options.given(hostvars.get(host) or {}) for host in scope}
        names = [host.name for host in view.desks]
        asked = {host.name for host in view.desks if not host.out_of_service} & set(scope) if playbook(name).compares else set(names)
        problems = _wrong_wishes(wishes, options, names, asked)
        sources = {host: str(values.get(LINK_ADDRESSES.variable) or LINK_ADDRESSES.default) for host, values in wishes.items()}
        problems += wrong_sources(stacks, {host: word for host, word in sources.items() if word in LINK_ADDRESSES.choices})
        problems += wrong_numbers(stacks, _link_numbers(options, sources))
        try:
            wave_wish = wished(WAVES.read(own))
        except (WantError, WaveError) as error:
            problems.append(str(error))
        only = [item.strip() for item in wish] if (wish := ONLY_STAGES.read(own)) is not None else None
        problems += _wrong_stages(only, name, self._stages())
        removing = playbook(name).removes
        if only is not None and removing and not set(only) & set(removing):
            problems.append(
                f"spark_stages names {', '.join(only)}, so {name}.yml would remove nothing; its stages are {', '.join(removing)}"
            )
        problems += _wrong_tags(call.task_vars, set(self._task.tags))
        base = Path.cwd() / Path(str(REPORT_DIR.read(own))).expanduser()
        hook = own.get(WEBHOOK.variable)
        if isinstance(hook, Mapping) and (problem := wrong_address(str(hook.get("url") or ""))):
            problems.append(problem)
        problems += _wrong_since(str(own.get(SINCE.variable) or SINCE.default), base)
        if problems:
            raise _refusal("the request cannot be carried out", problems)
        now = datetime.datetime.now(datetime.UTC)
        run_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        forks = int(context.CLIARGS.get("forks") or 5)
        run = Run(
            run_id,
            str(base / run_id),
            utc(now),
            name,
            bool(self._task.check_mode),
            None if wave_wish is None else tuple(wave_wish),
            None if only is None else tuple(only),
            forks,
            members_of(view, stacks, scope),
            tuple(stacks),
            tuple(_forks_finding(forks, len(scope))),
        )
        try:
            RunStore(run.run_dir).begin(run)
        except OSError as error:
            raise AnsibleActionFail(
                f"the report folder {run.run_dir} cannot be written ({error.strerror}); set spark_report_dir to a folder that you can "
                "write to"
            ) from None
        return {**plain(run), "changed": False}

    def _stages(self) -> frozenset[str]:
        """The stages of the playbook that this task stands in; empty where they are not told there."""
        path = str(self._task.get_path() or "").rpartition(":")[0]
        return stages_in(path, self._loader.load_from_file) if path else frozenset()

    # ---- waves ------------------------------------------------------------------------------------------------------

    def _waves(self, call: Call) -> dict[str, Any]:
        """How a stage goes through the stacks, kept in the run's store, where the gate reads it."""
        stage = STAGES.get(str(call.given.get("stage")))
        if stage is None or not stage.waves:
            known = ", ".join(name for name, item in STAGES.items() if item.waves)
            raise AnsibleActionFail(f"stage is {call.given.get('stage')!r}; the stages that go in waves are {known}")
        run, store = call.run, call.store
        units = units_of(run)
        ready = [unit for unit in units if any(takes_part(run, store, desk, stage) for desk in unit)]
        if stage.name == REBOOT:
            hostvars = call.task_vars["hostvars"]
            ready = [unit for unit in ready if any(may_reboot(store, hostvars, desk) for desk in unit)]
        # A check loses nobody, and its preview shall be whole.
        wish = ALL_AT_ONCE if self._task.check_mode else (run.waves or _default(stage.name, units, store))
        chosen = waves(units, ready, wish)
        store.keep_waves(stage.name, chosen)
        if len(chosen) > 1:
            self._display.display(announcement(stage.name, run, chosen))
        return {"changed": False, "waves": [wave.number for wave in chosen]}

    # ---- report and verdict -----------------------------------------------------------------------------------------

    def _report(self, call: Call) -> dict[str, Any]:
        """Succeeds whatever the verdict is."""
        shutil.rmtree(Path(call.run.run_dir) / own_load.FOLDER, ignore_errors=True)
        own = self.values(call.task_vars, [want.variable for want in WANTS])
        hostvars = call.task_vars.get("hostvars") or {}
        facts = {host: (hostvars.get(host) or {}).get("ansible_facts") or {} for host in call.run.scope}
        lost = {host: str(told[STOPPED]) for host, told in facts.items() if told.get(STOPPED)}
        made = write_report(call.run, call.store, lost, _asked(own), lambda lines: self._display.display("\n" + "\n".join(lines)))
        for warning in made.warnings:
            self._display.warning(warning)
        if made.error:
            self._display.error(made.error)
        return {"changed": False, **made.result}


def _verdict(call: Call) -> dict[str, Any]:
    report = call.given.get("report") or {}
    if "guilty" not in report:
        return {"failed": True, "msg": f"{call.desk}: there is no report of this run, so there is no verdict"}
    verdict = (report.get("desks") or {}).get(call.desk)
    reason = report["guilty"].get(call.desk)
    if reason is None and verdict is None:
        reason = f"the report of this run does not name {call.desk}, so there is no verdict on it"
    elif reason is None and report.get("unwritten"):
        reason = f"{call.desk} is {verdict}, but the report could not be written: {'; '.join(report['unwritten'])}"
    return {
        "changed": False,
        "failed": reason is not None,
        "msg": reason or f"{call.desk}: {verdict}",
    }


def _asked(own: Mapping[str, Any]) -> Asked:
    """What the admin asks of the end of a run. Raises WantError."""
    key, metrics = CERTIFICATE_KEY.read(own), METRICS_PATH.read(own)
    files = Wishes(
        CERTIFICATES.read(own),
        Path(key).expanduser() if key else None,
        CERTIFICATE_SERIALS.read(own),
        Path(metrics).expanduser() if metrics else None,
    )
    return Asked(str(SINCE.read(own)), SHOW_NOTES.read(own), WEBHOOK.read(own) or {}, files)


def _set_of(hostvars: Any, host: str, names: Iterable[str]) -> dict[str, Any]:
    """Those of the variables that a host has, resolved."""
    values = hostvars.get(host) or {}
    return {name: values[name] for name in names if values.get(name) is not None}


def _wrong_wishes(
    wishes: dict[str, dict[str, Any]], options: Mapping[str, Mapping[str, Any]], desks: list[str], asked: set[str]
) -> list[str]:
    """What is wrong with the variables of the desks, each once: a wish for the whole lab is not told for every desk."""
    told: dict[str, list[str]] = {}
    for host, values in wishes.items():
        for problem in (*check(values), *role_options.check(options.get(host, {}))):
            told.setdefault(problem, []).append(host)
        try:
            audit.check_baseline(BASELINE.read(values), desks, asked)
        except audit.BaselineError as error:
            told.setdefault(f"audit_baseline: {error}", []).append(host)
    return [problem if len(hosts) == len(wishes) else f"{', '.join(hosts)}: {problem}" for problem, hosts in told.items()]


def _link_numbers(options: Mapping[str, Mapping[str, Any]], sources: Mapping[str, str]) -> dict[str, Numbers]:
    """What the desks' addresses are made of, of every desk whose options are of the right kind."""
    fields = ("subnets", "head_host", "peer_host", "ring_subnets", "ring_hosts")
    found = {}
    for host, values in options.items():
        told = role_options.converted(values, *(f"pair_link_{field}" for field in fields))
        if told is not None:
            own: dict[str, Any] = {
                name.removeprefix("pair_link_"): tuple(value) if isinstance(value, list) else value for name, value in told.items()
            }
            found[host] = dataclasses.replace(Numbers(), **own, source=sources.get(host, STATIC))
    return found


def _wrong_since(since: str, base: Path) -> list[str]:
    """What is wrong with the wish to compare with an earlier run; a run's id is known by its folder."""
    try:
        moment_of(since, datetime.datetime.now().astimezone())
    except SinceError as error:
        return [] if (base / Path(since).name).is_dir() and since.strip() else [f"audit_since: {error}"]
    return []


def _wrong_stages(only: list[str] | None, playbook_name: str, has: frozenset[str]) -> list[str]:
    """What is wrong with the wish for these stages only. ``has``: those of the playbook, empty where they are not known.

    A stage that the playbook does not have would be left out in silence, in a run that ends well.
    """
    choosable = [name for name in CHOOSABLE if not has or name in has]
    unknown = [name for name in only or () if name not in choosable]
    if not unknown:
        return []
    if not choosable:
        return [f"spark_stages names {', '.join(unknown)}; {playbook_name}.yml has no stages to choose from: leave spark_stages out"]
    stages = f"the stages of {playbook_name}.yml" if has else "stages"
    return [f"spark_stages names {', '.join(unknown)}; {stages} are {', '.join(choosable)}"]


def _wrong_tags(task_vars: Mapping[str, Any], own: set[str]) -> list[str]:
    """Tags on the command line that leave every stage out: stages have none of their own, what comes before and after them always runs.

    ``own``: the tags of this task. A playbook that imports this one may give it some.
    """
    wanted, skipped = (list(task_vars.get(f"ansible_{kind}_tags") or ()) for kind in ("run", "skip"))
    given = own - {"always"}
    if not given & {*wanted} and not {"all", "untagged", *(["tagged"] if given else [])} & {*wanted} and wanted:
        told = f"--tags {','.join(wanted)} would leave out every stage"
    elif named := [tag for tag in skipped if tag in STAGES or (tag == "untagged" and not given)]:
        told = f"--skip-tags {','.join(named)} does not say which stages are left out"
    else:
        return []
    some = ",".join(tag for tag in wanted if tag in CHOOSABLE) or "rdma,nccl"
    return [f"{told}: stages have no tags. Leave the option out, or name the stages to run, as in -e spark_stages={some}"]


def _refusal(what: str, problems: Iterable[str]) -> AnsibleActionFail:
    lines = "\n".join(f"  - {problem}" for problem in problems)
    return AnsibleActionFail(f"{what}; no desk was touched:\n{lines}")


def _forks_finding(forks: int, desks: int) -> list[dict[str, Any]]:
    if forks >= desks:
        return []
    message = f"forks is {forks}, but the run has {desks} desks: not all pairs are handled at the same time; set forks to {desks} or more"
    return [finding("FORKS_TOO_FEW", Where(), message, evidence={"forks": forks, "desks": desks}).as_dict()]


def _default(stage: str, units: list[tuple[str, ...]], store: RunStore) -> tuple[Any, ...]:
    facts = {desk: part.data.get("spark") or {} for desk, part in store.parts("facts").items()}
    return ALL_AT_ONCE if stage not in PILOT_FIRST and linked_before(units, facts) else ONE_FIRST


def may_reboot(store: RunStore, hostvars: Any, desk: str) -> bool:
    """Whether role desk_reboot may reboot this desk: its policy allows it, and its facts or a change of this run ask for it."""
    values = _set_of(hostvars, desk, (REBOOT_POLICY.variable, LOCK_REBOOT.variable))
    policy = REBOOT_POLICY.read(values)
    if policy == "inherit":
        policy = LOCK_REBOOT.read(values)
    part = store.part("facts", desk)
    facts = part.data.get("spark") if part else None
    if policy == "never" or not facts:
        return False
    return bool(reboot_reasons(from_dict(Desk, facts)) or changed_since_facts(store, desk))


def announcement(stage: str, run: Run, chosen: list[Wave]) -> str:
    """One line for the admin: who goes first, and how many waves follow."""
    first = [desk for desk in chosen[0].desks if desk in chosen[1].after]
    names = list(dict.fromkeys(run.members[desk].stack or desk for desk in first))
    more = "one more wave" if len(chosen) == 2 else f"{len(chosen) - 1} more waves"
    return f"Stage {stage}: {', '.join(names)} first, then {more} unless a desk is lost (spark_waves)."
