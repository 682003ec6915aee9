"""Stand-ins of the host: container engine, firmware, update state, clock, LLDP."""

from __future__ import annotations

import grp
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .. import firmware, grub
from ..desk import Desk
from . import common, gpu

# Images this desk already has; anything else would need the internet, which it has not.
IMAGES = ("nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04", "nvcr.io/nvidia/cuda:13.0.1-devel-ubuntu24.04", "ubuntu:24.04")
_DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
    'Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.51/containers/json": dial unix /var/run/docker.sock: connect: permission denied'
)
# Options of docker run that take a value as the next word.
_VALUED = {
    "--name",
    "-e",
    "--env",
    "--env-file",
    "-v",
    "--volume",
    "--gpus",
    "--runtime",
    "--device",
    "--network",
    "--net",
    "-u",
    "--user",
    "-w",
    "--workdir",
    "--entrypoint",
    "--ulimit",
    "--shm-size",
    "--ipc",
    "--platform",
    "--pull",
    "--memory",
    "-m",
    "--label",
    "-l",
    "--mount",
    "--cap-add",
    "--cap-drop",
    "--security-opt",
    "--hostname",
    "-h",
    "--stop-timeout",
    "-p",
}


def _in_group(name: str) -> bool:
    if common.is_root():
        return True
    try:
        return grp.getgrnam(name).gr_gid in os.getgroups()
    except KeyError:
        return False


def docker(argv: list[str]) -> int:
    """A container engine with a few local images and one thing to run in them."""
    context = common.context()
    words = list(argv)
    if words[:1] in (["--version"], ["-v"]):
        print("Docker version 29.2.1, build 0123456")
        return 0
    if not _in_group("docker"):
        print(_DENIED, file=sys.stderr)
        return 1
    command = words[0] if words else ""
    images = tuple(context.desk.model.get("docker", {}).get("images", IMAGES))
    if command == "ps":
        if "-q" not in words and not any(w.startswith("--format") for w in words):
            print("CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES")
        return 0
    if command in ("version", "info"):
        facts = {
            "ServerVersion": "29.2.1",
            "Architecture": "aarch64",
            "OSType": "linux",
            "Runtimes": {"nvidia": {}, "runc": {}},
            "DefaultRuntime": "runc",
            "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"],
        }
        print(
            json.dumps(facts)
            if any("json" in w for w in words)
            else "29.2.1"
            if command == "version"
            else "Server Version: 29.2.1\n Runtimes: io.containerd.runc.v2 nvidia runc\n Architecture: aarch64"
        )
        return 0
    if command in ("image", "images"):
        return _images(words, images)
    if command == "pull":
        return _missing(words[-1], images, pull=True)
    if command == "run":
        return _run(words[1:], images, context)
    print(f"docker: '{command}' is not a docker command.\nSee 'docker --help'", file=sys.stderr)
    return 1


def _images(words: list[str], images: tuple[str, ...]) -> int:
    if words[1:2] == ["inspect"]:
        names = [w for w in words[2:] if not w.startswith("-") and "{{" not in w]
        for name in names:
            if name not in images:
                print(f"Error response from daemon: No such image: {name}", file=sys.stderr)
                return 1
            print(
                "arm64"
                if any("Architecture" in w for w in words)
                else json.dumps([{"RepoTags": [name], "Architecture": "arm64", "Os": "linux"}])
            )
        return 0
    if "-q" in words:
        names = [w for w in words[1:] if not w.startswith("-") and w != "ls"]
        print("\n".join(f"{abs(hash(i)) % 16**12:012x}" for i in images if not names or i in names))
        return 0
    print("REPOSITORY                TAG                       IMAGE ID       CREATED       SIZE")
    for image in images:
        name, _, tag = image.rpartition(":")
        print(f"{name:<26}{tag:<26}0123456789ab   4 weeks ago   412MB")
    return 0


