"""A private Slurm on loopback: munge, a controller and several nodes on one host, below one folder.

Debian's slurmctld, slurmd, slurm-client and munge are enough; no systemd, no cgroups, no root.
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BINARIES = (
    *("munged", "munge", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel"),
    *("sinfo", "scontrol", "setpriv"),
)
ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM")
CPU_NODES, GPU_NODES = ("c1", "c2"), ("g1",)
PORTS = 5 + len(CPU_NODES + GPU_NODES)

# MinJobAge keeps ended jobs in squeue, which Snakemake asks; KillWait is the grace of a time limit;
# a node that returns from being down is used again; config_overrides lets nodes have more memory
# than the machine. Without cgroups a job's memory is looked at every second (OverMemoryKill).
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={root}/munge.sock
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd.%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
MinJobAge=600
KillWait=1
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
"""


def missing_binaries() -> list[str]:
    """Programs that a test cluster needs and that are not on PATH."""
    return [name for name in BINARIES if not shutil.which(name)]


class Cluster:
    """A Slurm that runs: what its commands need, and how to ask it.

    Attributes
    ----------
    env : dict
        Environment in which Slurm's commands reach this cluster and no other.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.daemons: list[subprocess.Popen] = []
        config = root / "etc/slurm.conf"
        self.env = {name: value for name, value in os.environ.items() if name[:6] != "SLURM_"}
        self.env |= {"SLURM_CONF": str(config), "PATH": f"{root}/bin:{self.env['PATH']}"}

    def __call__(self, *command: str) -> str:
        """Output of one of Slurm's commands."""
        result = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=30, check=False
        )
        if result.returncode:
            raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip()}")
        return result.stdout

    def jobs(self, states: str = "all") -> list[dict[str, str]]:
        """Jobs in these states: id, state, node, rule with wildcards, GPUs and memory asked for, folder."""
        keys = {"id": "JobID", "state": "State", "node": "NodeList", "rule": "Comment"}
        keys |= {"gpus": "tres-per-job", "memory": "MinMemory", "folder": "WorkDir"}
        columns = ",".join(f"{column}:200|" for column in keys.values())
        lines = self("squeue", "-h", "-t", states, "-O", columns).splitlines()
        fields = ([field.strip() for field in line.split("|")] for line in lines)
        return [dict(zip(keys, values, strict=False)) for values in fields]

    def states(self) -> dict[str, str]:
        """State of every node."""
        lines = self("sinfo", "-h", "-N", "-o", "%N %t").splitlines()
        return dict(line.split() for line in lines)

    def payloads(self, job: str) -> list[int]:
        """Process ids of a job's Python scripts, the innermost of Snakemake's processes."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                environment = (entry / "environ").read_bytes().split(b"\0")
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
                is_script = b".snakemake/scripts/" in b" ".join(arguments[1:2])
                if is_script and f"SLURM_JOB_ID={job}".encode() in environment:
                    found.append(int(entry.name))
        return found

    def daemon(self, name: str, *command: str) -> subprocess.Popen:
        """Start a daemon that ends with this process, its output in a file of its name."""
        with open(self.root / f"log/{name}.out", "w") as out:
            process = subprocess.Popen(
                [*ENDS_WITH_US, *command],
                env=self.env,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.daemons.append(process)
        return process

    def _strays(self) -> Iterator[int]:
        """Processes of jobs that outlived them: without cgroups Slurm does not find all of them."""
        ours = f"SLURM_CONF={self.root}/etc/slurm.conf".encode()
        daemons = {daemon.pid for daemon in self.daemons}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                is_ours = ours in (entry / "environ").read_bytes().split(b"\0")
                if is_ours and int(entry.name) not in daemons:
                    yield int(entry.name)

    def stop(self) -> None:
        """Cancel all jobs, then end the daemons, the last one first."""
        with contextlib.suppress(RuntimeError):  # the controller never came up
            self("scancel", "--user", getpass.getuser())
            wait_until(lambda: not self.jobs("PD,R,CG"), 10, "the jobs to end", RuntimeError)
        for process in self._strays():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def wait_until(
    condition: Callable[[], Any], seconds: float, what: str, error: type = TimeoutError
) -> Any:
    """Wait for a condition and return its value.

    Raises
    ------
    TimeoutError
        Or another `error`, naming what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise error(f"waited {seconds} s for {what}")
        time.sleep(0.1)
    return value


