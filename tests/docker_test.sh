#!/usr/bin/env bash
# The lab on Docker in place of podman: the demo, then the lab's own tests. Debian's docker.io is enough; a daemon is started where none answers
# (without networks of its own: desks get theirs from the lab) and stopped again. YES=1: install what this machine lacks without asking.
set -euo pipefail
cd "$(dirname "$0")/.."
export ENGINE=docker LAB=${LAB:-docker} PATH="$PWD/.venv/bin:$PATH"
simulator/lab requirements --install --engine docker ${YES:+--yes}
place=/var/lib/spark-lab-docker
daemon=
stop() {
    simulator/lab --lab "$LAB" down || true
    if [ -n "$daemon" ]; then
        kill "$daemon" || true
        wait "$daemon" || true
    fi
}
trap stop EXIT
if ! docker info > /dev/null 2>&1; then
    mkdir -p "$place"
    dockerd --data-root "$place/data" --exec-root "$place/exec" --pidfile "$place/pid" --bridge none --iptables=false --ip-masq=false \
        > "$place/log" 2>&1 &
    daemon=$!
    for _ in $(seq 60); do docker info > /dev/null 2>&1 && break; sleep 1; done
    docker info > /dev/null || { echo "Docker's daemon does not start; its last words:" >&2; tail -5 "$place/log" >&2; exit 1; }
fi
KEEP=0 PAIRS=${PAIRS:-1} bash tools/demo.sh
SCENARIOS=" " bash tests/lab_test.sh
