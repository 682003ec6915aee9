"""The catalogue of findings against the tree: every code has a place that makes it, every remedy names what exists."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import CODES
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.codes.code import Code
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.wants import WANTS
from house import PLAYBOOK_NAMES, PLUGINS, ROOT, sources, spec_of, syntax, words
from settable import FACTS, NAMES, OF_PLAYBOOKS, OF_THE_MACHINE, PREFIXES

TABLES = PLUGINS / "module_utils" / "judges" / "codes"
MAKERS = [path for path in sources("module_utils", "plugin_utils", "action", "modules") if TABLES not in path.parents]


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every text of a file that is no documentation, pieces of f-strings joined around a gap."""
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
    }
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(piece) for piece in node.values}
            yield node.lineno, "".join(piece.value if isinstance(piece, ast.Constant) else "\x00" for piece in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation and id(node) not in inside:
            yield node.lineno, node.value


def made() -> set[str]:
    """Codes that some code makes: named as a value, not only compared with or listed in a set."""
    found = set()
    for path in MAKERS:
        tree = syntax(path)
        asked: set[int] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare | ast.Set | ast.Subscript):
                asked |= {id(inner) for inner in ast.walk(node) if isinstance(inner, ast.Constant)}
            # A key of a table of codes makes nothing either.
            if isinstance(node, ast.Dict):
                asked |= {id(key) for key in node.keys if isinstance(key, ast.Constant)}
        found |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in asked and node.value in CODES}
    return found


MADE = made()


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_a_place_that_makes_it(code: str) -> None:
    assert code in MADE


def test_a_code_that_is_only_compared_with_is_not_made() -> None:
    tree = ast.parse("x = {'AUTH_FAILED'}\ny = code == 'BECOME_FAILED'\nz = {'OOBE_PENDING': 1}\n")
    assert tree and "NO_SUCH_CODE" not in MADE and len(MADE) > 50


# ---- what texts name -----------------------------------------------------------------------------------------------------


def sentences(code: Code) -> str:
    return f"{code.title} {code.meaning} {code.remedy}"


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_what_a_finding_tells_to_set_exists(code: Code) -> None:
    unknown = [word for word in words(sentences(code)) if word not in NAMES and not OF_THE_MACHINE.match(word)]
    assert unknown == []


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_a_value_that_a_finding_proposes_is_one_of_a_variable(code: Code) -> None:
    """Such as ``force: true``, which is an option of a module that a playbook's user cannot set."""
    named = re.findall(r"([a-z][a-z0-9_]*)(?:: |=)(?:true|false)\b", code.remedy)
    assert [name for name in named if name not in NAMES] == []


CITED = [
    (f"{path.relative_to(ROOT)}:{line}", text)
    for path in [*MAKERS, *sorted(TABLES.glob("*.py")), *sources("lookup", "inventory", "callback")]
    for line, text in texts(syntax(path))
]


def test_every_playbook_that_a_text_names_exists() -> None:
    """Files of a lab (lock file, lab sheet, hosts) and of the machine (netplan) are told apart by their names."""
    there = {f"{name}.yml" for name in PLAYBOOK_NAMES}
    roots = {name.split("_")[0] for name in PLAYBOOK_NAMES}
    broken = [
        f"{place}: {name}"
        for place, text in CITED
        for name in re.findall(r"(?<![\w./*-])([a-z][a-z_]*\.yml)\b", text)
        if name not in there and name.split("_")[0].removesuffix(".yml") in roots
    ]
    assert broken == []


def test_every_extra_variable_that_a_text_names_exists() -> None:
    broken = [
        f"{place}: {name}"
        for place, text in CITED
        for name in re.findall(r"-e '?\{?\"?([a-z][a-z0-9_]*)\"?[=:]", text)
        if name not in NAMES
    ]
    assert broken == []


def test_every_word_that_looks_like_a_variable_of_ours_is_one() -> None:
    """A text in a sentence that begins like a role's variable."""
    broken = [
        f"{place}: {word}"
        for place, text in CITED
        if " " in text.strip()
        for word in words(text)
        if word.startswith(PREFIXES) and word not in NAMES | FACTS
    ]
    assert broken == []


ADVICE = re.compile(r"\b(?:set|with|option|variable|give|pass)\s+([a-z][a-z0-9]*(?:_[a-z0-9]+)+)\b")


def test_what_a_message_tells_to_set_exists() -> None:
    broken = [
        f"{place}: {name}"
        for place, text in CITED
        if not place.startswith("plugins/modules/")
        for name in ADVICE.findall(text)
        if name not in NAMES and not OF_THE_MACHINE.match(name)
    ]
    assert broken == []


def test_no_source_is_a_sweeping_one_user_report() -> None:
    """A rule of this collection says so; a report of one user stands where that user's report is meant."""
    sweeping = [code.code for code in CODES.values() if code.source.strip().lower() == "one user report of degraded cables"]
    assert [code for code in sweeping if not code.startswith(("RDMA_SLOW", "NCCL_SLOW", "CABLE_"))] == []


def test_the_tables_are_where_this_looks() -> None:
    assert Path(TABLES / "code.py").is_file() and len(CITED) > 1000 and len(OF_PLAYBOOKS) > 20


def test_every_option_of_the_judges_is_set_by_somebody() -> None:
    """A finding that only an option brings about which nobody sets can never be made."""
    wished = {want.judge for want in WANTS if want.judge}
    sheet = {f"expected_{name}" for name in spec_of("spark_facts")["expected_identity"]["options"]}
    named = set()
    for path in sources("action", "modules", "plugin_utils"):
        named |= {text for _line, text in texts(syntax(path))}
        named |= {node.arg for node in ast.walk(syntax(path)) if isinstance(node, ast.keyword) and node.arg}
    assert sorted({item.name for item in dataclasses.fields(JudgeOptions)} - wished - sheet - named) == []


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_what_a_code_follows_from_is_listed(code: Code) -> None:
    assert set(code.follows_from) <= set(CODES) - {code.code}
