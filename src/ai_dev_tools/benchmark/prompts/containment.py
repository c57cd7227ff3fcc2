"""Where a tool runs: below a supervisor, and in a sandbox if the system offers one.

The supervisor leaves no process of the tool behind.

The sandbox for tools is bubblewrap. It is used only after a trial has shown that it holds.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Literal

import msgspec

from ai_dev_tools.benchmark._util.processes import ended_within, last_line
from ai_dev_tools.benchmark._util.supervised_cpu import SupervisedProgram
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts import bubblewrap, supervisor
from ai_dev_tools.benchmark.prompts.run_folder import (
    RunFolder,
    Sandbox,
    SandboxSetting,
    fresh_run_folder,
    tool_environment,
)

GRACE_S = 60.0
"""How much longer than its tool a supervisor may take before we stop waiting for it."""
ASKED_TO_END_S, ENDING_S = 3.0, 15.0
"""How long to wait for a supervisor that was told to end, before and after its process is killed."""


@dataclass(frozen=True)
class RunLimits:
    """What one run may use. What it prints and what it writes are counted separately."""

    seconds: float
    printed_bytes: int = 50_000_000
    written_bytes: int = 100_000_000
    entries: int = 20_000
    look_every_s: float = 1.0


@dataclass(frozen=True)
class SandboxStarter:
    """What starts a sandbox that is not the one for tools.

    Attributes:
        words: what precedes the command of the supervisor.
        environment: of the program that makes the sandbox; None: the same as that of the program in it.
        outputs: where the sandbox shows the files for stdout and stderr, if it does not pass on open ones.
        keeper: file with the number of the process that the sandbox is below, if that is not the one that made it.
        removal: what takes the sandbox away if the program that made it does not, which is given time for that.
    """

    words: Sequence[str]
    environment: Mapping[str, str] | None = None
    outputs: tuple[str, str] | None = None
    removal: Sequence[str] = ()
    keeper: Path | None = None


class RunEnd(msgspec.Struct, frozen=True):
    """How a run ended, and what it cost.

    Attributes:
        how: `exit` with a code; the limit that it hit; `lost` if something else ended its supervisor.
        detail: why it could not be started.
        left: something could not be ended.
        own_cpu_s: what its supervisor used itself.
    """

    how: Literal["exit", "timeout", "printed", "written", "not_started", "abandoned", "lost"]
    code: int | None = None
    detail: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    other_cpu_s: float | None = None
    left: bool = False
    own_cpu_s: float = 0.0


_end_decoder = msgspec.json.Decoder(RunEnd)


class ContainedProgram:
    """A program that runs in a separate folder, below its supervisor.

    It runs until it ends, hits a limit or is told to end.

    The thread that starts it has to live as long as it does: a sandbox ends with the thread that made it.

    Args:
        streams: files for stdout and stderr.
        stdin: what it reads; nothing by default.
        network: whether a sandbox gives it network access.
        needed: what the program reads in addition to the system.
        starter: starts another sandbox in place of the one for tools.
    """

    def __init__(
        self,
        argv: list[str],
        run_folder: RunFolder,
        environment: dict[str, str],
        streams: tuple[BinaryIO, BinaryIO],
        limits: RunLimits,
        sandbox: Sandbox,
        *,
        stdin: BinaryIO | None = None,
        network: bool = False,
        needed: tuple[Path, ...] = (),
        starter: SandboxStarter | None = None,
    ) -> None:
        outputs, places = [stream.fileno() for stream in streams], run_folder.places(sandbox)
        request = {
            "argv": argv,
            "workdir": str(places.case),
            "environment": environment,
            "folders": [str(places.case), str(places.home), str(places.tmp)],
            "outputs": starter.outputs if starter and starter.outputs else outputs,
            "input": None if stdin is None else stdin.fileno(),
            "timeout_s": limits.seconds,
            "look_s": limits.look_every_s,
            "printed_bytes": limits.printed_bytes,
            "written_bytes": limits.written_bytes,
            "entries": limits.entries,
            "detach": sandbox == "none",
        }
        command = [sys.executable, "-I", "-S", supervisor.__file__]
        if starter is not None:
            command = [*starter.words, *command]
        elif sandbox == "bubblewrap":
            command = [*bubblewrap.command(run_folder, argv, needed, limits.written_bytes, network=network), *command]
        self._removal, self._keeper = (starter.removal, starter.keeper) if starter else ((), None)
        self._outside = environment if starter is None or starter.environment is None else starter.environment
        self._problems, self._sandbox, self._seconds = run_folder.scratch / "problems", sandbox, limits.seconds
        self._said, self._silent, self._closed = b"", False, False
        with self._problems.open("wb") as stderr:
            self._process = subprocess.Popen(
                command, env=self._outside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                pass_fds=[*outputs, *([] if stdin is None else [stdin.fileno()])], start_new_session=True,
            )  # fmt: skip
        self._program = SupervisedProgram(self._tops)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def wait(self) -> RunEnd:
        """Wait for its end; its supervisor watches its limits."""
        try:
            return self.ended_within(self._seconds + GRACE_S) or RunEnd("lost", detail=last_line(self._problems))
        finally:
            self.close()

    def begin(self) -> None:
        """Wait until its supervisor is there, so that what follows is the program's own time."""
        self._lines(1, GRACE_S)

    def ended_within(self, seconds: float) -> RunEnd | None:
        """How it ended, if it does so in time; otherwise it continues to run."""
        lines = self._lines(2, seconds)
        if len(lines) == 2:
            return _end_decoder.decode(lines[1])
        return RunEnd("lost", detail=last_line(self._problems)) if self._silent else None

    def close(self) -> RunEnd | None:
        """End it and everything that it started; says how it ended, if its supervisor does."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        if self._closed:
            return self.ended_within(0.0)
        self._closed = True
        found = None
        try:
            found = self._close(process, process.stdin)
        finally:
            process.stdout.close()
            self._program.ended(found.cpu_s + found.own_cpu_s if found else None)
        return found

    def _close(self, process: subprocess.Popen[bytes], stdin: IO[bytes]) -> RunEnd | None:
        with contextlib.suppress(OSError):
            stdin.close()  # without it, a supervisor ends its tool and itself
        found = self.ended_within(ASKED_TO_END_S)
        if found is None or self._removal:
            self._program.note_use()
        if self._removal:
            self._clean_up()
        if process.poll() is None:
            process.kill()
        process.wait()
        if self._said.count(b"\n") == 1 and self._sandbox == "none":  # a tool may have stopped it
            with contextlib.suppress(OSError):
                os.kill(int(self._said.splitlines()[0]), signal.SIGCONT)
        return found or self.ended_within(ENDING_S)

    def _tops(self) -> list[int]:
        """The processes above the program: without a sandbox, its supervisor leaves the one that was started."""
        supervisor_id, line_end, _ = self._said.partition(b"\n")
        if self._sandbox == "none" and line_end:
            return [int(supervisor_id)]
        further = self._keeper.read_text() if self._keeper and self._keeper.is_file() else ""
        return [self._process.pid, *map(int, further.split())]

    def _clean_up(self) -> None:
        """Wait until the sandbox is taken away, or take it away. What that costs is the program's use, too."""
        if ended_within(self._process.pid, ENDING_S):
            self._program.note_use()  # it is still there to be asked, as nobody has waited for it
            return
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(self._removal, env=self._outside, timeout=ENDING_S, capture_output=True, check=False)

    def _lines(self, count: int, seconds: float) -> list[bytes]:
        """The first lines of its supervisor: its process id, and how the program ended.

        Fewer if it ends early or time is up.
        """
        deadline, stdout = time.monotonic() + seconds, self._process.stdout
        assert stdout is not None
        while self._said.count(b"\n") < count and not stdout.closed:
            ready, _, _ = select.select([stdout.fileno()], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                break
            if not (part := os.read(stdout.fileno(), 65536)):
                self._silent = True
                break
            self._said += part
        return [line for line in self._said.splitlines(keepends=True) if line.endswith(b"\n")][:count]


def choose_sandbox(setting: SandboxSetting) -> Sandbox:
    """The sandbox for a setting.

    Raises:
        ConfigurationError: bubblewrap is required but does not work here.
    """
    if setting == "none":
        return "none"
    problem = bubblewrap_problem()
    if problem and setting == "bubblewrap":
        raise ConfigurationError(
            f"tool_sandbox is bubblewrap, but {problem}",
            remedy="Install bubblewrap, or set tool_sandbox=auto to run tools without it if it does not work",
        )
    return "none" if problem else "bubblewrap"


_TRIAL = """
import os, socket, sys
problems = []
system = [line.split()[1] for line in open("/proc/self/mounts") if line.split()[1].startswith("/usr")]
if any(os.path.exists(place) and not os.statvfs(place).f_flag & os.ST_RDONLY for place in (*system, sys.prefix)):
    problems.append("the system can be written to")
try:
    open(sys.argv[1], "w").write("x")
except OSError:
    pass
if os.getppid() != 1 or len([name for name in os.listdir("/proc") if name.isdigit()]) > 2:
    problems.append("other processes can be seen")
if {name for _, name in socket.if_nameindex()} - {"lo"}:
    problems.append("there is a network")
for folder in (".", os.environ["HOME"], os.environ["TMPDIR"]):
    open(os.path.join(folder, "trial"), "w").write("x")
print(", ".join(problems) or "holds")
"""


@functools.cache
def bubblewrap_problem() -> str:
    """Why no sandbox can be used here; empty if a trial has shown that it works."""
    if sys.platform != "linux" or bubblewrap.bwrap() is None:
        return "bubblewrap (bwrap) is not installed"
    with fresh_run_folder() as run_folder:
        return trial_problem(run_folder, "bubblewrap")


def trial_problem(run_folder: RunFolder, sandbox: Sandbox, starter: SandboxStarter | None = None) -> str:
    """What a trial shows that a sandbox does not keep apart; empty if it holds."""
    with open(run_folder.scratch / "stdout", "w+b") as out, open(run_folder.scratch / "stderr", "w+b") as err:
        argv = [sys.executable, "-I", "-c", _TRIAL, str(run_folder.scratch / "outside")]
        environment = tool_environment(run_folder, sandbox)
        ended = ContainedProgram(
            argv, run_folder, environment, (out, err), RunLimits(30.0), sandbox, starter=starter
        ).wait()
        out.seek(0)
        said = out.read(500).decode(errors="replace").strip()
        if (run_folder.scratch / "outside").exists():
            return f"a trial of {sandbox} failed (files outside can be written)"
    if ended.how != "exit" or said != "holds":
        return f"a trial of {sandbox} failed ({said or ended.detail or ended.how})"
    return ""
