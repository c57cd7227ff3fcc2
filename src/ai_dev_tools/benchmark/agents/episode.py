"""One episode: the turns of the built-in agent at one case, their counts, and its limits.

What is counted is what the server says of each request. Whoever asks (`Ask`) sends the request, repeats what was only refused,
and knows how long it may take; everything else about an episode is here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import msgspec

from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark.agents.actions import ActionResult, Actions
from ai_dev_tools.benchmark.agents.builtin import NOW_ANSWER, TALKS, ActionProtocol, Step, as_json
from ai_dev_tools.benchmark.agents.file_actions import FileActions, workspace_texts
from ai_dev_tools.benchmark.agents.tool_actions import tool_actions
from ai_dev_tools.benchmark.endpoints.chat import Chat, Message, Reply
from ai_dev_tools.benchmark.endpoints.server_counts import ServerCounts, counted_turn, readings
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, ContextOverflowError, ToolError
from ai_dev_tools.benchmark.records.episode import ANSWER, MOST_RESULT, Action, EpisodeSpec, Turn
from ai_dev_tools.benchmark.records.sample_error import SampleError

MOST_SHOWN = 16_000
"""Characters of a result that the model is shown, from any action."""
REPEATED = "You have already done exactly this, with the same result: it is above. Choose another action, or answer."
"""What a small model is shown instead of the same result again: it would repeat the action until its turns are used up."""
LEFT_OUT = "(left out: there is no room for it)"
MARGIN_TOKENS = 128
"""Room that is kept free in addition to the answer: what a chat template adds, and the error of an estimate."""
FEWEST_CHARS_PER_TOKEN, USUAL_CHARS_PER_TOKEN = 1.5, 4.0
Ask = Callable[[Chat, Reply], None]
"""Sends a turn and fills the reply, also with what has arrived when it raises a BenchmarkError."""


class AgentSetUpError(ConfigurationError):
    """A third-party agent is set up wrongly, so that every further episode would fail, too."""


@dataclass(frozen=True)
class EpisodeCase:
    """What an episode is about.

    Attributes:
        opening: the first message, with its nonce.
        options: of every request; `num_ctx` and `num_predict` say when the window is full.
    """

    spec: EpisodeSpec
    opening: str
    answer_schema: Mapping[str, JsonValue]
    model: str
    options: Mapping[str, int | float]
    think: bool | str | None


@dataclass
class EpisodeResult:
    """The result of an episode, complete or not.

    Attributes:
        text: the last message of the model.
        limit: which limit was reached, if any: turns, tokens, seconds or context.
        tool_s: seconds that the judged tool took, its start included.
        tool_calls: actions that it carried out; None if it offers none.
    """

    turns: list[Turn] = field(default_factory=list)
    text: str = ""
    answer: JsonValue = None
    limit: str | None = None
    flags: set[str] = field(default_factory=set)
    tool_s: float = 0.0
    tool_calls: int | None = None
    served: str | None = None
    tokens: float = 0.0

    @property
    def asked_s(self) -> float:
        """Seconds of all requests."""
        return sum(turn.duration_s for turn in self.turns)


def run_episode(case: EpisodeCase, ask: Ask, played: EpisodeResult, stop: threading.Event) -> None:
    """Run an episode and fill `played`, also with what there is when this raises.

    Args:
        stop: set from outside to end early.

    Raises:
        BenchmarkError: a request failed, or the tool did.
    """
    with ExitStack() as opened:
        _Episode(case, ask, played, _open(case.spec, opened, played)).run(stop)


def _open(spec: EpisodeSpec, opened: ExitStack, played: EpisodeResult) -> dict[str, Actions]:
    """Everything that offers actions, started, by the names of the actions."""
    plain: Actions | None = FileActions(workspace_texts(spec.workspace)) if spec.plain else None
    tools = tool_actions(spec, plain)
    played.tool_calls = 0 if tools else None
    found: dict[str, Actions] = {}
    try:
        for actions in [*([plain] if plain else []), *tools]:
            opened.enter_context(actions)
            played.tool_s += actions.startup_s
            found |= {action.name: actions for action in actions.offered}
    except ToolError as error:
        played.tool_s += error.spent_s
        raise
    if absent := [action.name for action in spec.actions if action.name not in found]:
        owner = f"tool '{spec.tool.id}'" if spec.tool else "the agent"
        raise ToolError(f"{owner} no longer offers '{absent[0]}', as it did when the prompts were made")
    return found


class _Episode:
    def __init__(self, case: EpisodeCase, ask: Ask, played: EpisodeResult, carriers: Mapping[str, Actions]) -> None:
        self._case, self._ask, self._played, self._carriers = case, ask, played, carriers
        offered = case.spec.actions
        self._talk: ActionProtocol = TALKS[case.spec.protocol](offered, case.answer_schema)
        self._offered: Sequence[Action] = offered
        self._messages = [Message("user", case.opening)]
        self._chars_per_token = USUAL_CHARS_PER_TOKEN
        self._full = False
        self._results: dict[tuple[str, str], str] = {}

    def run(self, stop: threading.Event) -> None:
        """Ask turn after turn until the model answers or has to."""
        while not stop.is_set():
            last = self._is_last()
            if last and self._played.limit:
                self._remind()
            reply, found = self._turn(last)
            step = self._talk.read(reply)
            self._played.text = reply.text
            if last or step.action == ANSWER:
                self._finish(reply, found, step)
                return
            self._act(reply, found, step)

    def _is_last(self) -> bool:
        """Whether the next turn has to be the answer; notes which limit makes it so."""
        played, limits = self._played, self._case.spec.limits
        if not self._offered:
            return True
        reached = {
            "context": self._full,
            "tokens": played.tokens >= limits.tokens,
            "seconds": played.asked_s + played.tool_s >= limits.seconds,
            "turns": len(played.turns) + 1 >= limits.turns,
        }
        played.limit = next((name for name, is_reached in reached.items() if is_reached), None)
        return played.limit is not None

    def _remind(self) -> None:
        """Say in the newest message that the next one has to be the answer."""
        newest = self._messages[-1]
        self._messages[-1] = Message(newest.role, f"{newest.content}\n\n{NOW_ANSWER}", newest.calls, newest.answers)

    def _turn(self, last: bool) -> tuple[Reply, ServerCounts]:
        """One request.

        If it does not fit the window, its newest result is left out and the model has to answer.
        """
        try:
            return self._request(last)
        except ContextOverflowError:
            if len(self._messages) == 1 or self._full:
                raise
        self._played.turns.pop()
        self._played.limit, self._full = "context", True
        newest = self._messages[-1]
        self._messages[-1] = Message(newest.role, f"{LEFT_OUT}\n\n{NOW_ANSWER}", newest.calls, newest.answers)
        return self._request(last=True)

    def _request(self, last: bool) -> tuple[Reply, ServerCounts]:
        case, reply, played = self._case, Reply(), self._played
        chat = Chat(
            case.model, "", self._talk.schema(last), case.options, case.think,
            messages=tuple(self._messages), tools=self._talk.tools(last),
        )  # fmt: skip
        try:
            self._ask(chat, reply)
        except BenchmarkError as error:
            failure = SampleError(error.error_class, str(error)[:1000])
            played.text = reply.text or played.text
            played.turns.append(_turn(reply, readings(reply), error=failure))
            raise
        found = readings(reply)
        played.served = reply.served or played.served
        played.flags |= {*reply.flags, *(flag for flag in found.flags if flag != "output_capped")}
        self._count(found, reply)
        return reply, found

    def _count(self, found: ServerCounts, reply: Reply) -> None:
        """Add up the tokens: those that the server counted, else estimates from the characters."""
        sent = sum(len(message.content) for message in self._messages)
        if found.input_tokens:
            self._chars_per_token = max(FEWEST_CHARS_PER_TOKEN, sent / found.input_tokens)
        read = sent / self._chars_per_token if found.input_tokens is None else found.input_tokens
        written = len(reply.text) / self._chars_per_token if found.output_tokens is None else found.output_tokens
        self._played.tokens += read + written
        self._used = read + written

    def _act(self, reply: Reply, found: ServerCounts, step: Step) -> None:
        """Carry out what the model chose, and show it what came back."""
        result = ActionResult(step.problem) if step.problem else self._carry_out(step)
        played = self._played
        if result.tool:
            played.tool_s += result.seconds
            played.tool_calls = (played.tool_calls or 0) + 1
        if "output_capped" in found.flags:
            played.flags.add("turn_capped")
        played.turns.append(_turn(reply, found, step, result))
        if result.ends:
            raise ToolError(result.error.message if result.error else result.text)
        text = result.text if len(result.text) <= MOST_SHOWN else _cut(result.text, MOST_SHOWN)
        self._messages += [self._talk.message_of(reply, step), self._talk.result(step, self._fitting(text))]

    def _carry_out(self, step: Step) -> ActionResult:
        assert step.action is not None
        result = self._carriers[step.action].call(step.action, step.arguments)
        done = step.action, as_json(step.arguments)
        if self._results.get(done) == result.text:
            return replace(result, text=REPEATED)
        self._results[done] = result.text
        return result

    def _fitting(self, text: str) -> str:
        """As much of a result as fits into the window; if it does not all fit, the model has to answer next."""
        window = self._case.options.get("num_ctx")
        if window is None:
            return text
        answer = self._case.options.get("num_predict", 0)
        cost = len(text) / self._chars_per_token
        if self._used + cost + 2 * answer + MARGIN_TOKENS <= window:
            return text
        self._full = True
        room = int((window - self._used - answer - MARGIN_TOKENS) * FEWEST_CHARS_PER_TOKEN)
        return text if len(text) <= room else _cut(text, room) if room > 0 else LEFT_OUT

    def _finish(self, reply: Reply, found: ServerCounts, step: Step) -> None:
        played = self._played
        played.turns.append(_turn(reply, found, step))
        played.answer = step.answer if step.action == ANSWER else None
        if "output_capped" in found.flags:
            played.flags.add("output_capped")
        if played.limit:
            played.flags.add(f"limit_{played.limit}")


def _cut(text: str, most: int) -> str:
    return f"{text[:most]}\n(cut: {len(text) - most} more characters)"


def _turn(
    reply: Reply,
    found: ServerCounts,
    step: Step | None = None,
    result: ActionResult | None = None,
    error: SampleError | None = None,
) -> Turn:
    """The record of a turn."""
    return msgspec.structs.replace(
        counted_turn(reply, found),
        action=step.action if step else None,
        arguments=as_json(step.arguments) if step and step.arguments else None,
        tool=bool(result and result.tool),
        result=result.text[:MOST_RESULT] if result else None,
        result_bytes=len(result.text.encode("utf-8", "replace")) if result else 0,
        tool_s=round(result.seconds, 6) if result and result.tool else 0.0,
        error=error or (result.error if result else None),
    )
