"""Jobs of a rule in one `sbatch`, as an array."""

import re

import pytest

from tests.slurm.conftest import logits_project
from tests.workflow.conftest import contents

pytestmark = pytest.mark.long
# every task waits for the first one's output, too
ARRAYS = ("--slurm-array-jobs", "import_logits,solve_covlasso", "--latency-wait", "120")
STORE = "results/dependencies/covlasso/f--g.zarr"


def batches(folder, slurm):
    """A project whose rule `solve_covlasso` has four jobs."""
    made = logits_project(folder, slurm)
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("targets_per_job: 12", "targets_per_job: 3"))
    return made


@pytest.fixture(scope="module")
def in_batches(slurm, tmp_path_factory):
    """The same batches without Slurm."""
    return batches(tmp_path_factory.mktemp("local"), slurm).run_here(STORE)


def test_arrays_give_the_bytes_of_single_jobs(slurm, tmp_path, in_batches):
    made = batches(tmp_path, slurm)
    made.ends_well(made.start(STORE, *ARRAYS))
    assert contents(tmp_path / "results") == in_batches
    arrays = re.findall(r"Submitted array job with Snakemake IDs (\S+)", made.said())
    assert sorted(len(tasks.split(",")) for tasks in arrays) == [2, 4]
    assert {job["state"] for job in made.jobs()} == {"COMPLETED"}
