"""Snakemake that asks Slurm every second, where its plugin waits ten seconds longer each time."""

import signal

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

if __name__ == "__main__":
    # a shell that runs the tests in the background has this ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Executor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, value: None)
    main()
