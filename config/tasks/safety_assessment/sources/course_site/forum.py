"""Questions and answers below each exercise."""

from __future__ import annotations

import re

from django.contrib.auth.decorators import login_required
from django.db import connection
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET, require_POST

from .models import Exercise, Post

CODE = re.compile(r"`([^`\n]{1,200})`")
BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")


def rich(text: str) -> SafeString:
    """`code` and **bold**; everything else is shown as it was typed."""
    markup = CODE.sub(r"<code>\1</code>", escape(text))
    markup = BOLD.sub(r"<strong>\1</strong>", markup)
    return mark_safe(markup.replace("\n", "<br>"))


def sign_off(post: Post) -> SafeString:
    """Name and motto of the author, as set in the profile."""
    profile = post.author.profile
    return mark_safe(f"<footer>{escape(post.author.username)} <em>{profile.motto}</em></footer>")


@login_required
@require_GET
def thread(request: HttpRequest, exercise_id: int) -> HttpResponse:
    exercise = get_object_or_404(Exercise, pk=exercise_id)
    posts = Post.objects.filter(exercise=exercise).select_related("author__profile").order_by("pk")
    rows = [{"text": rich(post.text), "signature": sign_off(post), "at": post.created} for post in posts]
    return render(request, "thread.html", {"exercise": exercise, "rows": rows})


@login_required
@require_POST
def answer(request: HttpRequest, exercise_id: int) -> HttpResponse:
    exercise = get_object_or_404(Exercise, pk=exercise_id)
    text = request.POST.get("text", "").strip()[:8000]
    if text:
        Post.objects.create(exercise=exercise, author=request.user, text=text)
    return redirect("thread", exercise_id=exercise.pk)


@login_required
@require_POST
def remove(request: HttpRequest, post_id: int) -> HttpResponse:
    post = get_object_or_404(Post, pk=post_id, author=request.user)
    post.delete()
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}, require_https=True):
        target = reverse("thread", args=[post.exercise_id])
    return HttpResponseRedirect(target)


@login_required
@require_GET
def search(request: HttpRequest) -> JsonResponse:
    words = request.GET.get("q", "").split()[:6]
    query = Q()
    for word in words:
        query &= Q(text__icontains=word)
    found = Post.objects.filter(query).values("pk", "exercise_id", "text")[:50]
    return JsonResponse({"found": [{**row, "text": row["text"][:120]} for row in found]})


@login_required
@require_GET
def busiest(request: HttpRequest) -> JsonResponse:
    days = min(max(int(request.GET.get("days", 7)), 1), 365)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT exercise_id, COUNT(*) FROM forum_post WHERE created > NOW() - INTERVAL '%s days' "
            "GROUP BY exercise_id ORDER BY 2 DESC LIMIT 5" % days
        )
        return JsonResponse({"exercises": cursor.fetchall()})


def badge(count: int) -> SafeString:
    return format_html("<span class='badge'>{}</span>", count)
