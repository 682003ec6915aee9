# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requirements, resolved by the real pip for a desk against an index on loopback: what is judged, and what goes wrong."""

from __future__ import annotations

import base64
import gzip
import io
import json
import netrc
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer, LiveDesk
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather import workload_pip
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.workload import (
    NEEDS_REBUILD,
    RUNS,
    RUNS_SLOWLY,
    UNKNOWN,
    WONT_RUN,
    Judged,
    Target,
)
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs import carrier, fence, pip_resolver
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import pip_report, requirement_lines, simple_index
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload import fetch, resolve
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.requirements import FileProblem, Requirements, wanted_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.wheels import Indexes, Looker
from elf_file import elf
from index_server import Index, running
from wheel_file import wheel

TAG = "cp312-cp312-manylinux_2_28_aarch64"
X86 = "cp312-cp312-manylinux_2_28_x86_64"
ANY = "py3-none-any"
PROGRAM = carrier.feed(carrier.text([fence, pip_resolver]))


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    """An index with one project of each kind."""
    with running(Index()) as serving:

        def add(project: str, version: str, tag: str, files: dict[str, bytes], *requires: str) -> None:
            name = project.replace("-", "_")
            serving.add(project, f"{name}-{version}-{tag}.whl", wheel(name, version, tag, files, requires))

        add("gpu", "1.0", TAG, {"gpu/_C.so": elf(needed=["libcudart.so.13"], units=[["sm_90", "sm_120"]])})
        add("gpu", "1.0", X86, {"gpu/_C.so": elf("x86_64", units=[["sm_90"]])})
        add("slow", "1.0", TAG, {"slow/_C.so": elf(units=[["sm_90", "ptx 90@8.7"]])})
        add("old-gpu", "1.0", TAG, {"old_gpu/_C.so": elf(units=[["sm_80", "sm_90"]])})
        add("plain", "1.0", ANY, {"plain/__init__.py": b""})
        add("cpu", "1.0", TAG, {"cpu/_C.so": elf(needed=["libc.so.6"])})
        add("x86-only", "1.0", X86, {"x/_C.so": elf("x86_64")})
        add("cu12", "1.0", TAG, {"cu12/_C.so": elf(needed=["libcudart.so.12"], units=[["sm_120"]])})
        add("cu12-whole", "1.0", TAG, {"c/_C.so": elf(needed=["libcudart.so.12"], units=[["sm_120"]])}, "cu12-runtime")
        add("cu12-runtime", "12.9", TAG, {"nvidia/cuda_runtime/lib/libcudart.so.12": elf(soname="libcudart.so.12")})
        add(
            "marked",
            "1.0",
            ANY,
            {"m.py": b""},
            'gpu; platform_machine == "aarch64"',
            'x86-only; platform_machine == "x86_64"',
            'old-gpu; extra == "old"',
        )
        add("needs-source", "1.0", ANY, {"n.py": b""}, "source-only")
        add("newer-source", "1.0", TAG, {"n/_C.so": elf()})
        add("stays-back", "0.0.0", ANY, {})
        add("stays-back", "2.0", X86, {"s/_C.so": elf("x86_64")})
        add("backs-off", "0.1", ANY, {"b.py": b""})
        add("backs-off", "2.0", ANY, {"b.py": b""}, "source-only")
        add("pin-a", "1.0", ANY, {"a.py": b""}, "shared==1.0")
        add("pin-b", "1.0", ANY, {"b.py": b""}, "shared==2.0")
        add("shared", "1.0", ANY, {"s.py": b""})
        add("shared", "2.0", ANY, {"s.py": b""})
        add("glibc-new", "1.0", "cp312-cp312-manylinux_2_41_aarch64", {"g/_C.so": elf()})
        serving.add("source-only", "source_only-1.0.tar.gz", gzip.compress(b"setup.py " + os.urandom(3000)))
        serving.add("newer-source", "newer_source-2.0.tar.gz", gzip.compress(b"setup.py"))
        serving.add("stubbed", "stubbed-1.0.tar.gz", gzip.compress(b'build-backend = "wheel_stub.buildapi"'))
        yield serving


