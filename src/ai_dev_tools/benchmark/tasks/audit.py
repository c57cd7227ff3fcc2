"""Recompute the truth of the shipped tasks, independently of the tools: `make tasks-audit`."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.tasks.corpora import Corpus, CorpusUnavailable, find_corpus, load_corpora
from ai_dev_tools.benchmark.tasks.corpus_files import fetch_corpus
from ai_dev_tools.benchmark.tasks.loading import find_tasks, load_task


def audit_task(folder: Path, corpora: Path) -> list[str]:
    """Differences between a task's truth and what its `audit.py` computes, one line each.

    Args:
        corpora: folder of the fetched corpora.

    Raises:
        ConfigurationError: the task has no audit.
    """
    path = folder / "audit.py"
    name = f"ai_dev_tools_audit_{folder.name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.exists() or spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} does not exist", remedy="Give the task an `audit(task_dir)` function")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look up their module there
    try:
        spec.loader.exec_module(module)
        if not callable(getattr(module, "audit", None)):
            raise ConfigurationError(f"{path} has no function `audit(task_dir)`")
        wanted = len(inspect.signature(module.audit).parameters)
        return list(module.audit(folder, corpora) if wanted == 2 else module.audit(folder))
    finally:
        del sys.modules[name]


def main() -> int:
    """Exit code 0: no truth differs; 1: at least one does; 2: nothing could be audited.

    Skipped tasks are named.
    """
    try:
        corpora, known = Path(paths.CORPORA_FOLDER), load_corpora(Path(paths.CORPORA))
        folders = find_tasks([Path(paths.TASKS)])
        found = {
            name: lines for name, folder in folders.items() if (lines := _audited(folder, corpora, known)) is not None
        }
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not found:
        print("error: nothing could be audited", file=sys.stderr)
        return 2
    if left_out := sorted(folders.keys() - found.keys()):
        print(f"not audited: {', '.join(left_out)}", file=sys.stderr)
    return int(any(found.values()))


def _audited(folder: Path, corpora: Path, known: dict[str, Corpus]) -> list[str] | None:
    """Print and return a task's differences; None if its corpora are not available."""
    task = load_task(folder)
    try:
        for name in task.corpora:
            fetch_corpus(find_corpus(known, name, paths.CORPORA), corpora / name)
    except CorpusUnavailable as error:
        print(f"{task.id}: not audited, {error}", file=sys.stderr)
        return None
    lines = audit_task(folder, corpora)
    print(f"{task.id}: {plural(len(task.cases), 'case')}, {plural(len(lines), 'difference')}")
    for line in lines:
        print(f"  {line}")
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
