"""Runs that are killed, restarted too soon, or started twice: the same bytes, and nothing lost."""

import os
import signal

from tests.faults.runs import Run, leftovers, published


def test_a_job_killed_with_9_leaves_nothing_half_and_the_next_run_ends_it(tmp_path, expected):
    run = Run(tmp_path)
    os.kill(run.job("reduce_second_moment"), signal.SIGKILL)
    assert run.process.wait(60) != 0
    assert "reduce_second_moment" in run.log.read_text()
    assert published(tmp_path / "results").items() <= expected.items()
    assert Run(tmp_path).ends_well() == expected
    assert leftovers(tmp_path / "results") == []


def test_a_killed_snakemake_is_gone_on_with_while_its_job_still_runs(tmp_path, expected):
    killed = Run(tmp_path, log="killed.log")
    old = []
    for _ in "fg":  # one that went on could publish its store before the next run looks
        old.append(killed.job("import_logits", besides=old))
        os.kill(old[-1], signal.SIGSTOP)
    killed.process.kill()
    killed.process.wait()
    run = Run(tmp_path)
    run.job("import_logits", besides=old)
    second = Run(tmp_path, log="second.log")  # beside one that lives: refused, as ever
    assert second.process.wait(60) != 0
    assert "--unlock" in second.log.read_text()
    for process in old:
        os.kill(process, signal.SIGCONT)  # from now on both runs write the same stores
    assert run.ends_well() == expected
    assert leftovers(tmp_path / "results") == []
    assert "its lock is lifted" in run.log.read_text()


def test_everything_killed_twice_is_ended_by_the_same_command(tmp_path, expected):
    for rule in ("import_logits", "reduce_second_moment"):
        run = Run(tmp_path)
        job = run.job(rule)
        for process in (run.process.pid, job):
            os.kill(process, signal.SIGKILL)
        run.process.wait()
    assert Run(tmp_path).ends_well() == expected
    assert leftovers(tmp_path / "results") == []


def test_two_runs_at_once(tmp_path, expected):
    # Without its lock, Snakemake removes what another run has made before it makes it again, and at its end empty
    # folders that another may remove first: a run may fail by that, but nothing is half, and the next run ends it.
    runs = [
        Run(tmp_path, "--nolock", "--retries", "3", log=f"{name}.log") for name in ("one", "other")
    ]
    for run in runs:
        run.process.wait(120)
    assert published(tmp_path / "results").items() <= expected.items()
    assert Run(tmp_path).ends_well() == expected
    assert leftovers(tmp_path / "results") == []
