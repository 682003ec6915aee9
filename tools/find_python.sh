#!/bin/sh
# Print the path of a real Python interpreter of the first version given that is found (such as 3.13 3.12), or nothing.
# Shims of version managers are left out (slow, and they confuse ansible-test), and so are virtual environments: what is
# about to be made again must not be made from itself.
for version in "$@"; do
    for folder in $(echo "$PATH" | tr ':' ' ') "$HOME"/.pyenv/versions/"$version"*/bin; do
        candidate="$folder/python$version"
        case "$folder" in */shims) continue ;; esac
        if [ -x "$candidate" ] && "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.prefix != sys.base_prefix)' 2>/dev/null; then
            echo "$candidate"
            exit 0
        fi
    done
done
exit 1
