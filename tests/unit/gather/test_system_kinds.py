# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of desks that owners reported, from files and answers to facts and findings: GPU, next boot, container devices, daemon."""

from __future__ import annotations

import dataclasses
import json

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import NOT_RECORDED, TIMEOUT
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.reboot import reboot_refusals
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Finding, Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import grub
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import recording_programs as of_programs
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import recording_reducers as reduce
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import recording_smi as of_smi

from .fake_desk import DRIVER, KERNEL, NVIDIA_SMI_Q, PACKAGES, PCI, QUERY_GPU, FakeDesk, dpkg, healthy, said

SMI_QUERY = next(words for words in healthy().commands if words.startswith("nvidia-smi --query-gpu"))
LOG = "journalctl -k -b -o short-monotonic --no-pager"
NEXT = "7.0.0-1021-nvidia"
OLDER = "6.14.0-1015-nvidia"
WHERE = Where(desk="desk-01")
XID = "spark-a1b2 kernel: NVRM: Xid (PCI:000f:01:00):"
NO_MEMORY = "spark-a1b2 kernel: NVRM: nvCheckOkFailedNoLog: Check failed: Out of memory [NV_ERR_NO_MEMORY] (0x00000051)"


def judged(desk: FakeDesk) -> dict[str, Finding]:
    """What is said about a desk, by code; a kind is told once."""
    found = judge(collect(desk), WHERE, JudgeOptions())
    assert len({item.code for item in found}) == len(found)
    return {item.code: item for item in found}


def logging(desk: FakeDesk, *lines: str) -> FakeDesk:
    desk.commands[LOG] += "".join(f"[ 9000.00000{number}] {line}\n" for number, line in enumerate(lines))
    return desk


def with_smi(desk: FakeDesk, answer: object) -> FakeDesk:
    for words in ("nvidia-smi", "nvidia-smi -q", "nvidia-smi --version", SMI_QUERY):
        desk.commands[words] = answer
    return desk


# --- the GPU ---


INFOROM = "WARNING: infoROM is corrupted at gpu 000F:01:00.0\n"


def test_readings_with_a_warning_behind_them_are_readings() -> None:
    """nvidia-smi ends with 14 then, and all that it was asked stands before the warning."""
    desk = healthy()
    for words, answer in healthy().commands.items():
        if words.startswith("nvidia-smi"):
            desk.commands[words] = said(answer + INFOROM, rc=14)
    seen, usual = (dataclasses.replace(collect(item), collected_at=None) for item in (desk, healthy()))
    assert seen.gpu.warnings == (INFOROM.strip(),) and usual.gpu.warnings == ()
    assert dataclasses.replace(seen, gpu=dataclasses.replace(seen.gpu, warnings=())) == usual
    for reducer in (of_smi.readings, of_smi.process_list, of_smi.programs, of_programs.versions):
        assert "\nWARNING: infoROM is corrupted" in reducer(f"a\n{INFOROM}", ())
    # Without that word 14 is a failure as any other.
    assert collect(with_smi(healthy(), said("no words", rc=14))).gpu.smi == "refused"


@pytest.mark.parametrize("word", ["[GPU requires reset]", "[GPU is lost]", "ERR!", "[Unknown Error]"])
def test_a_gpu_that_answers_with_words_is_dead(word: str) -> None:
    desk = healthy()
    desk.commands[SMI_QUERY] = QUERY_GPU.replace("208 MHz, 3003 MHz, 5.20 W, 41, 3 %", ", ".join([word] * 5))
    text = NVIDIA_SMI_Q
    for reading in ("208 MHz", "3003 MHz", "5.20 W", "41 C", "3 %"):
        text = text.replace(reading, word.strip("[]"))
    desk.commands["nvidia-smi -q"] = text
    found = judged(logging(desk, f"{XID} 79, pid=1, GPU has fallen off the bus."))
    assert found["GPU_FAILED"].severity == "fail"
    assert word.strip("[]") in found["GPU_FAILED"].message and "79" in found["GPU_FAILED"].message
    assert "Reboot" in found["GPU_FAILED"].remedy and "FACTS_INCOMPLETE" not in found


@pytest.mark.parametrize("word", ["ERR!", "[Unknown Error]"])
def test_one_word_among_live_numbers_is_a_failure_too(word: str) -> None:
    desk = healthy()
    desk.commands[SMI_QUERY] = QUERY_GPU.replace("5.20 W", word)
    desk.commands["nvidia-smi -q"] = NVIDIA_SMI_Q.replace("5.20 W", word.strip("[]"))
    found = judged(desk)["GPU_FAILED"]
    assert found.severity == "fail" and "instead of some readings" in found.message


@pytest.mark.parametrize("action", ["Reset", "Reboot", "Drain P2P", "Drain and Reset"])
def test_a_recovery_that_the_driver_wants(action: str) -> None:
    desk = healthy()
    desk.commands["nvidia-smi -q"] = NVIDIA_SMI_Q.replace("    Clocks\n", f"    GPU Recovery Action : {action}\n    Clocks\n", 1)
    found = judged(desk)["GPU_FAILED"]
    assert found.severity == "fail" and action in found.message
    desk.commands["nvidia-smi -q"] = desk.commands["nvidia-smi -q"].replace(f"Action : {action}", "Action : None")
    assert "GPU_FAILED" not in judged(desk)


@pytest.mark.parametrize(("cause", "severity"), [("13, pid=4711, name=python3, Graphics SM Warp Exception", "note"), ("119, x", "warn")])
def test_a_recovery_that_was_made_is_no_error_of_its_own(cause: str, severity: str) -> None:
    asked, made = (
        f"{XID} 154, GPU recovery action changed from {change}" for change in ("0x0 (None) to 0x1 (Reset)", "0x1 (Reset) to 0x0 (None)")
    )
    found = judged(logging(healthy(), f"{XID} {cause}", asked, made))
    assert found["GPU_ERRORS_LOGGED"].severity == severity and "GPU_FAILED" not in found
    assert judged(logging(healthy(), f"{XID} {cause}", asked))["GPU_FAILED"].severity == "fail"


@pytest.mark.parametrize(
    ("line", "failed"),
    [
        (f"{XID} 120, GSP task exception", True),
        ("spark-a1b2 kernel: NVRM: GPU 000f:01:00.0: RmInitAdapter failed! (0x62:0x65:2028)", True),
        ("spark-a1b2 kernel: NVRM: nvCheckOkFailedNoLog: Check failed: GPU lost from the bus [NV_ERR_GPU_IS_LOST] (0x0000000F)", True),
        ("spark-a1b2 kernel: NVRM: _kgspIsHeartbeatTimedOut: Heartbeat timed out, diff 5200 timeout 5200", True),
        ("spark-a1b2 kernel: NVRM: kgspHealthCheck_TU102: ********* GSP-CrashCat Report *********", True),
        ("spark-a1b2 kernel: nvidia-modeset: ERROR: GPU:0: Error while waiting for GPU progress: 0x0000ca7d:0 2:0:4048:4044", True),
        ("spark-a1b2 kernel: nvidia 000f:01:00.0: Unable to change power state from D3cold to D0, device inaccessible", True),
        ("spark-a1b2 kernel: nvidia 000f:01:00.0: can't change power state from D3cold to D0 (config space inaccessible)", True),
        ("spark-a1b2 kernel: nvidia 000f:01:00.0: AER: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Inaccessible, (Agent)", True),
        ("spark-a1b2 kernel: nvidia 000f:01:00.0: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer, (Agent)", True),
        ("spark-a1b2 kernel: nvidia 000f:01:00.0: AER: can't recover (no error_detected callback)", True),
        ("spark-a1b2 kernel: nvidia 000f:01:00.0: AER: PCIe Bus Error: severity=Correctable, type=Data Link Layer, (Agent)", False),
        ("spark-a1b2 kernel: nvme 0004:01:00.0: AER: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Inaccessible, (Agent)", False),
        ("spark-a1b2 kernel: iwlwifi 0009:01:00.0: Unable to change power state from D3cold to D0, device inaccessible", False),
        ("spark-a1b2 kernel: INFO: task nvidia-smi:48127 blocked for more than 122 seconds.", True),
        ("spark-a1b2 kernel: INFO: task nv_queue:812 blocked for more than 122 seconds.", True),
        ("spark-a1b2 kernel: INFO: task jbd2/nvme0n1p2-:512 blocked for more than 122 seconds.", False),
        ("spark-a1b2 kernel: Out of memory: Killed process 812 (python3) total-vm:1kB", True),
        (f"{NO_MEMORY} returned from _memdescAllocInternal(pMemDesc) @ mem_desc.c:1359", True),
        ("spark-a1b2 kernel: usb 1-1: new device", False),
    ],
)
def test_a_hang_of_nvidia_smi_is_explained_by_the_kernel_or_stays_unknown(line: str, failed: bool) -> None:
    found = judged(logging(with_smi(healthy(), said(error=TIMEOUT)), line))
    if failed:
        assert found["GPU_FAILED"].severity == "fail" and line.split("kernel: ")[1] in found["GPU_FAILED"].message
        assert "FACTS_INCOMPLETE" not in found or found["FACTS_INCOMPLETE"].severity == "note"
    else:
        assert "GPU_FAILED" not in found and found["FACTS_INCOMPLETE"].severity == "unknown"
        assert "time limit" in found["FACTS_INCOMPLETE"].remedy and "--become" not in found["FACTS_INCOMPLETE"].remedy


