"""The file system, kernel and initramfs of desks that run as virtual machines, built from Debian packages and kept by their hash."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import shlex
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparklab import archives, image, initramfs, paths, shell
from sparklab.errors import LabError
from sparklab.files import held, write_json

FOLDER = image.FOLDER / "vm"
DISTRIBUTIONS = ("trixie", "bookworm")
SIZE = "4G"
"""Size of a desk's disk; the file is sparse."""
KERNELS = {"amd64": "linux-image-amd64"}
"""Debian's full kernels: the one for clouds has no rdma_rxe."""


@dataclass(frozen=True)
class Image:
    """What a virtual machine starts from; a desk writes into a layer of its own."""

    disk: Path
    kernel: Path
    initramfs: Path


def ensure(distribution: str, model: Mapping[str, Any], say: image.Say) -> Image:
    """Return the image of a model, building what is not there.

    :raises LabError: when packages cannot be fetched or installed, with the place of the log.
    """
    if distribution not in DISTRIBUTIONS:
        raise LabError(f"--image {distribution}: virtual machines are made from {' or '.join(DISTRIBUTIONS)}.")
    files = archives.model_files(distribution, model)
    with held(paths.CACHE_ROOT / "build.lock"):
        folder = _ensure_tree(distribution, say)
        total = hashlib.sha256()
        for name in sorted(files):
            total.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
        disk = folder / f"{model.get('name', 'desk')}-{total.hexdigest()[:16]}.img"
        if not disk.exists():
            say(f"installing the packages of model {model.get('name')} (once)")
            _build_disk(folder, disk, files)
    return Image(disk, folder / "vmlinuz", folder / "initramfs")


def tree_hash(distribution: str) -> str:
    """The hash of what the file system is made from."""
    total = hashlib.sha256(image.base_hash(distribution).encode())
    for path in sorted(FOLDER.iterdir()):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]