def _missing(image: str, images: tuple[str, ...], pull: bool = False) -> int:
    if image in images:
        if pull:
            print(f"Status: Image is up to date for {image}\n{image}")
        return 0
    host = image.split("/")[0] if "/" in image and "." in image.split("/")[0] else "registry-1.docker.io"
    if not pull:
        print(f"Unable to find image '{image}' locally", file=sys.stderr)
    print(
        f'docker: Error response from daemon: failed to resolve reference "{image}": dial tcp: lookup {host}: no such host', file=sys.stderr
    )
    return 1 if pull else 125


def _run(words: list[str], images: tuple[str, ...], context: common.Context) -> int:
    gpus, entrypoint = False, None
    while words and words[0].startswith("-"):
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if name in _VALUED and not equals and words:
            value = words.pop(0)
        gpus = gpus or name == "--gpus" or (name in ("--runtime", "--device") and "nvidia" in value)
        entrypoint = value if name == "--entrypoint" else entrypoint
    if not words:
        print('docker: "docker run" requires at least 1 argument.', file=sys.stderr)
        return 1
    image, command = words[0], words[1:]
    code = _missing(image, images)
    if code:
        return code
    if entrypoint:
        command = [entrypoint, *command]
    if gpus and context.desk.fault("docker_gpu_broken") is not None:
        print(
            "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime "
            "create failed: could not apply required modification to OCI specification: failed to inject CDI devices: "
            'failed to stat CDI host device "/usr/lib/aarch64-linux-gnu/libcuda.so.580.126.09": no such file or directory',
            file=sys.stderr,
        )
        return 127
    if gpus and (broken := gpu.failure(context)) is not None:
        print(
            "docker: Error response from daemon: failed to create task for container: nvidia-container-cli: initialization "
            f"error: {broken[0].strip().splitlines()[0]}",
            file=sys.stderr,
        )
        return 125
    if not command:
        return 0
    program = os.path.basename(command[0])
    if program == "nvidia-smi":
        if not gpus:
            print(f'docker: Error response from daemon: exec: "{program}": executable file not found in $PATH', file=sys.stderr)
            return 127
        return gpu.nvidia_smi(command[1:])
    if program == "nvcc":
        return gpu.nvcc(command[1:])
    if program in ("uname", "true", "false", "echo", "sh", "bash", "cat", "sleep"):
        return subprocess.run(command, check=False).returncode
    print(f'docker: Error response from daemon: exec: "{command[0]}": executable file not found in $PATH', file=sys.stderr)
    return 127


def fwupdmgr(argv: list[str]) -> int:
    """Firmware devices, what the vendor offers for them, and the capsule that the next boot flashes (see `firmware`)."""
    context = common.context()
    command = next((w for w in argv if not w.startswith("-")), "")
    as_json = "--json" in argv
    devices = firmware.devices(context.desk)
    if command in ("get-devices", "get-topology"):
        if as_json:
            print(json.dumps({"Devices": devices}, indent=2))
            return 0
        print(f"{context.desk.model['dmi'].get('sys_vendor')} {context.desk.model['dmi'].get('product_name')}\n│")
        for device in devices:
            print(f"├─{device['Name']}:\n│     Current version:    {device['Version']}\n│     Vendor:             {device['Vendor']}\n│")
        return 0
    offered = firmware.updates(context.desk)
    if command in ("get-updates", "get-upgrades"):
        print(json.dumps({"Devices": offered}) if as_json else "\n".join(item["Name"] for item in offered) or "No updatable devices")
        return 0 if offered else 2
    if command == "refresh":
        print("Metadata is up to date; use --force to refresh again.")
        return 0 if "--force" in argv else 2
    if command in ("update", "upgrade"):
        return _flash_at_next_boot(context.desk, offered)
    if "--version" in argv:
        print("runtime   org.freedesktop.fwupd         2.0.20")
        return 0
    print("Command not found, see --help", file=sys.stderr)
    return 1


def _flash_at_next_boot(desk: Desk, offered: list[dict[str, Any]]) -> int:
    """``fwupdmgr update``. The words of a refusal are made up: no report shows them."""
    if not common.is_root():
        print("Failed to obtain auth", file=sys.stderr)
        return 1
    if not offered:
        print("No updatable devices")
        return 2
    if firmware.on_battery(desk):
        print("Cannot update: the device requires AC power", file=sys.stderr)
        return 1
    for name in firmware.stage(desk):
        print(f"Successfully installed firmware: {name}\nAn update requires a reboot to complete.")
    return 0


