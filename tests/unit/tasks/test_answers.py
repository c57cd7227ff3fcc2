"""A right answer counts however it is wrapped, and nothing that was not answered counts."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ai_dev_tools.benchmark.tasks.answers import parse_answer

SCHEMA = {
    "type": "object",
    "properties": {"risk": {"type": "string"}, "names": {"type": "array"}},
    "required": ["risk", "names"],
}
RIGHT = {"risk": "HIGH", "names": ["parse", "load"]}
WRONG = {"risk": "LOW", "names": []}
TEXT = json.dumps(RIGHT)

WRAPPED = {
    "bare": TEXT,
    "byte order mark": f"\ufeff{TEXT}",
    "spaces": f"\n\t {TEXT}\r\n",
    "fence": f"```\n{TEXT}\n```",
    "json fence": f"```json\n{TEXT}\n```",
    "JSON fence": f"```JSON\n{TEXT}\n```",
    "json5 fence": f"``` Json5\n{TEXT}\n```",
    "fence between sentences": f"Here you are:\n```json\n{TEXT}\n```\nI hope this helps.",
    "fence that is not closed": f"```json\n{TEXT}",
    "tildes": f"~~~json\n{TEXT}\n~~~",
    "several fences": f"```python\nx = {{}}\n```\nso\n```json\n{TEXT}\n```\n",
    "fence in front": f"```json\n{TEXT}\n```\n```python\nprint('a')\n```",
    "thoughts": f"<think>\nIs it LOW? {json.dumps(WRONG)}\n</think>\n\n{TEXT}",
    "empty thoughts": f"<think>\n\n</think>\n\n{TEXT}",
    "only the end of thoughts": f"Let me see. {json.dumps(WRONG)}\n</think>\n{TEXT}",
    "thoughts and a fence": f"<think>```json\n{json.dumps(WRONG)}\n```</think>```json\n{TEXT}\n```",
    "thoughts by another name": f"<Reasoning>{json.dumps(WRONG)}</Reasoning>{TEXT}",
    "thoughts in brackets": f"[THINK]{json.dumps(WRONG)}[/THINK]{TEXT}",
    "channels": f"<|channel|>analysis<|message|>{json.dumps(WRONG)}<|end|><|channel|>final<|message|>{TEXT}",
    "llama's end": f"{TEXT}<|eot_id|>",
    "chatml's end": f"{TEXT}<|im_end|>\n",
    "old end": f"{TEXT}</s>",
    "gemma's end": f"{TEXT}<end_of_turn>\n<eos>",
    "deepseek's end": f"{TEXT}<｜end▁of▁sentence｜>",
    "everything": f"\ufeff<think>{json.dumps(WRONG)}</think>\nSure:\n```JSON\n{TEXT}\n```<|im_end|></s>",
    "sentence before": f"The answer is {TEXT}",
    "sentence behind": f"{TEXT} because {{it}} is [so].",
    "corrected": f"First I thought {json.dumps(WRONG)}. But it is {TEXT}",
    "braces before": f"In {{curly}} words [1]: {TEXT}",
    "example of another shape behind": f'{TEXT}\nAs in {{"colour": "red"}}.',
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_right_answer_is_right_in_any_wrapping(name: str) -> None:
    assert parse_answer(WRAPPED[name], SCHEMA) == RIGHT


@pytest.mark.parametrize(
    "inner", ["```", "```json\n{}\n```", "</think>", "<think>", "<|im_end|>", "}", '"]}', "\ufeff", "</s>"]
)
@pytest.mark.parametrize("wrapped", ["{}", "See:\n```json\n{}\n```", "<think>no</think>{}<|im_end|>", "{}</s>"])
def test_what_a_string_holds_is_not_taken_for_a_wrapping(inner: str, wrapped: str) -> None:
    answer = {"risk": f"a {inner} b {inner}", "names": [inner]}
    assert parse_answer(wrapped.replace("{}", json.dumps(answer)), SCHEMA) == answer


@pytest.mark.parametrize(
    "response",
    [
        f"<think>It may be {TEXT}",
        f"<think>It may be ```json\n{TEXT}\n```",
        f"It may be {TEXT}</think>",
        f"It may be {TEXT}</think> I do not know.",
        f"<think>{TEXT}</think>",
        TEXT[:-1],
        f"<think>x</think>{TEXT[:-1]}",
        f"```json\n{TEXT[:-2]}\n```",
        TEXT.replace('"', "'"),
        '{"risk": "HIGH"',
        'I would say "risk": "HIGH", "names": []',
    ],
)
def test_what_was_thought_or_broke_off_is_not_an_answer(response: str) -> None:
    assert parse_answer(response, SCHEMA) is None


def test_an_object_of_another_shape_is_only_the_answer_where_it_was_given_as_such() -> None:
    other = {"colour": "red"}
    assert parse_answer(json.dumps(other), SCHEMA) == other
    assert parse_answer(f"```json\n{json.dumps(other)}\n```", SCHEMA) == other
    assert parse_answer(f"It is like {json.dumps(other)}, I think.", SCHEMA) is None


def test_the_last_fitting_object_wins_even_when_it_is_wrong() -> None:
    assert parse_answer(f"{TEXT}\nNo, wait: {json.dumps(WRONG)}", SCHEMA) == WRONG


def test_an_object_inside_another_is_not_an_answer_of_its_own() -> None:
    assert parse_answer(f'So: {{"draft": {TEXT}}}', SCHEMA) is None
    assert parse_answer(f"So: [{TEXT}]", SCHEMA) is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
answers = st.fixed_dictionaries({"risk": json_values, "names": json_values}, optional={"extra": json_values})
fronts = st.sampled_from(
    ["", "\ufeff", " \n", "<think>so</think>", "so\n</think>\n", "<think>\n\n</think>\n\n", "The answer:\n", "```json\n{}\n```\n",
     f"<think>{json.dumps(WRONG)}</think>", f"<think>```json\n{json.dumps(WRONG)}```</think>\n", "[1] {x} "]
)  # fmt: skip
fences = st.sampled_from(
    [("", ""), ("```\n", "\n```"), ("```json\n", "\n```"), ("```JSON ", "```"), ("```json\r\n", "\r\n```\r\n")]
)
ends = st.sampled_from(
    ["", "\n", "<|eot_id|>", "<|im_end|>\n", "</s>", "<|end|><|endoftext|>", "\nI hope so.", " {sic}"]
)


@given(value=answers, front=fronts, fence=fences, end=ends, indent=st.sampled_from([None, 2]), ascii=st.booleans())
@example(
    value={"risk": "```", "names": "</think>"},
    front="so</think>",
    fence=("```", "```"),
    end="</s>",
    indent=2,
    ascii=True,
)
def test_any_answer_in_any_wrapping_is_itself(
    value: Any, front: str, fence: tuple[str, str], end: str, indent: int | None, ascii: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii)
    assert parse_answer(f"{front}{fence[0]}{text}{fence[1]}{end}", SCHEMA) == json.loads(text)


ALPHABET = ["{", "}", "[", "]", '"', ":", ",", "\\", "```", "json", "<think>", "</think>", "<|im_end|>", "risk", "1", " ", "\n",
            "\ud800", "\ufeff", "NaN", "é", TEXT]  # fmt: skip


@given(st.lists(st.sampled_from(ALPHABET), max_size=30).map("".join) | st.text())
def test_nonsense_never_raises_and_what_comes_can_be_stored(response: str) -> None:
    for schema in (SCHEMA, {}, None):
        value = parse_answer(response, schema)
        assert msgspec.json.decode(msgspec.json.encode(value)) == value


@settings(max_examples=8)
@given(st.sampled_from(["{", "[", '{"a":', '{"a":[', "<think>", "</think>", "``` ", '{"risk":1,', "</s>", "\n"]))
def test_long_nonsense_does_not_take_quadratic_time(piece: str) -> None:
    """Twice as much takes about twice as long; squared, a megabyte would take an hour."""
    assert parse_answer(piece * (1_000_000 // len(piece)), SCHEMA) is None
