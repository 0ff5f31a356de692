"""`snakemake --profile slurm` on a real Slurm: the bytes of a run on one core of this machine, on the nodes asked for."""

from pathlib import Path

import pytest

from tests.slurm.conftest import Project
from tests.workflow.conftest import contents

TINY = Path(__file__).with_name("tiny.yaml")
ON_GPUS = {"rule_train_backbone", "rule_extract_logits"}
# from the images to a table, a figure and a store of a figure: the other tables and figures are jobs of the same kind
TARGETS = (
    "results/tables/table1.csv",
    "results/figures/figure1.png",
    "results/dependencies/chord.zarr",
)


@pytest.fixture(scope="module")
def projects(slurm, tmp_path_factory):
    """A project whose workflow ran on Slurm, and one where it ran on one core at the same time."""
    on_slurm = Project(tmp_path_factory.mktemp("slurm"), slurm, TINY)
    locally = Project(tmp_path_factory.mktemp("local"), slurm, TINY)
    run = on_slurm.start(*TARGETS)
    locally.run_here(*TARGETS, cores=1)
    on_slurm.ends_well(run)
    return on_slurm, locally


def test_same_bytes_as_on_one_core(projects):
    """Jobs on Slurm have as many cores as their rules ask for."""
    on_slurm, local = (contents(project.folder / "results") for project in projects)
    assert sorted(on_slurm) == sorted(local)
    assert [name for name in local if on_slurm[name] != local[name]] == []


def test_jobs_that_run_networks_get_gpus_and_a_chain_is_one_job(projects):
    jobs = {job["rule"].split("_wildcards")[0]: job for job in projects[0].jobs()}
    assert {job["state"] for job in jobs.values()} == {"COMPLETED"}
    assert {rule for rule, job in jobs.items() if job["gpus"] == "gres:gpu:1"} == ON_GPUS
    assert {rule for rule, job in jobs.items() if job["node"] == "g1"} == ON_GPUS
    assert [rule for rule in jobs if rule.startswith("rule_pair_")]
    assert not {"rule_gather_covlasso", "rule_evaluate_dependencies", "rule_all"} & set(jobs)


def test_logs_lie_where_they_are_without_slurm(projects):
    logs = [
        {str(path.relative_to(project.folder)) for path in project.folder.glob("logs/**/*.*")}
        for project in projects
    ]
    assert {path for path in logs[0] if not path.startswith("logs/slurm")} == logs[1]
    assert not [path for path in logs[0] if path.startswith("logs/slurm/rule")]
