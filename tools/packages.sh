#!/usr/bin/env bash
# Install what `make test` needs of a Debian or Ubuntu machine (root). Nothing is installed that is there.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
# prometheus: the report's metrics are tested with promtool; skopeo and docker-registry: real images; libmagic1: the REUSE tool;
# tcsh, fish, zsh: login shells that a desk may have.
needed=(make git gnupg python3-venv openssh-client prometheus skopeo docker-registry libmagic1 shellcheck tcsh fish zsh)
# The report's page is tested in a browser.
command -v google-chrome >/dev/null || needed+=(chromium fonts-dejavu-core)
missing=()
for package in "${needed[@]}"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
    apt-get update -q
    apt-get install -qy --no-install-recommends "${missing[@]}"
fi