def test_who_waits_for_the_driver_is_told_behind_the_memory_that_it_did_not_get() -> None:
    waits = "spark-a1b2 kernel: INFO: task nvidia-smi:48127 blocked for more than 122 seconds."
    found = judged(logging(with_smi(healthy(), said(error=TIMEOUT)), waits, *[NO_MEMORY] * 3))["GPU_FAILED"]
    assert "The kernel says: " in found.message and "NV_ERR_NO_MEMORY" in found.message and "Memory ran out" in found.remedy
    assert found.evidence["kernel"][-1].endswith("blocked for more than 122 seconds.")
    # A program that the kernel killed, perhaps long ago, need not be why.
    killed = "spark-a1b2 kernel: Out of memory: Killed process 812 (python3) total-vm:1kB"
    assert "Memory ran out" not in judged(logging(with_smi(healthy(), said(error=TIMEOUT)), waits, killed))["GPU_FAILED"].remedy


def test_a_hang_is_waited_for_once() -> None:
    desk = with_smi(healthy(), said(error=TIMEOUT))
    collect(desk)
    assert [words for words in desk.asked if words in ("nvidia-smi", "nvidia-smi --version")] == []


@pytest.mark.parametrize("text", ["GPU is lost.  Reboot the system to recover this GPU", "Unknown Error\nNo devices were found"])
def test_a_device_handle_that_nobody_gets(text: str) -> None:
    found = judged(with_smi(healthy(), said(f"Unable to determine the device handle for GPU0: 000F:01:00.0: {text}\n", rc=15)))
    assert found["GPU_FAILED"].severity == "fail" and "GPU_NOT_FOUND" not in found


@pytest.mark.parametrize(
    ("device", "is_gb10"), [("2E00", True), ("2E12", True), ("2E2A", True), ("2E3F", True), ("2E40", False), ("2DFF", False)]
)
def test_the_pci_ids_of_the_gpu(device: str, is_gb10: bool) -> None:
    desk = healthy()
    desk.files[f"{PCI}/000f:01:00.0/uevent"] = f"DRIVER=nvidia\nPCI_ID=10DE:{device}\nPCI_SLOT_NAME=000f:01:00.0\n"
    desk.files["/sys/class/dmi/id/product_name"] = "Veriton GN100\n"
    desk.files["/sys/class/dmi/id/board_name"] = "unknown\n"
    with_smi(desk, said("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", rc=9))
    del desk.files["/proc/driver/nvidia/version"]
    assert collect(desk).identity.is_gb10 is is_gb10


def test_nvidia_smi_of_the_next_branches_makes_no_mismatch() -> None:
    newer = "615.71.09"
    desk = healthy()
    desk.files["/proc/driver/nvidia/version"] = desk.files["/proc/driver/nvidia/version"].replace(DRIVER, newer)
    del desk.links["/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1"]
    note = " [Deprecated; will be removed in CUDA 14.0. Use {} Version instead]"
    desk.commands["nvidia-smi -q"] = NVIDIA_SMI_Q.replace(DRIVER, newer).replace(
        f"Driver Version                                         : {newer}",
        f"Driver Version : {newer}{note.format('KMD')}\nKMD Version : {newer}\nCUDA UMD Version : 13.4",
    )
    desk.commands[SMI_QUERY] = QUERY_GPU.replace(DRIVER, newer)
    desk.commands["nvidia-smi --version"] = (
        f'NVIDIA-SMI version  : {newer}\nNVML version        : 615.71\nDRIVER version      : Deprecated, see "KMD version" instead\n'
        f"KMD version         : {newer}\nCUDA UMD version    : 13.4\n"
    )
    facts = collect(desk)
    assert (facts.driver.user_space_version, facts.driver.module_version, facts.driver.cuda_version) == (newer, newer, "13.4")
    found = judged(desk)
    assert "DRIVER_MISMATCH" not in found and found["DRIVER_BRANCH_WRONG"].severity == "fail"


# --- the next boot ---


def next_kernel(desk: FakeDesk, *paths: str, packages: tuple[str, ...] = ()) -> FakeDesk:
    """A desk with a second kernel, its module tree and packages."""
    desk.files[f"/boot/vmlinuz-{NEXT}"] = ""
    desk.files[f"/lib/modules/{NEXT}/kernel/drivers/net/dummy.ko.zst"] = ""
    for path in paths:
        desk.files[f"/lib/modules/{NEXT}/{path}"] = ""
    more = {f"linux-image-{NEXT}": "7.0.0-1021.21", **dict.fromkeys(packages, "7.0.0-1021.21")}
    desk.files["/var/lib/dpkg/status"] = dpkg(PACKAGES | more)
    return desk


@pytest.mark.parametrize(
    ("paths", "packages", "has_driver"),
    [
        (("kernel/nvidia-580-open/nvidia.ko.zst",), (f"linux-modules-nvidia-580-open-{NEXT}",), True),
        (("kernel/nvidia-580-server-open/nvidia.ko",), (), True),
        (("kernel/nvidia-580srv-open/nvidia.ko",), (f"linux-modules-nvidia-580-server-open-{NEXT}",), True),
        (("kernel/nvidia-580srv/nvidia.ko",), (), False),
        (("kernel/nvidia-595srv-open/nvidia.ko",), (), False),
        (("kernel/nvidia-590-open/nvidia.ko",), (f"linux-modules-nvidia-590-open-{NEXT}",), False),
        (("kernel/nvidia-580/nvidia.ko",), (f"linux-modules-nvidia-580-{NEXT}",), False),
        (("kernel/nvidia-fs/nvidia-fs.ko",), (f"linux-modules-nvidia-fs-{NEXT}",), False),
        ((), (f"linux-modules-nvidia-fs-{NEXT}",), False),
        (("updates/dkms/nvidia-uvm.ko.zst", "updates/dkms/nvidia-fs.ko"), (), False),
        ((), (f"linux-modules-nvidia-580-open-{NEXT}",), False),
        (("kernel/nvidia-610-open/nvidia.ko", "kernel/nvidia-580-open/nvidia.ko"), (), True),
    ],
)
def test_which_kernel_has_the_driver(paths: tuple[str, ...], packages: tuple[str, ...], has_driver: bool) -> None:
    desk = next_kernel(healthy(), *paths, packages=packages)
    facts = collect(desk)
    image = next(item for item in facts.kernel.installed if item.release == NEXT)
    assert (facts.kernel.next_boot, image.has_driver) == (NEXT, has_driver)
    assert ("NEXT_BOOT_KERNEL_WITHOUT_DRIVER" in judged(desk)) is not has_driver
    assert any("no R580 open module" in item.message for item in reboot_refusals(facts, WHERE)) is not has_driver


