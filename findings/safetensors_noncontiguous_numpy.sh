#!/usr/bin/env bash
# safetensors writes non-contiguous NumPy arrays as their memory lies, without a word
#
# Versions   safetensors 0.8.0, numpy 2.4.6, Python 3.11.
# Expected   load(save({"w": a})) gives back the values of `a`, or `save` refuses `a`. (For PyTorch,
#            safetensors refuses a non-contiguous tensor and says so.)
# Seen       For a transposed view, an array in Fortran order and a strided slice, the file holds the
#            right shape and other values. The strided slice even holds numbers that are not in it.
#            No warning, no error.
# Matters    A PyTorch kernel that goes to JAX or Keras is transposed on the way: `weight.T` is such a
#            view. Weights saved like this load without complaint, and the network is wrong.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
from safetensors.numpy import load, save

a = np.arange(6, dtype=np.float32).reshape(2, 3)
cases = {"transposed view": a.T, "Fortran order": np.asfortranarray(a), "every other column": a[:, ::2]}
wrong = []
for name, array in cases.items():
    back = load(save({"w": array}))["w"]
    print(f"{name}: saved {array.tolist()}, loaded {back.tolist()}")
    if back.shape == array.shape and not np.array_equal(back, array):
        wrong.append(name)
contiguous = {"w": np.ascontiguousarray(a.T)}
assert np.array_equal(load(save(contiguous))["w"], a.T)
print("with np.ascontiguousarray: right")
if wrong != list(cases):
    sys.exit(f"this has changed: wrong now are {wrong}")
PY
