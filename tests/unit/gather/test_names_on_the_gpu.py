# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of processes in the answers of nvidia-smi: a user chose them, line ends included. They write no fact and hide nobody."""

from __future__ import annotations

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import MISSING
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.busy import busy_findings
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import compute_apps, nvidia_smi_q, nvidia_smi_table

from .fake_desk import NVIDIA_SMI_Q, QUERY_GPU, FakeDesk, healthy, said

APPS = " ".join(compute_apps.COMMAND)
SMI_QUERY = next(words for words in healthy().commands if words.startswith("nvidia-smi --query-gpu"))
WHERE = Where(desk="desk-01")


def codes(desk: FakeDesk) -> set[str]:
    return {item.code for item in judge(collect(desk), WHERE, JudgeOptions())}


def entry(pid: int, name: str, kind: str = "C") -> str:
    return (
        f"        GPU instance ID               : N/A\n        Process ID                    : {pid}\n"
        f"            Type                      : {kind}\n            Name                      : {name}\n"
        "            Used GPU Memory           : 90 MiB\n"
    )


def on_gpu(*processes: tuple[int, str, str], apps: bool = True) -> FakeDesk:
    """A desk on whose GPU these run (pid, name, kind), the graphics of `NVIDIA_SMI_Q` beside them."""
    desk = healthy()
    desk.commands["nvidia-smi -q"] = NVIDIA_SMI_Q + "".join(entry(*item) for item in processes)
    rows = "".join(f"{pid}, {name}, 90 MiB\n" for pid, name, kind in processes if kind != "G")
    desk.commands[APPS] = rows if apps else said(error=MISSING)
    return desk


NAMES = {
    "a line": "app\n    x : y",
    "a section": "app\n    Temperature\n        GPU Current Temp : 3 C",
    "graphics": "app\n            Type : G\n    x : y",
    "the other one as graphics": "app\n        Process ID : 4002\n            Type : G\n            Name : Xorg",
    "a dead reading": "app\n    x : y\n        z : GPU requires reset",
    "a reset": "app\n    GPU Reset Status\n        Reset Required : Yes",
    "another GPU": "app\nGPU 0000000F:02:00.0\n    GPU Recovery Action : Reboot",
    "another GPU's dead reading": "app\nGPU 0000000F:02:00.0\n    Clocks\n        SM : ERR!",
    "no driver": "app\nNVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
    "no GPU": "app\nUnable to determine the device handle for GPU0000:01:00.0: GPU is lost",
    "no row": "app\npid, NVIDIA-SMI has failed",
    "an empty list": "app\n    Processes : None",
    "a quote": "app\n> Driver Version  : 1\n> Driver Version  : 2\n> Attached GPUs  : 0",
    "a front": "    GPU Current Temp : Driver Version  : 1\n    GPU Current Temp : Driver Version  : 2",
    "many": "app" + "".join(f"\n Process ID : {number}\n Type : G" for number in range(9000, 9700)),
}