@pytest.mark.parametrize(
    ("answer", "packages", "has_driver"),
    [
        ("filename: x\nversion: 580.178.04\nlicense: Dual MIT/GPL\n", (), True),
        ("filename: x\nversion: 610.57.04\nlicense: Dual MIT/GPL\n", (), False),
        ("filename: x\nversion: 580.178.04\nlicense: NVIDIA\n", (), False),
        (None, ("nvidia-dkms-580-open=580.178.04-1",), True),
        (None, ("nvidia-dkms-open=610.57.04-1",), False),
        (None, ("nvidia-dkms-580=580.178.04-1",), False),
        (None, ("nvidia-dkms-580-open=580.178.04-1", "nvidia-dkms-open=610.57.04-1", "libnvidia-compute=610.57.04-1"), None),
    ],
)
def test_a_module_that_was_built_on_the_desk_is_asked_what_it_is(answer: str | None, packages: tuple[str, ...], has_driver: bool) -> None:
    desk = next_kernel(healthy(), "updates/dkms/nvidia.ko.zst")
    built = dict(item.split("=") for item in packages)
    desk.files["/var/lib/dpkg/status"] = dpkg(PACKAGES | {f"linux-image-{NEXT}": "7.0.0-1021.21"} | built)
    if answer is not None:
        desk.commands[f"modinfo -k {NEXT} nvidia"] = answer
    image = next(item for item in collect(desk).kernel.installed if item.release == NEXT)
    assert image.has_driver is has_driver


BUILT = f"/lib/modules/{NEXT}/updates/dkms/nvidia.ko.zst"
PREBUILT = f"/usr/lib/modules/{NEXT}/kernel/nvidia-580-open/nvidia.ko"


@pytest.mark.parametrize(
    ("said", "dkms", "has_driver"),
    [
        (None, "nvidia-dkms-610-open=610.57.04-0ubuntu0.24.04.3", False),
        (f"filename: {BUILT}\nversion: 610.57.04\nlicense: Dual MIT/GPL\n", "", False),
        (f"filename: {PREBUILT}\nversion: 580.178.04\nlicense: Dual MIT/GPL\n", "nvidia-dkms-610-open=610.57.04-1", True),
        (None, "nvidia-dkms-580-open=580.178.04-1", True),
        (None, "", None),
    ],
    ids=["packages", "modinfo", "a depmod.d file turns the order", "dkms of r580", "not known"],
)
def test_a_built_module_covers_the_prebuilt_one(said: str | None, dkms: str, has_driver: bool | None) -> None:
    """Ubuntu's depmod puts what is below updates before all others, so a module that DKMS built is loaded, not the package's."""
    desk = next_kernel(healthy(), "kernel/nvidia-580-open/nvidia.ko", "updates/dkms/nvidia.ko.zst")
    built = dict(item.split("=") for item in (dkms,) if item)
    kept = {name: version for name, version in PACKAGES.items() if has_driver is not None or not name.startswith("libnvidia-compute")}
    desk.files["/var/lib/dpkg/status"] = dpkg(kept | {f"linux-image-{NEXT}": "7.0.0-1021.21"} | built)
    if said is not None:
        desk.commands[f"modinfo -k {NEXT} nvidia"] = said
    facts = collect(desk)
    image = next(item for item in facts.kernel.installed if item.release == NEXT)
    found = judged(desk).get("NEXT_BOOT_KERNEL_WITHOUT_DRIVER")
    assert (image.has_driver, found is not None) == (has_driver, has_driver is False)
    if found:
        assert f"would load {BUILT} (610-open) in place of its R580 open module" in found.message
        assert "sudo dkms status" in found.remedy and f"install linux-modules-nvidia-580-open-{NEXT}" not in found.remedy
        refused = next(item for item in reboot_refusals(facts, WHERE) if BUILT in item.message)
        assert "sudo dkms status" in refused.message


def test_the_package_database_alone_never_makes_a_driver() -> None:
    recorded = healthy()
    recorded.absent = NOT_RECORDED
    module = f"linux-modules-nvidia-580-open-{NEXT}"
    next_kernel(recorded, packages=(module,))
    for path in [path for path in recorded.files if path.startswith("/lib/modules/")]:
        del recorded.files[path]
    kernels = {item.release: item.has_driver for item in collect(recorded).kernel.installed}
    assert kernels == {NEXT: None, KERNEL: None}


def test_a_pin_of_a_kernel_that_is_gone_is_told() -> None:
    desk = next_kernel(healthy())
    desk.files["/etc/default/grub.d/50-pin.cfg"] = (
        'GRUB_DEFAULT="Advanced options for DGX OS GNU/Linux>DGX OS GNU/Linux, with Linux 6.11.0-1016-nvidia"\n'
    )
    found = judged(desk)["NEXT_BOOT_KERNEL_WITHOUT_DRIVER"]
    assert NEXT in found.message and "6.11.0-1016-nvidia', which is not installed" in found.message


@pytest.mark.parametrize(
    ("entry", "chosen"),
    [
        ("1>2", True),
        (f"Advanced options for DGX OS GNU/Linux>DGX OS GNU/Linux, with Linux {OLDER}", True),
        (f"gnulinux-advanced-x>gnulinux-{OLDER}-advanced-x", True),
        ("DGX OS GNU/Linux", False),
    ],
)
def test_a_pin_that_grub_follows_is_told_as_one(entry: str, chosen: bool) -> None:
    desk = healthy()
    bad = OLDER if chosen else NEXT
    desk.files |= {f"/boot/vmlinuz-{bad}": "", f"/lib/modules/{bad}/kernel/drivers/net/dummy.ko.zst": ""}
    desk.files["/etc/default/grub.d/99-lab.cfg"] = f'GRUB_DEFAULT="{entry}"\n'
    first, second = (KERNEL, OLDER) if chosen else (NEXT, KERNEL)
    inner = "".join(
        f"menuentry 'DGX OS GNU/Linux, with Linux {name}{more}' $menuentry_id_option 'gnulinux-{name}-{kind}-x' {{\n"
        f" linux /boot/vmlinuz-{name} ro\n}}\n"
        for name in (first, second)
        for more, kind in (("", "advanced"), (" (recovery mode)", "recovery"))
    )
    desk.files["/boot/grub/grub.cfg"] = (
        f"menuentry 'DGX OS GNU/Linux' {{\n linux /boot/vmlinuz-{first} ro\n}}\n"
        f"submenu 'Advanced options for DGX OS GNU/Linux' $menuentry_id_option 'gnulinux-advanced-x' {{\n{inner}}}\n"
    )
    found = judged(desk)["NEXT_BOOT_KERNEL_WITHOUT_DRIVER"]
    assert bad in found.message and f"GRUB is set to start {entry!r}." in found.message and "not installed" not in found.message
    assert ("grub-editenv" in found.remedy) is chosen
    assert f"linux-modules-nvidia-580-open-{bad if chosen else 'RELEASE'}" in found.remedy


def menu_of(default: str, more: str = "") -> str:
    """A grub.cfg as update-grub writes it for a bad kernel and the good one."""
    entries = "".join(
        f"\tmenuentry 'DGX OS GNU/Linux, with Linux {name}' --class os $menuentry_id_option 'gnulinux-{name}-advanced-1f2e' {{\n"
        f"\t\tlinux\t/boot/vmlinuz-{name} root=UUID=1f2e ro\n\t}}\n"
        for name in ("7.0.0-1021-nvidia", KERNEL)
    )
    return (
        f'if [ "${{next_entry}}" ] ; then\n   set default="${{next_entry}}"\nelse\n   set default="{default}"\nfi\n'
        f"menuentry 'DGX OS GNU/Linux' --class os $menuentry_id_option 'gnulinux-simple-1f2e' {{\n"
        f"\tlinux\t/boot/vmlinuz-7.0.0-1021-nvidia root=UUID=1f2e ro\n}}\n"
        f"submenu 'Advanced options for DGX OS GNU/Linux' $menuentry_id_option 'gnulinux-advanced-1f2e' {{\n{entries}}}\n{more}"
    )


PIN = f"gnulinux-{KERNEL}-advanced-1f2e"
WHOLE_PIN = f"gnulinux-advanced-1f2e>{PIN}"
TITLE = f"DGX OS GNU/Linux, with Linux {KERNEL}"
PUT_RIGHT = f"""if [ "x$default" = '{TITLE}' ]; then default='Advanced options for DGX OS GNU/Linux>{TITLE}'; fi;\n"""


