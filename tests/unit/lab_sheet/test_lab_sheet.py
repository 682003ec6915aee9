"""Lab sheets: what spreadsheets export is read as it is, and whatever is wrong is told with its line and column."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.inventory import desks
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import lab_sheet, plain_yaml
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.known_hosts import names_of, remember
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.lab_sheet import (
    COLUMNS,
    Sheet,
    SheetError,
    addresses_of_macs,
    host_variables,
    read,
    remembered,
)
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.sheet_variables import is_taken
from house import PLAYBOOKS, ROOT, role_variables
from hypothesis import given, settings
from hypothesis import strategies as st

KEY = "SHA256:" + "a" * 43

GOOD = f"""name,address,pair,position,serial,asset_tag,host_key,out_of_service
desk-01,192.0.2.11,pair_a,head,1581924000017,LAB-1,{KEY},
desk-02,192.0.2.12,pair_a,peer,1581924000018,LAB-2,,
desk-03,spark-a1b2.local,,,,,,yes
"""


def names(sheet: Sheet) -> list[str]:
    return [entry.name for entry in sheet.desks]


def problems(text: str, kind: str = "csv") -> list[tuple[int, str, str, str]]:
    with pytest.raises(SheetError) as caught:
        read(text, "lab.csv", kind)
    return [(item.line, item.column, item.found, item.expected) for item in caught.value.problems]


def test_a_plain_sheet() -> None:
    sheet = read(GOOD, "lab.csv", "csv")
    assert names(sheet) == ["desk-01", "desk-02", "desk-03"]
    assert dict(sheet.pairs) == {"pair_a": ("desk-01", "desk-02")}
    assert host_variables(sheet.desks[0], sheet) == {
        "ansible_host": "192.0.2.11",
        "spark_expected_serial": "1581924000017",
        "spark_expected_host_key": KEY,
        "spark_asset_tag": "LAB-1",
        "spark_stack_members": ["desk-01", "desk-02"],
        "spark_pair_head": True,
    }
    assert host_variables(sheet.desks[2], sheet) == {"ansible_host": "spark-a1b2.local", "spark_out_of_service": True}


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        "sep=;\n" + GOOD.replace(",", ";"),
        '"' + GOOD.replace(",", '","').replace("\n", '"\n"').rstrip('"'),
        GOOD.replace("\n", "\n\n,,,,,,,\n"),
        "# our lab\n" + GOOD.replace("desk-02", "# a remark\ndesk-02"),
        GOOD.replace("name,address", " Name , IP-Address ").replace("serial,", "Serial Number,").replace("host_key", "Fingerprint"),
        GOOD.replace("name,", "Name,").replace("desk-01,", "desk-01 ,"),
        GOOD.rstrip("\n"),
    ],
)
def test_exports_of_spreadsheets_give_the_same_desks(text: str) -> None:
    plain = read(GOOD, "lab.csv", "csv")
    found = read(text, "lab.csv", "csv")
    assert [host_variables(entry, found) for entry in found.desks] == [host_variables(entry, plain) for entry in plain.desks]


def test_quoted_cells_may_hold_separators_and_line_ends_and_the_line_count_stays_right() -> None:
    text = 'name,address,Notes\ndesk-01,192.0.2.11,"left, at\nthe window"\ndesk-02,192.0.2.999,\n'
    assert problems(text) == [(4, "address", "'192.0.2.999'", lab_sheet._ADDRESS_FORM)]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("desk-01,192.0.2.1,1", "no digit first"),
        ("desk-01,192.0.2.1,Büro", "letters from a to z"),
        ("a" * 64 + ",192.0.2.1,", "at most 63"),
        ("desk-01,192.0.2.1:2222,", "a port and a user have columns"),
        ("desk-01,lab@192.0.2.1,", "a port and a user have columns"),
    ],
)
def test_what_is_expected_is_something_else_than_what_was_found(row: str, told: str) -> None:
    assert told in problems(f"name,address,pair\n{row}\n")[0][3]


def test_separators_of_an_eastern_keyboard_are_named() -> None:
    ((_line, _column, _found, expected),) = problems("name\uff0caddress\ndesk-01\uff0c192.0.2.1\n")
    assert "full-width comma" in expected


def test_a_sheet_of_very_many_columns_keeps_nobody_waiting() -> None:
    """Each title is compared with all that are known: twenty thousand took 20 seconds, a sheet of 1 MB minutes."""
    titles = ",".join(f"x{number}" for number in range(20_000))
    assert problems(f"name,address,{titles}\ndesk-01,192.0.2.11\n") == [(1, "", "20002 column titles", "1000 at most")]
    assert read(f"name,address{',' * 20_000}\ndesk-01,192.0.2.11{',' * 20_000}\n", "lab.csv", "csv").desks[0].name == "desk-01"


def test_columns_of_the_admin_are_variables() -> None:
    sheet = read("name,address,Room,Rack No.,x_Owner,2nd tag\ndesk-01,192.0.2.1, 2.14 ,4,,T\ndesk-02,192.0.2.2\n", "lab.csv", "csv")
    assert sheet.warnings == ()
    assert [dict(entry.own) for entry in sheet.desks] == [
        {"room": "2.14", "rack_no": "4", "x_owner": "", "x_2nd_tag": "T"},
        {"room": "", "rack_no": "", "x_owner": "", "x_2nd_tag": ""},
    ]
    assert host_variables(sheet.desks[0], sheet)["room"] == "2.14"


@pytest.mark.parametrize(
    "title", ["ansible_password", "Ansible Become", "spark_stage", "driver_lock_state", "Environment", "lookup", "groups", "Class"]
)
def test_a_column_never_sets_what_is_read_elsewhere(title: str) -> None:
    sheet = read(f"name,address,{title}\ndesk-01,192.0.2.1,x\n", "lab.csv", "csv")
    assert host_variables(sheet.desks[0], sheet) == {"ansible_host": "192.0.2.1"}
    (warning,) = sheet.warnings
    assert f"column {title!r} is not used here" in warning and "x_" in warning


def test_every_variable_of_roles_and_playbooks_is_taken() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PLAYBOOKS.rglob("*.yml")))
    asked = re.findall(r"\{\{ *([a-z][a-z0-9_]*)", text) + re.findall(r"\b([a-z_]+) (?:is (?:not )?defined|\| default)", text)
    assert {"write_inventory", "isolate_confirm", "images"} <= set(asked)
    assert sorted(name for name in {*asked, *role_variables()} if not is_taken(name)) == []


def test_two_columns_of_one_name_are_told() -> None:
    sheet = read("name,address,Rack,rack\ndesk-01,192.0.2.1,4,5\n", "lab.csv", "csv")
    assert dict(sheet.desks[0].own) == {"rack": "4"}
    assert sheet.warnings == ("lab.csv: column 'rack' is not used here: 'Rack' is the variable rack already",)


def test_columns_of_the_admin_in_yaml() -> None:
    sheet = read("- {name: desk-01, address: 192.0.2.1, rack: 04}\n- {name: desk-02, address: 192.0.2.2, owner: ~}\n", "lab.yml", "yaml")
    assert [dict(entry.own) for entry in sheet.desks] == [{"rack": "04", "owner": ""}, {"rack": "", "owner": ""}]


@pytest.mark.parametrize(
    ("row", "column", "found"),
    [
        ("desk 01,192.0.2.1,,,,,,", "name", "'desk 01'"),
        (",192.0.2.1,,,,,,", "name", "nothing"),
        ("all,192.0.2.1,,,,,,", "name", "'all'"),
        ("desk-01,,,,,,,", "address", "nothing"),
        ("desk-01,192.0.2.300,,,,,,", "address", "'192.0.2.300'"),
        ("desk-01,my desk,,,,,,", "address", "'my desk'"),
        ("desk-01,192.0.2.1,pair-a,,,,,", "pair", "'pair-a'"),
        ("desk-01,192.0.2.1,,head,,,,", "pair", "nothing"),
        ("desk-01,192.0.2.1,,,1.58E+12,,,", "serial", "'1.58E+12'"),
        ("desk-01,192.0.2.1,,,#REF!,,,", "serial", "'#REF!'"),
        ("desk-01,192.0.2.1,,,,,MD5:aa:bb,", "host_key", "'MD5:aa:bb'"),
        ("desk-01,192.0.2.1,,,,,,maybe", "out_of_service", "'maybe'"),
    ],
)
def test_each_bad_cell_is_told_with_line_and_column(row: str, column: str, found: str) -> None:
    (line, at, what, expected), *more = problems(GOOD.splitlines()[0] + "\n" + row + "\n")
    assert (line, at, what) == (2, column, found) and expected and not more


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("desk-02,192.0.2.12", "desk-02,192.0.2.11", "address"),
        ("desk-02,", "desk-01,", "name"),
        ("1581924000018", "1581924000017", "serial"),
        ("LAB-2", "LAB-1", "asset_tag"),
        ("LAB-2,,", f"LAB-2,{KEY},", "host_key"),
    ],
)
def test_what_must_be_unique_is_told_with_the_first_line(old: str, new: str, column: str) -> None:
    found = problems(GOOD.replace(old, new))
    assert found[0][:2] == (3, column) and "line 2 gives it to desk-01" in found[0][2]


def test_pairs_have_two_desks_and_one_head() -> None:
    three = GOOD + "desk-04,192.0.2.14,pair_a,,,,,\n"
    assert problems(three)[0][:3] == (5, "pair", "3 desks in pair_a: desk-01 (line 2), desk-02 (line 3), desk-04 (line 5)")
    one = GOOD.replace("192.0.2.12,pair_a,peer", "192.0.2.12,,")
    assert problems(one)[0][:2] == (2, "pair")
    heads = GOOD.replace("peer", "head")
    assert problems(heads)[0][1:3] == ("position", "two heads in pair_a: desk-01 (line 2), desk-02 (line 3)")
    named = GOOD.replace("pair_a", "desk_9") + "desk_9,192.0.2.19,,,,,,\n"
    assert ("pair", "'desk_9'") in [item[1:3] for item in problems(named)]


def test_naming_the_peer_names_the_head() -> None:
    sheet = read(GOOD.replace("pair_a,head", "pair_a,"), "lab.csv", "csv")
    assert [host_variables(entry, sheet).get("spark_pair_head") for entry in sheet.desks] == [True, None, None]


def test_all_problems_are_told_at_once_in_the_order_of_lines() -> None:
    found = problems("name,address,position\na b,192.0.2.1,\ndesk-02,nope nope,\ndesk-03,192.0.2.3,left\n")
    assert [item[:2] for item in found] == [(2, "name"), (3, "address"), (4, "position")]


def test_a_slip_in_a_title_is_told_once() -> None:
    assert problems("name,adress,pair\ndesk-01,192.0.2.1,\ndesk-02,192.0.2.2,\n")[0][:3] == (1, "adress", "an unknown column title")
    assert len(problems("name,adress,pair\ndesk-01,192.0.2.1,\n")) == 1


STEERS = "\x1b]52;c;AAAA\x07\x1b[2K"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"name,addres{STEERS}s\ndesk-01,192.0.2.1\n", "csv"),
        (f"name,address,serial{STEERS}\ndesk-01,192.0.2.1,1234567\n", "csv"),
        ('desks: {"\\e[2K": 5}\n', "yaml"),
        ('desks:\n - {"\\e]52;c;AAAA": [1], name: desk-01}\n', "yaml"),
    ],
)
def test_a_title_that_somebody_wrote_steers_no_terminal(text: str, kind: str) -> None:
    with pytest.raises(SheetError) as error:
        read(text, "lab", kind)
    assert "\x1b" not in str(error.value) and "\x07" not in str(error.value)


@pytest.mark.parametrize("text", ["[" * 3000, "desks: " + "{a: " * 2000, "- " * 3000])
def test_a_sheet_that_is_nested_without_end_is_refused(text: str) -> None:
    with pytest.raises(SheetError, match="nested too deeply"):
        read(text, "lab", "yaml")


@pytest.mark.parametrize("text", ["", "\n\n", "name,address\n", "# only a remark\n"])
def test_an_empty_sheet_is_refused(text: str) -> None:
    assert problems(text)[0][2] == "no desk"


def test_lines_with_too_many_cells_are_told() -> None:
    assert problems("name,address\ndesk-01,192.0.2.1,left,right\n") == [
        (2, "", "4 cells", "2 cells as the title line has; a cell that holds the separator ',' needs quotes")
    ]


def test_yaml_sheets() -> None:
    for text in (
        (
            "desks:\n"
            "  - {name: desk-01, address: 192.0.2.11, pair: pair_a, position: head, serial: 0012}\n"
            "  - {name: desk-02, mdns: spark-b, pair: pair_a}\n"
        ),
        "desk-01: {address: 192.0.2.11, pair: pair_a, position: head, serial: 0012}\ndesk-02: {mdns: spark-b.local, pair: pair_a}\n",
        (
            "- name: desk-01\n  ip: 192.0.2.11\n  pair: pair_a\n  position: 1\n  serial: 0012\n"
            "- name: desk-02\n  mdns: spark-b.local\n  pair: pair_a\n"
        ),
    ):
        sheet = read(text, "lab.yml", "yaml")
        assert names(sheet) == ["desk-01", "desk-02"]
        assert [entry.address for entry in sheet.desks] == ["192.0.2.11", "spark-b.local"]
        assert sheet.desks[0].serial == "0012", "YAML must not make a number of a serial"


def test_yaml_problems_have_lines_too() -> None:
    assert problems("- name: desk-01\n  address: 192.0.2.11\n- name: desk-02\n  adress: x\n", "yaml")[0][:2] == (4, "adress")
    assert problems("- name: desk-01\n  address: [192.0.2.11]\n", "yaml")[0][:3] == (2, "address", "a list or mapping")
    assert problems("- desk-01\n", "yaml")[0][:3] == (1, "", "not a mapping")
    assert problems("desks: {\n", "yaml")[0][0] == 2
    assert problems("just words", "yaml")[0][2] == "a single value"


def test_mac_only_desks_are_found_in_the_neighbour_table() -> None:
    text = "name,mac\ndesk-01,4C-BB-47-01-02-03\n"
    entry = read(text, "lab.csv", "csv").desks[0]
    assert entry.mac == "4c:bb:47:01:02:03" and entry.address is None
    arp = (
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "192.0.2.77       0x1         0x2         4c:bb:47:01:02:03     *        eth0\n"
        "192.0.2.78       0x1         0x0         00:00:00:00:00:00     *        eth0\n"
    )
    assert addresses_of_macs(arp) == {"4c:bb:47:01:02:03": "192.0.2.77"}


def test_a_remembered_address_goes_when_somebody_else_has_it() -> None:
    one, two = "4c:bb:47:01:02:03", "4c:bb:47:01:02:04"
    assert remembered([one], {}, {one: "192.0.2.77"}) == {one: "192.0.2.77"}
    assert remembered([one], {one: "192.0.2.78"}, {one: "192.0.2.77"}) == {one: "192.0.2.78"}
    assert remembered([one], {two: "192.0.2.77"}, {one: "192.0.2.77"}) == {}
    assert remembered([one], {two: "192.0.2.9"}, {two: "192.0.2.8"}) == {}


@given(st.text(max_size=400), st.sampled_from(["csv", "yaml"]))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused_with_sentences(text: str, kind: str) -> None:
    try:
        read(text, "lab.csv", kind)
    except SheetError as error:
        assert error.problems and all(problem.expected for problem in error.problems)


CELLS = ("", "desk-01", "192.0.2.1", "head", "pair_a", "ä;,\"'\n", "0", "1e9", KEY)


@given(st.lists(st.fixed_dictionaries({column: st.sampled_from(CELLS) for column in COLUMNS}), max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_cells_are_read_or_refused(rows: list[dict[str, str]]) -> None:
    import csv
    import io

    out = io.StringIO()
    writer = csv.DictWriter(out, list(COLUMNS), delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    try:
        sheet = read(out.getvalue(), "lab.csv", "csv")
    except SheetError as error:
        assert error.problems
        return
    assert len({entry.name for entry in sheet.desks}) == len(sheet.desks)


# ---- the plugin in ansible-inventory -----------------------------------------------------------------------------------


def command(tmp_path: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "COLUMNS": "400",
    }
    words = [str(Path(sys.executable).with_name(program)), *arguments]
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


def inventory(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command(tmp_path, "ansible-inventory", *arguments)


@pytest.mark.parametrize(
    ("encoding", "room", "known"),
    [
        ("cp1252", "B\u00fcro \u2013\u2013\u2013 \u20ac", True),
        ("cp1252", "Cr\u00e9\u00e9e \u00e0 No\u00ebl", True),
        ("utf-16", "\u529e\u516c\u5ba4", True),
        ("utf-8", "\u529e\u516c\u5ba4", True),
        ("gbk", "\u529e\u516c\u5ba4", False),
        ("shift_jis", "\u7814\u7a76\u5ba4", False),
        ("euc_kr", "\uc5f0\uad6c\uc2e4", False),
        ("cp1251", "\u041a\u0430\u0431\u0438\u043d\u0435\u0442", False),
    ],
)
def test_letters_that_cannot_be_known_are_not_guessed(tmp_path: Path, encoding: str, room: str, known: bool) -> None:
    path = tmp_path / "lab.desks.csv"
    path.write_bytes(f"name,address,Room\ndesk-01,192.0.2.1,{room}\n".encode(encoding))
    if known:
        assert dict(desks._read(path).desks[0].own) == {"room": room}
        return
    with pytest.raises(SheetError) as caught:
        desks._read(path)
    (problem,) = caught.value.problems
    assert "another encoding" in problem.found and "CSV UTF-8" in problem.expected


def test_graph_shows_the_pairs(tmp_path: Path) -> None:
    sheet = tmp_path / "lab.desks.csv"
    sheet.write_bytes(("\ufeff" + GOOD.replace(",", ";").replace("\n", "\r\n")).encode())
    done = inventory(tmp_path, "-i", str(sheet), "--graph")
    assert done.returncode == 0, done.stderr
    assert "@pair_a" in done.stdout and done.stdout.count("desk-01") == 2 and "desk-03" in done.stdout


def test_the_known_hosts_beside_the_sheet_are_used_and_are_no_inventory(tmp_path: Path) -> None:
    (tmp_path / "lab.desks.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "known_hosts.txt").write_text("desk-01,192.0.2.11 ssh-ed25519 AAAA dgx_spark:desk-01\n", encoding="utf-8")
    done = inventory(tmp_path, "-i", str(tmp_path), "--host", "desk-01")
    assert done.returncode == 0, done.stderr
    variables = json.loads(done.stdout)
    assert variables["spark_known_hosts"] == str(tmp_path / "known_hosts.txt")
    assert variables["ansible_ssh_extra_args"] == f"-o 'UserKnownHostsFile=\"{tmp_path}/known_hosts.txt\" ~/.ssh/known_hosts'"
    assert "AAAA" not in inventory(tmp_path, "-i", str(tmp_path), "--list").stdout


def test_a_wrong_sheet_ends_the_command_and_no_other_plugin_takes_it(tmp_path: Path) -> None:
    sheet = tmp_path / "lab.desks.csv"
    sheet.write_text(GOOD.replace("192.0.2.12", "192.0.2.11"), encoding="utf-8")
    done = inventory(tmp_path, "-i", str(sheet), "--graph")
    assert done.returncode == 4 and "line 3, column address" in done.stderr and "desk-01,192" not in done.stdout
    sheet.write_bytes(b"PK\x03\x04\0\0")
    assert "export the spreadsheet as CSV" in inventory(tmp_path, "-i", str(sheet), "--graph").stderr


def test_a_yaml_file_names_the_sheet_and_needs_no_setting(tmp_path: Path) -> None:
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets" / "lab.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "lab.yml").write_text("plugin: labops.dgx_spark.desks\nsheet: sheets/lab.csv\n", encoding="utf-8")
    done = inventory(tmp_path, "-i", str(tmp_path / "lab.yml"), "--graph")
    assert done.returncode == 0 and "@pair_a" in done.stdout


def test_the_sample_is_a_good_sheet(tmp_path: Path) -> None:
    done = inventory(tmp_path, "-i", str(ROOT / "inventories" / "lab"), "--graph")
    assert done.returncode == 0 and "WARNING" not in done.stderr and "@pair_b" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("title", "cell", "column"),
    [
        ("Seriennummer", "1581225000001", "serial"),
        ("Numéro de série", "1581225000001", "serial"),
        ("序列号", "1581225000001", "serial"),
        ("Paar", "pair_a", "pair"),
        ("Coppia", "pair_a", "pair"),
        ("ペア", "pair_a", "pair"),
        ("Ζεύγος", "pair_a", "pair"),
        ("Pereche", "pair_a", "pair"),
        ("Pair name", "pair_a", "pair"),
        ("Paar Nr. 2026", "pair_a", "pair"),
        ("시리얼번호", "1581225000001", "serial"),
        ("الرقم التسلسلي", "1581225000001", "serial"),
        ("Серійний номер", "1581225000001", "serial"),
        ("Seriennummer (Gehäuse)", "1581225000001", "serial"),
        ("Serial number (chassis)", "1581225000001", "serial"),
        ("Benutzer", "lab", "user"),
        ("Außer Betrieb", "yes", "out_of_service"),
        ("Netzwerkkarte", "4cbb.4701.0203", "mac"),
        ("Switchport", "4cbb-4701-0203", "mac"),
        *(
            (title, "1581225000001", "serial")
            for title in (
                "N° série",
                "Nº Série",
                "Número serie",
                "SERIE",
                "Matrícula",
                "Nr serii",
                "Sériové č.",
                "Sarja nro",
                "Номер серийный",
                "Зав. №",
                "シリアルナンバー",
                "Geräte-Seriennummer",
                "Gehäuse SN",
                "Device S/N",
                "N/S",
                "Service Tag",
                "Nomor Seri",
                "No. Siri",
                "หมายเลขซีเรียล",
                "क्रम संख्या",
                "شماره سریال",
            )
        ),
        *((title, "pair_a", "pair") for title in ("Pasangan", "Gandingan", "คู่", "जोड़ी", "جفت")),
        *((title, "pair_a", "pair") for title in ("Pärchen", "Twin", "Duo", "Peer", "Pairing", "Tandem", "Пары", "ペア名")),
        ("Whatever", "4c:bb:47:01:02:03", "mac"),
        ("", "4c:bb:47:01:02:03", "mac"),
        ("Schlüssel", "SHA256:" + "a" * 43, "host_key"),
        ("Seite", "head", "position"),
    ],
)
def test_a_column_whose_meaning_is_known_is_asked_about(title: str, cell: str, column: str) -> None:
    with pytest.raises(SheetError) as caught:
        read(f"name,address,{title}\ndesk-01,192.0.2.1,{cell}\n", "lab.csv", "csv")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (1, title or "without a title")
    assert problem.expected.startswith(f"{column} (") and "x_" in problem.expected


@pytest.mark.parametrize("title", ["Paired with", "Cabled to", "Gegenstelle"])
def test_a_column_that_names_other_desks_is_asked_about(title: str) -> None:
    rows = "desk-01,192.0.2.1,DESK-02\ndesk-02,192.0.2.2,desk-01\ndesk-03,192.0.2.3,\n"
    with pytest.raises(SheetError) as caught:
        read(f"name,address,{title}\n{rows}", "lab.csv", "csv")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (1, title) and problem.expected.startswith("pair (")


def test_a_column_that_repeats_the_desks_own_name_is_not_asked_about() -> None:
    rows = "desk-01,192.0.2.1,desk-01\ndesk-02,192.0.2.2,desk-02\n"
    assert read(f"name,address,Label\n{rows}", "lab.csv", "csv").desks[0].own == {"label": "desk-01"}


@pytest.mark.parametrize("titles", ["Gerätename;IP-Adresse;Seriennummer", "Asset Name;IP;Serial"])
def test_titles_below_a_heading_are_named_where_none_is_the_name(titles: str) -> None:
    with pytest.raises(SheetError) as caught:
        read(f"Laborliste;;\nStand 27.11.2026;;\n{titles}\nd1;192.0.2.1;1581225000001\n", "lab.csv", "csv")
    (problem,) = caught.value.problems
    assert problem.line == 3 and titles.split(";")[0] in problem.found and "Laborliste" not in problem.found


@pytest.mark.parametrize(
    ("title", "cells"), [("Serie", "GX10 GX10"), ("Series", "1581225000001 1581225000002"), ("Serie", "A-2025 A-2025")]
)
def test_a_models_series_is_no_serial_number(title: str, cells: str) -> None:
    rows = "".join(f"desk-0{place},192.0.2.{place},{cell}\n" for place, cell in enumerate(cells.split(), 1))
    assert dict(read(f"name,address,{title}\n{rows}", "lab.csv", "csv").desks[0].own) == {title.lower(): cells.split()[0]}


@pytest.mark.parametrize(
    ("titles", "cells", "told"),
    [
        ("Magkapares", "A A B B", True),
        ("Magkapares", "A A B", False),
        ("Room", "2.14 2.14 2.14 2.14", False),
        ("x_Room", "2.14 2.14 2.15 2.15", False),
        ("pair,Rack", "p 4 p 4 q 5 q 5", False),
    ],
)
def test_a_column_that_groups_desks_by_two_is_named_where_no_other_names_the_pairs(titles: str, cells: str, told: bool) -> None:
    words, width = cells.split(), titles.count(",") + 1
    rows = [",".join(words[place : place + width]) for place in range(0, len(words), width)]
    text = "".join(f"desk-0{number},192.0.2.{number},{row}\n" for number, row in enumerate(rows, 1))
    warnings = read(f"name,address,{titles}\n{text}", "lab.csv", "csv").warnings
    assert [titles in warning and "must be pair" in warning for warning in warnings] == ([True] if told else [])


@pytest.mark.parametrize(
    ("title", "cell", "told"),
    [("Pair (A/B)", "a", True), ("Pair-Nr.", "1", True), ("Stack (cable)", "a", True), ("x_pair (A/B)", "a", False), ("Room", "a", False)],
)
def test_one_pair_below_a_title_with_a_remark_is_not_passed_over(title: str, cell: str, told: bool) -> None:
    """A lab of two desks: its only pair would be none, without a word."""
    sheet = read(f"name,address,{title}\ndesk-01,192.0.2.1,{cell}\ndesk-02,192.0.2.2,{cell}\n", "lab.csv", "csv")
    assert [f"{title!r} has each of its values at two desks" in warning for warning in sheet.warnings] == [True] * told


def test_a_question_can_be_answered_with_no() -> None:
    assert read("name,address,x_Seriennummer\ndesk-01,192.0.2.1,7\n", "lab.csv", "csv").warnings == ()
    # Where the sheet has the column, one like it is the admin's own.
    sheet = read("name,address,serial,Seriennummer\ndesk-01,192.0.2.1,1581225000001,7\n", "lab.csv", "csv")
    assert sheet.warnings == () and sheet.desks[0].serial == "1581225000001" and dict(sheet.desks[0].own) == {"seriennummer": "7"}


def test_yaml_keys_of_known_meaning_are_asked_about() -> None:
    with pytest.raises(SheetError, match="Paar: found a column that is not read, expected pair"):
        read("- {name: desk-01, address: 192.0.2.1, Paar: pair_a}\n", "lab.yml", "yaml")


@pytest.mark.parametrize("mac", ["4cbb.4701.0203", "4CBB.4701.0203", "4c-bb-47-01-02-03", "4c:bb:47:01:02:03", "4cbb47010203"])
def test_spellings_of_a_mac(mac: str) -> None:
    assert read(f"name,mac\ndesk-01,{mac}\n", "lab.csv", "csv").desks[0].mac == "4c:bb:47:01:02:03"


@pytest.mark.parametrize("mac", ["4cbb.4701", "4cbb.4701.02", "4cbb.47010203", "4cbb.4701.0203.04"])
def test_what_is_no_mac(mac: str) -> None:
    with pytest.raises(SheetError, match="six bytes in hex"):
        read(f"name,mac\ndesk-01,{mac}\n", "lab.csv", "csv")


@pytest.mark.parametrize(
    "above",
    [
        "DGX Spark lab; spring term, building 7\n",
        "Desks\n\n",
        "Lab list,,,\nas of 2026-11-01,,,\n\n",
        "sep=,\nLab list,,,\n",
        '"Desks, all of them",,\n',
    ],
)
def test_a_heading_above_the_titles_is_passed_over_with_a_word(above: str) -> None:
    sheet = read(f"{above}name,address,pair\ndesk-01,192.0.2.1,\n", "lab.csv", "csv")
    assert [desk.name for desk in sheet.desks] == ["desk-01"]
    assert sheet.desks[0].line == above.count("\n") + 2
    assert sheet.warnings and all("is above the titles" in warning for warning in sheet.warnings)


@pytest.mark.parametrize("above", ["", "sep=;\n", "Lab list;;;\n\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_titles_may_have_line_ends_in_them(above: str, end: str) -> None:
    """Alt+Enter in a spreadsheet. The first title must not be lost: each cell would then stand below its neighbour's."""
    rows = ['"Asset\ntag";"Name";"IP\naddress";"Serial\nnumber"', "LAB-7;desk-01;192.0.2.11;1581924000017", "LAB-8;desk-02;192.0.2.12;"]
    sheet = read(above + end.join(rows) + end, "lab.csv", "csv")
    assert names(sheet) == ["desk-01", "desk-02"]
    assert host_variables(sheet.desks[0], sheet) == {
        "ansible_host": "192.0.2.11",
        "spark_expected_serial": "1581924000017",
        "spark_asset_tag": "LAB-7",
    }
    assert sheet.desks[0].line == above.count("\n") + 5
    assert len(sheet.warnings) == above.count("Lab list")


