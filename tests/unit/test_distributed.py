"""The reduction on workers in other processes: the bytes that threads give."""

import re
import sys

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster
from threadpoolctl import threadpool_info

from neuraldeps.errors import InputError
from neuraldeps.logs import job_log
from scripts.reduce_second_moment import main
from tests.unit.test_moments import write_logits
from tests.workflow.conftest import contents


def reduce(source, target, path, scheduler=None):
    main(source, target, str(path), models=("f", "g"), gauge="raw", scheduler=scheduler, threads=2)
    return contents(path)


@pytest.fixture
def logits(tmp_path):
    rng = np.random.default_rng(0)
    # more shards than lanes, so that every lane is continued
    for name in "fg":
        values = rng.standard_normal((1500, 300)) * 3 + 1
        write_logits(tmp_path / f"{name}.zarr", values.astype(np.float32))


@pytest.fixture
def scheduler():
    """Address of three processes of two threads, none of them told how many threads BLAS takes."""
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": {}}),
        LocalCluster(n_workers=3, threads_per_worker=2, dashboard_address=None) as cluster,
    ):
        yield cluster.scheduler_address


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_same_bytes_as_threads(tmp_path, logits, scheduler, monkeypatch):
    monkeypatch.chdir(
        tmp_path
    )  # as Snakemake's jobs name their files, in a folder not the workers'
    with job_log("reduce.log"):
        between = reduce("f.zarr", "g.zarr", tmp_path / "between.zarr", scheduler)
        within = reduce("f.zarr", "f.zarr", tmp_path / "within.zarr", scheduler)
    assert between == reduce("f.zarr", "g.zarr", tmp_path / "threads_between.zarr")
    assert within == reduce("f.zarr", "f.zarr", tmp_path / "threads_within.zarr")
    assert "3 workers" in (tmp_path / "reduce.log").read_text()
    with Client(scheduler) as client:
        pools = client.run(blas_threads)
    assert {count for counts in pools.values() for count in counts} == {1}


def test_a_scheduler_that_does_not_answer_is_one_line(tmp_path, logits):
    paths = [str(tmp_path / f"{name}.zarr") for name in "fg"]
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        line = "dask.scheduler is tcp://127.0.0.1:9: nobody answers there; start a Dask scheduler"
        with pytest.raises(InputError, match=re.escape(line)):
            reduce(*paths, tmp_path / "m.zarr", "tcp://127.0.0.1:9")


def test_workers_without_the_package_are_one_line(tmp_path, logits, scheduler):
    with Client(scheduler) as client:
        client.run(hide_package)
    paths = [str(tmp_path / f"{name}.zarr") for name in "fg"]
    with pytest.raises(InputError, match="its workers cannot import neuraldeps"):
        reduce(*paths, tmp_path / "m.zarr", scheduler)


def hide_package():
    """Make a process forget the package and fail to import it."""
    for name in ["neuraldeps", *(name for name in sys.modules if name.startswith("neuraldeps."))]:
        sys.modules[name] = None
