"""What clusters do to many jobs at once: preemption, and a node lost at the worst moment."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.slurm.cluster import wait_until
from tests.slurm.conftest import TARGET, Accidents, logits_project
from tests.workflow.conftest import contents

pytestmark = pytest.mark.long
MOMENT = "results/moments/f--g.zarr"
URGENT = (
    "sbatch",
    "--parsable",
    "-p",
    "urgent",
    "-N",
    "2",
    "--exclusive",
    "-o",
    "/dev/null",
    "--wrap",
    "true",
)


def same_as(expected, folder, target):
    """All that was made is the same, and the target is among it."""
    written = contents(folder / "results")
    assert written == {name: expected[name] for name in written}
    assert any(f"results/{name}".startswith(target) for name in written)


def requeued(made, job):
    """Wait until a job is in the queue again, and let all that are start now, not after two minutes."""
    wait_until(lambda: Accidents(made).state(job) == "PENDING", 60, "the job to be requeued")
    for waiting in made.jobs("PD"):
        with contextlib.suppress(RuntimeError):  # it runs already
            made.cluster("scontrol", "update", f"jobid={waiting['id']}", "starttime=now")
    assert "Restarts=1 " in made.cluster("scontrol", "show", "job", job)


def test_a_preempted_job_is_requeued(slurm, tmp_path, expected):
    made = logits_project(tmp_path, slurm)
    run = made.start(TARGET)
    jobs = Accidents(made)
    preempted, _, process = jobs.next("rule_reduce_second_moment")
    os.kill(process, signal.SIGSTOP)
    urgent = slurm(*URGENT).strip()
    wait_until(lambda: jobs.state(urgent) == "COMPLETED", 60, "the urgent job")
    requeued(made, preempted)
    made.ends_well(run)
    assert jobs.state(preempted) == "COMPLETED"
    assert contents(tmp_path / "results") == expected


def test_where_preempted_jobs_are_cancelled_a_new_start_goes_on(slurm, tmp_path, expected):
    made = logits_project(tmp_path, slurm)
    profile = tmp_path / "slurm/config.yaml"
    on_scavenger = profile.read_text().replace("slurm_partition: cpu", "slurm_partition: scavenger")
    profile.write_text(on_scavenger)
    run = made.start(MOMENT, log="preempted.log")
    jobs = Accidents(made)
    preempted, _, process = jobs.next("rule_import_logits")
    os.kill(process, signal.SIGSTOP)
    slurm(*URGENT)
    wait_until(lambda: jobs.state(preempted) == "PREEMPTED", 60, "the preemption")
    wait_until(lambda: "preemption" in made.said("preempted.log"), 60, "Snakemake to say so")
    run.send_signal(signal.SIGINT)
    assert run.wait(60) != 0
    made.ends_well(made.start(MOMENT))
    same_as(expected, tmp_path, MOMENT)


@pytest.mark.parametrize("comes_back", [False, True], ids=["for good", "from its network"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_node_lost_while_a_store_gets_its_name(when, comes_back, slurm, tmp_path, expected):
    """With the network alone, what the node was doing goes on when its job has long been done elsewhere."""
    made = logits_project(tmp_path, slurm)
    stop = {"STOP_AT": MOMENT, "STOP_WHEN": when, "STOPPED": str(tmp_path / "stopped")}
    hook = str(Path(__file__).with_name("at_rename"))
    run = made.start(MOMENT, env={**stop, "PYTHONPATH": hook})
    jobs = Accidents(made)
    job, node, process = jobs.next("rule_reduce_second_moment")
    wait_until((tmp_path / "stopped").exists, 60, "the job to publish")
    assert (tmp_path / MOMENT).exists() == (when == "after")
    if comes_back:
        slurm.kill(f"slurmd.{node}")
    else:
        slurm.lose_node(node)
    # what Slurm does itself after SlurmdTimeout, five minutes
    slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    requeued(made, job)
    made.ends_well(run)
    if comes_back:
        os.kill(process, signal.SIGCONT)
        wait_until(lambda: not Path(f"/proc/{process}").exists(), 60, "the first job to end")
    slurm.start_node(node)
    wait_until(lambda: slurm.states()[node] == "idle", 60, "the node to be back")
    same_as(expected, tmp_path, MOMENT)
