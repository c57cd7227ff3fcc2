"""Templates end: whatever they say, they take no more than so much time, text and memory, and a breach is one line."""

from __future__ import annotations

import resource
from pathlib import Path

import psutil
import pytest

from ai_dev_tools.benchmark.errors import ConfigurationError, ToolError
from ai_dev_tools.benchmark.prompts.tool_spec import load_tool
from ai_dev_tools.benchmark.prompts.tools import condense
from ai_dev_tools.benchmark.tasks import templating
from ai_dev_tools.benchmark.tasks.loading import load_task
from ai_dev_tools.benchmark.tasks.templating import (
    TemplateFailure,
    names_variable,
    render_each,
    run_isolated,
    template_problem,
)
from support.making import tool, write_task

HUNGRY = {
    "time": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "power": "{{ (10 ** 9) ** (given * 10 ** 8) }}",
    "repetition": "{{ 'x' * (given * 3 * 10 ** 9) }}",
    "constant": "{{ 'x' * 3 * 10 ** 9 }}",
    "padding": "{{ '%3000000000s' % given }}",
    "centred": "{{ 'x'|center(3000000000) }}",
    "format": "{{ '{:3000000000}'.format(given) }}",
    "join": "{{ (['x' * 1000000] * 1000000)|join }}",
    "doubling": "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
    "list": "{{ ([given] * (10 ** 9 * given))|length }}",
    "output": "{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
    "recursion": "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templating, "CPU_S", 1)
    monkeypatch.setattr(templating, "MEMORY_BYTES", 200_000_000)


@pytest.mark.parametrize("template", HUNGRY.values(), ids=HUNGRY)
def test_a_hungry_template_fails_and_takes_nothing_from_who_renders_it(template: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (rendered,) = render_each(template, [{"given": 1}], 20_000_000)
    assert isinstance(rendered, TemplateFailure), str(rendered)[:100]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize("name", ["time", "repetition", "constant", "padding"])
def test_a_tools_template_that_takes_too_much_is_one_line(name: str) -> None:
    with pytest.raises(ToolError, match=r"^echo: the template ") as caught:
        condense(tool(Path(), "x", template="{% set given = 1 %}" + HUNGRY[name]), b"", {}, case="one")
    assert "case 'one'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["time", "repetition", "output"])
def test_a_question_that_takes_too_much_is_one_line(name: str, tmp_path: Path) -> None:
    folder = write_task(tmp_path, question="{% set given = 1 %}" + HUNGRY[name])
    with pytest.raises(ConfigurationError, match=r"one\.yaml: ") as caught:
        load_task(folder)
    assert "\n" not in str(caught.value)


def test_reading_a_tool_works_out_nothing_that_is_too_much(tmp_path: Path) -> None:
    """Jinja2 computes what is constant while it compiles."""
    (tmp_path / "echo.yaml").write_text(
        "{id: echo, description: d, install: i, command: [x], output: text, template: '{{ 9 ** (9 ** 9) }}'}"
    )
    with pytest.raises(ConfigurationError, match=r"echo\.yaml: 'template' .*takes more than 1 s"):
        load_tool(tmp_path / "echo.yaml")


def test_each_set_of_variables_has_its_own_time_and_one_that_fails_leaves_the_others() -> None:
    count = "{% for a in range(n) %}{% for b in range(1000) %}{% endfor %}{% endfor %}{{ m }}"
    values = [{"n": 1, "m": "a"}, {"n": 1}, {"n": 1, "m": "\ud800ä\0"}]
    first, second, third = render_each(count, values)
    assert (first, third) == ("a", "\ud800ä\0")
    assert isinstance(second, TemplateFailure)
    assert "'m' is undefined" in second.message


def test_what_is_not_a_template_says_why() -> None:
    assert template_problem("{{ fine }}") is None
    assert "unknown tag" in str(template_problem("{% nothing %}"))
    assert "No filter named 'nothing'" in str(template_problem("{{ x|nothing }}"))
    assert template_problem("{{ " + "(" * 5000 + ")" * 5000 + " }}")


def test_variables_of_a_template() -> None:
    assert names_variable("{% for x in question %}{{ x }}{% endfor %}", "question")
    assert not names_variable("{{ text.question }} question", "question")


def test_no_process_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {child.pid for child in psutil.Process().children()}
    for template in ("{{ 1 }}", HUNGRY["repetition"]):
        render_each(template, [{"given": 1}])
    assert {child.pid for child in psutil.Process().children()} <= before


def test_nothing_of_the_process_happens_twice(capfd: pytest.CaptureFixture[str]) -> None:
    """What was about to be printed, and what happens at the end of a program, is the parent's alone."""
    print("once", end="")
    assert run_isolated(lambda: ["x"]) == ["x"]
    print()
    assert capfd.readouterr().out == "once\n"
