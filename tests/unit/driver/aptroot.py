"""A desk's package system in a temporary root: real apt, real dpkg, signed archives of tiny packages. Needs root and Debian's tools.

What it cannot show: maintainer scripts, the machine's own services, and whether real packages have these dependencies.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer, Link, Listing, LiveDesk, Text

TOOLS = ("apt-get", "apt-cache", "apt-mark", "dpkg", "dpkg-deb", "dpkg-query", "gpg", "gpgconf", "gpgv")
ARCHITECTURE = "arm64"

KERNEL = "6.17.0-1021-nvidia"
NEXT_KERNEL = "6.17.0-1029-nvidia"
OLD, NEW = "580.159.03-0ubuntu0.24.04.1", "580.173.02-0ubuntu0.24.04.1"
KERNEL_OLD, KERNEL_NEW = "6.17.0-1021.21", "6.17.0-1029.29"


def why_not() -> str:
    """Why these tests cannot run here; empty when they can."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        return f"real apt is not here: {', '.join(missing)} missing"
    if os.geteuid() != 0:
        return "real dpkg in a temporary root needs root"
    return ""


@dataclass(frozen=True)
class Control:
    """One package to build."""

    name: str
    version: str
    depends: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    conflicts: str = ""


class Debs:
    """Builds each package once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def build(self, control: Control) -> Path:
        """The .deb of a package."""
        # Tests give the same name and version other contents.
        inside = hashlib.sha256(repr(control).encode()).hexdigest()[:16]
        path = self.folder / inside / f"{control.name}_{control.version.replace(':', '%3a')}_{ARCHITECTURE}.deb"
        if path.exists():
            return path
        path.parent.mkdir(exist_ok=True)
        tree = self.folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        (tree / "DEBIAN").mkdir(parents=True)
        lines = [
            f"Package: {control.name}",
            f"Version: {control.version}",
            f"Architecture: {ARCHITECTURE}",
            "Maintainer: Lab <lab@example.com>",
        ]
        for name, value in (("Source", control.source), ("Depends", control.depends), ("Conflicts", control.conflicts)):
            if value:
                lines.append(f"{name}: {value}")
        (tree / "DEBIAN/control").write_text("\n".join([*lines, f"Description: test package {control.name}", ""]))
        for name, text in control.files.items():
            file = tree / name.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(path)], check=True, capture_output=True)
        return path


def driver(branch: int, version: str) -> list[Control]:
    """The user space of a driver branch."""
    return [
        Control(f"libnvidia-compute-{branch}", version),
        Control(f"nvidia-utils-{branch}", version, f"libnvidia-compute-{branch} (= {version})"),
        Control(f"nvidia-kernel-common-{branch}", version),
        Control(
            f"nvidia-driver-{branch}-open", version, f"nvidia-utils-{branch} (= {version}), nvidia-kernel-common-{branch} (= {version})"
        ),
    ]


def kernel(release: str, version: str, branch: int = 580) -> list[Control]:
    """A kernel with its metas and its module package."""
    module = f"linux-modules-nvidia-{branch}-open-{release}"
    return [
        Control(f"linux-image-{release}", version, files={f"/boot/vmlinuz-{release}": "kernel"}),
        Control(module, version, f"linux-image-{release}", {f"/lib/modules/{release}/kernel/nvidia-{branch}-open/nvidia.ko": "module"}),
        Control("linux-image-nvidia-hwe-24.04", version, f"linux-image-{release}"),
        Control(f"linux-modules-nvidia-{branch}-open-nvidia-hwe-24.04", version, module),
        Control("linux-nvidia-hwe-24.04", version, f"linux-image-nvidia-hwe-24.04 (= {version})"),
    ]


class AptRoot(LiveDesk):
    """The door to a desk whose root is a folder. Paths and programs are turned to it; the rest is the real `LiveDesk`."""

    def __init__(self, root: Path, debs: Debs) -> None:
        self.root, self.debs = root, debs
        self.asked: list[tuple[str, ...]] = []
        self.free: int | None = None
        self.published = 1785500000
        """Seconds since 1970 of the newest archive."""
        for folder in (
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "etc/apt/apt.conf.d",
            "etc/apt/trusted.gpg.d",
            "etc/apt/keyrings",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/lib/dpkg/info",
            "var/lib/dpkg/updates",
            "var/lib/dpkg/triggers",
            "var/log/apt",
            "boot",
            "lib/modules",
            "run",
        ):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for file in ("var/lib/dpkg/status", "var/lib/dpkg/available"):
            (root / file).touch()
        (root / "var/lib/dpkg/arch").write_text(f"{ARCHITECTURE}\n")
        self.configuration = root / "apt.conf"
        self.configuration.write_text(
            "\n".join(
                [
                    f'Dir "{root}/";',
                    f'Dir::State::status "{root}/var/lib/dpkg/status";',
                    f'Dir::Log "{root}/var/log/apt";',
                    f'DPkg::Options {{ "--root={root}"; "--force-not-root"; "--force-script-chrootless"; "--force-architecture"; }};',
                    f'APT::Architecture "{ARCHITECTURE}"; APT::Architectures {{ "{ARCHITECTURE}"; }};',
                    'APT::Sandbox::User "root"; Acquire::Languages "none"; APT::Install-Recommends "false";',
                    'DPkg::Pre-Install-Pkgs ""; DPkg::Post-Invoke ""; DPkg::Use-Pty "false";',
                ]
            )
        )

    # --- the door ---

    def real(self, path: str) -> str:
        """A path of the desk on this machine."""
        return str(self.root / path.lstrip("/"))

    def read_text(self, path: str) -> Text:
        answer = super().read_text(self.real(path))
        return Text(path, answer.text, answer.error)

    def list_dir(self, path: str) -> Listing:
        answer = super().list_dir(self.real(path))
        return Listing(path, answer.names, answer.error)

    def read_link(self, path: str) -> Link:
        answer = super().read_link(self.real(path))
        return Link(path, answer.target, answer.error)

    def write_text(self, path: str, text: str, mode: int = 0o644) -> None:
        super().write_text(self.real(path), text, mode)

    def write_file(self, path: str, text: str) -> None:
        """A file of the desk's own, with its folders."""
        Path(self.real(path)).parent.mkdir(parents=True, exist_ok=True)
        Path(self.real(path)).write_text(text)

    def remove(self, path: str) -> None:
        super().remove(self.real(path))

    def remove_folder(self, path: str) -> None:
        super().remove_folder(self.real(path))

    def make_folder(self, path: str, mode: int = 0o755) -> None:
        super().make_folder(self.real(path), mode)

    def free_bytes(self, path: str) -> int:
        return super().free_bytes(self.real(path)) if self.free is None else self.free

    def run(self, argv: Sequence[str], *, timeout: float = 10.0, stdin: str | None = None, env: Mapping[str, str] | None = None) -> Answer:
        self.asked.append(tuple(argv))
        command = list(argv)
        if command[0] == "env":
            command[1] = "--chdir=" + self.real(command[1].partition("=")[2])
        if command[0] == "dpkg":
            command[1:1] = [f"--root={self.root}", "--force-not-root", "--force-script-chrootless", "--force-architecture"]
        elif command[0] == "grub-reboot":
            self.write_file("/boot/grub/grubenv", f"# GRUB Environment Block\nnext_entry={command[1]}\n")
            return Answer(tuple(argv), 0)
        elif command[0] == "dpkg-query":
            command[1:1] = [f"--admindir={self.root}/var/lib/dpkg"]
        elif command[0] == "lslocks":
            return Answer(tuple(argv), 0)  # nobody holds a lock
        elif command[0] not in ("env", "apt-get", "apt-cache", "apt-mark"):
            return Answer(tuple(argv), error="missing")
        command = [self.real(word) if word.startswith("/var/lib/dgx_spark") else word for word in command]
        command = [word.replace("=/run/", f"={self.root}/run/") for word in command]
        answer = super().run(command, timeout=timeout, stdin=stdin, env={**(env or {}), "APT_CONFIG": str(self.configuration)})
        return Answer(tuple(argv), answer.rc, answer.stdout, answer.stderr, answer.error, answer.seconds)

    # --- the lab ---

    def archive(self, name: str, label: str, controls: Sequence[Control], *, signed: bool = True) -> Path:
        """Write a signed archive and its source file."""
        folder = self.root / "archives" / name
        folder.mkdir(parents=True, exist_ok=True)
        records = []
        for control in controls:
            deb = self.debs.build(control)
            target = folder / deb.name
            shutil.copyfile(deb, target)
            data = target.read_bytes()
            fields = subprocess.run(["dpkg-deb", "-f", str(deb)], check=True, capture_output=True, text=True).stdout.rstrip("\n")
            records.append(f"{fields}\nFilename: ./{deb.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n")
        packages = "\n".join(records).encode()
        (folder / "Packages").write_bytes(packages)
        (folder / "Packages.gz").write_bytes(gzip.compress(packages, mtime=0))
        digest = hashlib.sha256(packages).hexdigest()
        release = (
            f"Origin: NVIDIA\nLabel: {label}\nSuite: noble\nCodename: noble\nDate: Sat, 01 Aug 2026 00:00:00 UTC\n"
            f"Architectures: {ARCHITECTURE}\nSHA256:\n {digest} {len(packages)} Packages\n"
        )
        (folder / "Release").write_text(release)
        option = "[trusted=yes]"
        if signed:
            key = self.key()
            option = f"[signed-by={key}]"
            gpg = ["gpg", "--batch", "--yes", "--homedir", str(self.root / "gpg"), "--clearsign", "-o", str(folder / "InRelease")]
            subprocess.run([*gpg, str(folder / "Release")], check=True, capture_output=True)
        # apt takes a file whose time is not newer by a whole second for the one that it has.
        self.published += 10
        for path in folder.iterdir():
            os.utime(path, (self.published, self.published))
        (self.root / f"etc/apt/sources.list.d/{name}.list").write_text(f"deb {option} copy:{folder} ./\n")
        return folder

    def key(self) -> Path:
        """The archives' public key on the desk; the throwaway pair is made at first use."""
        home, public = self.root / "gpg", self.root / "etc/apt/keyrings/spark.gpg"
        if not home.exists():
            home.mkdir(mode=0o700)
            gpg = ["gpg", "--batch", "--homedir", str(home)]
            make = [*gpg, "--passphrase", "", "--quick-generate-key", "Lab archive <lab@example.com>", "ed25519", "sign", "never"]
            subprocess.run(make, check=True, capture_output=True)
            subprocess.run([*gpg, "--output", str(public), "--export"], check=True, capture_output=True)
        return public

    def close(self) -> None:
        """End the agent that gpg left running for the throwaway key."""
        subprocess.run(["gpgconf", "--homedir", str(self.root / "gpg"), "--kill", "gpg-agent"], check=False, capture_output=True)

    def install(self, controls: Sequence[Control]) -> None:
        """Put packages on the desk with dpkg, past apt."""
        files = [str(self.debs.build(item)) for item in controls]
        answer = self.run(["dpkg", "-i", *files], timeout=120)
        assert answer.ok, answer

    def apt(self, *argv: str) -> Answer:
        """An admin's own apt-get."""
        return self.run(["apt-get", *argv], timeout=120, env={"DEBIAN_FRONTEND": "noninteractive"})

    def versions(self) -> dict[str, str]:
        """Installed packages."""
        answer = self.run(["dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Status}\\n"])
        rows = (line.split() for line in answer.stdout.splitlines())
        return {row[0]: row[1] for row in rows if len(row) == 3 and row[2] == "installed"}

    def holds(self) -> list[str]:
        """Held packages."""
        return sorted(self.run(["apt-mark", "showhold"]).stdout.split())

    def automatic(self) -> list[str]:
        """Packages marked as automatically installed."""
        return sorted(self.run(["apt-mark", "showauto"]).stdout.split())

    def candidate(self, package: str) -> str | None:
        """What apt would install."""
        for line in self.run(["apt-cache", "policy", package]).stdout.splitlines():
            if line.strip().startswith("Candidate:"):
                value = line.split()[1]
                return None if value == "(none)" else value
        return None

    def state(self) -> dict[str, object]:
        """What a lock may change, for comparison before and after."""
        folder = self.root / "etc/apt"
        files = {str(item.relative_to(folder)): item.read_bytes() for item in sorted(folder.rglob("*")) if item.is_file()}
        return {
            "files": files,
            "holds": self.holds(),
            "automatic": self.automatic(),
            "versions": self.versions(),
            "dpkg": (self.root / "var/lib/dpkg/status").read_bytes(),
        }

    def trusted(self) -> bool:
        """Whether apt and dpkg find the desk whole."""
        check = self.run(["apt-get", "check"], timeout=60)
        audit = self.run(["dpkg", "--audit"], timeout=60)
        return check.ok and audit.ok and not audit.stdout.strip()


