"""The actions around the report: what a playbook gets of them."""

from __future__ import annotations

import datetime
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report import write as write_module
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Run
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import RunStore
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.wants import WantError
from lab_samples import Lab, renamed
from scripted_action import Script


class Shown:
    """What a person sees."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.errors: list[str] = []

    def display(self, text: str, **_more: Any) -> None:
        self.lines += text.splitlines()

    def warning(self, text: str, **_more: Any) -> None:
        self.warnings.append(text)

    def error(self, text: str, **_more: Any) -> None:
        self.errors.append(text)

    def vvv(self, text: str) -> None:
        """Not seen."""


def run(name: str, args: dict[str, Any], value: Run | None = None, check: bool = False, **variables: Any) -> tuple[dict[str, Any], Shown]:
    """One task on the controller, its arguments checked as Ansible does."""
    script, shown = Script(name, args, check_mode=check), Shown()
    script.action._display = shown
    return script.run(run=value, **variables), shown


def report(value: Run, **variables: Any) -> tuple[dict[str, Any], Shown]:
    """The last but one task of a playbook."""
    return run("spark_run", {"phase": "report"}, value, **variables)


def stage(tmp_path: Path, lab: Lab) -> Run:
    """A run whose stages have ended."""
    store = RunStore(tmp_path / lab.run_id)
    value = lab.run(store.run_dir)
    store.begin(value)
    for parts in lab.parts.values():
        for part in parts.values():
            store.write(part)
    return value


def test_the_report_is_written_remembered_and_handed_on(tmp_path: Path) -> None:
    result, shown = report(stage(tmp_path, Lab(2)))
    folder = tmp_path / "20261123T101500Z-aaaa"
    assert {item.name for item in folder.iterdir()} >= {
        "report.json",
        "index.html",
        "facts.json",
        "junit.xml",
        "metrics.prom",
        "summary.txt",
    }
    assert (tmp_path / "history.sqlite").is_file() and (folder / "certificates" / "pair_02.html").is_file()
    assert result["pairs"] == {"pair_01": "PASS", "pair_02": "PASS"} and result["guilty"] == {} and result["unwritten"] == []
    assert shown.warnings == [] and any(line.startswith("pair_01  PASS") for line in shown.lines)
    told = result["ansible_stats"]["data"]["dgx_spark"]
    assert told["verdict"] == "PASS" and told["stacks"][0]["rdma"] == {"value": 392.0, "unit": "Gb/s"} and told["report"] == str(folder)
    json.dumps(told)


@pytest.mark.parametrize(
    ("variables", "notes", "certificates"),
    [
        ({}, False, True),
        ({"spark_show_notes": "true", "spark_certificates": "false"}, True, False),
        ({"spark_show_notes": "false", "spark_certificates": "yes"}, False, True),
    ],
)
def test_variables_are_wishes_and_a_no_is_a_no(tmp_path: Path, variables: dict[str, Any], notes: bool, certificates: bool) -> None:
    lab = Lab(1)
    lab.find("facts", "desk-01", finding("VERSION_KNOWN_BAD", Where(desk="desk-01"), "known", severity="note"))
    _result, shown = report(stage(tmp_path, lab), **variables)
    assert any("VERSION_KNOWN_BAD" in line for line in shown.lines) is notes
    assert (tmp_path / lab.run_id / "certificates").exists() is certificates


def test_a_wish_that_is_neither_yes_nor_no_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WantError, match="spark_show_notes is 'perhaps'"):
        report(stage(tmp_path, Lab(1)), spark_show_notes="perhaps")


def test_on_a_full_disk_the_table_is_seen_and_the_verdict_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = stage(tmp_path, Lab(1))

    def full(path: Path, _text: str, mode: int = 0) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(write_module, "write_atomically", full)
    result, shown = report(value)
    assert any(line.startswith("pair_01  PASS") for line in shown.lines)
    assert "No space left on device" in shown.errors[0] and "report_runs=20261123T101500Z-aaaa" in shown.errors[0]
    ended, _shown = run("spark_run", {"phase": "verdict", "report": result}, value)
    assert ended["failed"] and "desk-01 is PASS, but the report could not be written" in ended["msg"]
    monkeypatch.undo()
    again, _shown = run("report_again", {"runs": "last", "report_dir": str(tmp_path)})
    assert again["changed"] and (tmp_path / "20261123T101500Z-aaaa" / "report.json").is_file(), "as the message promised"


@pytest.mark.parametrize("name", ["sk-lab-berlin-desk-01", "SparkDesk07RackB2Lab3X", "token:7"])
def test_a_name_that_looks_like_a_token_costs_no_desk_its_verdict(name: str, tmp_path: Path) -> None:
    """It was replaced as a secret: the desk was not in its own report, and what was wrong with it failed nothing."""
    lab, names = Lab(1), {"desk-01": name, "pair_01": "pair_A1b2C3d4E5f6G7h8I9"}
    lab.members = renamed(lab.members, names)
    lab.parts = renamed(lab.parts, names)
    text = f"{name}: lost as mount --token s3cretT0ken was called on {name}"
    lab.find("driver", name, finding("DESK_STAGE_FAILED", Where(desk=name), text))
    value = stage(tmp_path, lab)
    result, _shown = report(value)
    assert result["desks"] == {name: "FAIL", "desk-02": "PASS"} and result["pairs"] == {"pair_A1b2C3d4E5f6G7h8I9": "FAIL"}
    ended = Script("spark_run", {"phase": "verdict", "report": result}).run(name, value)
    assert ended["failed"] and ended["msg"].startswith(f"{name} is FAIL: DESK_STAGE_FAILED: {name}: lost as")
    told = "".join(path.read_text() for path in (tmp_path / lab.run_id).glob("*.*"))
    assert name in told and f"--token REMOVED was called on {name}" in told and "s3cret" not in told


def test_a_desk_that_its_report_does_not_name_did_not_pass(tmp_path: Path) -> None:
    value = stage(tmp_path, Lab(1))
    result, _shown = report(value)
    ended = Script("spark_run", {"phase": "verdict", "report": result}).run("desk-03", value)
    assert ended["failed"] and "does not name desk-03" in ended["msg"]


def test_a_since_that_nobody_understands_costs_only_the_comparison(tmp_path: Path) -> None:
    result, shown = report(stage(tmp_path, Lab(1, playbook="audit")), audit_since="someday")
    assert result["desks"] == {"desk-01": "PASS", "desk-02": "PASS"} and "someday" in shown.warnings[0]


def test_a_history_that_cannot_be_opened_costs_only_the_history(tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").mkdir()
    result, shown = report(stage(tmp_path, Lab(1)))
    assert result["unwritten"] == [] and any("history" in text for text in shown.warnings)


# ---- webhook ---------------------------------------------------------------------------------------------------------------


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes what is posted; answers as its path says."""

    taken: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Receiver.taken.append((self.path, dict(self.headers.items()), body))
        if self.path == "/no-http":
            self.wfile.write(b"t0ken\r\n\r\n")
            return
        self.send_response({"/gone": 410, "/moved": 302}.get(self.path, 204))
        if self.path == "/moved":
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def receiver() -> Iterator[str]:
    Receiver.taken = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_the_webhook_gets_one_post(tmp_path: Path, receiver: str) -> None:
    webhook = {"url": f"{receiver}/hook", "headers": {"Authorization": "Bearer s3cret"}}
    _result, shown = report(stage(tmp_path, Lab(1)), spark_webhook=webhook)
    ((path, headers, body),) = Receiver.taken
    assert path == "/hook" and headers["Authorization"] == "Bearer s3cret" and headers["Content-Type"] == "application/json"
    told = json.loads(body)
    assert told["schema"] == "labops.dgx_spark/verdict/1" and told["verdict"] == "PASS" and shown.warnings == []


