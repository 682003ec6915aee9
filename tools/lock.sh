#!/usr/bin/env bash
# Resolve the requirements*.txt again and pin every package with the hashes of all its files: lock.sh [UV OPTION]...
# `lock.sh --upgrade` takes the newest versions that the requirements admit; without it, pins stay where they still fit.
# One lock file serves every Python and processor: what differs carries a marker.
set -euo pipefail
cd "$(dirname "$0")/.."
export UV_CUSTOM_COMPILE_COMMAND="make lock"
without=()
while read -r name; do without+=(--no-emit-package "$name"); done < <(grep -oE '^[a-z0-9-]+' requirements-source.txt)
compile=(uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links)
"${compile[@]}" "$@" requirements.txt --output-file requirements.lock
"${compile[@]}" "$@" requirements-dev.txt --constraints requirements.lock "${without[@]}" --output-file requirements-dev.lock
"${compile[@]}" "$@" requirements-source.txt --no-deps --output-file requirements-source.lock
# A source archive would need a compiler on the machine that installs it, so every other package must have a wheel wherever we support it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in 3.11 3.12 3.13; do
    for processor in x86_64 aarch64; do
        for lock in requirements.lock requirements-dev.lock; do
            uv pip install --quiet --dry-run --only-binary :all: --require-hashes --target "$work" \
                --python-version "$python" --python-platform "$processor-manylinux_2_28" --requirements "$lock" ||
                { echo "$lock cannot be installed from wheels alone on Python $python, $processor (above)" >&2; exit 1; }
        done
    done
done
echo "requirements.lock and requirements-dev.lock: wheels with hashes for Python 3.11, 3.12 and 3.13 on x86_64 and aarch64"
