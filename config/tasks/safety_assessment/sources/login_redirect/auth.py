"""Sign-in pages of the member area (aiohttp)."""

from __future__ import annotations

import time
from urllib.parse import urlencode, urlsplit

import aiohttp_jinja2
from aiohttp import web
from aiohttp_session import get_session, new_session

from .members import check_password, find_member

routes = web.RouteTableDef()
LANGUAGES = {"en": "/en/", "fr": "/fr/", "nl": "/nl/"}
ATTEMPTS: dict[str, list[float]] = {}


def _too_many(address: str) -> bool:
    now = time.monotonic()
    recent = [at for at in ATTEMPTS.get(address, []) if now - at < 300]
    ATTEMPTS[address] = [*recent, now]
    return len(recent) >= 10


def _own_path(target: str) -> str:
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    return target


@routes.get("/login")
async def login_form(request: web.Request) -> web.Response:
    context = {"next": _own_path(request.query.get("next", "/")), "failed": "failed" in request.query}
    return aiohttp_jinja2.render_template("login.html", request, context)


@routes.post("/login")
async def login(request: web.Request) -> web.Response:
    form = await request.post()
    target = _own_path(str(form.get("next", "/")))
    if _too_many(request.remote or ""):
        raise web.HTTPTooManyRequests()
    member = await find_member(request.app["db"], str(form.get("name", "")))
    if member is None or not await check_password(member, str(form.get("password", ""))):
        raise web.HTTPSeeOther("/login?" + urlencode({"failed": 1, "next": target}))
    session = await new_session(request)
    session["member"] = member.id
    raise web.HTTPSeeOther(target)


@routes.post("/logout")
async def logout(request: web.Request) -> web.Response:
    session = await get_session(request)
    session.invalidate()
    raise web.HTTPSeeOther("/")


@routes.get("/language/{code}")
async def language(request: web.Request) -> web.Response:
    home = LANGUAGES.get(request.match_info["code"])
    if home is None:
        raise web.HTTPNotFound()
    response = web.HTTPFound(home)
    response.set_cookie("lang", request.match_info["code"], samesite="Lax")
    raise response


@routes.get("/confirm")
async def confirm_age(request: web.Request) -> web.Response:
    session = await get_session(request)
    session["adult"] = request.query.get("answer") == "yes"
    back = request.query.get("back") or "/"
    raise web.HTTPFound(location=back)


@routes.get("/me")
async def profile(request: web.Request) -> web.Response:
    session = await get_session(request)
    if "member" not in session:
        raise web.HTTPSeeOther("/login?" + urlencode({"next": request.path}))
    return web.json_response({"member": session["member"], "adult": session.get("adult", False)})
