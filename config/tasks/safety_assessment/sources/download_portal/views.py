"""File exchange with suppliers: upload, list, download."""

import hashlib
import os
from datetime import datetime, timezone

from flask import Blueprint, abort, current_app, jsonify, request, send_file
from flask_login import current_user, login_required
from werkzeug.utils import secure_filename

bp = Blueprint("exchange", __name__, url_prefix="/exchange")

ALLOWED = {".csv", ".pdf", ".xlsx"}
MAX_BYTES = 20 * 1024 * 1024


def _folder() -> str:
    """The folder of the supplier who is logged in."""
    path = os.path.join(current_app.config["EXCHANGE_ROOT"], str(int(current_user.supplier_id)))
    os.makedirs(path, mode=0o750, exist_ok=True)
    return path


def _digest(path: str) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@bp.post("/files")
@login_required
def upload():
    item = request.files.get("file")
    if item is None or not item.filename:
        abort(400, "no file")
    name = secure_filename(item.filename)
    if os.path.splitext(name)[1].lower() not in ALLOWED:
        abort(415)
    if (request.content_length or 0) > MAX_BYTES:
        abort(413)
    target = os.path.join(_folder(), name)
    item.save(target)
    return jsonify(name=name, sha256=_digest(target)), 201


@bp.get("/files")
@login_required
def listing():
    entries = []
    with os.scandir(_folder()) as found:
        for entry in found:
            info = entry.stat()
            changed = datetime.fromtimestamp(info.st_mtime, timezone.utc)
            entries.append({"name": entry.name, "bytes": info.st_size, "changed": changed.isoformat()})
    return jsonify(sorted(entries, key=lambda e: e["name"]))


@bp.get("/file")
@login_required
def download():
    name = request.args.get("name", "")
    path = os.path.join(_folder(), name)
    if not os.path.isfile(path):
        abort(404)
    return send_file(path, as_attachment=True)


@bp.delete("/file")
@login_required
def remove():
    name = secure_filename(request.args.get("name", ""))
    if not name:
        abort(400)
    try:
        os.unlink(os.path.join(_folder(), name))
    except FileNotFoundError:
        abort(404)
    return "", 204
