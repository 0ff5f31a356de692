"""The reduction on Dask workers that are jobs of Slurm: the bytes that threads give."""

import numpy as np
from dask_jobqueue import SLURMCluster

from scripts.reduce_second_moment import main
from tests.unit.test_moments import write_logits
from tests.workflow.conftest import contents


def test_same_bytes_as_threads(slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", slurm.env["PATH"])
    monkeypatch.setenv("SLURM_CONF", slurm.env["SLURM_CONF"])
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    paths = [write_logits(f"{name}.zarr", rng.standard_normal((1500, 100))) for name in "fg"]
    how = {"models": ("f", "g"), "centering": "none", "threads": 2}
    with SLURMCluster(
        queue="cpu",
        cores=1,
        memory="1GB",
        walltime="00:05:00",
        log_directory="logs",
        scheduler_options={"host": "127.0.0.1", "dashboard_address": None},
    ) as cluster:
        cluster.scale(jobs=2)
        cluster.wait_for_workers(2, timeout=120)
        jobs = [job for job in slurm.jobs("R") if job["folder"] == str(tmp_path)]
        assert len(jobs) == 2
        main(*paths, "on_slurm.zarr", scheduler=cluster.scheduler_address, **how)
    main(*paths, "in_threads.zarr", scheduler=None, **how)
    assert contents(tmp_path / "on_slurm.zarr") == contents(tmp_path / "in_threads.zarr")
