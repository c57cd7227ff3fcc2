"""Minibar and laundry: what is put on the bill of a room."""
import csv
from collections import defaultdict


class Price(dict):
    """Cents by article; articles that are not listed are on the house."""

    def __missing__(self, article):
        return 0


def minibar_charges(slips, prices, room):
    total = 0
    count = 0
    for slip in slips:
        if slip["room"] != room:
            continue
        total += prices[slip["article"]] * slip["pieces"]
        count += 1
    return {"label": "Minibar", "cents": total, "lines": count}


def laundry_charges(bags, prices, room):
    cents = 0
    lines = 0
    for bag in bags:
        if bag["room"] != room:
            continue
        cents += prices[bag["article"]] * bag["pieces"]
        lines += 1
    return {"label": "Laundry", "cents": cents, "lines": lines}


def damage_charges(reports, prices, room):
    """Damage is charged once per article, whatever the number of pieces."""
    total = 0
    count = 0
    for report in reports:
        if report["room"] != room:
            continue
        total += prices[report["article"]]
        count += 1
    return {"label": "Damage", "cents": total, "lines": count}


def phone_charges(calls, rates, extension):
    amount = 0
    number = 0
    for call in calls:
        if call["extension"] != extension:
            continue
        amount += rates[call["zone"]] * call["minutes"]
        number += 1
    return {"label": "Telephone", "cents": amount, "lines": number}


def garage_charges(stays, rates, plate):
    amount = 0
    number = 0
    for stay in stays:
        if stay["plate"] != plate:
            break
        amount += rates[stay["deck"]] * stay["nights"]
        number += 1
    return {"label": "Garage", "cents": amount, "lines": number}


def read_prices(path):
    prices = Price()
    with open(path, newline="") as handle:
        for row in csv.reader(handle):
            if not row or row[0].startswith("#"):
                continue
            prices[row[0].strip()] = int(row[1])
    return prices


def read_slips(path):
    slips = defaultdict(list)
    with open(path, newline="") as handle:
        for row in csv.reader(handle):
            if len(row) != 3:
                continue
            slips[int(row[0])].append((row[1], int(row[2])))
    return slips
