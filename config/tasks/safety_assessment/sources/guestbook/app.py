"""Guest book of a holiday home: entries, search, an admin's list."""

from datetime import date
from functools import wraps
from html import escape
from secrets import compare_digest

from flask import Flask, abort, redirect, request, session, url_for
from markupsafe import Markup

from .storage import add_entry, all_entries, remove_entry

app = Flask(__name__)
app.config.from_prefixed_env("GUESTS")

HEAD = "<!doctype html><meta charset=utf-8><title>Guests</title><link rel=stylesheet href=/static/site.css>"


def admin_only(view):
    @wraps(view)
    def wrapped(*args, **kwargs):
        if not session.get("admin"):
            abort(403)
        return view(*args, **kwargs)

    return wrapped


def stars(count):
    count = max(0, min(5, int(count)))
    return Markup("<span class=stars>") + "★" * count + "☆" * (5 - count) + Markup("</span>")


def card(entry):
    return (
        Markup("<article><h3>{name}</h3>{stars}<p>{text}</p><time>{day}</time></article>")
        .format(name=entry.name, stars=stars(entry.stars), text=entry.text, day=entry.day.isoformat())
    )


@app.get("/")
def index():
    cards = "".join(card(entry) for entry in all_entries())
    return f"{HEAD}<h1>Our guests</h1>{cards}<a href={url_for('form')}>write</a>"


@app.get("/search")
def search():
    word = request.args.get("q", "").strip()
    hits = [entry for entry in all_entries() if word.lower() in entry.text.lower()]
    if not hits:
        return f"{HEAD}<p>Nobody wrote about <b>{word}</b> yet.</p>"
    return f"{HEAD}<p>{len(hits)} entries about <b>{escape(word)}</b></p>" + "".join(map(card, hits))


@app.get("/write")
def form():
    fields = "<input name=name required><input name=stars type=number min=0 max=5><textarea name=text></textarea>"
    return f"{HEAD}<form method=post action={url_for('write')}>{fields}<button>send</button></form>"


@app.post("/write")
def write():
    name = request.form.get("name", "").strip()[:80]
    if not name:
        abort(400)
    count = request.form.get("stars", 0, type=int)
    add_entry(name=name, text=request.form.get("text", "")[:4000], stars=count, day=date.today())
    return redirect(url_for("index"))


@app.post("/admin")
def admin_login():
    if not compare_digest(request.form.get("password", "").encode(), app.config["ADMIN_PASSWORD"].encode()):
        abort(403)
    session["admin"] = True
    return redirect(url_for("index"))


@app.post("/admin/remove/<int:number>")
@admin_only
def remove(number):
    remove_entry(number)
    return redirect(url_for("index"))
