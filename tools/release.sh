#!/usr/bin/env bash
# Build, check and sign a release of the committed tree: release.sh [--trial] KEY
# KEY is the fingerprint of a gpg key (GNUPGHOME says where). build/release/ then holds everything that is to be published. Nothing is uploaded.
# --trial is for tests/release.sh: it also takes a tree that is not ready for a release, and leaves out what other make targets check.
set -euo pipefail
cd "$(dirname "$0")/.."
trial=
if [ "${1:-}" = --trial ]; then trial=1; shift; fi
key=${1:-}
refuse() { echo "no release: $1" >&2; exit 1; }
[ -n "$key" ] || refuse "say which key signs it, with its fingerprint: make release KEY=..."
gpg --batch --list-secret-keys "$key" >/dev/null 2>&1 || refuse "gpg has no secret key $key"
version=$(sed -n 's/^version: //p' galaxy.yml)
if [ -z "$trial" ]; then
    [ -z "$(git status --porcelain)" ] || refuse "the tree has changes that are not committed"
    if ls changelogs/fragments/*.y*ml >/dev/null 2>&1; then refuse "changelogs/fragments/ is not empty: make changelog, read it, commit"; fi
    grep -q "^  $version:$" changelogs/changelog.yaml || refuse "changelogs/changelog.yaml has no $version: make changelog"
    git rev-parse --quiet --verify "refs/tags/v$version" >/dev/null && refuse "the tag v$version exists: raise version in galaxy.yml"
fi
python tools/check_changelog.py
python tools/check_locks.py

out=$PWD/build/release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$out"
mkdir -p "$out" "$work/source" "$work/tree" "$work/check"
# ansible-sign asks gpg for a terminal, also where none is needed.
export GPG_TTY=${GPG_TTY:-/dev/null}
unset ANSIBLE_CONFIG

# What ships is signed inside the tarball (ansible-sign), so the tree that is signed has to be the one that ships: build, unpack, sign, build again.
git archive HEAD | tar --extract --directory "$work/source"
build() { ansible-galaxy collection build --force --output-path "$2" "$1" >/dev/null; }
build "$work/source" "$work"
tar --extract --directory "$work/tree" --file "$work"/labops-dgx_spark-"$version".tar.gz
rm "$work"/tree/{MANIFEST,FILES}.json
cp "$work/source/galaxy.yml" "$work/tree/"
cat > "$work/tree/MANIFEST.in" <<'MANIFEST'
global-include *
global-exclude *.pyc
exclude MANIFEST.json FILES.json galaxy.yml
prune .ansible-sign
MANIFEST
ansible-sign --nocolor project gpg-sign --fingerprint "$key" "$work/tree" >/dev/null
build "$work/tree" "$out"
tarball=$out/labops-dgx_spark-$version.tar.gz
tar --extract --to-stdout --file "$tarball" MANIFEST.json > "$out/MANIFEST.json"
python tools/sbom.py "$tarball" > "$out/labops-dgx_spark-$version.cdx.json"
if [ -z "$trial" ]; then
    GALAXY_IMPORTER_RUN_ANSIBLE_LINT=true bash tests/importer.sh "$tarball"
    bash tests/package.sh "$tarball"
fi

# Galaxy and `ansible-galaxy collection verify --signature` take the signature of MANIFEST.json; the others are for people.
cd "$out"
sha256sum -- *.tar.gz *.cdx.json > SHA256SUMS
for file in *.tar.gz *.cdx.json SHA256SUMS MANIFEST.json; do
    gpg --batch --yes --local-user "$key" --armor --detach-sign "$file"
done

# Look at it as somebody who has the public key and nothing else.
mkdir -m 700 "$work/gnupg"
gpg --batch --armor --export "$key" > "$out/key.asc"
export GNUPGHOME=$work/gnupg
gpg --batch --quiet --no-default-keyring --keyring "$work/keyring.kbx" --import key.asc
for file in *.tar.gz *.cdx.json SHA256SUMS MANIFEST.json; do
    gpg --batch --quiet --no-default-keyring --keyring "$work/keyring.kbx" --verify "$file.asc" "$file" 2>/dev/null ||
        refuse "the signature of $file does not verify"
done
ansible-galaxy collection install --force --collections-path "$work/check" "$tarball" >/dev/null
ansible-galaxy collection verify --offline --keyring "$work/keyring.kbx" --signature "file://$out/MANIFEST.json.asc" \
    --required-valid-signature-count +1 --collections-path "$work/check" labops.dgx_spark >/dev/null
ansible-sign --nocolor project gpg-verify --keyring "$work/keyring.kbx" "$work/check/ansible_collections/labops/dgx_spark" >/dev/null
rm MANIFEST.json

cat <<DONE
release: build/release/ holds $version, signed by $key.
A person does the rest:
  git tag -s v$version && git push origin v$version
  ansible-galaxy collection publish build/release/$(basename "$tarball")
  publish *.asc, *.cdx.json and SHA256SUMS beside the tarball in the forge's release
DONE
