import textwrap

from .cases import Case
from .deadlines import due
from .parties import Party

BODY = """\
{salutation}

in the matter {number} we ask you for your {what} by {day:%d %B %Y}.
{extra}
The registry
"""


def remind(case: Case, party: Party, what: str, extra: str = "") -> str:
    text = BODY.format(
        salutation=party.salutation(),
        number=case.number,
        what=what,
        day=due(case, what),
        extra=textwrap.fill(extra, 70),
    )
    head = "\n".join(party.address)
    return f"{head}\n\n{text}"


def cover(case: Case) -> str:
    claimants = " and ".join(p.name for p in case.side("claimant"))
    respondents = " and ".join(p.name for p in case.side("respondent"))
    return f"{claimants} ./. {respondents}\n{case.number}"