UNSUFFIXED = (
    "libnvidia-compute",
    "libnvidia-cfg1",
    "libnvidia-common",
    "libnvidia-decode",
    "libnvidia-encode",
    "libnvidia-extra",
    "libnvidia-fbc1",
    "libnvidia-gl",
    "libnvidia-gpucomp",
    "nvidia-dkms",
    "nvidia-dkms-open",
    "nvidia-kernel-source",
    "nvidia-kernel-source-open",
    "nvidia-kernel-common",
    "nvidia-firmware",
    "nvidia-headless",
    "nvidia-headless-open",
    "nvidia-utils",
    "nvidia-driver-open",
    "nvidia-settings",
    "nvidia-xconfig",
    "libxnvctrl0",
    "libxnvctrl-dev",
    "xserver-xorg-video-nvidia",
    "nvidia-driver-pinning-590.48.01",
    "nvidia-driver-pinning-610",
)
"""Names of the CUDA archive since R590, most of them without a branch."""


def unsuffixed(version: str = "610.57.04-1ubuntu1") -> list[Control]:
    """A driver as NVIDIA's CUDA archive packs it now, with parts that only their source tells of."""
    hidden = [
        Control("libglx-vendor0", version, source="nvidia-graphics-drivers"),
        Control("firmware-gsp", version, source="nvidia-firmware"),
    ]
    return [*(Control(name, version) for name in UNSUFFIXED), *hidden]


