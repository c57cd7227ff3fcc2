"""Where a tool runs: below a supervisor, and in a sandbox if the system offers one.

The supervisor leaves no process of the tool behind.

The sandbox is bubblewrap: separate processes and /proc, no network, the system read-only, the case's folder, home and /tmp
writable. It is used only after a trial has shown that it holds.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Literal

import msgspec

from ai_dev_tools.benchmark._util.credentials import without_passwords
from ai_dev_tools.benchmark._util.own_programs import OwnProgram
from ai_dev_tools.benchmark._util.processes import ended_within, last_line
from ai_dev_tools.benchmark._util.scratch import scratch_folder
from ai_dev_tools.benchmark._util.text import visible
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts import supervisor

SandboxSetting = Literal["auto", "none", "bubblewrap"]
Sandbox = Literal["none", "bubblewrap", "podman"]
"""What a program runs in; only third-party agents run in podman."""

GRACE_S = 60.0
"""How much longer than its tool a supervisor may take before we stop waiting for it."""
ASKED_TO_END_S, ENDING_S = 3.0, 15.0
"""How long to wait for a supervisor that was told to end, before and after its process is killed."""
LAST_LINES, LAST_LINE_CHARS = 5, 160
HIDDEN = ("/tmp", "/var/tmp", "/run")
"""Folders that are private in a sandbox, because sockets of other programs are there."""
WORKSPACE, HOME = "/run/workspace", "/run/home"
"""Where a sandbox shows the folders of an agent: an index may hold absolute paths, and was made in another run."""


@dataclass(frozen=True)
class Limits:
    """What one run may use. What it prints and what it writes are counted separately."""

    seconds: float
    printed_bytes: int = 50_000_000
    written_bytes: int = 100_000_000
    entries: int = 20_000
    look_every_s: float = 1.0


@dataclass(frozen=True)
class Places:
    """Folders that a program may write to, as it sees them."""

    case: Path
    home: Path
    tmp: Path


@dataclass(frozen=True)
class RunFolder:
    """A fresh folder for one run: what the tool may write to, and where its streams go.

    Attributes:
        same_paths: whether a sandbox shows its folders under the same names as those of other runs.
    """

    scratch: Path
    same_paths: bool = False

    @property
    def case(self) -> Path:
        return self.scratch / "case"

    @property
    def home(self) -> Path:
        return self.scratch / "home"

    @property
    def tmp(self) -> Path:
        return self.scratch / "tmp"

    @property
    def folders(self) -> list[Path]:
        return [self.case, self.home, self.tmp]

    def places(self, sandbox: Sandbox) -> Places:
        """Its folders, as a program in it sees them."""
        if sandbox == "none":
            return Places(self.case, self.home, self.tmp)
        if self.same_paths:
            return Places(Path(WORKSPACE), Path(HOME), Path("/tmp"))
        return Places(self.case, self.home, Path("/tmp"))

    def without_paths(self, text: str) -> str:
        """What a program said, with paths of its folder as they are below it."""
        for case, home in ((str(self.case), str(self.home)), (WORKSPACE, HOME) if self.same_paths else ("", "")):
            if case:
                text = text.replace(f"{case}/", "").replace(case, ".").replace(home, "~")
        return text


@contextlib.contextmanager
def fresh_run_folder(*, same_paths: bool = False) -> Iterator[RunFolder]:
    """A folder for one run that is removed afterwards."""
    with scratch_folder("tool") as scratch:
        run_folder = RunFolder(scratch, same_paths)
        for folder in run_folder.folders:
            folder.mkdir()
        yield run_folder


@dataclass(frozen=True)
class Starter:
    """What starts a sandbox that is not the one for tools.

    Attributes:
        words: what stands in front of the command of the supervisor.
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


class Ended(msgspec.Struct, frozen=True):
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


