"""The desks' base image: built from distribution packages, kept by the hash of everything it is made from."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sparklab import paths, shell
from sparklab.engine import Engine
from sparklab.errors import LabError
from sparklab.files import held

FOLDER = paths.SIMULATOR / "image"
MIRROR = "http://deb.debian.org/debian"
DISTRIBUTIONS = {"trixie": "Debian 13", "noble": "Ubuntu 24.04"}
NOBLE_IMAGE = "docker.io/library/ubuntu:24.04"
BUILD_TIMEOUT = 1200.0

Say = Callable[[str], None]


def package_list(text: str, distribution: str) -> list[str]:
    """Read packages.txt for one distribution. Pure."""
    found = []
    for line in text.splitlines():
        word = line.split("#")[0].strip()
        if not word:
            continue
        name, _, only = word.partition("@")
        if only in ("", distribution):
            found.append(name)
    return found


def base_hash(distribution: str) -> str:
    """The hash of what a base image is made from: lists, scripts, the shim, files."""
    total = hashlib.sha256(distribution.encode())
    names = ["packages.txt", "extra-debs.txt", "customize.sh", "uname_shim.c", "limits_shim.c"]
    files = [FOLDER / name for name in names] + sorted(path for path in (FOLDER / "rootfs").rglob("*") if path.is_file())
    for path in files:
        total.update(f"{path.relative_to(FOLDER)} {path.stat().st_mode & 0o111:o}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def base_name(distribution: str) -> str:
    """The name of the base image."""
    return f"localhost/spark-desk-base:{distribution}-{base_hash(distribution)}"


def cache_dir(distribution: str) -> Path:
    """Where the tree of the base image and the real packages for the archive are kept."""
    return paths.CACHE_ROOT / "base" / f"{distribution}-{base_hash(distribution)}"


def ensure_base(engine: Engine, distribution: str, say: Say) -> str:
    """Return the name of the base image, building it when it is not there.

    The packages of extra-debs.txt and all they need end up in `cache_dir()/debs`.
    """
    if distribution not in DISTRIBUTIONS:
        raise LabError(f"--image {distribution}: known images are {', '.join(DISTRIBUTIONS)}.")
    with held(paths.CACHE_ROOT / "build.lock"):
        return _ensure_base(engine, distribution, say)


def _ensure_base(engine: Engine, distribution: str, say: Say) -> str:
    name = base_name(distribution)
    folder = cache_dir(distribution)
    ready = (folder / "ready").exists()
    if ready and engine.image_exists(name):
        return name
    if distribution == "noble":
        say("building the desk image from Ubuntu 24.04 (once)")
        _build_noble(engine, name, folder)
    else:
        if not ready:
            say("building the desk image from Debian packages (once, about two minutes)")
            _build_trixie(folder)
        say("loading the desk image into the container engine")
        engine.call("import", str(folder / "base.tar"), name, timeout=BUILD_TIMEOUT)
    return name


def prepare(folder: Path) -> Path:
    """An empty folder beside the final one; a build that is killed leaves nothing that looks finished."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for old in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))


def finish(work: Path, folder: Path) -> None:
    (work / "ready").write_text("", encoding="ascii")
    shutil.rmtree(folder, ignore_errors=True)
    os.chmod(work, 0o755)
    work.rename(folder)


def bootstrap(packages: Sequence[str]) -> list[str]:
    """The begin of a build from Debian packages, without documentation and translations."""
    argv = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", '--aptopt=Acquire::Languages "none"']
    argv += [f"--dpkgopt=path-exclude=/usr/share/{place}/*" for place in ("man", "doc", "locale", "info")]
    return [*argv, f"--include={','.join(packages)}"]


def desk_hooks() -> list[str]:
    """What makes a desk's file system of the packages."""
    # A shell of root's reads them, and a folder may have any name.
    folder = shlex.quote(str(FOLDER))
    return [
        '--customize-hook=mkdir -p "$1"/opt/build',
        f'--customize-hook=cp {folder}/uname_shim.c {folder}/limits_shim.c {folder}/customize.sh "$1"/opt/build/',
        f'--customize-hook=cp -a --no-preserve=ownership {folder}/rootfs/. "$1"/',
        '--customize-hook=chroot "$1" /bin/sh /opt/build/customize.sh',
    ]


def _build_trixie(folder: Path) -> None:
    packages = package_list((FOLDER / "packages.txt").read_text(encoding="utf-8"), "trixie")
    extra = package_list((FOLDER / "extra-debs.txt").read_text(encoding="utf-8"), "trixie")
    work = prepare(folder)
    (work / "debs").mkdir()
    try:
        argv = bootstrap(packages)
        # The real packages for the lab's archive are fetched by the new tree's own apt, so what they need is complete.
        argv += [
            '--customize-hook=mkdir -p "$1"/var/cache/apt/archives/partial',
            f'--customize-hook=chroot "$1" apt-get -y --download-only --no-install-recommends install {" ".join(extra)}',
            f'--customize-hook=mv "$1"/var/cache/apt/archives/*.deb {shlex.quote(str(work))}/debs/',
            *desk_hooks(),
        ]
        done = shell.run([*argv, "trixie", str(work / "base.tar"), MIRROR], timeout=BUILD_TIMEOUT, check=False)
        if done.returncode != 0:
            log = folder.parent / "build.log"
            log.write_text(done.stdout + done.stderr, encoding="utf-8")
            raise LabError(f"the desk image could not be built from {MIRROR}; the build's output is in {log}.")
        finish(work, folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _build_noble(engine: Engine, name: str, folder: Path) -> None:
    """The same build on Ubuntu's own image, where a registry can be reached."""
    packages = package_list((FOLDER / "packages.txt").read_text(encoding="utf-8"), "noble")
    extra = package_list((FOLDER / "extra-debs.txt").read_text(encoding="utf-8"), "noble")
    work = prepare(folder)
    (work / "debs").mkdir()
    script = (
        "set -eu; export DEBIAN_FRONTEND=noninteractive; apt-get update; "
        f"apt-get -y --no-install-recommends install {' '.join(packages)}; "
        f"apt-get -y --download-only --no-install-recommends -o Dir::Cache::archives=/debs/ install {' '.join(extra)}; "
        "userdel --remove ubuntu 2>/dev/null || true; cp -a /image/rootfs/. /; mkdir -p /opt/build; "
        "cp /image/uname_shim.c /image/limits_shim.c /image/customize.sh /opt/build/; sh /opt/build/customize.sh; "
        "rm -rf /debs/partial /debs/lock"
    )
    container = ""
    try:
        container = engine.call(
            "create",
            "-v",
            f"{FOLDER}:/image:ro",
            "-v",
            f"{work}/debs:/debs",
            NOBLE_IMAGE,
            "/bin/sh",
            "-c",
            script,
            timeout=BUILD_TIMEOUT,
        ).splitlines()[-1]
        engine.call("start", "-a", container, timeout=BUILD_TIMEOUT)
        engine.call("commit", container, name, timeout=BUILD_TIMEOUT)
        finish(work, folder)
    except LabError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise LabError(f"the Ubuntu 24.04 image could not be built (is a registry reachable?): {error}") from error
    finally:
        if container:
            engine.remove([container])
