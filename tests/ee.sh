#!/usr/bin/env bash
# The collection in an execution environment: ansible-builder finds what it needs, and makes a build context of it.
# ee.sh --build (root, podman, mmdebstrap; minutes) also builds the image on a base of Debian packages and audits from a container of it.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PATH="$root/.venv/bin:$PATH"
unset ANSIBLE_CONFIG
fail() { echo "ee: $1" >&2; exit 1; }
(cd "$root" && ansible-galaxy collection build --force --output-path "$work" >/dev/null)
mv "$work"/labops-dgx_spark-*.tar.gz "$work/labops-dgx_spark.tar.gz"
cp "$root/tests/ee/execution-environment.yml" "$root/requirements.lock" "$work/"
cd "$work"

ANSIBLE_HOME=$work/home ansible-galaxy collection install -p collections labops-dgx_spark.tar.gz >/dev/null 2>&1
ansible-builder introspect --write-pip pip.txt --write-bindep bindep.txt collections >/dev/null
for name in jinja2 paramiko pyelftools; do grep -qi "^$name" pip.txt || fail "introspection does not find the Python package $name"; done
for name in openssh-client skopeo; do grep -q "^$name" bindep.txt || fail "introspection does not find the program of $name"; done
grep -q 'rich' pip.txt || fail "introspection does not find the Python package rich"
ansible-builder create --file execution-environment.yml --context context --output-filename Containerfile >/dev/null
grep -q 'require-hashes' context/Containerfile || fail "the build context installs Python packages without hashes"
if [ "${1:-}" != --build ]; then
    echo "ee: introspection and build context are right"
    exit 0
fi

# The base: Debian packages, the machine's own certificates (a network may have some), and a Python that pip may write to.
# shellcheck disable=SC2016  # mmdebstrap's own $1
mmdebstrap --quiet --variant=minbase --mode=root --include=python3,python3-pip,python3-venv,ca-certificates \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --customize-hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED' \
    --customize-hook='cp -L /etc/ssl/certs/ca-certificates.crt "$1"/etc/ssl/certs/ca-certificates.crt' \
    trixie base.tar http://deb.debian.org/debian
podman import --quiet --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' --change 'ENV PIP_ROOT_USER_ACTION=ignore' \
    base.tar localhost/dgx-spark-ee-base:latest >/dev/null
podman build --quiet --isolation chroot --network host --file context/Containerfile --tag localhost/dgx-spark-ee:test context

# runc and limits of our own: what containers get otherwise is refused where root has no CAP_SYS_RESOURCE.
inside() { podman --runtime runc run --rm --network none --ulimit nofile=20000:20000 --ulimit nproc=32768:32768 --volume "$work/site:/runner:z" --workdir /runner localhost/dgx-spark-ee:test "$@"; }
# Its user is not root.
mkdir --mode=0777 site
chmod 0755 "$work"
printf 'spark_desks:\n  hosts:\n    desk-01: {ansible_host: 127.0.0.1, ansible_port: 1}\n' > site/inventory.yml
inside ansible-doc --list --type module labops.dgx_spark | grep -q cx7_link || fail "the collection is not in the image"
inside sh -c 'skopeo --version && ssh -V' >/dev/null 2>&1 || fail "skopeo or ssh is not in the image"
# Nobody answers on port 1: the run must reach its end, name the reason and leave its report in the folder that is mounted.
if inside ansible-playbook -i inventory.yml labops.dgx_spark.audit > out.txt 2>&1; then fail "audit of an unreachable desk ended with success"; fi
grep -q DESK_UNREACHABLE site/reports/*/report.json || { cat out.txt >&2; fail "the report does not name the unreachable desk"; }
podman rmi --force localhost/dgx-spark-ee:test localhost/dgx-spark-ee-base:latest >/dev/null
echo "ee: built, and an audit ran in it"
