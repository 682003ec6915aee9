"""Refuse code that would let a login user run as root, or that trusts a name in a folder which everybody may write to.

python3 tools/check_programs.py   exit 1 with a line for each place

Looks at what reaches desks: plugins, roles and playbooks. Three rules:

1. Python is started isolated (``-I``): else it takes modules from the folder that it is started in, which is the login user's home.
2. A process is started in ``/`` (``cwd``), for the same reason; code that runs on the controller alone is left out.
3. No fixed name in /tmp, /var/tmp or /dev/shm: somebody else may have made it first.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("plugins", "roles", "playbooks")
ON_THE_CONTROLLER = ("plugins/action", "plugins/callback", "plugins/inventory", "plugins/plugin_utils")
ON_DESKS_TOO = ("plugins/plugin_utils/enrol_program.py",)

PYTHON = re.compile(r"(?:.*/)?python[0-9.]*")
COMMAND = re.compile(r"(?:^|[\s=\"'!/])python[0-9.]*[ \t]+(?!-I\b)(?=[-/{\w.])")
"""Python with an argument that is not -I, in a text that is a command: a unit, a script, a line for a shell."""
COMMAND_PLACES = re.compile(r"^(?:#!|Exec\w+=|\s*exec )|^(?:/usr/bin/)?python[0-9.]* ", re.MULTILINE)
SHARED = re.compile(r"(?:^|=)(?:/tmp|/var/tmp|/dev/shm)/(?=[^/\s])")
"""Also where somebody is told to set a variable."""
NAMES = ("PYTHON", "executable")
PROCESSES = ("run", "Popen", "check_output", "check_call", "call")


def problems(text: str, name: str) -> Iterator[tuple[int, str]]:
    """Line number and what is wrong there, in a Python file."""
    tree = ast.parse(text, name)
    quiet = _documentation(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.List, ast.Tuple)):
            yield from _isolated(node)
        elif isinstance(node, ast.Call) and _is_process(node) and _on_desks(name):
            if not any(word.arg == "cwd" for word in node.keywords):
                yield node.lineno, 'a process is started without cwd; give it cwd="/"'
        elif isinstance(node, ast.JoinedStr):
            quiet.update(id(value) for value in node.values)
            yield from _texts(node.lineno, "".join(str(item.value) if isinstance(item, ast.Constant) else "{}" for item in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in quiet:
            yield from _texts(node.lineno, node.value)
    first = text.split("\n", 1)[0]
    if first.startswith("#!") and "python" in first and not name.startswith("plugins/modules/") and " -I" not in first:
        yield 1, "a script is started without -I"


def _documentation(tree: ast.AST) -> set[int]:
    """Constants that are prose: docstrings, and what ansible-doc shows."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            found |= {id(node.value)} if set(names) & {"DOCUMENTATION", "EXAMPLES", "RETURN"} else set()
    return found


def _isolated(node: ast.List | ast.Tuple) -> Iterator[tuple[int, str]]:
    """Argument lists in which Python is not followed by -I."""
    for here, after in zip(node.elts, [*node.elts[1:], None], strict=False):
        word = here.value if isinstance(here, ast.Constant) and isinstance(here.value, str) else None
        named = (isinstance(here, ast.Name) and here.id in NAMES) or (isinstance(here, ast.Attribute) and here.attr in NAMES)
        if not named and not (word and PYTHON.fullmatch(word) and after is not None):
            continue
        if not (isinstance(after, ast.Constant) and after.value == "-I"):
            yield node.lineno, "Python is started without -I as its first argument"


def _is_process(node: ast.Call) -> bool:
    called = node.func
    owner = called.value if isinstance(called, ast.Attribute) else None
    return isinstance(called, ast.Attribute) and called.attr in PROCESSES and isinstance(owner, ast.Name) and owner.id == "subprocess"


def _on_desks(name: str) -> bool:
    return name in ON_DESKS_TOO or not name.startswith(ON_THE_CONTROLLER)


def _texts(line: int, text: str) -> Iterator[tuple[int, str]]:
    """What is wrong in one text. A placeholder in the first name below a shared folder is taken for a random part."""
    if COMMAND_PLACES.search(text) and any(COMMAND.search(part) for part in text.splitlines() if COMMAND_PLACES.search(part)):
        yield line, "a command starts Python without -I"
    rest = SHARED.search(text)
    if rest is not None and "{}" not in text[rest.end() :].split("/")[0]:
        yield line, f"{text[:60]!r} is a fixed name in a folder that everyone may write to"


PROSE = ("msg", "fail_msg", "success_msg", "description", "short_description", "name")
"""Keys of YAML whose values are told to people and run nowhere."""


def prose_lines(text: str) -> set[int]:
    """Lines of a YAML text that belong to the value of a key of `PROSE`; none when it is no YAML."""
    found: set[int] = set()

    def look(node: yaml.Node | None, told: bool) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                look(value, told or (isinstance(key, yaml.ScalarNode) and key.value in PROSE))
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                look(item, told)
        elif isinstance(node, yaml.ScalarNode) and told:
            found.update(range(node.start_mark.line + 1, node.end_mark.line + 2))

    try:
        look(yaml.compose(text, Loader=yaml.SafeLoader), False)
    except yaml.YAMLError:
        return set()
    return found


def yaml_problems(text: str) -> Iterator[tuple[int, str]]:
    """The same for tasks, templates and scripts: Python started by a command line, fixed names."""
    quiet = prose_lines(text)
    for number, line in enumerate(text.splitlines(), start=1):
        if number in quiet or (line.lstrip().startswith("#") and not line.startswith("#!")):
            continue
        bare = line.startswith("#!") and "python" in line and " -I" not in line
        if bare or COMMAND.search(line):
            yield number, "a command starts Python without -I"
        if re.search(r"(?:^|[\s\"':=])(?:/tmp|/var/tmp|/dev/shm)/[A-Za-z0-9_.-]", line):
            yield number, "a fixed name in a folder that everyone may write to"


def check(root: Path) -> list[str]:
    """Every problem below a checkout, as ``file:line: what``."""
    found = []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if not path.is_file() or path.suffix in (".md", ".pyc") or "__pycache__" in path.parts or path.is_symlink():
                continue
            name = path.relative_to(root).as_posix()
            if name.startswith("playbooks/collections/"):
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            lines = problems(text, name) if path.suffix == ".py" else yaml_problems(text)
            found += [f"{name}:{number}: {what}" for number, what in lines]
    return found


def main() -> int:
    """Print what is wrong."""
    found = check(ROOT)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
