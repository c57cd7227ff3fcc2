"""Which files an archive may contain.

Others are refused, since a program might run them or read them as settings.
"""

from __future__ import annotations

import re

from ai_dev_tools.benchmark.archive.layout import CRATE, MANIFEST, README, RUN, SOURCE
from ai_dev_tools.benchmark.archive.limits import ArchiveLimits
from ai_dev_tools.benchmark.records import paths

ROOT_FILES = (
    "LICENSE",
    "CITATION.cff",
    "envs/requirements.lock",
    "envs/environment.yaml",
    "envs/environment.post-deploy.sh",
    "config/corpora.yaml",
    "config/models.yaml",
    "config/schema.json",
)
PROGRAM = ("Snakefile", "workflow/", "profiles/default/", paths.NOTEBOOK, f"{SOURCE}/")
"""The program itself; compared with the installed one before anyone runs it."""
OWN = ("config/plugins/", "config/report/", f"{paths.TOOLS}/")
"""Code of the person who made the run: plugins, notebook and templates, tools under test."""
SHIPPED = f"{SOURCE}/benchmark/shipped/"
"""The workflow's files a second time, in an archive that was made with the package as a wheel installs it."""

_EXACT = frozenset((*ROOT_FILES, "Snakefile", "pyproject.toml", README, RUN, MANIFEST, CRATE, ".zenodo.json",
                    paths.CONFIG, paths.NOTEBOOK, "profiles/default/config.yaml"))  # fmt: skip
_PATTERNS = re.compile(
    r"""workflow/(Snakefile|rules/[^/]+\.smk|scripts/[^/]+\.py|report/[^/]+\.rst)
    |src/ai_dev_tools/.+\.(py|css|js|json|j2|typed|yaml|yml|smk|rst|md|ipynb|lock|sh|txt|cff)
    |src/ai_dev_tools/benchmark/shipped/(Snakefile|workflow/Snakefile|LICENSE)
    |src/ai_dev_tools/benchmark/shipped/config/(tasks|tools)/.+
    |config/plugins/\d+_[^/]+\.py
    |config/report/[^/]+
    |config/(tasks|tools)/.+
    |results/(prompts|contexts)/[^/]+\.jsonl
    |results/logs/[^/]+\.log
    |results/PROFILE/(plans\.jsonl|about\.json)
    |results/PROFILE/blocks/[^/]+/[^/]+\.jsonl
    |results/PROFILE/identity/[^/]+/[^/]+\.json
    |results/PROFILE/logs/.+
    |recorded/(tables|figures)/[^/]+
    |recorded/report/.+
    |resources/corpora/.+
    |resources/models/[^/]+\.gguf
    |(?!(src|workflow|profiles|notebooks|envs|results|recorded|resources|config/plugins)/)([^/]+/)*[^/]+\.(csv|jsonl)
    """,
    re.VERBOSE,
)
"""The last one is a list of cases next to its task."""


def most_bytes(name: str, limits: ArchiveLimits) -> int:
    """The maximum size of a member with this name."""
    if name.startswith(("recorded/figures/", "recorded/report/badges/", "recorded/report/tables/")):
        return limits.figure
    if name.startswith(("results/", "resources/", "recorded/tables/samples.")):
        return limits.unpacked
    if name.endswith((".json", ".yaml")) and not name.startswith("config/tasks/"):
        return limits.whole(name)
    large = name.startswith("recorded/") or name.endswith((".csv", ".jsonl"))
    return limits.document if large else limits.program


def is_known(name: str, profile: str) -> bool:
    """Whether archives of this project can have a member with this name.

    Args:
        profile: of the run, as the manifest has it.
    """
    if name in _EXACT:
        return True
    parts = name.split("/")
    if any(part.startswith(".") or part == "__pycache__" for part in parts) or name.endswith((".pyc", ".pth")):
        return False
    if parts[0] == "results" and len(parts) > 1 and parts[1] == profile:
        name = "/".join(["results", "PROFILE", *parts[2:]])
    return bool(_PATTERNS.fullmatch(name))
