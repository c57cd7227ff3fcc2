"""An episode of a third-party agent: its program works on a copy of the files and asks via the meter."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark._util.text import listing, plural, visible
from ai_dev_tools.benchmark.agents.episode import AgentSetUpError, EpisodeCase, EpisodeResult
from ai_dev_tools.benchmark.agents.file_actions import workspace_texts
from ai_dev_tools.benchmark.agents.meter.episode_account import EpisodeAccount, Upstream
from ai_dev_tools.benchmark.agents.meter.request_rules import RequestRules
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from ai_dev_tools.benchmark.agents.sandbox import PORT, agent_sandbox, inside, sandbox_starter
from ai_dev_tools.benchmark.agents.tool_folder import write_workspace
from ai_dev_tools.benchmark.endpoints.base import REPLAY_OF, ReadyEndpoint
from ai_dev_tools.benchmark.endpoints.chat import ChatClient
from ai_dev_tools.benchmark.errors import (
    BenchmarkError,
    ConfigurationError,
    ContextOverflowError,
    EndpointConnectionError,
    MalformedResponseError,
    ModelError,
    OverloadedError,
    RunnerError,
    ToolError,
)
from ai_dev_tools.benchmark.prompts.agent_program_file import program_path
from ai_dev_tools.benchmark.prompts.containment import ContainedProgram, RunEnd, RunLimits
from ai_dev_tools.benchmark.prompts.placeholders import filled
from ai_dev_tools.benchmark.prompts.run_folder import RunFolder, Sandbox, fresh_run_folder, last_words
from ai_dev_tools.benchmark.records.agent_program import AgentProgram
from ai_dev_tools.benchmark.records.episode import Turn
from ai_dev_tools.benchmark.records.sample_error import SampleError
from ai_dev_tools.benchmark.tasks.answers import parse_answer

WRITTEN_BYTES, ENTRIES, PRINTED_BYTES = 500_000_000, 50_000, 50_000_000
"""What an agent may leave in its folders, and print."""
MOST_ANSWER_BYTES = 1_000_000
LAST_WORDS_S = 10.0
"""How long an agent may go on after it has reached a limit: to write down what it has."""
LOOK_S = 0.1


@dataclass(frozen=True)
class MeteredServer:
    """What a third-party agent talks to: the meter, and the model's server."""

    meter: MeterServer
    upstream: Upstream


@contextmanager
def agent_driver(
    endpoint: ReadyEndpoint,
) -> Iterator[Callable[[EpisodeCase, ChatClient, EpisodeResult, threading.Event], None]]:
    """Start the meter; yields a function that has a third-party agent run an episode, as `execution` calls it."""
    with MeterServer() as meter:
        yield lambda case, client, played, stop: run_program(
            case, MeteredServer(meter, upstream_of(endpoint, client)), played, stop
        )


def upstream_of(endpoint: ReadyEndpoint, client: ChatClient) -> Upstream:
    """The server that a client asks, as the meter reaches it.

    Only the embedded server's `/v1` is used in addition to Ollama's API: its context is as large as the plan says, and is
    never cut.
    """
    root, both = client.base_url, endpoint.kind == "embedded"
    version = endpoint.version.removeprefix(REPLAY_OF)  # an agent may compare it
    if client.api == "openai":
        return Upstream(None, root, version, endpoint.headers, client.accepted, client.payer, client.pace)
    openai = f"{root}/v1" if both else None
    return Upstream(root, openai, version, endpoint.headers, client.accepted, client.payer, client.pace)


def run_program(case: EpisodeCase, behind: MeteredServer, played: EpisodeResult, stop: threading.Event) -> None:
    """Have the agent's program run an episode; `played` has what there is, even if this raises.

    Args:
        stop: set from outside to end early.

    Raises:
        AgentSetUpError: the agent is set up wrongly: it does not ask the meter, or asks for another model.
        BenchmarkError: the model's server failed it, or the agent itself broke down.
    """
    program = case.spec.program
    assert program is not None
    sandbox = agent_sandbox(program.id, program.sandbox)
    opening, _, question = case.opening.partition("\n\n")
    rules = RequestRules(case.model, case.options, opening, case.spec.limits, case.think)
    started = time.perf_counter()
    with ExitStack() as opened:
        run_folder = opened.enter_context(fresh_run_folder(same_paths=True))
        out = opened.enter_context(open(run_folder.scratch / "stdout", "w+b"))
        err = opened.enter_context(open(run_folder.scratch / "stderr", "w+b"))
        with behind.meter.episode(rules, behind.upstream) as (key, account):
            run = _ProgramRun(program, sandbox, case, run_folder, key, question, behind.meter)
            ended = run.watched((out, err), account, stop)
        hidden = wire.Secrets(behind.upstream.headers)
        _hide(account, hidden)
        _fill(played, account, run.wall_s or time.perf_counter() - started)
        if account.unpaid is not None:
            raise account.unpaid
        if stop.is_set():
            return
        played.answer = hidden.hide(run.answer(out, account))
        _judge(program, played, account, ended, hidden.text(last_words(run_folder, out, err)), run.left)


