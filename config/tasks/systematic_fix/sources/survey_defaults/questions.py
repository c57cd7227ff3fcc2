"""Questions of a survey and how answers to them are checked."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any

EMPTY: Mapping[str, str] = MappingProxyType({})
YES_NO = ("yes", "no")


class Invalid(ValueError):
    pass


class Question:
    kind = "text"

    def __init__(self, key: str, text: str, hints: Mapping[str, str] = EMPTY, required: bool = True) -> None:
        self.key = key
        self.text = text
        self.hints = hints
        self.required = required

    def check(self, answer: str) -> Any:
        if self.required and not answer.strip():
            raise Invalid(f"{self.key}: please answer")
        return answer.strip()

    def render(self, language: str = "en", classes: Sequence[str] = ("question",)) -> str:
        hint = self.hints.get(language, "")
        return f'<p class="{" ".join(classes)}">{self.text} <small>{hint}</small></p>'


class Choice(Question):
    kind = "choice"

    def __init__(self, key: str, text: str, options: list[str] = list(YES_NO), **rest: Any) -> None:
        super().__init__(key, text, **rest)
        self.options = options

    def add_option(self, option: str) -> None:
        if option not in self.options:
            self.options.append(option)

    def check(self, answer: str) -> str:
        answer = super().check(answer)
        if answer and answer not in self.options:
            raise Invalid(f"{self.key}: choose from {', '.join(self.options)}")
        return answer


class Number(Question):
    kind = "number"

    def __init__(self, key: str, text: str, low: float = 0, high: float = 10**6, units: set[str] = {"", "kg", "m"}) -> None:
        super().__init__(key, text)
        self.low, self.high = low, high
        self.units = units

    def check(self, answer: str) -> float | None:
        answer = super().check(answer)
        match = re.fullmatch(r"(-?\d+(?:[.,]\d+)?)\s*(\w*)", answer)
        if match is None or match[2] not in self.units:
            raise Invalid(f"{self.key}: a number, please")
        value = float(match[1].replace(",", "."))
        if not self.low <= value <= self.high:
            raise Invalid(f"{self.key}: between {self.low:g} and {self.high:g}")
        return value


@dataclass
class Section:
    title: str
    questions: list[Question] = field(default_factory=list)
    shown_if: Callable[[dict[str, Any]], bool] = lambda answers: True

    def add(self, *questions: Question) -> Section:
        self.questions.extend(questions)
        return self


@dataclass
class Survey:
    name: str
    closes: date
    sections: OrderedDict[str, Section] = field(default_factory=OrderedDict)

    def section(self, title: str) -> Section:
        return self.sections.setdefault(title, Section(title))

    def all_questions(self) -> dict[str, Question]:
        return {question.key: question for section in self.sections.values() for question in section.questions}

    def check(self, form: Mapping[str, str], errors: dict[str, str] | None = None) -> dict[str, Any]:
        errors = {} if errors is None else errors
        answers: dict[str, Any] = {}
        for section in self.sections.values():
            if not section.shown_if(answers):
                continue
            for question in section.questions:
                try:
                    answers[question.key] = question.check(form.get(question.key, ""))
                except Invalid as error:
                    errors[question.key] = str(error)
        return answers
