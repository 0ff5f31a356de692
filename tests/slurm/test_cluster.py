"""The test cluster itself."""

from pathlib import Path


def test_nodes_are_idle_and_a_job_gets_the_gpus_that_it_asks_for(slurm):
    assert slurm.states() == {"c1": "idle", "c2": "idle", "g1": "idle"}
    show = "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES"
    assert slurm("srun", "-p", "gpu", "--gpus=2", "sh", "-c", show) == "g1 0,1\n"
    assert slurm("srun", "sh", "-c", show) == "c1\n"
    asked = {job["node"]: job["gpus"] for job in slurm.jobs() if job["folder"] == str(Path.cwd())}
    assert asked == {"g1": "gres:gpu:2", "c1": "N/A"}
