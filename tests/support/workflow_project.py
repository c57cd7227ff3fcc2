"""A copy of the workflow in a folder of its own, run as a user would: for end-to-end tests."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from support.repository import ROOT


@dataclass
class Project:
    """A user's clone."""

    folder: Path
    printed: str = ""
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @classmethod
    def create(cls, folder: Path, weights: Path | None = None) -> Project:
        for name in ("Snakefile", "workflow", "notebooks", "profiles", "config", "envs"):
            source = ROOT / name
            shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
        if weights:
            (folder / "resources" / "models").mkdir(parents=True)
            (folder / "resources" / "models" / weights.name).symlink_to(weights)
        return cls(folder)

    def command(self, *arguments: str, **config: object) -> list[str]:
        settings = [f"{key}={value}" for key, value in config.items()]
        return [sys.executable, "-m", "snakemake", *arguments, *(["--config", *settings] if settings else [])]

    def snakemake(self, *arguments: str, **config: object) -> subprocess.CompletedProcess[str]:
        """Run to the end; stdout and stderr together in `.stdout`."""
        return subprocess.run(
            self.command(*arguments, **config),
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
            check=False,
        )

    def run(self, *arguments: str, **config: object) -> str:
        """Run to the end and expect success; returns what it printed."""
        done = self.snakemake(*arguments, **config)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start(self, *arguments: str, **config: object) -> subprocess.Popen[str]:
        """Start and go on."""
        process = subprocess.Popen(
            self.command(*arguments, **config),
            cwd=self.folder,
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def sample_files(self, profile: str = "embedded") -> dict[str, dict[str, object]]:
        root = self.folder / "results" / profile / "samples"
        return {
            str(path.relative_to(root)): json.loads(path.read_bytes()) for path in sorted(root.rglob("[0-9]*.json"))
        }

    def wait_for_samples(self, count: int, profile: str, timeout_s: float = 300) -> None:
        deadline = time.monotonic() + timeout_s
        root = self.folder / "results" / profile / "samples"
        while sum(1 for _ in root.rglob("[0-9]*.json")) < count:
            assert time.monotonic() < deadline, f"fewer than {count} samples after {timeout_s} s"
            time.sleep(0.05)

    def processes(self, *named: str) -> list[psutil.Process]:
        """Every living process that works in this folder and, where names are given, whose command line has one of them."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() == psutil.STATUS_ZOMBIE or Path(process.cwd()) != self.folder:
                    continue
                command = " ".join(process.cmdline())
                if not named or any(name in command for name in named):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def wait_until_quiet(self, timeout_s: float = 60) -> list[psutil.Process]:
        """Processes still there after a while; none is what a test expects."""
        deadline = time.monotonic() + timeout_s
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def clean_up(self) -> None:
        for process in self.started:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
