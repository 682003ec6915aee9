"""The lab's apt archives: signing keys, publishing, and the desk images with a model's packages in their dpkg database."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sparklab import debs, image, paths, shell, state
from sparklab.catalogue import Catalogue, Installed
from sparklab.debs import File, Package
from sparklab.engine import MACHINES, Engine
from sparklab.errors import LabError
from sparklab.files import held, write_atomic, write_json

Say = Callable[[str], None]
FOLDER = paths.SIMULATOR / "archive"
PAYLOAD = paths.SIMULATOR / "desk" / "packages"

# Faults of the archives as one desk sees them.
FAULTS: dict[str, str] = {
    "archive_unreachable": "The apt archives (or the one named by host=...) do not respond to this desk.",
    "archive_bad_checksum": "Packages (those whose name holds package=...) arrive damaged.",
    "archive_slow": "Every answer of the archives takes seconds=20 longer.",
}
_SERVED_FAULTS = tuple(FAULTS)

# The stock pins: only branch 580 is named, and only from NVIDIA's CUDA archive.
_LOW_DRIVER = (
    "nvidia-driver-580* nvidia-dkms-580* nvidia-kernel-common-580* nvidia-kernel-source-580* nvidia-utils-580* "
    "nvidia-compute-utils-580* nvidia-firmware-580* libnvidia-*-580* xserver-xorg-video-nvidia-580*"
)
_LOW_OTHER = "nvidia-fabricmanager* nvidia-imex* nvidia-persistenced nsight-*"
PINS: dict[str, dict[str, str]] = {
    "cuda-compute-repo": {
        "cuda-compute-repo-lowpri": f"Package: {_LOW_DRIVER}\nPin: release l=NVIDIA CUDA\nPin-Priority: -1\n",
        "cuda-compute-repo-lowpri2": f"Package: {_LOW_OTHER}\nPin: release l=NVIDIA CUDA\nPin-Priority: -1\n",
    },
    "dgx-repo": {"nvidia-dgx": "Package: *\nPin: release l=NVIDIA BaseOS\nPin-Priority: 500\n"},
    "nvidia-spark-repo": {"nvidia-spark-repo": "Package: *\nPin: release l=NVIDIA DGX Spark\nPin-Priority: 500\n"},
}


@cache
def data() -> dict[str, Any]:
    """simulator/archive/catalogue.yml."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / "catalogue.yml").read_text(encoding="utf-8"))
    return found


def set_names() -> list[str]:
    """The sets that can be published."""
    return list(data()["sets"])


def hosts() -> list[str]:
    """The host names of the archives, as the desks ask for them."""
    return sorted({str(one["host"]) for one in data()["archives"].values()})


def architecture(distribution: str) -> str:
    """dpkg's architecture of the desk image: this machine's, whatever uname says in a desk."""
    path = image.cache_dir(distribution) / "architecture"
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "amd64")


def payload(arch: str) -> dict[str, Package]:
    """Packages whose files stand in simulator/desk/packages/NAME, with their fields in deb.yml there.

    A folder `root` holds the files from / on; programs in the folder itself go to /usr/bin. A folder with a Makefile is
    source text: it becomes the package NAME-source, which holds it as /usr/src/NAME.
    """
    found = {}
    for folder in sorted(PAYLOAD.iterdir()) if PAYLOAD.is_dir() else []:
        root = folder / "root"
        source = (folder / "Makefile").exists()
        name = f"{folder.name}-source" if source else folder.name
        about: dict[str, Any] = {}
        if (folder / "deb.yml").exists():
            about = yaml.safe_load((folder / "deb.yml").read_text(encoding="utf-8")) or {}
        files = {}
        for path in sorted(folder.rglob("*")) if source else []:
            if path.is_file():
                files[f"usr/src/{folder.name}/{path.relative_to(folder)}"] = File(path.read_bytes())
        for path in sorted(folder.iterdir()):
            if source:
                break
            if path.is_file() and path.stat().st_mode & 0o100:
                files[f"usr/bin/{path.name}"] = File(path.read_bytes(), 0o755)
        for path in sorted(root.rglob("*")) if root.is_dir() else []:
            where = str(path.relative_to(root))
            if "__pycache__" in where:
                continue
            if path.is_symlink():
                files[where] = File(link=os.readlink(path))
            elif path.is_file():
                files[where] = File(path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644)
        if not files:
            continue
        fields = {str(key).capitalize(): str(value) for key, value in about.items() if key not in ("version", "scripts")}
        found[name] = Package(name, str(about.get("version", "1.0-1")), arch, fields, files, about.get("scripts", {}))
    return found


