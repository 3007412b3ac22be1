#!/bin/bash
# A Slurm array: each task embeds its part of the set on its own node, one job afterwards merges them.
#
#   export MODEL=vit-ti16 DATA=folder:/shared/scans PRECISION=bf16 EMBEDKIT_CACHE=/shared/cache
#   array=$(sbatch --parsable examples/slurm_array.sh)
#   sbatch --dependency="afterany:$array" --array=1 examples/slurm_array.sh merge
#
# The cache folder must be one that all nodes see and whose file system has file locks. The precision is part of the
# key, so it is named: a login node without bf16 would look for other files. A task that was killed is submitted again
# as it was (sbatch --array=3 …) and goes on; the merge says if a part is missing.
#SBATCH --job-name=embedkit
#SBATCH --array=1-8
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=04:00:00
set -euo pipefail

: "${MODEL:?export it first, for instance MODEL=vit-ti16}"
: "${DATA:?export it first, for instance DATA=folder:/shared/scans}"
: "${PRECISION:?export it first, bf16 or fp32}"
what=(--model "$MODEL" --data "$DATA" --precision "$PRECISION")
if [[ ${1:-} == merge ]]; then
    exec embedkit cache merge "${what[@]}"
fi
: "${SLURM_ARRAY_TASK_ID:?this is a job array: submit it with sbatch}"
exec embedkit extract "${what[@]}" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --workers "${SLURM_CPUS_PER_TASK:-1}"
