"""The sandbox of a third-party agent: bubblewrap or podman, showing only the system and the agent.

Stricter than that of tools, because such an agent runs programs of its choice: it must not read the answers of the tasks, the
results so far, or your home. It has no network; a Unix socket leads to the meter. Both kinds show the same.
"""

from __future__ import annotations

import functools
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ai_dev_tools.benchmark.agents import forwarder
from ai_dev_tools.benchmark.agents.podman import VisiblePaths, container, podman_problem
from ai_dev_tools.benchmark.config.shipped_files import PACKAGED
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts import supervisor
from ai_dev_tools.benchmark.prompts.bubblewrap import bwrap
from ai_dev_tools.benchmark.prompts.containment import SandboxStarter, bubblewrap_problem
from ai_dev_tools.benchmark.prompts.run_folder import RunFolder, Sandbox
from ai_dev_tools.benchmark.records.agent_program import AgentProgram, AgentSandbox

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/nix/store")
"""What an agent sees of the system, read-only."""
SOCKET = "/run/meter"
"""Where the sandbox shows the meter's socket."""
PORT = 11434
"""Where the meter answers inside: nothing else is there, so it can be the port that agents expect."""


def agent_sandbox(program: str, setting: AgentSandbox) -> Sandbox:
    """The sandbox for a setting.

    Args:
        program: name of the agent, for messages.

    Raises:
        ConfigurationError: it cannot be had here.
    """
    if setting == "none":
        return "none"
    problems = []
    for kind in ("bubblewrap", "podman") if setting == "auto" else (setting,):
        problem = bubblewrap_problem() if kind == "bubblewrap" else _podman_problem()
        if not problem:
            return kind
        problems.append(problem)
    raise ConfigurationError(
        f"the agent '{program}' runs programs of its choice and needs a sandbox, but {' and '.join(problems)}",
        remedy="Install bubblewrap or podman, or set agent.sandbox=none to let it do whatever it wants on this machine",
    )


def sandbox_starter(
    kind: Sandbox, program: AgentProgram, argv: Sequence[str], run_folder: RunFolder, socket: Path, written_bytes: int
) -> SandboxStarter | None:
    """What starts the agent's sandbox; None: there is none.

    Args:
        socket: of the meter.
        written_bytes: most bytes that the agent may keep in memory as files.
    """
    if kind == "none":
        return None
    parts = sorted(set(_parts(program, argv)))
    hidden = [PACKAGED] if PACKAGED.is_dir() else []  # the answers of the shipped tasks, where they are a package
    if kind == "podman":
        shown = VisiblePaths([*_folders(), *parts], _links(), hidden, {SOCKET: socket})
        return container(run_folder, shown, written_bytes)
    return SandboxStarter(_bubblewrap(parts, hidden, run_folder, socket, str(written_bytes)))


def _bubblewrap(
    parts: Iterable[Path], hidden: Iterable[Path], run_folder: RunFolder, socket: Path, size: str
) -> list[str]:
    places = run_folder.places("bubblewrap")
    words = [
        str(bwrap()), "--die-with-parent", "--unshare-all", "--as-pid-1", "--cap-drop", "ALL", "--hostname", "sandbox",
        *(word for path in _folders() for word in ("--ro-bind", str(path), str(path))),
        *(word for link, target in _links().items() for word in ("--symlink", target, link)),
        "--proc", "/proc", "--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm", "--bind", str(run_folder.tmp), "/tmp",
        *(word for path in parts for word in ("--ro-bind", str(path), str(path))),
        *(word for path in hidden for word in ("--tmpfs", str(path))),
        "--bind", str(run_folder.case), str(places.case), "--bind", str(run_folder.home), str(places.home),
        "--bind", str(socket), SOCKET, "--chdir", str(places.case), "--",
    ]  # fmt: skip
    return words


def inside(argv: Sequence[str]) -> list[str]:
    """A command that reaches the meter from inside the sandbox."""
    return [sys.executable, "-I", "-S", forwarder.__file__, SOCKET, str(PORT), "--", *argv]


@functools.cache
def _podman_problem() -> str:
    nothing = AgentProgram(id="", version="", digest="", command=[])
    return podman_problem(VisiblePaths([*_folders(), *sorted(set(_parts(nothing, [sys.executable])))], _links()))


def _folders() -> list[Path]:
    """Folders of the system."""
    return [path for path in map(Path, SYSTEM) if path.is_dir() and not path.is_symlink()]


def _links() -> Mapping[str, str]:
    """Links among the folders of the system, and what they lead to."""
    return {name: str(Path(name).readlink()) for name in SYSTEM if Path(name).is_symlink()}


def _parts(program: AgentProgram, argv: Sequence[str]) -> Iterator[Path]:
    """Files and folders that the agent and its supervisor consist of, outside of the system."""
    wanted: list[Path] = [Path(supervisor.__file__), Path(forwarder.__file__), Path(sys.prefix), Path(sys.base_prefix)]
    if program.folder:
        folder = Path(program.folder)
        wanted += [folder, *_installation_folders(map(str, folder.glob("bin/python*")))]
    wanted += _installation_folders(found for name in (argv[0], *program.needs) if (found := shutil.which(name)))
    for path in {found for named in wanted for found in (named.absolute(), named.resolve())}:
        if path.exists() and not str(path).startswith(tuple(f"{folder}/" for folder in SYSTEM)):
            yield path


def _installation_folders(programs: Iterable[str]) -> Iterator[Path]:
    """The folders that programs and what they link to were installed into."""
    for name in programs:
        for path in (Path(name).absolute(), Path(name).resolve()):
            folder = path.parent.parent if path.parent.name in ("bin", ".bin") else path.parent
            yield path if folder in (Path("/"), Path.home()) else folder
