#!/bin/sh
# Make or refresh a virtual environment: venv.sh FOLDER PYTHON_VERSION...
# It holds exactly what requirements-dev.lock and requirements-source.lock pin, each file compared with its hash. It is made again only
# when a lock or the interpreter changed, and only counts once it is complete.
set -eu
cd "$(dirname "$0")/.."
folder=$1
shift
if ! python=$(sh tools/find_python.sh "$@"); then
    echo "No Python of version $* with venv was found. Install one (Debian: apt-get install python3 python3-venv) and run this again." >&2
    exit 1
fi
stamp="$python $(cat requirements-dev.lock requirements-source.lock | sha256sum | cut -c1-16)"
if [ "$(cat "$folder/.complete" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi
echo "Making $folder with $python"
rm -rf "$folder"
"$python" -m venv "$folder"
# pip fetches uv, uv the rest: it needs a twentieth of pip's processor time.
awk '/^uv==/ {on = 1} on {print} on && !/\\$/ {exit}' requirements-dev.lock > "$folder/uv.lock"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes --requirement "$folder/uv.lock"
install() { "$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --no-deps --require-hashes "$@"; }
install --only-binary :all: --requirements requirements-dev.lock
install --no-build-isolation --requirements requirements-source.lock
echo "$stamp" > "$folder/.complete"
