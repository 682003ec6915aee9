# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole check of a desk: arguments, the desk's answer, the registry, the index, the table; and a real play over it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer, LiveDesk
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather import workload, workload_pip
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.findings import CODE, findings_of, judge_path
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.known import IMAGES, PROJECTS
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.rules import RULES
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.workload import VERDICTS, Judged, Target
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs import carrier, fence, pip_resolver
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import ldconfig
from ansible_collections.labops.dgx_spark.plugins.module_utils.tree import Limits, Walk
from ansible_collections.labops.dgx_spark.plugins.modules.workload_check import packed
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.admit import ANSWER_LIMIT
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.documented import spec_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload import check as checking
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.check import Asked, Check, target_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.options import asked_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.resolve import Resolved
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.shared import Shared
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.table import rows
from elf_file import elf
from index_server import Index, running
from wheel_file import wheel

ROOT = Path(__file__).resolve().parents[3]
TAG = "cp312-cp312-manylinux_2_28_aarch64"
FACTS = {
    "identity": {"architecture": "aarch64"},
    "gpu": {"compute_capability": "12.1"},
    "driver": {"module_version": "580.126.09", "cuda_version": "13.0"},
    "toolkit": {"cuda_toolkit": "13.0.88"},
}
OFFERS = {"glibc": "2.39", "python": "3.12", "libraries": ["libc.so.6"], "free_bytes": 10**12}


@pytest.fixture
def index() -> Iterator[Index]:
    with running(Index()) as serving:
        yield serving


def never(*_arguments: Any) -> Mapping[str, Any]:
    raise AssertionError("the desk is not asked")


def run(tmp_path: Path, answer: Mapping[str, Any], on_desk=never, **asked: Any) -> list[Judged]:
    options = Asked(cache=str(tmp_path / "cache"), limit=3.0, **asked)
    target = target_of(FACTS, OFFERS, None)
    judged, findings = Check(options, "desk-01", target, answer, Shared(tmp_path / "run"), on_desk, "2026-11-26").run()
    assert [item.code for item in findings if item.code != "WORKLOAD_NO_ROOM"] == [CODE[item.verdict] for item in judged]
    return judged


def test_the_target_comes_from_facts_and_what_is_missing_is_said() -> None:
    known = target_of(FACTS, OFFERS, None)
    assert (known.architecture, known.compute_capability, known.cuda, known.glibc, known.python) == (
        "aarch64",
        "12.1",
        "13.0",
        "2.39",
        "3.12",
    )
    assert known.assumed == ()
    assert "libcurand.so.10" in (known.libraries or ())
    bare = target_of(None, {}, None)
    assert set(bare.assumed) == {"architecture", "compute_capability", "cuda", "glibc", "python"}
    assert bare.libraries is None
    assert target_of({"driver": {"module_version": "595.71.05"}}, {}, "3.11").cuda == "13.2"
    assert target_of(FACTS, OFFERS, "3.11").python == "3.11"


@pytest.mark.parametrize("value", ["x; rm", 7, None, ["12.1"], "12.1\n"])
def test_what_a_desk_tells_of_itself_is_checked(value: Any) -> None:
    found = target_of(
        {"gpu": {"compute_capability": value}, "identity": {"architecture": value}},
        {"glibc": value, "libraries": value, "free_bytes": value},
        None,
    )
    assert {"compute_capability", "glibc"} <= set(found.assumed)


def test_paths_of_a_desk(tmp_path: Path) -> None:
    tree = tmp_path / "venv" / "lib"
    tree.mkdir(parents=True)
    (tree / "good.so").write_bytes(elf(units=[["sm_120"]]))
    (tree / "readme.txt").write_text("x")
    lonely = tmp_path / "lonely.so"
    lonely.write_bytes(elf(needed=["libcudart.so.12"], units=[["sm_120"]]))
    program = tmp_path / "server"
    program.write_bytes(elf("x86_64", kind=2, interpreter="/lib64/ld-linux-x86-64.so.2"))
    asked = [str(tree.parent), str(lonely), str(program), str(tmp_path / "none"), str(tree / "readme.txt")]
    found = run(tmp_path, {"paths": workload.paths(asked, lambda: Walk(Limits()))}, paths=tuple(asked))
    assert [item.verdict for item in found] == ["RUNS", "WONT_RUN", "WONT_RUN", "UNKNOWN", "RUNS"]
    assert "nvidia-cuda-runtime-cu12" in found[1].instead
    assert "exec format error" in found[2].reason
    assert found[4].reason == "no machine code in it"


