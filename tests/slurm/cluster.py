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
CONTROLLER = ("slurmctld", "-D")
# Jobs of `urgent` preempt all others of their nodes: those of `cpu` are requeued, of `scavenger` cancelled.
PARTITIONS = (
    ("cpu", CPU_NODES, "Default=YES"),
    ("urgent", CPU_NODES, "PriorityTier=2"),
    ("scavenger", CPU_NODES, "PreemptMode=CANCEL"),
    ("gpu", GPU_NODES, ""),
)

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
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting_port}
AccountingStoragePass={root}/munge.sock
AccountingStoreFlags=job_comment
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
MinJobAge=600
KillWait=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
"""

# What a cluster has that keeps accounts, and one where the kernel watches the memory of jobs.
ACCOUNTS = {"AccountingStorageType": "accounting_storage/slurmdbd"}
CGROUPS = {"TaskPlugin": "task/cgroup", "JobAcctGatherParams": "UsePss"}
MEMORY_CGROUP = Path("/sys/fs/cgroup/memory")
DATABASE = ("mariadbd", "mariadb-install-db", "slurmdbd", "sacct", "sacctmgr")

# The database is reached through a socket, in a folder that is its user's alone.
DBD_CONF = """\
DbdHost=localhost
DbdPort={accounting_port}
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={root}/munge.sock
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser={user}
StorageLoc=accounts
PidFile={root}/slurmdbd.pid
LogFile={root}/log/slurmdbd.log
"""


def missing_binaries(names: tuple[str, ...] = BINARIES) -> list[str]:
    """Programs that a test cluster needs and that are not on PATH."""
    return [name for name in names if not shutil.which(name)]


class Cluster:
    """A Slurm that runs: what its commands need, and how to ask it.

    Attributes
    ----------
    env : dict
        Environment in which Slurm's commands reach this cluster and no other.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.daemons: dict[str, subprocess.Popen] = {}
        config = root / "etc/slurm.conf"
        self.env = {name: value for name, value in os.environ.items() if name[:6] != "SLURM_"}
        self.env |= {"SLURM_CONF": str(config), "PATH": f"{root}/bin:{self.env['PATH']}"}
        self.env["MYSQL_UNIX_PORT"] = f"{root}/mariadb.sock"

    def __call__(self, *command: str) -> str:
        """Output of one of Slurm's commands."""
        result = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=30, check=False
        )
        if result.returncode:
            raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip()}")
        return result.stdout

    def answers(self, *command: str) -> bool:
        """Whether one of Slurm's commands ends well: its daemon is up."""
        try:
            self(*command)
        except RuntimeError:
            return False
        return True

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
        for entry in self._processes(f"SLURM_JOB_ID={job}"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
                if b".snakemake/scripts/" in b" ".join(arguments[1:2]):
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
        self.daemons[name] = process
        return process

    def start_node(self, name: str) -> None:
        """Start a node's daemon, again where it was lost."""
        self.daemon(f"slurmd.{name}", "slurmd", "-D", "-N", name)

    def start_controller(self) -> None:
        """Start the controller again, with the jobs that it knew."""
        self.daemon("slurmctld", *CONTROLLER)
        wait_until(lambda: self.answers("sinfo"), 30, f"the controller; see {self.root}/log")

    def kill(self, daemon: str) -> None:
        """Kill a daemon, as a machine does that is lost."""
        self.daemons[daemon].kill()
        self.daemons[daemon].wait()

    def lose_node(self, name: str) -> None:
        """Kill all that runs on a node and nothing beside it, as when its power goes."""
        self.kill(f"slurmd.{name}")
        jobs = list(self._processes(f"SLURMD_NODENAME={name}"))
        # a step's daemon writes its title over its environment, so it is found through its job
        steps = {entry.parent / str(parent) for entry in jobs if (parent := _step_above(entry))}
        for entry in (*steps, *jobs):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGKILL)

    def _processes(self, *variables: str) -> Iterator[Path]:
        """Processes of this cluster's jobs, in /proc, whose environment has these variables."""
        wanted = {f"SLURM_CONF={self.root}/etc/slurm.conf", *variables}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                if wanted <= set((entry / "environ").read_text(errors="replace").split("\0")):
                    yield entry

    def stop(self) -> None:
        """Cancel all jobs, then end the daemons, the last one first."""
        with contextlib.suppress(RuntimeError):  # the controller never came up
            self("scancel", "--user", getpass.getuser())
            wait_until(lambda: not self.jobs("PD,R,CG"), 10, "the jobs to end", RuntimeError)
        # processes of jobs that outlived them: without cgroups Slurm does not find all of them
        daemons = {daemon.pid for daemon in self.daemons.values()}
        for process in {int(entry.name) for entry in self._processes()} - daemons:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for daemon in reversed(self.daemons.values()):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _step_above(process: Path) -> int | None:
    """Process of the step's daemon that started a process, if that did."""
    with contextlib.suppress(OSError):  # it ended meanwhile
        parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        if (process.parent / f"{parent}/comm").read_text().startswith("slurmstepd"):
            return parent
    return None


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


