# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a page tells its reader to type, to set or to look for exists. Links, paths and make targets: tools/check_links.py."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.cli.inventory import InventoryCLI
from ansible.cli.playbook import PlaybookCLI
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import CODES
from house import MODULES, PLAYBOOK_NAMES, PLUGINS, ROLE_NAMES, ROLES, ROOT, option_paths, spec_of, words
from settable import FACTS, NAMES, PREFIXES
from sparklab.cli import parser as lab_parser
from sparklab.lab import known_faults
from sparklab.spec import DEFAULT_MODEL

from tools.check_links import code

PAGES = {
    path.name: path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
    if path.name != "CHANGELOG.md"
}
FOLDERS = ("plugins", "simulator", "tools", "tests", "molecule", "playbooks", "roles")
FILES = [ROOT / "Makefile", *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file())]
SOURCE = "\n".join(
    path.read_text(encoding="utf-8", errors="replace")
    for path in FILES
    if path.suffix in (".py", ".sh", ".yml", ".j2", "") and path != Path(__file__) and "recordings" not in path.parts
)
"""Everything that is no page: a word that stands nowhere in it names nothing any more."""
REGISTERED = set(re.findall(r"register: (\w+)", "".join(path.read_text(encoding="utf-8") for path in ROLES.rglob("*.yml"))))
OPTIONS = {name for module in MODULES for path, _option in option_paths(spec_of(module)) for name in path}
PLUGIN_NAMES = {path.stem for path in PLUGINS.glob("*/*.py")}
BEGINNINGS = {name.split("_")[0] for name in PLAYBOOK_NAMES}
OF_OTHERS = {"PIP_INDEX_URL", "UV_DEFAULT_INDEX"}
"""Variables of pip and uv."""
OF_ANSIBLE = {"ansible_become"}
LETTER = re.compile(r"[a-z]")
"""``-e x=false`` explains the form, not a variable."""

