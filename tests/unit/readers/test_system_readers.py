# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nvidia-smi of 610 and newer, words in place of readings, errors of the kernel log, GRUB's order. Values are made up."""

from __future__ import annotations

import json

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import (
    apt_list,
    cdi,
    dgx_release,
    grub,
    kernel_errors,
    nvidia_smi_csv,
    nvidia_smi_q,
    nvidia_smi_table,
    nvidia_smi_version,
)

NEW_NAMES = "KMD Version : 620.70.06\nCUDA UMD Version : 13.5\n"
NOTE = " [Deprecated; will be removed in CUDA 14.0. Use {} Version instead]"


@pytest.mark.parametrize(
    "head",
    [
        f"Driver Version : 620.70.06{NOTE.format('KMD')}\nCUDA Version : 13.5{NOTE.format('CUDA UMD')}\n" + NEW_NAMES,
        NEW_NAMES,
        "Driver Version : 620.70.06\nCUDA Version : 13.5\n",
        "KMD Version : 620.70.06\nCUDA UMD Version : 13.5\nDriver Version : [Deprecated]\nCUDA Version : N/A\n",
    ],
)
def test_detail_has_old_and_new_names(head: str) -> None:
    read = nvidia_smi_q.read(f"{head}\nGPU 0000000F:01:00.0\n    Product Name : NVIDIA GB10\n")
    assert (read["driver_version"], read["cuda_version"]) == ("620.70.06", "13.5")


def test_version_has_old_and_new_names() -> None:
    text = 'NVIDIA-SMI version : 615.71.09\nNVML version : 615.71\nDRIVER version : Deprecated, see "KMD version" instead\n'
    text += "KMD version : 615.71.09\nCUDA UMD version : 13.4\n"
    read = nvidia_smi_version.read(text)
    assert (read["nvidia_smi"], read["nvml"], read["driver"], read["cuda"]) == ("615.71.09", "615.71", "615.71.09", "13.4")


@pytest.mark.parametrize(
    ("second", "dead"),
    [
        ("|ERR!  ERR! ERR!             N/A /  N/A   | Not Supported          |    N/A       Default |", ["ERR!"]),
        ("| N/A   37C    P8             ERR! /  N/A  | Not Supported          |      0%      Default |", ["ERR!"]),
        ("| N/A   37C    P8              4W /  N/A  | Not Supported          |      0%      Default |", []),
        ("| N/A   GPU is lost            4W /  N/A  | Not Supported          |      0%      Default |", ["GPU is lost"]),
    ],
)
def test_table_with_words_in_place_of_readings(second: str, dead: list[str]) -> None:
    lines = [
        "| NVIDIA-SMI 610.57.04              KMD Version: 610.57.04     CUDA UMD Version: 13.3     |",
        "|   0  NVIDIA GB10                    On  |   0000000F:01:00.0 Off |                  N/A |",
        second,
        "| Processes:                                                                              |",
        "|  ERR! is a name of a process, not a reading                                             |",
    ]
    read = nvidia_smi_table.read("\n".join(lines))
    assert (read["driver_version"], read["cuda_version"]) == ("610.57.04", "13.3")
    assert read["gpus"][0]["dead"] == dead


@pytest.mark.parametrize(
    ("value", "dead"),
    [
        ("[GPU requires reset]", ["GPU requires reset"]),
        ("[GPU is lost]", ["GPU is lost"]),
        ("ERR!", ["ERR!"]),
        ("[Unknown Error]", ["Unknown Error"]),
        ("[N/A]", []),
        ("[Not Supported]", []),
        ("37", []),
    ],
)
def test_csv_with_words_in_place_of_readings(value: str, dead: list[str]) -> None:
    read = nvidia_smi_csv.read(f"index, name, driver_version, temperature.gpu\n0, NVIDIA GB10, 580.178.04, {value}\n")
    assert read["dead"] == dead and read["error"] is None
    assert read["records"][0]["temperature.gpu"] == (37 if value == "37" else None)


def test_csv_of_the_new_columns() -> None:
    read = nvidia_smi_csv.read("kmd_version, cuda_umd_version\n610.57.04, 13.3\n")
    assert read["records"] == [{"kmd_version": "610.57.04", "cuda_umd_version": "13.3"}]


