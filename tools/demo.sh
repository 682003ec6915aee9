#!/usr/bin/env bash
# The demo: simulated desks (with a key login already), audited, stacked, tested and reported, then the same again to show that nothing changes.
set -euo pipefail
cd "$(dirname "$0")/.."
LAB=${LAB:-demo} PAIRS=${PAIRS:-2} ENGINE=${ENGINE:-}
export LAB
say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

say "Starting $((PAIRS * 2)) simulated desks in $PAIRS pairs (lab $LAB)"
arguments=(--lab "$LAB" up --enrolled)
[ -n "$ENGINE" ] && arguments+=(--engine "$ENGINE")
if [ "$PAIRS" -ne 2 ]; then arguments+=(--pairs "$PAIRS"); fi
simulator/lab "${arguments[@]}"

say "Audit: what are these desks? (read-only)"
ansible-playbook -i inventories/simulated playbooks/audit.yml

say "Stack: ansible-playbook -i inventories/simulated playbooks/stack_pair.yml"
first=0
ansible-playbook -i inventories/simulated playbooks/stack_pair.yml || first=$?
if [ "$first" -ne 0 ]; then
    echo
    echo "The run ended with exit code $first: see the reasons above. The lab is still up; simulator/lab --lab $LAB status shows it."
    exit "$first"
fi

say "Again: the second run changes nothing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
ansible-playbook -i inventories/simulated playbooks/stack_pair.yml | tee "$log"
if grep -E 'changed=[1-9]' "$log"; then
    echo "The second run changed something (above); it must not." >&2
    exit 1
fi

say "Done"
cat <<TEXT
The report:            $(ls -d reports/*/ | tail -1)index.html
Break something:       simulator/lab --lab $LAB cable pull cable-1
                       ansible-playbook -i inventories/simulated playbooks/stack_pair.yml
Look into a desk:      simulator/lab --lab $LAB ssh desk-01
Remove everything:     make demo-down
TEXT
if [ -z "${KEEP:-1}" ]; then simulator/lab --lab "$LAB" down; fi
