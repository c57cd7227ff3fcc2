"""Tools under test: run each as its file says (`tool_spec`), and condense its output."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from ai_dev_tools.benchmark._util.text import visible
from ai_dev_tools.benchmark.errors import ConfigurationError, ToolError
from ai_dev_tools.benchmark.prompts.containment import ContainedProgram, RunLimits, choose_sandbox
from ai_dev_tools.benchmark.prompts.placeholders import (
    ToolInput,
    as_named,
    command_line,
    file_argument,
    filled,
    in_template,
    names_in,
)
from ai_dev_tools.benchmark.prompts.program_digest import case_free, executed_digest, version_beside
from ai_dev_tools.benchmark.prompts.run_failures import require_success
from ai_dev_tools.benchmark.prompts.run_folder import (
    RunFolder,
    Sandbox,
    SandboxSetting,
    fresh_run_folder,
    last_words,
    search_path,
    tool_environment,
)
from ai_dev_tools.benchmark.prompts.tool_output import read_output
from ai_dev_tools.benchmark.prompts.tool_spec import ToolSpec, places_of
from ai_dev_tools.benchmark.prompts.tool_spec import load_tool as load_tool  # a rule's script that changes runs again
from ai_dev_tools.benchmark.tasks.case_files import content_digest
from ai_dev_tools.benchmark.tasks.templating import (
    Rendered,
    TemplateFailure,
    render_text,
    run_isolated,
    template_environment,
)

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

MAX_OUTPUT_BYTES = 50_000_000
VERSION_TIMEOUT_S = 30.0
LOOK_EVERY_S = 1.0
MAX_WRITTEN_BYTES = 100_000_000
"""What a tool may leave in its folders: files in the case's, its home, and what is temporary."""
MAX_ENTRIES = 20_000


@dataclass(frozen=True)
class ToolRun:
    """What one run printed and cost; `other_cpu_s` is the CPU time of everything else meanwhile, if known."""

    condensed: str
    raw_bytes: int
    wall_s: float
    cpu_s: float
    sandbox: Sandbox = "none"
    other_cpu_s: float | None = None


def installed_version(spec: ToolSpec, sandbox: SandboxSetting = "auto") -> str:
    """The installed version; `unknown` if the tool file gives no way to ask.

    Raises:
        ConfigurationError: not installed, or not the pinned version; says how to install it.
    """
    where = spec.folder / f"{spec.id}.yaml"
    remedy = f"Install it: {spec.install}"
    if not spec.program:  # instructions alone
        return spec.version or "unknown"
    if not is_installed(spec, spec.program):
        raise ConfigurationError(f"tool '{spec.id}' is not installed ({where})", remedy=remedy)
    found = _ask_version(spec, sandbox)
    if spec.version and found != spec.version:
        raise ConfigurationError(f"tool '{spec.id}' is version {found}, but {where} pins {spec.version}", remedy=remedy)
    return found


def is_installed(spec: ToolSpec, program: str) -> bool:
    """Whether a program that the tool names is on PATH."""
    return shutil.which(filled(program, places_of(spec)), path=search_path()) is not None


def tool_digest(spec: ToolSpec, version: str) -> str:
    """A digest of what determines a tool's output: its files, its version, what is executed."""
    words = [filled(word, places_of(spec)) for word in case_free(spec.command)]
    return content_digest(spec.fingerprint(), version, executed_digest(found_argv(words), spec.package))


def _ask_version(spec: ToolSpec, sandbox: SandboxSetting) -> str:
    if spec.package:
        try:
            return importlib.metadata.version(spec.package)
        except importlib.metadata.PackageNotFoundError:
            (program,) = found_argv([filled(spec.program, places_of(spec))])
            if found := version_beside(program, spec.package):
                return found
            raise ConfigurationError(
                f"tool '{spec.id}': package '{spec.package}' is not installed in the environment that runs the "
                f"workflow ({sys.prefix}), or in that of its program (if the tool is installed elsewhere, use "
                f"version_command: [{spec.program}, --version] instead)",
                remedy=f"Install it: {spec.install}",
            ) from None
    if not spec.version_command:
        return "unknown"
    argv, chosen = found_argv([filled(word, places_of(spec)) for word in spec.version_command]), choose_sandbox(sandbox)
    with (
        fresh_run_folder() as run_folder,
        open(run_folder.scratch / "stdout", "w+b") as out,
        open(run_folder.scratch / "stderr", "w+b") as err,
    ):
        ended = ContainedProgram(
            argv, run_folder, tool_environment(run_folder, chosen), (out, err), RunLimits(VERSION_TIMEOUT_S), chosen,
            network=spec.network, needed=(spec.folder.resolve(),),
        ).wait()  # fmt: skip
        if ended.how != "exit" or ended.code:
            problems = {
                "timeout": f"its version_command did not end within {VERSION_TIMEOUT_S:g} s",
                "not_started": f"its version_command cannot be started ({ended.detail})",
            }
            problem = problems.get(ended.how, f"its version_command ended with exit code {ended.code}")
            words = last_words(run_folder, out, err)
            raise ConfigurationError(
                f"tool '{spec.id}' does not report its version: {problem}{f': {words}' if words else ''}",
                remedy=f"Install it: {spec.install}",
            )
        for stream in (out, err):
            stream.seek(0)
            if lines := stream.read(10_000).decode("utf-8", "replace").strip().splitlines():
                return visible(lines[0][:200], keep_lines=False)
    return "unknown"