HOSTLESS = ("file:///etc/passwd", "http://", "http://[", "", "http://127.0.0.1:9/a hook?key=t0ken", "http://127.0.0.1:t0ken/")
WITH_LOGIN = ("https://ana:t0ken@127.0.0.1/hook", "https://t0ken@127.0.0.1:9/hook")


@pytest.mark.parametrize("target", ["/gone", "/moved", "/no-http", "closed", *HOSTLESS, *WITH_LOGIN])
def test_a_webhook_that_fails_is_a_warning_without_secrets(tmp_path: Path, receiver: str, target: Any) -> None:
    url = {"closed": "http://127.0.0.1:9/t0ken"}.get(target, f"{receiver}{target}" if str(target).startswith("/") else target)
    webhook = {"url": url, "headers": {"Authorization": "Bearer s3cret", "Bad\nName": "s3cret"} if target == "closed" else {"X": "s3cret"}}
    result, shown = report(stage(tmp_path, Lab(1)), spark_webhook=webhook)
    assert result["pairs"] == {"pair_01": "PASS"} and len(shown.warnings) == 1
    assert "s3cret" not in shown.warnings[0] and "t0ken" not in shown.warnings[0]
    assert not [path for path, _headers, _body in Receiver.taken if path == "/elsewhere"], "a redirect would carry the headers away"


# ---- history, report again, certificates -------------------------------------------------------------------------------------