def grub_reboot(argv: list[str]) -> int:
    """The entry of the next start, and of that one only."""
    words = [word for word in argv if not word.startswith("--")]
    if len(words) != 1:
        print("More than one menu entry?" if words else "Menu entry not specified.", file=sys.stderr)
        return 1
    if not common.is_root():
        print("grub-editenv: error: cannot open `/boot/grub/grubenv.new': Permission denied.", file=sys.stderr)
        return 1
    grub.set_environment(Path("/"), {**grub.environment(Path("/")), "next_entry": words[0]})
    return 0


def update_grub(argv: list[str]) -> int:
    """Write the menu of the kernels that are in /boot."""
    del argv
    grub.write_menu()
    print("Generating grub configuration file ...\ndone", file=sys.stderr)
    return 0


def busctl(argv: list[str]) -> int:
    """The dashboard's snapshot of update availability; any other call goes to the real program."""
    if "GetOTAAvailabilitySnapshot" in argv:
        ota = common.context().desk.model.get("ota", {})
        flag = "true" if ota.get("available") else "false"
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        if any(a.startswith("--json") or a == "-j" for a in argv):
            values: list[Any] = [ota.get("state", "ready"), stamp, flag == "true", flag == "true", ota.get("title", "")]
            print(json.dumps({"type": "ssbbs", "data": values}))
        else:
            print(f'ssbbs "{ota.get("state", "ready")}" "{stamp}" {flag} {flag} "{ota.get("title", "")}"')
        return 0
    return common.real("busctl", argv)


def ota_check(argv: list[str]) -> int:
    """check_ota_status.py of the platform: root only."""
    ota = common.context().desk.model.get("ota", {})
    if not common.is_root():
        print("This script must be run as root", file=sys.stderr)
        return 1
    if argv[:1] == ["installed-name"]:
        print(json.dumps({"name": ota.get("name"), "releaseDate": ota.get("release_date")}))
        return 0
    if argv[:1] == ["is-ota-available"]:
        print(json.dumps({"available": bool(ota.get("available"))}))
        return 0
    print("usage: check_ota_status.py {installed-name,is-ota-available}", file=sys.stderr)
    return 2


def timedatectl(argv: list[str]) -> int:
    """Is the clock synchronised; changes go to the real program."""
    words = [w for w in argv if not w.startswith("-")]
    synced = "no" if common.context().desk.fault("clock_unsynced") is not None else "yes"
    zone = "Etc/UTC"
    link = Path("/etc/localtime")
    if link.is_symlink() and "zoneinfo/" in os.readlink(link):
        zone = os.readlink(link).split("zoneinfo/")[1]
    if words[:1] == ["show"]:
        facts = {
            "Timezone": zone,
            "LocalRTC": "no",
            "CanNTP": "yes",
            "NTP": "yes",
            "NTPSynchronized": synced,
            "TimeUSec": time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        }
        wanted = [a.partition("=")[2] for a in argv if a.startswith("--property=")]
        wanted += [argv[i + 1] for i, a in enumerate(argv[:-1]) if a in ("-p", "--property")]
        wanted += [a[2:] for a in argv if a.startswith("-p") and len(a) > 2]
        for name, value in facts.items():
            if not wanted or name in ",".join(wanted).split(","):
                print(value if "--value" in argv else f"{name}={value}")
        return 0
    if words and words[0] != "status":
        return common.real("timedatectl", argv)
    now = time.gmtime()
    print(
        f"               Local time: {time.strftime('%a %Y-%m-%d %H:%M:%S UTC', now)}\n"
        f"           Universal time: {time.strftime('%a %Y-%m-%d %H:%M:%S UTC', now)}\n"
        f"                Time zone: {zone}\nSystem clock synchronized: {synced}\n"
        f"              NTP service: active\n          RTC in local TZ: no"
    )
    return 0
