#!/usr/bin/env bash
# Build the tarball (or take the one that is given: package.sh TARBALL), install it into an empty folder and run playbooks from there,
# asserting that the installed copy ran.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PATH="$root/.venv/bin:$PATH"
unset ANSIBLE_CONFIG
tarball=${1:-}
if [ -z "$tarball" ]; then
    (cd "$root" && ansible-galaxy collection build --force --output-path "$work" >/dev/null)
    tarball=$(ls "$work"/labops-dgx_spark-*.tar.gz)
fi
tarball=$(realpath "$tarball")
if tar tzf "$tarball" | grep -E '^(\.collections|simulator|tests|molecule|\.venv|reports|build)/' | head -3 | grep .; then
    echo "the tarball holds files that do not belong into it (above): extend build_ignore in galaxy.yml" >&2
    exit 1
fi
mkdir "$work/site" && cd "$work/site"
export ANSIBLE_COLLECTIONS_PATH="$work/collections" ANSIBLE_HOME="$work/home"
ansible-galaxy collection install --force -p "$work/collections" "$tarball" >/dev/null
test -f "$work/collections/ansible_collections/labops/dgx_spark/MANIFEST.json"
cat > inventory.yml <<'INVENTORY'
spark_desks:
  hosts:
    desk-01: {ansible_host: 127.0.0.1, ansible_port: 1}
INVENTORY
for module in spark_facts cx7_link cx7_cable rdma_pair nccl_pair; do
    ansible-doc "labops.dgx_spark.$module" | grep -q "$work/collections" || { echo "ansible-doc shows another copy of $module" >&2; exit 1; }
done
# No desk answers on port 1: the run must reach its end, name the reason, write its report and fail.
if ansible-playbook -i inventory.yml labops.dgx_spark.audit > out.txt 2>&1; then
    echo "audit of an unreachable desk ended with success" >&2; cat out.txt >&2; exit 1
fi
grep -q DESK_UNREACHABLE reports/*/report.json || { echo "the report does not name the unreachable desk" >&2; cat out.txt >&2; exit 1; }
if ansible-playbook -i inventory.yml labops.dgx_spark.stack_pair > out.txt 2>&1; then
    echo "stack_pair accepted an inventory without pairs" >&2; exit 1
fi
grep -q 'needs pairs' out.txt || { echo "stack_pair did not say that it needs pairs" >&2; cat out.txt >&2; exit 1; }
echo "package: built, installed and run from $tarball"