class _ProgramRun:
    """A program in its folder; `wall_s` is what it took, once it has ended: its sandbox is not its own time."""

    def __init__(
        self,
        program: AgentProgram,
        sandbox: Sandbox,
        case: EpisodeCase,
        run_folder: RunFolder,
        key: str,
        question: str,
        meter: MeterServer,
    ) -> None:
        self._program, self._sandbox, self._case, self._run_folder = program, sandbox, case, run_folder
        self._meter = meter
        self.wall_s = 0.0
        places = run_folder.places(sandbox)
        root = meter.url if sandbox == "none" else f"http://127.0.0.1:{PORT}"
        self._values = {
            "folder": str(Path(program.folder).absolute()),
            "workspace": str(places.case),
            "question": question,
            "question_file": str(places.home / "question.txt"),
            "answer_file": str(places.case / program.answer_file),
            "base_url": f"{root}/e/{key}",
            "key": key,
            "model": case.model,
        }
        texts = workspace_texts(case.spec.workspace)
        files = {name: filled(text, self._values) for name, text in program.files.items()}
        write_workspace(texts, run_folder.case)
        _add(files, run_folder.case, program)
        self._given = {*texts, *files}
        (run_folder.home / "question.txt").write_text(question, encoding="utf-8")

    def watched(
        self, streams: tuple[BinaryIO, BinaryIO], account: EpisodeAccount, stop: threading.Event
    ) -> RunEnd | None:
        """Run it to its end, or until it may ask nothing more; None if it had to be ended."""
        program, run_folder = self._program, self._run_folder
        argv = [filled(word, self._values) for word in program.command]
        limits = RunLimits(
            self._case.spec.limits.seconds + 2 * LAST_WORDS_S,
            printed_bytes=PRINTED_BYTES, written_bytes=WRITTEN_BYTES, entries=ENTRIES,
        )  # fmt: skip
        starter = sandbox_starter(self._sandbox, program, argv, run_folder, self._meter.socket, WRITTEN_BYTES)
        argv = inside(argv) if starter else argv
        contained = ContainedProgram(
            argv, run_folder, self._environment(), streams, limits, self._sandbox, starter=starter
        )
        try:
            over_at: float | None = None
            while not stop.is_set():
                if (ended := contained.ended_within(LOOK_S)) is not None:
                    return ended
                if over_at is None and (account.ended.is_set() or account.seconds_left <= 0):
                    over_at = time.monotonic()
                    if account.seconds_left <= 0:
                        account.out_of_time()
                if over_at is not None and time.monotonic() - over_at > LAST_WORDS_S:
                    return None
            return None
        finally:
            if (ended := contained.close()) is not None:
                self.wall_s = ended.wall_s

    def _environment(self) -> dict[str, str]:
        program, places = self._program, self._run_folder.places(self._sandbox)
        own = {name: filled(text, self._values) for name, text in program.environment.items()}
        return {
            "PATH": program_path(Path(program.folder), None if self._sandbox == "none" else program.needs),
            "HOME": str(places.home),
            "TMPDIR": str(places.tmp),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "TERM": "dumb",
            **own,
        }

    def answer(self, out: BinaryIO, account: EpisodeAccount) -> JsonValue:
        """The agent's answer; None if it is nowhere."""
        schema = self._case.answer_schema
        for place in self._program.answer:
            text = ""
            if place == "file":
                text = _field(self._written(), self._program.answer_field)
            elif place == "stdout":
                out.seek(max(0, out.seek(0, os.SEEK_END) - MOST_ANSWER_BYTES))
                text = out.read().decode(errors="replace")
            elif account.turns:
                text = account.turns[-1].text
            if (found := parse_answer(text, schema)) is not None:
                return found
        return None

    def left(self) -> list[str]:
        """Files that it put into the workspace, without hidden ones, which programs keep for themselves."""
        places = (
            path.relative_to(self._run_folder.case) for path in self._run_folder.case.rglob("*") if path.is_file()
        )
        seen = {place.as_posix() for place in places if not any(part.startswith(".") for part in place.parts)}
        return sorted(seen - self._given)

    def _written(self) -> str:
        """What the agent wrote to its answer file; nothing if that is not a regular file."""
        path = self._run_folder.case / self._program.answer_file
        try:
            if not path.resolve().is_relative_to(self._run_folder.case):
                return ""
            descriptor = os.open(path.resolve(), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            with open(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    return ""
                return file.read(MOST_ANSWER_BYTES).decode(errors="replace")
        except (OSError, RuntimeError):
            return ""


def _add(files: Mapping[str, str], folder: Path, program: AgentProgram) -> None:
    """Put the other files that an agent needs into its copy of the workspace."""
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise AgentSetUpError(
                f"the agent '{program.id}' cannot have its file {name} in this workspace: {error.strerror}",
                remedy=f"Give it another name in config/agents/{program.id}.yaml",
            ) from None


def _field(text: str, dotted: str) -> str:
    """A field of a JSON text, as text."""
    if not dotted:
        return text
    try:
        value: object = wire.decoded(text.encode())
    except ValueError:
        return ""
    for name in dotted.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def _hide(account: EpisodeAccount, secrets: wire.Secrets) -> None:
    """Remove the server's key from all turns: a server may repeat it anywhere, and so may an agent."""
    account.turns[:] = [msgspec.convert(secrets.hide(msgspec.to_builtins(turn)), Turn) for turn in account.turns]
    account.served = secrets.text(account.served) if account.served else None


def _fill(played: EpisodeResult, account: EpisodeAccount, wall_s: float) -> None:
    """What the meter counted. The agent's own time is charged too, because its user waits for it."""
    played.turns, played.limit, played.served = list(account.turns), account.limit, account.served
    played.flags |= account.flags | ({f"limit_{account.limit}"} if account.limit else set())
    if account.limit and played.turns and played.turns[-1].done_reason is None:  # it was cut in the middle of a turn
        played.turns[-1] = msgspec.structs.replace(played.turns[-1], done_reason="limit")
    played.text = account.turns[-1].text if account.turns else ""
    played.tokens = float(account.tokens)
    played.tool_s = max(0.0, wall_s - played.asked_s)
    if any(refusal.about == "model" for refusal in account.refusals):
        played.flags.add("other_model_asked")


def _judge(
    program: AgentProgram,
    played: EpisodeResult,
    account: EpisodeAccount,
    ended: RunEnd | None,
    words: str,
    left: Callable[[], Sequence[str]],
) -> None:
    """Tell a wrong set-up, a server that failed, an agent that broke down, and a missing answer apart.

    Args:
        words: the last ones of the agent.
        left: says which files it put into the workspace: its answer may be in one that nobody looked at.
    """
    problem, said = _problem(program, ended), f": {words}" if words else ""
    if not account.turns:
        raise _never_asked(program, account, f"{problem or 'it ended properly'}{said}")
    last = account.turns[-1].error
    if last is not None and not account.answered:
        raise _failure(last, account)
    if played.answer is not None or account.limit:
        return
    if last is not None and last.class_ in _FAILURES:
        raise _failure(last, account)
    if problem:
        raise ToolError(f"the agent '{program.id}' failed after {plural(len(account.turns), 'turn')}: {problem}{said}")
    played.flags.add("no_answer_found")
    found = [visible(name, keep_lines=False) for name in left()]
    wrote = f" (it wrote {listing(found, 3)})" if found else ""
    line = (
        f"the agent '{program.id}' gave no answer in {_places(program)} after "
        f"{plural(len(account.turns), 'turn')}{wrote}{said}"
    )
    played.turns[-1] = msgspec.structs.replace(played.turns[-1], error=SampleError("no_answer", line[:1000]))


def _failure(last: SampleError, account: EpisodeAccount) -> BenchmarkError:
    """What the model's server failed with; a wait that is too long ends the block, as it does without an agent."""
    error = _FAILURES.get(last.class_, ModelError)(last.message)
    if isinstance(error, OverloadedError):
        error.retry_after_s = account.long_wait_s
    return error


def _never_asked(program: AgentProgram, account: EpisodeAccount, how: str) -> AgentSetUpError:
    """Why the model was never asked, which is not the model's fault."""
    file = f"config/agents/{program.id}.yaml"
    for refusal in account.refusals:
        if refusal.about == "model":
            return AgentSetUpError(refusal.line, remedy=f"Name {{model}} in the command of {file}")
        if refusal.about in ("path", "body"):
            return AgentSetUpError(f"{refusal.line} (the agent '{program.id}': {how})")
    if account.limit:
        how = f"it reached its limit of {account.limit} first"
    return AgentSetUpError(
        f"the agent '{program.id}' sent nothing to the meter: {how}",
        remedy=f"Point it at {{base_url}} in the environment or command of {file}",
    )


def _problem(program: AgentProgram, ended: RunEnd | None) -> str:
    """What is wrong with how it ended; empty if nothing is."""
    if ended is None:
        return "it had to be ended"
    match ended.how:
        case "exit" if ended.code in program.accept_exit:
            return ""
        case "exit":
            return f"exit code {ended.code}"
        case "not_started":
            return f"it cannot be started ({ended.detail})"
        case "printed" | "written":
            return f"it {'printed' if ended.how == 'printed' else 'wrote'} too much"
        case "timeout":
            return "it did not end in time"
    return f"what watches it was ended ({ended.detail})"


_FAILURES: Mapping[str, type[BenchmarkError]] = {
    kind.error_class: kind
    for kind in (
        EndpointConnectionError, OverloadedError, RunnerError, MalformedResponseError, ContextOverflowError,
        ConfigurationError, ModelError,
    )
}  # fmt: skip
"""Failures of the model's server, by the class that a turn names: an agent can do nothing about them."""


def _places(program: AgentProgram) -> str:
    shown = {"file": program.answer_file, "stdout": "what it printed", "message": "the model's last message"}
    return " or ".join(shown[place] for place in program.answer)
