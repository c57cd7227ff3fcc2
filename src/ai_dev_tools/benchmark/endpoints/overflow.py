"""Whether a server's refusal says that the prompt is too long for the model."""

from __future__ import annotations

import re

_WINDOW = r"(?:context[ _-]?(?:length|size|window|limit)|(?:prompt|input|sequence|model) length|max_\w*_len\b|n_ctx\b)"
_BEYOND = (
    r"(?:exceed\w*|(?:longer|larger|greater|more) than|too (?:long|large) for|overflow\w*|(?:does not|doesn't) fit)"
)
_PROMPT = r"(?:prompts?|inputs?|messages?|conversation)"
_TOO_LONG = re.compile(
    "|".join(
        (
            rf"maximum {_WINDOW}",
            rf"{_BEYOND}\b[^.!?]{{0,60}}?{_WINDOW}",
            rf"{_WINDOW}[^.!?]{{0,20}}\b(?:exceed|overflow|full\b|(?:is )?too (?:small|short)\b)",
            r"context[ _-]overflow|context the overflows|context size is \d+|\bn_keep\b.{0,20}\bn_ctx\b",
            rf"\b{_PROMPT}(?: \([^)]{{0,40}}\))?(?: is| are| was| were)? (?:already )?too (?:long|large|big)\b(?! an? )",
            r"messages\[\d+\][^:]{0,40}: string too long",
            rf"\b{_PROMPT}\W*(?:token )?(?:count|tokens?|length|size)\b[^!?]{{0,60}}?"
            r"(?:exceed|longer than|larger than|greater than|supports? (?:only )?up to)",
            rf"\b{_PROMPT}\b.{{0,40}}?\bexceeds? (?:the )?(?:max(?:imum)?(?: \w+){{0,2}} (?:length|tokens?)|length limit)",
            r"\btoo many (?:input |prompt )?tokens\b|\bmodel'?s? token limit|\btoken limit exceeded for\b",
            rf"reduce the length of (?:the |your )?{_PROMPT}|reduce (?:the |your )?(?:prompt|input)(?: length| size)?\b",
            r"range of input length|`?inputs`? (?:tokens \+|must have less than \d+ tokens)",
            r"max_\w*tokens must be at least 1, got -\d|\bmax_\w*tokens \(-\d",
        )
    ),
    re.IGNORECASE,
)
"""Words of OpenAI, Azure, vLLM, llama.cpp, LM Studio, Ollama, SGLang, TGI, TensorRT-LLM, Anthropic, Gemini, Groq, Together,
OpenRouter, Mistral, DeepSeek, xAI, Cerebras, Cohere, Kimi, MiniMax, Z.ai, DashScope, Bedrock, Copilot."""
_LIMITED = re.compile(
    r"\bper[ -](?:second|min(?:ute)?|hour|day|week|month)\b|\((?:[rt]p[smhd])\)|\brate[ -_]?limit|token rate"
    r"|too many requests|please (?:wait|slow down)|quota|\b(?:daily|monthly) ",
    re.IGNORECASE,
)
"""A limit of tokens or requests in a time, which passes."""
_CONTENT = re.compile(
    r"\bsafety\b|polic(?:y|ies)\b|moderat(?:ion|ed)|content[ _-]?filter|content management|\bflagged\b|guidelines"
    r"|inappropriate|\bharmful\b|content exists risk|\bprohibited\b",
    re.IGNORECASE,
)
"""What is asked is refused, however long it is."""
_CAP = re.compile(
    r"\W*(?:error\W+|invalid\W+|the\W+)?(?:max_\w*tokens|maximum tokens|range of max_tokens)", re.IGNORECASE
)
"""How a message begins that is about the limit of the answer."""
_CAPS = re.compile(
    r"is too large: (\d+)|(\d+) (?:tokens )?(?:in|for) +the (?:completion|output)|requested (\d+) output tokens",
    re.IGNORECASE,
)
_ROOM = re.compile(r"maximum context length (?:is|of) (\d+)", re.IGNORECASE)


_TOO_MUCH = re.compile(
    r"too (?:large|high|long|big)|less than|at most|\brange\b|exceed|\bmaximum\b|> ?\d", re.IGNORECASE
)


def is_rate_limit(message: str) -> bool:
    """Whether a message is about how much is asked in a time."""
    return _LIMITED.search(message) is not None


def is_about_content(message: str) -> bool:
    """Whether a message is about what is asked, which some policy forbids."""
    return _CONTENT.search(message) is not None


def says_too_long(message: str) -> bool:
    """Whether a message says that the prompt, alone or with room for its answer, is too long for the model."""
    if not _TOO_LONG.search(message) or is_rate_limit(message) or is_about_content(message):
        return False
    return not _is_about_the_answer(message)


def says_answer_too_long(message: str) -> bool:
    """Whether a message says that the limit of the answer is more than the model allows, for any prompt."""
    return _is_about_the_answer(message) and _TOO_MUCH.search(message) is not None and not is_rate_limit(message)


def _is_about_the_answer(message: str) -> bool:
    """Whether only the limit of the answer is too large: it would leave no room for any prompt."""
    cap, room = _CAPS.search(message), _ROOM.search(message)
    if cap and room:
        return int(next(filter(None, cap.groups()))) >= int(room[1])
    begins = _CAP.match(message)
    return begins is not None and not re.search(rf"\b{_PROMPT}\b|got -\d|\(-\d", message, re.IGNORECASE)
