"""HTTP interface of the job server."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from flask import Flask, abort, g, jsonify, request

from .models import NAME, Jobs, Spec, State

app = Flask(__name__)
jobs = Jobs(Path(os.environ.get("JOB_DATABASE", "jobs.sqlite")))


def owner_of(token: str) -> str | None:
    """Tokens are `name.tag`; the tag is an HMAC of the name."""
    name, _, tag = token.partition(".")
    wanted = hmac.new(os.environ["TOKEN_KEY"].encode(), name.encode(), hashlib.sha256).hexdigest()
    return name if name and hmac.compare_digest(tag.encode(), wanted.encode()) else None


@app.before_request
def identify():
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    g.owner = owner_of(token) if kind == "Token" else None
    if g.owner is None:
        abort(401)


@app.post("/jobs")
def submit():
    data = request.get_json()
    name = str(data.get("name", "job"))
    if not NAME.fullmatch(name):
        abort(400, "name: not a name")
    try:
        spec = Spec.from_request(data)
    except ValueError as error:
        abort(400, str(error))
    return jsonify(id=jobs.add(g.owner, name, spec)), 201


@app.get("/jobs")
def listing():
    states = tuple(State(text) for text in request.args.getlist("state") if text in set(State))
    return jsonify([{"id": job.id, "name": job.name, "state": job.state} for job in jobs.of(g.owner, states)])


@app.get("/jobs/<int:number>/log")
def log_of(number):
    job = jobs.get(number, g.owner)
    if job is None:
        abort(404)
    return job.log, 200, {"Content-Type": "text/plain; charset=utf-8"}