def run_tool(
    spec: ToolSpec,
    files: Mapping[str, str],
    case_vars: Mapping[str, object],
    *,
    question: str | None = None,
    case: str = "",
    sandbox: SandboxSetting = "auto",
) -> ToolRun:
    """Run the tool over a case's files in a fresh folder, and condense what it prints or writes.

    Args:
        files: text of each file by relative path.
        case_vars: the case's variables, for command and template.
        question: the case's question, as the model gets it.
        case: id of the case, for messages.

    Raises:
        ToolError: it crashed, hung, printed too much or garbage, or its template does not fit its output; says what it
            cost all the same.
        ConfigurationError: a sandbox is required but not available.
    """
    chosen, given, limits = choose_sandbox(sandbox), ToolInput(case, question, case_vars), _limits(spec)
    with fresh_run_folder() as run_folder:
        for name, text in files.items():
            path = run_folder.case / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        target = _output_path(spec, run_folder, files)
        places = places_of(spec) | {"output_file": file_argument(spec.output_file) if spec.output_file else str(target)}
        argv = found_argv(command_line(spec.command, places, files, given))
        with open(run_folder.scratch / "stdout", "w+b") as out, open(run_folder.scratch / "stderr", "w+b") as err:
            ended = ContainedProgram(
                argv, run_folder, tool_environment(run_folder, chosen), (out, err), limits, chosen,
                network=spec.network, needed=(spec.folder.resolve(),),
            ).wait()  # fmt: skip
            try:
                words = last_words(run_folder, out, err)
                require_success(spec.id, ended, limits, words, accept_exit=spec.accept_exit, install=spec.install)
                stdout = _content(spec, out, target, run_folder, words)
                condensed = condense(spec, stdout, case_vars, question=question, case=case, said=words)
            except ToolError as error:
                error.spent_s, error.other_cpu_s = ended.wall_s, ended.other_cpu_s
                raise
    return ToolRun(as_named(condensed, files), len(stdout), ended.wall_s, ended.cpu_s, chosen, ended.other_cpu_s)


def _limits(spec: ToolSpec) -> RunLimits:
    return RunLimits(
        spec.timeout_s,
        printed_bytes=MAX_OUTPUT_BYTES,
        written_bytes=MAX_WRITTEN_BYTES,
        entries=MAX_ENTRIES,
        look_every_s=LOOK_EVERY_S,
    )


def _output_path(spec: ToolSpec, run_folder: RunFolder, files: Iterable[str]) -> Path | None:
    """Where the tool should write, if it writes a file."""
    if spec.output_file is not None:
        if spec.output_file in {PurePosixPath(name).as_posix() for name in files}:
            raise ToolError(f"{spec.id} writes {spec.output_file}, which the case has already")
        return run_folder.case / spec.output_file
    if any("output_file" in names_in(word) for word in spec.command):
        return run_folder.home / f"output.{'txt' if spec.output == 'text' else spec.output}"
    return None


def _content(spec: ToolSpec, out: BinaryIO, target: Path | None, run_folder: RunFolder, words: str) -> bytes:
    """The tool's output: its output file if it writes one, otherwise stdout."""
    if target is None:
        out.seek(0)
        return out.read(MAX_OUTPUT_BYTES + 1)
    name = spec.output_file or "{output_file}"
    try:
        if not target.resolve().is_relative_to(run_folder.scratch):
            raise ToolError(f"{spec.id} wrote {name} as a link that leads out of its folder")
        descriptor = os.open(target.resolve(), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ToolError(f"{spec.id} wrote {name}, but not as a file")
        with open(descriptor, "rb") as file:
            content = file.read(MAX_OUTPUT_BYTES + 1)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ToolError(f"{spec.id} wrote no {name} ({reason}): {words or 'no message'}") from None
    if len(content) > MAX_OUTPUT_BYTES:
        raise ToolError(f"{spec.id} wrote more than {MAX_OUTPUT_BYTES // 1_000_000} MB to {name}")
    return content


def condense(
    spec: ToolSpec,
    stdout: bytes,
    case_vars: Mapping[str, object],
    *,
    question: str | None = None,
    case: str = "",
    said: str = "",
) -> str:
    """What the model sees of a tool's output.

    Raises:
        ToolError: the output does not have the declared format, or the template does not fit it.
    """
    environment = template_environment()
    (found,) = run_isolated(lambda: [_condensed(spec, environment, stdout, ToolInput(case, question, case_vars))])
    if isinstance(found, str):
        return found.strip().encode("utf-8", "replace").decode()
    if found.kind == "output":
        raise ToolError(
            f"{spec.id}: the output is not valid {spec.output}: {found.message}{f' ({said})' if said else ''}"
        )
    where = f" on case '{case}'" if case else ""
    if found.kind == "limit":
        raise ToolError(f"{spec.id}: the template uses too much{where}: {found.message}")
    raise ToolError(f"{spec.id}: the template does not fit the tool's output{where}: {found.message}")


def _condensed(spec: ToolSpec, environment: SandboxedEnvironment, stdout: bytes, given: ToolInput) -> Rendered:
    try:
        text, data = read_output(stdout, spec.output)
    except ValueError as error:
        return TemplateFailure("output", str(error)[:500])
    values = {"data": data, "text": text, "case_vars": given.vars, "vars": given.vars}
    if given.question is not None:
        values["question"] = given.question
    return render_text(environment, in_template(spec.template), values, MAX_OUTPUT_BYTES)


def found_argv(words: list[str]) -> list[str]:
    """A command with the program where it is installed."""
    return [shutil.which(words[0], path=search_path()) or words[0], *words[1:]]
