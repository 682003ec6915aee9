# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about the driver lock: pins, holds, packages kept for a way back, apt's archives, reboots."""

from __future__ import annotations

from .code import Code

CODES: tuple[Code, ...] = (
    Code(
        code="DRIVER_LOCK_CONFLICT",
        title="Another pin overrules the driver lock",
        severity="fail",
        meaning="With the lock's preferences file in place, apt would still choose a driver from another branch: a preferences file that "
        "is read earlier gives it a priority above zero. The message names the package and, where found, the file.",
        remedy="Remove or narrow the named preferences file (the lock does not change it), then run again.",
        source="this collection's rule; apt_preferences(5)",
    ),
    Code(
        code="DRIVER_HELD_UPGRADED",
        title="A held package was changed by hand",
        severity="warn",
        other_severities=("fail",),
        meaning="A package of the locked group is not at the version that the lock recorded: --allow-change-held-packages or dpkg was "
        "used. A failure at level exact, where the fleet must not move.",
        remedy="To keep the change: run with driver_lock_accept=true (both desks of the pair). To undo it: playbooks/unlock_driver.yml "
        "-e driver_lock_rollback=true, then lock again.",
        source="this collection's rule",
    ),
    Code(
        code="DRIVER_ROLLBACK_IMPOSSIBLE",
        title="Installed driver packages could not be kept for a rollback",
        severity="warn",
        other_severities=("note", "fail"),
        meaning="Archives drop old builds, so the lock keeps the .deb files of the locked group. For the packages in the evidence, no "
        "file could be obtained: their versions cannot be restored after an upgrade. A failure when a version change was requested.",
        remedy="Nothing is broken. To try again once the archive has them: -e driver_lock_retry_debs=true. Otherwise copy the .deb files "
        "from a desk with the same versions into /var/lib/dgx_spark/driver_lock/debs.",
        source="community (live archives drop old builds)",
    ),
    Code(
        code="DRIVER_LOCK_PAUSED",
        title="The driver lock is paused",
        severity="note",
        other_severities=("warn",),
        meaning="Holds are released so that both desks of a pair can take a DGX OS update together; other branches stay blocked.",
        remedy="Update both desks, then run with driver_lock_state=present (the default) to lock the new versions.",
        source="this collection's rule",
    ),
    Code(
        code="DRIVER_LOCK_DRIFT",
        title="The desk differs from the fleet's lock file",
        severity="warn",
        other_severities=("fail", "note"),
        meaning="Driver, kernel, module, DGX OS, NCCL or ConnectX-7 firmware differs from the lock file; the evidence gives the wanted "
        "and the found values. A failure when driver or NCCL differs.",
        remedy="Enforce the file with -e driver_lock_from=FILE on this desk (both desks of a pair), or write a new one with "
        "playbooks/lock_from.yml from a desk that is as it should be.",
        source="this collection's rule",
    ),
    Code(
        code="DRIVER_LOCK_UNSATISFIABLE",
        title="apt cannot reach the wanted packages safely",
        severity="fail",
        meaning="A simulated run shows that installing the wanted packages would remove, downgrade or upgrade packages that must not "
        "move, or that no archive has a wanted version. Nothing was changed.",
        remedy="Look at the packages in the evidence. If they should move, pause the lock (driver_lock_state=paused), update both desks of "
        "the pair with the DGX Dashboard, and lock again.",
        source="this collection's rule",
    ),
    Code(
        code="DRIVER_LOCK_RECORD_MISSING",
        title="The lock's own record is missing or unreadable",
        severity="warn",
        other_severities=("fail",),
        meaning="The lock's preferences file is there, but the record of what was there before it "
        "(/var/lib/dgx_spark/driver_lock/lock.json) is not, so earlier holds cannot be told apart from the lock's own.",
        remedy="Locking again writes a new record. After unlocking, look at apt-mark showhold and release what should not be held.",
        source="this collection's rule",
    ),
    Code(
        code="DRIVER_LOCK_UNREADABLE",
        title="The driver lock could not be judged",
        severity="unknown",
        meaning="Packages, holds or pins of the desk could not be read, so nothing was planned or changed.",
        remedy="See the reasons in the evidence; the lock needs facts that were read as root (become) with the driver and apt subsets.",
        source="this collection's rule",
    ),
    Code(
        code="APT_ARCHIVE_UNREACHABLE",
        title="A package archive does not respond",
        severity="warn",
        other_severities=("note", "fail"),
        meaning="apt could not fetch from the archive that the message names. A note when nothing was needed from it, a failure when a "
        "package had to be installed.",
        remedy="Check the desk's network, proxy and name resolution for the named host (apt-get update shows the same error), "
        "then run again.",
        source="apt's own message",
    ),
    Code(
        code="APT_KEY_MISSING",
        title="apt does not trust an archive: its key is missing",
        severity="warn",
        other_severities=("note", "fail"),
        meaning="NO_PUBKEY or an unsigned archive: its packages are refused, so no update of the driver can be trusted. Known cause on "
        "DGX OS: nvidia-spark-repo removed but not purged deletes /usr/share/keyrings/nvidia-spark-repo.gpg. A failure when a package "
        "was needed from it.",
        remedy="Restore the key by reinstalling the archive's own package (nvidia-spark-repo from a desk that has it: "
        "sudo dpkg -i nvidia-spark-repo_*.deb); never use --allow-unauthenticated or trusted=yes. Then run sudo apt-get update.",
        source="community (one report); apt's own message",
    ),
    Code(
        code="APT_KEY_EXPIRED",
        title="The key of a package archive has expired",
        severity="warn",
        other_severities=("note", "fail"),
        meaning="apt refuses the archive because its signing key has expired (EXPKEYSIG) or was revoked. The message names the archive "
        "and the key. A note for an added archive that nothing here needs, a failure when a package was needed from it.",
        remedy="Install the archive's new key, or disable its source if it is not needed; never use --allow-unauthenticated or "
        "trusted=yes. Then run sudo apt-get update.",
        source="apt's own message; community (AI Workbench's key)",
    ),
    Code(
        code="APT_SOURCE_WRONG",
        title="A source names an archive that does not exist",
        severity="warn",
        other_severities=("note", "fail"),
        meaning="The address of a source returns 404, has no Release file, or lacks the component that the source asks for: its path is "
        "wrong, or the archive has moved.",
        remedy="Correct the source's path in /etc/apt/sources.list.d, or disable the source, then run sudo apt-get update.",
        source="apt's own message; community (two reports of baseos/8 addresses)",
    ),
    Code(
        code="APT_RELEASE_TIME",
        title="apt refuses an archive because of its date",
        severity="warn",
        other_severities=("note", "fail"),
        meaning="The archive's Release file is not valid yet (the desk's clock is behind) or has expired (a mirror that stopped updating).",
        remedy="Set the clock (timedatectl) or use a mirror that is up to date, then run sudo apt-get update.",
        source="apt's own message",
    ),
    Code(
        code="APT_ORIGIN_CHANGED",
        title="An archive changed its name",
        severity="warn",
        other_severities=("note", "fail"),
        meaning="The archive calls itself something else than before (Origin, Label, Suite). apt refuses it until an admin accepts that, "
        "because pins may rely on the old name.",
        remedy="Find out whether its owner renamed it; if so, run sudo apt-get update --allow-releaseinfo-change on the desk, once.",
        source="apt's own message",
    ),
    Code(
        code="APT_SOURCES_BROKEN",
        title="apt cannot read its configuration or its list of archives",
        severity="fail",
        meaning="Two source files contradict each other (Signed-By of one archive), or one of them, a file of apt's configuration (a "
        "proxy) or of its pins is malformed: apt does nothing at all until that is fixed.",
        remedy="Keep one of the files that the message names (grep -rl ADDRESS /etc/apt/sources.list.d) and remove or correct the other, "
        "then run sudo apt-get update.",
        source="apt's own message",
    ),
    Code(
        code="APT_CHECKSUM_WRONG",
        title="A downloaded file does not match its checksum or signature",
        severity="warn",
        other_severities=("note", "fail"),
        meaning="The file's size or checksum differs from the archive's signed index, or the index from its signature (BADSIG): a broken "
        "mirror, a caching proxy or tampering. apt refused the file, so none of it was installed. A failure when it was needed.",
        remedy="Do not install it by hand. Bypass or clear the proxy's cache, run sudo apt-get clean and sudo apt-get update, then run "
        "again; if the error persists, tell the archive's owner.",
        source="apt's own message",
    ),
    Code(
        code="APT_FAILED",
        title="apt or dpkg failed",
        severity="fail",
        meaning="A package command ended with an unclassified error (the evidence has its output), or a file of the driver lock or of an "
        "update could not be written. The next run resumes a step that was begun.",
        remedy="Run the command in the evidence on the desk and fix what it names, then run again.",
        source="apt's own message",
    ),
    Code(
        code="ROOT_READ_ONLY",
        title="The root file system cannot be written to",
        severity="fail",
        meaning="The kernel mounts the root file system read-only, or made it so after an error of the drive or of the file system "
        "(ext4's errors=remount-ro). Programs that run go on, so that the desk looks healthy until something has to be written.",
        remedy="sudo dmesg | grep -iE 'nvme|ext4|remount|I/O error' shows why. Copy what matters, then reboot: the file system is checked "
        "while the desk starts. If it happens again, the drive is failing (sudo nvme smart-log /dev/nvme0).",
        source="this collection's rule (mount(8), ext4(5))",
    ),
    Code(
        code="DISK_FULL",
        title="Not enough disk space",
        severity="fail",
        other_severities=("warn",),
        meaning="The file system has less space than the packages to be kept or installed need (the evidence has both figures, in "
        "bytes). This is checked before anything is changed. A warning where hardly anything can be written to the root file system any "
        "more (or to that of /boot, /home, /tmp, /var or /var/lib/docker), which the facts show in every run.",
        remedy="Free some space (sudo apt-get clean; sudo journalctl --vacuum-size=500M; unused containers and models) and run again, or "
        "set driver_lock_keep_debs=false to do without a rollback. Where df -h shows room, df -i shows whether the inodes are used up: "
        "caches of many small files (pip, conda, npm, build folders) take them.",
        source="this collection's rule",
    ),
    Code(
        code="PLATFORM_PACKAGES_AUTO",
        title="Platform packages are exposed to autoremove",
        severity="note",
        other_severities=("warn",),
        meaning="DGX OS marks its platform packages as automatically installed dependencies of a meta package: apt autoremove offers to "
        "remove them once that meta package is gone.",
        remedy="Never run apt autoremove on a desk; the driver_lock role marks them as wanted (driver_lock_protect_platform).",
        source="community (one report)",
    ),
    Code(
        code="NVIDIA_MODPROBE_NEWER",
        title="nvidia-modprobe is from a newer branch",
        severity="note",
        meaning="nvidia-modprobe comes from the CUDA archive on stock desks and may be from a newer branch than the driver. It works "
        "with the driver and is left alone.",
        remedy="Nothing to do.",
        source="community (several reports)",
    ),
    Code(
        code="REBOOT_REFUSED",
        title="The desk was not rebooted",
        severity="fail",
        other_severities=("unknown", "warn"),
        meaning="A reboot was wanted, but it would have done harm or was not allowed: the kernel that would start has no driver, the "
        "desk is busy, packages are half installed, or the pair's other desk has not come back. The message says which.",
        remedy="Fix the named cause and run again; a busy desk can be rebooted with desk_reboot_force=true.",
        source="this collection's rule",
    ),
    Code(
        code="REBOOT_FAILED",
        title="The desk did not come back as expected",
        severity="fail",
        meaning="After the reboot the desk did not respond within the timeout (30 minutes by default, to allow for firmware capsules), "
        "or it runs a different kernel than expected.",
        remedy="Look at the desk's console. Firmware updates before the boot take about 15 minutes: do not cut the power for at least "
        "half an hour.",
        source="community (one fleet: a firmware reboot takes about 15 minutes)",
    ),
)