@pytest.fixture
def judge(index: Index, spark: Target, tmp_path: Path):
    def run(text: str, indexes: list[str] | None = None, constraints: str = "") -> list[Judged]:
        urls = [index.url] if indexes is None else indexes
        web = fetch.Web(5)

        def ask(wanted: str):
            return resolve.resolve(wanted, spark, urls, 120, constraints=constraints)

        looker = Looker(web, tmp_path / "cache", 64 << 20, 64 << 20)
        return Requirements(spark, ask, Indexes(web, urls), looker, web, "2026-11-26").judge(requirement_lines.lines(text).requirements)

    return run


@pytest.mark.parametrize(
    ("text", "verdict", "gpu", "words"),
    [
        ("gpu==1.0", RUNS, "cuda", "sm_120"),
        ("slow", RUNS_SLOWLY, "cuda", "PTX"),
        ("old-gpu", NEEDS_REBUILD, "cuda", "sm_80"),
        ("plain", RUNS, "none", "no machine code"),
        ("cpu", RUNS, "none", "no device code"),
        ("x86-only", WONT_RUN, None, "x86_64"),
        ("source-only", NEEDS_REBUILD, None, "source_only-1.0.tar.gz"),
        ("needs-source", NEEDS_REBUILD, None, "it needs source-only"),
        ("newer-source", NEEDS_REBUILD, None, "newer_source-2.0.tar.gz"),
        ("newer-source==1.0", RUNS, "none", "no device code"),
        ("stubbed", UNKNOWN, None, "stub"),
        ("stays-back", WONT_RUN, None, "placeholder 0.0.0"),
        ("backs-off", NEEDS_REBUILD, None, "it needs source-only"),
        ("cu12", WONT_RUN, "cuda", "libcudart.so.12"),
        ("cu12-whole", RUNS, "cuda", "sm_120"),
        ("marked", RUNS, "cuda", "gpu 1.0"),
        ("marked[old]", NEEDS_REBUILD, "cuda", "it needs old-gpu 1.0"),
        ("glibc-new", WONT_RUN, None, "glibc 2.41"),
        ('gpu; platform_machine == "x86_64"', RUNS, None, "marker"),
        ("no-such-project", UNKNOWN, None, "none of the given indexes"),
        ("gpu==9.9", UNKNOWN, None, "no version that matches"),
        ("gpu ==", UNKNOWN, None, "is not a requirement"),
        ('gpu; platform_machine ~= "x"', UNKNOWN, None, "a marker without a meaning"),
        ("thing @ git+https://127.0.0.1:9/x.git", NEEDS_REBUILD, None, "source code"),
        ("./local/folder", UNKNOWN, None, "path"),
    ],
)
def test_one_requirement(judge, text: str, verdict: str, gpu: str | None, words: str) -> None:
    (found,) = judge(text)
    assert (found.verdict, found.gpu) == (verdict, gpu)
    assert words in found.reason
    assert found.verdict == RUNS or found.instead


def test_bad_lines_cost_the_others_nothing(judge) -> None:
    found = judge("gpu\nthis is !! no requirement\nx86-only\nsource-only\nold-gpu\nno-such-project\nplain\n")
    assert [item.verdict for item in found] == [RUNS, UNKNOWN, WONT_RUN, NEEDS_REBUILD, NEEDS_REBUILD, UNKNOWN, RUNS]


def test_a_conflict_is_told_beside_the_verdicts(judge) -> None:
    found = judge("pin-a\npin-b\n")
    assert [(item.kind, item.verdict) for item in found] == [("requirement", RUNS), ("requirement", RUNS), ("requirements", WONT_RUN)]
    assert "no set for all of them" in found[-1].reason


def test_constraints_count(judge) -> None:
    (found,) = judge("shared", constraints="shared==1.0\n")
    assert dict(found.seen)["wheel"].startswith("shared-1.0-")