def catalogue(distribution: str) -> Catalogue:
    """The catalogue for the desks' architecture."""
    arch = architecture(distribution)
    return Catalogue(data(), arch, payload(arch))


# ---- keys ---------------------------------------------------------------------------------------------------------


def _gpg(*words: str, stdin: str | None = None) -> str:
    home = paths.CACHE_ROOT / "keys"
    return shell.run(["gpg", "--homedir", str(home), "--batch", "--quiet", "--no-tty", *words], stdin=stdin).stdout


def ensure_keys() -> None:
    """Make the archives' throwaway signing keys, once per machine."""
    with held(paths.CACHE_ROOT / "keys.lock"):
        _ensure_keys()


def _ensure_keys() -> None:
    home = paths.CACHE_ROOT / "keys"
    names = sorted({str(one["key"]) for one in data()["archives"].values()})
    if all((home / f"{name}.gpg").exists() for name in names):
        return
    home.mkdir(parents=True, exist_ok=True)
    os.chmod(home, 0o700)
    try:
        for name in names:
            if (home / f"{name}.gpg").exists():
                continue
            _gpg(
                "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", f"{name} of the lab", "ed25519", "sign", "never"
            )
            _gpg("--yes", "--output", str(home / f".{name}.gpg"), "--export", f"={name} of the lab")
            (home / f".{name}.gpg").rename(home / f"{name}.gpg")
    finally:
        _stop_agent()


def _stop_agent() -> None:
    shell.run(["gpgconf", "--homedir", str(paths.CACHE_ROOT / "keys"), "--kill", "gpg-agent"], check=False)


def key(name: str) -> bytes:
    """The public half of a signing key."""
    return (paths.CACHE_ROOT / "keys" / f"{name}.gpg").read_bytes()


# ---- sources ------------------------------------------------------------------------------------------------------


def sources() -> dict[str, str]:
    """The desks' files in /etc/apt/sources.list.d, by name. Pure."""
    found: dict[str, dict[str, Any]] = {}
    for one in data()["archives"].values():
        entry = found.setdefault(
            one["sources"],
            {"uri": f"http://{one['host']}/{one['path']}/", "suites": [], "components": one.get("components", []), "key": one["key"]},
        )
        entry["suites"].append("/" if one.get("flat") else one["suite"])
    texts = {}
    for name, entry in found.items():
        text = f"Types: deb\nURIs: {entry['uri']}\nSuites: {' '.join(entry['suites'])}\n"
        if entry["components"]:
            text += f"Components: {' '.join(entry['components'])}\n"
        texts[name] = text + f"Signed-By: /usr/share/keyrings/{entry['key']}.gpg\n"
    return texts


def repositories(arch: str) -> dict[str, Package]:
    """The packages that bring sources, keys and stock pins. A removed one takes its key away and leaves the rest."""
    found = {}
    texts = sources()
    for one in data()["archives"].values():
        owner = one.get("owner")
        if not owner or owner in found:
            continue
        files = {
            f"etc/apt/sources.list.d/{one['sources']}.sources": File(texts[one["sources"]].encode()),
            f"usr/share/keyrings/{one['key']}.gpg": File(key(one["key"])),
        }
        for name, text in PINS.get(owner, {}).items():
            files[f"etc/apt/preferences.d/{name}"] = File(text.encode())
        conffiles = "".join(f"/{path}\n" for path in files if path.startswith("etc/"))
        found[owner] = Package(owner, data()["platform"][owner], arch, {"Section": "misc"}, files, {"conffiles": conffiles})
    return found


# ---- desk images --------------------------------------------------------------------------------------------------