def test_detail_tells_recovery_addressing_and_dead_readings() -> None:
    text = "GPU 0000000F:01:00.0\n    Addressing Mode : None\n    GPU Recovery Action : Drain and Reset\n    GPU Reset Status\n"
    text += "        Reset Required : Yes\n    Clocks\n        SM : GPU requires reset\n    Utilization\n        GPU : Unknown Error\n"
    gpu = nvidia_smi_q.read(text)["gpus"][0]
    assert (gpu["addressing_mode"], gpu["recovery_action"], gpu["reset_required"]) == ("None", "Drain and Reset", True)
    assert gpu["dead"] == ["GPU requires reset", "Unknown Error"] and gpu["clock_sm_mhz"] is None


LOG = """\
[    0.000000] desk kernel: secureboot: Secure boot enabled
[    6.412001] desk kernel: Loading of module with unavailable key is rejected
[   12.345681] desk kernel: NVRM: RmInitAdapter: Cannot initialize GSP firmware RM
[ 5402.771000] desk kernel: NVRM: Xid (PCI:000f:01:00): 119, pid=7, name=x, Timeout after 6s of waiting for RPC response from GPU0 GSP!
[ 5402.891000] desk kernel: NVRM: Xid (PCI:000f:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)
[ 7100.000000] desk kernel: NVRM: Check failed: Out of memory [NV_ERR_NO_MEMORY] (0x00000051)
[ 7200.000000] desk kernel: Out of memory: Killed process 4242 (python3) total-vm:120000000kB
[ 9100.000000] desk kernel: pcieport 0009:00:00.0: AER: Corrected error message received from 0009:01:00.0
[ 9123.410001] desk kernel: pcieport 0000:00:00.0: AER: Uncorrectable (Fatal) error message received from 0000:00:00.0
[ 9123.410034] desk kernel: pcieport 0000:00:00.0: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Transaction Layer
[ 9150.334120] desk kernel: watchdog: BUG: soft lockup - CPU#3 stuck for 26s! [irq/45-aerdrv:220]
[ 9160.000000] desk kernel: mlx5_core 0000:01:00.0: mlx5_pci_err_detected Device state = 1 health sensors: 1
[ 9190.120013] desk kernel: mlx5_core 0000:01:00.0: mlx5_pci_slot_reset: wait vital failed with error code: -110
[ 9190.120402] desk kernel: pcieport 0000:00:00.0: AER: device recovery failed
[ 9191.000000] desk kernel: pcieport 0002:00:00.0: PCIe Bus Error: severity=Uncorrectable (Non-Fatal), type=Transaction Layer
[ 9192.000000] desk kernel: pcieport 0002:00:00.0: AER: device recovery successful
"""


@pytest.mark.parametrize(
    "line",
    [
        "watchdog: CPU4: Watchdog detected hard LOCKUP on cpu 5",
        "NMI watchdog: Watchdog detected hard LOCKUP on cpu 3",
        "BUG: workqueue lockup - pool cpus=4 node=0 flags=0x0 nice=0 stuck for 34s!",
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
    ],
)
def test_every_form_of_a_lockup(line: str) -> None:
    assert kernel_errors.read(f"[  100.000000] desk kernel: {line}\n")["lockups"]


def test_errors_of_the_kernel_log() -> None:
    read = kernel_errors.read(LOG)
    assert read["xids"] == {"119": 1, "154": 1} and read["recovery_action"] == "Node Reboot Required"
    assert len(read["gpu_failures"]) == 1 and len(read["gpu_lines"]) == 3
    assert (read["gpu_memory_errors"], read["oom_kills"], read["secure_boot"]) == (1, 1, True)
    assert [line.partition("NVRM: ")[2] for line in read["gpu_memory_lines"]] == [
        "Check failed: Out of memory [NV_ERR_NO_MEMORY] (0x00000051)"
    ]
    assert len(read["refused_modules"]) == 1 and len(read["lockups"]) == 1
    kinds = [(item["address"], item["kind"]) for item in read["pcie"]]
    assert kinds == [
        ("0000:00:00.0", "fatal"),
        ("0000:00:00.0", "fatal"),
        ("0000:01:00.0", "mlx5"),
        ("0000:01:00.0", "failed"),
        ("0000:00:00.0", "failed"),
        ("0002:00:00.0", "nonfatal"),
        ("0002:00:00.0", "recovered"),
    ]


