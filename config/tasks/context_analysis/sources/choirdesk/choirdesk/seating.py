from .people import VOICES, Singer


def rows(singers: list[Singer], width: int, tall_first: bool = False) -> list[list[str]]:
    plan: list[list[str]] = []
    for voice in VOICES:
        group = [s for s in singers if s.voice == voice]
        if not group:
            continue
        group.sort(key=lambda s: s.name, reverse=tall_first)
        row: list[str] = []
        for singer in group:
            if len(row) == width:
                plan.append(row)
                row = []
            row.append(singer.name)
        if row and (voice in ("tenor", "bass") or len(row) > width // 2):
            plan.append(row)
        elif row and plan:
            plan[-1].extend(row)
    return plan
