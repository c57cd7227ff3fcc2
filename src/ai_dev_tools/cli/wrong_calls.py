"""Messages for wrong calls: what was wrong, and the nearest right one."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ai_dev_tools.benchmark._util.text import nearest


@runtime_checkable
class WrongCall(Protocol):
    """What the parser raises for a call that it cannot read.

    Typer's own classes for that are private.
    """

    def format_message(self) -> str:
        """What is wrong."""


def better_call(error: WrongCall, words: list[str]) -> str:
    """What was wrong with a call, and the nearest right one."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return "say what to do, for example: ai-dev-bench run --profile embedded (all commands: ai-dev-bench --help)"
    message = " ".join(str(error.format_message()).split())
    context = getattr(error, "ctx", None)
    if "No such command" in message and context is not None:
        wrong = next((word for word in words if not word.startswith("-")), "")
        return f"no command '{wrong}', {nearest(wrong, context.command.list_commands(context))}"
    option = getattr(error, "option_name", None)
    if option and context is not None and "o such option" in message:
        options = [name for parameter in context.command.params for name in parameter.opts if name.startswith("--")]
        hint = f"{nearest(option, options)} (Snakemake's own go after --)"
        return f"no option '{option}' of '{context.command_path}', {hint}"
    usage = f" (see {context.command_path} --help)" if context is not None else ""
    return f"{message.rstrip('.')}{usage}" if message else ""
