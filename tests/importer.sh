#!/usr/bin/env bash
# Run galaxy-importer on the tarball, as an upload does: importer.sh [TARBALL]. A warning counts as a failure.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PATH="$root/.venv/bin:$PATH" GALAXY_IMPORTER_CONFIG="$root/tests/importer.cfg"
unset ANSIBLE_CONFIG
tarball=${1:-}
if [ -z "$tarball" ]; then
    (cd "$root" && ansible-galaxy collection build --force --output-path "$work" >/dev/null)
    tarball=$(ls "$work"/labops-dgx_spark-*.tar.gz)
fi
tarball=$(realpath "$tarball")
cd "$work"
python -m galaxy_importer.main "$tarball" > log || { cat log; exit 1; }
if grep -E '^(WARNING|ERROR)' log; then
    echo "galaxy-importer complains (above)" >&2
    exit 1
fi
# Each role and module must have arrived with its documentation, or the importer looked past it.
python - "$root" <<'CHECK'
import json, pathlib, sys

root = pathlib.Path(sys.argv[1])
shown = {(item["content_type"], item["content_name"]): item for item in json.load(open("importer_result.json"))["docs_blob"]["contents"]}
bare = [f"role {role.name}" for role in (root / "roles").iterdir() if not (shown.get(("role", role.name)) or {}).get("readme_html")]
bare += [f"module {path.stem}" for path in (root / "plugins/modules").glob("*.py") if not (shown.get(("module", path.stem)) or {}).get("doc_strings")]
if bare:
    sys.exit("galaxy-importer found no documentation of: " + ", ".join(sorted(bare)))
CHECK
echo "importer: $(basename "$tarball") passes galaxy-importer"