def run_contained(
    argv: list[str],
    run_folder: RunFolder,
    environment: dict[str, str],
    streams: tuple[BinaryIO, BinaryIO],
    limits: Limits,
    sandbox: Sandbox,
    *,
    stdin: BinaryIO | None = None,
    network: bool = False,
    needed: tuple[Path, ...] = (),
) -> Ended:
    """Run a program in a separate folder to its end or a limit.

    Args:
        streams: files for stdout and stderr.
        stdin: what it reads; nothing by default.
        network: whether a sandbox gives it network access.
        needed: what the program reads besides the system.
    """
    return Contained(
        argv, run_folder, environment, streams, limits, sandbox, stdin=stdin, network=network, needed=needed
    ).wait()


class Contained:
    """A program that runs in a separate folder, below its supervisor.

    It runs until it ends, hits a limit or is told to end.

    The thread that starts it has to live as long as it does: a sandbox ends with the thread that made it.

    Args:
        starter: starts another sandbox in place of the one for tools.
    """

    def __init__(
        self,
        argv: list[str],
        run_folder: RunFolder,
        environment: dict[str, str],
        streams: tuple[BinaryIO, BinaryIO],
        limits: Limits,
        sandbox: Sandbox,
        *,
        stdin: BinaryIO | None = None,
        network: bool = False,
        needed: tuple[Path, ...] = (),
        starter: Starter | None = None,
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
            command = [*_bubblewrap(run_folder, argv, needed, limits, network), *command]
        self._removal, self._keeper = (starter.removal, starter.keeper) if starter else ((), None)
        self._outside = environment if starter is None or starter.environment is None else starter.environment
        self._problems, self._sandbox, self._seconds = run_folder.scratch / "problems", sandbox, limits.seconds
        self._said, self._silent, self._closed = b"", False, False
        with self._problems.open("wb") as stderr:
            self._process = subprocess.Popen(
                command, env=self._outside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                pass_fds=[*outputs, *([] if stdin is None else [stdin.fileno()])], start_new_session=True,
            )  # fmt: skip
        self._program = OwnProgram(self._tops)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def wait(self) -> Ended:
        """Wait for its end; its supervisor watches its limits."""
        try:
            return self.ended_within(self._seconds + GRACE_S) or Ended("lost", detail=last_line(self._problems))
        finally:
            self.close()

    def begin(self) -> None:
        """Wait until its supervisor is there, so that what follows is the program's own time."""
        self._lines(1, GRACE_S)

    def ended_within(self, seconds: float) -> Ended | None:
        """How it ended, if it does so in time; otherwise it continues to run."""
        lines = self._lines(2, seconds)
        if len(lines) == 2:
            return msgspec.json.decode(lines[1], type=Ended)
        return Ended("lost", detail=last_line(self._problems)) if self._silent else None

    def close(self) -> Ended | None:
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

    def _close(self, process: subprocess.Popen[bytes], stdin: IO[bytes]) -> Ended | None:
        with contextlib.suppress(OSError):
            stdin.close()  # without it, a supervisor ends its tool and itself
        found = self.ended_within(ASKED_TO_END_S)
        if found is None or self._removal:
            self._program.look()
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
            self._program.look()  # it is still there to be asked, as nobody has waited for it
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


def _bubblewrap(
    run_folder: RunFolder, argv: list[str], needed: tuple[Path, ...], limits: Limits, network: bool
) -> list[str]:
    size = str(limits.written_bytes)
    command = [
        str(bwrap()), "--die-with-parent", "--unshare-all", "--as-pid-1", "--cap-drop", "ALL",
        *(["--share-net"] if network else []),
        "--ro-bind", "/", "/", "--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm", "--proc", "/proc",
        "--bind", str(run_folder.tmp), "/tmp", "--bind", str(run_folder.tmp), "/var/tmp", "--size", size, "--tmpfs", "/run",
    ]  # fmt: skip
    for path in _hidden_needs(argv, needed):
        command += ["--ro-bind", str(path), str(path)]
    places = run_folder.places("bubblewrap")
    for folder, seen in ((run_folder.case, places.case), (run_folder.home, places.home)):
        command += ["--bind", str(folder), str(seen)]
    return [*command, "--remount-ro", "/run", "--chdir", str(places.case), "--"]


def _hidden_needs(argv: list[str], needed: tuple[Path, ...]) -> list[Path]:
    """Folders that a program consists of and that a sandbox would hide, outer ones first."""
    wanted = {Path(sys.prefix), Path(sys.base_prefix), Path(supervisor.__file__).parent, *needed}
    for word in argv:
        if word.startswith("/") and len(word) < 4096 and os.path.exists(word):
            path = Path(word)
            for place in (path, path.resolve()):
                folder = place if place.is_dir() else place.parent
                wanted.add(folder.parent if folder.name in ("bin", ".bin") else folder)
    if os.path.exists("/run/current-system"):
        wanted |= {Path("/run/current-system"), Path("/run/wrappers")}
    places = {str(path) for path in wanted} | {str(path.resolve()) for path in wanted}
    inside = [Path(place) for place in places if place.startswith(tuple(f"{folder}/" for folder in HIDDEN))]
    return sorted(path for path in inside if path.exists())


def last_words(run_folder: RunFolder, out: BinaryIO, err: BinaryIO) -> str:
    """The last lines of both streams in one line, stderr first; the cause of a failure may be in either."""
    told = {}
    for name, stream in (("stderr", err), ("stdout", out)):
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 20_000))
        text = without_passwords(run_folder.without_paths(stream.read(20_000).decode(errors="replace")))
        lines = [visible(line.strip(), keep_lines=False) for line in text.splitlines() if line.strip()]
        if lines:
            told[name] = " | ".join(line[:LAST_LINE_CHARS] for line in lines[-LAST_LINES:])
    return told.get("stderr", "") if set(told) == {"stderr"} else "; ".join(f"{k}: {v}" for k, v in told.items())


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
def bwrap() -> str | None:
    """The program bubblewrap; None if it is not installed."""
    return shutil.which("bwrap") or shutil.which("bwrap", path=os.defpath)


