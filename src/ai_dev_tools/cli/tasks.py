"""What commands list, and better words for wrong calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_dev_tools.benchmark._util.credentials import problem_of, problem_of_variable, without_passwords
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.cli.console import table

if TYPE_CHECKING:
    import typer

    from ai_dev_tools.benchmark.config.sources import Merged
    from ai_dev_tools.benchmark.planning.experiment import Experiment


def task_rows(root: Path) -> list[dict[str, Any]]:
    """One row per task. Reads only what is shown: a task that is broken elsewhere is found by `validate`.

    `complete` is false where a list of cases is not fetched yet, whose cases are then not counted.
    """
    import yaml

    from ai_dev_tools.benchmark.config.models import as_list
    from ai_dev_tools.benchmark.config.sources import load_settings
    from ai_dev_tools.benchmark.records.names import clean_files

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    extra = load_settings(root, {}).settings.get("task_folders") or []
    folders = [root / "config/tasks", root / "config/tasks_local", *(root / folder for folder in as_list(extra))]
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted(path for folder in folders for path in clean_files(folder, "*/task.yaml")):
        try:
            task = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
            listed, complete = _listed_sizes(path, task, root)
            sizes = [_size(case) for case in clean_files(path.parent, "cases/*.yaml")] + listed
            rows[path.parent.name] = {
                "id": path.parent.name,
                "name": task["name"],
                "workflow_type": task["workflow_type"],
                "cases": len(sizes),
                "S": sizes.count("S"),
                "L": sizes.count("L"),
                "complete": complete,
                "tools": ", ".join(task.get("tools") or ()),
                "description": task.get("description", ""),
                "folder": str(path.parent),
            }
        except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"{path} is no task ({type(error).__name__}: {error})",
                remedy="See what is wrong: ai-dev-bench validate",
            ) from None
    return [rows[name] for name in sorted(rows)]


def task_table(rows: list[dict[str, Any]]) -> str:
    """The tasks for people."""
    shown = [row | {"cases": f"{row['cases']}{'' if row['complete'] else '+'}"} for row in rows]
    text = table(shown, ["id", "workflow_type", "cases", "S", "L", "tools", "name"])
    return text if all(row["complete"] for row in rows) else f"{text}\n+ and those of a list that a run will fetch"


def _size(case: Path) -> str:
    for line in case.read_text(encoding="utf-8").splitlines():
        if line.startswith("size:"):
            return line.removeprefix("size:").split("#")[0].strip(" \"'")
    return "?"


def _listed_sizes(path: Path, task: dict[str, Any], root: Path) -> tuple[list[str], bool]:
    """Sizes of the cases that a task has from lists, and whether all lists are at hand; fetches nothing."""
    folder, declared = path.parent, task.get("cases_from")
    if not declared and not any((folder / name).is_file() for name in ("cases.jsonl", "cases.csv")):
        return [], True  # importing what reads lists takes longer than all the rest
    from ai_dev_tools.benchmark.config.parsing import parse
    from ai_dev_tools.benchmark.records.paths import CASE_LIST
    from ai_dev_tools.benchmark.tasks.case_lists import CaseList, list_files, listed_cases

    pinned = parse(CaseList, declared, f"{path}: cases_from") if declared else None
    remote = root / CASE_LIST.format(sha256=pinned.sha256, format=pinned.kind) if pinned and pinned.url else None
    files = list_files(folder, None if remote else pinned, str(path))
    if pinned and remote and remote.is_file():
        files.append((remote, pinned.kind))
    fields = (task.get("answer_schema") or {}).get("properties") or {}
    rows = [row for file, kind in files for _, row in listed_cases(file, kind, fields)]
    return [str(row.get("size", "?")) for row in rows], remote is None or remote.is_file()


def setting_rows(merged: Merged) -> list[dict[str, Any]]:
    """Every setting with its value and where it came from; those of defaults too."""
    from ai_dev_tools.benchmark.config.models import Config
    from ai_dev_tools.benchmark.config.sources import DEFAULT, leaves

    values = leaves(merged.settings)
    rows = [
        {"setting": key, "value": _shown(key, values[key]), "source": source} for key, source in merged.sources.items()
    ]
    given = {key.partition(".")[0] for key in merged.sources}
    for name, info in Config.model_fields.items():
        if name not in given:
            default = info.get_default(call_default_factory=True)
            value = default.model_dump(mode="json") if hasattr(default, "model_dump") else default
            rows.append({"setting": name, "value": _short(value), "source": DEFAULT})
    return sorted(rows, key=lambda row: str(row["setting"]))


def _shown(key: str, value: Any) -> str:
    from ai_dev_tools.benchmark.execution.provenance import without_secrets

    parts = key.split(".")
    if "environment" in parts[:-1]:
        value = without_secrets({parts[-1]: value})[parts[-1]]
    elif parts[-1] in ("endpoint", "host", "base_url", "replicas"):
        several = value if isinstance(value, list | tuple) else [value]
        value = "(hidden)" if any(map(problem_of, several)) else value
    elif parts[-1] in ("key_env", "token_env") and problem_of_variable(value):
        value = "(hidden)"
    return without_passwords(_short(value))


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def plan_of(experiment: Experiment, root: Path, effect: float | None = None) -> tuple[dict[str, Any], str]:
    """What a run sets out to show, what it can find, and what it takes: for programs, and for people."""
    from ai_dev_tools.benchmark.execution.progress import duration
    from ai_dev_tools.benchmark.planning.disclosure import destinations
    from ai_dev_tools.benchmark.planning.estimate import estimate
    from ai_dev_tools.benchmark.planning.sizing import size_up, sizing_lines
    from ai_dev_tools.benchmark.prompts.sizes import misfits
    from ai_dev_tools.benchmark.records.plan import plan_hash, read_plans
    from ai_dev_tools.benchmark.workflow.same_model import changed_models

    profile = experiment.config.profile
    plan = experiment.plan(profile)
    guess = estimate(experiment, [profile], root)
    entries = read_plans(root / "results" / profile / "plans.jsonl")
    declared = [entry["plan"] for entry in entries]
    digest = plan_hash(plan)
    looks = len(declared) + (digest not in declared)
    content = {"plan": digest, "declared": digest in declared, "looks": looks, **plan, "estimate": vars(guess)}
    sizing = size_up(experiment, root, effect, declared.index(digest) + 1 if digest in declared else looks)
    content["earlier"] = _earlier(entries, digest, plan)
    content["changed_models"] = [found for _, found in changed_models(experiment, profile, root)]
    content["sizing"] = sizing.content() if sizing else None
    seconds = "unknown, nothing was measured here yet" if guess.seconds is None else f"about {duration(guess.seconds)}"
    lines = [
        f"Plan {digest} ({'declared' if digest in declared else 'not declared yet'}; plan {looks} of this profile)",
        *(f"Note: {found}" for found in content["changed_models"]),
        *(f"This plan {said}" for said in content["earlier"]),
        f"Profile {profile}: {', '.join(plan['models'])}",
        f"Arms: {', '.join(plan['approaches'])}; {plan['samples']} samples each",
        *(
            f"Claim {c['id']}: '{c['approach']}' against '{c['reference']}', margin {c['margin_ratio']:g}"
            for c in plan["claims"]
        ),
        *(f"Task {task}: {', '.join(cases[: plan['samples']])}" for task, cases in plan["tasks"].items()),
        f"Requests: {guess.requests}, of which {guess.missing} are to be asked; time {seconds}",
    ]
    sent = destinations(experiment, profile)
    content["sent_to"] = [vars(one) for one in sent]
    lines += [f"Where your code goes: {one}" for one in sent]
    too_long = misfits(experiment, root)
    content["context"] = [vars(misfit) for misfit in too_long]
    lines += [f"Context: {misfit}" for misfit in too_long]
    if sizing:
        lines += sizing_lines(sizing)
    else:
        lines.append("No claim: a claim needs the arm 'tools' (or tools-NAME) and the reference arm")
    return content, "\n".join(lines)


def _earlier(ledger: Sequence[Mapping[str, Any]], digest: str, plan: Mapping[str, Any]) -> list[str]:
    """For each plan of the ledger before this one, whether its samples count here, and what this one adds or drops."""
    from ai_dev_tools.benchmark.analysis.claims import parse_plans
    from ai_dev_tools.benchmark.analysis.continuity import compared_with

    before = list(takewhile(lambda entry: entry["plan"] != digest, ledger))
    *earlier, this = parse_plans([*before, {"plan": digest, **plan}])
    return [compared_with(other, this) for other in earlier]


def undeclared(experiment: Experiment, root: Path) -> str | None:
    """Why these settings are those of no run that was made, and what the last one was asked with; None if they are."""
    from ai_dev_tools.benchmark.records import paths
    from ai_dev_tools.benchmark.records.plan import plan_hash, read_plans, restates

    profile = experiment.config.profile
    plan = experiment.plan(profile)
    declared = read_plans(root / paths.PLANS.format(profile=experiment.run.removesuffix(paths.REPLAY)))
    if any(plan_hash(plan) == entry["plan"] or restates(plan, entry) for entry in declared):
        return None
    if not declared:
        return f"profile '{profile}' has no run yet: ai-dev-bench run --profile {profile}"
    last = declared[-1]
    names = ("tasks", "samples", "approaches", "models")
    said = {key: [str(last[key])] if key == "samples" else list(last[key]) for key in names if last[key] != plan[key]}
    options = "".join(f" --{key} {' '.join(values)}" for key, values in said.items())
    return (
        f"no run of profile '{profile}' was asked with these settings; name those of the run, for example of the last: "
        f"ai-dev-bench report --profile {profile}{options or ' (and its --config or --configfile)'}"
    )


def text_or_file(value: str) -> str:
    """The text itself, or with `@FILE` what the file says."""
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot read {value[1:]}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{value[1:]} is not UTF-8 text ({error})") from None


def json_table(text: str | None, option: str) -> dict[str, Any] | None:
    """A JSON object given on the command line."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f'{option}: not JSON ({error}), expected for example \'{{"risk_level": "HIGH"}}\''
        ) from None
    if not isinstance(value, dict) or not value:
        raise ConfigurationError(f"{option}: expected a JSON object with a field or more, found {text[:60]}")
    return value


def better_call(error: Any, app: typer.Typer, words: list[str]) -> str:
    """What was wrong with a call, and the nearest right one."""
    from ai_dev_tools.benchmark.config.parsing import nearest

    if type(error).__name__ == "NoArgsIsHelpError":
        return "say what to do, for example: ai-dev-bench run --profile embedded (all commands: ai-dev-bench --help)"
    message = " ".join(str(error.format_message()).split())
    context = getattr(error, "ctx", None)
    if "No such command" in message and context is not None:
        wrong = next((word for word in words if not word.startswith("-")), "")
        return f"no command '{wrong}', {nearest(wrong, context.command.list_commands(context))}"
    option = getattr(error, "option_name", None)
    if option and context is not None and "o such option" in message:
        options = [name for parameter in context.command.params for name in parameter.opts if name.startswith("--")]
        hint = f"{nearest(option, options)} (Snakemake's own go after --)"
        return f"no option '{option}' of '{context.command_path}', {hint}"
    usage = f" (see {context.command_path} --help)" if context is not None else ""
    return f"{message.rstrip('.')}{usage}" if message else ""
