#!/usr/bin/env bash
# The demo: boxed simulated desks, enrolled from a lab sheet, audited, stacked, tested and reported, then the same again to show that
# nothing changes. It may be ended at any point and started again.
set -euo pipefail
cd "$(dirname "$0")/.."
LAB=${LAB:-demo} PAIRS=${PAIRS:-2} LAB_FILE=${LAB_FILE:-} ENGINE=${ENGINE:-} KEEP=${KEEP:-1}
export LAB
say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
run() {
    printf '$ ansible-playbook -i %s playbooks/%s\n' "$folder" "$1"
    ansible-playbook -i "$folder" "playbooks/$1"
}

needs=(requirements --desks "$((PAIRS * 2))")
[ -n "$ENGINE" ] && needs+=(--engine "$ENGINE")
if ! simulator/lab "${needs[@]}" >/dev/null; then
    say "What this machine lacks"
    simulator/lab "${needs[@]}" --install
fi

if [ -n "$LAB_FILE" ]; then
    say "Starting the simulated desks of $LAB_FILE, as they come out of their boxes (lab $LAB)"
else
    say "Starting $((PAIRS * 2)) simulated desks in $PAIRS pairs, as they come out of their boxes (lab $LAB)"
fi
arguments=(--lab "$LAB" up)
[ -n "$ENGINE" ] && arguments+=(--engine "$ENGINE")
if [ -n "$LAB_FILE" ]; then
    arguments+=("$LAB_FILE")
elif [ "$PAIRS" -ne 2 ]; then
    arguments+=(--pairs "$PAIRS")
fi
simulator/lab "${arguments[@]}"

# What an admin has beside the boxes: a sheet (address, pair, serial number) and the passwords, each in its place.
folder=$(simulator/lab --lab "$LAB" sheet --folder)
say "The lab sheet: $folder/lab.desks.csv"
cat "$folder/lab.desks.csv"

say "Enrol: first contact with passwords; from here on every login is with a key and a checked host key"
run enrol.yml

say "Audit: what are these desks? (read-only)"
run audit.yml

say "Stack"
first=0
run stack_pair.yml || first=$?
if [ "$first" -ne 0 ]; then
    echo
    echo "The run ended with exit code $first: see the reasons above. The lab is still up; simulator/lab --lab $LAB status shows it."
    exit "$first"
fi

say "Again: the second run changes nothing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run stack_pair.yml | tee "$log"
if grep -E 'changed=[1-9]' "$log"; then
    echo "The second run changed something (above); it must not." >&2
    exit 1
fi

say "Done"
cat <<TEXT
The report:            $(printf '%s\n' reports/*/ | tail -1)index.html
Break something:       simulator/lab --lab $LAB cable pull cable-1
                       LAB=$LAB ansible-playbook -i inventories/simulated playbooks/stack_pair.yml
Look into a desk:      simulator/lab --lab $LAB ssh desk-01
Remove everything:     make demo-down
TEXT
if [ "$KEEP" = 0 ]; then simulator/lab --lab "$LAB" down; fi
