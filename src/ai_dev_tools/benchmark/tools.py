"""Tools under test: one YAML each says how to run it and how to condense what it prints; here it is run for real."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveFloat

from ai_dev_tools.benchmark.errors import ConfigurationError, ToolError
from ai_dev_tools.benchmark.names import clean_files
from ai_dev_tools.benchmark.tasks import template_environment
from ai_dev_tools.benchmark.validation import PathSafe, StrictModel, parse, read_yaml

MAX_OUTPUT_BYTES = 50_000_000
VERSION_TIMEOUT_S = 30.0
LOOK_EVERY_S = 1.0


class ToolSpec(StrictModel):
    """How a tool is run and how its output is condensed."""

    id: PathSafe
    description: str
    homepage: str | None = None
    package: str | None = None
    version: str | None = None
    version_command: tuple[str, ...] | None = Field(None, min_length=1)
    install: str
    command: tuple[str, ...] = Field(min_length=1)
    accept_exit: tuple[int, ...] = (0,)
    timeout_s: PositiveFloat = 60.0
    output: Literal["json", "jsonl", "text"]
    template: str
    folder: Path = Field(exclude=True)

    def fingerprint(self) -> str:
        """Everything that determines what the tool says besides its version and input, as text."""
        beside = [
            [path.relative_to(self.folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()]
            for path in companions(self.folder / f"{self.id}.yaml")
        ]
        return json.dumps([self.model_dump(mode="json"), beside], sort_keys=True)


@dataclass(frozen=True)
class ToolRun:
    """What one run printed and cost."""

    condensed: str
    raw_bytes: int
    wall_s: float
    cpu_s: float


def find_tools(folder: Path) -> dict[str, Path]:
    """Tool files by id.

    Raises:
        ConfigurationError: the folder does not exist.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"tool folder {folder} does not exist", remedy="Correct 'tool_folders' in the config")
    found = {path.stem: path for path in clean_files(folder, "*.yaml")}
    for path in clean_files(folder, "*.yml"):
        if not any(path.stem == tool or path.stem.startswith(f"{tool}_") for tool in found):
            raise ConfigurationError(f"{path} is not read", remedy=f"Rename it to {path.with_suffix('.yaml')}")
    return found


def companions(tool_file: Path) -> list[Path]:
    """Files that belong to a tool: those beside its YAML that carry its name, `<tool>_*`, also whole folders; sorted."""
    folder, stem = tool_file.parent, tool_file.stem
    return sorted({*clean_files(folder, f"{stem}_*"), *clean_files(folder, f"{stem}_*/**/*")})


def load_tool(path: Path) -> ToolSpec:
    """The tool in a file.

    Raises:
        ConfigurationError: anything wrong with it, naming file and field.
    """
    import jinja2

    data = read_yaml(path)
    spec = parse(ToolSpec, data | {"folder": path.parent} if isinstance(data, dict) else data, str(path))
    if spec.id != path.stem:
        raise ConfigurationError(
            f"{path}: 'id' is '{spec.id}' but the file is named '{path.stem}': use one name for both"
        )
    try:
        template_environment().from_string(spec.template)
    except jinja2.TemplateError as error:
        raise ConfigurationError(f"{path}: 'template' is not a valid Jinja2 template: {error.message}") from None
    return spec


def installed_version(spec: ToolSpec) -> str:
    """The installed version; `unknown` where the tool file gives no way to ask.

    Raises:
        ConfigurationError: not installed, or not the pinned version; says how to install it.
    """
    where = spec.folder / f"{spec.id}.yaml"
    remedy = f"Install it: {spec.install}"
    if shutil.which(_filled(spec, spec.command[0]), path=_search_path()) is None:
        raise ConfigurationError(f"tool '{spec.id}' is not installed ({where})", remedy=remedy)
    found = _ask_version(spec)
    if spec.version and found != spec.version:
        raise ConfigurationError(f"tool '{spec.id}' is version {found}, but {where} pins {spec.version}", remedy=remedy)
    return found