@functools.cache
def bubblewrap_problem() -> str:
    """Why no sandbox can be used here; empty if a trial has shown that it works."""
    if sys.platform != "linux" or bwrap() is None:
        return "bubblewrap (bwrap) is not installed"
    with fresh_run_folder() as run_folder:
        return trial_problem(run_folder, "bubblewrap")


def trial_problem(run_folder: RunFolder, sandbox: Sandbox, starter: Starter | None = None) -> str:
    """What a trial shows that a sandbox does not keep apart; empty if it holds."""
    with open(run_folder.scratch / "stdout", "w+b") as out, open(run_folder.scratch / "stderr", "w+b") as err:
        argv = [sys.executable, "-I", "-c", _TRIAL, str(run_folder.scratch / "outside")]
        environment = tool_environment(run_folder, sandbox)
        ended = Contained(argv, run_folder, environment, (out, err), Limits(30.0), sandbox, starter=starter).wait()
        out.seek(0)
        said = out.read(500).decode(errors="replace").strip()
        if (run_folder.scratch / "outside").exists():
            return f"a trial of {sandbox} failed (files outside can be written)"
    if ended.how != "exit" or said != "holds":
        return f"a trial of {sandbox} failed ({said or ended.detail or ended.how})"
    return ""


def search_path() -> str:
    """Programs of the running environment come first, even if it is not activated."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def tool_environment(run_folder: RunFolder, sandbox: Sandbox) -> dict[str, str]:
    """A tool sees none of the user's settings, so that it behaves the same on every machine."""
    places = run_folder.places(sandbox)
    return {
        "PATH": search_path(),
        "HOME": str(places.home),
        "TMPDIR": str(places.tmp),
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
