"""Recompute every mechanically checkable truth of the shipped tasks, independently of the tools: `make tasks-audit`."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path

from ai_dev_tools.benchmark import paths
from ai_dev_tools.benchmark.corpora import CorpusUnavailable, fetch_corpus, load_corpora
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.tasks import find_tasks, load_task


def audit_task(folder: Path, corpora: Path) -> list[str]:
    """Differences between a task's truth and what its `audit.py` computes, one line each.

    Args:
        corpora: folder of the fetched corpora.

    Raises:
        ConfigurationError: the task has no audit.
    """
    path = folder / "audit.py"
    spec = importlib.util.spec_from_file_location(f"audit_{folder.name}", path)
    if not path.exists() or spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} does not exist", remedy="Give the task an `audit(task_dir)` function")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    wanted = len(inspect.signature(module.audit).parameters)
    return list(module.audit(folder, corpora) if wanted == 2 else module.audit(folder))


def main() -> int:
    """Exit code 1 if any truth differs; a task whose corpora cannot be had is named and left out."""
    corpora, known, differences = Path(paths.CORPORA_FOLDER), load_corpora(Path(paths.CORPORA)), 0
    for name, folder in find_tasks([Path(paths.TASKS)]).items():
        task = load_task(folder)
        try:
            for corpus in task.corpora:
                fetch_corpus(known[corpus], corpora / corpus)
        except CorpusUnavailable as error:
            print(f"{name}: not audited, {error}", file=sys.stderr)
            continue
        lines = audit_task(folder, corpora)
        differences += len(lines)
        print(f"{name}: {len(task.cases)} cases, {len(lines)} differences")
        for line in lines:
            print(f"  {line}")
    return int(differences > 0)


if __name__ == "__main__":
    raise SystemExit(main())
