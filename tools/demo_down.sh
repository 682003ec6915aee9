#!/usr/bin/env bash
# Remove what make demo made: the lab's containers, networks and state, by their recorded ids.
set -euo pipefail
cd "$(dirname "$0")/.."
simulator/lab --lab "${LAB:-demo}" down
echo "The virtual environments and reports of this folder are left; make clean removes the former."
simulator/lab requirements
