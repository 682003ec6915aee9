#!/usr/bin/env bash
# Tests on simulated desks: the lab's own tests, then every molecule scenario, all on one shared lab.
# LAB names the lab (default test), KEEP=1 leaves it up.
set -euo pipefail
cd "$(dirname "$0")/.."
export LAB=${LAB:-test} PATH="$PWD/.venv/bin:$PATH"
simulator/lab requirements --install ${YES:+--yes}
cleanup() { [ -n "${KEEP:-}" ] || simulator/lab --lab "$LAB" down; }
trap cleanup EXIT
simulator/lab --lab "$LAB" up --enrolled
python -m pytest -q tests/lab
molecule test --all --report