@pytest.mark.parametrize("apps", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_on_the_gpu_hides_nobody_and_tells_nothing_of_the_gpu(name: str, apps: bool) -> None:
    honest = collect(on_gpu((4001, "app", "C"), (4002, "/home/ben/train", "C")))
    desk = on_gpu((4001, NAMES[name], "C"), (4002, "/home/ben/train", "C"), apps=apps)
    facts = collect(desk)
    assert {(item.pid, item.kind) for item in facts.busy.gpu_processes} >= {(2100, "G"), (4001, "C"), (4002, "C")}
    [found] = busy_findings(facts, WHERE)
    assert found.code == "PAIR_BUSY" and "(process 4002, user unknown) on GPU" in str(found.evidence)
    assert facts.gpu == honest.gpu and facts.driver == honest.driver
    assert "GPU_FAILED" not in codes(desk) and "GPU_NOT_FOUND" not in codes(desk)


def test_a_desk_with_graphics_alone_is_idle() -> None:
    for apps in (True, False):
        facts = collect(on_gpu((2101, "/usr/bin/gnome-shell", "G"), apps=apps))
        assert [(item.pid, item.kind) for item in facts.busy.gpu_processes] == [(2100, "G"), (2101, "G")]
        assert busy_findings(facts, WHERE) == []


def test_who_computes_is_what_both_answers_of_nvidia_smi_say_together() -> None:
    desk = on_gpu((4001, "app", "G"))
    desk.commands[APPS] = "4001, app, 90 MiB\n4003, late, 5 MiB\n"
    told = [(item.pid, item.kind, item.name) for item in collect(desk).busy.gpu_processes]
    assert told == [(2100, "G", "/usr/lib/xorg/Xorg"), (4001, "C", "app"), (4003, "C", "late")]


def test_an_error_of_nvidia_smi_before_its_list_and_behind_it_as_error_output_is_still_one() -> None:
    desk = on_gpu((4001, "app", "C"))
    text = "Unable to determine the device handle for GPU0000:01:00.0: Unknown Error"
    desk.commands["nvidia-smi -q"] = NVIDIA_SMI_Q.replace("GPU 0000000F", f"{text}\nGPU 0000000F", 1)
    assert "GPU_FAILED" in codes(desk)
    desk.commands["nvidia-smi -q"] = said(NVIDIA_SMI_Q, stderr=f"{text}\n")
    assert "GPU_FAILED" in codes(desk)


def two(first: str, second: str = "ben") -> str:
    head, _gpu, body = NVIDIA_SMI_Q.partition("GPU 0000000F:01:00.0\n")
    ill = body.replace("    Clocks\n", "    GPU Recovery Action : Reboot\n    Clocks\n", 1)
    one, other = f"GPU 0000000F:01:00.0\n{body}{entry(4001, first)}", f"GPU 0000000F:02:00.0\n{ill}{entry(4002, second)}"
    return head.replace("Attached GPUs                                          : 1", "Attached GPUs : 2") + one + other


def test_a_second_gpu_is_neither_forged_nor_lost() -> None:
    read = nvidia_smi_q.read(two("app"))
    assert [(gpu["bus_id"], gpu["recovery_action"]) for gpu in read["gpus"]] == [("0000000F:01:00.0", None), ("0000000F:02:00.0", "Reboot")]
    assert [[item["pid"] for item in gpu["processes"]] for gpu in read["gpus"]] == [[2100, 4001], [2100, 4002]]
    for name in ("app\nGPU 0000000F:02:00.0\n    GPU Recovery Action : None", "app\nGPU 0000000F:03:00.0\n    SM : ERR!"):
        for text in (two(name), two("app", name)):
            read = nvidia_smi_q.read(text)
            assert not any(gpu["dead"] for gpu in read["gpus"])
            assert {item["pid"] for gpu in read["gpus"] for item in gpu["processes"]} == {2100, 4001, 4002}
        desk = healthy()
        desk.commands["nvidia-smi -q"], row = two(name), QUERY_GPU.splitlines()[1]
        desk.commands[SMI_QUERY] = QUERY_GPU + row.replace("0,", "1,", 1).replace("01:00", "02:00").replace("208 MHz", "ERR!") + "\n"
        facts = collect(desk)
        assert (facts.gpu.count, facts.gpu.dead_readings) == (2, ("ERR!",))


TABLE_HEAD = """\
| NVIDIA-SMI 580.142                Driver Version: 580.142        CUDA Version: 13.0     |
|   0  NVIDIA GB10                    On  |   0000000F:01:00.0 Off |                  N/A |
| N/A   33C    P8              4W /  N/A  | Not Supported          |      0%      Default |
| Processes:                                                                              |
"""


def test_a_name_in_the_table_hides_nobody_and_tells_nothing_of_the_gpu() -> None:
    gpu = "|   1  NVIDIA X                       Off  |   0000000F:02:00.0 Off |                  N/A |"
    rows = (
        f"|    0   N/A  N/A            4001      C   app\n{gpu}\nERR! NVIDIA-SMI has failed      90MiB |\n"
        "|    0   N/A  N/A            4002      C   ben                       90MiB |\n"
    )
    read = nvidia_smi_table.read(TABLE_HEAD + rows)
    assert [(item["pid"], item["kind"]) for item in read["processes"]] == [(4001, "C"), (4002, "C")]
    assert (len(read["gpus"]), read["gpus"][0]["dead"], read["error"]) == (1, [], None)


def test_a_name_among_the_rows_of_those_who_compute_hides_nobody() -> None:
    rows = "4001, app\npid, NVIDIA-SMI has failed, 90 MiB\n4002, ben, 1 MiB\n"
    assert [item["pid"] for item in compute_apps.read(rows)] == [4001, 4002]
    assert [item["pid"] for item in compute_apps.read(f"pid, process_name, used_gpu_memory [MiB]\n{rows}")] == [4001, 4002]


@pytest.mark.parametrize(
    "words", ["No devices were found", "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."]
)
def test_words_in_a_name_turn_no_list_into_a_refusal(words: str) -> None:
    listed = f"4001, python\n{words}\n, 512 MiB\n4002, python, 512 MiB\n"
    assert compute_apps.refused(listed) is None and [item["pid"] for item in compute_apps.read(listed)] == [4001, 4002]
    assert compute_apps.refused(f"{words}\n") and not compute_apps.read(f"{words}\n")
