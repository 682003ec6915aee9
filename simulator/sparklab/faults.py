"""A lab's faults and first-boot upgrades: done to desks and taken back."""

from __future__ import annotations

from typing import Any

from sparklab import actions, archives, desks, files, net, services
from sparklab.errors import LabError
from sparklab.power import Power


class Faults(Power):
    """What is wrong with desks, and what ends by itself."""

    def write_archive_faults(self) -> None:
        """Tell the archives' web server which desk sees which faults."""
        archives.write_faults(self.record, self.leased())

    def ensure_services(self) -> None:
        """Start what is not running of the lab's own processes."""
        services.ensure(self.record, self.leased())

    def faults_changed(self, name: str, before: dict[str, Any]) -> None:
        """Carry out a changed set of faults of one desk."""
        self.record.save()
        self.write_archive_faults()
        self.ensure_services()
        entry = self.record.desk(name)
        now = self.record.data["faults"].get(name, {})
        if entry.get("running"):
            if ("mute" in now) != ("mute" in before):
                net.batch(self.netns, net.attach_lines(self.leg(name, None), "mgmt", "mute" not in now))
            if "frozen" in before and "frozen" not in now:
                self.engine.call("unpause", entry["container"])
        self._act(name, before, now)
        lists = self.functions()
        if entry.get("running") and entry.get("pid") and entry.get("nic"):
            there = net.links(self.netns)
            pid = int(entry["pid"]["pid"])
            for number, function in enumerate(lists[name]):
                leg = self.leg(name, number)
                if function["present"] and leg not in there:
                    net.add_leg(self.netns, leg, pid, function["netdev"], function["mac"])
                elif not function["present"] and leg in there:
                    net.remove_legs(self.netns, [leg])
            self.light()
        changed = {name, *self.write_desks()}
        if "frozen" in now:
            # A desk that stands still hears nothing; it reads its description again when it goes on.
            changed.discard(name)
            if "frozen" not in before and entry.get("running"):
                self.engine.call("pause", entry["container"])
        self.tell(sorted(changed))

    def _act(self, name: str, before: dict[str, Any], now: dict[str, Any]) -> None:
        """Do and undo what faults do to a desk's file system."""
        entry = self.record.desk(name)
        todo = [(fault, now[fault], True) for fault in now if fault in actions.ACTIONS and before.get(fault) != now[fault]]
        todo += [(fault, before[fault], False) for fault in before if fault in actions.ACTIONS and fault not in now]
        if not todo:
            return
        if not files.process_alive(entry.get("pid")):
            self.record.data["faults"][name] = before
            self.record.save()
            raise LabError(f"{name} is off; {todo[0][0]} needs a running desk.")
        pid = int(entry["pid"]["pid"])
        for fault, params, do in todo:
            if fault == "hostkey_changed" and do:
                entry["known_keys"] = desks.host_keys(pid)
            _, act, undo = actions.ACTIONS[fault]
            try:
                (act if do else undo)(pid, params or {}, self.record.data["distribution"])
            except LabError:
                self.record.data["faults"][name] = before
                self.record.save()
                raise
            if fault == "hostkey_changed" and not do:
                entry.pop("known_keys", None)
        self.write_known_hosts()

    def settle(self) -> None:
        """Do what the described faults do to file systems, on desks that are new."""
        for name in self.record.spec.desks:
            entry = self.record.desk(name)
            if entry.pop("fresh", False) and entry.get("running"):
                self._act(name, {}, self.record.data["faults"].get(name, {}))
        self.record.save()

    def upgrades_due(self) -> dict[str, float]:
        """Desks in a first-boot upgrade that ends by itself, and when it does."""
        found = {}
        for name, faults in self.record.data["faults"].items():
            entry = self.record.desk(name)
            params = faults.get("first_boot_upgrade") or {}
            if entry.get("running") and "seconds" in params:
                found[name] = float(entry.get("booted_at", 0.0)) + float(params["seconds"])
        return found

    def finish_upgrade(self, name: str) -> None:
        """The first-boot upgrade is done: the desk starts again by itself."""
        del self.record.data["faults"][name]["first_boot_upgrade"]
        self.record.save()
        self.tell(self.write_desks([name]))
        self.power("reboot", name)
