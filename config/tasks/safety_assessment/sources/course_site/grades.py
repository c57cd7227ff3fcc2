"""Submissions and grades of the programming course."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_GET, require_POST

from .models import Exercise, Submission

SANDBOX = ["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--proc", "/proc"]
LIMIT_S = 20


@dataclass(frozen=True)
class Outcome:
    passed: int
    failed: int
    output: str

    @property
    def points(self) -> float:
        total = self.passed + self.failed
        return round(10 * self.passed / total, 1) if total else 0.0


def run_checks(exercise: Exercise, source: str) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="check-") as folder:
        place = Path(folder)
        (place / "solution.py").write_text(source, encoding="utf-8")
        shutil.copy(exercise.checks.path, place / "checks.py")
        argv = [*SANDBOX, "--bind", folder, "/work", "--chdir", "/work", sys.executable, "-I", "checks.py"]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            return Outcome(0, 1, "stopped: too slow")
    try:
        counts = json.loads(done.stdout.splitlines()[-1])
        return Outcome(int(counts["passed"]), int(counts["failed"]), done.stderr[-2000:])
    except (IndexError, KeyError, TypeError, ValueError):
        return Outcome(0, 1, done.stderr[-2000:])


@login_required
@require_POST
def submit(request: HttpRequest, exercise_id: int) -> HttpResponse:
    exercise = get_object_or_404(Exercise, pk=exercise_id)
    if exercise.closes < datetime.now(timezone.utc):
        raise PermissionDenied("too late")
    source = request.POST.get("source", "")[:100_000]
    outcome = run_checks(exercise, source)
    submission = Submission.objects.create(
        exercise=exercise, student=request.user, source=source, points=outcome.points, output=outcome.output
    )
    return render(request, "submitted.html", {"submission": submission, "outcome": outcome})


@login_required
@require_GET
def mine(request: HttpRequest) -> HttpResponse:
    own = Submission.objects.filter(student=request.user).select_related("exercise")
    items = format_html_join("", "<li>{}: {} points</li>", ((s.exercise.title, s.points) for s in own))
    return HttpResponse(format_html("<!doctype html><ul>{}</ul>", items))


@login_required
@require_GET
def source_of(request: HttpRequest, submission_id: int) -> HttpResponse:
    submission = get_object_or_404(Submission, pk=submission_id)
    return HttpResponse(submission.source, content_type="text/plain; charset=utf-8")


@permission_required("course.grade", raise_exception=True)
@require_GET
def sheet(request: HttpRequest, exercise_id: int) -> HttpResponse:
    out = io.StringIO()
    writer = csv.writer(out)
    for submission in Submission.objects.filter(exercise_id=exercise_id).order_by("student__username"):
        writer.writerow([submission.student.username, submission.points])
    return HttpResponse(out.getvalue(), content_type="text/csv")