def test_a_folder_that_brings_its_library_runs(tmp_path: Path) -> None:
    (tmp_path / "a.so").write_bytes(elf(needed=["libcudart.so.12"], units=[["sm_120"]]))
    (tmp_path / "libcudart.so.12").write_bytes(elf(soname="libcudart.so.12"))
    (found,) = run(tmp_path, {"paths": workload.paths([str(tmp_path)], lambda: Walk(Limits()))}, paths=(str(tmp_path),))
    assert found.verdict == "RUNS"


def test_a_search_path_of_its_own_leaves_it_open(tmp_path: Path) -> None:
    """The library may lie where the search path leads; without one it is missing."""
    found = {}
    for name, runpath in (("with", "$ORIGIN/../lib"), ("without", "")):
        path = tmp_path / name
        path.write_bytes(elf(kind=2, interpreter="/lib/ld-linux-aarch64.so.1", needed=["libown.so.3", "libc.so.6"], runpath=runpath))
        (found[name],) = run(tmp_path, {"paths": workload.paths([str(path)], lambda: Walk(Limits()))}, paths=(str(path),))
    assert (found["with"].verdict, found["without"].verdict) == ("UNKNOWN", "WONT_RUN")
    assert "libown.so.3" in found["with"].reason


def test_what_was_not_all_seen_is_no_runs(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.so").write_bytes(elf(units=[["sm_120"]]))
    (found,) = run(tmp_path, {"paths": workload.paths([str(tmp_path)], lambda: Walk(Limits(files=2)))}, paths=(str(tmp_path),))
    assert found.verdict == "UNKNOWN"
    assert "what was examined runs" in found.reason


@pytest.mark.parametrize(
    "answer", [{}, {"paths": 7}, {"paths": [3]}, {"paths": [{"path": "/x", "files": [{"kind": "elf"}, 9]}]}, {"images": 3}]
)
def test_a_desk_that_answers_nonsense_costs_only_its_own_verdicts(tmp_path: Path, answer: Mapping[str, Any]) -> None:
    (found,) = run(tmp_path, answer, paths=("/x",))
    assert found.verdict == "UNKNOWN"


def test_images_are_asked_once_for_all_desks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def image(self: Any, text: str) -> Any:
        asked.append(text)
        return checking.Image(text, "index", ("linux/arm64",), os="linux", architecture="arm64")

    monkeypatch.setattr(checking.Registry, "image", image)
    for _desk in range(3):
        (found,) = run(tmp_path, {}, images=("lab/x:1",))
        assert found.verdict == "RUNS"
    assert asked == ["lab/x:1"]


def test_an_image_that_is_on_the_desk_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking.Registry, "image", never)
    text = json.dumps([{"Architecture": "amd64", "Os": "linux", "Config": {"Env": []}}])
    (found,) = run(tmp_path, {"images": {"lab/x:1": {"text": text}}}, images=("lab/x:1",))
    assert found.verdict == "WONT_RUN"


def test_docker_is_asked_until_it_is_the_trouble() -> None:
    class Docker:
        def __init__(self, *answers: Answer) -> None:
            self.answers, self.asked = list(answers), []

        def run(self, argv: Sequence[str], **_options: Any) -> Answer:
            self.asked.append(argv[-1])
            return self.answers.pop(0)

    refused = Docker(Answer((), 1, "", "permission denied while trying to connect"))
    assert workload.images(refused, ["a", "b"])["a"]["text"] is None  # type: ignore[arg-type]
    assert refused.asked == ["a"]
    absent = Docker(Answer((), 1, "[]", "Error: No such image: a"), Answer((), 0, "[{}]"))
    found = workload.images(absent, ["a", "-rf", "b"])  # type: ignore[arg-type]
    assert absent.asked == ["a", "b"]
    assert found["b"] == {"text": "[{}]"}