def test_a_driver_that_could_not_be_started() -> None:
    for line in (
        "nvidia 000f:01:00.0: probe with driver nvidia failed with error -1",
        "nvidia: probe of 000f:01:00.0 failed with error -1",
    ):
        assert kernel_errors.read(f"[   12.0] desk kernel: {line}\n")["gpu_failures"]


def test_a_recovery_action_that_was_taken_back_is_none() -> None:
    said = "NVRM: Xid (PCI:000f:01:00): 154, GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)"
    back = f"[ 9300.000000] desk kernel: {said}\n"
    assert kernel_errors.read(LOG + back)["recovery_action"] is None
    assert kernel_errors.read("")["lines"] == 0 and kernel_errors.read("usual line\n")["xids"] == {}


INSTALLED = ["7.0.0-1021-nvidia", "7.0.0-1019-nvidia"]
TITLE = "Advanced options for DGX OS GNU/Linux>DGX OS GNU/Linux, with Linux "


@pytest.mark.parametrize(
    ("settings", "environment", "release"),
    [
        ({"default": f"{TITLE}7.0.0-1019-nvidia"}, {}, "7.0.0-1019-nvidia"),
        ({"default": f"{TITLE}6.17.0-1032-nvidia"}, {}, "7.0.0-1021-nvidia"),
        ({"default": "saved"}, {"saved_entry": "gnulinux-advanced-x>gnulinux-6.17.0-1032-nvidia-advanced-x"}, "7.0.0-1021-nvidia"),
        ({"default": "0"}, {"next_entry": f"{TITLE}6.11.0-1016-nvidia"}, "7.0.0-1021-nvidia"),
        ({"default": "saved"}, {"saved_entry": "gnulinux-7.0.0-1019-nvidia-advanced-x"}, "7.0.0-1019-nvidia"),
        ({"default": "saved"}, {}, "7.0.0-1021-nvidia"),
        ({"default": "1>2"}, {}, None),
        ({"default": "gnulinux-simple-27173d25-0000"}, {}, "7.0.0-1021-nvidia"),
        ({"default": "DGX OS GNU/Linux"}, {}, "7.0.0-1021-nvidia"),
        ({"default": "UEFI Firmware Settings"}, {}, None),
    ],
)
def test_what_grub_starts_next(settings: dict[str, str], environment: dict[str, str], release: str | None) -> None:
    assert grub.next_release(INSTALLED, settings, environment)[0] == release


def test_kho_of_the_next_boot() -> None:
    text = 'GRUB_CMDLINE_LINUX_DEFAULT="quiet kho=on"\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX kho=off"\n'
    assert grub.read(text)["kho"] == "off" and grub.read("GRUB_DEFAULT=0\n")["kho"] is None


def test_a_device_description_in_one_long_line() -> None:
    mounts = [
        {"hostPath": f"/usr/lib/aarch64-linux-gnu/lib{'x' * 5000}.so"},
        {"hostPath": "/usr/lib/aarch64-linux-gnu/libcuda.so.580.95.05"},
    ]
    assert cdi.read(json.dumps({"kind": "nvidia.com/gpu", "containerEdits": {"mounts": mounts}}))["driver"] == "580.95.05"


def test_what_apt_list_tells() -> None:
    text = "Listing... Done\nnvidia-utils-580/noble-updates,now 580.95.05-0ubuntu1 arm64 [installed,automatic]\n"
    text += "libnccl2/now 2.30.7-1+cuda13.0 arm64 [installed,local]\nnvidia-open/unknown 610.57.04-1 arm64\n"
    text += "libc6/noble 2.40 arm64 [upgradable from: 2.39-0ubuntu8]\nrubbish\n"
    assert [(item["name"], item["version"], item["state"], item["want"]) for item in apt_list.read(text)] == [
        ("nvidia-utils-580", "580.95.05-0ubuntu1", "installed", None),
        ("libnccl2", "2.30.7-1+cuda13.0", "installed", None),
        ("libc6", "2.39-0ubuntu8", "installed", None),
    ]


def test_a_release_that_was_pasted_in_one_line() -> None:
    read = dgx_release.read('INFO  DGX OS: DGX_SWBUILD_VERSION="7.2.3" DGX_OTA_VERSION="7.6.0"\n')
    assert (read["version"], read["factory_version"], read["ota_history"]) == ("7.6.0", "7.2.3", ["7.6.0"])
