"""Certificates: what they say, who signed them, and that nothing tampered with verifies."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.certificate import (
    CertificateError,
    certificate,
    certificates,
    page,
    text,
)
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.read import report_file
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.verifying import check
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.write import Wishes, write
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import file_name
from lab_samples import Lab, every_failure


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the lab's key, a stranger's key, and the list of allowed signers."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("lab", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True)
    (folder / "signers").write_text(f"admin@lab {(folder / 'lab.pub').read_text()}")
    return folder


@pytest.fixture
def issued(tmp_path: Path, keys: Path) -> Path:
    """The signed certificate of a pair, in a whole report."""
    return issue(tmp_path, keys / "lab")


def issue(folder: Path, key: Path | None, lab: Lab | None = None) -> Path:
    written = write(folder, (lab or Lab(1)).report(), ["x"], Wishes(key=key))
    assert not written.problems and not written.warnings
    return Path(written.certificates[0])


def fingerprint(public: Path) -> str:
    return subprocess.run(["ssh-keygen", "-l", "-f", str(public)], check=True, capture_output=True, text=True).stdout.split()[1]


def test_a_certificate_verifies_by_the_list_or_by_the_fingerprint(issued: Path, keys: Path) -> None:
    found = check(issued, allowed=keys / "signers")
    assert found.problems == [] and found.signer is not None and found.signer.principal == "admin@lab"
    assert not check(issued, fingerprint=fingerprint(keys / "lab.pub")).problems
    assert (found.stack, found.verdict, found.issued) == ("pair_01", "PASS", "2026-11-23T10:21:40Z")


def test_a_signature_of_nobody_known_proves_nothing(issued: Path, keys: Path) -> None:
    assert "nothing says whose key that is" in check(issued).problems[0]
    assert "expected" in check(issued, fingerprint=fingerprint(keys / "stranger.pub")).problems[0]


def test_a_strangers_signature_does_not_verify(tmp_path: Path, keys: Path) -> None:
    path = issue(tmp_path, keys / "stranger")
    assert check(path, allowed=keys / "signers").problems


def test_a_signature_for_another_purpose_does_not_verify(issued: Path, keys: Path) -> None:
    signature = issued.with_name(issued.name + ".sig")
    signature.unlink()
    subprocess.run(["ssh-keygen", "-Y", "sign", "-q", "-n", "git", "-f", str(keys / "lab"), str(issued)], check=True, capture_output=True)
    assert signature.exists() and check(issued, allowed=keys / "signers").problems


def test_an_unsigned_certificate_is_only_consistent(tmp_path: Path) -> None:
    path = issue(tmp_path, None)
    assert "has no signature" in check(path).problems[0]
    assert not check(path, unsigned=True).problems
    report = tmp_path / "report.json"
    report.write_text(report.read_text().replace("21.6", "22.6", 1))
    assert check(path, unsigned=True).problems


@pytest.mark.parametrize("what", ["report", "figure", "verdict", "page", "signature", "resigned", "digest"])
def test_a_tampered_certificate_does_not_verify(issued: Path, keys: Path, what: str) -> None:
    report = issued.parent.parent / "report.json"
    if what in ("report", "digest"):
        report.write_text(report.read_text().replace('"busbw":21.6', '"busbw":23.6'))
    if what == "digest":
        # Whoever forges the report makes the certificate fit; the signature is what stops him.
        data, digest = report_file(report)
        forged = certificate(data, "pair_01", digest)
        issued.write_text(text(forged))
        issued.with_suffix(".html").write_text(page(forged))
        assert check(issued, unsigned=True).problems == check(issued, unsigned=True).problems
    if what in ("figure", "resigned"):
        issued.write_text(issued.read_text().replace('"value": 196.0', '"value": 199.0'))
    if what == "resigned":
        issued.with_name(issued.name + ".sig").unlink()
        subprocess.run(["ssh-keygen", "-Y", "sign", "-q", "-n", "certificate@dgx-spark.labops", "-f", str(keys / "lab"), str(issued)],
                       check=True, capture_output=True)  # fmt: skip
    if what == "verdict":
        issued.write_text(issued.read_text().replace('"verdict": "PASS"', '"verdict": "WARN"'))
    if what == "page":
        path = issued.with_suffix(".html")
        path.write_text(path.read_text().replace("196.0 Gb/s", "199.0 Gb/s"))
    if what == "signature":
        path = issued.with_name(issued.name + ".sig")
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:-2], lines[-2][::-1], lines[-1]]) + "\n")
    found = check(issued, allowed=keys / "signers")
    assert found.problems, what


def test_even_the_labs_own_key_cannot_certify_what_the_report_does_not_say(issued: Path, keys: Path) -> None:
    issued.write_text(issued.read_text().replace('"value": 196.0', '"value": 199.0'))
    issued.with_name(issued.name + ".sig").unlink()
    subprocess.run(["ssh-keygen", "-Y", "sign", "-q", "-n", "certificate@dgx-spark.labops", "-f", str(keys / "lab"), str(issued)],
                   check=True, capture_output=True)  # fmt: skip
    assert check(issued, allowed=keys / "signers").problems == ["the report says otherwise about: figures"]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"schema": "labops.dgx_spark/certificate/1"}', b"[" * 100000])
def test_what_is_no_certificate_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "certificates" / "c.json"
    path.parent.mkdir()
    path.write_bytes(content)
    assert check(path, unsigned=True).problems
    assert check(tmp_path / "none.json").problems


@pytest.mark.parametrize("what", ["certificate", "page", "report"])
def test_a_file_that_never_ends_is_not_read(issued: Path, keys: Path, what: str) -> None:
    path = {"certificate": issued, "page": issued.with_suffix(".html"), "report": issued.parent.parent / "report.json"}[what]
    path.unlink()
    os.mkfifo(path)  # as a link to /dev/zero, but its reading can be ended
    writer = os.open(path, os.O_RDWR)
    try:
        os.write(writer, b"{}")
        asked = ThreadPoolExecutor(1).submit(check, issued, allowed=keys / "signers")
        wait([asked], 5)
        ended = asked.done()
    finally:
        os.close(writer)
    assert ended and "is not a regular file" in " ".join(asked.result().problems)


def test_only_proven_stacks_get_one() -> None:
    report = every_failure().report()
    assert [item["stack"] for item in certificates(report, "0" * 64)] == ["pair_01", "pair_05", "pair_10", "pair_11", "pair_12"]
    with pytest.raises(CertificateError, match="pair_02 is FAIL"):
        certificate(report, "pair_02", "0" * 64)
    with pytest.raises(CertificateError, match="not in the report"):
        certificate(report, "pair_99", "0" * 64)
    report["run"]["check_mode"] = True
    assert [item["stack"] for item in certificates(report, "0" * 64)] == []
    assert not list(certificates(Lab(1, playbook="audit").report(), "0" * 64))


def test_serial_numbers_are_named_only_by_choice(tmp_path: Path) -> None:
    lab = Lab(1)
    lab.facts("desk-01", identity__serial="1581924000017")
    for serials in (False, True):
        folder = tmp_path / str(serials)
        write(folder, lab.report(), [], Wishes(serials=serials))
        path = folder / "certificates" / "pair_01.json"
        for written in (path, path.with_suffix(".html")):
            assert ("1581924000017" in written.read_text()) is serials and ("CABLE0001" in written.read_text()) is serials
        assert not check(path, unsigned=True).problems


@pytest.mark.parametrize(
    ("name", "expected"),
    [("pair_a", "pair_a"), ("../../etc/passwd", None), (".hidden", None), ("a/b", None), ("", None), ("ü" * 300, None)],
)
def test_names_make_files_that_stay_in_their_folder(name: str, expected: str | None) -> None:
    made = file_name(name)
    assert "/" not in made and not made.startswith(".") and 0 < len(made) < 120
    assert expected is None or made == expected
    assert file_name("a/b") != file_name("a:b") and (made == name or file_name(made) != made)


def test_a_key_that_cannot_sign_is_a_warning_and_the_report_stands(tmp_path: Path) -> None:
    written = write(tmp_path, Lab(1).report(), [], Wishes(key=tmp_path / "none"))
    assert written.problems == [] and len(written.warnings) == 1 and "not signed" in written.warnings[0]
    assert (tmp_path / "certificates" / "pair_01.json").exists()


def test_a_full_disk_costs_files_and_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report import write as module

    def full(path: Path, _text: str, mode: int = 0) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(module, "write_atomically", full)
    written = write(tmp_path, Lab(1).report(), ["x"], Wishes(metrics=tmp_path))
    assert "report.json: No space left on device" in written.problems and len(written.problems) == 6
    assert len(written.warnings) == 1 and written.certificates == []


def test_metrics_are_not_written_over_another_file(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("keep me\n", encoding="utf-8")
    written = write(tmp_path / "run", Lab(1).report(), [], Wishes(metrics=own))
    assert own.read_text(encoding="utf-8") == "keep me\n" and "spark_metrics_path" in written.warnings[0]
    own.unlink()
    for _time in range(2):
        assert write(tmp_path / "run", Lab(1).report(), [], Wishes(metrics=own)).warnings == []


def test_metrics_for_a_textfile_collector_have_a_file_and_a_label_of_the_playbook(tmp_path: Path) -> None:
    for playbook in ("stack_pair", "audit"):
        write(tmp_path / playbook, Lab(1, playbook=playbook).report(), [], Wishes(metrics=tmp_path))
    names = sorted(path.name for path in tmp_path.glob("*.prom"))
    assert names == ["dgx_spark_audit.prom", "dgx_spark_stack_pair.prom"]
    lines = [line for name in names for line in (tmp_path / name).read_text().splitlines() if not line.startswith("#")]
    series = [line.rsplit(" ", 1)[0] for line in lines]
    assert len(set(series)) == len(series), "the collector refuses a series that it sees twice"
    assert (tmp_path / names[0]).stat().st_mode & 0o777 == 0o644


def test_facts_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, Lab(1).report(), [])
    facts: dict[str, Any] = json.loads((tmp_path / "facts.json").read_text())
    assert facts["desk-01"]["kernel"]["running"] == "6.17.0-1021-nvidia"
    assert "owner_kind" not in (tmp_path / "index.html").read_text()
