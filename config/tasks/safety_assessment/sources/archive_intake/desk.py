"""The desk of the intake: a small web interface for contributors and a nightly job."""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import shutil
import time
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from flask import Blueprint, abort, current_app, jsonify, redirect, request, session, url_for

from .catalogue import connect, find, letter, overview, record
from .intake import Delivery, Rejected, take_in

log = logging.getLogger(__name__)
bp = Blueprint("desk", __name__)

MAX_UPLOAD = 500_000_000
PAGES = {"overview": "desk.show_overview", "upload": "desk.upload_form"}


def ticket(number: int) -> str:
    """A reference that contributors quote in letters: number and tag."""
    key = os.environ["INTAKE_KEY"].encode()
    return f"{number}-{hmac.new(key, str(number).encode(), sha256).hexdigest()[:24]}"


def number_of(reference: str) -> int:
    number, _, _ = reference.partition("-")
    if not number.isdecimal() or not hmac.compare_digest(ticket(int(number)).encode(), reference.encode()):
        abort(404)
    return int(number)


def contributor() -> str:
    name = session.get("contributor")
    if name is None:
        abort(401)
    return str(name)


@bp.get("/go/<page>")
def go(page):
    if page not in PAGES:
        abort(404)
    return redirect(url_for(PAGES[page]))


@bp.get("/upload")
def upload_form():
    contributor()
    return (
        "<!doctype html><title>Delivery</title><form method=post enctype=multipart/form-data>"
        "<input type=file name=archive><button>deliver</button></form>"
    )


@bp.post("/upload")
def upload():
    name = contributor()
    item = request.files.get("archive")
    if item is None or (request.content_length or 0) > MAX_UPLOAD:
        abort(400)
    quarantine = Path(current_app.config["QUARANTINE"])
    delivery = Delivery(number=secrets.randbits(48), contributor=name)
    with NamedTemporaryFile(dir=quarantine, prefix="upload-") as held:
        shutil.copyfileobj(item.stream, held)
        held.flush()
        try:
            take_in(Path(held.name), delivery, quarantine)
        except Rejected as error:
            return jsonify(error=str(error)), 422
    db = connect(Path(current_app.config["CATALOGUE"]))
    record(db, delivery, quarantine)
    return jsonify(reference=ticket(delivery.number), text=letter(delivery, ticket(delivery.number))), 201


@bp.get("/deliveries/<reference>")
def delivered(reference):
    """Whoever holds the reference may see what came with it."""
    number = number_of(reference)
    db = connect(Path(current_app.config["CATALOGUE"]))
    rows = db.execute("SELECT name, kind FROM object WHERE delivery = ? ORDER BY name", (number,)).fetchall()
    return jsonify([{"name": name, "kind": kind} for name, kind in rows])


@bp.get("/objects")
def search():
    contributor()
    db = connect(Path(current_app.config["CATALOGUE"]))
    marks, kinds = request.args.getlist("mark"), request.args.getlist("kind")
    return jsonify([{"mark": mark, "name": name} for mark, name in find(db, marks[:50], kinds[:50])])


@bp.get("/overview")
def show_overview():
    contributor()
    return overview(connect(Path(current_app.config["CATALOGUE"])))


def sweep(quarantine: Path, days: float = 2.0) -> int:
    """Removes what interrupted deliveries left behind."""
    limit = time.time() - days * 86400
    removed = 0
    for path in quarantine.glob("intake-*"):
        if path.is_dir() and not path.is_symlink() and path.stat().st_mtime < limit:
            shutil.rmtree(path, ignore_errors=True)
            removed += 1
    log.info("swept %d folders", removed)
    return removed
