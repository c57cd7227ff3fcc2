"""The list of corpora: every entry is pinned, licensed and safe, or one line says what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.errors import ConfigurationError, ConfigurationErrors
from ai_dev_tools.benchmark.tasks.corpora import Corpus, find_corpus, is_safe_path, load_corpora
from support.corpora import corpus
from support.repository import ROOT

CONFIG = ROOT / "config" / "corpora.yaml"


def test_the_shipped_corpora_are_pinned_and_permissively_licensed() -> None:
    shipped = load_corpora(CONFIG)
    assert len(shipped) >= 13
    assert {c.license for c in shipped.values()} <= {"MIT", "BSD-3-Clause", "Apache-2.0", "MIT OR Apache-2.0"}
    assert all(c.version in c.filename for c in shipped.values())


BAD_ENTRIES: dict[str, tuple[Callable[[dict[str, object]], object], str]] = {
    "unknown key": (lambda c: c | {"url": "https://example.org"}, "url"),
    "short checksum": (lambda c: c | {"sha256": "abc"}, "sha256"),
    "unpinned sdist": (lambda c: {k: v for k, v in c.items() if k != "sha256"}, "needs the sha256"),
    "unsafe member": (lambda c: c | {"members": {"../x": "0" * 64}}, "without `..`"),
    "no members": (lambda c: c | {"members": {}}, "members"),
    "absent members": (lambda c: c | {"members": None}, "list the members with their sha256, or say `all`"),
    "unknown word": (lambda c: c | {"members": "every"}, "list the members with their sha256, or say `all`"),
    "all of an unpinned wheel": (
        lambda c: {k: v for k, v in c.items() if k != "sha256"} | {"kind": "wheel", "members": "all"},
        "needs the sha256 of the archive",
    ),
    "invented licence": (lambda c: c | {"license": "Free For All"}, "SPDX"),
    "not a mapping": (lambda c: ["demo"], "expected a mapping of settings, found list"),
}


@pytest.mark.parametrize(("change", "reason"), BAD_ENTRIES.values(), ids=BAD_ENTRIES.keys())
def test_a_wrong_entry_is_one_line_naming_the_file(
    change: Callable[[dict[str, object]], object], reason: str, tmp_path: Path
) -> None:
    entry = corpus().model_dump(exclude={"id"})
    path = tmp_path / "corpora.yaml"
    path.write_text(yaml.safe_dump({"demo": change(entry)}))
    with pytest.raises(ConfigurationError) as caught:
        load_corpora(path)
    assert reason in str(caught.value)
    assert str(caught.value).startswith(f"{path}: demo: ")
    assert "\n" not in str(caught.value)


def test_all_mistakes_are_reported_at_once_each_with_its_corpus(tmp_path: Path) -> None:
    entry = corpus().model_dump(exclude={"id"})
    path = tmp_path / "corpora.yaml"
    path.write_text(yaml.safe_dump({"one": entry | {"sha256": "abc"}, "two": entry, "three-all": entry, "four": 4}))
    with pytest.raises(ConfigurationErrors) as caught:
        load_corpora(path)
    places = [line.removeprefix(f"{path}: ").partition(":")[0] for line in caught.value.lines]
    assert sorted(places) == ["four", "one", "three-all"]


@pytest.mark.parametrize("content", ["[demo]", "demo: {", "\x00", "a: &a [*a]", None])
def test_a_file_that_is_no_list_of_corpora_is_one_line(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "corpora.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"corpora\.yaml") as caught:
        load_corpora(path)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="a./\\:\0", max_size=12))
def test_a_path_counts_as_safe_only_if_it_stays_below_its_folder(name: str) -> None:
    if is_safe_path(name):
        below = Path("/top").joinpath(name)
        assert below != Path("/top")
        assert ".." not in below.parts
        assert below.is_relative_to("/top")
        assert not set(name) & set("\\:\0")


def test_a_whole_corpus_goes_through_the_parameters_of_a_job() -> None:
    whole_of_it = corpus().whole
    assert Corpus(**whole_of_it.model_dump(mode="json")) == whole_of_it


def test_an_id_may_not_look_like_all_of_another(tmp_path: Path) -> None:
    (tmp_path / "corpora.yaml").write_text("demo-all: {}\n")
    with pytest.raises(ConfigurationError, match="an id has no '-'"):
        load_corpora(tmp_path / "corpora.yaml")


def test_an_unknown_corpus_is_one_line_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"corpora.yaml has no corpus 'dmo', did you mean 'demo'\?"):
        find_corpus({"demo": corpus()}, "dmo-all", "corpora.yaml")
    remote = {"demo": corpus(kind="wheel", sha256=None)}
    with pytest.raises(ConfigurationError, match="its archive has no sha256"):
        find_corpus(remote, "demo-all", "corpora.yaml")
