"""Queue worker that makes previews of the pictures and documents customers send in."""

import json
import logging
import os
import shutil
import subprocess
from pathlib import Path

log = logging.getLogger("previews")

SIZES = {"small": 160, "medium": 480, "large": 1280}
OUT = Path(os.environ.get("PREVIEW_DIR", "previews"))


class PreviewError(RuntimeError):
    pass


def _run(argv, timeout=60):
    done = subprocess.run(argv, capture_output=True, timeout=timeout)
    if done.returncode:
        raise PreviewError(done.stderr.decode(errors="replace")[-400:])
    return done.stdout


def image_preview(source: Path, size: str) -> Path:
    width = SIZES[size]
    target = OUT / f"{source.stem}-{size}.webp"
    _run(["convert", str(source.resolve()), "-auto-orient", "-resize", f"{width}x>", str(target)])
    return target


def page_count(pdf: Path) -> int:
    text = _run(["pdfinfo", str(pdf.resolve())]).decode()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key == "Pages":
            return int(value)
    return 0


def pdf_preview(source: Path, title: str) -> Path:
    target = OUT / f"{source.stem}.png"
    command = f"pdftoppm -singlefile -r 60 -png {source.resolve()} | pngcrush -text b Title '{title}' - {target}"
    status = os.system(command)
    if status != 0:
        raise PreviewError(f"no preview of {source.name}: exit status {status}")
    return target


def handle(message: bytes) -> dict:
    """One queue message: {"path": ..., "kind": "image" | "pdf", "title": ..., "size": ...}.

    The intake stores files under names of its own making; the title is what the customer typed.
    """
    job = json.loads(message)
    source = Path(os.environ["INTAKE_DIR"]) / f"{int(job['upload_id']):012d}"
    if job["kind"] == "pdf":
        preview = pdf_preview(source, job.get("title", ""))
        pages = page_count(source)
    else:
        size = job.get("size", "small")
        if size not in SIZES:
            raise PreviewError(f"unknown size {size!r}")
        preview = image_preview(source, size)
        pages = 1
    log.info("preview of upload %s has %d page(s)", job["upload_id"], pages)
    return {"preview": preview.name, "pages": pages}


def free_space() -> int:
    return shutil.disk_usage(OUT).free
