"""What the sample browser shows: an index of all samples, and parts that are loaded on demand.

A run of ordinary size carries all of it inside the page. A larger one has the same parts in side files, as scripts,
because a page opened from disk can load scripts but cannot fetch data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark._util.text import shorten, visible
from ai_dev_tools.benchmark.prompts import Prompt, read_prompts
from ai_dev_tools.benchmark.records.episode import Turn
from ai_dev_tools.benchmark.records.paths import sample_file
from ai_dev_tools.benchmark.records.sample import Sample, read_block
from ai_dev_tools.benchmark.tasks.scoring import custom_scorers, score_fields

MOST_INLINE_SAMPLES = 2000
MOST_INLINE_BYTES = 8_000_000
MOST_TEXT = 30_000
MOST_LINE = 90
MOST_OF_A_TURN = 3000
"""Characters of a message or a result; the sample file has all of the message."""
SAMPLES_PER_PART = 200
PROMPT_BYTES_PER_PART = 400_000
FOLDER = "report_data"
SCRIPT_HEAD = "benchmarkReport.receive("

Prompts = Mapping[tuple[str, str, str], Prompt]


@dataclass
class BrowserData:
    """Parts by name, each a JSON value; `index` is the one that a page needs at once."""

    parts: JsonFields = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """How many samples can be browsed."""
        return len(self.parts["index"]["rows"]) if "index" in self.parts else 0


def load_prompts(files: Iterable[Path]) -> dict[tuple[str, str, str], Prompt]:
    """Prompts by (task, case, approach); files that are not there are left out.

    Raises:
        ConfigurationError: a file is damaged.
    """
    found: dict[tuple[str, str, str], Prompt] = {}
    for path in files:
        if path.exists():
            found |= {(row.task, case, arm): row for (case, arm), row in read_prompts(path).items()}
    return found


def browser_data(samples: Iterable[Sample], prompts: Prompts) -> BrowserData:
    """All parts for these samples, which are grouped by block."""
    data = BrowserData()
    words: dict[str, int] = {}
    rows: list[list[object]] = []
    where = _PromptParts(data, prompts)
    part: list[dict[str, object]] = []
    name = ""
    for sample in samples:
        if not part or len(part) >= SAMPLES_PER_PART:
            part, name = [], f"samples-{len([n for n in data.parts if n.startswith('samples-')])}"
            data.parts[name] = part
        prompt = prompts.get((sample.task, sample.case, sample.approach))
        part.append(_detail(sample, prompt, where.find(sample)))
        text = [sample.model, sample.task, sample.case, sample.approach, sample.status]
        numbers = [sample.sample, sample.repeat, sample.score, sample.total_tokens, sample.duration_s]
        rows.append(
            [*(words.setdefault(visible(w, False), len(words)) for w in text), *numbers, int(name[8:]), len(part) - 1]
        )
    data.parts["index"] = {"words": list(words), "rows": rows}
    return data


class _PromptParts:
    """Places prompts into parts of a bearable size, each prompt once."""

    def __init__(self, data: BrowserData, prompts: Prompts) -> None:
        self._data, self._prompts = data, prompts
        self._places: dict[tuple[str, str, str], tuple[int, int]] = {}
        self._number, self._bytes = -1, PROMPT_BYTES_PER_PART

    def find(self, sample: Sample) -> tuple[int, int] | None:
        """(part, position) of a sample's prompt; None if it no longer exists."""
        key = (sample.task, sample.case, sample.approach)
        prompt = self._prompts.get(key)
        if prompt is None or prompt.prompt is None or prompt.prompt_sha256 != sample.request.prompt_sha256:
            return None
        if key not in self._places:
            text = _shown(prompt.prompt)
            if self._bytes >= PROMPT_BYTES_PER_PART:
                self._number, self._bytes = self._number + 1, 0
                self._data.parts[f"prompts-{self._number}"] = []
            part = self._data.parts[f"prompts-{self._number}"]
            part.append(text)
            self._bytes += len(text)
            self._places[key] = (self._number, len(part) - 1)
        return self._places[key]


def _shown(text: str) -> str:
    return shorten(visible(text), MOST_TEXT)


def _json(value: object) -> str | None:
    if value is None:
        return None
    short = json.dumps(value, ensure_ascii=False)
    return _shown(short if len(short) <= MOST_LINE else json.dumps(value, ensure_ascii=False, indent=1))