@pytest.mark.parametrize(
    ("setting", "environment", "menu", "good", "words"),
    [
        (WHOLE_PIN, "", menu_of(WHOLE_PIN), True, ""),
        (WHOLE_PIN, "", menu_of("0"), False, "sudo update-grub has not run since"),
        ("0", "", menu_of(WHOLE_PIN), True, ""),
        ("saved", f"saved_entry={WHOLE_PIN}\n", menu_of("${saved_entry}"), True, ""),
        ("saved", f"saved_entry={WHOLE_PIN}\n", menu_of("0"), False, "sudo update-grub has not run since"),
        ("saved", f"saved_entry={PIN}\n", menu_of("${saved_entry}"), False, "another place of its menu (SUBMENU>ENTRY)"),
        (PIN, "", menu_of(PIN), False, "another place of its menu (SUBMENU>ENTRY)"),
        (TITLE, "", menu_of(TITLE), False, "another place of its menu (SUBMENU>ENTRY)"),
        (TITLE, "", menu_of(TITLE, PUT_RIGHT), True, ""),
        ("0", f"next_entry={WHOLE_PIN}\n", menu_of("0"), True, ""),
        (WHOLE_PIN, "", None, True, ""),
    ],
)
def test_the_menu_that_update_grub_wrote_decides_what_starts(
    setting: str, environment: str, menu: str | None, good: bool, words: str
) -> None:
    bad = "7.0.0-1021-nvidia"
    desk = healthy()
    desk.files |= {f"/boot/vmlinuz-{bad}": "", f"/lib/modules/{bad}/kernel/drivers/net/dummy.ko.zst": ""}
    desk.files["/etc/default/grub.d/99-lab.cfg"] = f'GRUB_DEFAULT="{setting}"\n'
    desk.files["/boot/grub/grubenv"] = f"# GRUB Environment Block\n{environment}"
    if menu is not None:
        desk.files["/boot/grub/grub.cfg"] = menu
    assert collect(desk).kernel.next_boot == (KERNEL if good else bad)
    found = judged(desk).get("NEXT_BOOT_KERNEL_WITHOUT_DRIVER")
    assert (found is None) is good
    assert found is None or words in found.message
    remedy = "sudo update-grub, so that" if "has not run" in words else "'SUBMENU>ENTRY'"
    assert found is None or remedy in found.remedy


@pytest.mark.parametrize(
    ("menu", "settings", "warned"),
    [
        (" ro", "kho=off", True),
        (" ro kho=off", "kho=off", False),
        (" ro kho=off quiet", "", False),
        (" ro kho=on kho=off", "", False),
        (" ro", "", True),
        ("", "kho=off", False),
        (None, "kho=off", False),
    ],
)
def test_kho_counts_from_the_next_update_grub_on(menu: str | None, settings: str, warned: bool) -> None:
    bad = "7.0.0-1019-nvidia"
    desk = healthy()
    desk.files |= {f"/boot/vmlinuz-{bad}": "", f"/lib/modules/{bad}/kernel/nvidia-580-open/nvidia.ko": ""}
    desk.files["/etc/default/grub.d/99-lab.cfg"] = f'GRUB_CMDLINE_LINUX="{settings}"\n'
    if menu is not None:
        desk.files["/boot/grub/grub.cfg"] = f"menuentry 'DGX OS GNU/Linux' {{\n\tlinux\t/boot/vmlinuz-{bad}{menu}\n}}\n"
    found = [item for item in judge(collect(desk), WHERE, JudgeOptions()) if item.evidence.get("component") == "next kernel"]
    assert bool(found) is warned


def test_a_recorded_menu_keeps_what_starts_and_no_command_line() -> None:
    kept = reduce.grub_menu(menu_of(TITLE, PUT_RIGHT), ())
    assert (grub.default_of(kept), grub.place_of(TITLE, kept)) == (TITLE, f"Advanced options for DGX OS GNU/Linux>{TITLE}")
    assert grub.menu(kept) == grub.menu(menu_of(TITLE, PUT_RIGHT)) and "root=" not in kept
    assert grub.default_of(reduce.grub_menu(menu_of("${saved_entry}"), ())) == "saved"


@pytest.mark.parametrize(
    ("setting", "other", "starts_other"),
    [
        ('GRUB_FLAVOUR_ORDER="nvidia"', "7.0.0-31-generic", False),
        ("GRUB_FLAVOUR_ORDER=nvidia-64k", "7.0.0-31-generic", True),
        ('GRUB_FLAVOUR_ORDER="lowlatency nvidia"', "7.0.0-31-generic", False),
        ("GRUB_FLAVOUR_ORDER=generic-64k", "6.8.0-90-generic-64k", True),
        ("GRUB_FLAVOUR_ORDER=generic", "6.8.0-90-generic-64k", False),
        (f'GRUB_TOP_LEVEL="/boot/vmlinuz-{OLDER}"', OLDER, True),
        (f"GRUB_TOP_LEVEL=/boot/vmlinuz-{KERNEL}", NEXT, False),
        ("GRUB_TOP_LEVEL=/boot/vmlinuz-6.11.0-1016-nvidia", OLDER, False),
    ],
)
def test_a_setting_may_put_another_kernel_first(setting: str, other: str, starts_other: bool) -> None:
    desk = healthy()
    desk.files |= {f"/boot/vmlinuz-{other}": "", f"/lib/modules/{other}/kernel/drivers/net/dummy.ko.zst": ""}
    desk.files["/etc/default/grub.d/zz-order.cfg"] = f"{setting}\n"
    assert collect(desk).kernel.next_boot == (other if starts_other else KERNEL)
    found = judged(desk).get("NEXT_BOOT_KERNEL_WITHOUT_DRIVER")
    assert (found is not None) is starts_other
    if found is not None and other != "7.0.0-31-generic":  # which is also the highest version
        assert setting.replace('"', "") in found.message and f"take {setting.partition('=')[0]} out of" in found.remedy


def test_a_copy_of_a_kernel_that_dpkg_left_is_not_started() -> None:
    desk = healthy()
    desk.files[f"/boot/vmlinuz-{NEXT}.dpkg-bak"] = ""
    assert collect(desk).kernel.next_boot == KERNEL and "NEXT_BOOT_KERNEL_WITHOUT_DRIVER" not in judged(desk)


@pytest.mark.parametrize(
    ("grub", "package", "warned"), [("", False, True), ("kho=off", False, False), ("", True, False), ("kho=on", False, True)]
)
def test_the_bad_kernel_is_warned_of_before_the_boot(grub: str, package: bool, warned: bool) -> None:
    desk = healthy()
    bad = "7.0.0-1019-nvidia"
    desk.files[f"/boot/vmlinuz-{bad}"] = desk.files[f"/lib/modules/{bad}/kernel/nvidia-580-open/nvidia.ko"] = ""
    desk.files["/etc/default/grub.d/60-more.cfg"] = f'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {grub}"\n'
    if package:
        desk.files["/var/lib/dpkg/status"] = dpkg(PACKAGES | {"nvidia-spark-grub-kho": "1.0-1"})
    found = [item for item in judge(collect(desk), WHERE, JudgeOptions()) if item.evidence.get("component") == "next kernel"]
    assert [item.severity for item in found] == (["warn"] if warned else [])


# --- module, library, container devices, daemon ---


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("spark-a1b2 kernel: Loading of module with unavailable key is rejected", "mokutil"),
        ("spark-a1b2 kernel: Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7", "mokutil"),
        ("spark-a1b2 kernel: usb 1-1: new device", "sudo modprobe nvidia"),
    ],
)
def test_a_module_that_is_there_and_not_loaded(line: str, words: str) -> None:
    desk = with_smi(healthy(), said("Failed to initialize NVML: Driver Not Loaded\n", rc=9))
    del desk.files["/proc/driver/nvidia/version"]
    found = judged(logging(desk, line))["DRIVER_MISSING"]
    assert words in found.remedy


