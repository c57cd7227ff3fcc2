import re

from .errors import ShowError

FORM = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2})(?:\.(\d{1,3}))?")


def parse(text):
    match = FORM.fullmatch(text.strip())
    if match is None:
        raise ShowError(f"{text!r} is no time")
    hours, minutes, seconds, fraction = match.groups()
    total = int(minutes) * 60 + int(seconds) + float(f"0.{fraction or 0}")
    return total + int(hours) * 3600 if hours else total


def show(seconds):
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"
