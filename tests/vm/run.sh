#!/usr/bin/env bash
# Real RDMA, real kernels, real tools: two virtual machines with soft-RoCE, see docs/simulator.md. Takes half an hour where the processor is
# imitated (no KVM). LAB names the lab (default vm), KEEP=1 leaves it up, IMAGE=bookworm takes the older tools, SELECT is
# what pytest's -k takes.
set -euo pipefail
cd "$(dirname "$0")/../.."
export LAB=${LAB:-vm} PATH="$PWD/.venv/bin:$PATH"
began=$SECONDS
simulator/lab requirements --install --engine qemu ${YES:+--yes}
cleanup() { [ -n "${KEEP:-}" ] || simulator/lab down; }
trap cleanup EXIT
simulator/lab up witness --engine qemu ${IMAGE:+--image "$IMAGE"}
echo "vm-test: the machines answer after $((SECONDS - began)) s"
python -m pytest -q -rA ${SELECT:+-k "$SELECT"} tests/vm
echo "vm-test: $((SECONDS - began)) s in all"
