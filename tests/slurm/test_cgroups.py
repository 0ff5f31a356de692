"""A Slurm whose kernel watches the memory of jobs, as on most clusters."""

import os

import pytest

from neuraldeps.stores import open_store
from tests.slurm.cluster import CGROUPS, MEMORY_CGROUP
from tests.slurm.conftest import logits_project, started

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def slurm_with_cgroups():
    if not os.access(MEMORY_CGROUP, os.W_OK) or os.getuid() != 0:
        pytest.skip(f"only root, where {MEMORY_CGROUP} can be written to")
    with started(CGROUPS) as cluster:
        yield cluster


def test_a_job_killed_by_the_kernel_for_its_memory_gets_more(slurm_with_cgroups, tmp_path):
    made = logits_project(tmp_path, slurm_with_cgroups)
    target = "results/logits/f/fit.zarr"
    made.ends_well(made.start(target, "--set-resources", "import_logits:mem_mb=40 * attempt**5"))
    first, second = made.jobs()
    assert (first["state"], first["memory"]) == ("OUT_OF_MEMORY", "40M")
    assert (second["state"], second["memory"]) == ("COMPLETED", "1280M")
    (log,) = (tmp_path / "logs/slurm").rglob(f"{first['id']}.log")
    assert "oom-kill event" in log.read_text()
    assert open_store(tmp_path / target).sizes["sample"] == 500
