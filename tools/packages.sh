#!/usr/bin/env bash
# Install Debian or Ubuntu packages that this machine lacks (root); nothing is installed that is there.
# Without arguments: what `make test` needs. With arguments (the name of a make target, then packages): asks for YES=1 first.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
if [ $# -eq 0 ]; then
    # prometheus: the report's metrics are tested with promtool; skopeo and docker-registry: real images; libmagic1: the REUSE tool;
    # tcsh, fish, zsh: login shells that a desk may have.
    needed=(make git gnupg python3-venv openssh-client prometheus skopeo docker-registry libmagic1 shellcheck tcsh fish zsh)
    # The report's page is tested in a browser.
    command -v google-chrome >/dev/null || needed+=(chromium fonts-dejavu-core)
    target=test YES=1
else
    target=$1
    needed=("${@:2}")
fi
missing=()
for package in "${needed[@]}"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$' || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
    exit
fi
if [ -z "${YES:-}" ]; then
    echo "missing on this machine: ${missing[*]}; install them, or run YES=1 make $target" >&2
    exit 2
fi
apt-get update -q
apt-get install -qy --no-install-recommends "${missing[@]}"
