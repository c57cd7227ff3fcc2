"""Carries jobs out, one after the other."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import smtplib
import ssl
import subprocess
import time
from email.message import EmailMessage
from pathlib import Path

from .models import Job, Jobs, State

log = logging.getLogger(__name__)

STEPS = Path(os.environ.get("STEP_FOLDER", "/srv/steps"))
DATA = Path(os.environ.get("DATA_FOLDER", "/srv/data"))
LIMIT_S = 3600


class StepFailed(Exception):
    pass


def run_step(step: str, job: Job) -> str:
    words = ["nice", "-n", "10", str(STEPS / step), "--input", str(DATA / job.spec.dataset)]
    words += [f"--{key}={value}" for key, value in sorted(job.spec.options.items())]
    command = " ".join(words) + " 2>&1 | tail -n 400"
    process = subprocess.Popen(
        command, shell=True, cwd=DATA, stdout=subprocess.PIPE, text=True, errors="replace", start_new_session=True
    )
    try:
        out, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        raise StepFailed(f"{step}: stopped after {LIMIT_S} s") from None
    if process.returncode:
        raise StepFailed(f"{step}: exit status {process.returncode}\n{out}")
    return out


def disk_usage(dataset: str) -> int:
    """Bytes of a data set, as du counts them."""
    path = shlex.quote(str(DATA / dataset))
    answer = subprocess.run(f"du -sb {path} | cut -f1", shell=True, capture_output=True, text=True, check=True)
    return int(answer.stdout)


def check_step(step: str) -> None:
    path = STEPS / step
    if not os.access(path, os.X_OK):
        raise StepFailed(f"{step}: there is no such step")


def notify(job: Job, state: State) -> None:
    if not job.spec.notify:
        return
    message = EmailMessage()
    message["Subject"] = f"job {job.id} {state}"
    message["To"] = job.spec.notify.replace("\n", " ")
    message["From"] = os.environ["MAIL_FROM"]
    message.set_content(f"Your job {job.name} is {state}.\n")
    with smtplib.SMTP(os.environ["MAIL_HOST"], 587, timeout=20) as smtp:
        smtp.starttls(context=ssl.create_default_context())
        smtp.login(os.environ["MAIL_USER"], os.environ["MAIL_PASSWORD"])
        smtp.send_message(message)


def carry_out(jobs: Jobs, job: Job) -> State:
    jobs.update(job.id, State.RUNNING, f"input: {disk_usage(job.spec.dataset)} bytes\n")
    try:
        for step in job.spec.steps:
            check_step(step)
            jobs.update(job.id, State.RUNNING, f"== {step}\n" + run_step(step, job))
    except StepFailed as error:
        jobs.update(job.id, State.FAILED, f"{error}\n")
        return State.FAILED
    jobs.update(job.id, State.DONE)
    return State.DONE


def serve(jobs: Jobs, pause: float = 2.0) -> None:
    while True:
        job = jobs.next()
        if job is None:
            time.sleep(pause)
            continue
        state = carry_out(jobs, job)
        try:
            notify(job, state)
        except (OSError, smtplib.SMTPException):
            log.exception("no mail about job %d", job.id)
