"""Ollama's API as data: options, durations, formats, templates, closing fields, and the metadata of model files."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.endpoints.embedded import gguf
from ai_dev_tools.benchmark.endpoints.embedded import ollama_api as api
from ai_dev_tools.benchmark.errors import ConfigurationError


def test_options_get_the_names_of_llama_cpp_and_the_defaults_of_ollama() -> None:
    parameters = api.sampling({"num_predict": 9, "temperature": 0, "stop": ["x"], "num_thread": 4, "colour": "red"})
    assert (parameters["n_predict"], parameters["temperature"], parameters["stop"]) == (9, 0, ["x"])
    assert (parameters["top_k"], parameters["top_p"], parameters["repeat_penalty"]) == (40, 0.9, 1.1)
    assert {"num_predict", "num_thread", "colour"} & set(parameters) == set()


@pytest.mark.parametrize("unlimited", [0, -1, -2])
def test_num_predict_without_a_limit(unlimited: int) -> None:
    assert api.sampling({"num_predict": unlimited})["n_predict"] == -1


@pytest.mark.parametrize(
    ("keep_alive", "kept"),
    [(0, False), ("0", False), ("0s", False), ("5m", True), ("1h30m", True), (-1, True), ("-1m", True), (None, True)],
)
def test_keep_alive_is_zero_or_not(keep_alive: Any, kept: bool) -> None:
    assert api.keeps_alive({"keep_alive": keep_alive}) is kept


@pytest.mark.parametrize("wrong", ["soon", "5 m", True, [], ""])
def test_a_keep_alive_without_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(api.ApiError) as caught:
        api.keeps_alive({"keep_alive": wrong})
    assert caught.value.status == 400


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_format_is_no_constraint(nothing: Any) -> None:
    assert api.constraint(nothing) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "objekt"},
        {"$ref": "#/$defs/none"},
        {"$ref": "https://example.org/schema"},
        {"$ref": "#here", "$defs": {"a": {"$anchor": "here"}}},
        {"title": "abc", "items": {"$ref": "#/title/0"}},
        {"anyOf": [{"type": "string"}], "items": {"$ref": "#/anyOf/-1"}},
        {"anyOf": [{"type": "string"}], "items": {"$ref": "#/anyOf/one"}},
        {"required": "a"},
        [],
        True,
        "xml",
    ],
)
def test_a_schema_that_would_be_ignored_is_refused(wrong: Any) -> None:
    with pytest.raises(api.ApiError):
        api.constraint(wrong)


def test_a_schema_may_refer_to_its_own_parts() -> None:
    schema = {"$defs": {"a/b": {"type": "string"}}, "type": "array", "items": {"$ref": "#/$defs/a~1b"}}
    assert api.constraint(schema)["json_schema"]["items"] == {"$ref": "#/$defs/a~1b"}


@given(system=st.text(), prompt=st.text())
def test_a_template_keeps_what_it_is_filled_with(system: str, prompt: str) -> None:
    filled = api.fill_template("<{{ .System }}|{{.Prompt}}>", system, prompt)
    assert filled == f"<{system}|{prompt}>"


def test_a_template_beyond_the_known_is_refused_not_guessed() -> None:
    with pytest.raises(api.ApiError, match="range"):
        api.fill_template("{{ range .Messages }}{{ end }}", "", "Hi")


def test_a_chat_template_leaves_a_last_assistant_message_open() -> None:
    source = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>\n{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    template = api.ChatTemplate(source, "", "</s>")
    user, answer = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "It is"}
    assert template.render([user]) == "<user>Hi</s>\n<assistant>"
    assert template.render([user, answer]) == "<user>Hi</s>\n<assistant>It is"


def test_closing_fields_are_nanoseconds_and_tell_the_cached_part() -> None:
    timings = {"cache_n": 7, "prompt_ms": 1.5, "predicted_n": 3, "predicted_ms": 0.25}
    final = api.final_fields({"stop_type": "limit", "tokens_evaluated": 10, "timings": timings}, 5_000_000, 20)
    assert final == {
        "done": True,
        "done_reason": "length",
        "total_duration": 5_000_000,
        "load_duration": 20,
        "prompt_eval_count": 10,
        "prompt_eval_cached_count": 7,
        "prompt_eval_duration": 1_500_000,
        "eval_count": 3,
        "eval_duration": 250_000,
    }


@pytest.mark.parametrize(("count", "text"), [(134_515_008, "134.52M"), (8_030_261_248, "8.0B"), (999, "999")])
def test_parameter_counts_are_written_as_ollama_does(count: int, text: str) -> None:
    assert api.parameter_size(count) == text


def test_metadata_of_the_weights(weights: Path) -> None:
    metadata = gguf.read_metadata(weights)
    assert metadata["general.architecture"] == "llama"
    assert metadata["llama.context_length"] == 8192
    assert metadata["tokenizer.ggml.tokens"] is None


@pytest.fixture(scope="module")
def header(weights: Path) -> bytes:
    with weights.open("rb") as file:
        return file.read(2000)


@given(at=st.integers(0, 1999), value=st.binary(min_size=1, max_size=8))
@example(at=9, value=bytes(8))  # no metadata at all
@example(at=16, value=b"\x03")  # fewer than there are: what was read counts
def test_a_damaged_model_file_is_one_line(
    tmp_path_factory: pytest.TempPathFactory, header: bytes, at: int, value: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.gguf"
    file.write_bytes(header[:at] + value + header[at + len(value) :])
    said = ""
    try:
        assert gguf.read_metadata(file)["general.architecture"]
    except ConfigurationError as error:
        said = str(error)
    assert said == "" or ("GGUF" in said and "\n" not in said)


@pytest.mark.parametrize(
    "end",
    [
        struct.pack("<IIQ", 9, 0, 2**60),  # an array larger than any disk
        struct.pack("<IQ", 8, 2**40),  # a text of a terabyte
        struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 9, 1) * 5000,  # arrays in arrays in arrays
        struct.pack("<I", 77),  # no such kind
    ],
)
def test_a_model_file_made_to_hurt_is_one_line(tmp_path: Path, end: bytes) -> None:
    file = tmp_path / "hurts.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 1) + b"k" + end)
    with pytest.raises(ConfigurationError, match=r"hurts\.gguf is a damaged GGUF model file"):
        gguf.read_metadata(file)