_INSTALL = """set -eu
export DEBIAN_FRONTEND=noninteractive
mkdir -p /usr/share/keyrings /etc/apt/sources.list.d /etc/apt/preferences.d
cp /debs/ubuntu.sources /etc/apt/sources.list.d/
cp /debs/ubuntu-archive-keyring.gpg /usr/share/keyrings/
dpkg --force-unsafe-io --install /debs/*.deb > /dev/null
cp /debs/extended_states /var/lib/apt/extended_states
apt-get check > /dev/null
rm -rf /var/log/dpkg.log /var/log/apt
"""


def extended_states(installed: list[Installed]) -> str:
    """apt's note of what was brought by another package. Pure."""
    return "".join(f"Package: {one.package.name}\nArchitecture: {one.package.arch}\nAuto-Installed: 1\n\n" for one in installed if one.auto)


def model_files(distribution: str, model: Mapping[str, Any]) -> dict[str, bytes]:
    """What installs a model's packages into a desk's file system, as files of one folder (/debs), with `install.sh`."""
    ensure_keys()
    shelf = catalogue(distribution)
    installed = shelf.installed(model, repositories(shelf.arch))
    files = {one.package.filename: debs.build(one.package) for one in installed}
    files["extended_states"] = extended_states(installed).encode()
    files["ubuntu.sources"] = sources()["ubuntu"].encode()
    files["ubuntu-archive-keyring.gpg"] = key("ubuntu-archive-keyring")
    files["install.sh"] = _INSTALL.encode()
    return files


def ensure_model_image(engine: Engine, base: str, distribution: str, model: Mapping[str, Any], say: Say) -> str:
    """Return the name of the image with this model's packages installed, making it when it is not there."""
    files = model_files(distribution, model)
    total = hashlib.sha256(base.encode())
    for name in sorted(files):
        total.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    name = f"localhost/spark-desk:{model.get('name', 'desk')}-{total.hexdigest()[:16]}"
    with held(paths.CACHE_ROOT / "build.lock"):
        if not engine.image_exists(name):
            say(f"installing the packages of model {model.get('name')} (once)")
            _build_model_image(engine, base, name, str(model.get("name")), files)
    return name


def _build_model_image(engine: Engine, base: str, name: str, model: str, files: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix="spark-lab-") as folder:
        for one, content in files.items():
            (Path(folder) / one).write_bytes(content)
        container = ""
        try:
            container = engine.call(
                "create",
                "--network",
                "none",
                "--ulimit",
                "nofile=20000:20000",
                "--ulimit",
                "nproc=32768:32768",
                "-v",
                f"{folder}:/debs:ro",
                base,
                "/bin/sh",
                "/debs/install.sh",
            ).splitlines()[-1]
            done = shell.run(engine.argv("start", "-a", container), timeout=300, check=False)
            code = engine.call("inspect", "-f", "{{.State.ExitCode}}", container)
            if done.returncode != 0 or code != "0":
                raise LabError(f"the packages of model {model} could not be installed: {shell.last_line(done.stderr)}")
            engine.call("commit", container, name, timeout=300)
        finally:
            if container:
                engine.remove([container])


# ---- publishing ---------------------------------------------------------------------------------------------------


def real_debs(distribution: str) -> Iterator[tuple[Path, dict[str, str], str]]:
    """The distribution's own packages for the archive: file, control fields, SHA256. Reads an index made once."""
    folder = image.cache_dir(distribution) / "debs"
    index = folder.parent / "debs.json"
    try:
        entries = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        entries = []
        if not folder.is_dir():
            raise LabError("the desk image has changed since this lab was made; `simulator/lab up` builds the new one.") from None
        for path in sorted(folder.glob("*.deb")):
            content = path.read_bytes()
            entries.append({"file": path.name, "control": debs.read_control(content), "sha256": hashlib.sha256(content).hexdigest()})
        write_json(index, entries)
    for entry in entries:
        yield folder / entry["file"], entry["control"], entry["sha256"]


def ensure_lab(record: state.Record, say: Say) -> None:
    """Publish the described set when nothing is published yet, or when the lab's archive is half made."""
    ensure_keys()
    if not (record.dir / "archive" / "ready").exists():
        publish(record, record.data.get("archive_set") or record.spec.archive_set)


