"""docs/slurm_ray.sh on this machine: stand-ins for srun and scontrol make it two nodes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.scripts import ROOT, folder_bytes

pytest.importorskip("ray", reason="Ray is not installed (requirements-ray.txt)")

SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
SCONTROL = "#!/bin/bash\necho first; echo second\n"
RUN = ("--method", "causalnet_compact", "--epochs", "1", "--threads", "1")


@pytest.mark.slow
def test_the_script_starts_a_cluster_and_gives_the_bytes_of_a_local_run(
    tiny_folder: Path, tmp_path: Path
) -> None:
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    job = {
        "SLURM_JOB_NODELIST": "made-up",
        "SLURM_JOB_ID": "4321",
        "SLURM_CPUS_PER_TASK": "1",
        "GPUS_PER_TASK": "0",
    }
    environment = {**os.environ, **job, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = ["bash", "docs/slurm_ray.sh", "--inputs", str(tiny_folder), *RUN, "--results"]
    ray = shutil.which("ray", path=f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}")
    assert ray is not None
    log = tmp_path / "log.txt"
    try:
        with log.open("w") as file:
            subprocess.run(
                [*script, tmp_path / "cluster"], cwd=ROOT, env=environment, timeout=150,
                check=True, stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
    finally:
        subprocess.run([ray, "stop", "--force"], check=True, capture_output=True)
    assert "2 groups at a time" in log.read_text()
    local = ["python", "main_train_for_parameter_tuning.py", "--inputs", str(tiny_folder), *RUN]
    path = {**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    subprocess.run(
        [*local, "--results", tmp_path / "local"], cwd=ROOT, env=path, check=True,
        capture_output=True,
    )  # fmt: skip
    assert folder_bytes(tmp_path / "cluster") == folder_bytes(tmp_path / "local")
