"""What is wrong with a task beyond single fields: names, schema, templates, truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark.config.parsing import nearest
from ai_dev_tools.benchmark.tasks.questions import question_error, render_questions
from ai_dev_tools.benchmark.tasks.scoring import ScorerFailed, score_fields
from ai_dev_tools.benchmark.tasks.templating import TemplateFailure
from ai_dev_tools.benchmark.tasks.workspaces import workspace_errors

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.tasks.loading import Case, Task


def task_errors(task: Task, path: Path) -> list[str]:
    """A line for each mistake that can be seen once every field by itself is right."""
    # these take 40 ms
    import jsonschema
    import referencing.exceptions

    if task.id != task.folder.name:
        return [f"{path}: 'id' is '{task.id}' but the folder is named '{task.folder.name}': use one name for both"]
    validator_class = jsonschema.validators.validator_for(task.answer_schema)
    try:
        validator_class.check_schema(task.answer_schema)
    except jsonschema.SchemaError as error:
        return [f"{path}: 'answer_schema' is not JSON Schema: {error.message} at {error.json_path}"]
    places: dict[str, str] = {}
    for case in task.cases:
        if places.setdefault(case.id, case.where) != case.where:
            return [f"{case.where}: 'id' is '{case.id}', as in {places[case.id]}: use each id once"]
    fields = [rule.field for rule in task.scoring]
    if lines := [*_scoring_errors(task, fields, path), *workspace_errors(task, path)]:
        return lines
    questions = render_questions(task)
    if (
        (first := next(iter(questions.values()), None))
        and isinstance(first, TemplateFailure)
        and first.kind == "syntax"
    ):
        return [f"{path}: 'question' is not a valid Jinja2 template: {first.message}"]
    validator = validator_class(task.answer_schema)
    rules = [rule.as_dict() for rule in task.scoring]
    for case in task.cases:
        if case.truth is not None:
            try:
                problem = next(validator.iter_errors(case.truth), None)
            except referencing.exceptions.Unresolvable as error:
                return [f"{path}: 'answer_schema' cannot be used: {error}"]
            if problem:
                lines.append(f"{case.where}: 'truth' violates the task's answer_schema: {problem.message}")
            elif absent := [field for field in fields if field not in case.truth]:
                lines += [f"{case.where}: 'truth' lacks the scored field '{field}'" for field in absent]
            else:
                lines += _unreachable(case, case.truth, rules)
        if isinstance(question := questions.get(case.id, ""), TemplateFailure):
            lines.append(question_error(task, case, question))
    return lines


def _scoring_errors(task: Task, fields: list[str], path: Path) -> list[str]:
    """Scored fields that the answer lacks, and names that stand twice."""
    properties = task.answer_schema.get("properties", {})
    lines = [
        f"{path}: 'scoring' names field '{field}' that 'answer_schema' lacks, {nearest(field, properties)}"
        for field in fields
        if field not in properties
    ]
    lines += [f"{path}: 'scoring' names field '{field}' twice" for field in set(fields) if fields.count(field) > 1]
    lines += [f"{path}: 'tools' names '{tool}' twice" for tool in set(task.tools) if task.tools.count(tool) > 1]
    return lines


def _unreachable(case: Case, truth: JsonFields, rules: list[JsonFields]) -> list[str]:
    """Fields in which the truth itself does not score 1."""
    try:
        scores = score_fields(truth, truth, rules)
    except ScorerFailed as error:
        return [f"{case.where}: {error}"]
    return [
        f"{case.where}: 'truth' of '{field}' cannot be compared by its scorer: no answer could score 1"
        for field, score in scores.items()
        if score < 1
    ]
