"""A SLURM of one node, in plain processes: controller, node and authentication, from the packages slurmctld, slurmd and munge."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

DAEMONS = ("munged", "slurmctld", "slurmd")
SECONDS = 30  # to come up; it takes one
CPUS = 2

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=0
KillWait=2
MaxArraySize=4
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2
"""
# cred_expire is also how long a requeued job rests. JobRequeue=0: a job that may be requeued has to say so, as on many clusters.


@dataclass(frozen=True)
class Slurm:
    """A SLURM that runs, and its configuration file, by which every command of SLURM finds it."""

    configuration: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables of this process, without those of a SLURM that it may run in."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "SQUEUE"))}
        return kept | {"SLURM_CONF": str(self.configuration)}

    def __call__(self, *words: str) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout} {done.stderr}"
        return done.stdout

    def queue(self) -> dict[str, str]:
        """The state of each job that is queued or at work, by its id; of an array every one."""
        lines = self("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def field(self, job: str, name: str) -> str:
        """What `scontrol` shows of a job: `JobState`, `ExitCode`, `Restarts`."""
        words = self("scontrol", "show", "job", "--oneliner", job).split()
        return next(word.partition("=")[2] for word in words if word.startswith(f"{name}="))

    def preempt(self, job: str) -> None:
        """Have a job give way to an urgent one that takes all CPUs; return when its processes are gone.

        Its processes are paused meanwhile: they must not finish in the seconds that SLURM takes, which it lets them go on for.
        """
        _, *lines = self("scontrol", "listpids", self.field(job, "JobId")).splitlines()
        processes = [number for line in lines if "python" in psutil.Process(number := int(line.split()[0])).name()]
        self("sbatch", "--partition=urgent", f"--ntasks={CPUS}", "--output=/dev/null", "--wrap=true")
        deadline = time.monotonic() + SECONDS
        while left := [process for process in processes if psutil.pid_exists(process)]:
            assert time.monotonic() < deadline, f"{job} is at work after {SECONDS} s"
            for process in left:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGSTOP)
            time.sleep(0.01)

    def wait(self, seconds: float = 600) -> None:
        """Return when no job is left."""
        deadline = time.monotonic() + seconds
        while left := self.queue():
            assert time.monotonic() < deadline, f"after {seconds} s there are still {left}"
            time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def _daemon(folder: Path, *words: str) -> Iterator[None]:
    with (folder / f"{words[0]}.out").open("w") as said:
        process = subprocess.Popen(words, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until(folder: Path, done: str, *words: str, env: dict[str, str] | None = None) -> None:
    """Return when a command prints `done`; skip the test where it does not come to it."""
    deadline = time.monotonic() + SECONDS
    while True:
        answer = subprocess.run(words, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
        if answer.returncode == 0 and done in answer.stdout:
            return
        if time.monotonic() > deadline:
            last = [f"{name}: {_last_line(folder / f'{name}.out')}" for name in DAEMONS]
            pytest.skip(f"SLURM does not come up here: {'; '.join(last)}")
        time.sleep(0.05)


def _last_line(file: Path) -> str:
    return (
        (file.read_text(errors="replace").strip().splitlines() or ["nothing"])[-1] if file.exists() else "not started"
    )


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A SLURM of two CPUs, which takes arrays of four jobs; skips where it is not installed or may not run.

    Jobs of its partition `urgent` take the place of those of `main`, the default.
    """
    missing = [name for name in (*DAEMONS, "sbatch") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"SLURM is not installed here: no {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("SLURM's daemons are started by root alone")
    with tempfile.TemporaryDirectory(prefix="slurm-") as place, ExitStack() as running:
        folder = Path(place)  # a short path: that of a socket has at most 107 characters
        ports = _free_ports(2)
        values = {"folder": folder, "host": socket.gethostname().partition(".")[0], "cpus": CPUS}
        text = CONFIGURATION.format(controller_port=ports[0], node_port=ports[1], **values)
        one = Slurm(folder / "slurm.conf")
        one.configuration.write_text(text)
        for name in ("state", "spool"):
            (folder / name).mkdir()
        key, munge = folder / "munge.key", str(folder / "munge.socket")
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        files = [f"--{name}-file={folder / name}" for name in ("log", "pid", "seed")]
        # --force: a socket in a folder that others may not enter is a warning.
        running.enter_context(
            _daemon(folder, "munged", "-F", "--force", f"--socket={munge}", f"--key-file={key}", *files)
        )
        _until(folder, "", "munge", "--no-input", f"--socket={munge}")
        running.enter_context(_daemon(folder, "slurmctld", "-D", "-i", "-f", str(one.configuration)))
        running.enter_context(_daemon(folder, "slurmd", "-D", "-f", str(one.configuration)))
        _until(folder, "idle", "sinfo", "--noheader", "--format=%T", env=one.environment)
        yield one
        one("scancel", "--user=root")  # of a test that failed
        one.wait()