def test_a_title_of_two_lines_is_asked_about_like_one_of_one() -> None:
    """The second half of such a title is none of its own, though it is the very word that is looked for."""
    [(line, _column, _found, expected)] = problems('"Host\nname";"IP\naddress";Pair\ndesk-01;192.0.2.11;\n')
    assert line == 1 and expected.endswith("is 'Host\\nname' the name?")


def test_a_stray_quote_in_a_title_joins_no_rows() -> None:
    sheet = read('name,address,screen 19"\ndesk-01,192.0.2.11,a\ndesk-02,192.0.2.12,"b"\n', "lab.csv", "csv")
    assert [desk.line for desk in sheet.desks] == [2, 3] and not sheet.warnings


def test_a_name_in_another_language_is_asked_about() -> None:
    with pytest.raises(SheetError, match="is 'Rechner' the name"):
        read("Rechner,address,pair\ndesk-01,192.0.2.1,\n", "lab.csv", "csv")


# ---- rings and switches ------------------------------------------------------------------------------------------------

STACKS = """name,address,pair,stack,topology,position
desk-01,192.0.2.11,pair_a,,,head
desk-02,192.0.2.12,pair_a,,direct,
desk-03,192.0.2.13,,ring_a,ring,
desk-04,192.0.2.14,,ring_a,,head
desk-05,192.0.2.15,,ring_a,ring,
desk-06,192.0.2.16,,sw_a,Switch,
desk-07,192.0.2.17,,sw_a,,
desk-08,192.0.2.18,,two,,
desk-09,192.0.2.19,,two,,head
"""


