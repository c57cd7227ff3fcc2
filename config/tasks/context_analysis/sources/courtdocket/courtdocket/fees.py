from .cases import Case

TABLE = [(1_000, 120), (5_000, 300), (25_000, 800), (100_000, 2_200)]


def filing_fee(value: int) -> int:
    for limit, fee in TABLE:
        if value <= limit:
            return fee
    return 2_200 + (value - 100_000) // 50


def unpaid(case: Case) -> int:
    paid = sum(int(e.text) for e in case.events if e.kind == "payment")
    return filing_fee(case.value) - paid
