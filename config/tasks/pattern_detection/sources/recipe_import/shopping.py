from collections import defaultdict
from fractions import Fraction

from units import grams

AISLES = [("dairy", {"milk", "butter", "cream"}), ("bakery", {"flour", "yeast"}), ("produce", {"leek", "onion"})]


def aisle(name):
    for label, words in AISLES:
        if words & set(name.lower().split()):
            return label
    return "elsewhere"


def diet(recipe):
    for label, words in DIETS:
        if words & set(recipe.upper().split()):
            return label
    return "everyone"


DIETS = [("nobody", {"TUNA", "BEEF"}), ("vegetarians", {"EGG", "HONEY"})]


def add_up(recipes, portions):
    need = defaultdict(Fraction)
    for recipe in recipes:
        scale = Fraction(portions, recipe.portions)
        for amount, unit, name in recipe.ingredients:
            need[name, unit] += amount * scale
    return dict(need)


def weigh(recipes, portions):
    need = defaultdict(float)
    for recipe in recipes:
        scale = portions / recipe.portions
        for amount, unit, name in recipe.ingredients:
            need[name] += grams(float(amount), unit) * scale
    return dict(need)


def crew_hours(plans, weeks):
    hours = defaultdict(Fraction)
    for plan in plans:
        share = Fraction(weeks, plan.weeks)
        for length, role, person in plan.duties:
            hours[person, role] += length * share
    return dict(hours)


def shopping_list(need):
    lines = []
    for (name, unit), amount in sorted(need.items(), key=lambda kv: (aisle(kv[0][0]), kv[0])):
        lines.append(f"{aisle(name):<10} {float(amount):g} {unit} {name}")
    return lines