def test_rings_and_switches_of_a_sheet() -> None:
    sheet = read(STACKS, "lab.csv", "csv")
    assert dict(sheet.pairs) == {"pair_a": ("desk-01", "desk-02")}
    assert dict(sheet.stacks) == {
        "ring_a": ("ring", ("desk-04", "desk-03", "desk-05")),
        "sw_a": ("switch", ("desk-06", "desk-07")),
        "two": ("direct", ("desk-09", "desk-08")),
    }
    heads = [entry.name for entry in sheet.desks if host_variables(entry, sheet).get("spark_pair_head")]
    assert heads == ["desk-01", "desk-04", "desk-09"]


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "words"),
    [
        ("desk-05,192.0.2.15,,ring_a,ring,\n", "", 5, "stack", ["2 desks in ring_a", "desk-03 (line 4)", "three desks"]),
        ("desk-06,192.0.2.16,,sw_a,Switch", "desk-06,192.0.2.16,,ring_a,ring", 7, "stack", ["4 desks in ring_a", "three desks"]),
        ("desk-07,192.0.2.17,,sw_a,,\n", "", 7, "stack", ["1 desk in sw_a", "two desks and more"]),
        ("desk-07,192.0.2.17,,sw_a,", "desk-07,192.0.2.17,,sw_a,ring", 8, "topology", ["switch (line 7), ring (line 8)", "one word"]),
        ("desk-07,192.0.2.17,,sw_a,", "desk-07,192.0.2.17,,two,", 10, "topology", ["nothing for 3 desks in two", "ring", "switch"]),
        ("sw_a,Switch", "sw_a,star", 7, "topology", ["'star'", "direct, ring, switch"]),
        ("desk-03,192.0.2.13,,ring_a", "desk-03,192.0.2.13,pair_b,ring_a", 4, "stack", ["'ring_a'", "in one of both"]),
        ("desk-02,192.0.2.12,pair_a,,direct", "desk-02,192.0.2.12,pair_a,,ring", 3, "stack", ["nothing", "joined as a ring"]),
        ("desk-05,192.0.2.15,,ring_a,ring,", "desk-05,192.0.2.15,,ring_a,ring,head", 6, "position", ["two heads in ring_a"]),
        ("desk-05,192.0.2.15,,ring_a,ring,", "desk-05,192.0.2.15,,ring_a,ring,peer", 6, "position", ["peer in a stack of more"]),
        ("sw_a,Switch", "spark_stacks,Switch", 7, "stack", ["'spark_stacks'"]),
        ("desk-06,192.0.2.16,,sw_a,Switch", "desk-06,192.0.2.16,,pair_a,Switch", 7, "stack", ["'pair_a'", "neither a desk nor a pair"]),
    ],
)
def test_a_wrong_stack_is_told_with_its_line(old: str, new: str, line: int, column: str, words: list[str]) -> None:
    assert old in STACKS
    found = [item for item in problems(STACKS.replace(old, new, 1)) if item[:2] == (line, column)]
    assert found, problems(STACKS.replace(old, new, 1))
    for word in words:
        assert any(word in f"{item[2]} expected {item[3]}" for item in found), (word, found)


