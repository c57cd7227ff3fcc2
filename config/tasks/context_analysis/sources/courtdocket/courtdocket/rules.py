from . import fees

FLOW = {
    ("filed", "answer"): "joined",
    ("joined", "reply"): "joined",
    ("joined", "hearing"): "heard",
    ("heard", "award"): "decided",
    ("decided", "appeal"): "appealed",
}


def allowed(case, event):
    """The state that an event leads to, or None if the rules forbid it."""
    roles = {p.role for p in case.parties if p.name == event.by}
    if event.kind == "withdraw":
        return "closed" if "claimant" in roles and case.state != "decided" else None
    if event.kind in ("answer", "appeal") and not roles:
        return None
    if event.kind == "answer" and "respondent" not in roles:
        return None
    if event.kind == "hearing":
        open_costs = fees.unpaid(case)
        if open_costs > 0 and not any(e.kind == "waiver" for e in case.events):
            return None
    if event.kind == "award" and event.by != "tribunal":
        return None
    if event.kind == "appeal" and (case.value < 5_000 or len(case.events) > 40):
        return None
    return FLOW.get((case.state, event.kind))