def test_hashes_of_another_machine_are_told(judge, index: Index) -> None:
    import hashlib

    files = index.files["gpu"]
    arm, x86 = (hashlib.sha256(files[f"gpu-1.0-{tag}.whl"]).hexdigest() for tag in (TAG, X86))
    (found,) = judge(f"gpu==1.0 --hash=sha256:{x86}")
    assert found.verdict == WONT_RUN
    assert "hashes" in found.reason
    (found,) = judge(f"gpu==1.0 \\\n    --hash=sha256:{x86} \\\n    --hash=sha256:{arm}\n")
    assert found.verdict == RUNS


def test_no_index_is_unknown_for_all(judge) -> None:
    found = judge("gpu\nplain\n", indexes=["http://127.0.0.1:9/simple"])
    assert [item.verdict for item in found] == [UNKNOWN, UNKNOWN]
    assert "could not be" in found[0].reason


def test_the_controllers_pip_settings_do_not_count(judge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nindex-url = http://127.0.0.1:9/simple\n")
    constraint = tmp_path / "constraint.txt"
    constraint.write_text("gpu==7\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_CONSTRAINT", str(constraint))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (found,) = judge("gpu")
    assert found.verdict == RUNS


def source_archive(files: Mapping[str, str]) -> bytes:
    """A source archive of the project evil."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"evil-1/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


BACKEND = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'


@pytest.mark.parametrize(
    "files",
    [
        {"setup.py": "open(MARK, 'w').close()\nfrom setuptools import setup\nsetup(name='evil', version='1')\n"},
        {"pyproject.toml": BACKEND, "own.py": "open(MARK, 'w').close()\n"},
        {"pyproject.toml": BACKEND.replace("[]", '["other @ LINK"]'), "own.py": "open(MARK, 'w').close()\n"},
    ],
    ids=["setup.py", "a backend of its own", "a backend with needs"],
)
def test_a_build_is_never_started(index: Index, judge, tmp_path: Path, files: dict[str, str]) -> None:
    """A wheel of somebody asks for a source archive by link: pip would run its code even in a dry run."""
    mark = tmp_path / "it-ran"
    other = index.add("other", f"other-1.0-{ANY}.whl", wheel("other", "1.0", ANY, {"o.py": b""}))
    written = {name: text.replace("MARK", repr(str(mark))).replace("LINK", other) for name, text in files.items()}
    link = index.add("evil", "evil-1.tar.gz", source_archive(written))
    name = f"trap-1.0-{ANY}.whl"
    index.add("trap", name, wheel("trap", "1.0", ANY, {"t.py": b""}, (f"evil @ {link}",)))
    (found,) = judge("trap")
    assert not mark.exists()
    assert found.verdict == UNKNOWN
    assert not any("/other/" in path for path, *_more in index.requests)


def test_a_source_archive_is_neither_fetched_nor_unpacked(index: Index, judge, tmp_path: Path) -> None:
    """pip unpacks one by link even in a dry run, and with an older Python writes through the links in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        link = tarfile.TarInfo("evil-1/home")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("evil-1/home/authorized_keys"))
    link_to = index.add("evil", "evil-2.tar.gz", out.getvalue())
    index.add("trap", f"trap-1.0-{ANY}.whl", wheel("trap", "1.0", ANY, {"t.py": b""}, (f"evil @ {link_to}",)))
    (found,) = judge("trap")
    assert not (tmp_path / "authorized_keys").exists()
    assert found.verdict == UNKNOWN and "would have to be built" in found.reason
    assert not any("evil-2" in path for path, *_more in index.requests)


def test_a_repository_in_metadata_is_not_cloned(index: Index, judge) -> None:
    """What git does with a repository of somebody else, submodules and all, is nothing that a check should start."""
    name = f"trap-1.0-{ANY}.whl"
    index.add("trap", name, wheel("trap", "1.0", ANY, {"t.py": b""}, ("evil @ git+https://git.example/repository",)))
    (found,) = judge("trap")
    assert found.verdict == UNKNOWN
    assert "would have to be cloned" in found.reason


