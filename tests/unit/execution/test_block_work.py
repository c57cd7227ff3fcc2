"""The work of a block: a rerun asks exactly what is missing or no longer matches, and deletes nothing."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.execution import ask_block
from ai_dev_tools.benchmark.execution.block_work import KeptSample, retryable
from ai_dev_tools.benchmark.records.block import PluginRef
from ai_dev_tools.benchmark.records.sample import Sample, SampleError, read_sample, write_sample
from support.bench import Bench
from support.making import prompt, prompts

# --- running again --------------------------------------------------------------------------------------------------


def test_a_rerun_asks_nothing_and_contacts_nobody(bench: Bench) -> None:
    first = bench.run()
    bench.fake.counts.clear()
    assert bench.run() == first
    assert bench.fake.counts == Counter()
    assert bench.lines == []


@pytest.mark.parametrize(
    "changed",
    [{"plan": "another"}, {"round": 3}, {"timeout_s": 1.0}, {"attempts": 1}, {"run_requests": 99}, {"instance": "x"}],
    ids=str,
)
def test_what_does_not_change_a_request_asks_nothing(changed: dict[str, Any], bench: Bench) -> None:
    bench.run()
    bench.run(**changed)
    assert bench.asked == []


# --- a plugin's scorer ------------------------------------------------------------------------------------------------

SCORER = """
from ai_dev_tools.benchmark.plugins import scorer

@scorer("mine")
def mine(expected, actual):
    return {}