def test_on_another_major_version_no_package_of_this_one_is_named() -> None:
    desk = with_smi(healthy(), said("Failed to initialize NVML: Driver Not Loaded\n", rc=9))
    desk.files["/etc/dgx-release"] = 'DGX_SWBUILD_VERSION="8.0.0"\n'
    del desk.files["/proc/driver/nvidia/version"]
    found = judged(desk)
    assert found["DGX_OS_RULES_UNKNOWN"].severity == "unknown" and found["DRIVER_MISSING"].severity == "fail"
    assert "580-open" not in found["DRIVER_MISSING"].remedy
    assert any("not known which kernels may start on this version" in item.message for item in reboot_refusals(collect(desk), WHERE))


def test_only_the_version_was_recorded() -> None:
    recorded = healthy()
    recorded.absent = NOT_RECORDED
    del recorded.files["/proc/driver/nvidia/version"], recorded.links["/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1"]
    recorded.commands = {"uname -m": "aarch64\n"}
    recorded.commands["nvidia-smi --version"] = (
        "NVIDIA-SMI version  : 620.70.06\nNVML version        : 620.70\nKMD version         : 620.70.06\nCUDA UMD version    : 13.5\n"
    )
    driver = collect(recorded).driver
    assert (driver.user_space_version, driver.module_version, driver.cuda_version) == ("620.70.06", "620.70.06", "13.5")
    assert "DRIVER_MISMATCH" not in judged(recorded)


@pytest.mark.parametrize("target", ["/opt/metrics/libnvidia-ml.so.1", "libnvidia-ml.so.1.real", "/usr/local/lib/libshim.so"])
def test_where_the_library_may_lead(target: str) -> None:
    desk = healthy()
    desk.links["/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1"] = target
    assert collect(desk).driver.foreign_library == target
    assert collect(healthy()).driver.foreign_library is None


def test_words_in_the_place_of_the_cuda_version_are_no_version() -> None:
    desk = healthy()
    desk.commands["nvidia-smi -q"] = NVIDIA_SMI_Q.replace(" : 13.0", " : Not Found")
    facts = collect(desk)
    assert facts.driver.cuda_version is None and "driver.cuda_version" in facts.unread
    assert "DRIVER_MISMATCH" not in judged(desk)


def test_a_library_in_the_place_of_the_drivers_is_named() -> None:
    desk = with_smi(healthy(), said("Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.159\n", rc=18))
    desk.links["/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1"] = "/opt/metrics/libfake-ml.so.2"
    found = judged(desk)["DRIVER_MISMATCH"]
    assert "/opt/metrics/libfake-ml.so.2" in found.message and "A reboot does not help" in found.remedy


def spec(driver: str) -> str:
    return json.dumps({"kind": "nvidia.com/gpu", "containerEdits": {"mounts": [{"hostPath": f"/usr/lib/libcuda.so.{driver}"}]}})


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"/etc/cdi/nvidia.yaml": DRIVER, "/var/run/cdi/nvidia.yaml": "580.95.05"}, "/var/run/cdi/nvidia.yaml"),
        ({"/var/run/cdi/nvidia.json": "580.95.05"}, "/var/run/cdi/nvidia.json"),
        ({"/run/cdi/gpu.yml": "580.95.05"}, "/run/cdi/gpu.yml"),
        ({"/etc/cdi/old.json": "580.95.05", "/etc/cdi/nvidia.yaml": DRIVER}, "/etc/cdi/old.json"),
        ({"/etc/cdi/nvidia.yaml": DRIVER, "/run/cdi/nvidia.yaml": DRIVER}, None),
    ],
)
def test_every_device_description_is_read(files: dict[str, str], named: str | None) -> None:
    desk = healthy()
    desk.files |= {path: spec(driver) for path, driver in files.items()}
    found = judged(desk).get("CDI_STALE")
    assert (found is None) is (named is None)
    if found is not None and named is not None:
        assert named in found.message
        assert ("nvidia-cdi-refresh" in found.remedy) is ("/run/" in named)


@pytest.mark.parametrize(
    ("said_by_systemd", "mode", "words", "remedy"),
    [
        ("activating", "Enabled", "keeps restarting it", "journalctl -u nvidia-persistenced"),
        ("failed", "Enabled", "not active (failed)", "reset-failed"),
        ("active", "Disabled", "mode is off although the daemon is running", "nvidia-smi -pm 1"),
        ("inactive", "Enabled", "is not active", "enable --now"),
    ],
)
def test_the_daemon_that_does_not_hold(said_by_systemd: str, mode: str, words: str, remedy: str) -> None:
    desk = healthy()
    del desk.files["/sys/fs/cgroup/system.slice/nvidia-persistenced.service/cgroup.procs"]
    desk.commands["systemctl is-active nvidia-persistenced.service"] = said(
        f"{said_by_systemd}\n", rc=0 if said_by_systemd == "active" else 3
    )
    desk.commands["nvidia-smi -q"] = NVIDIA_SMI_Q.replace(
        "Persistence Mode                                   : Enabled", f"Persistence Mode : {mode}"
    )
    desk.commands[SMI_QUERY] = QUERY_GPU.replace("Enabled", mode)
    found = judged(desk)["PERSISTENCED_INACTIVE"]
    assert found.severity == "warn" and words in found.message and remedy in found.remedy


def test_pcie_errors_are_told_also_where_the_link_is_up() -> None:
    lines = (
        "spark-a1b2 kernel: pcieport 0002:00:00.0: AER: Multiple Uncorrectable (Fatal) error message received from 0002:00:00.0",
        "spark-a1b2 kernel: mlx5_core 0002:01:00.0: mlx5_health_try_recover:333:(pid 8): health recovery failed",
    )
    found = judged(logging(healthy(), *lines))["CX7_PCIE_ERRORS"]
    assert found.severity == "fail" and "0002:00:00.0" in found.message
    foreign = "spark-a1b2 kernel: pcieport 0009:00:00.0: AER: Uncorrectable (Fatal) error message received from 0009:00:00.0"
    assert "CX7_PCIE_ERRORS" not in judged(logging(healthy(), foreign))


FATAL_0, FATAL_2 = (
    f"pcieport {half}:00:00.0: AER: Uncorrectable (Fatal) error message received from {half}:00:00.0" for half in ("0000", "0002")
)
WELL_0, WELL_2 = (f"pcieport {half}:00:00.0: AER: device recovery successful" for half in ("0000", "0002"))
HEALTH = "mlx5_core 0000:01:00.0: mlx5_health_try_recover:370:(pid 9): "
BAD, BEGUN, SUCCEEDED = (
    HEALTH + words for words in ("handling bad device here", "starting health recovery flow", "health recovery succeeded")
)


@pytest.mark.parametrize(
    ("lines", "severity", "words"),
    [
        ((FATAL_0, WELL_0), "warn", "It recovered."),
        ((BAD, BEGUN, SUCCEEDED), "warn", "It recovered."),
        ((BAD, BEGUN), "fail", ""),
        ((BAD, BEGUN, HEALTH + "health recovery failed"), "fail", "Its recovery failed."),
        ((FATAL_0, WELL_0, FATAL_2, WELL_2), "warn", "It recovered."),
        ((FATAL_0, WELL_0, FATAL_2), "fail", ""),
        ((FATAL_0, WELL_0, FATAL_0), "fail", ""),
        ((FATAL_0, WELL_0, BAD, BEGUN, SUCCEEDED), "warn", "It recovered."),
    ],
)
def test_a_recovery_counts_for_its_half_of_the_adapter_until_the_next_error(lines: tuple[str, ...], severity: str, words: str) -> None:
    found = judged(logging(healthy(), *(f"spark-a1b2 kernel: {line}" for line in lines)))["CX7_PCIE_ERRORS"]
    assert found.severity == severity and ("ecover" in found.message) is bool(words) and words in found.message


def test_a_healthy_desk_says_nothing_of_all_this() -> None:
    facts: Desk = collect(healthy())
    assert (facts.gpu.smi, facts.gpu.dead_readings, facts.kernel.events.gpu_lines, facts.kernel.boot_entry) == ("answered", (), (), None)
    assert facts.kernel.installed[0].modules == ("580-open",)


