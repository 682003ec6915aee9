"""The lab's own processes: DHCP and names, the archives' web server, the watcher of the desks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from sparklab import archives, describe, files, net, paths, shell, subnets, switches
from sparklab.errors import LabError
from sparklab.state import Record


def ensure(record: Record, leased: Mapping[str, str], watched: bool = True) -> None:
    """Start what is not running. ``leased`` is the address that DHCP gives each desk, ``watched``: somebody starts desks that reboot.

    :raises LabError: when a process ends as soon as it is started, with its last line.
    """
    processes = record.data["processes"]
    number = int(record.data["subnet"])
    _write_leases(record, leased)
    _end_strays(record)
    if not files.process_alive(processes.get("dnsmasq")):
        _spawn(record, "dnsmasq", _dnsmasq_argv(record, number), lab_network=True)
    if not files.process_alive(processes.get("httpd")):
        argv = [sys.executable, "-m", "sparklab.httpd", str(record.dir / "archive"), subnets.server_address(number)]
        _spawn(record, "httpd", argv, lab_network=True)
    if watched and not files.process_alive(processes.get("watcher")):
        _spawn(record, "watcher", [sys.executable, "-m", "sparklab.watcher", record.name])
    record.save()


def _end_strays(record: Record) -> None:
    """A command that was killed between starting a process and recording it left one that holds the address."""
    known = {int(process["pid"]) for process in record.data["processes"].values() if process}
    known |= {int(desk["pid"]["pid"]) for desk in record.data["desks"].values() if desk.get("pid")}
    for pid in net.processes(net.netns_name(record.name)):
        if pid not in known:
            files.end_process(files.describe_process(pid))


def _write_leases(record: Record, leased: Mapping[str, str]) -> None:
    """The fixed leases: which desk's management MAC gets which address."""
    lines = [f"{describe.management_mac(desk)},{leased[name]},{desk.hostname},infinite\n" for name, desk in record.spec.desks.items()]
    path, text = record.dir / "leases.conf", "".join(lines)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        # A fresh server: the old one would not give an address away that it has leased to another.
        files.end_process(record.data["processes"].get("dnsmasq"))
        (record.dir / "leases").unlink(missing_ok=True)
    files.write_atomic(path, text)


def _dnsmasq_argv(record: Record, number: int) -> list[str]:
    server, network = subnets.server_address(number), subnets.subnet(number)
    argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--pid-file=", "--no-resolv"]
    argv += ["--no-hosts", "--interface=mgmt", "--bind-interfaces", "--except-interface=lo", "--dhcp-authoritative"]
    argv += [f"--dhcp-range={network.network_address + 512},{network.network_address + 765},{network.netmask},12h"]
    argv += [f"--dhcp-hostsfile={record.dir / 'leases.conf'}", f"--dhcp-leasefile={record.dir / 'leases'}"]
    argv += [f"--dhcp-option=option:router,{server}", f"--dhcp-option=option:dns-server,{server}"]
    argv += [f"--address=/{host}/{server}" for host in archives.hosts()]
    return argv


def serve(record: Record, switch: switches.SwitchSpec, bridge: str, functions: Mapping[str, list[dict[str, Any]]], fresh: bool) -> None:
    """Have a switch's DHCP server (dnsmasq on the bridge of its VLAN 1) give addresses of the subnets that are set now, where any are.

    ``fresh``: the bridge was made just now.
    """
    name, subnets_now = f"dhcp-{switch.name}", record.switch_dhcp(switch.name)
    hosts, leases = record.dir / f"{name}.conf", record.dir / f"{name}.leases"
    text = "".join(f"# {subnet}\n" for subnet in subnets_now) + "".join(switches.server_hosts(found) for found in functions.values())
    if not subnets_now and not hosts.exists():
        return
    if fresh or not hosts.exists() or hosts.read_text(encoding="utf-8") != text:
        files.end_process(record.data["processes"].pop(name, None))
        leases.unlink(missing_ok=True)
        files.write_atomic(hosts, text)
        lines = [f"address add {address} dev {bridge}" for address in switches.server_addresses(subnets_now)]
        net.batch(net.netns_name(record.name), [f"address flush dev {bridge}", f"link set {bridge} address {switch.mac}", *lines])
        record.save()
    if subnets_now and not files.process_alive(record.data["processes"].get(name)):
        argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--pid-file=", "--port=0", "--no-ping"]
        argv += [f"--interface={bridge}", "--bind-interfaces", "--except-interface=lo", "--dhcp-authoritative"]
        argv += [f"--dhcp-hostsfile={hosts}", f"--dhcp-leasefile={leases}", *switches.server_arguments(subnets_now)]
        _spawn(record, name, argv, lab_network=True)


def _spawn(record: Record, name: str, argv: list[str], lab_network: bool = False) -> None:
    """Start a process of the lab that outlives this command, and record it."""
    if lab_network:
        argv = ["nsenter", f"--net={net.NETNS_DIR / net.netns_name(record.name)}", "--", *argv]
    log = record.dir / f"{name}.log"
    environment = {**os.environ, "PYTHONPATH": str(paths.SIMULATOR), "LC_ALL": "C"}
    with open(log, "ab") as stream:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            env=environment,
            cwd="/",
        )
    record.data["processes"][name] = files.describe_process(process.pid)
    record.save()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.3)
        with contextlib.suppress(OSError):
            text = shell.last_line(log.read_text(encoding="utf-8", errors="replace"))
            raise LabError(f"the lab's {name} ended at once: {text}")
