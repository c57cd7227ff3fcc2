"""Parameters of the rules that fetch: weights, corpora, repositories."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.tasks.corpora import Corpus, find_corpus
from ai_dev_tools.benchmark.tasks.receipts import failed_fetches
from ai_dev_tools.benchmark.workflow.known_names import KnownNames, Wildcards, for_job


class Downloads:
    """What is fetched.

    Args:
        corpora: reads `corpora.yaml`.
    """

    def __init__(self, experiment: Experiment, names: KnownNames, corpora: Callable[[], Mapping[str, Corpus]]) -> None:
        self.names = names
        self._experiment, self._corpora = experiment, corpora

    @property
    def weights(self) -> str:
        """A pattern of the files of weights that can be fetched.

        Those of the catalogue, and what does not exist, which then gets its line. A file that is there is the user's.
        """
        known = {model.file for model in self._experiment.catalogue.values()}
        own = [path.name for path in Path(paths.WEIGHTS).parent.glob("*") if path.name not in known]
        return f"(?!({'|'.join(map(re.escape, own))})$)[^/]+" if own else "[^/]+"

    @for_job
    def pinned(self, job: Wildcards) -> dict[str, str]:
        """The catalogue's model behind a file of weights: its tag and checksum."""
        model = next(model for model in self._experiment.catalogue.values() if model.file == job.weights)
        return {"tag": model.tag, "sha256": model.sha256}

    @for_job
    def corpus(self, job: Wildcards) -> JsonFields:
        """A corpus's own entry: nothing else in corpora.yaml fetches it again."""
        return find_corpus(self._corpora(), job.corpus, paths.CORPORA).model_dump(mode="json")

    @for_job
    def round(self, job: Wildcards) -> int:
        """Raised when fetching failed in a way that may pass, so that the next run tries again."""
        return failed_fetches(Path(paths.CORPUS_RECEIPT.format(corpus=job.corpus)))
