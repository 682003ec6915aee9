#!/usr/bin/env bash
# Tests on simulated desks: the lab's own tests, then molecule scenarios, all on one shared lab.
# LAB names the lab (default test), KEEP=1 leaves it up. SCENARIOS names the molecule scenarios, or all.
# The default list is what fits into the time of every change; `make lab-test-all` runs the long ones too.
set -euo pipefail
cd "$(dirname "$0")/.."
export LAB=${LAB:-test} PATH="$PWD/.venv/bin:$PATH"
SCENARIOS=${SCENARIOS:-default driver}
simulator/lab requirements --install ${YES:+--yes}
cleanup() { [ -n "${KEEP:-}" ] || simulator/lab --lab "$LAB" down; }
trap cleanup EXIT
simulator/lab --lab "$LAB" up --enrolled
python -m pytest -q tests/lab
if [ "$SCENARIOS" = all ]; then
    molecule test --all --report
else
    for scenario in $SCENARIOS; do
        molecule test --scenario-name "$scenario"
    done
fi
