#!/usr/bin/env bash
# Tests of what runs on desks, once under an aarch64 Python (qemu's user mode): architecture, sizes of structures, raw frames, ctypes.
# The Python comes from Debian's arm64 packages, unpacked once into build/arm (15 s, 90 MB). A program that a test starts is this machine's own.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$PWD/build/arm
bash tools/packages.sh arm-test mmdebstrap qemu-user-static
if [ ! -e "$place/ready" ]; then
    rm -rf "$place"
    mkdir -p "$place"
    # Unpacked, not installed: nothing of another processor is started while this is made.
    mmdebstrap --quiet --architectures=arm64 --variant=extract --mode=root --aptopt='Acquire::Languages "none"' \
        --include=libc6,python3,python3-pytest,python3-hypothesis,python3-yaml,python3-jinja2,python3-pyelftools trixie "$place/root" http://deb.debian.org/debian
    for folder in lib bin sbin; do [ -e "$place/root/$folder" ] || ln -s "usr/$folder" "$place/root/$folder"; done
    touch "$place/ready"
fi
# ansible-core without compiled parts, as make gpu-check packs it.
rm -rf "$place/packed" && mkdir "$place/packed"
.venv-core219/bin/python tools/gpu_check/pack.py > /dev/null
tar -x -f build/gpu-check.tar.gz -C "$place/packed" gpu-check/lib
unset PYTHONDONTWRITEBYTECODE
export PYTHONPATH="$place/packed/gpu-check/lib" PYTHONPYCACHEPREFIX="$place/pyc"
python=(qemu-aarch64-static -L "$place/root" "$place/root/usr/bin/python3")
for folder in ${TESTS:-tests/arm tests/unit/cable/test_cable_probe.py tests/unit/workload/test_elf.py}; do
    "${python[@]}" -m pytest -q -c /dev/null --rootdir=tests --confcutdir="tests/$(cut -d/ -f2 <<< "$folder")" --import-mode=importlib \
        -p no:cacheprovider -k "not real_programs_of_this_machine" "$folder"  # there are hardly any programs in that tree
done
