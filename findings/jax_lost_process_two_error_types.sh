#!/usr/bin/env bash
# JAX: a lost process is a JaxRuntimeError to large programs and a plain ValueError to small ones
#
# Versions   jax 0.10.2, jaxlib 0.10.2 on CPU (Gloo), Python 3.11.
# Expected   Two processes share a mesh, and one is killed. Whatever the other does next with the lost
#            one raises the same type, so that `except jax.errors.JaxRuntimeError` is enough to save
#            what can be saved and to stop.
# Seen       A sum over both of a product of 500x500 matrices raises JaxRuntimeError when its result is
#            fetched. A sum of two numbers, which is small enough to run within the call, and a barrier
#            of multihost_utils raise ValueError, without a cause. The text is alike ("UNKNOWN: Gloo …
#            failed").
# Matters    Training loops run ahead, and checkpoint libraries wait at such barriers. A handler for
#            JaxRuntimeError misses the loss of a host during a save, and one for ValueError takes it
#            for a wrong argument.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat > "$folder/process.py" <<'PY'
import os
import signal
import sys
import time

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

number, port, place = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.distributed.initialize(f"localhost:{port}", 2, number)
sharding = NamedSharding(Mesh(jax.devices(), ("data",)), PartitionSpec("data"))
values = np.ones((2, 500, 500) if place == "large" else (2, 1, 1), np.float32)
ones = jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])
add = jax.jit(lambda x: (x @ x).sum())
add(ones).block_until_ready()
multihost_utils.sync_global_devices("both are here")
if number == 1:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(2)
try:
    if place == "barrier":
        multihost_utils.sync_global_devices("one is here")
    else:
        np.asarray(add(ones))
except Exception as error:
    print(f"{place}: {type(error).__name__}: {str(error).split(':')[1].strip().split()[0]}", flush=True)
os._exit(0)
PY
export JAX_PLATFORMS=cpu XLA_FLAGS=--xla_force_host_platform_device_count=1
for place in large small barrier; do
    port=$("$folder/venv/bin/python" -c "import socket; s = socket.socket(); s.bind(('', 0)); print(s.getsockname()[1])")
    ("$folder/venv/bin/python" "$folder/process.py" 1 "$port" "$place" || true) > /dev/null 2>&1 &
    "$folder/venv/bin/python" "$folder/process.py" 0 "$port" "$place" 2> /dev/null | grep "$place" | tee -a "$folder/seen"
    wait || true
done
expected=$'large: JaxRuntimeError: Gloo\nsmall: ValueError: Gloo\nbarrier: ValueError: Gloo'
if [ "$(cat "$folder/seen")" != "$expected" ]; then
    echo "this has changed"; exit 1
fi
