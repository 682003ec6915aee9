"""Login shells that people have. Those that this machine lacks are told as skipped."""

from __future__ import annotations

import shutil

import pytest

LOGIN_SHELLS = [
    pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed here"))
    for name in ("sh", "bash", "dash", "zsh", "tcsh", "fish")
]