@pytest.mark.parametrize(
    ("shown", "severity", "words"),
    [
        ("SubState=start\nNRestarts=0\n", "note", "is starting"),
        ("SubState=start-pre\nNRestarts=0\n", "note", "is starting"),
        ("SubState=auto-restart\nNRestarts=12\n", "warn", "keeps restarting it"),
        ("SubState=start\nNRestarts=3\n", "warn", "keeps restarting it"),
        (None, "warn", "keeps restarting it"),
    ],
)
def test_a_daemon_that_starts_for_the_first_time_is_no_restart_loop(shown: str | None, severity: str, words: str) -> None:
    desk = healthy()
    del desk.files["/sys/fs/cgroup/system.slice/nvidia-persistenced.service/cgroup.procs"]
    desk.commands["systemctl is-active nvidia-persistenced.service"] = said("activating\n", rc=3)
    if shown is not None:
        desk.commands["systemctl show -p SubState -p NRestarts nvidia-persistenced.service"] = shown
    found = judged(desk)["PERSISTENCED_INACTIVE"]
    assert found.severity == severity and words in found.message


def test_a_reset_that_nvidia_smi_recommends_is_a_failed_gpu() -> None:
    for line, action in (("Drain and Reset Recommended", "Drain and Reset"), ("Reset Required", "Reset")):
        desk = healthy()
        status = f"    GPU Reset Status\n        {line}       : Yes\n"
        desk.commands["nvidia-smi -q"] = NVIDIA_SMI_Q.replace("    FB Memory Usage\n", f"{status}    FB Memory Usage\n")
        found = judged(desk)["GPU_FAILED"]
        assert found.severity == "fail" and f"this recovery: {action}" in found.message


@pytest.mark.parametrize(("entry", "kernel"), [("1>2", "6.17.0-1021-nvidia"), ("0", KERNEL), ("2", None)])
def test_an_entry_of_the_boot_menu_by_number(entry: str, kernel: str | None) -> None:
    desk = healthy()
    desk.files["/etc/default/grub"] = f"GRUB_DEFAULT={entry}\n"
    inner = "".join(f"menuentry 'k' {{\n linux /boot/vmlinuz-{name} ro\n}}\n" for name in (KERNEL, KERNEL, "6.17.0-1021-nvidia"))
    desk.files["/boot/grub/grub.cfg"] = (
        f"menuentry 'a' {{\n linux /boot/vmlinuz-{KERNEL} ro\n}}\nsubmenu 'b' {{\n{inner}}}\nmenuentry 'c' {{\n}}\n"
    )
    facts = collect(desk)
    assert facts.kernel.next_boot == kernel and ("kernel.next_boot" in facts.unread) is (kernel is None)


HEAD = NVIDIA_SMI_Q.partition("\nGPU ")[0] + "\n"
COLUMNS = QUERY_GPU.partition("\n")[0] + "\n"


@pytest.mark.parametrize(
    ("detail", "query"),
    [
        ("", ""),
        (HEAD, COLUMNS),
        (NVIDIA_SMI_Q[: len(HEAD) - 20], QUERY_GPU[:60]),
        ("<html><title>Sign in</title></html>\n", "<html>\n"),
        ("\x00\ufffd\x07" * 300, "\x00" * 50),
        (QUERY_GPU, NVIDIA_SMI_Q),
        ("nvidia-smi: command is disabled by your administrator\n",) * 2,
        (HEAD.replace("Attached GPUs", "Attached XPUs"), COLUMNS),
    ],
)
def test_rubbish_in_place_of_nvidia_smis_answer_is_no_healthy_gpu(detail: str, query: str) -> None:
    desk = healthy()
    desk.commands["nvidia-smi -q"], desk.commands[SMI_QUERY] = detail, query
    found = judged(desk)
    assert found["FACTS_INCOMPLETE"].severity == "unknown" and "gpu.utilisation_percent" in found["FACTS_INCOMPLETE"].message


def test_a_driver_that_counts_no_gpu_finds_none() -> None:
    desk = healthy()
    desk.commands["nvidia-smi -q"] = HEAD.replace(": 1", ": 0")
    desk.commands[SMI_QUERY] = COLUMNS
    assert ": 0" in desk.commands["nvidia-smi -q"] and judged(desk)["GPU_NOT_FOUND"].severity == "fail"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("print_health_info:430:(pid 0): Health issue observed, firmware internal error, severity(3) ERROR:", True),
        ("print_health_info:430:(pid 0): Health issue observed, ICM fetch PCI data poisoned error, severity(2) CRITICAL:", True),
        ("print_health_info:430:(pid 0): Health issue observed, High temperature, severity(4) WARNING:", False),
        ("firmware version: 28.45.4028", False),
    ],
)
def test_what_the_adapters_firmware_says_of_itself(line: str, told: bool) -> None:
    found = judged(logging(healthy(), f"spark-a1b2 kernel: mlx5_core 0000:01:00.0: {line}"))
    assert ("CX7_PCIE_ERRORS" in found) is told


@pytest.mark.parametrize(
    ("files", "remedy", "never"),
    [
        ({"/etc/cdi/management.nvidia.com-gpu.yaml": "580.95.05"}, "rm /etc/cdi/management.nvidia.com-gpu.yaml", "generate"),
        (
            {"/var/run/cdi/management.nvidia.com-gpu.yaml": "580.95.05", "/var/run/cdi/nvidia.yaml": DRIVER},
            "rm /var/run/cdi/management.nvidia.com-gpu.yaml", "nvidia-cdi-refresh",
        ),
        ({"/run/cdi/gpu.json": "580.95.05"}, "rm /run/cdi/gpu.json; sudo systemctl restart nvidia-cdi-refresh", "generate"),
        ({"/etc/cdi/old.json": "580.95.05", "/etc/cdi/nvidia.yaml": DRIVER}, "rm /etc/cdi/old.json", "generate"),
        ({"/etc/cdi/gpu.yaml": "580.95.05", "/etc/cdi/nvidia.yaml": "580.95.05"}, "rm /etc/cdi/nvidia.yaml", "nvidia-cdi-refresh"),
        ({"/etc/cdi/nvidia.yaml": "580.95.05"}, "generate --output=/etc/cdi/nvidia.yaml", "sudo rm"),
    ],
)  # fmt: skip
def test_a_stale_description_is_cured_by_whoever_writes_it(files: dict[str, str], remedy: str, never: str) -> None:
    desk = healthy()
    desk.files |= {path: spec(driver) for path, driver in files.items()}
    found = judged(desk)["CDI_STALE"]
    assert remedy in found.remedy and never not in found.remedy
    folders = {"/run/" in path for path in files}
    assert ("wins where" in found.message) is (len(folders) > 1)


@pytest.mark.parametrize(
    "answer",
    [
        said(stderr="Segmentation fault (core dumped)\n", rc=139),
        said(rc=-11),
        said(stderr="nvidia-smi: error while loading shared libraries: libnvidia-ml.so.1: cannot open shared object file\n", rc=127),
        said("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.\n", rc=12),
        said(stderr="bash: /usr/bin/nvidia-smi: cannot execute binary file: Exec format error\n", rc=126),
        said(error="missing"),
    ],
)
@pytest.mark.parametrize("root", [True, False])
def test_an_nvidia_smi_that_does_not_run_is_no_missing_right(answer: object, root: bool) -> None:
    found = judge(dataclasses.replace(collect(with_smi(healthy(), answer)), privileged=root), WHERE, JudgeOptions())
    (gap,) = [item for item in found if item.code == "FACTS_INCOMPLETE"]
    assert gap.severity == "unknown" and "--reinstall" in gap.remedy and "--become" not in gap.remedy


@pytest.mark.parametrize("words", ["Insufficient Permissions", "GPU access blocked by the operating system"])
@pytest.mark.parametrize("root", [True, False])
def test_a_gpu_that_is_kept_from_root_is_told_as_that(words: str, root: bool) -> None:
    answer = said(f"Failed to initialize NVML: {words}\n", rc=4)
    found = judge(dataclasses.replace(collect(with_smi(healthy(), answer)), privileged=root), WHERE, JudgeOptions())
    (gap,) = [item for item in found if item.code == "FACTS_INCOMPLETE"]
    assert gap.severity == "unknown" and words in gap.message and "not the cause" not in gap.remedy
    assert ("ls -l /dev/nvidia*" in gap.remedy) is root and ("--become" in gap.remedy) is not root


