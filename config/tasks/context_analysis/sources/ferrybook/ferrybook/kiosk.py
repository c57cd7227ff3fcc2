"""Touch screen at the pier."""
from .desk import book
from .models import Sailing, Vehicle


def sell(sailing: Sailing, answers: dict) -> str:
    cars = [Vehicle(p, float(m)) for p, m in answers.get("vehicles", [])]
    try:
        reference, cents = book(sailing, int(answers["adults"]), vehicles=cars)
    except ValueError as problem:
        return f"Sorry: {problem}"
    return f"{reference}: {cents / 100:.2f}"
