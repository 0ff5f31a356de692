"""What happens to jobs on a cluster, and a workflow that ends right all the same."""

import os
import signal

from neuraldeps.stores import open_store
from tests.slurm.cluster import wait_until
from tests.slurm.conftest import TARGET, Accidents, logits_project
from tests.workflow.conftest import contents


def test_jobs_that_end_in_every_way_are_done_again(slurm, tmp_path, expected):
    made = logits_project(tmp_path, slurm)
    run = made.start(TARGET)
    jobs = Accidents(made)

    cancelled, *_ = jobs.next("rule_import_logits")
    slurm("scancel", cancelled)
    stepless, *_ = jobs.next("rule_import_logits")
    slurm("scancel", f"{stepless}.0")
    *_, process = jobs.next("rule_import_logits")
    os.kill(process, signal.SIGKILL)

    late, _, process = jobs.next("rule_reduce_second_moment")
    os.kill(process, signal.SIGSTOP)
    slurm("scontrol", "update", f"jobid={late}", "timelimit=1")
    slurm("scontrol", "update", f"jobid={late}", "endtime=now")
    wait_until(lambda: jobs.state(late) == "TIMEOUT", 90, "the time limit")

    moment, drained, _ = jobs.next("rule_reduce_second_moment")
    slurm("scontrol", "update", f"nodename={drained}", "state=drain", "reason=test")
    solving, lost, _ = jobs.next("rule_solve_covlasso")
    slurm("scontrol", "update", f"nodename={lost}", "state=down", "reason=test")
    wait_until(lambda: jobs.state(solving) == "PENDING", 30, "the job to be requeued")
    slurm("scontrol", "update", f"nodename={lost}", "state=drain", "reason=test")
    slurm("scontrol", "update", f"nodename={drained}", "state=resume")
    # a requeued job waits for two minutes, lest its old node still runs it
    slurm("scontrol", "update", f"jobid={solving}", "starttime=now")

    made.ends_well(run)
    slurm("scontrol", "update", f"nodename={lost}", "state=resume")
    assert jobs.state(moment) == "COMPLETED"  # a drained node ends what it has begun
    assert lost != drained  # and gets nothing new
    assert jobs.state(solving) == "COMPLETED"  # under its old number
    assert contents(tmp_path / "results") == expected


def test_a_killed_snakemake_restarted_while_its_jobs_still_run(slurm, tmp_path, expected):
    made = logits_project(tmp_path, slurm)
    jobs = Accidents(made)
    target = "results/moments/f--g.zarr"
    killed = made.start(target, log="killed.log")
    old = []
    for _ in "fg":
        old.append(jobs.next("rule_import_logits"))
        os.kill(old[-1][-1], signal.SIGSTOP)
    killed.kill()
    killed.wait()

    made.ends_well(made.start("--unlock", log="unlock.log"), log="unlock.log")
    run = made.start(target)
    jobs.next("rule_import_logits")
    os.kill(old[0][-1], signal.SIGCONT)  # writes what its twin is writing
    made.ends_well(run)
    os.kill(old[1][-1], signal.SIGCONT)  # finds everything done
    wait_until(lambda: not made.jobs("PD,R,CG"), 60, "the old jobs to end")
    assert {job["state"] for job in made.jobs()} == {"COMPLETED"}
    written = contents(tmp_path / "results")
    assert written == {name: expected[name] for name in written}
    assert any(name.startswith("moments/f--g.zarr") for name in written)


def test_a_job_killed_for_its_memory_gets_more(slurm, tmp_path):
    made = logits_project(tmp_path, slurm)
    target = "results/logits/f/fit.zarr"
    # Snakemake alone needs more than 40 MB; the second attempt gets 1280
    run = made.start(target, "--set-resources", "import_logits:mem_mb=40 * attempt**5")
    made.ends_well(run)
    first, second = made.jobs()
    logs = (tmp_path / "logs/slurm").rglob(f"{first['id']}.log")
    assert "Exceeded job memory limit" in next(logs).read_text()
    assert (first["state"], first["memory"]) == ("FAILED", "40M")  # with cgroups OUT_OF_MEMORY
    assert (second["state"], second["memory"]) == ("COMPLETED", "1280M")
    assert open_store(tmp_path / target).sizes["sample"] == 500


def test_an_interrupted_snakemake_cancels_its_jobs_and_leaves_nothing_half_done(
    slurm, tmp_path, expected
):
    made = logits_project(tmp_path, slurm)
    jobs = Accidents(made)
    target = "results/moments/f--g.zarr"
    interrupted = made.start(target, log="interrupted.log")
    for _ in "fg":
        *_, process = jobs.next("rule_import_logits")
        os.kill(process, signal.SIGSTOP)
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(60) != 0
    wait_until(lambda: not made.jobs("PD,R,CG"), 30, "the jobs to be cancelled")
    assert {job["state"] for job in made.jobs()} == {"CANCELLED"}
    assert not list((tmp_path / "results").glob("logits/*/[!.]*"))

    made.ends_well(made.start(target))
    written = contents(tmp_path / "results")
    assert written == {name: expected[name] for name in written}
    assert any(name.startswith("moments/f--g.zarr") for name in written)
