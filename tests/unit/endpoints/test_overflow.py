"""What servers say of a prompt that is too long, in their own words, and what only sounds like it."""

from __future__ import annotations

import json

import pytest

from ai_dev_tools.benchmark._util.wire import Secrets
from ai_dev_tools.benchmark.endpoints.ollama_client import server_error
from ai_dev_tools.benchmark.endpoints.openai_errors import error_of, read_refusal
from ai_dev_tools.benchmark.errors import (
    BenchmarkError,
    ConfigurationError,
    ContextOverflowError,
    ModelError,
    OverloadedError,
)

SECRETS = Secrets({})
TOO_LONG = {
    "OpenAI": "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in the messages, "
    "1000 in the completion). Please reduce the length of the messages or completion.",
    "OpenAI, only the prompt": "This model's maximum context length is 8192 tokens. However, your messages resulted in 8545 "
    "tokens. Please reduce the length of the messages.",
    "OpenAI, responses": "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "OpenAI, a limit that was set": "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000",
    "OpenAI, characters": "Invalid 'messages[0].content': string too long. Expected a string with maximum length 1048576, but "
    "instead got a string with length 2000000 instead.",
    "Azure": "This model's maximum context length is 16385 tokens, however you requested 17000 tokens (16000 in your prompt; "
    "1000 for the completion). Please reduce your prompt; or completion length.",
    "vLLM": "This model's maximum context length is 4096 tokens. However, you requested 4104 tokens in the messages, Please "
    "reduce the length of the messages.",
    "vLLM, with its answer": "'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context length "
    "is 4096 tokens and your request has 2104 input tokens (2000 > 4096 - 2104).",
    "vLLM 0.20": "This model's maximum context length is 128000 tokens. However, you requested 65535 output tokens and your "
    "prompt contains at least 62466 input tokens, for a total of at least 128001 tokens.",
    "vLLM, older": "max_tokens must be at least 1, got -186.",
    "vLLM, engine": "The decoder prompt (length 9000) is longer than the maximum model length of 8192. Make sure that "
    "`max_model_len` is no smaller than the number of text tokens.",
    "vLLM, V1": "Input length (265330) exceeds model's maximum context length (262144).",
    "vLLM, early": "Input prompt (2664 tokens) is too long and exceeds limit of 2048",
    "llama-server": "the request exceeds the available context size. try increasing the context size or enable context shift",
    "llama-server, now": "request (9031 tokens) exceeds the available context size (8192 tokens), try increasing it",
    "llama-server, while answering": "Context size has been exceeded.",
    "llama-cpp-python": "Requested tokens (2065) exceed context window of 1800",
    "LM Studio": "Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with context "
    "length of only 4096 tokens, which is not enough. Try to load the model with a larger context length",
    "LM Studio 0.4": "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)",
    "LM Studio, older": "The number of tokens to keep from the initial prompt is greater than the context length.",
    "Ollama": "the input length exceeds the context length",
    "Ollama, now": "prompt too long; exceeded max context length by 213 tokens",
    "SGLang": "The input (61709 tokens) is longer than the model's context length (40960 tokens).",
    "SGLang, with its answer": "Requested token count exceeds the model's maximum context length of 40960 tokens. You requested a "
    "total of 49000 tokens: 10000 tokens from the input messages and 39000 tokens for the completion.",
    "TGI": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 512",
    "TGI, inputs": "Input validation error: `inputs` must have less than 1024 tokens. Given: 3065",
    "TensorRT-LLM": "The sum of prompt length (9000.0), query length (0) should not exceed max_num_tokens (8192)",
    "TensorRT-LLM, with its answer": "default_max_tokens (-808) should be greater than 0, default_max_tokens (-808) = max_seq_len",
    "TabbyAPI": "Prompt length 9000 is greater than max_seq_len 8192",
    "MLC": "Request prompt has 9000 tokens in total, larger than the model input length limit 8192.",
    "Anthropic": "prompt is too long: 210000 tokens > 200000 maximum",
    "Anthropic, with its answer": "input length and `max_tokens` exceed context limit: 198000 + 8192 > 200000, decrease input "
    "length or `max_tokens` and try again",
    "Gemini": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "Vertex": "Unable to submit request because the input token count is 40000 but the model only supports up to 32768.",
    "Groq": "Please reduce the length of the messages or completion.",
    "Cerebras": "Please reduce the length of the messages or completion. Current length is 10000 while limit is 8192",
    "Together": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens",
    "OpenRouter": "This endpoint's maximum context length is 32768 tokens. However, you requested about 42832 tokens (42832 of "
    "text input). Please reduce the length of either one, or use the \"middle-out\" transform",
    "Mistral": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "DeepSeek": "This model's maximum context length is 131072 tokens. However, you requested 131134 tokens (122942 in the "
    "messages, 8192 in the completion). Please reduce the length of the messages or completion.",
    "xAI": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    "Kimi": "Invalid request: Your request exceeded model token limit: 262144 (requested: 300000)",
    "MiniMax": "invalid params, context window exceeds limit (2013)",
    "Z.ai": "Prompt exceeds max length",
    "DashScope": "Range of input length should be [1, 30720]",
    "Bedrock": "Input is too long for requested model.",
    "Cohere": "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.",
    "Copilot": "prompt token count of 5000 exceeds the limit of 4096",
    "Fireworks": "The prompt is too long: 200000, model maximum context length: 131071",
    "GPT4All": "The prompt size exceeds the context window size and cannot be processed.",
}  # fmt: skip
TOO_LONG_AN_ANSWER = {
    "OpenAI, cap": "max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided",
    "OpenAI, cap beyond the window": "This model's maximum context length is 8192 tokens. However, you requested 9020 tokens (20 "
    "in the messages, 9000 in the completion). Please reduce the length of the messages or completion.",
    "vLLM, cap beyond the window": "'max_tokens' or 'max_completion_tokens' is too large: 9000. This model's maximum context "
    "length is 8192 tokens and your request has 20 input tokens (9000 > 8192 - 20).",
    "Groq, cap": "`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the "
    "`context_window` for this model",
    "Anthropic, cap": "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for this model",
    "DeepSeek, cap": "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
    "DashScope, cap": "Range of max_tokens should be [1, 8192]",
    "Bedrock, cap": "The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value "
    "that is lower than 4096.",
    "cap and window": "max_tokens cannot exceed the model's maximum context length",
}  # fmt: skip
NOT_TOO_LONG = {
    "OpenAI, schema": "Invalid schema for response_format 'answer': the total string length of all enum values exceeds the limit",
    "OpenAI, tools": "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 130",
    "OpenAI, policy": "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again.",
    "OpenAI, safety": "Your request was rejected as a result of our safety system. Your prompt may contain text that is not "
    "allowed by our safety system.",
    "Azure, filter": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please "
    "modify your prompt and retry.",
    "a safety policy": "The prompt exceeds the limits of our safety policy in this context",
    "a safety policy, once more": "In this context, the input is too large a risk: it exceeds the model's safety policy",
    "DeepSeek, content": "Content Exists Risk",
    "DashScope, content": "Input data may contain inappropriate content.",
    "a context of another kind": "failed to create context with model: the context exceeds the number of users",
    "a deadline": "context deadline exceeded",
    "an image": "the input image is too large",
    "a temperature": "temperature is too large: it exceeds the maximum of 2",
}  # fmt: skip
LIMITS = {
    "OpenAI": (429, "Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 40000. "
               "The input or output tokens must be reduced in order to run successfully."),
    "Groq": (413, "Request too large for model `m` in organization `o` on tokens per minute (TPM): Limit 6000, Requested 9000, "
             "please reduce your message size and try again."),
    "Anthropic": (429, "This request would exceed your organization's rate limit of 40,000 input tokens per minute."),
    "Azure": (429, "Requests have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 6 seconds."),
    "Bedrock": (429, "Too many tokens, please wait before trying again."),
}  # fmt: skip
FORMS = (
    '{{"error": {{"message": {0}}}}}',
    '{{"error": {0}}}',
    '{{"object": "error", "message": {0}}}',
    '{{"detail": {0}}}',
)


