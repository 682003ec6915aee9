"""The lint that keeps a login user from running as root: what it refuses, what it lets pass, and that the tree passes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SPEC = importlib.util.spec_from_file_location("check_programs", ROOT / "tools/check_programs.py")
assert SPEC is not None and SPEC.loader is not None
lint = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(lint)

ON_DESKS = "plugins/module_utils/x.py"


def test_the_tree_passes() -> None:
    assert lint.check(ROOT) == []


@pytest.mark.parametrize(
    "code",
    [
        'run([PYTHON, "-", *words])',
        "run([carrier.PYTHON, path])",
        'argv = ["sudo", "python3", "-c", text]',
        'argv = ("/usr/bin/python3.12", "-E", "x.py")',
        "argv = [sys.executable, path]",
        'UNIT = "[Service]\\nExecStart=/usr/bin/python3 /var/lib/x.py undo\\n"',
        'TEXT = f"ExecStart=/usr/bin/python3 {path}\\n"',
        'SCRIPT = "#!/usr/bin/python3 -E\\nimport os\\n"',
        'line = f"python3 {path} --all"',
        'subprocess.run(["id"], check=False)',
        'subprocess.Popen(["id"])',
        'FOLDER = "/var/tmp/dgx_spark_nccl"',
        'path = f"/tmp/fixed/{name}"',
        'path = "/dev/shm/x"',
        'remedy = "Then export FOLDER=/tmp/cp."',
    ],
)
def test_it_refuses(code: str) -> None:
    assert list(lint.problems(code + "\n", ON_DESKS)), code


@pytest.mark.parametrize(
    "code",
    [
        'run([PYTHON, "-I", "-c", BOOT, *words])',
        'packages = ["python3", "-I"]',
        'names = ["make", "python3"]',
        'subprocess.run(["id"], cwd="/", check=False)',
        'path = f"/tmp/dgx-spark-{token}/x"',
        'tempfile.mkdtemp(dir="/var/tmp")',
        'UNIT = "ExecStart=/usr/bin/python3 -I /var/lib/x.py undo"',
        'DOCUMENTATION = "archive: /var/tmp/bundle.tar.gz"',
        'said = "python3-yaml is not installed"',
        'def f():\n    """Started as python3 x.py in /tmp/x."""\n',
    ],
)
def test_it_lets_pass(code: str) -> None:
    assert not list(lint.problems(code + "\n", ON_DESKS)), code


def test_a_process_of_the_controller_may_start_where_the_admin_is() -> None:
    code = 'subprocess.run(["ssh"], check=False)\n'
    assert not list(lint.problems(code, "plugins/plugin_utils/ssh_door.py"))
    assert list(lint.problems(code, "plugins/plugin_utils/enrol_program.py"))


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("  ansible.builtin.command: python3 /opt/x.py", True),
        ("  dest: /tmp/bundle.tar.gz", True),
        ("ExecStart=/usr/bin/python3 /opt/x.py", True),
        ("#!/usr/bin/python3", True),
        ("#!/usr/bin/python3 -I", False),
        ("  ansible.builtin.command: /usr/bin/python3 -I /opt/x.py", False),
        ("  # python3 x.py in /tmp/x", False),
        ("ansible_python_interpreter: /usr/bin/python3", False),
        ('msg: ["Replay it: python3 tests/replay.py x"]', False),
        ('cmd: "python3 tests/replay.py x"', True),
    ],
)
def test_tasks_and_scripts(line: str, bad: bool) -> None:
    assert bool(list(lint.yaml_problems(line))) is bad