def test_the_drivers_watchdog_is_a_failure_of_the_driver() -> None:
    line = "spark-a1b2 kernel: NVRM: krcWatchdog_IMPL: RC watchdog: GPU is probably locked!  Notify Timeout Seconds: 7"
    found = judged(logging(healthy(), line))["GPU_ERRORS_LOGGED"]
    assert found.severity == "warn" and "the GPU driver failed once" in found.message


@pytest.mark.parametrize(
    ("match", "owned"),
    [
        ("Name=enp1s0f0np0 enP2p1s0f0np0", True),
        ("MACAddress=02:00:5E:00:10:00", True),
        ("PermanentMACAddress=02:00:5e:99:99:99 02:00:5e:00:10:00", True),
        ("Driver=mlx5_core", True),
        ("Driver=mlx5*\nName=enp1s0f*", True),
        ("Path=pci-0000:01:00.*", True),
        ("Path=pci-0002:01:00.0 pci-0000:01:00.0", True),
        ("Path=pci-0007:01:00.0", False),
        ("Path=pci-*", False),
        ("Driver=r8127", False),
        ("Driver=mlx5_core\nName=enP7s7", False),
        ("Name=en*", False),
        ("Name=!enP7s7", False),
        ("Type=ether", False),
    ],
)
def test_a_file_of_networkd_itself_is_an_owner_that_stays(match: str, owned: bool) -> None:
    desk = healthy()
    desk.files["/etc/systemd/network/50-cx7.network"] = f"[Match]\n{match}\n[Network]\nAddress=192.168.177.11/24\n"
    found = judged(desk)
    assert ("CX7_FOREIGN_OWNER" in found) is owned
    if owned:
        assert "enp1s0f0np0" in found["CX7_FOREIGN_OWNER"].message and "take_over" not in found["CX7_FOREIGN_OWNER"].remedy


COULD_NOT = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest driver is installed.\n"
INIT_FAILED = "spark-a1b2 kernel: NVRM: GPU 000f:01:00.0: RmInitAdapter failed! (0x62:0x65:2028)"


@pytest.mark.parametrize(("loaded", "code"), [(True, "GPU_FAILED"), (False, "DRIVER_MISSING")])
def test_a_gpu_that_does_not_start_is_no_blacklisted_module(loaded: bool, code: str) -> None:
    desk = logging(with_smi(healthy(), said(COULD_NOT, rc=9)), INIT_FAILED)
    if not loaded:
        del desk.files["/proc/driver/nvidia/version"]
    found = judged(desk)
    assert found[code].severity == "fail" and "RmInitAdapter failed" in found[code].message
    assert "unplug the power supply" in found[code].remedy
    assert "FACTS_INCOMPLETE" not in found or found["FACTS_INCOMPLETE"].severity == "note"


def test_a_proprietary_module_that_does_not_start_is_not_power_cycled() -> None:
    desk = logging(with_smi(healthy(), said(COULD_NOT, rc=9)), INIT_FAILED)
    del desk.files["/proc/driver/nvidia/version"]
    desk.commands["modinfo -F license nvidia"] = "NVIDIA\n"
    found = judged(desk)
    assert "unplug" not in found["DRIVER_MISSING"].remedy and "-open" in found["DRIVER_PROPRIETARY"].remedy


def absent(desk: FakeDesk) -> FakeDesk:
    """No module is loaded although one is there."""
    del desk.files["/proc/driver/nvidia/version"]
    return with_smi(desk, said(COULD_NOT, rc=9))


@pytest.mark.parametrize(
    ("driver", "words"), [("vfio-pci", "vfio-pci.ids"), ("nouveau", "blacklist nouveau"), ("pci-stub", "modprobe -r pci-stub")]
)
def test_another_driver_that_holds_the_gpu_is_named(driver: str, words: str) -> None:
    desk = absent(healthy())
    desk.files[f"{PCI}/000f:01:00.0/uevent"] = f"DRIVER={driver}\nPCI_ID=10DE:2E12\nPCI_SLOT_NAME=000f:01:00.0\n"
    found = judged(logging(desk, f"spark-a1b2 kernel: NVRM: GPU 000f:01:00.0 is already bound to {driver}."))["DRIVER_MISSING"]
    assert f"another driver holds the GPU: {driver}" in found.message and words in found.remedy


@pytest.mark.parametrize(
    "line",
    [
        "nvidia: version magic '6.17.0-1018-nvidia SMP mod_unload aarch64' should be '6.17.0-1021-nvidia SMP mod_unload aarch64'",
        "nvidia: disagrees about version of symbol module_layout",
        "nvidia: Unknown symbol drm_gem_object_free (err -22)",
    ],
)
def test_a_module_of_another_kernel_is_named(line: str) -> None:
    found = judged(logging(absent(healthy()), f"spark-a1b2 kernel: {line}"))["DRIVER_MISSING"]
    assert line in found.message and "--reinstall linux-modules-nvidia-580-open-$(uname -r)" in found.remedy
    assert "DRIVER_MISSING" not in judged(logging(healthy(), f"spark-a1b2 kernel: {line}"))


@pytest.mark.parametrize(
    ("path", "text", "named"),
    [
        ("/lib/modprobe.d/blacklist-nvidia.conf", "# by nvidia-prime\nblacklist nvidia\nalias nvidia off\n", "alias nvidia off"),
        ("/etc/modprobe.d/vm.conf", "install nvidia /bin/false\n", "/etc/modprobe.d/vm.conf: install nvidia /bin/false"),
        ("/proc/cmdline", "ro quiet module_blacklist=nvidia,nvidia_drm\n", "/proc/cmdline: module_blacklist=nvidia,nvidia_drm"),
        ("/proc/cmdline", "ro modprobe.blacklist=nvidia\n", "modprobe.blacklist=nvidia"),
        ("/etc/modprobe.d/nvidia.conf", "options nvidia NVreg_X=1\nblacklist nouveau\n", None),
        ("/etc/modprobe.d/README", "blacklist nvidia\n", None),
    ],
)
def test_a_module_that_is_blocked_from_loading_is_told_by_what(path: str, text: str, named: str | None) -> None:
    desk = absent(healthy())
    desk.files[path] = text
    found = judged(desk)["DRIVER_MISSING"]
    assert ("blocked from loading" in found.message) is (named is not None)
    if named is not None:
        assert named in found.message and "update-initramfs" in found.remedy and "install" not in found.remedy.split("Nothing needs")[0]
    desk = healthy()
    desk.files[path] = text
    assert collect(desk).driver.blocked == () and "DRIVER_MISSING" not in judged(desk)


def test_what_peermem_misses_is_no_module_of_another_kernel() -> None:
    desk = logging(absent(healthy()), "spark-a1b2 kernel: nvidia_peermem: Unknown symbol ib_register_peer_memory_client (err -2)")
    desk.files["/etc/modprobe.d/vm.conf"] = "blacklist nvidia\n"
    assert "blocked from loading" in judged(desk)["DRIVER_MISSING"].message


def test_a_device_whose_way_to_memory_hangs_is_told() -> None:
    line = "spark-a1b2 kernel: arm-smmu-v3 arm-smmu-v3.1.auto: CMD_SYNC timeout at 0x00017d73 [hwprod 0x00017d7e, hwcons 0x00017d66]"
    found = judged(logging(healthy(), line))["KERNEL_LOCKUP"]
    assert found.severity == "warn" and "its SMMU" in found.message and "reboot" in found.remedy


def test_of_two_modprobe_files_with_one_name_the_admins_counts() -> None:
    desk = absent(healthy())
    desk.files |= {"/lib/modprobe.d/blacklist-nvidia.conf": "blacklist nvidia\n", "/etc/modprobe.d/blacklist-nvidia.conf": "# allowed\n"}
    assert collect(desk).driver.blocked == ()


