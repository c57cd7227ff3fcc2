"""User-supplied Jinja2 templates, rendered in a sandbox and in a separate process with limits.

Jinja2's sandbox protects the program, but not against a nested `range(99999)` or a string of 3 GB. A single operation in C can
use up all memory before any check runs. A forked process costs a few milliseconds and can be killed.
"""

from __future__ import annotations

import functools
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ai_dev_tools.benchmark._util import start_cache

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

CPU_S = 10
WALL_S = 120.0
"""Much more than the CPU time, so that nothing fails on a busy machine."""
MEMORY_BYTES = 1_000_000_000
MAX_TEXT_BYTES = 50_000_000
MAX_QUESTION_BYTES = 1_000_000
_OUT_OF_MEMORY = 3
_TEXT, _FAILED, _DONE = b"T", b"F", b"D"


@dataclass(frozen=True)
class TemplateFailure:
    """A template without a result.

    Its kind is `syntax` (not a template), `limit` (it took too much), or an error of its author.
    """

    kind: str
    message: str


Rendered = str | TemplateFailure


@functools.cache
def template_environment() -> SandboxedEnvironment:
    """Jinja2, sandboxed and strict: a misspelt variable is an error."""
    # these take 20 ms
    import jinja2
    import jinja2.sandbox

    return jinja2.sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
    )


def names_variable(source: str, name: str) -> bool:
    """Whether a template uses a variable of this name; True if that is unclear."""
    # these take 20 ms
    import jinja2
    from jinja2 import nodes

    try:
        return any(node.name == name for node in template_environment().parse(source).find_all(nodes.Name))
    except (jinja2.TemplateError, RecursionError):
        return True


def template_problem(source: str) -> str | None:
    """Why this is not a template, or None.

    Compiling is limited too, because it evaluates constant expressions.
    """
    (rendered,) = _known_or(source, [None], MAX_TEXT_BYTES)
    return rendered.message if isinstance(rendered, TemplateFailure) else None


def render_each(
    source: str, values: Iterable[Mapping[str, object]], most_bytes: int = MAX_TEXT_BYTES
) -> list[Rendered]:
    """A template rendered with each of these sets of variables, in order; stops after a `limit`."""
    return _known_or(source, list(values), most_bytes)


def _known_or(source: str, values: list[Mapping[str, object] | None], most_bytes: int) -> list[Rendered]:
    """What a template gives.

    Good results are remembered, because a process for each would slow down every start of Snakemake.
    """
    environment = template_environment()  # made here, or every child would import Jinja2
    key = start_cache.key_of("template", _version(), source, values, most_bytes)
    if isinstance(known := start_cache.recall(key), list):
        return list(known)
    made = run_isolated(lambda: _each(environment, source, values, most_bytes))
    good = [rendered for rendered in made if isinstance(rendered, str)]
    if len(good) == len(made):
        start_cache.keep(key, good)
    return made


def _version() -> str:
    import jinja2  # takes 20 ms

    return f"{jinja2.__version__} {sys.version}"


def render_text(
    environment: SandboxedEnvironment, source: str, values: Mapping[str, object], most_bytes: int = MAX_TEXT_BYTES
) -> Rendered:
    """A template's text; call this within `run_isolated`."""
    return next(iter(_each(environment, source, [values], most_bytes)))


def _each(
    environment: SandboxedEnvironment, source: str, values: Iterable[Mapping[str, object] | None], most_bytes: int
) -> Iterator[Rendered]:
    import jinja2  # takes 20 ms

    try:
        template = environment.from_string(source)
    except jinja2.TemplateSyntaxError as error:
        yield TemplateFailure("syntax", f"line {error.lineno}: {error.message}"[:500])
        return
    except (jinja2.TemplateError, RecursionError, ValueError, OverflowError) as error:
        yield TemplateFailure("syntax", str(error)[:500])
        return
    for given in values:
        _allow_cpu()
        if given is None:
            yield ""
            continue
        rendered = _render(template, given, most_bytes)
        yield rendered
        if isinstance(rendered, TemplateFailure) and rendered.kind == "limit":
            return


def _render(template: Template, given: Mapping[str, object], most_bytes: int) -> Rendered:
    try:
        return _text(template.generate(**given), most_bytes)
    except MemoryError:
        raise
    except Exception as error:  # a template is user code and can fail in any way
        return TemplateFailure("fit", str(error)[:500])


def _text(pieces: Iterable[str], most_bytes: int) -> Rendered:
    found: list[str] = []
    size = 0
    for piece in pieces:
        found.append(piece)
        size += len(piece) + 1  # a million empty pieces take memory too
        if size > most_bytes:
            return TemplateFailure("limit", f"it makes more than {most_bytes / 1e6:g} MB of text")
    return "".join(found)


def run_isolated(work: Callable[[], Iterable[Rendered]]) -> list[Rendered]:
    """What `work` yields within limits of CPU time (per text) and memory (in total).

    If a limit ends it, the last one is `Failed("limit", …)`.
    """
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about locks of other threads: the child never takes one
        pid = os.fork()
    if pid == 0:
        _child(write, work)
    os.close(write)
    done = False
    try:
        received, done = _received(read)
    finally:
        os.close(read)
        if not done:
            os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return received if done else [*received, TemplateFailure("limit", _why(status))]


def _why(status: int) -> str:
    if status == _OUT_OF_MEMORY:
        return f"it needs more than {MEMORY_BYTES / 1e9:g} GB of memory"
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"it takes more than {CPU_S} s"
    return f"it cannot be rendered (its process ended with {status})"


def _child(write: int, work: Callable[[], Iterable[Rendered]]) -> None:
    """Never returns, so that no code of the parent process runs twice."""
    status = 1
    try:
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU):
            signal.signal(name, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # a table in a report could write itself to a file
        _limit_memory()
        _allow_cpu()
        for rendered in work():
            text = rendered if isinstance(rendered, str) else f"{rendered.kind}\0{rendered.message}"
            _send(write, _TEXT if isinstance(rendered, str) else _FAILED, text.encode("utf-8", "surrogatepass"))
        _send(write, _DONE, b"")
        status = 0
    except MemoryError:
        status = _OUT_OF_MEMORY
    finally:
        os._exit(status)


def _limit_memory() -> None:
    try:
        with open("/proc/self/statm", "rb") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # not Linux
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = now + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _allow_cpu() -> None:
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = int(time.process_time()) + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _send(write: int, kind: bytes, content: bytes) -> None:
    data = memoryview(kind + len(content).to_bytes(8, "big") + content)
    while data:
        data = data[os.write(write, data) :]


def _received(read: int) -> tuple[list[Rendered], bool]:
    """The texts, and whether the child finished."""
    found: list[Rendered] = []
    while True:
        kind, content = _frame(read)
        if kind == _TEXT:
            found.append(content.decode("utf-8", "surrogatepass"))
        elif kind == _FAILED:
            found.append(TemplateFailure(*content.decode("utf-8", "surrogatepass").split("\0", 1)))
        else:
            return found, kind == _DONE


def _frame(read: int) -> tuple[bytes, bytes]:
    deadline = time.monotonic() + WALL_S
    head = _exactly(read, 9, deadline)
    return (head[:1], _exactly(read, int.from_bytes(head[1:], "big"), deadline)) if len(head) == 9 else (b"", b"")


def _exactly(read: int, size: int, deadline: float) -> bytes:
    """This many bytes; fewer if the child has ended or is out of time."""
    content = bytearray()
    while len(content) < size:
        if not select.select([read], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return b""
        if not (part := os.read(read, min(size - len(content), 2**20))):
            return b""
        content += part
    return bytes(content)
