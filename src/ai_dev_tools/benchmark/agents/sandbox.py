"""The sandbox of an agent of others: bubblewrap, with nothing of this machine but its system and the agent's own files.

Stricter than that of tools, because such an agent runs programs of its choice: it must not read the answers of the tasks, the
results so far, or your home. There is no network; a Unix socket leads to the meter.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ai_dev_tools.benchmark.agents import forwarder
from ai_dev_tools.benchmark.config.shipped_files import PACKAGED
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts import supervisor
from ai_dev_tools.benchmark.prompts.containment import RunFolder, bubblewrap_problem, bwrap
from ai_dev_tools.benchmark.records.agent_program import AgentProgram, AgentSandbox

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/nix/store")
"""What an agent sees of the system, read-only."""
SOCKET = "/run/meter"
"""Where the sandbox shows the meter's socket."""
PORT = 11434
"""Where the meter answers inside: nothing else is there, so it can be the port that agents expect."""


def require_sandbox(program: str, setting: AgentSandbox) -> None:
    """Raise ConfigurationError where the agent's sandbox cannot be had."""
    if setting == "none":
        return
    if problem := bubblewrap_problem():
        raise ConfigurationError(
            f"the agent '{program}' runs programs of its choice and needs a sandbox, but {problem}",
            remedy="Install bubblewrap, or set agent.sandbox=none to let it do whatever it wants on this machine",
        )


def sandbox_words(
    program: AgentProgram, argv: Sequence[str], run_folder: RunFolder, socket: Path, written_bytes: int
) -> list[str]:
    """The words that start the agent's sandbox, in front of the command of its supervisor."""
    size, places = str(written_bytes), run_folder.places("bubblewrap")
    words = [
        str(bwrap()), "--die-with-parent", "--unshare-all", "--as-pid-1", "--cap-drop", "ALL", "--hostname", "sandbox",
        *(word for folder in SYSTEM for word in _shown(folder)),
        "--proc", "/proc", "--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm", "--bind", str(run_folder.tmp), "/tmp",
    ]  # fmt: skip
    for path in sorted(set(_parts(program, argv))):
        words += ["--ro-bind", str(path), str(path)]
    if PACKAGED.is_dir():  # the answers of the shipped tasks, where this project is installed as a package
        words += ["--tmpfs", str(PACKAGED)]
    words += ["--bind", str(run_folder.case), str(places.case), "--bind", str(run_folder.home), str(places.home)]
    return [*words, "--bind", str(socket), SOCKET, "--chdir", str(places.case), "--"]


def inside(argv: Sequence[str]) -> list[str]:
    """A command that reaches the meter from inside the sandbox."""
    return [sys.executable, "-I", "-S", forwarder.__file__, SOCKET, str(PORT), "--", *argv]


def _shown(folder: str) -> list[str]:
    path = Path(folder)
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), folder]
    return ["--ro-bind", folder, folder] if path.is_dir() else []


def _parts(program: AgentProgram, argv: Sequence[str]) -> Iterator[Path]:
    """Files and folders that the agent and its supervisor consist of, outside of the system."""
    wanted: list[Path] = [Path(supervisor.__file__), Path(forwarder.__file__), Path(sys.prefix), Path(sys.base_prefix)]
    if program.folder:
        folder = Path(program.folder)
        wanted += [folder, *_behind(map(str, folder.glob("bin/python*")))]
    wanted += _behind(found for name in (argv[0], *program.needs) if (found := shutil.which(name)))
    for path in {found for named in wanted for found in (named.absolute(), named.resolve())}:
        if path.exists() and not str(path).startswith(tuple(f"{folder}/" for folder in SYSTEM)):
            yield path


def _behind(programs: Iterable[str]) -> Iterator[Path]:
    """The folders that programs and what they link to were installed into."""
    for name in programs:
        for path in (Path(name).absolute(), Path(name).resolve()):
            folder = path.parent.parent if path.parent.name in ("bin", ".bin") else path.parent
            yield path if folder in (Path("/"), Path.home()) else folder
