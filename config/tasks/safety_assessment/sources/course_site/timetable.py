"""Lectures, rooms and the calendars that students subscribe to."""

from __future__ import annotations

import hashlib
import random
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required, permission_required
from django.core import signing
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_GET, require_POST

from .models import Enrolment, Lecture, Room

ZONE = ZoneInfo("Europe/Paris")
SALT = "timetable.feed"
TITLES = ("Today's lectures", "Your day", "What is on")


def feed_token(student_id: int) -> str:
    return signing.dumps({"student": student_id}, salt=SALT, compress=True)


def student_of(token: str) -> int:
    try:
        return int(signing.loads(token, salt=SALT, max_age=timedelta(days=400))["student"])
    except signing.BadSignature:
        raise Http404 from None


def cache_key(student: int, day: date) -> str:
    return "timetable:" + hashlib.sha1(f"{student}/{day}".encode(), usedforsecurity=False).hexdigest()


def lectures_of(student: int, first: date, days: int) -> list[Lecture]:
    courses = Enrolment.objects.filter(student_id=student).values("course_id")
    last = first + timedelta(days=days)
    found = Lecture.objects.filter(course_id__in=courses, day__gte=first, day__lt=last)
    return list(found.select_related("room", "course").order_by("day", "begins"))


def ical_text(text: str) -> str:
    for plain, escaped in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n"), ("\r", "")):
        text = text.replace(plain, escaped)
    return text


def ical_time(day: date, at: time) -> str:
    return datetime.combine(day, at, ZONE).astimezone(ZoneInfo("UTC")).strftime("%Y%m%dT%H%M%SZ")


@require_GET
def feed(request: HttpRequest, token: str) -> HttpResponse:
    """The calendar of whoever holds the token."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//course//timetable//EN"]
    for lecture in lectures_of(student_of(token), date.today(), 60):
        lines += [
            "BEGIN:VEVENT",
            f"UID:lecture-{lecture.pk}@course.example",
            f"DTSTART:{ical_time(lecture.day, lecture.begins)}",
            f"DTEND:{ical_time(lecture.day, lecture.ends)}",
            f"SUMMARY:{ical_text(lecture.course.title)}",
            f"LOCATION:{ical_text(lecture.room.name)}",
            "END:VEVENT",
        ]
    return HttpResponse("\r\n".join([*lines, "END:VCALENDAR", ""]), content_type="text/calendar; charset=utf-8")


@login_required
@require_GET
def today(request: HttpRequest) -> HttpResponse:
    key = cache_key(request.user.pk, date.today())
    page = cache.get(key)
    if page is None:
        rows = ((l.begins, l.course.title, l.room.name) for l in lectures_of(request.user.pk, date.today(), 1))
        items = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", rows)
        page = format_html("<!doctype html><h1>{}</h1><table>{}</table>", random.choice(TITLES), items)
        cache.set(key, page, 600)
    return HttpResponse(page)


@login_required
@require_GET
def my_feed(request: HttpRequest) -> HttpResponse:
    return redirect("feed", token=feed_token(request.user.pk))


@login_required
@require_GET
def free_rooms(request: HttpRequest) -> JsonResponse:
    try:
        day = date.fromisoformat(request.GET.get("day", date.today().isoformat()))
    except ValueError:
        return JsonResponse({"error": "day: year-month-day"}, status=400)
    taken = Lecture.objects.filter(day=day).values("room_id")
    rooms = Room.objects.exclude(pk__in=taken).order_by("name")
    return JsonResponse({"rooms": [room.name for room in rooms]})


@permission_required("course.plan", raise_exception=True)
@require_POST
def move(request: HttpRequest, lecture_id: int) -> HttpResponse:
    lecture = get_object_or_404(Lecture, pk=lecture_id)
    lecture.room = get_object_or_404(Room, pk=request.POST.get("room"))
    lecture.save(update_fields=["room"])
    return redirect("today")