def publish(record: state.Record, name: str) -> None:
    """Make the archives offer exactly this set; what is not in it disappears."""
    distribution = record.data["distribution"]
    shelf = catalogue(distribution)
    offers = shelf.offers(name)
    when = datetime.now(UTC)
    fresh = record.dir / "archive.new"
    shutil.rmtree(fresh, ignore_errors=True)
    # archive -> component -> paragraphs
    indexes: dict[str, dict[str, list[str]]] = {}
    listed: list[list[str]] = []

    def add(archive: str, component: str, control: Mapping[str, str], filename: str, size: int, sha256: str) -> Path:
        about = data()["archives"][archive]
        flat = bool(about.get("flat"))
        relative = f"./{filename}" if flat else f"pool/{archive}/{component}/{filename}"
        indexes.setdefault(archive, {}).setdefault(component, []).append(debs.index_entry(control, relative, size, sha256))
        listed.append([archive, control["Package"], control["Version"]])
        path = fresh / about["host"] / about["path"] / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    for offer in offers:
        content = debs.build(offer.package)
        path = add(
            offer.archive,
            offer.component,
            offer.package.control(),
            offer.package.filename,
            len(content),
            hashlib.sha256(content).hexdigest(),
        )
        path.write_bytes(content)
    # Virtual machines have these installed already.
    real = real_debs(distribution) if record.data["engine"]["name"] != MACHINES else ()
    for source, control, sha256 in real:
        path = add("noble", "universe", control, source.name.replace("%3a", "."), source.stat().st_size, sha256)
        try:
            os.link(source, path)
        except OSError:
            shutil.copyfile(source, path)
    try:
        for archive, about in data()["archives"].items():
            _write_archive(fresh, archive, about, indexes.get(archive, {}), shelf.arch, when)
    finally:
        _stop_agent()
    (fresh / "ready").write_text(name + "\n", encoding="utf-8")
    write_json(record.dir / "offered.json", listed)
    old = record.dir / "archive.old"
    shutil.rmtree(old, ignore_errors=True)
    if (record.dir / "archive").exists():
        (record.dir / "archive").rename(old)
    fresh.rename(record.dir / "archive")
    shutil.rmtree(old, ignore_errors=True)
    record.data["archive_set"] = name


def _write_archive(
    root: Path, archive: str, about: Mapping[str, Any], components: Mapping[str, list[str]], arch: str, when: datetime
) -> None:
    base = root / about["host"] / about["path"]
    texts: dict[str, bytes] = {}
    if about.get("flat"):
        folder = base
        content = "\n".join(components.get("", [])).encode()
        texts["Packages"] = content
        texts["Packages.gz"] = gzip.compress(content, mtime=0)
    else:
        folder = base / "dists" / about["suite"]
        for component in about["components"]:
            content = "\n".join(components.get(component, [])).encode()
            texts[f"{component}/binary-{arch}/Packages"] = content
            texts[f"{component}/binary-{arch}/Packages.gz"] = gzip.compress(content, mtime=0)
    head = {
        "Origin": about["origin"],
        "Label": about["label"],
        "Suite": about.get("suite", ""),
        "Codename": about.get("codename", ""),
        "Version": about.get("version", ""),
        "Components": " ".join(about.get("components", [])),
        "Description": f"stand-in of the desk simulator for {archive}",
    }
    text = debs.release(head, texts, when, [arch, "all"])
    for path, content in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    write_atomic(folder / "Release", text)
    signed = _gpg("--local-user", f"={about['key']} of the lab", "--digest-algo", "SHA512", "--clearsign", stdin=text)
    write_atomic(folder / "InRelease", signed)


def offered(record: state.Record) -> list[tuple[str, str, str]]:
    """What the archives offer now: archive, package, version."""
    try:
        entries = json.loads((record.dir / "offered.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return sorted((entry[0], entry[1], entry[2]) for entry in entries)


def write_faults(record: state.Record, addresses: Mapping[str, str]) -> None:
    """Tell the web server which desks see which faults of the archives."""
    found = {}
    for desk, address in addresses.items():
        mine = {name: params for name, params in record.data["faults"].get(desk, {}).items() if name in _SERVED_FAULTS}
        if mine:
            found[address] = mine
    write_json(record.dir / "archive-faults.json", found)
