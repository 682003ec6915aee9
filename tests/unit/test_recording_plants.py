# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets and names planted where real desks have them: none is in what is written, in no spelling, and the desk replays as it was.

Each line of recording_plants/*.txt is a plant with marked secrets: what stands between « and » must not survive; | begins a new line.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import Options, collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import JudgeOptions, judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import grub
from ansible_collections.labops.dgx_spark.plugins.module_utils.recorder import RecordingDesk
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import recording_names, recording_programs, secret_shapes
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recorded_desk import load
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recording_writer import LeakError, recorded_from_dict, sanitised, write
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.sanitiser import Sanitiser

ROOT = Path(__file__).resolve().parents[2]
PLANTS = ROOT / "tests/unit/recording_plants"
HIDDEN = base64.b64encode(b"network: {wifis: {wl0: {password: Gletscher77}}}").decode()


def lines(name: str) -> list[str]:
    """The plants of a file. HIDDEN stands for a netplan file in base64."""
    return (PLANTS / f"{name}.txt").read_text(encoding="utf-8").replace("HIDDEN", HIDDEN).splitlines()


NETPLAN = lines("netplan")

FILES = lines("files")

COMMANDS = lines("commands")
PROGRAMS = (
    *("journalctl -k -b -o short-monotonic --no-pager", "nmcli -t -f DEVICE,TYPE,STATE,CONNECTION device", "nmcli -s connection show wlan"),
    *(
        "nvidia-smi",
        "nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv,noheader",
        "nvidia-smi -q",
        "ip -j route get 10.77.3.9 from 10.77.3.4",
        "ip -j addr show",
        "dmesg",
    ),
    *("timedatectl show", "uname -a", "rdma resource show qp", "env", "ps aux", "cat /etc/shadow", "wg show wg0", "docker inspect a"),
    *("git config -l", "last", "who", "systemctl show x -p Environment", "systemctl status x", "lldpctl -f json", "ethtool -m enP7s7"),
    "curl -u «anakowalska»:«Gletscher77» https://«api.zebra-gmbh.de»",
)

SMALL: dict[str, Any] = {
    "files": {"/etc/passwd": "root:x:0:0::/root:/bin/bash\nlab:x:1000:1000::/home/lab:/bin/bash\n", "/etc/hostname": "spark-4a14\n"},
    **{key: {} for key in ("links", "folders")},
    **{key: [] for key in ("commands", "denied", "missing")},
}
"""A desk of two files, into which each plant is put alone."""

ERRORS = lines("errors")

PATHS: tuple[dict[str, Any], ...] = (
    {"folders": {"/home/lab": ["«titan-offer».pdf", ".ssh"]}},
    {"folders": {"/home": ["lab", "«anakowalska»"]}},
    {"folders": {"/etc/ssh": ["ssh_host_ed25519_key.pub", "«zebra-gmbh»_ca.pub"]}},
    {"folders": {"/etc/systemd/system": ["«zebra-agent».service", "multi-user.target.wants"]}},
    {"folders": {"/etc/NetworkManager/system-connections": ["«Haus Zebra».nmconnection"]}},
    {"folders": {"/srv/«zebra-gmbh»": ["x"]}},
    {"links": {"/home/lab/work": "/srv/«zebra-gmbh»/titan"}},
    {"links": {"/etc/x": "/home/«anakowalska»/secret"}},
    {"links": {"/etc/systemd/system/multi-user.target.wants/x.service": "/home/«anakowalska»/x.service"}},
    {"links": {"/usr/local/cuda": "/opt/«zebra-gmbh»/cuda-13"}},
    {"links": {"/lib/modules/6.17/build": "/usr/src/«zebra-gmbh»/linux"}},
    {"links": {"/etc/netplan/60-x.yaml": "/srv/«zebra-gmbh»/net.yaml"}},
    {"links": {"/etc/systemd/system/nvidia-persistenced.service": "/home/lab/«titan».service"}},
    {"denied": ["/home/«anakowalska»/.config"]},
    {"missing": ["/srv/«zebra-gmbh»/titan"]},
)

SHAPES = lines("shapes")

NAMES = lines("names")
"""``KIND (PATH OR COMMAND) TEXT``: names that somebody chose, and what no question asks. In a file ¦ stands for a pipe."""


def unmarked(text: str) -> str:
    """The text as the desk has it: | is a new line (|| at the end of one: YAML's literal style)."""
    text = text.replace("«", "").replace("»", "")
    if text.startswith("|1|"):
        return text
    return re.sub(r"\|(?=\|)", "\0", text).replace("|", "\n").replace("\0", "|")


def secrets(text: str) -> set[str]:
    """What must not survive; a secret of several lines counts by its lines."""
    found = {part.strip() for marked in re.findall("«(.*?)»", text, re.DOTALL) for part in marked.split("|")}
    return {part for part in found if part}


@pytest.fixture(scope="module")
def healthy() -> dict[str, Any]:
    """What a recorder notes on a healthy stacked desk."""
    recording, desk = load(ROOT / "tests/recordings/founders_stacked")
    recorder = RecordingDesk(desk)
    collect(recorder, Options(login_user=recording.login_user, include_serial=True))
    return recorder.recorded()


def planted(healthy: Mapping[str, Any], **parts: Any) -> dict[str, Any]:
    """The healthy desk with files, links, folders or answers of commands replaced or added."""
    new = {key: (dict(value) if isinstance(value, dict) else list(value)) for key, value in healthy.items()}
    for key in ("files", "links", "folders"):
        new[key] |= parts.get(key, {})
    for key in ("denied", "missing"):
        new[key] += parts.get(key, [])
    for argv, stdout in parts.get("commands", {}).items():
        new["commands"] = [entry for entry in new["commands"] if entry["argv"] != list(argv)]
        new["commands"].append({"argv": list(argv), "responses": [{"rc": 0, "stdout": stdout}]})
    return new


def everything(folder: Path) -> str:
    """All texts and names below a folder, decoded base64 too."""
    texts = [f"{path.relative_to(folder)}\n{path.read_text() if path.is_file() else ''}" for path in sorted(folder.rglob("*"))]
    text = "\n".join(texts)
    for run in re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text):
        text += "\n" + base64.b64decode(run[: len(run) // 4 * 4]).decode("utf-8", "replace")
    return text


def survivors(data: dict[str, Any], marked: str, folder: Path, hosts: Sequence[str] = ("spark-4a14",)) -> set[str]:
    """Which of the marked secrets are in the recording that would be sent; nothing when it is refused."""
    sanitiser = Sanitiser("recorded-01", hostnames=hosts, users=["lab"])
    try:
        clean = sanitised(recorded_from_dict(data), sanitiser)
    except LeakError:
        pytest.fail("the desk could not be recorded at all")
    text = everything(write(clean, folder / "recorded-01", {"name": "recorded-01"})).lower()
    spelled = {item: {item.lower(), item.lower().replace(":", ""), item.lower().replace(":", "-")} for item in secrets(marked)}
    return {
        item
        for item, spellings in spelled.items()
        if any(re.search(rf"(?<![a-z0-9]){re.escape(one)}(?![a-z0-9])", text) for one in spellings)
    }


def cases() -> Iterator[Any]:
    for number, line in enumerate(NETPLAN):
        yield pytest.param({"files": {"/etc/netplan/60-x.yaml": f"network:\n  version: 2\n  {line}"}}, line, id=f"netplan-{number}")
    for number, line in enumerate(FILES):
        path, _space, text = line.partition(".nmconnection ") if ".nmconnection " in line else line.partition(" ")
        path += ".nmconnection" if ".nmconnection " in line else ""
        yield pytest.param({"files": {path: text}}, line, id=f"file-{number}")
    for number, line in enumerate(COMMANDS):
        program = max((item for item in PROGRAMS if line.startswith(item)), key=len)
        yield pytest.param({"commands": {program: line[len(program) + 1 :]}}, line, id=f"command-{number}")
    for number, parts in enumerate(PATHS):
        yield pytest.param(parts, str(parts), id=f"path-{number}")


def as_data(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a plant as a desk would answer them, without marks."""
    data: dict[str, Any] = {}
    for key, value in parts.items():
        if key == "commands":
            data[key] = {tuple(unmarked(argv).split(" ")): unmarked(text) for argv, text in value.items()}
        elif key == "folders":
            data[key] = {unmarked(path): [unmarked(name) for name in names] for path, names in value.items()}
        elif isinstance(value, dict):
            data[key] = {
                unmarked(path): indented(unmarked(text)) if key == "files" and "netplan/" in path else unmarked(text)
                for path, text in value.items()
            }
        else:
            data[key] = [unmarked(path) for path in value]
    return data


def indented(text: str) -> str:
    """A netplan plant below its `network:`."""
    head, version, first, *rest = text.split("\n")
    return "\n".join([head, version, first if first.startswith("  ") else f"  {first}", *(f"  {line}" for line in rest)]) + "\n"


def of_name(line: str) -> dict[str, Any]:
    """The desk's answers with one plant of names.txt."""
    kind, _space, rest = line.partition(" (")
    place, _end, text = rest.rstrip(")").partition(") ") if rest.endswith(")") and ") " not in rest else rest.partition(") ")
    place, text = unmarked(place), unmarked(text).replace("¦", "|")
    data = planted(SMALL)
    if kind in ("stdout", "stderr"):
        data["commands"].append({"argv": place.split(" "), "responses": [{"rc": 0, kind: text}]})
    elif kind in ("file", "link", "folder"):
        data[f"{kind}s"][place] = f"{text}\n" if kind == "file" else text if kind == "link" else text.split("\n")
    else:
        data[kind].append(place)
    return data


ALL = list(cases())


def test_there_are_many_plants() -> None:
    assert len(ALL) >= 150
    assert all(secrets(case.values[1]) for case in ALL)


@pytest.mark.parametrize(("parts", "marked"), ALL)
def test_no_plant_survives(parts: dict[str, Any], marked: str, tmp_path: Path) -> None:
    data = planted(SMALL, **as_data(parts))
    there = str(data).replace("\\n", "\n")
    assert {item for item in secrets(marked) if item not in there} == set()
    assert survivors(data, marked, tmp_path) == set()


@pytest.mark.parametrize("marked", NAMES)
def test_no_name_that_somebody_chose_survives(marked: str, tmp_path: Path) -> None:
    data = of_name(marked)
    there = str(data).replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")
    assert {item for item in secrets(marked) if item not in there} == set()
    data["files"].setdefault("/etc/passwd", "")
    data["files"]["/etc/passwd"] += "adkowalski:x:1003:1003:A K:/home/adkowalski:/bin/sh\n"
    data["files"].setdefault("/etc/hostname", "zebra-17\n")
    assert survivors(data, marked, tmp_path, hosts=["zebra-17"]) == set()


@pytest.mark.parametrize("marked", ERRORS)
def test_no_plant_survives_in_an_error_output(marked: str, tmp_path: Path) -> None:
    data = planted(SMALL)
    data["commands"] = [{"argv": ["sudo", "-n", "nvidia-smi", "-q"], "responses": [{"rc": 1, "stderr": unmarked(marked)}]}]
    assert survivors(data, marked, tmp_path) == set()
    assert (tmp_path / "recorded-01/commands.yml").read_text().count("stderr") == 1


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", "NVIDIA-SMI has failed"),
        ('Field "power.draw.titan" is not a valid field to query.', 'Field "power.draw.titan" is not a valid field to query'),
        ("dmesg: read kernel buffer failed: Operation not permitted", "Operation not permitted"),
        ("Failed to get unit file state for titan.service: No such file or directory", "No such file or directory"),
        ("RTNETLINK answers: Network is unreachable", "RTNETLINK answers: Network is unreachable"),
        ("bash: line 1: titan: command not found", "not found"),
    ],
)
def test_what_kind_of_error_it_was_stays(said: str, stays: str) -> None:
    data = {**SMALL, "commands": [{"argv": ["nvidia-smi"], "responses": [{"rc": 1, "stderr": f"{said}\n"}]}]}
    [command] = sanitised(recorded_from_dict(data), Sanitiser("recorded-01")).commands
    assert command["responses"][0]["stderr"] == f"{stays}\n"


def test_links_of_the_system_and_to_what_is_recorded_stay() -> None:
    links = {
        "/usr/local/cuda": "/etc/alternatives/cuda",
        "/etc/alternatives/cuda": "/usr/local/cuda-13.0",
        "/boot/vmlinuz": "vmlinuz-6.17.0-1021-nvidia",
        "/etc/systemd/system/nvidia-persistenced.service": "/dev/null",
        "/lib/modules/6.17.0/build": "/usr/src/linux-headers-6.17.0",
    }
    clean = sanitised(recorded_from_dict({**SMALL, "links": links}), Sanitiser("recorded-01"))
    kept = {path: target for path, target in links.items() if path != "/etc/alternatives/cuda"}
    assert clean.links == kept


@pytest.mark.parametrize("front", ["|    0   N/A  N/A            1234      C   ", "|    0      1234    C+G   "])
@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("python3 train.py --rate 3 «Gletscher77»", "python3"),
        ("/usr/bin/python3 serve.py a,«Gletscher77»", "/usr/bin/python3"),
        ("...«zebra-gmbh»/venv/bin/python -m x,«Gletscher77»", "python"),
        ("/home/«anakowalska»/bin/run --at «Gletscher77» | x", "run"),
        ("VLLM::EngineCore", "VLLM::EngineCore"),
        ("/usr/lib/xorg/Xorg", "/usr/lib/xorg/Xorg"),
    ],
)
def test_of_a_process_in_the_table_of_nvidia_smi_its_program_stays(front: str, name: str, stays: str, tmp_path: Path) -> None:
    told = name.replace("«", "").replace("»", "")
    table = f"| Processes: |\n{front}{told}   100MiB |\n"
    assert survivors(planted(SMALL, commands={("nvidia-smi",): table}), name, tmp_path) == set()
    assert f"{front}{stays} " in (tmp_path / "recorded-01" / "commands.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        ("CUDA Version        : 13.0\nKMD version : 610.1 (zebra)", "CUDA Version        : 13.0\nKMD version : 610.1"),
        ("zebra\nCuda compilation tools, release 13.0, V13.0.88", "\nCuda compilation tools, release 13.0, V13.0.88"),
        ("NVIDIA Container Toolkit CLI version 1.18.0~zebra1\n", "NVIDIA Container Toolkit CLI version 1.18.0\n"),
    ],
)
def test_versions_stay(said: str, stays: str) -> None:
    assert recording_programs.versions(said, ()) == stays


def test_all_plants_on_one_desk(healthy: dict[str, Any], tmp_path: Path) -> None:
    """What one place teaches neither harms nor saves another."""
    data = dict(healthy)
    for number, case in enumerate(ALL):
        parts = as_data(case.values[0])
        for path, text in parts.pop("files", {}).items():
            new = path.replace("60-x.yaml", f"60-{number}.yaml")
            lines = "" if path.endswith((".json", ".yaml", "hostname", "address")) else data["files"].get(new, "")
            parts.setdefault("files", {})[new] = f"{lines}{text}\n"
        for argv, text in parts.pop("commands", {}).items():
            said = next((entry["responses"][0].get("stdout", "") for entry in data["commands"] if tuple(entry["argv"]) == argv), "")
            parts.setdefault("commands", {})[argv] = text if argv[0] == "ip" else f"{said}{text}\n"
        data = planted(data, **parts)
    assert survivors(data, "".join(case.values[1] for case in ALL), tmp_path) == set()


@pytest.mark.parametrize("marked", SHAPES)
def test_what_looks_like_a_secret_is_cut_wherever_it_stands(marked: str) -> None:
    sanitiser, text = Sanitiser("recorded-01"), unmarked(marked)
    assert secret_shapes.found(text) or sanitiser.leaks(text) or re.search(r"mac|dev|eui|client|address|mail|id", marked)
    sanitiser.learn_file("/x", text)
    new = sanitiser.text(text)
    assert [item for item in secrets(marked) if item.lower() in new.lower()] == []
    assert sanitiser.leaks(new) == []


@pytest.mark.parametrize(
    "name",
    [
        "DeepSeek-R1-Distill-Qwen-32B",
        "Qwen3-VL-235B-A22B-Instruct-FP8",
        "netplan-enP2p1s0f1np1",
        "NVIDIA_DGX_Spark_P4242_A.7",
        "password authentication failed for lab",
        "a token ring adapter, no secret service",
        "torch-2.9.1+cu130-cp312-cp312-manylinux_2_28_aarch64.whl",
        "NJAAKK-N911",
        "Pin: release l=NVIDIA CUDA",
    ],
)
def test_names_of_models_parts_and_interfaces_are_no_secrets(name: str) -> None:
    assert secret_shapes.cut(name) == name and not secret_shapes.found(name)


def test_the_leak_check_finds_by_shape_what_nobody_learned() -> None:
    sanitiser = Sanitiser("recorded-01")
    for marked in SHAPES[:32]:
        assert sanitiser.leaks(unmarked(marked)), marked


def test_a_desk_full_of_plants_replays_to_the_same_findings(healthy: dict[str, Any], tmp_path: Path) -> None:
    """What is added beside a healthy desk changes neither the desk's findings nor those of its recording."""
    more = {"/etc/netplan/60-wlan.yaml": f"network:\n  version: 2\n{indented(chr(10) * 2 + unmarked(NETPLAN[2])).strip(chr(10))}\n"}
    more |= {"/etc/hosts": healthy["files"].get("/etc/hosts", "") + "10.77.3.4 nas.zebra-gmbh.de nas\n"}
    data = planted(healthy, files=more, folders={"/etc/netplan": [*healthy["folders"]["/etc/netplan"], "60-wlan.yaml"]})
    original = write(recorded_from_dict(data), tmp_path / "original", {"name": "d", "login_user": "lab"})
    sanitiser = Sanitiser("recorded-01", hostnames=["spark-4a14"], users=["lab"])
    clean = write(sanitised(recorded_from_dict(data), sanitiser), tmp_path / "clean", {"name": "d", "login_user": sanitiser.text("lab")})
    found = []
    for folder in (original, clean):
        recording, desk = load(folder)
        facts = collect(desk, Options(login_user=recording.login_user))
        options = JudgeOptions(purpose="stacked", wanted_mtu=9000)
        found.append({(item.code, item.severity) for item in judge(facts, Where(desk="d"), options)})
    assert found[0] == found[1]
    assert "wifis" in (clean / "files/etc/netplan/60-wlan.yaml").read_text()


def test_what_apts_preferences_say_stays(tmp_path: Path) -> None:
    """Without it a recording shows a desk whose driver is not pinned."""
    texts = {
        "/etc/apt/preferences.d/nvidia-dgx": "Package: *\nPin: release l=NVIDIA CUDA\nPin-Priority: 580\n\n"
        "Package: linux*\nPin: version 6.17.*\nPin-Priority: -1\n",
        "/etc/apt/preferences.d/dgx": 'Package: *\nPin: origin "repo.download.nvidia.com"\nPin-Priority: 1001\n',
    }
    clean = sanitised(recorded_from_dict({**SMALL, "files": {**SMALL["files"], **texts}}), Sanitiser("recorded-01", users=["lab"]))
    assert {path: clean.files[path] for path in texts} == texts
    secret = secret_shapes.cut("pin: 4711\nwps-pin=release\nPin:  12345678\npin: 'release 1'\n")
    assert "4711" not in secret and "=release" not in secret and "12345678" not in secret


SETTINGS = (
    *(["50-cloud-init.yaml", "50-zebra.yaml", "90-dgx-spark-link.yaml", "99-nvidia-sync-cluster.yaml"],),
    *(
        ["50-aaa.yaml", "50-cloud-init.yaml", "50-zebra.yaml"],
        ["aaa.yaml", "zzz.yaml"],
        ["zebra.yaml"],
        ["01-a.yaml", "99-b.yaml", "zebra.yml"],
    ),
    *(["90-dgx-spark-link.yaml", "90-dgx-spark-link.yaml.zebra", "90-dgx-spark-linkage.yaml", "91-zebra.yaml.bak"],),
    *([".zebra.yaml", "!zebra.yaml", "00-installer-config.yaml", "zebra"], [f"{number:02}-titan{number}.yaml" for number in range(40)]),
)


@pytest.mark.parametrize("found", SETTINGS, ids=[item[0] for item in SETTINGS])
def test_files_of_settings_keep_their_order_under_other_names(found: list[str]) -> None:
    """A later file wins, so the stand-ins are read in the order of the originals; a name that tells nothing stays."""
    files = recording_names.SettingFiles()
    for place, name in enumerate(found):
        files.learn(f"{('/etc', '/run', '/usr/lib')[place % 3]}/netplan/{name}")
    new = [files.name("/etc/netplan", name) for name in sorted(found)]
    assert new == sorted(new) and len(set(new)) == len(found)
    assert not re.search("zebra|titan|aaa|zzz|linkage", " ".join(new))
    assert [files.path(f"/run/netplan/{name}") for name in sorted(found)] == [f"/run/netplan/{name}" for name in new]
    assert all(
        name == other
        for name, other in zip(sorted(found), new, strict=True)
        if re.match("50-cloud|90-dgx-spark-link.yaml$|99-nvidia|00-in", name)
    )
    assert [name.endswith((".yaml", ".yml")) for name in new] == [name.endswith((".yaml", ".yml")) for name in sorted(found)]


@pytest.mark.parametrize(
    "name", ["enP7s7", "enP2p1s0f1np1", "enp0s20f0u1u3c2", "enx4c112233444e", "wlP9s9", "wlan0", "eth0", "ibp1s0", "ib0"]
)
def test_what_kernel_and_systemd_call_an_interface_stays(name: str) -> None:
    assert recording_names.plain_interface(name)
    assert recording_names.plain_profile(name) and recording_names.plain_profile(f"netplan-{name}")
    files = recording_names.SettingFiles()
    files.learn(f"/etc/netplan/10-{name}.yaml")
    assert files.name("/etc/netplan", f"10-{name}.yaml") == f"10-{name}.yaml"


KEY_FILES = {
    "/etc/NetworkManager/system-connections/a.nmconnection": "[connection]\nid=Wired connection 1\ntype=ethernet\ninterface-name=enP7s7\n"
    "autoconnect=true\nautoconnect-priority=-999\n[match]\ninterface-name=enp1s0f?np*;!eth0\ndriver=mlx5_core\npath=pci-0000:01:*\n"
    "[ipv4]\nmethod=link-local\nmay-fail=false\n[ipv6]\naddr-gen-mode=stable-privacy\nmethod=disabled\n[ethernet]\nmtu=9000\n",
    "/etc/systemd/network/10-x.network": "[Match]\nName=!lo en* eth0\nDriver=mlx5_core\nType=ether !wlan\nPath=pci-0000:01:00.0 other\n"
    "[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nBond=bond0\n[Link]\nRequiredForOnline=no\n[Route]\nTable=main\nMetric=100\n",
    "/etc/systemd/network/10-x.netdev": "[NetDev]\nName=bond0\nKind=bond\nMTUBytes=9000\n",
    "/etc/dgx_spark/pair.env": "# Settings that this pair was proven with. Written by labops.dgx_spark; edits are lost at the next proof.\n"
    "# first_proven_by 20261122T101500Z-3f2a\nNCCL_IB_HCA==rocep1s0f0,roceP2p1s0f0\n",
}


@pytest.mark.parametrize("path", KEY_FILES)
def test_what_the_readers_use_of_a_file_of_keys_stays(path: str) -> None:
    data = {**SMALL, "files": {**SMALL["files"], path: KEY_FILES[path]}}
    assert sanitised(recorded_from_dict(data), Sanitiser("recorded-01")).files[path] == KEY_FILES[path]


def test_a_file_of_keys_never_matches_more_than_it_did() -> None:
    """Left out, a condition would make the file one for every interface."""
    text = "[Match]\nName=zebra*\nPath=platform-zebra !pci-titan\nKind=zebra\nMACAddress=zebra\n[Link]\nARP=zebra\n"
    path = "/etc/systemd/network/10-x.network"
    new = sanitised(recorded_from_dict({**SMALL, "files": {**SMALL["files"], path: text}}), Sanitiser("recorded-01")).files[path]
    assert new == "[Match]\nName=net*\nPath=other !other\nKind=other\nMACAddress=other\n[Link]\n"


def test_a_file_of_settings_has_one_stand_in_in_every_folder_and_file() -> None:
    lock = '{"schema": "x/1", "pins": ["zebra-pin", "zz-dgx-spark-driver-lock"]}'
    texts = {"/etc/apt/preferences.d/zebra-pin": "Package: *\nPin: release a=noble\nPin-Priority: 1\n"}
    data = {**SMALL, "files": {**SMALL["files"], **texts, "/var/lib/dgx_spark/driver_lock/lock.json": lock}}
    data["folders"] = {"/etc/apt/preferences.d": ["zebra-pin", "nvidia-dgx"]}
    clean = sanitised(recorded_from_dict(data), Sanitiser("recorded-01"))
    [path] = [path for path in clean.files if "preferences" in path]
    name = path.rpartition("/")[2]
    assert name in clean.folders["/etc/apt/preferences.d"] and "nvidia-dgx" in clean.folders["/etc/apt/preferences.d"]
    assert json.loads(clean.files["/var/lib/dgx_spark/driver_lock/lock.json"])["pins"] == [name, "zz-dgx-spark-driver-lock"]


@pytest.mark.parametrize(
    ("said", "groups", "allowed"),
    [
        ("allowusers lab bkowalska", "", True),
        ("allowusers bkowalska", "", False),
        ("denyusers la*", "", False),
        ("allowgroups projekt-titan", "projekt-titan:x:1100:lab", True),
        ("allowgroups projekt-*", "projekt-titan:x:1100:lab", True),
        ("allowgroups vorstand", "projekt-titan:x:1100:lab", False),
        ("denygroups projekt-titan", "projekt-titan:x:1100:lab", False),
    ],
)
def test_whether_sshd_lets_the_login_user_in_stays(healthy: dict[str, Any], said: str, groups: str, allowed: bool, tmp_path: Path) -> None:
    question = ("sshd", "-T", "-C", "user=lab,host=10.0.0.1,addr=10.0.0.1,laddr=10.0.0.2,lport=22")
    told = f"pubkeyauthentication yes\n{said}\nauthorizedkeysfile .ssh/authorized_keys /srv/zebra/%u\nforcecommand none\n"
    group = f"{healthy['files'].get('/etc/group', '')}{groups}\n"
    data = planted(healthy, commands={question: told}, files={"/etc/group": group})
    sanitiser = Sanitiser("recorded-01", hostnames=["spark-4a14"], users=["lab"])
    clean = write(sanitised(recorded_from_dict(data), sanitiser), tmp_path / "clean", {"name": "d", "login_user": sanitiser.text("lab")})
    recording, desk = load(clean)
    server = collect(desk, Options(login_user=recording.login_user)).network.sshd
    assert server.user_allowed is allowed and server.runs_commands is True
    assert not re.search("kowalska|titan|vorstand|zebra", everything(clean))


def test_titles_of_the_boot_menu_still_lead_to_their_kernel() -> None:
    """The same title has one stand-in in every file, so that the entry that GRUB starts is found again."""
    menu = (
        "menuentry 'Ubuntu' --class x $menuentry_id_option 'gnulinux-simple-1' {\n\tlinux /boot/vmlinuz-6.17.0-1014-nvidia ro\n}\n"
        "submenu 'Zebra GmbH' $menuentry_id_option 'zebra-advanced' {\n"
        "menuentry 'Titan, with Linux 6.17.0-1021-nvidia' $menuentry_id_option 'titan-1' {\n"
        "\tlinux /boot/vmlinuz-6.17.0-1021-nvidia ro\n}\n}\n"
    )
    chosen = "Zebra GmbH>Titan, with Linux 6.17.0-1021-nvidia"
    files = {
        "/boot/grub/grub.cfg": menu,
        "/etc/default/grub": f'GRUB_DEFAULT="{chosen}"\n',
        "/boot/grub/grubenv": f"saved_entry={chosen}\n",
    }
    clean = sanitised(recorded_from_dict({**SMALL, "files": {**SMALL["files"], **files}}), Sanitiser("recorded-01")).files
    assert not re.search("(?i)zebra|titan|gmbh", str(clean))
    entries = grub.menu(clean["/boot/grub/grub.cfg"])
    for path, key in (("/etc/default/grub", "default"), ("/boot/grub/grubenv", "saved_entry")):
        assert grub.of_menu(grub.read(clean[path])[key], entries) == "6.17.0-1021-nvidia"


def test_a_package_has_one_stand_in_wherever_it_is_named() -> None:
    """Also one that the database no longer has; packages that the facts keep and their versions stay."""
    before = {"zebra-agent": "1.0+zebra1", "nvidia-driver-580": "580.95.05-0ubuntu1"}
    journal = {"schema": "x/1", "phase": "done", "before": before, "added": ["titan-agent"], "lost": ["zebra-agent=1.0+zebra1"]}
    lock = {"schema": "x/1", "before": {"holds": ["zebra-agent"], "versions": before}}
    pin = "Package: zebra-agent src:titan-agent nvidia-driver-*\nPin: release a=stable\nPin-Priority: -1\n"
    folder = "/var/lib/dgx_spark"
    files = {f"{folder}/update/journal.json": json.dumps(journal), f"{folder}/driver_lock/lock.json": json.dumps(lock)}
    data = {**SMALL, "files": {**SMALL["files"], **files, "/etc/apt/preferences.d/nvidia-dgx": pin}}
    clean = sanitised(recorded_from_dict(data), Sanitiser("recorded-01")).files
    new_journal, new_lock = (json.loads(clean[path]) for path in files)
    assert new_journal["before"] == {"package2": "1.0+other1", "nvidia-driver-580": "580.95.05-0ubuntu1"} == new_lock["before"]["versions"]
    assert (new_journal["added"], new_journal["lost"]) == (["package1"], ["package2=1.0+other1"])
    assert new_lock["before"]["holds"] == ["package2"]
    assert clean["/etc/apt/preferences.d/nvidia-dgx"].startswith("Package: package2 src:package1 nvidia-driver-*\n")


def test_words_of_a_driver_are_no_interfaces() -> None:
    """Learned as one, a word would be replaced in every file and path."""
    log = "[    8.3] spark kernel: mlx5_core 0000:01:00.1: Port module event: module 1, Cable plugged\n"
    argv = ["journalctl", "-k", "-b", "-o", "short-monotonic", "--no-pager"]
    data = {**SMALL, "commands": [{"argv": argv, "responses": [{"rc": 0, "stdout": log}]}]}
    [command] = sanitised(recorded_from_dict(data), Sanitiser("recorded-01")).commands
    assert command["responses"][0]["stdout"] == log


TOLD = {
    "dpkg-query -W": "nvidia-driver-580-open\t580.95.05-0ubuntu1\tarm64\tinstall ok installed\n"
    "linux-image-6.17.0-1014-nvidia\t6.17\tdeinstall\n",
    "rdma link show": "link rocep1s0f0/1 state ACTIVE physical_state LINK_UP netdev enp1s0f0np0 netdev_index 3\n"
    "0/1: mlx5_0/1: state DOWN\n",
    "ethtool -i enP7s7": "driver: mlx5_core\nversion: 6.17.0-1014-nvidia\nfirmware-version: 28.45.1200 (MT_0000000123)\n"
    "bus-info: 0000:01:00.0\n",
    "ethtool enP7s7": "Settings for enP7s7:\n\tSpeed: 1000Mb/s\n\tDuplex: Full\n\tPort: Twisted Pair\n\tLink detected: yes\n",
    "sshd -T -C user=lab": "pubkeyauthentication yes\nauthenticationmethods publickey,keyboard-interactive:pam password\n"
    "pubkeyacceptedalgorithms sk-ssh-ed25519@openssh.com,rsa-sha2-512,ecdsa-sha2-nistp256-cert-v01@openssh.com\nmaxstartups 10:30:100\n",
    "modinfo nvidia": "filename:       /lib/modules/6.17.0-1014-nvidia/kernel/nvidia-580-open/nvidia.ko.zst\nversion:        580.95.05\n"
    "license:        Dual MIT/GPL\nvermagic:       6.17.0-1014-nvidia SMP preempt mod_unload modversions aarch64\n",
    "systemctl is-active nvidia-persistenced": "active\n",
}


@pytest.mark.parametrize("argv", TOLD)
def test_what_programs_say_in_their_own_words_stays(argv: str) -> None:
    data = {**SMALL, "commands": [{"argv": argv.split(" "), "responses": [{"rc": 0, "stdout": TOLD[argv]}]}]}
    [command] = sanitised(recorded_from_dict(data), Sanitiser("recorded-01")).commands
    assert command["responses"][0]["stdout"] == TOLD[argv]


SMI = {
    "nvidia-smi": "| NVIDIA-SMI 580.142                Driver Version: 580.142        CUDA Version: 13.0     |\n"
    "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |\n"
    "| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |\n"
    "|   0  NVIDIA GB10                    On  |   0000000F:01:00.0 Off |                  N/A |\n"
    "| N/A   35C    P8              4W /  N/A  | Not Supported          |      0%      Default |\n"
    "| ERR!  ERR! GPU requires reset           | Unknown Error          |                  N/A |\n"
    "|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |\n"
    "|    0   N/A  N/A            3150      C   python3                               96073MiB |\n"
    "|  No running processes found                                                             |\n",
    "nvidia-smi -q": "==============NVSMI LOG==============\nDriver Version : 580.142\nAttached GPUs : 1\nGPU 0000000F:01:00.0\n"
    "    Product Name : NVIDIA GB10\n    Product Architecture : Blackwell\n    Addressing Mode : ATS\n    VBIOS Version : 9A.0B.25.00.00\n",
    "nvidia-smi --query-gpu=name,driver_version --format=csv": "name, driver_version\nNVIDIA GB10, 580.142\n"
    "WARNING: infoROM is corrupted at gpu 000F:01:00.0\n",
    "nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv,noheader": "7, python3, 8 MiB\n"
    "9, python3, 8 MiB\n8, [Insufficient Permissions], [N/A]\n",
}


@pytest.mark.parametrize("argv", SMI)
def test_what_nvidia_smi_itself_says_stays(argv: str) -> None:
    data = {**SMALL, "commands": [{"argv": argv.split(" "), "responses": [{"rc": 0, "stdout": SMI[argv]}]}]}
    [command] = sanitised(recorded_from_dict(data), Sanitiser("recorded-01")).commands
    assert command["responses"][0]["stdout"] == SMI[argv]


def test_a_default_by_the_id_of_an_entry_is_found_again() -> None:
    """Also one whose kernel somebody named, who is known from the menu alone."""
    place = "gnulinux-advanced-4d8a6d4c-7a9a-4b7c-9d55-2f6a1b0c9e11>gnulinux-6.11.0-zebra-advanced-4d8a6d4c-7a9a-4b7c-9d55-2f6a1b0c9e11"
    submenu, entry = place.split(">")
    menu = (
        f"submenu 'Advanced options for Ubuntu' $menuentry_id_option '{submenu}' {{\n"
        f"menuentry 'Ubuntu, with Linux 6.11.0-zebra' --class x $menuentry_id_option '{entry}' {{\n"
        "\tlinux /boot/vmlinuz-6.11.0-zebra ro\n}\n}\n"
    )
    files = {"/boot/grub/grub.cfg": menu, "/boot/grub/grubenv": f"saved_entry={place}\n"}
    data = {**SMALL, "files": {**SMALL["files"], **files}, "folders": {"/boot": ["vmlinuz-6.11.0-zebra", "vmlinuz-6.11.0-zebra.old"]}}
    clean = sanitised(recorded_from_dict(data), Sanitiser("recorded-01"))
    saved = grub.read(clean.files["/boot/grub/grubenv"])["saved_entry"]
    assert grub.of_menu(saved, grub.menu(clean.files["/boot/grub/grub.cfg"])) == "6.11.0-custom1"
    assert grub.kernels(clean.folders["/boot"]) == ["6.11.0-custom1"]


@pytest.mark.parametrize(
    "argv",
    [
        *(
            "nvidia-smi --query-gpu=serial,uuid --format=csv",
            "nvidia-smi --query-gpu=name,serial --format=csv",
            "nvidia-smi pmon",
        ),
        *(
            "nmcli -t -f DEVICE,CONNECTION device",
            "nmcli -t -f NAME,UUID connection show",
            "apt-cache policy x",
            "modinfo zebra",
            "ip addr add x",
        ),
        *(
            "fuser -v /dev/nvidia0",
            "systemctl is-active zebra",
            "ethtool -m enP7s7",
            "stat -c %U %n /x",
            "journalctl -u zebra",
            "lspci -xxx",
        ),
        *("rdma -j resource show qp", "sshd -T", "dmesg --file /srv/zebra", "bash -c ulimit -l; env", "dpkg -s zebra"),
    ],
)
def test_a_command_that_nothing_asks_is_not_recorded(argv: str) -> None:
    data = {**SMALL, "commands": [{"argv": argv.split(" "), "responses": [{"rc": 0, "stdout": "x"}]}]}
    assert sanitised(recorded_from_dict(data), Sanitiser("recorded-01")).commands == ()