def test_words_near_to_stack_stay_the_admins_own() -> None:
    sheet = read("name,address,Stock,Track\ndesk-01,192.0.2.11,7,b\n", "lab.csv", "csv")
    assert sheet.desks[0].own == {"stock": "7", "track": "b"}
    assert sheet.stacks == {}


@pytest.mark.parametrize("venv", [name for name in (".venv", ".venv-core219") if (ROOT / name / "bin/ansible-inventory").exists()])
def test_a_graph_shows_stacks_with_their_topology(tmp_path: Path, venv: str) -> None:
    (tmp_path / "lab.desks.csv").write_text(STACKS, encoding="utf-8")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")},
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_INVENTORY_ENABLED": "labops.dgx_spark.desks,ini",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }
    argv = [str(ROOT / venv / "bin/ansible-inventory"), "-i", str(tmp_path / "lab.desks.csv")]
    told = [
        subprocess.run([*argv, *more], env=environment, capture_output=True, text=True, timeout=120, check=True, cwd=tmp_path).stdout
        for more in (["--graph"], ["--host", "desk-05"])
    ]
    for word in ("@spark_stacks:", "@ring_a:", "@sw_a:", "@spark_pairs:", "@pair_a:"):
        assert word in told[0]
    assert json.loads(told[1])["spark_topology"] == "ring"