@pytest.mark.parametrize("read", [True, False])
def test_a_gpu_that_the_proprietary_module_does_not_drive_is_not_power_cycled(read: bool) -> None:
    lines = (
        "installed in this system requires use of the NVIDIA open kernel modules.",
        "GPU 000f:01:00.0: RmInitAdapter failed! (0x22:0x56:1017)",
    )
    desk = logging(with_smi(healthy(), said("No devices were found\n", rc=6)), *(f"spark-a1b2 kernel: NVRM: {line}" for line in lines))
    module = f"NVRM version: NVIDIA UNIX aarch64 Kernel Module  {DRIVER}  Wed Oct 29 23:15:11 UTC 2025\n"
    desk.files["/proc/driver/nvidia/version"] = module if read else "NVRM version: unreadable\n"
    desk.commands["modinfo -F license nvidia"] = "NVIDIA\n" if read else said(rc=1)
    found = judged(desk)
    assert "requires use of the NVIDIA open" in found["DRIVER_PROPRIETARY"].message
    assert "unplug" not in found["GPU_NOT_FOUND"].remedy and "-open" in found["GPU_NOT_FOUND"].remedy


MLX5 = "spark-a1b2 kernel: mlx5_core 0000:01:00.0"


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        (f"{MLX5} enp1s0f0np0: NETDEV WATCHDOG: CPU: 5: transmit queue 3 timed out 5012 ms", "warn"),
        (f"{MLX5} enp1s0f0np0: TX timeout detected", "warn"),
        (f"{MLX5}: wait_func:1194:(pid 112): ACCESS_REG(0x805) timeout. Will cause a leak of a command resource", "warn"),
        (f"{MLX5}: wait_func_handle_exec_timeout:1128:(pid 185911): cmd[2]: DESTROY_EQ(0x302) No done completion", "warn"),
        (f"{MLX5}: wait_func_handle_exec_timeout:1113:(pid 3122): cmd[0]: CREATE_CQ(0x400) recovered after timeout", None),
        ("spark-a1b2 kernel: pcieport 0000:00:00.0: PCIe Bus Error: severity=Correctable, type=Physical Layer, (Receiver ID)", None),
        (f"{MLX5}: probe with driver mlx5_core failed with error -110", "fail"),
        ("spark-a1b2 kernel: mlx5_core: probe of 0000:01:00.1 failed with error -110", "fail"),
        (f"{MLX5}: probe_one:1983:(pid 9): mlx5_init_one failed with error code -110", "fail"),
        (f"{MLX5}: mlx5_function_enable:1176:(pid 9): Firmware over 120000 MS in pre-initializing state, aborting", "fail"),
        (f"{MLX5}: mlx5_health_try_recover:335:(pid 9): health recovery flow aborted, PCI reads still not working", "fail"),
        (f"{MLX5}: mlx5_cmd_out_err:838:(pid 9): ACCESS_REG(0x805) op_mod(0x1) failed, status bad operation(0x2), err(-22)", None),
        (f"{MLX5}: mlx5_pcie_event:310:(pid 12): Detected insufficient power on the PCIe slot (27W).", None),
        (f"{MLX5}: Port module event: module 0, Cable plugged", None),
    ],
)
def test_an_adapter_that_does_not_answer_or_start_is_told(line: str, severity: str | None) -> None:
    found = judged(logging(healthy(), line))
    assert "CX7_PLUG_ERROR" not in found
    assert (found["CX7_PCIE_ERRORS"].severity if "CX7_PCIE_ERRORS" in found else None) == severity


@pytest.mark.parametrize(
    ("line", "told", "remedy"),
    [
        ("Port module event[error]: module 0, Cable error, High Temperature", "module 0 of 0000:01:00.0: High Temperature", "copper"),
        ("port_module:251:(pid 0): Port module event[error]: module 0, Cable error, Bad or unsupported EEPROM", "EEPROM", "seat it firmly"),
        ("Port module event[error]: module 0, Cable error, Power budget exceeded", "Power budget exceeded", "copper"),
        ("Port module event[error]: module 0, Cable error, Bus stuck (I2C or data shorted)", "Bus stuck", "seat it firmly"),
        ("temp_warn:185:(pid 9): High temperature on sensors with bit set 1", "the adapter at 0000:01:00.0", "Let it cool"),
        ("print_health_info:430:(pid 0): Health issue observed, High temperature, severity(4) WARNING:", "the adapter at", "Let it cool"),
    ],
)
def test_what_the_adapter_says_of_a_plug_or_of_heat(line: str, told: str, remedy: str) -> None:
    found = judged(logging(healthy(), f"{MLX5}: {line}", f"{MLX5}: {line}"))
    assert (
        found["CX7_PLUG_ERROR"].severity == "warn"
        and told in found["CX7_PLUG_ERROR"].message
        and "2 times" in found["CX7_PLUG_ERROR"].message
    )
    assert remedy in found["CX7_PLUG_ERROR"].remedy and "CX7_PCIE_ERRORS" not in found


def with_next(*boot: str) -> FakeDesk:
    """The healthy desk with a newer kernel, whose driver is whole, and these files in /boot."""
    desk = healthy()
    desk.files |= {f"/boot/{name}": "" for name in (f"vmlinuz-{NEXT}", *boot)}
    desk.files[f"/lib/modules/{NEXT}/kernel/nvidia-580-open/nvidia.ko.zst"] = ""
    return desk


@pytest.mark.parametrize(
    "boot",
    [
        (f"initrd.img-{KERNEL}",),
        (f"initrd.img-{KERNEL}", f"initrd.img-{NEXT}.new", f"initrd.img-{NEXT}.dpkg-bak", "initrd.img", "initrd.img.old"),
    ],
)
def test_a_next_kernel_without_its_ramdisk_does_not_come_up(boot: tuple[str, ...]) -> None:
    desk = with_next(*boot)
    desk.files["/run/reboot-required"] = ""
    found = judged(desk)
    told = found["NEXT_BOOT_KERNEL_WITHOUT_INITRD"]
    assert told.severity == "fail" and f"/boot/initrd.img-{NEXT}" in told.message and "update-initramfs -c -k" in told.remedy
    (refused,) = reboot_refusals(collect(desk), WHERE, force=True)
    assert refused.severity == "fail" and f"update-initramfs -c -k {NEXT}" in refused.message
    assert all("do what NEXT_BOOT_KERNEL_WITHOUT_INITRD says" in item.remedy for code, item in found.items() if code == "REBOOT_REQUIRED")


@pytest.mark.parametrize(
    "boot",
    [(), (f"initrd.img-{NEXT}",), (f"initrd.img-{KERNEL}", f"initrd.img-{NEXT}"), (f"initrd.img-{KERNEL}", f"initramfs-{NEXT}.img")],
)
def test_a_next_kernel_whose_ramdisk_is_there_or_of_which_none_was_seen(boot: tuple[str, ...]) -> None:
    desk = with_next(*boot)
    assert "NEXT_BOOT_KERNEL_WITHOUT_INITRD" not in judged(desk) and reboot_refusals(collect(desk), WHERE) == []


def test_a_fatal_pcie_error_of_the_gpu_is_not_the_adapters() -> None:
    port, gpu = "spark-a1b2 kernel: pcieport 000f:00:00.0: AER:", "spark-a1b2 kernel: nvidia 000f:01:00.0: AER:"
    lines = (
        f"{port} Uncorrectable (Fatal) error message received from 000f:01:00.0",
        f"{gpu} PCIe Bus Error: severity=Uncorrectable (Fatal), type=Inaccessible, (Unregistered Agent ID)",
        f"{gpu} can't recover (no error_detected callback)",
        f"{port} device recovery failed",
    )
    found = judged(logging(with_smi(healthy(), said(error=TIMEOUT)), *lines))
    assert lines[1] in found["GPU_FAILED"].message and "unplug the power supply" in found["GPU_FAILED"].remedy
    assert "CX7_PCIE_ERRORS" not in found and found["FACTS_INCOMPLETE"].severity == "note"
    answering = judged(logging(healthy(), *lines))
    assert answering["GPU_ERRORS_LOGGED"].severity == "warn" and "CX7_PCIE_ERRORS" not in answering


def test_a_kernel_log_that_comes_too_late_is_not_to_be_read_for_the_reason() -> None:
    """Gigabytes of journal on a busy disk; the kernel's own buffer needs none."""
    desk = healthy()
    desk.commands[LOG] = said(error=TIMEOUT)
    found = judged(desk)["FACTS_INCOMPLETE"]
    assert (found.severity, "kernel.events" in found.message and "timeout" in found.message) == ("note", True)
    assert "sudo dmesg" in found.remedy and "journalctl" not in found.remedy and "--become" not in found.remedy
