# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/proc/cmdline."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

_PARAMETERS = re.compile(
    r"(?:BOOT_IMAGE|root|ro|rw|quiet|splash|nosplash|console|crashkernel|kho|init_on_alloc|init_on_free|iommu(?:\.\w+)?|pci|pcie_\w+"
    r"|initcall_blacklist|earlycon|efi|mitigations|nvidia\.NVreg_\w+|nvidia[-_]drm\.\w+|mlx5_core\.\w+|cma|hugepages|default_hugepagesz|hugepagesz|numa_\w+"
    r"|transparent_hugepage|isolcpus|nohz_full|rcu_nocbs|panic|loglevel|audit|apparmor|selinux|security|module_blacklist|modprobe\.blacklist"
    r"|fsck\.\w+|rootwait|rootflags|rootfstype|net\.ifnames|biosdevname|ipv6\.disable|cgroup\w*|systemd\.unified_cgroup_hierarchy|arm64\.\w+"
    r"|arm-smmu[\w.-]*|vt\.handoff|swiotlb|mem|memmap|nomodeset|plymouth\.\w+|kpti|lockdown|vfio[\w.-]*)"
)
_PARAMETER_VALUE = re.compile(r"[\w.,:/=+@-]{0,120}")


def known(text: str) -> list[str]:
    """The parameters that kernel, driver and boot loader know; any other one may be a token or hold a password."""
    words = []
    for word in text.split()[:400]:
        name, _equals, value = word.partition("=")
        if _PARAMETERS.fullmatch(name) and _PARAMETER_VALUE.fullmatch(value):
            words.append(word)
    return words


def read(text: str) -> dict[str, Any]:
    """Keys: line (of the `known` parameters alone), kho (value of the last ``kho=``, null when not given), blocked (words that keep the
    module nvidia from being loaded)."""
    line = _text.first_line(text)
    words = (line or "").split()
    values = [word.partition("=")[2] for word in words if word.startswith("kho=")]
    lists = [word for word in words if word.startswith(("module_blacklist=", "modprobe.blacklist="))]
    blocked = [word[:160] for word in lists if "nvidia" in word.partition("=")[2].split(",")]
    return {
        "line": None if line is None else " ".join(known(line)),
        "kho": _text.word(values[-1], 32) if values else None,
        "blocked": blocked,
    }
