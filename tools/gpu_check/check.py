# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit this machine over a local connection, record it, replay the recording, and say which readers were fed by real output.

Started by `run` of the archive that tools/gpu_check/pack.py makes; needs nothing but that archive. Exit code 0 when every step worked,
whatever the audit found (a machine that is no DGX Spark is told so); 1 when a step failed or audit and replay disagree.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import os
import pkgutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
COLLECTION = HERE / "collection"
NAME = "this-machine"
ONLY_LIVE = ("MEASURED", "CLOCK")
"""Beginnings of codes that a recording cannot hold."""
NO_TEXT = ("text",)
"""Modules of readers/ that read nothing by themselves."""


def play(playbook: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the collection on this machine."""
    inventory = folder / "inventory.yml"
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory.write_text(json.dumps({"spark_desks": {"hosts": {NAME: host}}}), encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(COLLECTION / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION / ".collections"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "LC_ALL": "C.UTF-8",
    }
    # -P: nothing is imported from the folder that it works in.
    argv = [sys.executable, "-P", "-m", "ansible", "playbook", "-i", str(inventory), str(COLLECTION / "playbooks" / playbook), *more]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False)
    (folder / f"{playbook}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    return done


def codes(findings: list[dict[str, Any]]) -> set[str]:
    """Codes of what is not well."""
    return {item["code"] for item in findings if item["severity"] != "ok" and not item["code"].startswith(ONLY_LIVE)}


def replayed(recording: Path) -> tuple[dict[str, Any], dict[str, list[int]], dict[str, str]]:
    """What the replay of a recording says; for every reader the sizes of the texts it got; what readers failed at."""
    spec = importlib.util.spec_from_file_location("replay", COLLECTION / "tests" / "replay.py")
    assert spec is not None and spec.loader is not None
    replay = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(replay)
    package = replay.collection("plugins.module_utils.readers")
    fed: dict[str, list[int]] = {}
    broken: dict[str, str] = {}
    for _finder, name, _is_package in pkgutil.iter_modules([str(COLLECTION / "plugins" / "module_utils" / "readers")]):
        module = importlib.import_module(f"{package.__name__}.{name}")
        if name in NO_TEXT or not callable(getattr(module, "read", None)):
            continue
        fed[name] = []
        setattr(module, "read", _counted(module.read, name, fed[name], broken))  # noqa: B010
    return replay.replay(recording), fed, broken


def _counted(read: Any, name: str, sizes: list[int], broken: dict[str, str]) -> Any:
    @functools.wraps(read)
    def counted(text: Any, *rest: Any, **more: Any) -> Any:
        if isinstance(text, (str, bytes)) and text.strip():
            sizes.append(len(text))
        try:
            return read(text, *rest, **more)
        except Exception as error:
            broken[name] = f"{type(error).__name__}: {error}"
            raise

    return counted


def answered(recording: Path) -> list[str]:
    """The recorded command lines of NVIDIA's and RDMA's programs, with their exit codes."""
    import yaml

    rows = []
    for entry in yaml.safe_load((recording / "commands.yml").read_text(encoding="utf-8")) or []:
        if entry["argv"][0] in (
            "nvidia-smi",
            "modinfo",
            "nvcc",
            "rdma",
            "ibstat",
            "ibv_devinfo",
            "ethtool",
            "nvidia-ctk",
            "docker",
            "lldpctl",
        ):
            answer = entry.get("error") or f"code {(entry.get('responses') or [entry])[0].get('rc', 0)}"
            rows.append(f"{' '.join(entry['argv'])}: {answer}")
    return rows


def _nobodys(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the name of who made it, which is left out of the recording too."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def main(arguments: list[str]) -> int:
    """All steps, then a summary that is also in the folder of the results."""
    folder = Path(arguments[0] if arguments else "gpu-check-results").absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
        print(f"gpu-check: {folder} is not a folder of this user alone; name another one: gpu-check/run FOLDER", file=sys.stderr)
        return 1
    folder = folder.resolve()
    lines, failed = [], []
    if not Path("/proc/driver/nvidia/version").exists():
        lines.append("there is no NVIDIA driver on this machine: the GPU readers get no real output")
    become = ["--become"] if os.geteuid() == 0 else []
    done = play("audit.yml", folder, *become)
    reports = sorted(folder.glob("reports/*/report.json"))
    if not reports:
        print(f"gpu-check: the audit wrote no report; its output is in {folder}/audit.yml.log", file=sys.stderr)
        return 1
    desk = json.loads(reports[-1].read_text(encoding="utf-8"))["desks"][0]
    found = codes(desk["findings"])
    lines.append(f"audit: {desk['verdict']} ({', '.join(sorted(found)) or 'no finding'})")
    told = {"record_become": "true" if become else "false", "record_dir": str(folder / "recordings"), "record_replace": "true"}
    done = play("record.yml", folder, *(word for key, value in told.items() for word in ("-e", f"{key}={value}")))
    recordings = sorted(path.parent for path in (folder / "recordings").glob("*/recording.yml"))
    if done.returncode or not recordings:
        print(f"gpu-check: nothing was recorded; its output is in {folder}/record.yml.log", file=sys.stderr)
        return 1
    result, fed, broken = replayed(recordings[-1])
    again = codes(result["findings"])
    lines.append(f"replay: {', '.join(sorted(again)) or 'no finding'}")
    for code in sorted(found ^ again):
        failed.append(f"{code} is only in the {'audit' if code in found else 'replay'}")
    failed += [f"the reader {name} failed: {text}" for name, text in sorted(broken.items())]
    real = {name: sizes for name, sizes in fed.items() if sizes}
    lines.append(f"readers fed by this machine ({len(real)} of {len(fed)}):")
    lines += [f"  {name:22} {len(sizes)} texts, {sum(sizes)} characters" for name, sizes in sorted(real.items())]
    lines.append(f"readers that got nothing: {', '.join(sorted(set(fed) - set(real))) or 'none'}")
    lines.append("programs that were asked:")
    lines += [f"  {row}" for row in answered(recordings[-1])]
    lines += [f"FAILED: {text}" for text in failed] or ["audit and replay agree"]
    text = "\n".join(lines) + "\n"
    (folder / "summary.txt").write_text(text, encoding="utf-8")
    with tarfile.open(folder / "to-send.tar.gz", "w:gz") as archive:
        archive.add(folder / "summary.txt", "gpu-check/summary.txt", filter=_nobodys)
        archive.add(recordings[-1], f"gpu-check/{recordings[-1].name}", filter=_nobodys)
    print(text + f"\nthe recording has names, serials and addresses replaced; look through it, then send {folder}/to-send.tar.gz")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