def _ask_version(spec: ToolSpec) -> str:
    if spec.package:
        try:
            return importlib.metadata.version(spec.package)
        except importlib.metadata.PackageNotFoundError:
            raise ConfigurationError(
                f"tool '{spec.id}': package '{spec.package}' is not installed", remedy=f"Install it: {spec.install}"
            ) from None
    if spec.version_command:
        problem = ""
        try:
            answer = subprocess.run(
                _argv(spec, spec.version_command, ()), capture_output=True, encoding="utf-8", errors="replace",
                timeout=VERSION_TIMEOUT_S, env=_environment(Path.home()), stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
            if answer.returncode:
                problem = f"its version_command ended with exit code {answer.returncode}"
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = str(error)
        if problem:
            raise ConfigurationError(
                f"tool '{spec.id}' does not tell its version: {problem}", remedy=f"Install it: {spec.install}"
            )
        return next(iter((answer.stdout or answer.stderr).strip().splitlines()), "unknown")
    return "unknown"


def run_tool(spec: ToolSpec, files: Mapping[str, str], case_vars: Mapping[str, Any]) -> ToolRun:
    """Run the tool over a case's files in a fresh folder, and condense what it prints.

    Args:
        files: text of each file by relative path.
        case_vars: the case's variables, for the template.

    Raises:
        ToolError: it crashed, hung, printed too much or garbage, or its template does not fit its output; says what it
            cost all the same.
    """
    with tempfile.TemporaryDirectory(prefix="tool-") as scratch:
        workdir, home = Path(scratch) / "case", Path(scratch) / "home"
        home.mkdir()
        workdir.mkdir()
        for name, text in files.items():
            path = workdir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        before, started = _children_cpu_s(), time.perf_counter()
        try:
            stdout = _execute(spec, _argv(spec, spec.command, files), workdir, home)
            wall_s, cpu_s = time.perf_counter() - started, _children_cpu_s() - before
            condensed = condense(spec, stdout, case_vars)
        except ToolError as error:
            error.spent_s = time.perf_counter() - started
            raise
    return ToolRun(condensed, raw_bytes=len(stdout), wall_s=wall_s, cpu_s=cpu_s)


def _execute(spec: ToolSpec, argv: list[str], workdir: Path, home: Path) -> bytes:
    with open(home / "stdout", "w+b") as out, open(home / "stderr", "w+b") as err:
        try:
            process = subprocess.Popen(
                argv, cwd=workdir, env=_environment(home), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise ToolError(
                f"{spec.id} cannot be started: {error.strerror}", remedy=f"Install: {spec.install}"
            ) from None
        try:
            code = _wait(spec, process, (out.fileno(), err.fileno()))
        finally:
            _end_group(process)
        out.seek(0)
        err.seek(max(0, err.seek(0, os.SEEK_END) - 20_000))
        stdout = out.read(MAX_OUTPUT_BYTES + 1)
        last_words = err.read(20_000).decode(errors="replace").strip().splitlines()[-1:]
    if code not in spec.accept_exit:
        raise ToolError(f"{spec.id} ended with exit code {code}: {' '.join(last_words)[:200] or 'no message'}")
    if len(stdout) > MAX_OUTPUT_BYTES:
        raise ToolError(_too_much(spec))
    return stdout


def _wait(spec: ToolSpec, process: subprocess.Popen[bytes], outputs: Iterable[int]) -> int:
    """The exit code; one that goes on and on printing is not waited for, or it would fill the disk."""
    # a wait with a timeout looks every 50 ms only, and would add that to what the tool is said to take
    end = threading.Thread(target=process.wait, daemon=True)
    end.start()
    deadline = time.monotonic() + spec.timeout_s
    while (left_s := deadline - time.monotonic()) > 0:
        end.join(min(left_s, LOOK_EVERY_S))
        if process.returncode is not None:
            return process.returncode
        if any(os.fstat(output).st_size > MAX_OUTPUT_BYTES for output in outputs):
            raise ToolError(_too_much(spec))
    raise ToolError(f"{spec.id} did not end within {spec.timeout_s:g} s")


def _too_much(spec: ToolSpec) -> str:
    return f"{spec.id} printed more than {MAX_OUTPUT_BYTES // 1_000_000} MB"


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing running: the tool's own children live in its process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def condense(spec: ToolSpec, stdout: bytes, case_vars: Mapping[str, Any]) -> str:
    """What the model gets to see of a tool's output.

    Raises:
        ToolError: the output is not of the declared format, or the template does not fit it.
    """
    try:
        text = stdout.decode("utf-8")
        data: Any = None
        if spec.output == "json":
            data = json.loads(text)
        elif spec.output == "jsonl":
            data = [json.loads(line) for line in text.split("\n") if line.strip()]
    except (ValueError, RecursionError) as error:
        raise ToolError(f"{spec.id} printed what is not {spec.output}: {error}") from None
    try:
        found = template_environment().from_string(spec.template).render(data=data, text=text, case_vars=case_vars)
    except Exception as error:  # a template is the user's code: it can fail in any way
        raise ToolError(f"{spec.id}: the template does not fit the tool's output: {error}") from None
    return str(found).strip().encode("utf-8", "replace").decode()


def _argv(spec: ToolSpec, command: Iterable[str], files: Iterable[str]) -> list[str]:
    argv: list[str] = []
    for word in command:
        argv += list(files) if word == "{files}" else [_filled(spec, word)]
    argv[0] = shutil.which(argv[0], path=_search_path()) or argv[0]
    return argv


def _filled(spec: ToolSpec, word: str) -> str:
    return word.replace("{python}", sys.executable).replace("{tool_dir}", str(spec.folder.resolve()))


def _search_path() -> str:
    """Programs of the running environment come first, also when it is not activated."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _environment(home: Path) -> dict[str, str]:
    """A tool sees no settings of the user's, so that it says the same on every machine."""
    return {
        "PATH": _search_path(),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
