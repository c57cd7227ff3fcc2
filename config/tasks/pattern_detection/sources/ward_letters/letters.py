"""Letters that the ward prints: admission, referral and discharge."""

import textwrap
from dataclasses import dataclass, field


@dataclass
class Patient:
    name: str
    born: str
    ward: str
    insurer: str = ""
    allergies: list[str] = field(default_factory=list)
    drugs: list[tuple[str, float]] = field(default_factory=list)


def admission_head(patient: Patient, day: str) -> str:
    title = f"Admission of {patient.name}, born {patient.born}"
    rule = "=" * len(title)
    place = patient.ward.upper()
    return "\n".join([title, rule, f"{place}, {day}"])


def discharge_head(patient: Patient, date: str) -> str:
    first = f"Discharge letter: {patient.name} ({patient.born})"
    line = "-" * len(first)
    unit = patient.ward.upper()
    return "\n".join([first, line, f"{unit} / {date}"])


def referral_head(patient: Patient, day: str) -> str:
    title = f"Referral of {patient.name}, born {patient.born}"
    place = patient.ward.upper()
    return "\n".join([title, f"{place}, {day}"])


def invoice_head(order, number: str) -> str:
    caption = f"Invoice {order.code} for {order.payer}"
    bar = "*" * len(caption)
    city = order.city.upper()
    return "\n".join([caption, bar, f"{city}, no. {number}"])


def drug_table(patient: Patient) -> str:
    rows = []
    for name, dose in patient.drugs:
        rows.append(f"{name:<24}{dose:>8.1f} mg")
    return "\n".join(rows) if rows else "none"


def allergy_list(patient: Patient) -> str:
    rows = []
    for name in sorted(patient.allergies):
        rows.append(f"! {name}")
    return "\n".join(rows) if rows else "none known"


def lab_table(results) -> str:
    lines = []
    for test, value in results.values:
        lines.append(f"{test:.<30}{value:>10.3f}")
    return "\n".join(lines) if lines else "no results"


def wrap_body(text: str, width: int = 72) -> str:
    paragraphs = text.split("\n\n")
    return "\n\n".join(textwrap.fill(p, width) for p in paragraphs)


def needs_interpreter(patient: Patient, languages: set[str]) -> bool:
    return bool(languages) and "de" not in languages


def discharge_letter(patient: Patient, day: str, summary: str) -> str:
    parts = [discharge_head(patient, day), "", wrap_body(summary), "", "Medication", drug_table(patient)]
    if patient.allergies:
        parts += ["", "Allergies", allergy_list(patient)]
    return "\n".join(parts)
