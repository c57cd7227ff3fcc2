VOWELS = {"en": set("aeiouy"), "de": set("aeiouäöüy")}


def points(word: str, language: str) -> list[int]:
    vowels = VOWELS.get(language, VOWELS["en"])
    found = []
    for i in range(2, len(word) - 2):
        before, after = word[i - 1].lower(), word[i].lower()
        if before in vowels and after not in vowels and word[i + 1].lower() in vowels:
            found.append(i)
    return found


def break_word(word: str, room: int, language: str) -> tuple[str, str]:
    fitting = [p for p in points(word, language) if p <= room]
    return (word[:fitting[-1]], word[fitting[-1]:]) if fitting else ("", word)