class Long:
    """A desk on which what others made says very much: an image's labels, a package's metadata."""

    def run(self, argv: Sequence[str], **_options: Any) -> Answer:
        if argv[0] == "docker":
            return Answer(
                (), 0, json.dumps([{"Architecture": "arm64", "Config": {"Labels": {"a": "\u00e9" * 480_000}}}], ensure_ascii=False)
            )
        one = {"metadata": {"name": "a", "version": "1", "requires_dist": ["b" * 900] * 500}, "download_info": {"url": "https://lab/a.whl"}}
        return Answer((), 0, json.dumps({"install": [one] * 40}))


def test_what_others_made_has_no_desks_answer_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate takes an answer that is too long for the desk's own fault."""
    units = tuple(tuple(f"sm_{number}a" for _entry in range(190)) for number in range(100, 900))
    monkeypatch.setattr(workload.fatbin, "units", lambda *_given: [(*unit, f"other {at}") for at, unit in enumerate(units * 4)])
    for number in range(8):
        (tmp_path / f"{number}.fatbin").write_bytes(workload.fatbin.MAGIC + bytes(100))
    desk, walk = Long(), Walk(Limits())
    told = {
        "images": workload.images(desk, [f"lab/x:{number}" for number in range(20)]),  # type: ignore[arg-type]
        "paths": workload.paths([str(tmp_path)], lambda: walk),
    }
    assert len(packed(told)) < ANSWER_LIMIT and told["images"]["lab/x:0"]["text"] and "lab/x:19" in told["images"]
    resolution = workload_pip.resolve(desk, ["python3"], "", 5.0)  # type: ignore[arg-type]
    assert len(packed({"resolution": resolution})) < ANSWER_LIMIT and resolution["refusal"]["kind"] == "other"


def test_no_login_of_a_link_comes_into_the_report(tmp_path: Path, index: Index) -> None:
    """Links as a private index gives them: with a password, a token of any length, a signature."""
    name, token = f"thing-1.0-{TAG}.whl", "Gletscher77" * 30
    link = index.add("thing", name, wheel("thing", "1.0", TAG, {"thing/_C.so": elf(units=[["sm_120"]])}))
    secret = [f"{link}?sig=Gletscher77", *(link.replace("://", f"://{login}@") for login in ("ana:Gletscher77", token, f"ana:{token}"))]
    path = tmp_path / "requirements.txt"
    lines = [*secret, *(f"thing @ {item}" for item in secret), f"thing = {secret[1]}", f"git+{secret[2]}", f"--proxy={secret[1]}", "thing"]
    path.write_text("\n".join(lines) + "\n")
    own = index.url.replace("://", "://ana:Gletscher77@")
    found = run(tmp_path, {}, wheels=(name, *secret), requirements=(str(path),), indexes=(own,))
    kept = [file.read_text() for file in (tmp_path / "run").rglob("*.json")]
    assert kept and "Gletscher" not in repr(found) + repr(kept)
    assert sum(item.verdict == "RUNS" for item in found) == 11
    assert any(dict(item.seen).get("from") == index.url for item in found)


