"""The files of a case: which they are, and what they say."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.names import clean_files

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.tasks.loading import Case, Task


def source_files(case: Case, base: Path, source: str, where: str) -> list[Path]:
    """The files of a case below its source folder `base / source`, in the order of its globs.

    Raises:
        ConfigurationError: a glob matches nothing, or something lies outside its folder (a symlink, `..`).
    """
    root = base / source
    if not root.resolve().is_relative_to(base):
        raise ConfigurationError(f"{where}: 'source' {source} leads out of {base}")
    if not root.is_dir():
        raise ConfigurationError(f"{where}: 'source' folder {root} does not exist")
    globs = (case.excerpt.file,) if case.excerpt else case.files
    found: dict[Path, None] = {}
    for pattern in globs:
        if pattern.startswith("/") or ".." in Path(pattern).parts:
            raise ConfigurationError(f"{where}: 'files' entry '{pattern}' leads out of the source folder")
        try:
            matches = clean_files(root, pattern)
        except ValueError as error:
            raise ConfigurationError(f"{where}: 'files' entry '{pattern}' is not usable: {error}") from None
        if not matches:
            raise ConfigurationError(f"{where}: 'files' entry '{pattern}' matches no file in {root}")
        found.update(dict.fromkeys(matches))
    real_root = root.resolve()
    real_folders = {folder: folder.resolve() for folder in {path.parent for path in found}}  # fewer than files
    for path in found:
        real = path.resolve() if path.is_symlink() else real_folders[path.parent]
        if not real.is_relative_to(real_root):
            raise ConfigurationError(f"{where}: {path} is a link that leads out of the source folder")
    return list(found)


def case_texts(task: Task, case: Case, corpora: Path) -> dict[str, str]:
    """The texts of the case's files by path relative to their source folder, in display order.

    Args:
        corpora: folder of the fetched corpora.

    Raises:
        ConfigurationError: a file is missing or is not UTF-8 text.
    """
    if case.inline is not None:
        return dict(case.inline)
    if case.source is None:
        return {}
    base = corpora.resolve() if case.corpus else task.folder.resolve() / "sources"
    source = case.corpus or case.source
    if case.corpus and not (base / source).is_dir():
        from ai_dev_tools.benchmark.tasks.corpora import CorpusUnavailable  # takes 0.1 s

        raise CorpusUnavailable(f"corpus '{case.corpus}' is not available")
    texts = {}
    for path in source_files(case, base, source, case.where):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{case.where}: {path} is not readable as UTF-8 text ({error})") from None
        texts[path.relative_to(base / source).as_posix()] = case.excerpt.cut(text) if case.excerpt else text
    return texts


def content_digest(*parts: object) -> str:
    """sha256 over texts and their boundaries."""
    digest = hashlib.sha256()
    for part in parts:
        data = str(part).encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
