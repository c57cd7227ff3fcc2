"""A real Slurm of one node, as root, in a folder of its own: the machine's own configuration is left alone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

CLIENTS = ("sbatch", "srun", "squeue", "sinfo", "scancel", "scontrol")
PROGRAMS = ("munged", "slurmctld", "slurmd", *CLIENTS)
PARTITION = "test"


def missing() -> str | None:
    """Why Slurm cannot run here, or None."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"Slurm is not installed ({', '.join(absent)}): apt-get install slurm-wlm munge"
    if find_spec("snakemake_executor_plugin_slurm") is None:
        return "Snakemake's plugin for Slurm is not installed: pip install --group slurm"
    return None if os.geteuid() == 0 else "a Slurm of the test's own needs root"


@contextmanager
def slurm_node(folder: Path) -> Iterator[dict[str, str]]:
    """Start munge, controller and node; yields the environment for Slurm's clients; stops all three afterwards."""
    for name in ("state", "spool", "logs"):
        (folder / name).mkdir(parents=True)
    configuration = folder / "slurm.conf"
    configuration.write_text(_configuration(folder))
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\nCgroupPlugin=cgroup/v1\n")
    environment = {
        **os.environ,
        "SLURM_CONF": str(configuration),
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    _wrap_clients(folder / "bin", configuration)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    munged = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder / 'munge.socket'}"]
    munged += [f"--{name}-file={folder / f'munge.{name}'}" for name in ("pid", "seed", "log")]
    with ExitStack() as stack:
        for command in (munged, ["slurmctld", "-D"], ["slurmd", "-D"]):
            stack.enter_context(_daemon(command, folder, environment))
            if command is munged:
                _wait_for((folder / "munge.socket").exists, "munge", folder)
        _wait_for(lambda: _state(environment) == "idle", "the node", folder)
        yield environment
        subprocess.run(["scancel", f"--partition={PARTITION}"], env=environment, check=False, timeout=120)
        _wait_for(lambda: _jobs(environment) == "", "the end of all jobs", folder)


def _wrap_clients(folder: Path, configuration: Path) -> None:
    """Clients that know this Slurm's configuration: the executor's jobs clear all variables named SLURM_…"""
    folder.mkdir()
    for name in CLIENTS:
        client = folder / name
        client.write_text(f'#!/bin/sh\nSLURM_CONF="{configuration}" exec "{shutil.which(name)}" "$@"\n')
        client.chmod(0o755)


def _configuration(folder: Path) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    name = socket.gethostname().split(".")[0]
    ports = _free_ports(2)
    return f"""ClusterName=test
SlurmctldHost={name}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder / "munge.socket"}
CredType=cred/munge
StateSaveLocation={folder / "state"}
SlurmdSpoolDir={folder / "spool"}
SlurmctldPidFile={folder / "slurmctld.pid"}
SlurmdPidFile={folder / "slurmd.pid"}
SlurmctldLogFile={folder / "logs" / "slurmctld.log"}
SlurmdLogFile={folder / "logs" / "slurmd.log"}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
MinJobAge=300
KillWait=5
NodeName={name} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory={memory} State=UNKNOWN
PartitionName={PARTITION} Nodes={name} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


@contextmanager
def _daemon(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    with (folder / "logs" / f"{command[0]}.out").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(condition: object, what: str, folder: Path, timeout_s: float = 120) -> None:
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            logs = "\n".join(f"== {log.name}\n{log.read_text()[-1500:]}" for log in sorted((folder / "logs").iterdir()))
            raise AssertionError(f"waited {timeout_s:g} s for {what} of Slurm\n{logs}")
        time.sleep(0.2)


def _state(environment: dict[str, str]) -> str:
    command = ["sinfo", "--noheader", "--format=%T"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.strip()


def _jobs(environment: dict[str, str]) -> str:
    command = ["squeue", "--noheader"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.strip()


def _free_ports(count: int) -> list[int]:
    """Different ones: each is held until all are known."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(listener.getsockname()[1]) for listener in listeners]
