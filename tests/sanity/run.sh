#!/usr/bin/env bash
# ansible-test sanity on a copy of what ships, without containers and without any ignore entry.
# Usage: run.sh VENV PYTHON_VERSION
# The copy is needed because ansible-test wants a real .../ansible_collections/NAMESPACE/NAME; a tree of links would make it find no files.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$root/$1 python=$2
# Outside the checkout: inside it, ansible-test would ask git, be told that the copy is ignored, and skip everything.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
copy=$work/ansible_collections/labops/dgx_spark
mkdir -p "$copy"
cd "$root"
git ls-files -z --cached --others --exclude-standard -- . ':!.collections' ':!playbooks/collections' ':!simulator' ':!molecule' ':!.ci' ':!tests/recordings' ':!inventories/simulated' |
    while IFS= read -r -d '' file; do if [ -e "$file" ]; then printf '%s\0' "$file"; fi; done |
    tar --null --create --no-recursion --files-from=- | tar --extract --directory="$copy"
# ansible-test downloads a pip bootstrap from a host that a closed network does not reach; the interpreter's own copy serves as well.
cache=$HOME/.ansible/test/cache
mkdir -p "$cache"
for name in get_pip_24_2.py get_pip_25_2.py; do
    [ -e "$cache/$name" ] || printf 'import ensurepip\nensurepip.bootstrap()\n' > "$cache/$name"
done
cd "$copy"
# Folders of version managers' shims must not be on PATH: ansible-test would run what they only pretend to offer.
clean=$(echo "$PATH" | tr ':' '\n' | grep -v '/shims$' | paste -sd:)
interpreter=$(readlink -f "$venv/bin/python")
PATH="$venv/bin:$(dirname "$interpreter"):$clean" LC_ALL=C.UTF-8 \
    "$venv/bin/ansible-test" sanity --venv --python "$python" --color no 2>&1 | tee "$work/log"
if grep -q 'All targets skipped' "$work/log"; then
    echo "ansible-test found no files to check: a green result would mean nothing" >&2
    exit 1
fi