RACKS = """name,address,pair,Rack,Room,Owner
desk-01,192.0.2.11,pair_a,4,2.14,Ada
desk-02,192.0.2.12,pair_a,4,2.14,
desk-03,192.0.2.13,,5,{{ lookup('pipe' ; 'touch hacked') }},Ada
"""


def plain(data: dict[str, Any]) -> Any:
    """A value as it is: ansible-inventory marks text that is no template."""
    return data.get("__ansible_unsafe", data)


def hosts(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    return sorted(json.loads(done.stdout)["_meta"]["hostvars"])


def constructed(tmp_path: Path, *lines: str, sheet: str = RACKS) -> Path:
    (tmp_path / "lab.csv").write_text(sheet, encoding="utf-8")
    path = tmp_path / "lab.yml"
    path.write_text("\n".join(("plugin: labops.dgx_spark.desks", "sheet: lab.csv", *lines, "")), encoding="utf-8")
    return path


def test_limit_takes_a_rack(tmp_path: Path) -> None:
    path = constructed(tmp_path, "keyed_groups:", "  - {prefix: rack, key: rack}")
    assert hosts(inventory(tmp_path, "-i", str(path), "--limit", "rack_4", "--list")) == ["desk-01", "desk-02"]
    assert hosts(inventory(tmp_path, "-i", str(path), "--limit", "pair_a:&rack_5", "--list")) == []


def test_a_folder_with_the_sheet_and_its_expressions_is_one_inventory(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "lab.desks.csv").write_text(RACKS, encoding="utf-8")
    text = "plugin: labops.dgx_spark.desks\nsheet: lab.desks.csv\nkeyed_groups: [{prefix: rack, key: rack}]\n"
    (tmp_path / "lab" / "lab.yml").write_text(text, encoding="utf-8")
    done = inventory(tmp_path, "-i", str(tmp_path / "lab"), "--limit", "rack_4", "--list")
    assert hosts(done) == ["desk-01", "desk-02"] and "WARNING" not in done.stderr


def test_expressions_make_variables_and_groups_and_cells_are_never_templates(tmp_path: Path) -> None:
    path = constructed(tmp_path, "compose:", "  lab_place: room ~ ' rack ' ~ rack", "groups:", "  lent: owner != ''")
    done = inventory(tmp_path, "-i", str(path), "--list")
    known = json.loads(done.stdout, object_hook=plain)
    assert known["_meta"]["hostvars"]["desk-01"]["lab_place"] == "2.14 rack 4" and sorted(known["lent"]["hosts"]) == ["desk-01", "desk-03"]
    assert known["_meta"]["hostvars"]["desk-03"]["lab_place"] == "{{ lookup('pipe' ; 'touch hacked') }} rack 5"
    assert not (ROOT / "hacked").exists()


def test_a_cell_that_is_a_template_stays_text(tmp_path: Path) -> None:
    desks = ["desks:", '  - {name: desk-01, address: 192.0.2.1, note: "{{ 6 * 7 }}"}', "compose:", "  told: note ~ '!'"]
    path = tmp_path / "lab.yml"
    path.write_text("\n".join(("plugin: labops.dgx_spark.desks", *desks, "")), encoding="utf-8")
    done = inventory(tmp_path, "-i", str(path), "--list")
    values = json.loads(done.stdout, object_hook=plain)["_meta"]["hostvars"]["desk-01"]
    assert (values["note"], values["told"]) == ("{{ 6 * 7 }}", "{{ 6 * 7 }}!"), done.stderr
    told = command(tmp_path, "ansible", "-i", str(path), "desk-01", "-c", "local", "-m", "debug", "-a", "msg={{ note }}")
    assert "{{ 6 * 7 }}" in told.stdout and "42" not in told.stdout, told


def test_a_file_that_is_written_for_ansible_has_no_template_that_was_none(tmp_path: Path) -> None:
    path = tmp_path / "written.yml"
    values = {"note": "{{ 6 * 7 }}", "told": "{% if 1 %}x"}
    path.write_text(plain_yaml.for_ansible({"all": {"hosts": {"desk-01": values}}}), encoding="utf-8")
    told = command(tmp_path, "ansible", "-i", str(path), "desk-01", "-c", "local", "-m", "debug", "-a", "msg={{ note ~ told }}")
    assert "{{ 6 * 7 }}{% if 1 %}x" in told.stdout, told


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["keyed_group: []"], ["line 3, column keyed_group", "expected keyed_groups"]),
        (["compos: {}"], ["line 3, column compos", "expected compose"]),
        (["xyzzy: 1"], ["line 3, column xyzzy", "one of cache", "keyed_groups"]),
        (["strict: false", "keyed_groups:", "  - {prefx: rack, key: rack}"], ["line 4, column prefx", "expected prefix"]),
        (["desks: []"], ["both sheet and desks"]),
        (["strict: perhaps"], ["line 3, column strict", "'perhaps'", "true or false"]),
        (["strict: true", "compose: {place: shelf}"], ["place", "desk-01", "shelf"]),
        (["keyed_groups:", "  - {key: \"'pair_a'\", separator: ''}"], ["desk-03 into pair_a"]),
    ],
)
def test_a_wrong_setting_ends_the_command_and_names_what_was_meant(tmp_path: Path, lines: list[str], words: list[str]) -> None:
    done = inventory(tmp_path, "-i", str(constructed(tmp_path, *lines)), "--list")
    assert done.returncode == 4 and not done.stdout.strip(), done
    assert [word for word in ("no desk was touched", *words) if word not in done.stderr] == [], done.stderr


