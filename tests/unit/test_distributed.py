"""The reduction on workers in other processes: the bytes that threads give."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from importlib.metadata import version

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster
from threadpoolctl import threadpool_info

from neuraldeps import __version__, engines
from neuraldeps.errors import InputError
from neuraldeps.logs import job_log
from scripts.reduce_second_moment import main
from tests.unit.test_moments import write_logits
from tests.workflow.conftest import contents


def reduce(source, target, path, scheduler=None, device=None):
    main(
        source,
        target,
        str(path),
        models=("f", "g"),
        centering="none",
        scheduler=scheduler,
        threads=2,
        device=device,
    )
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
    tensors = reduce("f.zarr", "g.zarr", tmp_path / "tensors.zarr", scheduler, "cpu")
    assert tensors == reduce("f.zarr", "g.zarr", tmp_path / "threads_tensors.zarr", device="cpu")
    with Client(scheduler) as client:
        pools = client.run(blas_threads)
    assert {count for counts in pools.values() for count in counts} == {1}


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(engines, "ANSWER", 2.0)


def refused(line, address):
    """A scheduler that is refused within seconds, in one line that names it."""
    began = time.monotonic()
    message = f"^resources.dask_scheduler is {re.escape(address)}: {line}"
    with pytest.raises(InputError, match=message) as caught, engines.connect(address):
        pass
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 30  # a hang would have no end; a laden machine is slow


@pytest.mark.usefixtures("impatient")
def test_a_scheduler_that_does_not_answer_is_one_line(tmp_path, logits):
    paths = [str(tmp_path / f"{name}.zarr") for name in "fg"]
    line = "resources.dask_scheduler is tcp://127.0.0.1:9: nobody answers there; start a Dask scheduler"
    with pytest.raises(InputError, match=re.escape(line)):
        reduce(*paths, tmp_path / "m.zarr", "tcp://127.0.0.1:9")


@pytest.mark.usefixtures("impatient")
def test_what_listens_and_is_no_scheduler_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refused("nobody answers there; start", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
    for address, reason in (
        ("http://127.0.0.1:8787/status", "unknown address scheme 'http'"),
        ("tcp://127.0.0.1", "missing port"),
        ("tls://127.0.0.1:9", "TLS expects"),
    ):
        refused(rf"that is not a scheduler's address \({reason}.*give it as tcp://", address)


def test_workers_without_the_device_are_one_line(scheduler):
    line = "^resources.reduction_device is cuda:99: this machine has [0-9]+ CUDA devices?; use"
    with pytest.raises(InputError, match=line), engines.on_cluster(scheduler, "cuda:99"):
        pass


@pytest.mark.usefixtures("impatient")
def test_a_scheduler_without_workers_is_one_line():
    with LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        refused("it has no workers; start some", cluster.scheduler_address)


@pytest.mark.usefixtures("impatient")
def test_a_worker_in_place_of_the_scheduler_and_one_that_hangs_are_one_line(scheduler):
    with Client(scheduler) as client:
        worker, process = next(iter(client.run(os.getpid).items()))
    refused("that is a Dask worker; give its scheduler's address", worker)
    os.kill(process, signal.SIGSTOP)
    try:
        refused("its workers do not answer", scheduler)
    finally:
        os.kill(process, signal.SIGCONT)


def test_workers_without_the_package_are_one_line(tmp_path, logits, scheduler):
    with Client(scheduler) as client:
        client.run(hide_package)
    paths = [str(tmp_path / f"{name}.zarr") for name in "fg"]
    with pytest.raises(InputError, match="its workers cannot import neuraldeps"):
        reduce(*paths, tmp_path / "m.zarr", scheduler)


def test_workers_with_another_version_of_the_package_are_one_line(scheduler):
    with Client(scheduler) as client:
        client.run(age_package)
    refused(f"its worker tcp://.* has neuraldeps 0.0.1, here {__version__}; start it", scheduler)


def test_workers_with_other_versions_of_packages_are_one_line(tmp_path):
    """A worker of its own Python path, where another version of zarr is installed."""
    installed = tmp_path / "zarr-3.0.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: zarr\nVersion: 3.0.1\n")
    with LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
        with running("worker", address, "--no-nanny", env={**os.environ, "PYTHONPATH": path}):
            cluster.wait_for_workers(1, timeout=120)
            line = f"its worker tcp://.* has zarr 3.0.1, here {version('zarr')}; start it and"
            refused(line, address)


@contextlib.contextmanager
def running(what, *arguments, **how):
    """A process of Dask's command line, ended in the end."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments]
    with subprocess.Popen(command, **how) as process:
        try:
            yield process
        finally:
            process.kill()


def slow(seconds):
    time.sleep(seconds)
    return seconds


def test_workers_that_leave_for_good_end_the_job_in_one_line(monkeypatch):
    monkeypatch.setattr(engines, "ABANDONED", 2.0)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        engines.connect(address := cluster.scheduler_address) as client,
    ):
        assert engines.compute(client, dask.delayed(slow)(0.1), address) == (0.1,)
        threading.Timer(1, cluster.scale, [0]).start()
        with pytest.raises(InputError, match="it lost all of its workers; start workers and run"):
            engines.compute(client, dask.delayed(slow)(600), address)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_that_die_of_a_task_are_one_line():
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        pytest.raises(InputError, match="its workers kept dying on the same task; look"),
        engines.connect(address := cluster.scheduler_address) as client,
    ):
        engines.compute(client, dask.delayed(die)(), address)


def test_a_scheduler_that_is_lost_is_one_line(tmp_path):
    (tmp_path / "told.json").touch()
    where = f"--scheduler-file={tmp_path}/told.json"
    with (
        running("scheduler", where, "--no-dashboard", "--port=0", "--host=127.0.0.1") as scheduler,
        running("worker", where, "--no-nanny"),
    ):
        while not (told := (tmp_path / "told.json").read_text()):
            time.sleep(0.1)
        address = json.loads(told)["address"]

        def lose(client):
            threading.Timer(1, scheduler.kill).start()
            engines.compute(client, dask.delayed(slow)(600), address)

        with (
            pytest.raises(InputError, match="the scheduler was lost before it was done; start it"),
            engines.connect(address) as client,
        ):
            lose(client)


def age_package():
    """Make a process believe that it has an older package."""
    import neuraldeps

    neuraldeps.__version__ = "0.0.1"


def hide_package():
    """Make a process forget the package and fail to import it."""
    for name in ["neuraldeps", *(name for name in sys.modules if name.startswith("neuraldeps."))]:
        sys.modules[name] = None
