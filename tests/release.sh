#!/usr/bin/env bash
# A release of the committed tree with a throw-away key: it must be complete, verify with the public key alone, and notice what was changed afterwards.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
export PATH="$root/.venv/bin:$PATH" GNUPGHOME=$work/gnupg GPG_TTY=/dev/null
trap 'gpgconf --kill all; rm -rf "$work"' EXIT
mkdir -m 700 "$GNUPGHOME"
fail() { echo "release: $1" >&2; exit 1; }
gpg --batch --quiet --passphrase '' --quick-generate-key 'Throw-away <release@example.org>' ed25519 sign 1d
key=$(gpg --batch --list-secret-keys --with-colons | awk -F: '$1 == "fpr" {print $10; exit}')
cd "$root"
bash tools/release.sh > "$work/refused" 2>&1 && fail "a release without a key was made"
grep -q 'KEY=' "$work/refused" || fail "the refusal does not say what to set"
bash tools/release.sh --trial "$key"
cd build/release
version=$(sed -n 's/^version: //p' "$root/galaxy.yml")
for file in "labops-dgx_spark-$version".{tar.gz,tar.gz.asc,cdx.json,cdx.json.asc} SHA256SUMS SHA256SUMS.asc MANIFEST.json.asc key.asc; do
    [ -s "$file" ] || fail "build/release/$file is missing"
done
sha256sum --quiet --check SHA256SUMS
# Changed after it was signed: outside, and inside.
cp "labops-dgx_spark-$version.tar.gz" "$work/changed.tar.gz"
printf x >> "$work/changed.tar.gz"
gpg --batch --verify "labops-dgx_spark-$version.tar.gz.asc" "$work/changed.tar.gz" 2>/dev/null && fail "a changed tarball verifies"
mkdir "$work/tree"
tar --extract --directory "$work/tree" --file "labops-dgx_spark-$version.tar.gz"
gpg --batch --export "$key" > "$work/keyring.gpg"
verify() { ansible-sign --nocolor project gpg-verify --keyring "$work/keyring.gpg" "$work/tree" >/dev/null 2>&1; }
verify || fail "what ships does not verify with ansible-sign"
echo '# changed' >> "$work/tree/plugins/modules/cx7_link.py"
verify && fail "a changed module verifies with ansible-sign"
rm -rf "$root/build/release"
echo "release: built, signed and verified with a throw-away key"