def runs(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        lab = Lab(1, run_id=f"2026110{day}T101500Z-000{day}", started=f"2026-11-0{day}T10:15:00Z", finished=f"2026-11-0{day}T10:21:00Z")
        report(stage(tmp_path, lab), spark_certificates=False)


def test_the_history_is_listed_compared_exported_pruned_and_rebuilt(tmp_path: Path) -> None:
    runs(tmp_path)
    base = {"report_dir": str(tmp_path)}
    assert len(run("run_history", base)[0]["lines"]) == 4
    assert run("run_history", {**base, "limit": "1"})[0]["lines"][-1] == "and 2 older runs (-e history_limit=0 lists all)"
    assert run("run_history", {**base, "compare": "last-1,last"})[0]["changed"] is False
    target = tmp_path / "out.csv"
    assert run("run_history", {**base, "export": str(target)}, check=True)[0]["changed"] and not target.exists()
    assert run("run_history", {**base, "export": str(target)})[0]["changed"] and target.read_text().count("\n") > 60
    assert run("run_history", {**base, "export": str(target)})[0]["changed"]
    target.write_text("desk,owner\ndesk-01,mara\n", encoding="utf-8")
    with pytest.raises(AnsibleActionFail, match="left alone"):
        run("run_history", {**base, "export": str(target)})
    assert "mara" in target.read_text()
    assert run("run_history", {**base, "prune": "keep=1", "prune_reports": True}, check=True)[0]["changed"]
    assert (tmp_path / "20261101T101500Z-0001").is_dir()
    result, _shown = run("run_history", {**base, "prune": "keep=1", "prune_reports": "true"})
    assert result["changed"] and not (tmp_path / "20261101T101500Z-0001").exists() and (tmp_path / "20261103T101500Z-0003").is_dir()
    assert run("run_history", {**base, "rebuild": True})[0]["lines"] == ["1 runs were read from their reports."]


def test_pruning_removes_no_folder_that_is_not_the_runs_own(tmp_path: Path) -> None:
    runs(tmp_path)
    run("run_history", {"report_dir": str(tmp_path)})
    first = tmp_path / "20261101T101500Z-0001"
    kept = tmp_path / "elsewhere" / "kept"
    kept.parent.mkdir()
    first.rename(kept)
    first.symlink_to(kept)
    second = tmp_path / "20261102T101500Z-0002" / "report.json"
    second.write_text(second.read_text().replace("20261102T101500Z-0002", "another"))
    run("run_history", {"report_dir": str(tmp_path), "prune": "keep=1", "prune_reports": True})
    assert kept.is_dir() and second.exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"compare": "last"}, "names 1 runs"),
        ({"compare": "a,b"}, "not a run"),
        ({"prune": "all"}, "keep=20"),
        ({"report_dir": "/nowhere"}, "not a report folder"),
        ({"export": "/nowhere/x/y.csv"}, "."),
    ],
)
def test_what_cannot_be_done_with_the_history_is_said(tmp_path: Path, args: dict[str, Any], words: str) -> None:
    runs(tmp_path)
    if "export" in args:
        (tmp_path / "file").write_text("")
        args = {"export": str(tmp_path / "file" / "x.csv")}
    with pytest.raises(AnsibleActionFail, match=words):
        run("run_history", {"report_dir": str(tmp_path), **args})


def test_a_page_again_leaves_report_json_and_certificates_alone(tmp_path: Path) -> None:
    report(stage(tmp_path, Lab(1)))
    folder = tmp_path / "20261123T101500Z-aaaa"
    before = (folder / "report.json").read_bytes()
    (folder / "index.html").unlink()
    result, _shown = run("report_again", {"runs": ["last"], "report_dir": str(tmp_path)})
    assert result["path"] == str(folder) and (folder / "index.html").is_file() and (folder / "report.json").read_bytes() == before
    path = str(folder / "certificates" / "pair_01.json")
    assert not run("certificate_verify", {"path": path, "accept_unsigned": "true"})[0].get("failed")
    assert run("certificate_verify", {"path": path, "accept_unsigned": "false"})[0]["failed"]


def test_several_runs_become_one_report_that_the_history_does_not_count(tmp_path: Path) -> None:
    runs(tmp_path)
    result, _shown = run("report_again", {"runs": "0001, 0003", "report_dir": str(tmp_path)})
    assert Path(result["path"]).parent == tmp_path / "merged" and (Path(result["path"]) / "index.html").is_file()
    assert len(run("run_history", {"report_dir": str(tmp_path)})[0]["lines"]) == 4


def test_a_report_of_several_runs_goes_into_a_folder_that_is_made_for_it(tmp_path: Path) -> None:
    """In a folder of reports that somebody sent, links may wait under all names that it could have."""
    reports, own = tmp_path / "reports", tmp_path / "own"
    own.mkdir()
    (own / "index.html").write_text("mine")
    runs(reports)
    (reports / "merged").mkdir()
    now = datetime.datetime.now(datetime.UTC)
    for seconds in range(60):
        (reports / "merged" / f"{now + datetime.timedelta(seconds=seconds):%Y%m%dT%H%M%SZ}").symlink_to(own)
    with pytest.raises(AnsibleActionFail, match="cannot be made"):
        run("report_again", {"runs": "0001, 0003", "report_dir": str(reports)})
    assert [item.name for item in own.iterdir()] == ["index.html"] and (own / "index.html").read_text() == "mine"


@pytest.mark.parametrize("wanted", [None, "", [], "zz"])
def test_a_run_that_is_not_named_is_asked_for(tmp_path: Path, wanted: Any) -> None:
    with pytest.raises(AnsibleActionFail, match=r"report_runs|not a run"):
        run("report_again", {"runs": wanted, "report_dir": str(tmp_path)})


def test_a_certificate_that_is_not_named_is_asked_for() -> None:
    with pytest.raises(AnsibleActionFail, match="certificate="):
        run("certificate_verify", {"path": ""})
