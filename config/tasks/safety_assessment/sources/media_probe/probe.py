"""Looks into uploaded recordings with ffprobe and cuts samples out of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path


class ProbeError(Exception):
    """The recording cannot be read."""


@dataclass(frozen=True, slots=True)
class Stream:
    kind: str
    codec: str
    seconds: float
    rate: Fraction | None = None


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ProbeError(f"{name} is not installed")
    return found


def probe(upload: Path) -> list[Stream]:
    """Streams of a file; upload may have any name a customer chose."""
    argv = [_tool("ffprobe"), "-v", "error", "-show_streams", "-of", "json", "-i", os.path.abspath(upload)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, check=False)
    if done.returncode != 0:
        raise ProbeError(done.stderr.decode("utf-8", "replace").strip() or "ffprobe failed")
    streams = []
    for item in json.loads(done.stdout).get("streams", []):
        rate = item.get("avg_frame_rate", "0/0")
        streams.append(
            Stream(
                kind=item["codec_type"],
                codec=item.get("codec_name", "unknown"),
                seconds=float(item.get("duration", 0.0)),
                rate=None if rate.endswith("/0") else Fraction(rate),
            )
        )
    return streams


def sample(upload: Path, start: float, seconds: float = 10.0) -> bytes:
    """A short MP3 out of the middle of a recording."""
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        target = Path(folder) / "sample.mp3"
        argv = [_tool("ffmpeg"), "-nostdin", "-v", "error", "-ss", f"{float(start):.3f}", "-t", f"{float(seconds):.3f}"]
        argv += ["-i", os.path.abspath(upload), "-vn", "-f", "mp3", str(target)]
        try:
            subprocess.run(argv, check=True, capture_output=True, timeout=120)
        except subprocess.SubprocessError as error:
            raise ProbeError("the sample could not be cut") from error
        return target.read_bytes()


def describe(upload: Path, label: str) -> str:
    lines = [f"{label}: {os.path.getsize(upload)} bytes"]
    for stream in probe(upload):
        rate = f", {float(stream.rate):.2f} fps" if stream.rate else ""
        lines.append(f"  {stream.kind}: {stream.codec}, {stream.seconds:.1f} s{rate}")
    return "\n".join(lines)
