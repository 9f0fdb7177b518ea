#!/bin/bash
# A Ray cluster on the nodes of one SLURM job, and a grid search on it (docs/scale.md).
# Submit from the repository's folder, which all nodes see:
#   sbatch docs/slurm_ray.sh --inputs INPUTS --results results/grid --group-size 4 --yes
# Submit the same line again to go on after a time limit or a failure.
#SBATCH --job-name=causalnet
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-task=1
#SBATCH --time=24:00:00
set -euo pipefail

export PATH="$PWD/.venv/bin:$PATH" RAY_USAGE_STATS_ENABLED=0
# Nobody else on these nodes may use the cluster: a token of this job's own, handed on by srun.
RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(python -c "import secrets; print(secrets.token_hex(32))")
export RAY_AUTH_MODE RAY_AUTH_TOKEN

trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
port=$((20000 + SLURM_JOB_ID % 20000))
address=$(srun --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" hostname --ip-address | awk '{print $1}')
cpus=${SLURM_CPUS_PER_TASK:-1}

srun --nodes=1 --ntasks=1 --overlap --nodelist="${nodes[0]}" \
  ray start --head --node-ip-address="$address" --port="$port" --num-cpus="$cpus" \
  --include-dashboard=false --block &
until ray status --address "$address:$port" >/dev/null 2>&1; do sleep 2; done

# Nodes that come later get work too: all groups are handed to Ray at once.
for node in "${nodes[@]:1}"; do
  srun --nodes=1 --ntasks=1 --overlap --nodelist="$node" \
    ray start --address "$address:$port" --num-cpus="$cpus" --block &
done
gpus=${GPUS_PER_TASK:-1}
python main_train_for_parameter_tuning.py --executor ray --ray-address "$address:$port" \
  --gpus-per-task "$gpus" "$@"
