"""The archive is a Provenance Run Crate that claims what was recorded and nothing else."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rocrate.rocrate import ROCrate

from support.archived import record_run

PROFILES = (
    "ro-crate-1.1", "workflow-ro-crate-1.0", "process-run-crate-0.5", "workflow-run-crate-0.5", "provenance-run-crate-0.5",
)  # fmt: skip
UNREACHABLE = "process-run-crate-0.5_5.1"
"""The recommendation that a program's id be an absolute URI, which the main workflow, a file in the crate, cannot have."""
CONTEXTS = "rocrate==0.13.0"
"""The release that ships the JSON-LD context of RO-Crate 1.1, the version of the Workflow Run profiles 0.5."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        author = {"author": "A. N. Other", "orcid": "0000-0002-1825-0097", "affiliation": "Somewhere",
                  "affiliation_url": "https://example.org"}  # fmt: skip
        yield record_run(tmp_path_factory.mktemp("run") / "p", patch, archive=author).archive()


@pytest.fixture(scope="module")
def graph(archive: Path) -> dict[str, dict[str, Any]]:
    with zipfile.ZipFile(archive) as opened:
        content = json.loads(opened.read("ro-crate-metadata.json"))
    return {entity["@id"]: entity for entity in content["@graph"]}


def test_the_library_reads_it_back(archive: Path) -> None:
    crate = ROCrate(archive)
    assert crate.mainEntity.id == "Snakefile"
    assert crate.root_dataset["author"]["name"] == "A. N. Other"
    assert {profile.id.rsplit("/", 2)[-2] for profile in crate.root_dataset["conformsTo"]} == {
        "process", "workflow", "provenance", "workflow-ro-crate",
    }  # fmt: skip


def test_every_file_named_is_there_with_its_checksum(archive: Path, graph: dict[str, dict[str, Any]]) -> None:
    import hashlib

    files = {name: e for name, e in graph.items() if "sha256" in e}
    assert {"recorded/tables/verdicts.csv", "recorded/report/report.json", "config/config.yaml"} <= files.keys()
    with zipfile.ZipFile(archive) as opened:
        for name, entity in files.items():
            content = opened.read(name)
            assert (entity["sha256"], entity["contentSize"]) == (hashlib.sha256(content).hexdigest(), str(len(content)))


def test_times_are_those_of_the_samples(graph: dict[str, dict[str, Any]]) -> None:
    assert graph["#ask-0"]["startTime"] == "2026-01-02T08:00:00.000+00:00"
    assert graph["#run"]["endTime"] == "2026-01-03T09:00:00.000+00:00"
    assert "startTime" not in graph["#render"], "when rendering began is not recorded"


def test_every_program_but_the_workflow_has_an_absolute_uri(graph: dict[str, dict[str, Any]]) -> None:
    programs = [name for name, entity in graph.items() if entity["@type"] == "SoftwareApplication"]
    assert programs
    assert all(name.startswith("https://") for name in programs)


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_the_validator_finds_nothing_at_recommended_level(
    profile: str, archive: Path, cache: Path, validator: Path
) -> None:
    done = subprocess.run(
        [str(validator), "validate", str(archive), "--offline", "--cache-path", str(cache), "--no-auto-profile", "-p", profile,
         "-l", "recommended", "--skip-checks", UNREACHABLE, "--verbose", "--no-paging"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_the_validator_would_find_something(archive: Path, cache: Path, validator: Path, tmp_path: Path) -> None:
    """The check checks: without its licence the crate fails."""
    shutil.copy(archive, tmp_path / "a.zip")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        for info in source.infolist():
            content = source.read(info)
            if info.filename == "ro-crate-metadata.json":
                content = content.replace(b'"license"', b'"licence"')
            target.writestr(info, content)
    done = subprocess.run(
        [str(validator), "validate", str(tmp_path / "a.zip"), "--offline", "--cache-path", str(cache), "-p", "ro-crate-1.1",
         "--verbose", "--no-paging"], capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "license" in done.stdout


@pytest.fixture(scope="module")
def validator() -> Path:
    """roc-validator's program: named in ROC_VALIDATOR, in this environment, or on PATH."""
    beside = Path(sys.executable).with_name("rocrate-validator")
    found = os.environ.get("ROC_VALIDATOR") or (str(beside) if beside.exists() else shutil.which("rocrate-validator"))
    if not found:
        pytest.skip("no rocrate-validator: pip install roc-validator, or name it in ROC_VALIDATOR")
    return Path(found)


@pytest.fixture(scope="module")
def cache(validator: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An HTTP cache with the two JSON-LD contexts that the crate names, so that validation needs no network."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "crate.json").write_bytes(_crate_context(folder))
    (folder / "terms.json").write_text(json.dumps({"@context": _terms()}))
    python = re.sub(r"^#!", "", validator.read_text(errors="replace").splitlines()[0]).strip()
    subprocess.run([python, "-c", _FILL, str(folder / "cache"), str(folder)], check=True, timeout=60)
    return folder / "cache"


def _crate_context(folder: Path) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", str(folder), CONTEXTS],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"{CONTEXTS} cannot be had: {done.stderr.strip().splitlines()[-1]}")
    wheel = next(folder.glob("rocrate-*.whl"))
    with zipfile.ZipFile(io.BytesIO(wheel.read_bytes())) as opened:
        return opened.read("rocrate/data/ro-crate.jsonld")


def _terms() -> dict[str, str]:
    base = "https://w3id.org/ro/terms/workflow-run#"
    names = (
        "ParameterConnection",
        "connection",
        "sourceParameter",
        "targetParameter",
        "md5",
        "sha1",
        "sha256",
        "sha512",
    )
    return {name: base + name for name in names}


_FILL = """
import io, sys
from pathlib import Path
import requests
from requests_cache import CachedSession
from urllib3 import HTTPResponse

folder = Path(sys.argv[2])
documents = {
    "https://w3id.org/ro/crate/1.1/context": folder / "crate.json",
    "https://w3id.org/ro/terms/workflow-run/context": folder / "terms.json",
}

class Files(requests.adapters.HTTPAdapter):
    def send(self, request, **_):
        body = io.BytesIO(documents[request.url].read_bytes())
        headers = {"Content-Type": "application/ld+json"}
        return self.build_response(request, HTTPResponse(body, headers, 200, preload_content=False))

session = CachedSession(sys.argv[1], backend="sqlite", expire_after=-1)
session.mount("https://", Files())
for address in documents:
    session.get(address).raise_for_status()
"""