def test_a_file_for_the_plugin_names_its_desks(tmp_path: Path) -> None:
    path = tmp_path / "lab.yml"
    path.write_text("plugin: labops.dgx_spark.desks\nstrict: true\n", encoding="utf-8")
    assert "neither sheet nor desks" in inventory(tmp_path, "-i", str(path), "--list").stderr
    # A file that is named as a sheet and holds "desks" has options too, and needs no "plugin".
    path = tmp_path / "lab.desks.yml"
    path.write_text("desks: {desk-01: {address: 192.0.2.1, rack: 4}}\nkeyed_groups: [{key: rack, prefix: rack}]\n", encoding="utf-8")
    assert "@rack_4" in inventory(tmp_path, "-i", str(path), "--graph").stdout


def test_an_address_behind_a_mac_is_remembered(tmp_path: Path) -> None:
    """The neighbour table of a test machine does not know the desk; a cache of an earlier command does."""
    lines = ["cache: true", "cache_plugin: ansible.builtin.jsonfile", f"cache_connection: {tmp_path / 'cache'}"]
    path = constructed(tmp_path, *lines, sheet="name,mac\ndesk-01,4c:bb:47:01:02:03\n")
    first = inventory(tmp_path, "-i", str(path), "--host", "desk-01")
    assert "no address is known for desk-01" in first.stderr and "ansible_host" not in json.loads(first.stdout)
    (kept,) = (tmp_path / "cache").iterdir()
    text = json.loads(kept.read_text(encoding="utf-8"))["__payload__"]
    assert json.loads(text) == {}
    kept.write_text(json.dumps({"__payload__": json.dumps({"4c:bb:47:01:02:03": "192.0.2.77"})}), encoding="utf-8")
    again = inventory(tmp_path, "-i", str(path), "--host", "desk-01")
    assert json.loads(again.stdout)["ansible_host"] == "192.0.2.77", again.stderr


