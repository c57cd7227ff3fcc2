"""A block warms a model up, unless the block before it in the same run has just done so."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ai_dev_tools.benchmark.execution import request as measure
from ai_dev_tools.benchmark.execution.job import RUN_PID
from support.bench import Bench, Fake, Reply


def warm_ups(fake: Fake) -> int:
    return sum(body["messages"][0]["content"] == measure.WARM_UP for body in fake.warm_ups)


@pytest.mark.usefixtures("one_run")
@pytest.mark.parametrize("most", [1, 4])
def test_a_model_that_a_block_of_the_run_has_just_had_loaded_is_not_warmed_up_again(bench: Bench, most: int) -> None:
    bench.run(samples=1, endpoint={"max_concurrent": most})
    (before,) = bench.sessions()
    bench.run(samples=2, endpoint={"max_concurrent": most})
    assert warm_ups(bench.fake) == 1
    assert len(bench.asked) == 2
    _, after = bench.sessions()
    differing = {name for name in before if before[name] != after[name]}
    assert differing <= {"session", "recorded_at"}, "what is recorded is as true as after a warm-up"


def test_a_block_of_another_run_warms_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    no_run = ""
    for samples, run in enumerate((str(os.getppid()), str(os.getpid()), no_run, no_run), start=1):
        monkeypatch.setenv(RUN_PID, run)
        bench.run(samples=samples)
    assert warm_ups(bench.fake) == 4


@pytest.mark.usefixtures("one_run")
@pytest.mark.parametrize(
    "changed", [{"options": {"temperature": 0.0, "num_ctx": 8192, "num_gpu": 0}}, {"options": {"num_ctx": 4096}}]
)
def test_other_options_warm_up_whichever_profile_they_are_of(bench: Bench, changed: dict[str, Any]) -> None:
    """The last one to have had the model loaded counts, as another profile may have had it loaded in another way."""
    other = Bench(bench.folder.parent / "medium", bench.fake)
    bench.run(samples=1)
    other.run(samples=1, **changed)
    assert warm_ups(bench.fake) == 2
    bench.run(samples=2)
    assert warm_ups(bench.fake) == 3
    bench.run(samples=3)
    assert warm_ups(bench.fake) == 3


@pytest.mark.usefixtures("one_run")
@pytest.mark.parametrize(
    "now",
    [[], [{"name": "fake:1b", "context_length": 2048}], [{"name": "fake:1b", "context_length": 8192, "size": 2, "size_vram": 1}]],
    ids=["unloaded", "smaller context", "elsewhere"],
)  # fmt: skip
def test_a_model_that_is_no_longer_loaded_as_it_was_is_warmed_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, now: list[dict[str, Any]]
) -> None:
    bench.run(samples=1)
    usual = bench.fake.reply
    said: Reply = (200, [{"models": now}], 0.0)
    monkeypatch.setattr(
        bench.fake, "reply", lambda method, path, body: said if path == "/api/ps" else usual(method, path, body)
    )
    bench.run(samples=2)
    assert warm_ups(bench.fake) == 2


def test_a_block_contacts_its_server_without_asking_it_for_lists_twice(bench: Bench) -> None:
    bench.run(samples=1, endpoint={"kind": "auto", "host": "127.0.0.1", "port": bench.fake.port})
    assert bench.fake.counts["/api/tags"] == bench.fake.counts["/api/show"] == 1
    assert bench.fake.counts["/api/version"] == 2, "whether it is an Ollama, and which"
