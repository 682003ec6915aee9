# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way in which a program of ours reaches a desk: some of the collection's modules as one text that needs nothing else.

The text is fed to an interpreter's standard input (``argv`` and ``feed``), or lies on the desk as a file that runs by itself. Either
way Python starts isolated (``-I``) and works in ``/``: neither the folder that a login happened to begin in nor its environment can
put a module of somebody else in the place of the standard library's.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

PYTHON = "/usr/bin/python3"
"""The system's own interpreter: it is on every DGX OS, and it outlives any virtual environment."""

SHEBANG = f"#!{PYTHON} -I\n"

HEADER = "dgx_spark_program"
BOOT = (
    "import os,sys;os.chdir('/');b=sys.stdin.buffer;"
    f"n=next(l for l in b if l.startswith(b'{HEADER} '));exec(compile(b.read(int(n.split()[1])),'{HEADER}','exec'))"
).replace("'", '"')
"""One line for ``python3 -I -c``. What comes before the header is skipped: a password that sudo did not need to read."""

ROOT = "dgx_spark"
_LOAD = """
def load():
    for name, source in SOURCES:
        module = types.ModuleType(name)
        module.__package__ = name.rpartition(".")[0]
        if source is None:
            module.__package__, module.__path__ = name, []
        sys.modules[name] = module
        parent, _dot, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
        if source is not None:
            exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)


os.chdir("/")
load()
"""


def source_of(module: ModuleType) -> str:
    """A module's source, from a file or from inside the zip that Ansible sends to the desk."""
    loader: Any = module.__loader__
    text = loader.get_source(module.__name__)
    # The loader of collections on a controller gives bytes.
    return text.decode() if isinstance(text, bytes) else str(text)


def text(modules: Sequence[ModuleType], entry: str = "main") -> str:
    """One program of some modules, in the order in which they need each other; it ends by calling ``entry`` of the last.

    ``entry`` gets the program's arguments and gives its exit code. The text is plain ASCII, a line of it for each line of a module.
    """
    parts = [SHEBANG, "# Made by the Ansible collection labops.dgx_spark from its modules. Edits are lost.\n"]
    parts += ["import os\nimport sys\nimport types\n\nSOURCES = []\n"]
    packages: list[str] = []
    for module in modules:
        name = name_of(module)
        above = name.split(".")[:-1]
        for package in (".".join(above[: count + 1]) for count in range(len(above))):
            if package not in packages:
                packages.append(package)
                parts.append(f"SOURCES.append(({package!r}, None))\n")
        lines = "".join(f"    {line!a}\n" for line in source_of(module).splitlines(keepends=True))
        parts.append(f"SOURCES.append(({name!r}, (\n{lines or '    ' + repr('') + chr(10)})))\n")
    last = name_of(modules[-1])
    return "".join([*parts, _LOAD, f"sys.exit(sys.modules[{last!r}].{entry}(sys.argv[1:]))\n"])


def name_of(module: ModuleType) -> str:
    """A module's name inside a program: what stands behind ``plugins`` in its full name."""
    return f"{ROOT}.{module.__name__.rpartition('.plugins.')[2]}"


def script(module: ModuleType) -> str:
    """A module that needs no other one as a file for a desk, to be read as well as run."""
    return SHEBANG + source_of(module)


def argv(*words: str) -> list[str]:
    """The command whose standard input is ``feed``."""
    return [PYTHON, "-I", "-c", BOOT, *words]


def feed(program: str, rest: str = "") -> str:
    """Standard input: the program, then what it reads itself."""
    return f"{HEADER} {len(program.encode())}\n{program}{rest}"
