"""The lab's watcher: starts a desk again that rebooted by itself, and lets unplugged adapters leave after their delay.

One process per lab, started by the lab's command and recorded there. It does nothing but wait: it wakes when a desk's
first process ends, and once a second to look for a changed record.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
import traceback
from functools import partial
from typing import Any

from sparklab import files, paths, state
from sparklab.errors import LabError
from sparklab.lab import Lab

PAUSE = 1.0


def wish(lab: Lab, name: str) -> str:
    """What a desk left word of when it stopped: `reboot`, `poweroff`, `halt`, or nothing."""
    path = lab.record.desk_dir(name) / "power-request"
    try:
        said = files.own_text(path).strip()
    except OSError:
        return ""
    return said if said in ("reboot", "poweroff", "halt") else ""


def _gone(lab: Lab, container: str) -> bool:
    return not lab.engine.pid(container)


def handle(name: str, stopped: set[str], now: float) -> None:
    """Look at the desks that stopped and at the delays that are over."""
    with state.locked(name):
        lab = Lab(state.Record.load(name), partial(print, flush=True))
        for desk in sorted(stopped):
            entry = lab.record.data["desks"].get(desk, {})
            # A command of the lab may have dealt with it while this process waited for the lock.
            if not entry.get("running") or not entry.get("pid") or files.process_alive(entry["pid"]):
                continue
            said = wish(lab, desk)
            files.wait_until(partial(_gone, lab, entry["container"]), 10)
            print(f"{desk} stopped ({said or 'without output'})", flush=True)
            lab.went_off(desk)
            if said == "reboot":
                lab.boot([desk])
        lab.leave(now)
        for desk, moment in lab.upgrades_due().items():
            if moment <= now:
                print(f"{desk} has finished its first-boot upgrade and is rebooting", flush=True)
                lab.finish_upgrade(desk)


def main(name: str) -> int:
    """Watch until the lab's record is gone."""
    path = paths.lab_dir(name) / "state.json"
    seen = 0
    fds: dict[int, tuple[str, dict[str, Any]]] = {}
    due: list[float] = []
    poller = select.poll()
    while True:
        try:
            stamp = path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0
        if stamp != seen:
            seen = stamp
            with contextlib.suppress(LabError):
                record = state.Record.load(name)
                me = record.data["processes"].get("watcher")
                if me and me["pid"] != os.getpid() and files.process_alive(me):
                    return 0
                due = [desk["leave_at"] for desk in record.data["desks"].values() if "leave_at" in desk]
                if record.data.get("complete"):
                    due += Lab(record).upgrades_due().values()
                wanted = {desk: entry["pid"] for desk, entry in record.data["desks"].items() if entry.get("running") and entry.get("pid")}
                for number, (desk, process) in list(fds.items()):
                    if wanted.get(desk) != process:
                        poller.unregister(number)
                        os.close(number)
                        del fds[number]
                watched = {desk for desk, _ in fds.values()}
                for desk, process in wanted.items():
                    if desk in watched:
                        continue
                    try:
                        number = os.pidfd_open(int(process["pid"]))
                    except OSError:
                        number = -1
                    if number >= 0:
                        fds[number] = (desk, process)
                        poller.register(number, select.POLLIN)
        events = poller.poll(PAUSE * 1000)
        stopped = {fds[number][0] for number, _ in events if number in fds}
        now = time.time()
        if stopped or any(moment <= now for moment in due):
            try:
                handle(name, stopped, now)
            except LabError as error:
                print(f"{time.strftime('%H:%M:%S')} {error}", flush=True)
                time.sleep(PAUSE)
            except Exception:
                traceback.print_exc()
                time.sleep(PAUSE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
