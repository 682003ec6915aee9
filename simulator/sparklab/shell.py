"""Running other programs: argument lists only, always with a time limit and LC_ALL=C."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from sparklab.errors import LabError


def run(argv: Sequence[str], *, stdin: str | None = None, timeout: float = 60, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program and return what it printed.

    :param timeout: seconds.
    :raises LabError: when it is missing, takes too long, or (with `check`) ends with another code than 0.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed; `simulator/lab requirements` lists what is missing.") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{_short(argv)} did not end within {timeout:g} s.") from error
    if check and done.returncode != 0:
        raise LabError(f"{_short(argv)} failed with code {done.returncode}: {last_line(done.stderr or done.stdout)}")
    return done


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def _short(argv: Sequence[str]) -> str:
    text = " ".join(argv)
    return text if len(text) <= 120 else text[:117] + "..."
