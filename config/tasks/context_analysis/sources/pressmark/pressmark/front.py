from .text import slug


class FrontMatterError(ValueError):
    pass


def split(source, name="?"):
    """Header and body of a page; the header stands between two lines of dashes."""
    if not source.startswith("---\n"):
        return {}, source
    head, sep, body = source[4:].partition("\n---\n")
    if not sep:
        raise FrontMatterError(f"{name}: header has no end")
    meta, key = {}, None
    for number, line in enumerate(head.split("\n"), 2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line.startswith("  - ") and key:
            old = meta.get(key)
            meta[key] = (old if isinstance(old, list) else []) + [line[4:].strip()]
        elif ":" in line:
            key, _, value = line.partition(":")
            key = key.strip().lower()
            value = value.strip()
            meta[key] = value == "true" if value in ("true", "false") else value
        else:
            raise FrontMatterError(f"{name}:{number}: cannot read {line!r}")
    meta.setdefault("slug", slug(str(meta.get("title", name))))
    return meta, body