each_page = pytest.mark.parametrize("page", PAGES)


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Every option of a command line, of its subcommands too."""
    found = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found |= {option for inner in action.choices.values() for option in options_of(inner)}
    return found


def commands() -> dict[str, argparse.ArgumentParser]:
    """The subcommands of simulator/lab."""
    (action,) = (item for item in lab_parser()._actions if isinstance(item, argparse._SubParsersAction))
    return dict(action.choices)


def of_ansible(cli: type[PlaybookCLI | InventoryCLI]) -> set[str]:
    made = cli(["x"])
    made.init_parser()
    return options_of(made.parser)


LAB = commands()
KNOWN_OPTIONS = {"ansible-playbook": of_ansible(PlaybookCLI), "ansible-inventory": of_ansible(InventoryCLI)}


def wrong_names(piece: str) -> Iterator[str]:
    """Playbooks, roles, plugins and variables that do not exist."""
    for name in re.findall(r"labops\.dgx_spark\.([a-z][a-z_]*)", piece):
        if name not in {*PLAYBOOK_NAMES, *ROLE_NAMES, *MODULES, *PLUGIN_NAMES}:
            yield f"labops.dgx_spark.{name}"
    for name in re.findall(r"(?<![\w./*-])([a-z][a-z_]*)\.yml\b", piece):
        if name not in PLAYBOOK_NAMES and name.split("_")[0] in BEGINNINGS:
            yield f"{name}.yml"
    for name in re.findall(r"-e '?\{?\"?([a-z][a-z0-9_]*)\"?[=:]", piece):
        if name not in NAMES | OF_ANSIBLE and not LETTER.fullmatch(name):
            yield f"-e {name}"
    for name in words(piece):
        if (
            name.startswith(PREFIXES)
            and name not in NAMES | FACTS | OPTIONS | REGISTERED | PLUGIN_NAMES
            and not name.startswith("spark_slice_")
        ):
            yield name


def wrong_words(piece: str) -> Iterator[str]:
    """Words of a command line that its program does not know."""
    line = re.sub(r"\s#\s.*", "", piece)
    program = next((name for name in KNOWN_OPTIONS if re.search(rf"(^|[\s$(]){name}\s", line)), None)
    if program is None and re.match(r"(?:\$ )?[a-z_]+\.yml\s--", line):
        program = "ansible-playbook"
    if program:
        yield from (
            f"{program} {word}" for word in long_options(line) if word not in KNOWN_OPTIONS[program] and "simulator/lab" not in line
        )
    for told in re.findall(r"simulator/lab((?: [^\s|;&)]+)+)", line):
        called = re.sub(r"^(--lab \S+ )?", "", told.strip()).split()
        if called[0] not in LAB:
            yield from [f"simulator/lab {called[0]}"] if called[0].islower() and called[0].isalpha() else []
            continue
        known = options_of(LAB[called[0]])
        yield from (f"simulator/lab {called[0]} {word}" for word in long_options(told) if word not in known and called[0] != "exec")
        first, third = ([*called, "", "", ""][place] for place in (1, 3))
        if called[0] == "up" and re.fullmatch(r"[a-z_]+", first) and not (ROOT / f"simulator/labs/{first}.yml").exists():
            yield f"simulator/labs/{first}.yml"
        if called[0] == "fault" and first == "set" and third.islower() and third not in known_faults():
            yield f"fault {third}"
    for script in re.findall(r"((?:tools|tests)/[a-z_/]+\.py)\b", line):
        text = (ROOT / script).read_text(encoding="utf-8") if (ROOT / script).exists() else ""
        yield from (f"{script} {word}" for word in long_options(line) if word not in text and "pytest" not in line)


def long_options(line: str) -> list[str]:
    try:
        parts = shlex.split(line)
    except ValueError:
        parts = line.split()
    return [word.partition("=")[0] for word in parts if re.fullmatch(r"--[a-z][a-z-]*(=.*)?", word)]


def wrong_settings(piece: str) -> Iterator[str]:
    """Variables of make and of scripts that nothing reads, labs and scenarios that are not there."""
    for name, quoted, plain in re.findall(r"(?<![\w$])([A-Z][A-Z_0-9]+)=(?:\"([^\"]*)\"|(\w*))", piece):
        value = quoted or plain
        if not re.search(rf"\b{name}\b", SOURCE):
            yield f"{name}="
        if name == "LAB_FILE" and not (ROOT / f"simulator/labs/{value}.yml").exists():
            yield f"{name}={value}"
        if name == "SCENARIOS":
            yield from (f"{name}={word}" for word in value.split() if word != "all" and not (ROOT / "molecule" / word).is_dir())


def unknown(text: str) -> list[str]:
    """Everything in the code of a page that does not exist."""
    return [told for piece in code(text) for check in (wrong_names, wrong_words, wrong_settings) for told in check(piece)]


@each_page
def test_what_a_page_tells_to_type_exists(page: str) -> None:
    found = unknown(PAGES[page])
    assert found == [], f"{page} names what does not exist: {found}"


@each_page
def test_the_codes_that_a_page_names_are_made(page: str) -> None:
    named = set(re.findall(r"(?<![\w/.*-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w*])", PAGES[page]))
    pages = {name.removesuffix(".md") for name in PAGES}
    lost = sorted(name for name in named - set(CODES) - pages - OF_OTHERS if not re.search(rf"\b{name}\b", SOURCE))
    assert lost == [], f"{page} names what stands nowhere in the tree: {lost}"


def test_the_front_page_lists_every_playbook() -> None:
    table = PAGES["README.md"].partition("## Use cases")[2].partition("\n## ")[0]
    same = {"stack", "unstack"}
    missing = [name for name in PLAYBOOK_NAMES if f"`{name}.yml`" not in table and name not in same]
    assert missing == [], f"README.md, Use cases: no row names {missing}"


def test_the_guide_to_roles_lists_every_role() -> None:
    missing = [name for name in ROLE_NAMES if f"\n| `{name}` |" not in PAGES["roles.md"]]
    assert missing == [], f"docs/roles.md: no row for {missing}"


def test_the_guide_to_the_simulator_lists_every_command() -> None:
    table = PAGES["simulator.md"].partition("\n## Commands\n")[2].partition("\n## ")[0]
    missing = [name for name in LAB if not re.search(rf"`{name}\b", table)]
    assert missing == [], f"docs/simulator.md, Commands: no row for {missing}"


def test_the_guide_to_the_simulator_names_the_usual_desk() -> None:
    assert f"(default {DEFAULT_MODEL})" in PAGES["simulator.md"], "docs/simulator.md, Describing a lab: the default model"


@pytest.mark.parametrize(
    ("piece", "told"),
    [
        ("ansible-playbook labops.dgx_spark.audits", ["labops.dgx_spark.audits"]),
        ("stack_pairs.yml", ["stack_pairs.yml"]),
        ("audit.yml -e audit_base=x", ["-e audit_base", "audit_base"]),
        ("driver_lock_brunch: 590", ["driver_lock_brunch"]),
        ("ansible-playbook -i lab playbooks/audit.yml --limits pair_a", ["ansible-playbook --limits"]),
        ("$ audit.yml --limits pair_a", ["ansible-playbook --limits"]),
        ("ansible-inventory --grap", ["ansible-inventory --grap"]),
        ("simulator/lab down desk-01; sudo simulator/lab pull", ["simulator/lab pull"]),
        ("simulator/lab up --enroled", ["simulator/lab up --enroled"]),
        ("simulator/lab up three_pairs", ["simulator/labs/three_pairs.yml"]),
        ("simulator/lab fault set desk-01 gremlins", ["fault gremlins"]),
        ("python3 tests/replay.py --chek DIR", ["tests/replay.py --chek"]),
        ("make demo LAB_FILE=ring_of_nine", ["LAB_FILE=ring_of_nine"]),
        ('SCENARIOS="default drivers" bash tests/lab_test.sh', ["SCENARIOS=drivers"]),
        ("make demo PAIRES=8", ["PAIRES="]),
        ("ansible-playbook -i $(sudo simulator/lab sheet --folder) playbooks/enrol.yml --ask-pass", []),
        ("audit.yml -e x=false; spark_desks; ansible-playbook labops.dgx_spark.audit -K", []),
    ],
)
def test_what_does_not_exist_is_named(piece: str, told: list[str]) -> None:
    assert unknown(f"`{piece}`") == told


def test_the_pages_are_where_this_looks() -> None:
    assert (
        {"README.md", "CONTRIBUTING.md", "architecture.md"} <= set(PAGES) and len(SOURCE) > 1_000_000 and Path(ROOT / "Makefile").is_file()
    )
