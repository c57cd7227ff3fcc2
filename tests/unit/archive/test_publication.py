"""What goes with an archive when it is published: metadata that Zenodo takes, and a signature of an existing tool."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from support.archived import record_run
from support.documents import blocks
from support.repository import ROOT

AUTHOR = {
    "author": "Other, A. N.",
    "orcid": "0000-0002-1825-0097",
    "affiliation": "Somewhere",
    "affiliation_url": "https://example.org",
    "license": "CC-BY-4.0",
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        return record_run(tmp_path_factory.mktemp("run") / "p", patch, archive=AUTHOR).archive()


def test_the_metadata_are_what_a_deposit_on_zenodo_needs(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        metadata = json.loads(opened.read(".zenodo.json"))
        citation = yaml.safe_load(opened.read("CITATION.cff"))
        facts = json.loads(opened.read("run.json"))
    assert metadata["upload_type"] == "dataset"
    assert metadata["creators"] == [
        {"name": "Other, A. N.", "orcid": "0000-0002-1825-0097", "affiliation": "Somewhere"}
    ]
    assert (metadata["license"], metadata["access_right"]) == ("cc-by-4.0", "open")
    assert metadata["publication_date"] == facts["ended_at"][:10] == "2026-01-02"
    assert metadata["title"] == f"{citation['title']}: light run on fake:1b"
    assert facts["plan"] in metadata["description"]


@pytest.mark.slow
def test_the_signature_of_the_docs_holds_for_the_file_and_for_no_other(archive: Path, tmp_path: Path) -> None:
    """The very block of docs/archives.md."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("no ssh-keygen: install OpenSSH's client")
    [block] = [block for block in blocks(ROOT / "docs" / "archives.md") if "ssh-keygen -Y sign" in block.text]
    signed = shutil.copy(archive, tmp_path / "run.crate.zip")
    done = subprocess.run(["bash", "-euc", block.text], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'Good "ai-dev-bench" signature for you@example.org' in done.stdout
    with open(signed, "ab") as file:
        file.write(b"more")
    check = block.text.strip().splitlines()[-1]
    assert "-Y verify" in check
    assert subprocess.run(["bash", "-c", check], cwd=tmp_path, capture_output=True, check=False).returncode != 0
