"""A lab's cables and switches: carrier, and adapters that come and go with a cable."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from sparklab import describe, laws, net, services, switches
from sparklab.base import Base
from sparklab.errors import LabError
from sparklab.spec import End


class Cabling(Base):
    """The network below the desks, as the cables say."""

    def _add_functions(self, name: str, pid: int, functions: Sequence[dict[str, Any]]) -> None:
        for number, function in enumerate(functions):
            if function["present"]:
                net.add_leg(self.netns, self.leg(name, number), pid, function["netdev"], function["mac"])

    def light(self) -> None:
        """Give every ConnectX-7 leg the bridge and the carrier that the cables and the power say."""
        wiring = self.record.wiring
        there = net.links(self.netns)
        lines: list[str] = []
        made: set[str] = set()
        of_switches = self.switches()
        for name, functions in self.functions().items():
            for number, function in enumerate(functions):
                leg = self.leg(name, number)
                if leg not in there:
                    continue
                end = End(name, int(function["port"]))
                cable = wiring.at(end)
                bridge, mtu = None if cable is None else f"c{self.cable_number(cable)}", net.CABLE_MTU
                far = wiring.peer(end)
                if far is not None and far.desk in of_switches:
                    switch, settings = of_switches[far.desk]
                    bridge, mtu = switches.bridge_name(switch, settings[far.port]), settings[far.port]["mtu"]
                    if bridge not in there and bridge not in made:
                        made.add(bridge)
                        lines += net.bridge_lines(bridge)
                up = laws.carrier(wiring, end)
                if (there[leg]["master"], bool(there[leg]["up"]), there[leg]["mtu"]) != (bridge or "", up, str(mtu)):
                    lines += net.attach_lines(leg, bridge, up, mtu)
        net.batch(self.netns, lines)
        for switch, _ports in of_switches.values():
            bridge = switches.bridge_name(switch, switches.DEFAULTS)
            if bridge in there or bridge in made:
                services.serve(self.record, switch, bridge, self.functions(), fresh=bridge in made)

    def cables_changed(self, wiring: laws.Wiring) -> None:
        """Carry out a new wiring: carrier at once, the adapter's coming at once, its leaving after the delay."""
        self.record.wiring = wiring
        low, high = self.record.spec.hotplug_delay
        lists = self.functions()
        come = []
        for name, desk in self.record.spec.desks.items():
            entry = self.record.desk(name)
            if not entry.get("running") or not entry.get("pid"):
                continue
            present = laws.nic_present(wiring, name, describe.hotplug(desk, self.model(desk.model)))
            if present:
                entry.pop("leave_at", None)
                if not entry.get("nic"):
                    entry["nic"] = True
                    come.append(name)
            elif entry.get("nic") and "leave_at" not in entry:
                entry["leave_at"] = time.time() + low + (high - low) * secrets.randbelow(1000) / 1000
        self.record.save()
        for name in come:
            self._add_functions(name, int(self.record.desk(name)["pid"]["pid"]), lists[name])
        self.light()
        self.tell(self.write_desks())

    def cable_moved(self, cable: str, source: End, target: End) -> None:
        """Move a plug. In between the far end is dark, so that its kernel forgets who was there."""
        after = laws.moved(self.record.wiring, cable, source, target)
        self.cables_changed(laws.pulled(self.record.wiring, cable, source))
        self.cables_changed(after)

    def switch_changed(self, name: str, port: int, settings: dict[str, Any]) -> None:
        """Set a switch's port; the desk behind it sees at once what follows."""
        if port not in self.record.switch_ports(name):
            raise LabError(f"{name} has the ports 1 to {self.record.spec.switches[name].ports}, not {port}.")
        kept = self.record.data.setdefault("switch_ports", {}).setdefault(name, {}).setdefault(str(port), {})
        kept.update(settings)
        self.record.save()
        self.light()
        self.tell(self.write_desks())

    def dhcp_changed(self, name: str, subnets: tuple[str, ...]) -> None:
        """Have a switch's DHCP server give other addresses, or none."""
        self.record.data.setdefault("switch_dhcp", {})[name] = list(subnets)
        self.record.save()
        self.light()

    def leave(self, now: float) -> None:
        """Take the adapters away whose delay is over."""
        for name in self.record.spec.desks:
            entry = self.record.desk(name)
            if entry.get("leave_at", now + 1) > now:
                continue
            entry.pop("leave_at")
            entry["nic"] = False
            self.record.save()
            # The desk first hears that the power goes, then loses the devices.
            self.tell(self.write_desks([name]))
            net.remove_legs(self.netns, [self.leg(name, number) for number in range(4)])
