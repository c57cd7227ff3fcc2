"""An image that serves the embedded endpoint where Ollama's would, made of this machine's own files."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

from ai_dev_tools.benchmark import endpoints

IMAGE = "localhost/ai-dev-tools-embedded:test"
_NEEDED = ("aiohttp", "xllamacpp", "jinja2", "jsonschema", "psutil", "urllib3", "msgspec")
_SITE = "/opt/site"
_WEIGHTS = "/opt/weights.gguf"


def build(engine: str, weights: Path) -> str:
    """Import the image into the engine under a fixed tag and return the tag."""
    command = ["python3", "-m", "ai_dev_tools.benchmark.endpoints.embedded", "--host", "0.0.0.0"]
    entry = [_python(), *command[1:], "--port", "11434", "--model-file", _WEIGHTS, "--num-ctx", "512"]
    changes = [f"ENTRYPOINT {json.dumps(entry)}", f"ENV PYTHONPATH={_SITE}", "ENV HOME=/root"]
    arguments = [part for change in changes for part in ("--change", change)]
    with subprocess.Popen([engine, "import", "--quiet", *arguments, "-", IMAGE], stdin=subprocess.PIPE) as importing:
        assert importing.stdin
        with tarfile.open(fileobj=importing.stdin, mode="w|") as archive:
            _fill(archive, weights)
        importing.stdin.close()
    assert importing.returncode == 0, f"{engine} cannot import the image"
    return IMAGE


def _python() -> str:
    return str(Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}").resolve())


def _fill(archive: tarfile.TarFile, weights: Path) -> None:
    python = Path(_python())
    library = python.parents[1] / "lib" / python.name
    archive.add(weights, _WEIGHTS, recursive=False)
    archive.add(python)
    archive.add(library, filter=_without_packages)
    for package in _closure(_NEEDED):
        distribution = metadata.distribution(package)
        for file in distribution.files or []:
            source = Path(str(distribution.locate_file(file)))
            if ".." not in file.parts and source.is_file() and source.suffix != ".pyc":
                archive.add(source, f"{_SITE}/{file}")
    package = Path(endpoints.__file__).parents[2]
    archive.add(package, f"{_SITE}/{package.name}", filter=_without_packages)
    for shared in _shared_libraries([python, *library.glob("lib-dynload/*.so"), *_extension_modules()]):
        archive.add(shared.resolve(), str(shared))
    folder = tarfile.TarInfo("tmp")
    folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
    archive.addfile(folder)
    users = b"root:x:0:0:root:/root:/bin/sh\n"
    passwd = tarfile.TarInfo("etc/passwd")
    passwd.size = len(users)
    archive.addfile(passwd, io.BytesIO(users))


def _without_packages(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    left_out = ("/site-packages", "/test", "/__pycache__", "/idlelib", "/ensurepip", "/config-", "/tkinter", ".a")
    return None if any(part in entry.name for part in left_out[:-1]) or entry.name.endswith(".a") else entry


def _closure(names: tuple[str, ...]) -> set[str]:
    """The distributions and all that they require here."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found:
            continue
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        todo += [match[0] for text in requires if "extra ==" not in text and (match := re.match(r"[\w.-]+", text))]
    return found


def _extension_modules() -> list[Path]:
    names = _closure(_NEEDED)
    files = [file for name in names for file in metadata.distribution(name).files or [] if file.suffix == ".so"]
    return [Path(str(file.locate())) for file in files]


def _shared_libraries(binaries: list[Path]) -> set[Path]:
    listing = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False).stdout
    found = {Path(path) for path in re.findall(r"(?:=> |^\t)(/\S+) \(0x", listing, flags=re.MULTILINE)}
    return {path for path in found if path.is_file()}