"""


def test_a_scorer_that_fails_ends_the_block_once_all_answers_are_kept(bench: Bench, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    rule = [{"field": "colour", "scorer": "mine"}]
    needed = [PluginRef(str(plugin), "digest")]
    given = {key: msgspec.structs.replace(row, scoring=rule) for key, row in prompts(bench.block()).items()}

    plugin.write_text(SCORER.format("1 / 0"))
    with pytest.raises(ConfigurationError, match=r"scorer 'mine' \(mine\.py\) raised ZeroDivisionError"):
        bench.run(given, plugins=needed)
    assert len(bench.asked) == len(bench.files()) == 6, "everything was asked and is kept"

    plugin.write_text(SCORER.format("0.25"))
    samples = bench.run(given, plugins=needed)
    assert bench.asked == []
    assert {sample.score for sample in samples} == {0.25}

    plugin.write_text(SCORER.format("'much'"))
    with pytest.raises(ConfigurationError, match="raised ValueError"):
        bench.run(given, plugins=needed)
    kept = read_sample(bench.path("tools", 0))
    assert isinstance(kept, Sample)
    assert kept.score == 0.25, "a broken scorer takes no score away"


def test_the_changed_prompt_of_one_case_asks_exactly_that_case(bench: Bench) -> None:
    bench.run()
    given = prompts(bench.block())
    given["two", "tools"] = prompt("two", "tools", "Changed.")
    samples = bench.run(given)
    assert bench.about() == ["Changed."]
    assert len(samples) == 6
    assert len(bench.files()) == 6
    (old,) = bench.files("superseded")
    assert old.startswith("fake-1b/colours/tools/1.")


def test_a_corrected_truth_scores_stored_answers_again(bench: Bench) -> None:
    before = bench.run()
    given = prompts(bench.block(), truth={"colour": "blue"})
    after = bench.run(given)
    assert bench.asked == []
    assert {sample.score for sample in before} == {1.0}
    assert {sample.score for sample in after} == {0.0}
    kept = read_sample(bench.path("tools", 0))
    assert isinstance(kept, Sample)
    assert kept.score == 0.0, "the file says it too"


def test_a_tool_that_was_disturbed_and_measured_again_gives_its_new_time_to_stored_answers(bench: Bench) -> None:
    def timed(tool_s: float, other_s: float) -> dict[str, Any]:
        return {"tool_s": tool_s, "tool_other_cpu_s": other_s}

    arm = {"approaches": ["tools"], "samples": 1}
    (first,) = bench.run(prompts(bench.block(**arm), **timed(3.0, 2.0)), **arm)
    assert (first.tool_s, first.tool_other_cpu_s) == (3.0, 2.0)
    (after,) = bench.run(prompts(bench.block(**arm), **timed(1.0, 0.0)), **arm)
    assert bench.asked == []
    assert (after.tool_s, after.tool_other_cpu_s) == (1.0, 0.0)
    (last,) = bench.run(prompts(bench.block(**arm), **timed(0.5, 0.0)), **arm)
    assert last.tool_s == 1.0, "a time that was sound is not replaced by a better one"


def test_more_samples_ask_only_the_new_ones(bench: Bench) -> None:
    first = bench.run()
    samples = bench.run(samples=4)
    assert sorted(bench.about()) == ["What about one by baseline?", "What about one by tools?"]
    assert samples[:6] == first
    assert {s.repeat for s in samples[6:]} == {1}


def test_another_approach_asks_only_its_own(bench: Bench) -> None:
    bench.run()
    samples = bench.run(approaches=["baseline", "tools", "no_context"])
    assert {about.split(" by ")[1] for about in bench.about()} == {"no_context?"}
    assert len(bench.asked) == 3
    assert len(samples) == 9


def test_fewer_samples_or_arms_leave_the_others_where_they_are(bench: Bench) -> None:
    bench.run()
    assert len(bench.run(samples=1, approaches=["tools"])) == 1
    assert bench.asked == []
    assert len(bench.files()) == 6


def test_other_options_ask_everything_again_and_lose_nothing(bench: Bench) -> None:
    bench.run()
    bench.run(options={"temperature": 0.7, "num_ctx": 8192, "num_predict": 512})
    assert len(bench.asked) == 6
    assert len(bench.files("superseded")) == 6


def test_other_weights_under_the_same_name_are_asked_again_on_contact(bench: Bench) -> None:
    bench.run()
    bench.fake.digest = "weights-2"
    bench.run()
    assert bench.asked == [], "without contact nobody knows"
    samples = bench.run(samples=4)
    assert len(bench.asked) == 8
    assert {s.model_digest for s in samples} == {"weights-2"}
    assert [s.order for s in samples] == list(range(8))
    assert len(bench.files("superseded")) == 6
    assert "other weights" in bench.lines[0]


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"not json", b"\xff\xfe", b'{"profile": "light"}', b'{"somebody": "else"}', b"[" * 100_000],
    ids=lambda content: repr(content[:10]),
)
def test_a_damaged_sample_file_is_set_aside_and_asked_again(content: bytes, bench: Bench) -> None:
    bench.run()
    bench.path("tools", 2).write_bytes(content)
    samples = bench.run()
    assert bench.about() == ["What about three by tools?"]
    assert len(samples) == 6
    assert "warning: " in bench.lines[0]
    assert "is not a sample of this project" in bench.lines[0]
    assert "set aside and asked again" in bench.lines[0]
    (aside,) = (bench.folder / "superseded").rglob("*.json")
    assert aside.read_bytes() == content


@pytest.mark.parametrize(
    "change", [{"case": "one"}, {"profile": "heavy"}, {"approach": "baseline"}, {"sample": 7}, {"task": "x"}], ids=str
)
def test_a_sample_file_of_another_cell_is_not_believed(change: dict[str, Any], bench: Bench) -> None:
    bench.run()
    path = bench.path("tools", 2)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    bench.run()
    assert bench.about() == ["What about three by tools?"]


def test_a_folder_in_the_place_of_a_sample_is_set_aside(bench: Bench) -> None:
    (bench.path("tools", 0) / "sub").mkdir(parents=True)
    assert len(bench.run()) == 6
    assert bench.path("tools", 0).is_file()


# --- which failures a rerun asks again ------------------------------------------------------------------------------

CLASSES = [
    "connection",
    "overloaded",
    "interrupted",
    "malformed_response",
    "timeout",
    "context_overflow",
    "model",
    "tool",
]
PASSING = CLASSES[:4]


@pytest.mark.parametrize(
    ("retry", "again"),
    [("default", PASSING), ("all", CLASSES), ("none", [])],
)
def test_retry_policies(retry: str, again: list[str], bench: Bench) -> None:
    samples = bench.run(samples=8, approaches=["tools"], cases=[f"c{n}" for n in range(8)])
    for sample, kind in zip(samples, CLASSES, strict=True):
        status = "timeout" if kind == "timeout" else "failed"
        write_sample(
            bench.path("tools", sample.sample),
            msgspec.structs.replace(sample, status=status, error=SampleError(kind, "x")),
        )
    before = {kind: read_sample(bench.path("tools", n)) for n, kind in enumerate(CLASSES)}
    assert retryable([KeptSample.of(s) for s in before.values() if isinstance(s, Sample)], retry) == len(again)
    after = bench.run(samples=8, approaches=["tools"], cases=[f"c{n}" for n in range(8)], retry=retry)
    assert len(bench.asked) == len(again)
    assert [s.status == "completed" for s in after] == [kind in again for kind in CLASSES]
    assert len(bench.files("superseded")) == len(again)


def test_a_completed_sample_is_never_asked_again(bench: Bench) -> None:
    bench.run()
    bench.run(retry="all")
    assert bench.asked == []


def test_arms_of_two_sessions_are_asked_together_when_that_is_wanted(bench: Bench) -> None:
    bench.run(samples=1, approaches=["baseline"])
    bench.run(samples=2)
    assert len(bench.asked) == 3
    after = bench.run(samples=2, retry="pairs")
    assert len(bench.asked) == 2, "both arms of the first case; the second was asked by one session"
    assert len({sample.session for sample in after if sample.sample == 0}) == 1
    assert len(bench.files("superseded")) == 2
    bench.run(samples=2, retry="pairs")
    assert bench.asked == []


def test_samples_of_an_earlier_plan_are_asked_again_when_that_is_wanted(bench: Bench) -> None:
    bench.run(samples=2, plan="a" * 16)
    bench.run(samples=2, plan="b" * 16, retry="all")
    assert bench.asked == []
    after = bench.run(samples=2, plan="b" * 16, retry="plan")
    assert len(bench.asked) == 4
    assert {sample.plan for sample in after} == {"b" * 16}
    assert len(bench.files("superseded")) == 4
    bench.run(samples=2, plan="b" * 16, retry="plan")
    assert bench.asked == [], "a killed run goes on, and does not begin anew"


def test_a_sample_that_is_removed_before_its_block_ends_is_one_line(bench: Bench) -> None:
    wanted = bench.block()
    work = ask_block(wanted, prompts(wanted), bench.lines.append, threading.Event())
    bench.path("tools", 0).unlink()
    with pytest.raises(
        ConfigurationError, match=r"0\.json was removed while its block ran\. Run the same command again"
    ):
        list(work.samples())