def write_config(root: Path, settings: dict[str, str]) -> None:
    """Write all configuration files, munge's key, and srun as Snakemake's jobs will find it."""
    for folder in ("etc", "log", "state", "bin", *(f"spool/{n}" for n in CPU_NODES + GPU_NODES)):
        (root / folder).mkdir(parents=True)
    port, host, user = free_ports(), socket.gethostname().split(".")[0], getpass.getuser()
    nodes = [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port + 1 + i} CPUs=4 "
        f"RealMemory=16000 State=UNKNOWN{' Gres=gpu:2' * (name in GPU_NODES)}"
        for i, name in enumerate(CPU_NODES + GPU_NODES)
    ]
    partitions = [
        f"PartitionName={name} Nodes={','.join(on)} MaxTime=INFINITE State=UP {more}"
        for name, on, more in PARTITIONS
    ]
    where = {"root": root, "port": port, "host": host, "user": user}
    where["accounting_port"] = port + 1 + len(nodes)
    config = dict(line.split("=", 1) for line in CONF.format(**where).splitlines()) | settings
    lines = [f"{key}={value}" for key, value in config.items()]
    (root / "etc/slurm.conf").write_text("\n".join([*lines, *nodes, *partitions, ""]))
    (root / "etc/slurmdbd.conf").write_text(DBD_CONF.format(**where))
    (root / "etc/slurmdbd.conf").chmod(0o600)
    # a GPU is any character device: Slurm counts it and sets CUDA_VISIBLE_DEVICES
    (root / "etc/gres.conf").write_text(
        "".join(
            f"NodeName={name} Name=gpu File={device}\n"
            for name in GPU_NODES
            for device in ("/dev/null", "/dev/zero")
        )
    )
    (root / "etc/cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nConstrainRAMSpace=yes\n")
    (root / "etc/munge.key").write_bytes(os.urandom(1024))
    (root / "etc/munge.key").chmod(0o400)
    # Snakemake's jobstep executor drops SLURM_CONF before it calls srun
    srun = root / "bin/srun"
    srun.write_text(
        f'#!/bin/sh\nSLURM_CONF={root}/etc/slurm.conf exec {shutil.which("srun")} "$@"\n'
    )
    srun.chmod(0o755)


@contextlib.contextmanager
def running_cluster(root: Path, settings: dict[str, str] | None = None) -> Iterator[Cluster]:
    """Start a cluster of `CPU_NODES` and `GPU_NODES` below a folder; stop it at the end.

    Parameters
    ----------
    root : Path
        Folder, of a short path.
    settings : dict, optional
        Keys of slurm.conf that differ from `CONF`: `ACCOUNTS` or `CGROUPS`.

    Raises
    ------
    TimeoutError
        If it is not up within 30 seconds; the daemons' logs lie in `root`/log.
    """
    write_config(root, settings or {})
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
        if settings == ACCOUNTS:
            _keep_accounts(cluster)
        cluster.daemon("slurmctld", *CONTROLLER, "-c")
        for node in CPU_NODES + GPU_NODES:
            cluster.start_node(node)
        wait_until(lambda: _all_idle(cluster), 30, f"idle nodes; see {root}/log")
        yield cluster
    finally:
        cluster.stop()


def _keep_accounts(cluster: Cluster) -> None:
    """Start a database in a folder of its own, and what keeps Slurm's accounts in it."""
    root, data = cluster.root, f"--datadir={cluster.root}/mariadb"
    as_us = (f"--user={getpass.getuser()}", data)  # mariadbd runs as root only when told to
    cluster("mariadb-install-db", "--no-defaults", "--skip-test-db", *as_us)
    cluster.daemon(
        "mariadbd",
        *("mariadbd", "--no-defaults", *as_us, "--skip-networking", "--skip-grant-tables"),
        *(f"--socket={root}/mariadb.sock", f"--pid-file={root}/mariadb.pid"),
    )
    wait_until((root / "mariadb.sock").exists, 30, f"MariaDB; see {root}/log")
    cluster.daemon("slurmdbd", "slurmdbd", "-D")
    wait_until(lambda: cluster.answers("sacctmgr", "-n", "list", "cluster"), 30, "slurmdbd")
    cluster("sacctmgr", "-i", "add", "cluster", "test")
    cluster("sacctmgr", "-i", "add", "account", "lab")
    cluster("sacctmgr", "-i", "add", "user", getpass.getuser(), "account=lab", "defaultaccount=lab")


def _all_idle(cluster: Cluster) -> bool:
    return cluster.answers("sinfo") and set(cluster.states().values()) == {"idle"}