@pytest.mark.parametrize(
    ("enrolled", "port", "alias"),
    [
        (("desk-01", "desk-02"), "", "desk-01"),
        (("desk-01", "desk-02"), "2222", "[desk-01]:2222"),
        # Not enrolled: whoever has the address is told as unknown, and not as the desk that has a key there.
        (("desk-02",), "", "desk-01"),
        ((), "", None),
    ],
)
def test_a_mac_that_another_desk_claims_makes_it_no_other_desk(
    tmp_path: Path, enrolled: tuple[str, ...], port: str, alias: str | None
) -> None:
    """The neighbour table says that the MAC of desk-01 is at the address under which known_hosts has the key of desk-02."""
    mac, address, known = "4c:bb:47:01:02:03", "192.0.2.12", tmp_path / "known_hosts.txt"
    keys = {"desk-01": "ssh-ed25519 AAAA", "desk-02": "ssh-ed25519 BBBB"}
    for desk, told in (("desk-01", "192.0.2.11"), ("desk-02", address)):
        if desk in enrolled:
            remember(known, desk, names_of(desk, told, int(port or 22)), [keys[desk]])
    (tmp_path / "cache").mkdir()
    lines = ["cache: true", "cache_plugin: ansible.builtin.jsonfile", f"cache_connection: {tmp_path / 'cache'}"]
    path = constructed(tmp_path, *lines, sheet=f"name,mac,port\ndesk-01,{mac},{port}\n")
    inventory(tmp_path, "-i", str(path), "--list")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text(json.dumps({"__payload__": json.dumps({mac: address})}), encoding="utf-8")
    told = json.loads(inventory(tmp_path, "-i", str(path), "--host", "desk-01").stdout)
    assert told["ansible_host"] == address
    words = shlex.split(told["ansible_ssh_extra_args"])
    asked = subprocess.run(["ssh", "-F", "none", "-G", *words, address], capture_output=True, text=True, check=True).stdout
    chosen = re.findall(r"(?m)^hostkeyalias (.+)$", asked)
    assert chosen == ([alias] if alias else [])
    found = subprocess.run(["ssh-keygen", "-f", str(known), "-F", alias or address], capture_output=True, text=True, check=False).stdout
    assert keys["desk-02"] not in found and (keys["desk-01"] in found) == ("desk-01" in enrolled)


@pytest.mark.parametrize(
    ("cell", "address"),
    [
        ("10.0.0.5/24", "10.0.0.5"),
        ("10.0.0.4/31", "10.0.0.4"),
        ("10.0.0.5/32", "10.0.0.5"),
        ("2001:db8::5/64", "2001:db8::5"),
        ("fe80::1%enP7s7", "fe80::1%enP7s7"),
    ],
)
def test_the_prefix_of_an_address_book_is_left_out(cell: str, address: str) -> None:
    assert read(f"name,address\ndesk-01,{cell}\n", "lab.csv", "csv").desks[0].address == address
    (again,) = problems(f"name,address\ndesk-01,{cell}\ndesk-02,{address}\n")
    assert again[:2] == (3, "address") and "line 2" in again[2]


@pytest.mark.parametrize("scope", ["$(id)", "{{ansible_become_password}}", "x y", '"",*', "-o", "*", "a;b", "sixteen-letters0"])
def test_the_scope_of_an_address_is_an_interface(scope: str) -> None:
    ((line, column, _found, expected),) = problems(f'name,address\ndesk-01,"fe80::1%{scope}"\n')
    assert (line, column) == (2, "address") and "an interface of this machine" in expected


@pytest.mark.parametrize("cell", ["10.0.0.0/24", "2001:db8::/64", "10.0.0.5/33", "10.0.0.5/", "10.0.0/24"])
def test_a_network_is_no_address_of_a_desk(cell: str) -> None:
    ((line, column, _found, _expected),) = problems(f"name,address\ndesk-01,{cell}\n")
    assert (line, column) == (2, "address")


def test_a_column_of_addresses_with_their_prefix_is_asked_about() -> None:
    told = problems("name,primary_ip4\ndesk-01,10.0.0.5/24\n")
    assert told[0][:2] == (1, "primary_ip4") and told[0][3].startswith("address (")


@pytest.mark.parametrize("cell", ["1581924000017.0", "1581924000017,0", "1581924000017.00"])
def test_a_serial_number_that_became_a_number_is_told(cell: str) -> None:
    ((line, column, _found, expected),) = problems(f"name;address;serial\ndesk-01;192.0.2.1;{cell}\n")
    assert (line, column) == (2, "serial") and "format the column as text" in expected


