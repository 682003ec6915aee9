#!/bin/sh
# Make or refresh a virtual environment: venv.sh FOLDER REQUIREMENTS PYTHON_VERSION...
# It is made again only when the requirements or the interpreter changed, and only counts once it is complete.
set -eu
cd "$(dirname "$0")/.."
folder=$1 requirements=$2
shift 2
if ! python=$(sh tools/find_python.sh "$@"); then
    echo "No Python of version $* with venv was found. Install one (Debian: apt-get install python3 python3-venv) and run this again." >&2
    exit 1
fi
stamp="$python $(cat requirements.txt "$requirements" | sha256sum | cut -c1-16)"
if [ "$(cat "$folder/.complete" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi
echo "Making $folder with $python"
rm -rf "$folder"
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
echo "$stamp" > "$folder/.complete"
