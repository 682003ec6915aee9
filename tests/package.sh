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
# From here on as somebody who has the tarball alone: an empty folder, no setting of ours.
mkdir "$work/site" && cd "$work/site"
export ANSIBLE_HOME="$work/home" HOME="$work/home"
ansible-galaxy collection install --force -p "$work/collections" "$tarball" >/dev/null
test -f "$work/collections/ansible_collections/labops/dgx_spark/MANIFEST.json"
for module in spark_facts cx7_link cx7_cable rdma_pair nccl_pair; do
    ANSIBLE_COLLECTIONS_PATH="$work/collections" ansible-doc "labops.dgx_spark.$module" | grep -q "$work/collections" ||
        { echo "ansible-doc shows another copy of $module" >&2; exit 1; }
done
ANSIBLE_COLLECTIONS_PATH="$work/collections" ansible-playbook labops.dgx_spark.new_lab > out.txt 2>&1 || { cat out.txt >&2; exit 1; }
for file in ansible.cfg .gitignore inventory/lab.desks.csv inventory/group_vars/spark_desks.yml; do
    test -f "$file" || { echo "new_lab.yml did not write $file" >&2; cat out.txt >&2; exit 1; }
done
grep -q 'ansible-playbook labops.dgx_spark.audit' out.txt || { echo "new_lab.yml does not say what comes next" >&2; cat out.txt >&2; exit 1; }
# The commands that it says, with its ansible.cfg and nothing else.
ansible-inventory --graph > out.txt 2>&1
grep -q '@pair_a' out.txt || { echo "the sample inventory is not read" >&2; cat out.txt >&2; exit 1; }
# No desk answers on port 1: the run must reach its end, name the reason, write its report and fail.
sed 's/192\.0\.2\.[0-9]*/127.0.0.1/; /desk-0[2-5]/d; s/pair_a,head//' inventory/lab.desks.csv > sheet.tmp && mv sheet.tmp inventory/lab.desks.csv
echo 'ansible_port: 1' >> inventory/group_vars/spark_desks.yml
if ansible-playbook labops.dgx_spark.enrol > out.txt 2>&1; then
    echo "enrol of an unreachable desk ended with success" >&2; cat out.txt >&2; exit 1
fi
if ansible-playbook labops.dgx_spark.audit > out.txt 2>&1; then
    echo "audit of an unreachable desk ended with success" >&2; cat out.txt >&2; exit 1
fi
newest=$(printf '%s\n' reports/2*/ | tail -1)
grep -q DESK_UNREACHABLE "$newest/report.json" || { echo "the report does not name the unreachable desk" >&2; cat out.txt >&2; exit 1; }
grep -q DESK_UNREACHABLE out.txt || { echo "the audit does not say DESK_UNREACHABLE" >&2; cat out.txt >&2; exit 1; }
if ansible-playbook labops.dgx_spark.stack_pair > out.txt 2>&1; then
    echo "stack_pair accepted an inventory without pairs" >&2; exit 1
fi
grep -q 'needs pairs' out.txt || { echo "stack_pair did not say that it needs pairs" >&2; cat out.txt >&2; exit 1; }
echo "package: built, installed, begun with new_lab.yml and run from $tarball"