def _ensure_tree(distribution: str, say: image.Say) -> Path:
    folder = paths.CACHE_ROOT / "vm" / f"{distribution}-{tree_hash(distribution)}"
    if (folder / "ready").exists():
        return folder
    say(f"building the virtual machines' file system from Debian packages ({distribution}, once, about four minutes)")
    work = image.prepare(folder)
    try:
        _bootstrap(distribution, work)
        _kernel(work)
        image.finish(work, folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return folder


def _bootstrap(distribution: str, work: Path) -> None:
    """The tree in `work/tree` and the kernel's package, unpacked, in `work/kernel`."""
    machine = archives.architecture(distribution)
    if machine not in KERNELS:
        raise LabError(f"virtual machines are only made on amd64 yet; this machine is {machine}.")
    packages = []
    for path in (image.FOLDER / "packages.txt", FOLDER / "packages.txt"):
        packages += image.package_list(path.read_text(encoding="utf-8"), distribution)
    fetch = f"apt-get -y --download-only --no-install-recommends install {KERNELS[machine]}"
    # The kernel is unpacked, not installed: to dpkg the desk has the kernels of its model.
    argv = image.bootstrap(packages)
    argv += [
        '--customize-hook=mkdir -p "$1"/var/cache/apt/archives/partial',
        f'--customize-hook=chroot "$1" {fetch}',
        f'--customize-hook=dpkg-deb --extract "$1"/var/cache/apt/archives/linux-image-[0-9]*.deb {shlex.quote(str(work))}/kernel',
        '--customize-hook=rm "$1"/var/cache/apt/archives/*.deb',
        *image.desk_hooks(),
        f'--customize-hook=chroot "$1" /bin/sh -s < {shlex.quote(str(FOLDER))}/customize.sh',
    ]
    done = shell.run([*argv, distribution, str(work / "tree"), image.MIRROR], timeout=image.BUILD_TIMEOUT, check=False)
    if done.returncode != 0:
        log = work.parent / "build.log"
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
        raise LabError(f"the virtual machines' file system could not be built from {image.MIRROR}; the build's own words are in {log}.")


def modules_wanted(text: str) -> dict[str, list[str]]:
    """Read modules.txt: kind -> names. Pure."""
    found: dict[str, list[str]] = {"boot": [], "start": [], "more": []}
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if len(words) == 2:
            found[words[0]].append(words[1])
    return found


def _kernel(work: Path) -> None:
    """Move the kernel and the modules that are wanted into place, and make the initramfs."""
    source = work / "kernel"
    kernels = sorted(source.glob("boot/vmlinuz-*"))
    if not kernels:
        raise LabError("Debian's kernel package holds no kernel; was it renamed? (simulator/sparklab/vm_image.py)")
    release = kernels[0].name.removeprefix("vmlinuz-")
    kernels[0].rename(work / "vmlinuz")
    found = next(iter(sorted(source.glob(f"**/modules/{release}"))))
    tree = work / "tree"
    target = tree / "usr/lib/modules" / release
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(str(found), target)
    shutil.rmtree(source)
    shell.run(["chroot", str(tree), "depmod", release])
    wanted = modules_wanted((FOLDER / "modules.txt").read_text(encoding="utf-8"))
    dependencies = (target / "modules.dep").read_text(encoding="utf-8")
    names = [*wanted["boot"], *wanted["start"]]
    listed = [line.partition(":")[0] for line in dependencies.splitlines()]
    names += [initramfs.module_name(path) for path in listed if path.startswith(tuple(wanted["more"]))]
    keep = set(initramfs.closure(dependencies, names))
    for path in listed:
        file = target / path
        if path not in keep:
            file.unlink()
        elif path.endswith(".xz"):
            # A processor that is only imitated unpacks slowly.
            file.with_suffix("").write_bytes(lzma.decompress(file.read_bytes()))
            file.unlink()
    shell.run(["chroot", str(tree), "depmod", release])
    first = initramfs.closure((target / "modules.dep").read_text(encoding="utf-8"), wanted["boot"])
    place = tree / "usr/lib/spark-sim"
    (place / "modules").write_text("\n".join(wanted["start"]) + "\n", encoding="ascii")
    shutil.copy(FOLDER / "vm-init", place / "vm-init")
    os.chmod(place / "vm-init", 0o755)
    content = {
        "init": ((FOLDER / "initramfs-init").read_bytes(), 0o755),
        "bin/busybox": ((tree / "usr/bin/busybox").read_bytes(), 0o755),
        "modules/order": ("".join(f"{Path(path).name}\n" for path in first).encode(), 0o644),
        **{f"modules/{Path(path).name}": ((target / path).read_bytes(), 0o644) for path in first},
    }
    for folder in ("dev", "proc", "sys", "root"):
        content[folder] = (b"", stat.S_IFDIR | 0o755)
    (work / "initramfs").write_bytes(initramfs.archive(content))
    write_json(work / "about.json", {"kernel": release, "packages": _versions(tree)})


def _versions(tree: Path) -> dict[str, str]:
    """The versions of the real programs, for whoever compares."""
    names = image.package_list((FOLDER / "packages.txt").read_text(encoding="utf-8"), "")
    argv = ["chroot", str(tree), "dpkg-query", "-W", "-f", "${Package} ${Version}\n", *names, "ethtool", "iproute2"]
    return dict(line.split() for line in shell.run(argv).stdout.splitlines())


def versions(disk: Path) -> dict[str, Any]:
    """What `disk` was made from: kernel release and package versions."""
    about: dict[str, Any] = json.loads((disk.parent / "about.json").read_text(encoding="utf-8"))
    return about


def _build_disk(folder: Path, disk: Path, files: Mapping[str, bytes]) -> None:
    """The tree with the model's packages, as a disk."""
    for old in folder.glob(".model.*"):
        shutil.rmtree(old, ignore_errors=True)
    tree = folder / f".model.{os.getpid()}"
    part = disk.with_suffix(".part")
    try:
        shell.run(["cp", "-a", "--reflink=auto", str(folder / "tree"), str(tree)], timeout=600)
        (tree / "debs").mkdir()
        for name, content in files.items():
            (tree / "debs" / name).write_bytes(content)
        shell.run(["chroot", str(tree), "/bin/sh", "/debs/install.sh"], timeout=600)
        shutil.rmtree(tree / "debs")
        part.unlink(missing_ok=True)
        shell.run(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(part), SIZE], timeout=600)
        part.rename(disk)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
        part.unlink(missing_ok=True)
