"""From settings to blocks and plans: what the workflow will ask, without contacting anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ai_dev_tools.benchmark.config.models import ServerSettings
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import Weights, require_servable
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.block import PROTOCOL, Block, case_order, cells
from ai_dev_tools.benchmark.records.plan import RULES, read_plans
from ai_dev_tools.benchmark.records.rounds import read_round
from support.experiments import SHIPPED, errors, experiment
from support.repository import ROOT

STORED = ROOT / "tests" / "recorded" / "plans"


# --- blocks -------------------------------------------------------------------------------------------------------


def test_a_block_holds_all_that_its_job_needs(root: Path) -> None:
    block = experiment(root, profile="light", samples=5, options={"temperature": 0.2, "top_k": 3}).block(
        "light", "llama3.2-1b", "colours"
    )
    assert block == Block(
        profile="light",
        results="results/light",
        instance="small",
        model="llama3.2:1b",
        task="colours",
        cases=case_order("colours", ["one", "two", "big"]),
        samples=5,
        approaches=["baseline", "tools", "no_context"],
        options={"temperature": 0.2, "num_ctx": 8192, "num_predict": 512, "top_k": 3},
        think=False,
        timeout_s=30,
        attempts=3,
        retry="default",
        round=0,
        plan=block.plan,
        run_requests=15,
        endpoint=block.endpoint,
    )
    assert {
        "kind": "auto",
        "host": "localhost",
        "port": 11434,
        "max_concurrent": 4,
    }.items() <= block.endpoint.to_dict().items()
    assert Block.from_json(block.to_json()) == block


def test_a_block_names_no_more_cases_than_it_asks(root: Path) -> None:
    """It travels on a command line, which the system limits; a task may have thousands of cases."""
    every = case_order("colours", ["one", "two", "big"])
    for samples in (1, 2, 3, 4, 7):
        block = experiment(root, profile="light", samples=samples).block("light", "llama3.2-1b", "colours")
        assert block.cases == every[:samples]
        assert cells(block) == cells(msgspec.structs.replace(block, cases=every))


def test_the_embedded_profile_asks_small_cases_of_its_own_server(root: Path) -> None:
    block = experiment(root).block("embedded", "smollm2-135m", "colours")
    assert sorted(block.cases) == ["one", "two"]
    assert block.endpoint.port == 0
    assert block.endpoint.max_concurrent == 1
    assert block.endpoint.model_file == "resources/models/SmolLM2-135M-Instruct.Q4_1.gguf"
    assert len(block.endpoint.model_sha256) == 64, "pinned, and checked"


@pytest.mark.parametrize(("mode", "slots"), [("async", 4), ("parallel", 1), ("sequential", 1)])
def test_how_many_requests_are_under_way_on_an_instance(mode: str, slots: int, root: Path) -> None:
    block = experiment(root, profile="light", execution_mode=mode).block("light", "llama3.2-1b", "colours")
    assert block.endpoint.max_concurrent == slots


def test_the_requests_of_the_whole_run_are_counted(root: Path) -> None:
    block = experiment(root, profile="heavy").block("heavy", "codellama-7b", "colours")
    assert block.run_requests == 4 * 1 * 12 * 3


def test_every_setting_of_a_server_reaches_its_endpoint(root: Path) -> None:
    given: dict[str, Any] = {
        "image": "x:1", "gpus": "all", "models_dir": "m", "token_env": "T", "environment": {"A": "b"}, "cache_prompt": True,
    }  # fmt: skip
    assert given.keys() == ServerSettings.model_fields.keys()
    spec = experiment(root, profile="light", server=given).block("light", "llama3.2-1b", "colours").endpoint
    assert {name: getattr(spec, name) for name in given} == given


def test_the_text_of_a_block_is_what_earlier_versions_wrote(root: Path) -> None:
    """Snakemake runs a block again when its parameters are others."""
    server = {"environment": {"A": "b"}, "models_dir": "m"}
    light = experiment(root, profile="light", tools="grep", server=server).block("light", "llama3.2-1b", "colours")
    embedded = experiment(root, samples=2, think="low").block("embedded", "smollm2-135m", "colours")
    assert [light.to_json(), embedded.to_json()] == (STORED / "blocks.jsonl").read_text().splitlines()


def test_a_plan_has_the_hash_that_earlier_versions_gave_it(root: Path) -> None:
    """Samples name it, so another hash would make finished runs exploratory."""
    changed = {
        "samples": 6,
        "options": {"temperature": 1, "top_k": 3},
        "plan": {"alpha": 0.1, "quality": {"margin": 0.2}},
    }
    made = [experiment(root, profile="light", tools="grep", **more).plan("light") for more in ({}, changed)]
    assert [plan.digest for plan in made] == [plan.plan for plan in read_plans(STORED / "plans.jsonl")[1:]]


def test_the_headline_run_asks_576_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = experiment(ROOT, profile="heavy", approaches="baseline,tools")
    assert len(found.blocks("heavy")) == 24
    assert {found.block("heavy", model, task).run_requests for model, task in found.blocks("heavy")} == {576}


def test_the_default_run_asks_54_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = experiment(ROOT)
    assert {found.block("embedded", *place).run_requests for place in found.blocks("embedded")} == {54}


def test_a_round_that_was_noted_is_part_of_the_block(root: Path) -> None:
    assert read_round("light", "llama3.2-1b", "colours") == 0
    path = root / "results" / "light" / "blocks" / "llama3.2-1b" / "colours.round"
    path.parent.mkdir(parents=True)
    path.write_text("2\n")
    assert experiment(root, profile="light").block("light", "llama3.2-1b", "colours").round == 2
    path.write_text("nonsense")
    assert read_round("light", "llama3.2-1b", "colours") == 0


# --- plans --------------------------------------------------------------------------------------------------------


def test_a_plan_says_what_the_run_sets_out_to_show(root: Path) -> None:
    found = experiment(root, profile="light", tools="grep")
    plan = found.plan("light").content()
    contents, digests = plan.pop("contents"), plan.pop("tools")
    assert list(contents["colours"]) == case_order("colours", ["one", "two", "big"])
    assert set(digests) == {"grep"}
    assert plan == {
        "rules": RULES,
        "protocol": PROTOCOL,
        "profile": "light",
        "models": ["llama3.2:1b"],
        "tasks": {"colours": case_order("colours", ["one", "two", "big"])},
        "approaches": ["baseline", "tools-grep", "no_context"],
        "samples": 3,
        "alpha": 0.05,
        "claims": [
            {
                "id": f"{e}:tools-grep",
                "endpoint": e,
                "approach": "tools-grep",
                "reference": "baseline",
                "margin_ratio": 0.95,
            }
            for e in ("tokens", "time")
        ],
        "quality": {"margin": 0.1, "task_veto": 0.2, "alpha": 0.05, "floor": "no_context"},
        "single_source": [],
        "options": {"temperature": 0.0, "num_ctx": 8192, "num_predict": 512},
    }
    assert found.block("light", "llama3.2-1b", "colours").plan == found.plan("light").digest
    msgspec.json.encode(plan)


def test_control_arms_make_no_claim_and_without_the_reference_there_is_none(root: Path) -> None:
    claims = experiment(root, approaches="all").plan("embedded").claims
    assert {claim.approach for claim in claims} == {"tools"}
    assert experiment(root, approaches="tools,no_context").plan("embedded").claims == ()


@pytest.mark.parametrize(
    "changed",
    [{"samples": 9}, {"approaches": "all"}, {"models": "medium"}, {"options": {"temperature": 1}}, {"tools": "grep"}],
    ids=str,
)
def test_what_a_later_choice_could_bend_is_another_plan(changed: dict[str, Any], root: Path) -> None:
    assert experiment(root, profile="medium", **changed).plan("medium") != experiment(root, profile="medium").plan(
        "medium"
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"retry": "all"},
        {"partial": True},
        {"execution_mode": "sequential"},
        {"endpoint": "http://x:1"},
        {"output_format": "csv"},
    ],
    ids=str,
)
def test_how_a_run_is_carried_out_is_not_part_of_the_plan(changed: dict[str, Any], root: Path) -> None:
    assert experiment(root, profile="medium", **changed).plan("medium") == experiment(root, profile="medium").plan(
        "medium"
    )


# --- models of the embedded endpoint ------------------------------------------------------------------------------


def with_instances(**instances: dict[str, Any]) -> dict[str, Any]:
    """Settings with a profile `mine` of these embedded instances."""
    return {
        "profile": "mine",
        "profiles": SHIPPED["profiles"] | {"mine": {"endpoint": "embedded", "instances": instances}},
    }


def test_a_profile_says_which_of_its_models_are_asked_unless_the_run_does(root: Path) -> None:
    def models(**changed: Any) -> list[str]:
        return [instance.model for instance in experiment(root, profile="coder", **changed).instances("coder")]

    assert models() == ["qwen2.5-coder:0.5b"]
    assert models(models="all") == ["qwen2.5-coder:0.5b", "qwen2.5-coder:1.5b"]
    assert models(models="coder_large") == ["qwen2.5-coder:1.5b"]


def test_an_embedded_block_names_its_pinned_weights_and_several_take_turns(root: Path) -> None:
    found = experiment(root, profile="coder", models="all")
    served = [found.endpoint("coder", instance) for instance in found.instances("coder")]
    assert [Path(entry.model_file or "").name for entry in served] == [
        "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    ]
    assert all(len(entry.model_sha256) == 64 for entry in served)
    assert len(set(found.servers("coder").values())) == 1


def test_a_custom_file_is_served_as_it_is(root: Path) -> None:
    found = experiment(root, **with_instances(own={"model": "own:3b", "file": "own.gguf", "port": 9}))
    served = found.endpoint("mine", found.instances("mine")[0])
    assert (served.model_file, served.model_sha256) == ("own.gguf", None)


def test_a_model_that_the_embedded_endpoint_lacks_is_one_line_with_both_ways_out(root: Path) -> None:
    (line,) = errors(root, **with_instances(own={"model": "qwen2.5-coder:0.5"}))
    assert line.startswith(
        "config: profiles.mine.instances.own: the embedded endpoint has no model 'qwen2.5-coder:0.5'"
    )
    assert "did you mean 'qwen2.5-coder:0.5b'?" in line
    assert "`file: path.gguf`" in line


def test_a_file_belongs_to_the_embedded_endpoint_only(root: Path) -> None:
    (line,) = errors(root, endpoint="external", **with_instances(own={"model": "own:3b", "file": "own.gguf"}))
    assert line == "config: profiles.mine.instances.own: only endpoint=embedded serves a `file`, not external"


@pytest.mark.parametrize("content", [None, b"", b"not a model", b"GGUF\3\0\0\0"])
def test_what_is_not_a_model_file_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "own.gguf").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"^own: .*own\.gguf.*Correct the instance's `file`$"):
        require_servable("own", Weights(Path("own.gguf")), tmp_path)


def test_more_memory_than_there_is_ends_a_run_before_it_starts(tmp_path: Path) -> None:
    huge = Weights(Path("huge.gguf"), sha256="0" * 64, size_bytes=10**15, memory_bytes=10**15)
    with pytest.raises(
        ConfigurationError, match=r"huge\.gguf needs about 1000000\.0 GB of memory, and this machine has"
    ):
        require_servable("huge", huge, tmp_path)


def test_an_endpoint_that_another_profile_cannot_use_is_not_a_mistake_of_this_run() -> None:
    """Both models of `coder` share a port, which only the embedded endpoint allows."""
    assert experiment(ROOT, profile="light", endpoint="process").all_servers == [
        f"localhost:{port}" for port in range(11434, 11438)
    ]
    with pytest.raises(ConfigurationError, match="'coder' and 'coder_large' share port"):
        _ = experiment(ROOT, profile="coder", endpoint="process").all_servers
