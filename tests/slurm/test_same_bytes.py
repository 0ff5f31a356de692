"""Every way to run one configuration, from images to tables, gives every file of `results/` the same bytes."""

import random
from collections import Counter

import pytest
import yaml
from dask.distributed import LocalCluster

from tests.faults.kills import n_killed, one_run, wrong
from tests.slurm.conftest import Project
from tests.slurm.test_profile import TINY
from tests.workflow.conftest import contents, snakemake

pytestmark = pytest.mark.long


def ends_well(folder, config=TINY, cores=2):
    run = snakemake(folder, config, cores=cores)
    assert run.returncode == 0, run.stdout


def on_one_core(folder, whole, slurm):
    ends_well(folder, cores=1)


def on_four_cores(folder, whole, slurm):
    """More than this machine may have: jobs have up to four threads, and four run at once."""
    ends_well(folder, cores=4)


def killed_and_gone_on_with(folder, whole, slurm):
    found: Counter[str] = Counter()
    one_run(folder, TINY, whole, random.Random(0), kills=8, within=12, found=found)
    assert n_killed(found) > 4
    assert not wrong(found), found


def on_a_dask_cluster(folder, whole, slurm):
    """Reductions over images are sums of two other processes' sums."""
    overlay = folder / "dask.yaml"
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        key = {"dask_scheduler": cluster.scheduler_address}
        overlay.write_text(yaml.safe_dump({"resources": key}))
        ends_well(folder, [TINY, overlay])


def on_slurm(folder, whole, slurm):
    project = Project(folder, slurm, TINY)
    project.ends_well(project.start())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a run on two cores makes."""
    folder = tmp_path_factory.mktemp("two-cores")
    ends_well(folder)
    return contents(folder / "results")


@pytest.mark.parametrize(
    "way", [on_one_core, on_four_cores, killed_and_gone_on_with, on_a_dask_cluster, on_slurm]
)
def test_every_way_gives_the_bytes_of_two_cores(way, whole, slurm, tmp_path):
    way(tmp_path, whole, slurm)
    found = contents(tmp_path / "results")
    assert len(found) > 300
    assert sorted(found) == sorted(whole)
    assert [name for name in whole if found[name] != whole[name]] == []