def test_pip_on_the_desk_resolves_and_builds_nothing(index: Index, tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("shared==1.0\n")

    def on_desk(text: str, limit: float = 60) -> dict:
        (tmp_path / "r.txt").write_text(workload_pip.with_indexes(text, [index.url]))
        words = ["{}", *workload_pip.SHARED, "--report", "-"]
        command = carrier.argv(*words, "-r", str(tmp_path / "r.txt"), "-c", str(tmp_path / "c.txt"))
        return workload_pip.resolve(LiveDesk(), command, PROGRAM, limit)

    told = on_desk("pin-a\nplain\n")
    if told["refusal"] and told["refusal"]["kind"] == "no_pip":
        pytest.skip("the python3 of this machine has no pip")
    assert sorted(item["name"] for item in told["chosen"]) == ["pin_a", "plain", "shared"]
    assert on_desk("source-only\n")["refusal"]["kind"] == "no_wheel"
    assert on_desk("plain\n", 0.05)["refusal"]["kind"] == "timeout"


def test_no_index_is_on_a_command_line_that_others_can_read(spark: Target) -> None:
    seen: list[str] = []

    def runner(argv: Sequence[str], *_more: Any) -> Answer:
        seen.extend(argv)
        place = argv[argv.index("-r") + 1]
        seen.append("in the file" if "user:word@" in Path(place).read_text() else "nowhere")
        return Answer(tuple(argv), 1, "")

    links = ["https://user:word@files.example/"]
    resolve.resolve("plain\n", spark, ["https://user:word@index.example/simple"], 1.0, links=links, runner=runner)
    assert seen[-1] == "in the file" and not any("user:word" in word for word in seen)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with logins: one with what a .netrc must quote, one for every host without an entry."""
    path = tmp_path / ".netrc"
    path.write_text(
        'machine files.lab login ana password "a b\\"c#d"\nmachine index.lab login bo password x1\ndefault login ana password y2\n'
    )
    path.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://index.lab/simple/", "bo:x1"),
        ("https://files.lab/x.whl", 'ana:a b"c#d'),
        ("http://index.lab/simple/", None),  # any machine on the way would read it
        ("https://stranger.example/simple/", None),  # a file that somebody sent may name it
        ("https://default/simple/", None),
        ("http://me:own@index.lab/simple/", "me:own"),
    ],
)
def test_what_netrc_holds_goes_over_tls_to_hosts_that_it_names(home: Path, url: str, told: str | None) -> None:
    authorization = fetch.split_credentials(url)[1]
    assert (None if authorization is None else base64.b64decode(authorization.removeprefix("Basic ")).decode()) == told


def test_pip_gets_no_login_but_those_of_the_indexes(spark: Target, home: Path) -> None:
    """pip takes a login to whatever host a page or a redirect names."""
    seen: list[dict[str, tuple[str, str, str]]] = []

    def runner(argv: Sequence[str], _limit: float, env: Mapping[str, str], *_more: Any) -> Answer:
        seen.append(netrc.netrc(env["NETRC"]).hosts)
        return Answer(tuple(argv), 1, "")

    for indexes in (
        ["https://files.lab/simple"],
        ["http://index.lab/simple", "https://index.lab/other"],
        ["https://stranger.example/simple"],
    ):
        resolve.resolve("plain\n", spark, indexes, 1.0, runner=runner)
    assert [{host: entry[2] for host, entry in hosts.items()} for hosts in seen] == [{"files.lab": 'a b"c#d'}, {}, {}]


def test_pip_finds_no_variable_of_the_desk_in_what_it_resolves(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cr3t")
    before = len(index.requests)
    (tmp_path / "r.txt").write_text(workload_pip.with_indexes("plain\n", [f"{index.base}/${{API_TOKEN}}/simple"]))
    command = carrier.argv("{}", *workload_pip.SHARED, "--report", "-", "-r", str(tmp_path / "r.txt"))
    told = workload_pip.resolve(LiveDesk(), command, PROGRAM, 60)
    if told["refusal"]["kind"] == "no_pip":
        pytest.skip("the python3 of this machine has no pip")
    assert {path for path, *_more in index.requests[before:]} == {"/%24%7BAPI_TOKEN%7D/simple/plain/"}


def test_a_time_limit_ends_the_resolution(spark: Target, index: Index) -> None:
    found = resolve.resolve("plain\n", spark, [index.url], 0.2)
    assert found.refusal is not None
    assert found.refusal.kind in ("timeout", "no_pip")


def test_includes_are_joined_and_indexes_kept(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "requirements.txt").write_text(
        "# comment\n--extra-index-url https://download.pytorch.org/whl/cu130\ntorch==2.9.1 # why\n-r more/base.txt\n-c limits.txt\n-e .\n"
        "--only-binary :all:\n--find-links https://x.example/wheels\n-r https://x.example/r.txt\n--frobnicate\n"
    )
    (tmp_path / "more" / "base.txt").write_text("numpy\n-r ../requirements.txt\n")
    (tmp_path / "limits.txt").write_text("numpy<3\n")
    found = wanted_of(tmp_path / "requirements.txt")
    assert [line.text for line in found.lines] == ["torch==2.9.1", "numpy"]
    assert found.constraints == "numpy<3\n"
    assert found.indexes == ("https://download.pytorch.org/whl/cu130",)
    assert found.links == ("https://x.example/wheels",)
    assert len(found.problems) == 3


@pytest.mark.parametrize(
    ("data", "words"), [(b"a\0b", "not a text file"), (b"x" * (1 << 21), "larger than 1 MB"), (None, "cannot be read")]
)
def test_files_that_are_none(tmp_path: Path, data: bytes | None, words: str) -> None:
    path = tmp_path / "r.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(FileProblem, match=words):
        wanted_of(path)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"install": 7}', '{"install": [{}]}', '{"install": [{"metadata": 3}]}', "x{", "[" * 100_000]
)
def test_any_report_is_read_or_refused(text: str) -> None:
    try:
        assert pip_report.chosen(text) == ()
    except pip_report.PipReportError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("text", "kind", "project"),
    [
        (
            "ERROR: Could not find a version that satisfies a-b==1 (from versions: none)\nERROR: No matching distribution found for a-b==1",
            "no_wheel",
            "a-b",
        ),
        ("/usr/bin/python3: No module named pip", "no_pip", None),
        ("ERROR: Invalid requirement: 'six ='", "syntax", None),
        ("ERROR: Exception:\nTraceback (most recent call last):\nInvalidRequirement: Invalid URL: git+file:/x", "other", None),
        (
            "WARNING: Retrying after connection broken by 'NewConnectionError': /simple/x/\nERROR: No matching distribution found for x",
            "no_network",
            None,
        ),
        (
            "The user requested shared==1.0\n    pin-b 1.0 depends on shared==2.0\nERROR: ResolutionImpossible: for help visit",
            "conflict",
            None,
        ),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "hashes", None),
        ("", "other", None),
        ("no such option: --report", "no_pip", None),
    ],
)
def test_pips_refusals(text: str, kind: str, project: str | None) -> None:
    found = pip_report.refusal(text)
    assert (found.kind, found.project) == (kind, project)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 3}', '{"files": [1, {"filename": "../x.whl", "url": "u"}, {"filename": 5}]}'])
def test_any_json_page_is_read_or_refused(text: str) -> None:
    try:
        assert simple_index.files("application/json", text) == ()
    except simple_index.IndexPageError as error:
        assert str(error)
    assert simple_index.files("text/html", text) == ()


def test_a_desk_with_an_endless_glibc_fills_no_memory(spark: Target) -> None:
    """It named a thousand million tags, each a text on the controller."""
    platforms = resolve.platforms_of(replace(spark, glibc="2.100000"))
    assert len(platforms) < 200
    assert "manylinux_2_39_aarch64" in platforms


def test_the_desks_environment_is_what_markers_see(spark: Target) -> None:
    environment = resolve.environment_of(spark)
    assert environment["platform_machine"] == "aarch64"
    assert environment["python_version"] == "3.12"
    assert json.dumps(environment)
    platforms = resolve.platforms_of(spark)
    assert platforms[0] == "manylinux_2_39_aarch64"
    assert {"manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64"} <= set(platforms)
    assert "manylinux_2_40_aarch64" not in platforms
