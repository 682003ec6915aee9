"""Which packages the archives hold and a desk has installed, from simulator/archive/catalogue.yml. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sparklab.debs import File, Package
from sparklab.errors import LabError

META_SUFFIX = "hwe-24.04"
UPDATE_GRUB = "#!/bin/sh\n[ ! -x /usr/sbin/update-grub ] || update-grub\n"
"""What a kernel's package does; while an image is made there is no GRUB yet."""
DRIVER_PARTS = ("libnvidia-cfg1", "libnvidia-compute", "nvidia-compute-utils", "nvidia-kernel-common", "nvidia-utils")


@dataclass(frozen=True)
class Offer:
    """A package in an archive."""

    archive: str
    component: str
    package: Package


@dataclass(frozen=True)
class Installed:
    """A package on a desk, and whether apt counts it as brought by another."""

    package: Package
    auto: bool


def branch(driver: str) -> str:
    """The branch of a driver version: 580 of 580.178.04."""
    return driver.split(".")[0]


def upload(abi: str) -> str:
    """The version of a kernel's packages: 6.17.0-1021.21 for 6.17.0-1021 (the upload follows the ABI's last two digits)."""
    return f"{abi}.{int(abi.rsplit('-', 1)[1]) % 100}"


class Catalogue:
    """The catalogue, checked, with the package builders that know the machine's own families."""

    def __init__(self, data: Mapping[str, Any], arch: str, payload: Mapping[str, Package] | None = None) -> None:
        self.data = data
        self.arch = arch
        # Packages whose files come from elsewhere (the stand-ins' payload), by name.
        self.payload = dict(payload or {})

    # ---- families -------------------------------------------------------------------------------------------------

    def plain(self, name: str, version: str, **more: Any) -> Package:
        """A package without a family."""
        files = {f"usr/share/doc/{name}/lab": File(b"a stand-in of the desk simulator\n")}
        return Package(name, version, self.arch, {"Section": "misc", **more}, files)

    def driver(self, version: str, revision: str, gsp: str | None = None) -> list[Package]:
        """The user space of a driver, and its firmware; `gsp` is the version of the firmware where it is not the driver's."""
        number = branch(version)
        full = f"{version}-{revision}"
        firmware = f"nvidia-firmware-{number}-{version}"
        needs = ", ".join([f"{part}-{number} (= {full})" for part in DRIVER_PARTS])
        found = [
            self.plain(
                f"nvidia-driver-{number}-open",
                full,
                Section="restricted/libs",
                Depends=f"{needs}, {firmware} (= {full})",
                Recommends="nvidia-persistenced, nvidia-modprobe",
                Provides="nvidia-driver",
                Conflicts="nvidia-driver",
                Replaces="nvidia-driver",
            ),
            replace(
                self.plain(firmware, full, Section="restricted/libs"),
                files={f"usr/lib/firmware/nvidia/{version}/gsp_ga10x.bin": File(f"GSP {gsp or version}\n".encode())},
            ),
        ]
        if number == "580" or revision == self.data["cuda_revision"]:
            found.append(self.plain("nvidia-persistenced", full, Section="restricted/libs"))
        for part in DRIVER_PARTS:
            more = {"Depends": f"{firmware} (= {full})"} if part == "nvidia-kernel-common" else {}
            found.append(
                self.plain(f"{part}-{number}", full, Section="restricted/libs", Provides=part, Conflicts=part, Replaces=part, **more)
            )
        return found

    def kernel(
        self, abi: str, driver: str | None, rebuild: int = 0, flavour: str = "nvidia", nccl_factor: float | None = None
    ) -> list[Package]:
        """The packages of one kernel; `driver` is what its modules were built for (None: no modules yet).

        `nccl_factor` is what they leave of NCCL's bandwidth, where they are slow on purpose.
        """
        name, version = f"{abi}-{flavour}", upload(abi)
        modules = replace(
            self.plain(f"linux-modules-{name}", version, Section="kernel"),
            files={f"lib/modules/{name}/modules.builtin": File(b"")},
        )
        image = replace(
            self.plain(f"linux-image-{name}", version, Section="kernel", Depends=f"linux-modules-{name}"),
            files={
                f"boot/vmlinuz-{name}": File(b"simulated kernel\n", 0o600),
                f"boot/initrd.img-{name}": File(b"simulated initrd\n"),
                f"boot/config-{name}": File(b"CONFIG_ARM64=y\nCONFIG_KEXEC_HANDOVER=y\n"),
            },
            scripts={"postinst": UPDATE_GRUB, "postrm": UPDATE_GRUB},
        )
        found = [image, modules, self.plain(f"linux-headers-{name}", version, Section="devel")]
        found.append(self.plain(f"linux-tools-{name}", version, Section="devel"))
        if driver is not None:
            found.append(self.module(name, version + (f"+{rebuild}" if rebuild else ""), driver, nccl_factor))
            found.append(self.plain(f"linux-modules-nvidia-fs-{name}", version, Section="kernel", Depends=f"linux-image-{name}"))
        return found

    def module(self, kernel: str, version: str, driver: str, nccl_factor: float | None = None) -> Package:
        """The driver's modules for one kernel: they fit one version of the user space, as Ubuntu's do."""
        number = branch(driver)
        about = f"version={driver}\nlicense=Dual MIT/GPL\nvermagic={kernel} SMP preempt mod_unload aarch64\n".encode()
        if nccl_factor is not None:
            about += f"nccl_factor={nccl_factor}\n".encode()
        files = {
            f"lib/modules/{kernel}/kernel/nvidia-{number}-open/{one}.ko": File(about)
            for one in ("nvidia", "nvidia-drm", "nvidia-modeset", "nvidia-peermem", "nvidia-uvm")
        }
        return replace(
            self.plain(
                f"linux-modules-nvidia-{number}-open-{kernel}",
                version,
                Section="restricted/kernel",
                Depends=f"linux-image-{kernel}, nvidia-kernel-common-{number} (>= {driver}), nvidia-kernel-common-{number} (<= {driver}-9)",
            ),
            files=files,
        )

    def metas(self, abi: str, modules: str | None = None, flavour: str = "nvidia", number: str = "580") -> list[Package]:
        """The metapackages of a kernel; `modules` is the kernel that the module metas point at when it is another."""
        version, suffix = upload(abi), f"{flavour}-{META_SUFFIX}"
        for_modules = modules or abi
        found = []
        for part in ("image", "headers", "tools"):
            found.append(self.plain(f"linux-{part}-{suffix}", version, Section="kernel", Depends=f"linux-{part}-{abi}-{flavour}"))
        found.append(
            self.plain(
                f"linux-{suffix}",
                version,
                Section="kernel",
                Depends=f"linux-image-{suffix} (= {version}), linux-headers-{suffix} (= {version})",
            )
        )
        for kind in (f"nvidia-{number}-open", "nvidia-fs"):
            found.append(
                self.plain(
                    f"linux-modules-{kind}-{suffix}",
                    upload(for_modules),
                    Section="restricted/kernel",
                    Depends=f"linux-modules-{kind}-{for_modules}-{flavour}",
                )
            )
        return found

    # ---- what is on offer -----------------------------------------------------------------------------------------

    def set_names(self) -> list[str]:
        """The sets that can be published."""
        return list(self.data["sets"])

    def resolve(self, name: str) -> dict[str, Any]:
        """A set with what it takes over from the one it is like.

        :raises LabError: naming the sets that there are.
        """
        sets = self.data["sets"]
        if name not in sets:
            raise LabError(f"there is no archive set {name!r}; sets: {', '.join(sets)}.")
        one = sets[name]
        result: dict[str, Any] = self.resolve(one["like"]) if "like" in one else {}
        merged = {key: dict(value) for key, value in result.items()}
        for key, value in one.items():
            if key != "like":
                merged[key] = {**merged.get(key, {}), **value}
        return merged

    def offers(self, name: str) -> list[Offer]:
        """Everything that the archives offer in a set (the real packages aside)."""
        chosen = self.resolve(name)
        found: list[Offer] = []
        for archive, versions in chosen.get("drivers", {}).items():
            for version in versions:
                entry = version if isinstance(version, dict) else {"version": version}
                number = str(entry["version"])
                revision = self.data["cuda_revision"] if archive == "cuda" else self.revision(number)
                found += self._offer(archive, "restricted", self.driver(number, revision, entry.get("gsp")))
        for archive, kernels in chosen.get("kernels", {}).items():
            for entry in kernels:
                for flavour in entry.get("flavours", ["nvidia"]):
                    packages = self.kernel(entry["abi"], entry["driver"], entry.get("rebuild", 0), flavour, entry.get("nccl_factor"))
                    found += self._offer(archive, "restricted", packages)
        for archive, metas in chosen.get("metas", {}).items():
            for meta in metas:
                entry = meta if isinstance(meta, dict) else {"abi": meta}
                found += self._offer(archive, "restricted", self.metas(entry["abi"], entry.get("modules")))
                if archive == "noble-updates" and any(
                    "nvidia-64k" in kernel.get("flavours", []) and kernel["abi"] == entry["abi"] for kernel in chosen["kernels"][archive]
                ):
                    found += self._offer(archive, "restricted", self.metas(entry["abi"], entry.get("modules"), "nvidia-64k"))
        for archive, packages in chosen.get("packages", {}).items():
            for package_name, versions in packages.items():
                for version in versions if isinstance(versions, list) else [versions]:
                    entry = version if isinstance(version, dict) else {"version": version}
                    found += self._offer(archive, entry.get("component", ""), [self.named(package_name, entry)])
        for payload in self.payload.values():
            if not any(offer.package.name == payload.name for offer in found):
                found.append(Offer("noble", "universe", payload))
        return found

    def named(self, name: str, entry: Mapping[str, Any]) -> Package:
        """A plain package from the catalogue, with the stand-ins' payload where there is one."""
        more = {"Depends": entry["depends"]} if "depends" in entry else {}
        if name in self.data["depends"]:
            more["Depends"] = self.data["depends"][name]
        if name == self.data["metapackage"]:
            more["Depends"] = ", ".join(self.data["platform"])
        if name == "libnccl-dev":
            more["Depends"] = f"libnccl2 (= {entry['version']})"
        plain = self.plain(name, str(entry["version"]), **more)
        payload = self.payload.get(name)
        if payload is None:
            return plain
        return replace(plain, files=payload.files, scripts=payload.scripts, fields={**plain.fields, **payload.fields})

    def _offer(self, archive: str, component: str, packages: Iterable[Package]) -> list[Offer]:
        about = self.data["archives"][archive]
        if about.get("flat"):
            component = ""
        elif component not in about["components"]:
            component = about["components"][0]
        return [Offer(archive, component, package) for package in packages]

    def revision(self, driver: str) -> str:
        """Ubuntu's revision of a driver version."""
        return str(self.data["revisions"].get(driver, self.data["usual_revision"]))

    # ---- what is installed ----------------------------------------------------------------------------------------

    def installed(self, model: Mapping[str, Any], repositories: Mapping[str, Package]) -> list[Installed]:
        """The packages of a desk of this model, as it comes out of the box.

        :param repositories: the packages that bring sources and keys, by name.
        """
        listed = {str(name): str(version) for name, version in (model.get("packages") or {}).items()}
        driver = str(model["driver"]["version"])
        full = listed.get("nvidia-driver-580-open") or f"{driver}-{self.revision(driver)}"
        found: dict[str, Installed] = {}

        def add(package: Package, auto: bool) -> None:
            version = listed.get(package.name, package.version)
            found[package.name] = Installed(replace(package, version=version), auto)

        for package in self.driver(driver, full.split("-", 1)[1]):
            add(package, package.name != f"nvidia-driver-{branch(driver)}-open")
        for kernel in model.get("kernels_installed") or [model["kernel"]]:
            match = re.match(r"(?P<abi>\d+\.\d+\.\d+-\d+)-(?P<flavour>nvidia(-64k)?)\Z", str(kernel))
            if not match:
                raise LabError(f"model {model.get('name')}: {kernel!r} is not a kernel for this machine.")
            for package in self.kernel(match["abi"], driver, 0, match["flavour"]):
                add(package, True)
        newest = re.match(r"(\d+\.\d+\.\d+-\d+)", str(model["kernel"]))
        if newest:
            for package in self.metas(newest[1]):
                add(package, False)
        for name, version in self.data["platform"].items():
            add(repositories.get(name) or self.plain(name, version), True)
        for name, version in self.data["extras"].items():
            add(self.named(name, {"version": version}), name.startswith("lib"))
        for name, version in listed.items():
            if name not in found:
                add(self.named(name, {"version": version}), False)
        return list(found.values())
