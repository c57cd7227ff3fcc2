"""Builds documentation and packages of the monorepo."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class BuildFailed(SystemExit):
    pass


def git(*words: str, cwd: Path = ROOT) -> str:
    return subprocess.check_output(["git", *words], cwd=cwd, text=True).strip()


def revision() -> str:
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return answer.stdout.strip()


def is_clean() -> bool:
    return subprocess.run(["git", "diff", "--quiet"], cwd=ROOT).returncode == 0


def has_tool(name: str) -> bool:
    if shutil.which(name) is None:
        return False
    probe = subprocess.run([name, "--version"], **QUIET)
    return probe.returncode == 0


def build_docs(folder: Path, strict: bool = True) -> Path:
    target = folder / "_build"
    argv = [sys.executable, "-m", "sphinx", "-b", "html", str(folder), str(target)]
    if strict:
        argv.append("-W")
    subprocess.run(argv, cwd=ROOT, env={**os.environ, "REVISION": revision()})
    return target


class Package:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dist = folder / "dist"

    def clean(self) -> None:
        shutil.rmtree(self.dist, ignore_errors=True)

    def build(self) -> list[Path]:
        self.clean()
        subprocess.run([sys.executable, "-m", "build", "--wheel", str(self.folder)], check=True, **QUIET)
        return sorted(self.dist.glob("*.whl"))

    def verify(self) -> None:
        wheels = [str(path) for path in self.dist.glob("*.whl")]
        subprocess.run([sys.executable, "-m", "twine", "check", *wheels])

    def test(self) -> None:
        done = subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=self.folder)
        if done.returncode not in (0, 5):
            raise BuildFailed(f"{self.folder.name}: tests failed")


def sign(path: Path, key: str) -> Path:
    signature = path.with_suffix(path.suffix + ".asc")
    subprocess.run(
        ["gpg", "--batch", "--yes", "--local-user", key, "--armor", "--detach-sign", str(path)],
        stdin=subprocess.DEVNULL,
    )
    return signature


def upload(paths: list[Path], host: str) -> None:
    subprocess.check_call(["rsync", "--archive", *map(str, paths), f"{host}:/srv/packages/"])


def open_in_browser(path: Path) -> None:
    subprocess.Popen(["xdg-open", str(path / "index.html")], **QUIET)


def main(names: list[str]) -> None:
    if not is_clean():
        raise BuildFailed("commit first")
    made: list[Path] = []
    for name in names:
        package = Package(ROOT / "packages" / name)
        package.test()
        made += package.build()
        package.verify()
    if has_tool("rsync"):
        upload(made, os.environ["PACKAGE_HOST"])
    open_in_browser(build_docs(ROOT / "docs"))