def free_ports() -> int:
    """First of `PORTS` consecutive ports that nobody listens on."""
    for first in range(21000, 60000, 100):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + PORTS):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise RuntimeError("no free ports between 21000 and 60000")


def write_config(root: Path) -> None:
    """Write slurm.conf, gres.conf, munge's key, and srun as Snakemake's jobs will find it."""
    for folder in ("etc", "log", "state", "bin", *(f"spool/{n}" for n in CPU_NODES + GPU_NODES)):
        (root / folder).mkdir(parents=True)
    port, host, user = free_ports(), socket.gethostname().split(".")[0], getpass.getuser()
    nodes = [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port + 1 + i} CPUs=4 "
        f"RealMemory=16000 State=UNKNOWN{' Gres=gpu:2' * (name in GPU_NODES)}"
        for i, name in enumerate(CPU_NODES + GPU_NODES)
    ]
    partitions = [
        f"PartitionName=cpu Nodes={','.join(CPU_NODES)} Default=YES MaxTime=INFINITE State=UP",
        f"PartitionName=gpu Nodes={','.join(GPU_NODES)} MaxTime=INFINITE State=UP",
    ]
    config = CONF.format(root=root, port=port, host=host, user=user)
    (root / "etc/slurm.conf").write_text("\n".join([config, *nodes, *partitions, ""]))
    # a GPU is any character device: Slurm counts it and sets CUDA_VISIBLE_DEVICES
    (root / "etc/gres.conf").write_text(
        "".join(
            f"NodeName={name} Name=gpu File={device}\n"
            for name in GPU_NODES
            for device in ("/dev/null", "/dev/zero")
        )
    )
    (root / "etc/cgroup.conf").touch()
    (root / "etc/munge.key").write_bytes(os.urandom(1024))
    (root / "etc/munge.key").chmod(0o400)
    # Snakemake's jobstep executor drops SLURM_CONF before it calls srun
    srun = root / "bin/srun"
    srun.write_text(
        f'#!/bin/sh\nSLURM_CONF={root}/etc/slurm.conf exec {shutil.which("srun")} "$@"\n'
    )
    srun.chmod(0o755)


@contextlib.contextmanager
def running_cluster(root: Path) -> Iterator[Cluster]:
    """Start a cluster of `CPU_NODES` and `GPU_NODES` below a folder; stop it at the end.

    Raises
    ------
    TimeoutError
        If it is not up within 30 seconds; the daemons' logs lie in `root`/log.
    """
    write_config(root)
    cluster = Cluster(root)
    try:
        munge = f"{root}/munge.sock"
        cluster.daemon(
            "munged",
            *("munged", "--foreground", "--force", "--num-threads=2", f"--socket={munge}"),
            *(f"--key-file={root}/etc/munge.key", f"--pid-file={root}/munged.pid"),
            *(f"--log-file={root}/log/munged.log", f"--seed-file={root}/munged.seed"),
        )
        wait_until(lambda: Path(munge).exists(), 10, "munge")
        cluster.daemon("slurmctld", "slurmctld", "-D", "-c")
        for node in CPU_NODES + GPU_NODES:
            cluster.daemon(f"slurmd.{node}", "slurmd", "-D", "-N", node)
        wait_until(lambda: _all_idle(cluster), 30, f"idle nodes; see {root}/log")
        yield cluster
    finally:
        cluster.stop()


def _all_idle(cluster: Cluster) -> bool:
    try:
        return set(cluster.states().values()) == {"idle"}
    except RuntimeError:  # the controller is not up yet
        return False
