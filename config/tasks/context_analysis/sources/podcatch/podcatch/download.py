import shutil
import time
import urllib.request
from pathlib import Path

from podcatch import settings
from podcatch.library import Library


def target(title: str) -> Path:
    safe = "".join(c if c.isalnum() or c in " -_" else "_" for c in title)
    return Path(settings.load()["folder"]).expanduser() / f"{safe[:80]}.mp3"


def fetch(episode, library: Library, tries: int = 3) -> bool:
    path = target(episode.title)
    part = path.with_suffix(".part")
    if path.exists() and path.stat().st_size > 0:
        library.mark(episode)
        return False
    for attempt in range(tries):
        start = part.stat().st_size if part.exists() else 0
        request = urllib.request.Request(episode.url)
        if start:
            request.add_header("Range", f"bytes={start}-")
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                mode = "ab" if start and reply.status == 206 else "wb"
                with part.open(mode) as out:
                    shutil.copyfileobj(reply, out)
        except TimeoutError:
            continue
        except OSError:
            time.sleep(5 * (attempt + 1))
        else:
            part.rename(path)
            library.mark(episode)
            return True
    return False