def test_wheels_by_name_link_and_path(tmp_path: Path, index: Index) -> None:
    data = wheel("thing", "1.0", TAG, {"thing/_C.so": elf(units=[["sm_120"]])})
    name = f"thing-1.0-{TAG}.whl"
    link = index.add("thing", name, data)
    local = tmp_path / name
    local.write_bytes(data)
    broken = tmp_path / f"broken-1.0-{TAG}.whl"
    broken.write_bytes(data[:50])
    asked = (name, link, str(local), str(broken), f"other-1.0-{TAG}.whl", "thing-1.0-cp313-cp313-linux_aarch64.whl", "nonsense.whl")
    found = run(tmp_path, {}, wheels=asked, indexes=(index.url,))
    assert [item.verdict for item in found] == ["RUNS", "RUNS", "RUNS", "UNKNOWN", "UNKNOWN", "WONT_RUN", "UNKNOWN"]
    assert {item.kind for item in found} == {"wheel"}
    assert "not a readable wheel" in found[3].reason


def test_a_requirements_file_and_pip_on_the_desk(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"thing-1.0-{TAG}.whl"
    link = index.add("thing", name, wheel("thing", "1.0", TAG, {"thing/_C.so": elf(units=[["sm_120"]])}))
    path = tmp_path / "requirements.txt"
    path.write_text("thing\n-e .\n")
    told: list[tuple[str, str, Sequence[str]]] = []

    def on_desk(text: str, constraints: str, indexes: Sequence[str]) -> Mapping[str, Any]:
        told.append((text, constraints, indexes))
        return {"chosen": [{"name": "thing", "version": "1.0", "url": link, "requested": True, "requires": []}], "refusal": None}

    found = run(tmp_path, {}, on_desk, requirements=(str(path),), indexes=(index.url,), resolve="desk")
    assert [(item.kind, item.verdict) for item in found] == [("requirement", "RUNS"), ("requirements", "UNKNOWN")]
    assert told == [("thing\n", "", [index.url])]
    # The controller that cannot resolve hands over to the desk; one that can does not.
    monkeypatch.setattr(checking, "resolve", lambda *_a, **_o: Resolved(refusal=checking.pip_report.Refusal("no_pip", words="none")))
    assert run(tmp_path / "b", {}, on_desk, requirements=(str(path),), indexes=(index.url,))[0].verdict == "RUNS"
    assert run(tmp_path / "c", {}, never, requirements=(str(path),), indexes=(index.url,), resolve="controller")[0].verdict == "UNKNOWN"
    nonsense = run(tmp_path / "d", {}, lambda *_a: {"chosen": 3}, requirements=(str(path),), indexes=(index.url,), resolve="desk")
    assert nonsense[0].verdict == "UNKNOWN"


@pytest.mark.parametrize("checksum", ["../../../taken", "0" * 64, None])
def test_a_desk_chooses_neither_what_is_fetched_nor_where_it_is_kept(tmp_path: Path, index: Index, checksum: str | None) -> None:
    """A desk's checksum named a file on the controller, and what it linked to was kept as the wheel of that checksum for all desks."""
    name = f"thing-1.0-{TAG}.whl"
    index.add("thing", name, wheel("thing", "1.0", TAG, {"thing/_C.so": elf(units=[["sm_120"]])}))
    elsewhere = index.add("other", name, wheel("thing", "1.0", TAG, {"thing/_C.so": elf(units=[["sm_80"]])}))
    path = tmp_path / "requirements.txt"
    path.write_text("thing\n")
    chosen = {"name": "thing", "version": "1.0", "url": elsewhere, "requested": True, "requires": [], "sha256": checksum}
    before = set(tmp_path.parent.rglob("*.json"))
    (found,) = run(
        tmp_path, {}, lambda *_a: {"chosen": [chosen], "refusal": None}, requirements=(str(path),), indexes=(index.url,), resolve="desk"
    )
    assert found.verdict == "RUNS", "the file of the index is what was looked into"
    assert not [item for item in set(tmp_path.parent.rglob("*.json")) - before if "taken" in item.name or "0" * 64 in item.name]
    chosen["url"] = elsewhere.replace(name, f"thing-2.0-{TAG}.whl")
    (found,) = run(
        tmp_path, {}, lambda *_a: {"chosen": [chosen], "refusal": None}, requirements=(str(path),), indexes=(index.url,), resolve="desk"
    )
    assert found.verdict == "UNKNOWN" and "none of the given indexes has it" in found.reason


@pytest.mark.parametrize(
    "answer",
    [
        {"chosen": [{"name": "a/../%2e%2e/evil?x=1", "version": "1.0", "url": "BASE/x.whl", "requested": True, "requires": []}]},
        {"chosen": [{"name": "thing", "version": "1.0", "url": "BASE/files/ev", "requested": True, "requires": []}]},
        {"refusal": {"kind": "no_wheel", "project": "thing/%2e%2e/admin/delete?id=1", "words": ""}},
        {"refusal": {"kind": ["no_wheel"], "project": {}, "words": 3}},
    ],
)
def test_a_desk_leads_the_controller_to_no_other_page(tmp_path: Path, index: Index, answer: dict[str, Any]) -> None:
    """A project's name led past the index's folder, where anybody's page may name links and checksums; so did the beginning of a link."""
    name = f"thing-1.0-{TAG}.whl"
    index.add("thing", name, wheel("thing", "1.0", TAG, {"thing/_C.so": elf(units=[["sm_120"]])}))
    evil = index.add("evil", name, b"no wheel")
    path = tmp_path / "requirements.txt"
    path.write_text(f"thing\nother @ {evil}\n")
    told = json.loads(json.dumps(answer).replace("BASE", index.base))
    found = run(tmp_path, {}, lambda *_a: told, requirements=(str(path),), indexes=(index.url,), resolve="desk")
    assert found[0].verdict == "UNKNOWN"
    assert {asked for asked, *_more in index.requests} <= {"/simple/thing/", "/simple/other/", evil.removeprefix(index.base)}


def test_a_requirements_file_of_somebody_else_learns_nothing(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its index was asked for links with the controller's environment variables and lines of private files in them."""
    monkeypatch.setenv("API_TOKEN", "s3cr3t")
    home, sent = tmp_path / "home", tmp_path / "home" / "sent"
    (home / ".config").mkdir(parents=True)
    sent.mkdir()
    names = (".vault_pass", "token", ".config/token.txt", "vault.txt", "sent/.netrc.txt", "sent/vault_pass.txt", "sent/api-token.txt")
    for private in (home / name for name in names):
        private.write_text("s3cr3t\n")
    (sent / "base.txt").symlink_to(home / ".vault_pass")
    (sent / "requirements.txt").write_text(
        f"--index-url {index.base}/${{API_TOKEN}}/simple\n--find-links {index.base}/links/${{API_TOKEN}}/\n-c limits.txt\nplain\nthing\n"
        "-r ../.vault_pass\n-r ../token\n-r ../.config/token.txt\n-r .netrc.txt\n-r base.txt\n-r ../more-requirements.txt\n"
        f"-r ../vault.txt\n-r {home}/vault.txt\n-r vault_pass.txt\n-r api-token.txt\n-r extra.txt\n"
    )
    (sent / "limits.txt").write_text(
        f"plain @ {index.base}/${{API_TOKEN}}/plain-1.0-py3-none-any.whl\n"
        f"thing @ {index.base}/$\\ --hash=x\n{{API_TOKEN}}/thing-1.0-py3-none-any.whl\n"
    )
    (home / "more-requirements.txt").write_text("plain\n")
    (sent / "extra.txt").write_text("thing\n")
    found = run(tmp_path, {}, requirements=(str(sent / "requirements.txt"),), resolve="controller")
    assert index.requests and not [path for path, *_more in index.requests if "s3cr3t" in path]
    assert [item.item for item in found if item.kind == "requirement"] == ["plain", "thing", "plain", "thing"]
    assert sum("not one of a requirements file" in item.reason for item in found) == 9
    assert "s3cr3t" not in repr(found)


@pytest.mark.parametrize("where", ["index", "constraint"])
def test_a_login_goes_to_no_desk_unless_the_admin_says_so(tmp_path: Path, index: Index, where: str) -> None:
    """An index that somebody's requirements file adds, and that nobody can reach, made pip fail here and sent the admin's own along."""
    own = index.url.replace("://", "://ana:Gletscher77@")
    path = tmp_path / "requirements.txt"
    path.write_text("--extra-index-url http://127.0.0.1:9/simple\n-c constraints.txt\nno-such-project\n")
    (tmp_path / "constraints.txt").write_text(f"other @ {own}/other-1.0-py3-none-any.whl\n" if where == "constraint" else "other==1.0\n")
    indexes = (own,) if where == "index" else (index.url,)
    told: list[Any] = []

    def on_desk(*given: Any) -> Mapping[str, Any]:
        told.append(given)
        return {"chosen": [], "refusal": {"kind": "no_network", "words": "none"}}

    found = run(tmp_path, {}, on_desk, requirements=(str(path),), indexes=indexes)
    assert not told and [item.verdict for item in found] == ["UNKNOWN"]
    assert "could not be reached" in found[0].reason
    run(tmp_path / "asked", {}, on_desk, requirements=(str(path),), indexes=indexes, resolve="desk")
    assert "Gletscher77" in repr(told)


@pytest.mark.parametrize("resolve", ["controller", "desk"])
@pytest.mark.parametrize("option", ["--index-url", "--extra-index-url", "-i"])
def test_an_index_brings_no_other_option_along(tmp_path: Path, index: Index, option: str, resolve: str) -> None:
    """What stood behind the link of an index came into the file that pip reads: ``-r`` any private file, ``--no-binary``."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".vault_pass").write_text("s3cr3t\n")
    path = tmp_path / "requirements.txt"
    private = tmp_path / "home" / ".vault_pass"
    path.write_text(f"--extra-index-url {index.url}\n{option} {index.url} -r {private}\nplain\n")

    def on_desk(text: str, constraints: str, indexes: Sequence[str]) -> dict[str, Any]:
        (tmp_path / "r.txt").write_text(workload_pip.with_indexes(text, indexes))
        command = carrier.argv("{}", *workload_pip.SHARED, "--report", "-", "-r", str(tmp_path / "r.txt"))
        return workload_pip.resolve(LiveDesk(), command, carrier.feed(carrier.text([fence, pip_resolver])), 60)

    found = run(tmp_path, {}, on_desk, requirements=(str(path),), resolve=resolve)
    assert index.requests and not [asked for asked, *_more in index.requests if "s3cr3t" in asked]
    assert "s3cr3t" not in repr(found)
    assert "line 2: what follows the link of an index" in repr(found)


@pytest.mark.parametrize(
    "text", ["\\-r PRIVATE\\ --hash=x\n\\ y\\ --hash=x\nz\n", "\ufeff-r PRIVATE\n"], ids=["backslashes", "a byte order mark"]
)
def test_no_constraint_becomes_an_option(tmp_path: Path, index: Index, text: str) -> None:
    """pip takes backslashes from both ends of a line that goes on, and a byte order mark from a file: ``-r`` was left."""
    private = tmp_path / ".vault_pass"
    private.write_text("s3cr3t\n")
    index.add("plain", f"plain-1.0-{TAG}.whl", wheel("plain", "1.0", TAG, {"plain.py": b""}))
    path = tmp_path / "requirements.txt"
    path.write_text(f"--index-url {index.url}\n-c limits.txt\nplain\n")
    (tmp_path / "limits.txt").write_text(text.replace("PRIVATE", str(private)) + "plain==1.0\n")
    found = run(tmp_path, {}, requirements=(str(path),), resolve="controller")
    assert not [asked for asked, *_more in index.requests if "s3cr3t" in asked]
    assert (found[0].item, found[0].verdict) == ("plain", "RUNS")
    assert "limits.txt: line 1 is not a constraint" in repr(found)


def test_many_files_of_many_fat_binaries_are_refused_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes name fifty thousand of them, and a desk names files without end: sixteen MiB would have taken fifty GiB."""
    monkeypatch.setattr(checking, "UNITS_OF_PATHS", 120_000)
    told = {"path": "/x", "kind": "fatbin", "size": 9, "units": [[["sm_121"], 50_000]]}
    answer = {"paths": [{"path": path, "files": [told, told], "trouble": None, "stopped": None} for path in ("/a", "/b", "/c")]}
    found = run(tmp_path, answer, paths=("/a", "/b", "/c"))
    assert [item.verdict for item in found] == ["RUNS", "UNKNOWN", "UNKNOWN"]
    assert "more fat binaries than" in found[1].reason


def test_what_one_desk_resolved_judges_no_other(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"thing-1.0-{TAG}.whl"
    link = index.add("thing", name, wheel("thing", "1.0", TAG, {"thing/_C.so": elf(units=[["sm_120"]])}))
    path = tmp_path / "requirements.txt"
    path.write_text("thing\n")
    monkeypatch.setattr(checking, "resolve", lambda *_a, **_o: Resolved(refusal=checking.pip_report.Refusal("no_pip", words="none")))
    honest = {"chosen": [{"name": "thing", "version": "1.0", "url": link, "requested": True, "requires": []}], "refusal": None}
    for resolve in ("desk", "auto"):
        liar = run(tmp_path, {}, lambda *_a: {"chosen": []}, requirements=(str(path),), indexes=(index.url,), resolve=resolve)
        other = run(tmp_path, {}, lambda *_a: honest, requirements=(str(path),), indexes=(index.url,), resolve=resolve)
        assert (liar[0].verdict != "RUNS", other[0].verdict) == (True, "RUNS")


def test_a_requirements_file_that_is_none(tmp_path: Path) -> None:
    (found,) = run(tmp_path, {}, requirements=(str(tmp_path / "none.txt"),))
    assert (found.verdict, "cannot be read" in found.reason) == ("UNKNOWN", True)


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as an action gets them: checked against the documentation."""
    checked = ArgumentSpecValidator(spec_of("workload_check")).validate(dict(arguments))
    assert checked.error_messages == []
    return dict(checked.validated_parameters)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "nothing to check"),
        ({"images": ["x"], "limit": 0}, "limit must be 1 or more"),
        ({"paths": ["relative/path"]}, "not an absolute path"),
        ({"wheels": [f"{number}.whl" for number in range(600)]}, "more than 500"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleActionFail, match=words):
        asked_of(given(arguments))


def test_arguments_are_taken_as_playbooks_give_them() -> None:
    told = {"requirements": "a.txt,b.txt", "images": ["x", "x", " "], "python": "", "authfile": "", "limit": "40", "mirrors": {"a": "b"}}
    found = asked_of(given(told))
    assert found.requirements == ("a.txt", "b.txt")
    assert found.images == ("x",)
    assert (found.python, found.authfile, found.limit, found.mirrors) == (None, None, 40.0, {"a": "b"})


def test_findings_name_their_rules_and_sources(spark: Target) -> None:
    judged = Judged("x", "image", "WONT_RUN", "because", None, "take y", ("platform", "config"), ("a note",), (("from", "index"),))
    (found,) = findings_of(judged, Where(desk="desk-01"), spark)
    assert (found.code, found.severity, found.remedy) == ("WORKLOAD_WONT_RUN", "fail", "Take y")
    told = found.as_dict()["evidence"]
    assert set(told["rules"]) == {"platform", "config"}
    assert "[" in told["rules"]["platform"]
    assert set(CODE) == set(VERDICTS)


def test_every_rule_and_entry_is_in_the_docs() -> None:
    text = (ROOT / "docs/workload.md").read_text(encoding="utf-8")
    for rule in RULES.values():
        assert f"| `{rule.key}` | {rule.says} | {rule.source} |" in text
    for entry in (*PROJECTS, *IMAGES):
        assert f"{entry.reason} | {entry.source} | {entry.observed} | {entry.expires} |" in text


def test_a_path_without_machine_code(spark: Target) -> None:
    assert judge_path("/x", [], None, None, spark).gpu == "none"
    assert judge_path("/x", [], "more than 3 files", None, spark).verdict == "UNKNOWN"


def test_the_table_has_one_line_an_item() -> None:
    def entry(item: str, verdict: str, reason: str = "why", gpu: str | None = None) -> dict[str, Any]:
        return as_dict(Judged(item, "image", verdict, reason, gpu))

    told = {
        "d-1": [entry("b", "RUNS", gpu="cuda"), entry("a", "UNKNOWN")],
        "d-2": [entry("b", "RUNS", gpu="cuda"), entry("a", "WONT_RUN", "x" * 300)],
    }
    found = rows(told)
    assert [line[:4] for line in found] == [("b", "RUNS", "cuda", "all"), ("a", "WONT_RUN", "-", "d-2"), ("a", "UNKNOWN", "-", "d-1")]
    assert len(found[1][4]) == 100
    assert rows({}) == []


def test_libraries_of_the_loader() -> None:
    text = (
        "3 libs found in cache `/etc/ld.so.cache'\n\tlibz.so.1 (libc6,AArch64) => /lib/aarch64-linux-gnu/libz.so.1\n"
        "\tlibcudart.so.13 (libc6,AArch64) => /usr/local/cuda/lib64/libcudart.so.13\n\tlibold.so.1 (libc6) => /lib/libold.so.1\n"
    )
    assert ldconfig.read(text) == ("libcudart.so.13", "libz.so.1")


def test_what_this_machine_offers() -> None:
    live = LiveDesk()
    found = workload.offers(live, live.free_bytes)
    assert found["free_bytes"] > 0
    assert found["glibc"] is None or found["glibc"].startswith("2.")
    assert "libc.so.6" in (found["libraries"] or ["libc.so.6"])


def test_a_play_from_the_role_to_the_findings(tmp_path: Path, index: Index) -> None:
    """ansible-playbook, the role, the action, the module over a local connection, a registry that is not there and a real index."""
    name = f"thing-1.0-{TAG}.whl"
    index.add("thing", name, wheel("thing", "1.0", TAG, {"thing/_C.so": elf(units=[["sm_90"]])}))
    (tmp_path / "requirements.txt").write_text("thing\nno !! requirement\n")
    binary = tmp_path / "x.so"
    binary.write_bytes(elf(units=[["sm_121a"]]))
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars": {
            "workload_check_images": ["127.0.0.1:9/lab/x:1"],
            "workload_check_requirements": str(tmp_path / "requirements.txt"),
            "workload_check_wheels": [name],
            "workload_check_paths": [str(binary), "/none"],
            "workload_check_indexes": [index.url],
            "workload_check_cache": str(tmp_path / "cache"),
            "workload_check_limit": 5,
            "workload_check_python": "3.12",
        },
        "tasks": [
            {"ansible.builtin.include_role": {"name": "labops.dgx_spark.workload_check"}},
            {
                "ansible.builtin.copy": {"content": "{{ workload_check_result | to_json }}", "dest": str(tmp_path / "out.json")},
                "delegate_to": "localhost",
            },
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    (tmp_path / "inventory.yml").write_text(
        yaml.safe_dump({"all": {"hosts": {"desk-01": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}}})
    )
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(tmp_path / "inventory.yml"), str(tmp_path / "play.yml")]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"), "ANSIBLE_HOME": str(tmp_path / "home")}
    answer = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    told = json.loads((tmp_path / "out.json").read_text())
    verdicts = [(item["kind"], item["verdict"]) for item in told["workload"]]
    assert verdicts == [
        ("image", "UNKNOWN"),
        ("requirement", "NEEDS_REBUILD"),
        ("requirement", "UNKNOWN"),
        ("wheel", "NEEDS_REBUILD"),
        ("path", "RUNS"),
        ("path", "UNKNOWN"),
    ]
    assert [item["code"] for item in told["findings"]] == [CODE[verdict] for _kind, verdict in verdicts]
    assert told["changed"] is False
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o007 == 0 for path in kept)