STOCK_PIN = "Package: nvidia-driver-580-open libnvidia-compute-580\nPin: release l=NVIDIA CUDA\nPin-Priority: -1\n"


def stock_controls() -> list[Control]:
    """What is installed on the desk."""
    return [
        *driver(580, OLD),
        *kernel(KERNEL, KERNEL_OLD),
        Control("nvidia-modprobe", "610.43.02-1"),
        Control("nvidia-container-toolkit", "1.19.0-1"),
        Control("libnccl2", "2.30.7-1+cuda13.0"),
        Control("dgx-release", "7.5.0"),
        Control("nvidia-spark-limits", "1.0-1"),
    ]


def stock_desk(root: Path, debs: Debs) -> AptRoot:
    """A desk as it comes: driver and kernel of one level, newer ones of the branch, and tempting other branches in two archives."""
    desk = AptRoot(root, debs)
    desk.install(stock_controls())
    desk.archive(
        "spark", "Spark", [*stock_controls(), *driver(580, NEW), *kernel(NEXT_KERNEL, KERNEL_NEW), Control("libnccl2", "2.31.2-1+cuda13.0")]
    )
    desk.archive(
        "ubuntu",
        "Ubuntu",
        [*driver(610, "610.43.02-0ubuntu0.24.04.1"), Control("linux-modules-nvidia-610-open-nvidia-hwe-24.04", KERNEL_NEW)],
    )
    newest = "nvidia-driver-610-open"
    cuda = [
        *driver(590, "590.48.01-1"),
        *driver(595, "595.84-1"),
        *driver(580, "580.205.01-1"),
        Control("nvidia-open", "615.20-1", newest),
        Control("cuda-drivers", "615.20-1", newest),
        Control("nvidia-modprobe", "615.20-1"),
        Control("nvidia-container-toolkit", "1.20.1-1"),
        Control("cuda-toolkit-13-0", "13.0.3-1"),
    ]
    desk.archive("cuda", "NVIDIA CUDA", cuda)
    (root / "etc/apt/preferences.d/cuda-compute-repo-lowpri2").write_text(STOCK_PIN)
    assert desk.run(["apt-mark", "auto", "dgx-release", "nvidia-spark-limits"]).ok
    update = desk.apt("update")
    assert update.ok, update
    return desk
