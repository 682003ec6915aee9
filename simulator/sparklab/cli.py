"""The command line of the simulator."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sparklab import (
    archives,
    desks,
    engine,
    files,
    inventory,
    lab,
    laws,
    net,
    paths,
    requirements,
    spec,
    state,
    status,
    subnets,
    switches,
    vmlab,
)
from sparklab.errors import LabError

DEFAULT_LAB = "demo"
DEFAULT_FILE = "two_pairs"


def say(text: str) -> None:
    """A line of progress."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


def run(argv: Sequence[str]) -> int:
    """Run one command; an error is one sentence on stderr and a code."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print(
            "lab: interrupted; run the same command again to continue, or `simulator/lab down` to remove the lab.",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:
        return 0


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--lab",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help=f"the lab's name (default: the variable LAB, or {DEFAULT_LAB}); several labs can run at once",
    )
    top = argparse.ArgumentParser(
        prog="simulator/lab",
        description="A lab of simulated DGX Spark desks on this machine. It has no real GPU, ConnectX-7 or speed: docs/simulator.md says "
        "what is real and what is only simulated.",
        parents=[common],
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, function: Any, text: str, **more: Any) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", parents=[common], **more)
        one.set_defaults(run=function)
        return one

    up = command("up", do_up, "make a lab, or complete a half-made one, and start its desks")
    up.add_argument(
        "labfile",
        nargs="?",
        metavar="LABFILE",
        help=f"a lab's description (default: {DEFAULT_FILE} of simulator/labs/)",
    )
    up.add_argument("--pairs", type=int, metavar="N", help="instead of a file: N plain pairs, connected on port 0")
    up.add_argument(
        "--enrolled",
        action="store_true",
        help="skip first contact: the lab's ssh key is on the desks, their host keys are known",
    )
    up.add_argument(
        "--engine",
        choices=engine.CHOICES,
        default=os.environ.get("ENGINE") or None,
        help="the container engine (default: podman, else docker); qemu: desks are virtual machines with real RDMA",
    )
    up.add_argument(
        "--image",
        choices=("trixie", "noble", "bookworm"),
        default="trixie",
        help="what desks are made from: Debian trixie (default, no registry needed), Ubuntu 24.04 (containers), Debian bookworm (qemu)",
    )
    up.add_argument("--subnet", type=int, metavar="N", help="use 10.N.0.0/22 for management (default: a free one)")
    down = command("down", do_down, "remove a lab and everything that was made for it")
    down.add_argument("--all", action="store_true", help="every lab on this machine")
    down.add_argument("--purge", action="store_true", help="also images, caches and keys; lists what was installed on this machine")
    command("status", do_status, "show desks, cables, faults and processes of a lab").add_argument(
        "--json", action="store_true", help="as JSON"
    )
    inv = command("inventory", do_inventory, "print the lab as an Ansible inventory")
    inv.add_argument("--list", action="store_true", help="dynamic inventory JSON (the default)")
    inv.add_argument("--host", metavar="DESK", help="variables of one desk")
    inv.add_argument("--yaml", action="store_true", help="as a static YAML inventory")
    command("known-hosts", do_known_hosts, "print the host keys of the enrolled desks")
    pw = command("password", do_password, "print the login password of a desk's labadmin")
    pw.add_argument("desk", metavar="DESK")
    sheet = command("sheet", do_sheet, "print the lab sheet (CSV) that an admin would have of these desks")
    sheet.add_argument("--fingerprints", action="store_true", help="with the desks' host-key fingerprints")
    sheet.add_argument(
        "--folder",
        action="store_true",
        help="write an admin's inventory (sheet, login, passwords) into the lab's folder and print its path",
    )

    cable = command("cable", None, "pull, plug or move a cable")
    acts = cable.add_subparsers(metavar="ACTION", required=True)
    pull = acts.add_parser(
        "pull",
        parents=[common],
        help="pull a cable, both ends or one",
        description="Pull a cable out of both ports, or out of one.",
    )
    pull.add_argument("cable", metavar="CABLE")
    pull.add_argument("port", nargs="?", metavar="DESK/PORT", help="only this end")
    plug = acts.add_parser(
        "plug",
        parents=[common],
        help="plug loose ends into ports",
        description="Plug the loose ends of a cable back in where the lab's description has them, or into the given ports.",
    )
    plug.add_argument("cable", metavar="CABLE")
    plug.add_argument("port", nargs="*", metavar="DESK/PORT")
    move = acts.add_parser(
        "move",
        parents=[common],
        help="move one end to another port",
        description="Move one end of a cable to another port.",
    )
    move.add_argument("cable", metavar="CABLE")
    move.add_argument("source", metavar="FROM", help="DESK/PORT it is in")
    move.add_argument("target", metavar="TO", help="DESK/PORT it goes to")
    for one, action in ((pull, "pull"), (plug, "plug"), (move, "move")):
        one.set_defaults(run=do_cable, action=action)

    told = "set a port of a switch: speed=100|200, mtu=N, vlan=N, bridge=N, dark=true|false; or a switch: dhcp=SUBNET[,SUBNET]|off"
    switch = command("switch", do_switch, told)
    switch.add_argument("port", metavar="SWITCH[/PORT]")
    switch.add_argument("setting", nargs="+", metavar="NAME=VALUE")
    power = command("power", do_power, "reboot desks, switch them off or on, or cut their mains power")
    power.add_argument(
        "action", choices=("reboot", "off", "on", "drain"), help="drain: power off without asking the desk, wait, power on again"
    )
    power.add_argument("desk", nargs="+", metavar="DESK")
    power.add_argument("--no-wait", action="store_true", help="do not wait until ssh answers")

    fault = command("fault", None, "set, clear or list faults")
    acts = fault.add_subparsers(metavar="ACTION", required=True)
    one = acts.add_parser(
        "set",
        parents=[common],
        help="give a desk a fault",
        description="Give a desk a fault, with parameters as key=value (values are YAML).",
    )
    one.add_argument("desk", metavar="DESK")
    one.add_argument("fault", metavar="NAME")
    one.add_argument("parameter", nargs="*", metavar="KEY=VALUE")
    one.set_defaults(run=do_fault_set)
    one = acts.add_parser(
        "clear",
        parents=[common],
        help="remove a fault",
        description="Remove one fault from a desk, or every fault if none is named.",
    )
    one.add_argument("desk", metavar="DESK")
    one.add_argument("fault", nargs="?", metavar="NAME")
    one.set_defaults(run=do_fault_clear)
    one = acts.add_parser(
        "list",
        parents=[common],
        help="the available faults, and those that are set",
        description="List all available faults, with those that are set in the lab.",
    )
    one.add_argument("desk", nargs="?", metavar="DESK")
    one.set_defaults(run=do_fault_list)

    archive = command("archive", None, "what the lab's apt archives offer")
    acts = archive.add_subparsers(metavar="ACTION", required=True)
    one = acts.add_parser(
        "publish",
        parents=[common],
        help="publish another set of builds",
        description="Publish another set of builds; like live archives, builds that are not in the set disappear.",
    )
    one.add_argument("set", metavar="SET", help=f"one of: {', '.join(archives.set_names())}")
    one.set_defaults(run=do_archive_publish)
    one = acts.add_parser(
        "show",
        parents=[common],
        help="packages and versions on offer",
        description="List the packages and versions that each archive offers now.",
    )
    one.add_argument("package", nargs="?", metavar="PACKAGE")
    one.set_defaults(run=do_archive_show)

    ex = command("exec", do_exec, "run a command in a desk as its root")
    ex.add_argument("desk", metavar="DESK")
    ex.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")
    ssh = command("ssh", do_ssh, "log in to an enrolled desk as labadmin")
    ssh.add_argument("desk", metavar="DESK")
    ssh.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    logs = command("logs", do_logs, "show a desk's journal, or a service's log")
    logs.add_argument("what", metavar="DESK|SERVICE", help="a desk, or one of: watcher, httpd, dnsmasq")
    reset = command("reset", do_reset, "bring a running lab back to its description: cables, faults, power, file systems")
    reset.add_argument("desk", nargs="*", metavar="DESK", help="only these desks (default: the whole lab)")
    img = command("image", do_image, "build the desks' images now, or list them")
    img.add_argument("--list", action="store_true", help="list what exists")
    img.add_argument("--engine", choices=engine.ENGINES, default=os.environ.get("ENGINE") or None)
    img.add_argument("--image", choices=("trixie", "noble"), default="trixie")
    img.add_argument("--model", action="append", metavar="MODEL", help="with this model's packages (repeat for more)")
    req = command("requirements", requirements.command, "list what this machine needs; with --install, add what is missing")
    req.add_argument("--install", action="store_true", help="install what is missing, after asking")
    req.add_argument("--yes", action="store_true", help="do not ask (or set the variable YES=1)")
    req.add_argument("--desks", type=int, default=4, metavar="N", help="how many desks will run (more than 20 need a sysctl)")
    req.add_argument("--engine", choices=engine.CHOICES, default=os.environ.get("ENGINE") or None)
    command("labs", do_labs, "list the labs on this machine")
    return top


def lab_name(arguments: argparse.Namespace) -> str:
    """The lab that is meant."""
    return paths.check_lab_name(getattr(arguments, "lab", None) or os.environ.get("LAB") or DEFAULT_LAB)


def need_root() -> None:
    """Refuse to go on without root."""
    if os.geteuid() != 0:
        raise LabError("root is needed for containers and network namespaces; run this with sudo.", code=2)


@contextlib.contextmanager
def opened(arguments: argparse.Namespace) -> Any:
    """The lab, held for a change; its services are started again if they died."""
    need_root()
    name = lab_name(arguments)
    state.Record.load(name)
    with state.locked(name):
        one = lab_of(state.Record.load(name))
        if not one.record.data.get("complete"):
            raise LabError(f"lab {name!r} is half made; `simulator/lab up --lab {name}` completes it, `down` removes it.")
        if not net.exists(one.netns):
            raise LabError(f"lab {name!r} has lost its network (was this machine restarted?); `simulator/lab up --lab {name}` rebuilds it.")
        one.ensure_services()
        yield one


def reader(arguments: argparse.Namespace) -> lab.Lab:
    """The lab, for reading only."""
    need_root()
    return lab_of(state.Record.load(lab_name(arguments)))


def lab_of(record: state.Record) -> lab.Lab:
    """The lab of a record: of containers or of virtual machines."""
    kind = vmlab.VmLab if record.data["engine"]["name"] == engine.MACHINES else lab.Lab
    return kind(record, say)


def do_up(arguments: argparse.Namespace) -> int:
    need_root()
    name = lab_name(arguments)
    began = time.monotonic()
    path = paths.lab_dir(name) / "state.json"
    given = arguments.labfile is not None or arguments.pairs is not None
    if arguments.labfile is not None and arguments.pairs is not None:
        raise LabError("give either a LABFILE or --pairs N, not both.", code=2)
    description = None if not given and path.exists() else _description(arguments)
    if description is not None:
        for desk in spec.parse(description).desks.values():
            desks.load_model(desk.model)
    requirements.check(arguments.engine, len((description or {}).get("desks", {})) + state.desks_of_others(name))
    with state.locked(name):
        if path.exists():
            record = state.Record.load(name)
            if description is not None and record.data["spec"] != description:
                raise LabError(
                    f"lab {name!r} already exists with a different description; take it down first: simulator/lab down --lab {name}"
                )
            if arguments.engine and arguments.engine != record.data["engine"]["name"]:
                raise LabError(f"lab {name!r} runs on {record.data['engine']['name']}; take it down first: simulator/lab down --lab {name}")
            record.data["enrolled"] = record.data["enrolled"] or arguments.enrolled
        else:
            assert description is not None
            tool = engine.detect(arguments.engine)
            _refuse_leftovers(name, tool)
            with state.choosing():
                record = state.new(
                    name,
                    description,
                    engine={"name": tool.name, "runtime": tool.runtime},
                    subnet=subnets.choose([*net.used_networks(), *state.subnets_of_others(name)], arguments.subnet),
                    enrolled=arguments.enrolled,
                    distribution=arguments.image,
                )
                record.data["complete"] = False
                record.save()
        record.data["complete"] = False
        record.save()
        one = lab_of(record)
        one.make()
        on = [desk for desk in record.spec.desks if record.desk(desk).get("running")]
        one.wait_ready([desk for desk in on if one.listens(desk)])
        one.write_known_hosts()
        one.settle()
        record.data["complete"] = True
        record.save()
    say(
        f"{len(on)} of {len(record.spec.desks)} desks respond on ssh ({time.monotonic() - began:.1f} s); "
        f"lab {name!r} is 10.{one.number}.0.0/22"
    )
    return 0


def _description(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.pairs is not None:
        return spec.generated(arguments.pairs)
    text = arguments.labfile or DEFAULT_FILE
    path = Path(text)
    ready = paths.SIMULATOR / "labs" / f"{text}.yml"
    return lab.load_description(ready if not path.exists() and ready.exists() else path)


def _refuse_leftovers(name: str, tool: engine.Engine) -> None:
    """Containers or a namespace without a record are what is left of a lab whose record was deleted by hand."""
    if tool.find(name) or net.exists(net.netns_name(name)):
        raise LabError(f"parts of a lab {name!r} without a record are left; remove them first: simulator/lab down --lab {name}")


def do_down(arguments: argparse.Namespace) -> int:
    need_root()
    names = state.names() if arguments.all else [lab_name(arguments)]
    for name in names:
        if not paths.lab_dir(name).exists():
            removed = lab.destroy(name, say)
        else:
            with state.locked(name):
                removed = lab.destroy(name, say)
        say(f"lab {name!r} is removed" if removed else f"there was no lab {name!r}")
    if arguments.purge:
        if state.names():
            raise LabError(f"images and caches are kept; remaining labs: {', '.join(state.names())}")
        for tool_name in engine.ENGINES:
            if shutil.which(tool_name):
                with contextlib.suppress(LabError):
                    tool = engine.detect(tool_name)
                    for image in sorted(tool.images(), key=lambda entry: "base" in entry["name"]):
                        tool.call("rmi", "-f", image["id"].split(":")[-1], check=False)
                        say(f"removed image {image['name']}")
        installed = requirements.installed_by_us()
        shutil.rmtree(paths.CACHE_ROOT, ignore_errors=True)
        with contextlib.suppress(OSError):
            paths.STATE_ROOT.rmdir()
        say(f"removed {paths.CACHE_ROOT}")
        if installed:
            say(f"still on this machine, installed for the simulator: {installed}")
    return 0


def do_status(arguments: argparse.Namespace) -> int:
    data = status.collect(reader(arguments))
    print(json.dumps(data, indent=1) if arguments.json else "\n".join(status.lines(data)))
    return 0


def do_inventory(arguments: argparse.Namespace) -> int:
    one = reader(arguments)
    if not one.record.data.get("complete"):
        raise LabError(f"lab {one.name!r} is half made; `simulator/lab up --lab {one.name}` completes it.")
    if arguments.host:
        one.record.desk(arguments.host)
        print(json.dumps(inventory.build(one)["_meta"]["hostvars"][arguments.host]))
    elif arguments.yaml:
        print(yaml.safe_dump(inventory.as_yaml(one), sort_keys=False), end="")
    else:
        print(json.dumps(inventory.build(one), indent=1))
    return 0


def do_known_hosts(arguments: argparse.Namespace) -> int:
    one = reader(arguments)
    with contextlib.suppress(FileNotFoundError):
        print((one.record.dir / "known_hosts").read_text(encoding="utf-8"), end="")
    return 0


def do_password(arguments: argparse.Namespace) -> int:
    one = reader(arguments)
    one.record.desk(arguments.desk)
    print(one.passwords()[arguments.desk])
    return 0


def do_sheet(arguments: argparse.Namespace) -> int:
    if arguments.folder:
        need_root()
        print(inventory.write_folder(reader(arguments), arguments.fingerprints))
        return 0
    print(inventory.sheet(reader(arguments), arguments.fingerprints), end="")
    return 0


def do_cable(arguments: argparse.Namespace) -> int:
    with opened(arguments) as one:
        wiring = one.record.wiring
        names = one.record.spec.desks

        def end(text: str) -> spec.End:
            return spec.parse_end(text, "cable", names, one.record.spec.switches)

        if arguments.action == "pull":
            one.cables_changed(laws.pulled(wiring, arguments.cable, end(arguments.port) if arguments.port else None))
        elif arguments.action == "plug":
            laws.known(wiring, arguments.cable)
            ends = tuple(end(text) for text in arguments.port) or laws.home(one.record.spec.cables[arguments.cable], wiring)
            if not ends:
                raise LabError(f"{arguments.cable} is already where the lab's description has it.")
            one.cables_changed(laws.plugged(wiring, arguments.cable, ends))
        else:
            one.cable_moved(arguments.cable, end(arguments.source), end(arguments.target))
        places = " - ".join(str(place) if place else "loose" for place in one.record.wiring.ends[arguments.cable])
        say(f"{arguments.cable}: {places}")
        for name in names:
            leave = one.record.desk(name).get("leave_at")
            if leave:
                say(f"{name}: the ConnectX-7 leaves the bus in {max(0, leave - time.time()):.0f} s (no cable, power save)")
    return 0


def do_switch(arguments: argparse.Namespace) -> int:
    with opened(arguments) as one:
        name, _slash, number = arguments.port.partition("/")
        one.record.switch_ports(name)
        pairs = [item.partition("=") for item in arguments.setting]
        wrong = next((item for item, (_key, equals, _value) in zip(arguments.setting, pairs, strict=True) if not equals), None)
        if wrong is None and not number and [key for key, _equals, _value in pairs] == ["dhcp"]:
            served = switches.subnets(pairs[0][2], name)
            one.dhcp_changed(name, served)
            say(f"{name}: dhcp {', '.join(served) or 'off'}")
            return 0
        if wrong is not None or not number.isdecimal():
            raise LabError(f"{wrong or arguments.port!r}: write SWITCH/PORT NAME=VALUE, like switch-1/3 speed=200.")
        settings = switches.checked({key: value for key, _equals, value in pairs}, arguments.port)
        one.switch_changed(name, int(number), settings)
        say(f"{arguments.port}: {', '.join(f'{key} {value}' for key, value in settings.items())}")
    return 0


def do_power(arguments: argparse.Namespace) -> int:
    with opened(arguments) as one:
        for name in arguments.desk:
            one.record.desk(name)
        if arguments.action == "drain":
            one.drain(arguments.desk)
        else:
            for name in arguments.desk:
                one.power(arguments.action, name)
        if arguments.action != "off" and not arguments.no_wait:
            one.wait_ready([name for name in arguments.desk if one.listens(name)])
        say(f"{', '.join(arguments.desk)}: {'off' if arguments.action == 'off' else 'on'}")
    return 0


def do_fault_set(arguments: argparse.Namespace) -> int:
    known = lab.known_faults()
    if arguments.fault not in known:
        raise LabError(f"there is no fault {arguments.fault!r}; `simulator/lab fault list` shows them.")
    params: dict[str, Any] = {}
    for text in arguments.parameter:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise LabError(f"{text!r} is not a parameter: write key=value.")
        try:
            params[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise LabError(f"{text!r}: the value is not YAML.") from error
    with opened(arguments) as one:
        one.record.desk(arguments.desk)
        before = dict(one.record.data["faults"].get(arguments.desk, {}))
        one.record.data["faults"].setdefault(arguments.desk, {})[arguments.fault] = params
        one.faults_changed(arguments.desk, before)
    say(f"{arguments.desk}: {arguments.fault} is set")
    return 0


def do_fault_clear(arguments: argparse.Namespace) -> int:
    with opened(arguments) as one:
        one.record.desk(arguments.desk)
        faults = one.record.data["faults"].get(arguments.desk, {})
        before = dict(faults)
        if arguments.fault and arguments.fault not in faults:
            raise LabError(f"{arguments.desk} has no fault {arguments.fault!r}; set: {', '.join(faults) or 'none'}.")
        for name in [arguments.fault] if arguments.fault else list(faults):
            del faults[name]
        one.faults_changed(arguments.desk, before)
    say(f"{arguments.desk}: {arguments.fault or 'every fault'} is cleared")
    return 0


def do_fault_list(arguments: argparse.Namespace) -> int:
    known = lab.known_faults()
    for name in sorted(known):
        print(f"{name:24} {known[name]}")
    with contextlib.suppress(LabError):
        one = reader(arguments)
        print()
        for desk, faults in one.record.data["faults"].items():
            if faults and arguments.desk in (None, desk):
                print(f"{desk}: " + ", ".join(f"{name} {json.dumps(params)}" if params else name for name, params in faults.items()))
    return 0


def do_archive_publish(arguments: argparse.Namespace) -> int:
    with opened(arguments) as one:
        archives.publish(one.record, arguments.set)
        one.record.save()
    say(f"the archives now offer the set {arguments.set!r}")
    return 0


def do_archive_show(arguments: argparse.Namespace) -> int:
    one = reader(arguments)
    for archive, package, version in archives.offered(one.record):
        if arguments.package in (None, package):
            print(f"{archive:14} {package:55} {version}")
    return 0


def _running(arguments: argparse.Namespace) -> tuple[lab.Lab, int]:
    one = reader(arguments)
    entry = one.record.desk(arguments.desk)
    if not entry.get("running") or not files.process_alive(entry.get("pid")):
        raise LabError(f"{arguments.desk} is off; switch it on with `simulator/lab power on {arguments.desk}`.")
    return one, int(entry["pid"]["pid"])


def do_exec(arguments: argparse.Namespace) -> int:
    argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    if not argv:
        raise LabError("say what to run: simulator/lab exec DESK -- COMMAND [ARGUMENT...]", code=2)
    one, _ = _running(arguments)
    line = one.exec_argv(arguments.desk, argv, terminal=sys.stdin.isatty() and sys.stdout.isatty())
    sys.stdout.flush()
    os.execvp(line[0], line)


def do_ssh(arguments: argparse.Namespace) -> int:
    one, _ = _running(arguments)
    words = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    line = [*one.ssh_argv(arguments.desk, "labadmin"), *words]
    sys.stdout.flush()
    os.execvp("ssh", line)


def do_logs(arguments: argparse.Namespace) -> int:
    if arguments.what in ("watcher", "httpd", "dnsmasq"):
        one = reader(arguments)
        with contextlib.suppress(FileNotFoundError):
            print((one.record.dir / f"{arguments.what}.log").read_text(encoding="utf-8", errors="replace"), end="")
        return 0
    arguments.desk = arguments.what
    one = reader(arguments)
    one.record.desk(arguments.desk)
    print(one.console(arguments.desk), end="")
    return 0


def do_reset(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    with opened(arguments) as one:
        for name in arguments.desk:
            one.record.desk(name)
        one.record.data["complete"] = False
        one.record.save()
        one.reset(arguments.desk or None)
        names = [name for name in one.record.spec.desks if one.record.desk(name).get("running")]
        one.wait_ready([name for name in names if one.listens(name)])
        one.write_known_hosts()
        one.settle()
        one.record.data["complete"] = True
        one.record.save()
    say(f"lab {one.name!r} matches its description again ({time.monotonic() - began:.1f} s)")
    return 0


def do_image(arguments: argparse.Namespace) -> int:
    need_root()
    tool = engine.detect(arguments.engine)
    if arguments.list:
        for entry in tool.images():
            print(entry["name"])
        return 0
    requirements.check(arguments.engine, 0)
    from sparklab import image

    base = image.ensure_base(tool, arguments.image, say)
    print(base)
    for model in arguments.model or []:
        print(archives.ensure_model_image(tool, base, arguments.image, desks.load_model(model), say))
    return 0


def do_labs(arguments: argparse.Namespace) -> int:
    need_root()
    for name in state.names():
        try:
            record = state.Record.load(name)
            state_text = "complete" if record.data.get("complete") else "half made"
            print(f"{name:16} {len(record.spec.desks)} desks, 10.{record.data['subnet']}.0.0/22, {state_text}")
        except LabError as error:
            print(f"{name:16} {error}")
    return 0