def error_from(status: int, body: str) -> BenchmarkError:
    return error_of(read_refusal(status, body.encode(), SECRETS))


@pytest.mark.parametrize("message", TOO_LONG.values(), ids=TOO_LONG)
def test_a_prompt_that_is_too_long_is_an_overflow_in_every_servers_words(message: str) -> None:
    for status in (400, 422, 500):
        for form in (*FORMS, '[{{"error": {{"message": {0}}}}}]'):
            found = error_from(status, form.format(json.dumps(message)))
            assert isinstance(found, ContextOverflowError), (status, form)
    assert isinstance(server_error(message, may_pass=True), ContextOverflowError), "in Ollama's dialect too"


@pytest.mark.parametrize("message", TOO_LONG_AN_ANSWER.values(), ids=TOO_LONG_AN_ANSWER)
def test_an_answer_limit_that_leaves_no_room_for_a_prompt_is_a_wrong_setting(message: str) -> None:
    for status in (400, 422):
        for form in FORMS:
            found = error_from(status, form.format(json.dumps(message)))
            assert isinstance(found, ConfigurationError) and "options.num_predict" in str(found), (status, form)
    assert not isinstance(server_error(message, may_pass=True), ContextOverflowError)


@pytest.mark.parametrize(
    "message",
    ["Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
     "max_tokens: Extra inputs are not permitted", "max_tokens is required"],
)  # fmt: skip
def test_a_field_that_a_server_does_not_know_is_no_wrong_setting(message: str) -> None:
    assert isinstance(error_from(400, json.dumps({"error": {"message": message}})), ModelError)


@pytest.mark.parametrize("message", NOT_TOO_LONG.values(), ids=NOT_TOO_LONG)
def test_what_only_sounds_like_it_is_a_refusal_of_another_kind(message: str) -> None:
    for status in (400, 422):
        for form in FORMS:
            assert isinstance(error_from(status, form.format(json.dumps(message))), ModelError), (status, form)
    assert not isinstance(server_error(message, may_pass=True), ContextOverflowError)


@pytest.mark.parametrize(("status", "message"), LIMITS.values(), ids=LIMITS)
def test_a_limit_of_tokens_in_a_time_passes_and_is_no_overflow(status: int, message: str) -> None:
    for body in ({"message": message}, {"message": message, "code": "rate_limit_exceeded"}):
        assert isinstance(error_from(status, json.dumps({"error": body})), OverloadedError)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "context_length_exceeded", ContextOverflowError),
        (400, "exceed_context_size_error", ContextOverflowError),
        (429, "context_length_exceeded", ContextOverflowError),
        (400, "content_filter", ModelError),
        (400, "rate_limit_exceeded", OverloadedError),
        (500, "overloaded_error", OverloadedError),
    ],
)
def test_a_code_counts_more_than_words(status: int, code: str, kind: type[BenchmarkError]) -> None:
    assert isinstance(error_from(status, json.dumps({"error": {"message": "no", "code": code}})), kind)


def test_a_prompt_that_a_moderator_flags_is_not_a_refused_key() -> None:
    body = json.dumps(
        {"error": {"code": 403, "message": "Your chosen model requires moderation and your input was flagged"}}
    )
    assert isinstance(error_from(403, body), ModelError)