def _detail(sample: Sample, prompt: Prompt | None, place: tuple[int, int] | None) -> dict[str, object]:
    facts = {
        "input tokens": sample.input_tokens,
        "output tokens": sample.output_tokens,
        **({} if sample.reasoning_tokens is None else {"of which thoughts": sample.reasoning_tokens}),
        "cached tokens": sample.prompt_cached_tokens,
        "duration s": sample.duration_s,
        "first token s": sample.time_to_first_token_s,
        "load s": sample.load_s,
        "read prompt s": sample.prompt_eval_s,
        "write answer s": sample.eval_s,
        "rest s": sample.rest_s,
        "tool s": sample.tool_s,
        "other CPU beside the tool s": sample.tool_other_cpu_s,
        "server CPU s": sample.resources.server_cpu_s,
        "other CPU s": sample.resources.other_cpu_s,
        "turns": len(sample.turns) or None,
        "tool calls": sample.tool_calls,
        "done reason": sample.done_reason,
        "attempts": len(sample.attempts),
        "in flight": sample.in_flight,
        "seed": sample.seed,
        "order": sample.order,
        "started at": sample.started_at,
        "session": sample.session,
        "cluster": sample.cluster,
        "flags": ", ".join(sample.flags) or None,
        "request digest": sample.request.digest[:16],
        "endpoint": f"{sample.endpoint.kind} {sample.endpoint.version}",
    }
    known = {name: visible(value, False) if isinstance(value, str) else value for name, value in facts.items()}
    return {
        "facts": {name: value for name, value in known.items() if value is not None},
        "response": None if sample.response is None else _shown(sample.response),
        "answer": _json(sample.answer),
        "error": f"{sample.error.class_}: {visible(sample.error.message, False)}" if sample.error else None,
        "fields": _fields(sample, prompt),
        "truth": _json(prompt.truth) if prompt else None,
        "prompt": place,
        **(_episode(sample) if sample.turns else {}),
    }


def _episode(sample: Sample) -> dict[str, object]:
    """Its turns, and, where texts of them are shortened here, the file that has more."""
    place = sample_file(Path(), sample.model, sample.task, sample.approach, sample.sample).as_posix()
    said = [text for turn in sample.turns for text in (turn.asked, turn.text, turn.result) if text]
    folded = any(len(visible(text)) > MOST_OF_A_TURN for text in said) or any(
        turn.result_bytes > len((turn.result or "").encode("utf-8", "replace")) for turn in sample.turns
    )
    return {"turns": [_turn(turn) for turn in sample.turns], "rest": visible(place, False) if folded else None}


def _turn(turn: Turn) -> dict[str, object]:
    """One turn of an episode: what was asked, what came back, and what it cost."""
    return {
        "asked": None if turn.asked is None else shorten(visible(turn.asked), MOST_OF_A_TURN),
        "said": shorten(visible(turn.text), MOST_OF_A_TURN),
        "action": turn.action and visible(turn.action, False),
        "tool": turn.tool,
        "result": None if turn.result is None else shorten(visible(turn.result), MOST_OF_A_TURN),
        "result_bytes": turn.result_bytes,
        "error": f"{turn.error.class_}: {visible(turn.error.message, False)}" if turn.error else None,
        "numbers": [turn.input_tokens, turn.prompt_cached_tokens, turn.output_tokens, turn.duration_s, turn.tool_s],
    }


def _fields(sample: Sample, prompt: Prompt | None) -> list[list[object]]:
    """Field, scorer, weight, score, expected, given.

    A plugin is not needed to show a run, so what its scorer said is shown where it is known from the sample.
    """
    if prompt is None or not prompt.truth or sample.response is None or sample.error:
        return []
    known = [rule for rule in prompt.scoring if not custom_scorers([rule])]
    scores: dict[str, float | None] = {**score_fields(sample.answer, prompt.truth, known)}
    if len(prompt.scoring) == 1 and not known:
        scores[prompt.scoring[0]["field"]] = sample.score
    given = sample.answer if isinstance(sample.answer, dict) else {}
    return [
        [
            rule["field"],
            rule["scorer"],
            rule.get("weight", 1),
            scores.get(rule["field"]),
            _json(prompt.truth.get(rule["field"])),
            _json(given.get(rule["field"])),
        ]
        for rule in prompt.scoring
    ]


def read_blocks(files: Sequence[Path]) -> Iterator[Sample]:
    """Samples of block files, those that are not there left out."""
    for path in files:
        if path.exists():
            yield from read_block(path)
