from ..core.stall import Stall
from ..visits import inspect


def daily(stall: Stall) -> int:
    cents = int(stall.metres * 450)
    if stall.power:
        cents += 600
    if inspect.strict(stall):
        cents += 1000
    return cents