ROOM = "name,address,pair,serial\ndesk-11,192.0.2.21,pair_c,2581924000017\ndesk-12,192.0.2.22,pair_c,2581924000018\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("desk-11", "desk-01", ["line 2, column name", "a.desks.csv line 2"]),
        ("192.0.2.22", "192.0.2.12", ["line 3, column address", "desk-02"]),
        ("2581924000017", "1581924000017", ["line 2, column serial", "desk-01"]),
        ("pair_c", "pair_a", ["line 2, column pair", "a.desks.csv line 3"]),
    ],
)
def test_two_sheets_of_one_inventory_may_not_name_the_same_twice(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    (tmp_path / "a.desks.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "b.desks.csv").write_text(ROOM.replace(old, new), encoding="utf-8")
    done = inventory(tmp_path, "-i", str(tmp_path), "--list")
    assert done.returncode == 4 and not done.stdout.strip(), done
    assert [word for word in ("no desk was touched", "b.desks.csv", *words) if word not in done.stderr] == [], done.stderr


def test_two_sheets_of_one_folder_are_one_lab(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.desks.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "one" / "b.desks.csv").write_text(ROOM, encoding="utf-8")
    done = inventory(tmp_path, "-i", str(tmp_path / "one"), "--graph")
    assert done.returncode == 0 and "@pair_c" in done.stdout and "@pair_a" in done.stdout and "WARNING" not in done.stderr, done.stderr
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "b.desks.csv").rename(tmp_path / "two" / "b.desks.csv")
    done = inventory(tmp_path, "-i", str(tmp_path / "one"), "-i", str(tmp_path / "two"), "--graph")
    assert done.returncode == 0 and "one file of host keys" in done.stderr


@pytest.mark.parametrize("user", ["lab", "Mara.Lind", "CORP\\lab", "lab@corp.example"])
def test_a_user_of_a_directory_is_a_login_user(user: str) -> None:
    sheet = read(f"name,address,user\ndesk-01,192.0.2.1,{user}\n", "lab.csv", "csv")
    assert host_variables(sheet.desks[0], sheet)["ansible_user"] == user


@pytest.mark.parametrize("user", ["-oProxyCommand=x", "a b", "lab;id", "$(id)", "1lab"])
def test_what_is_no_login_user_is_refused(user: str) -> None:
    ((_line, column, _found, _expected),) = problems(f"name,address,user\ndesk-01,192.0.2.1,{user}\n")
    assert column == "user"


@pytest.mark.parametrize(
    "cell", [KEY, KEY + "=", KEY.removeprefix("SHA256:"), f"256 {KEY} root@spark-0001 (ED25519)", f"256 {KEY} no comment (ED25519)"]
)
def test_the_line_that_ssh_keygen_prints_is_a_fingerprint(cell: str) -> None:
    assert read(f"name,address,host_key\ndesk-01,192.0.2.1,{cell}\n", "lab.csv", "csv").desks[0].host_key == KEY


def test_a_fingerprint_of_another_kind_of_key_is_refused() -> None:
    ((_line, column, _found, _expected),) = problems(f"name,address,host_key\ndesk-01,192.0.2.1,3072 {KEY} root@spark (RSA)\n")
    assert column == "host_key"


@pytest.mark.parametrize(
    ("broken", "column"),
    [
        ("desk-01,192.0.2.11,pair_a,1.58E+12", "serial"),
        ("desk 01,192.0.2.11,pair_a,1581924000017", "name"),
        ("desk-01,192.0.2.11,pair_a,1581924000017,more", ""),
    ],
)
def test_a_desk_whose_line_is_refused_is_no_missing_desk_of_its_pair(broken: str, column: str) -> None:
    other = "desk-02,192.0.2.12,pair_a,1581924000018\n"
    found = problems(f"name,address,pair,serial\n{broken}\n{other}desk-03,192.0.2.13,pair_b,1581924000019\n")
    assert [(line, told) for line, told, _found, _expected in found] == [(2, column), (4, "pair")]


def test_a_desk_whose_line_is_refused_is_no_missing_desk_of_its_stack() -> None:
    rows = [f"desk-0{number},192.0.2.1{number},ring_a,ring,158192400001{number}" for number in (1, 2)]
    found = problems("\n".join(["name,address,stack,topology,serial", "desk 03,192.0.2.13,ring_a,ring,1581924000013", *rows]) + "\n")
    assert [(line, told) for line, told, _found, _expected in found] == [(2, "name")]
    found = problems(
        "- {name: desk-01, address: 192.0.2.11, pair: pair_a, serial: [1]}\n- {name: desk-02, address: 192.0.2.12, pair: pair_a}\n", "yaml"
    )
    assert [(line, told) for line, told, _found, _expected in found] == [(1, "serial")]


def test_titles_that_are_all_in_another_language_are_asked_about_at_once() -> None:
    [(_line, _column, _found, expected)] = problems("Ger\u00e4t;IP-Adresse;Paar;Seriennummer\ndesk-01;192.0.2.11;a;1581924000017\n")
    assert "is 'Ger\u00e4t' the name, 'IP-Adresse' the address, 'Paar' the pair, 'Seriennummer' the serial?" in expected


@pytest.mark.parametrize("end", ["", 'desk-05,192.0.2.15,,,"closed here\n'])
def test_a_quote_without_an_end_is_told_and_swallows_no_desk(end: str) -> None:
    rows = ["name,address,pair,serial,note", 'desk-01,192.0.2.11,,,"open', "desk-02,192.0.2.12,pair_a,,", "desk-03,192.0.2.13,pair_a,,"]
    [(line, column, told, expected)] = problems("\n".join(rows) + "\n" + end)
    assert (line, column) == (2, "") and f"over {3 if end else 2} whole lines" in told and "quote" in expected
    alone = problems('name,address,pair,serial,note\ndesk-01,192.0.2.11,pair_a,,"open\ndesk-02,192.0.2.12,pair_a,,\n')
    assert [item[0] for item in alone] == [2], "its pair is not called incomplete as well"


def test_a_cell_of_several_lines_is_a_cell() -> None:
    text = 'name,address,pair,note\ndesk-01,192.0.2.11,pair_a,"rack 4, left\nsecond line, too"\ndesk-02,192.0.2.12,pair_a,x\n'
    assert names(read(text, "lab.csv", "csv")) == ["desk-01", "desk-02"]


@pytest.mark.parametrize("word", ["n/a", "N/A", "TBD", "unknown", "none", "unbekannt", "not-yet"])
def test_a_word_for_a_missing_serial_number_is_not_one(word: str) -> None:
    found = problems(f"name,address,serial\ndesk-01,192.0.2.11,{word}\n")
    assert [(item[0], item[1]) for item in found] == [(2, "serial")] and "nothing where it is not known" in found[0][3]


@pytest.mark.parametrize("word", ["none", "TBD", "NA", "unknown"])
@pytest.mark.parametrize("column", ["pair", "stack"])
def test_two_desks_in_no_pair_do_not_become_one_by_a_word_for_none(word: str, column: str) -> None:
    found = problems(f"name,address,{column}\ndesk-01,192.0.2.11,{word}\ndesk-02,192.0.2.12,{word}\n")
    assert [(item[0], item[1]) for item in found] == [(2, column), (3, column)] and "or nothing" in found[0][3]
