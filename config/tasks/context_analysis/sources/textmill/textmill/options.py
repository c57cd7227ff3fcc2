from dataclasses import dataclass, fields


@dataclass
class Options:
    width: int = 72
    hyphens: bool = True
    quotes: str = "english"
    numbering: bool = False
    language: str = "en"

    @classmethod
    def from_words(cls, words):
        known = {f.name: f.type for f in fields(cls)}
        values = {}
        for word in words:
            name, _, value = word.partition("=")
            if name not in known:
                raise SystemExit(f"unknown option {name}")
            values[name] = int(value) if known[name] is int else value if value else True
        return cls(**values)
