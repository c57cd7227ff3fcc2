"""`ai-dev-bench`: every command prints the Snakemake command that it runs.

Exit codes: 0 done; 1 the run failed, a check failed, an archive is not valid, or something got worse; 2 the call
or a setting is wrong (the message names the right one); 3 the gate could not decide (`gate --strict`); 130 stopped
by Ctrl-C; 143 told to end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from ai_dev_tools import __version__
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, file_error
from ai_dev_tools.cli import archives, console, runs, tasks
from ai_dev_tools.cli.compare import compare
from ai_dev_tools.cli.gate import gate
from ai_dev_tools.cli.imports import import_runs
from ai_dev_tools.cli.migrate import migrate
from ai_dev_tools.cli.options import join_lists
from ai_dev_tools.cli.plan import plan
from ai_dev_tools.cli.serve import serve
from ai_dev_tools.cli.validate import validate
from ai_dev_tools.cli.watch import watch
from ai_dev_tools.cli.wrong_calls import WrongCall, better_call

app = typer.Typer(
    help="Does handing a language model a tool's findings save tokens and time at equal quality?",
    epilog=(__doc__ or "").partition("\n\n")[2].replace("\n", " "),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.out(__version__)
        raise SystemExit(console.OK)


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit")
    ] = False,
) -> None:
    pass


COMMANDS: dict[str, Callable[..., None]] = {
    "run": runs.run,
    "batch": runs.batch,
    "compare": compare,
    "report": runs.report,
    "archive": runs.archive,
    "list-tasks": tasks.list_tasks,
    "add-task": tasks.add_task,
    "validate": validate,
    "plan": plan,
    "verify": archives.verify,
    "unpack": archives.unpack,
    "render": archives.render,
    "import": import_runs,
    "gate": gate,
    "watch": watch,
    "serve": serve,
    "migrate": migrate,
}
"""Every command, in the order of `--help`."""
for _name, _command in COMMANDS.items():
    app.command(name=_name)(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn every failure into one line and an exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    at = words.index("--") if "--" in words else len(words)
    words, flags = words[:at], words[at + 1 :]
    try:
        result = app(join_lists(words), standalone_mode=False, prog_name="ai-dev-bench", obj={"flags": flags})
        return result if isinstance(result, int) else console.OK
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else console.FAILED
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _explain(error, words)


def _explain(error: Exception, words: list[str]) -> int:
    """One line that names the right call; errors that are not the user's are raised."""
    if isinstance(error, OSError) and error.filename is None:  # the output itself, on a disk that is full
        console.out_to_nowhere()
        console.say(f"error: cannot write the output: {error.strerror}")
        return console.FAILED
    error = file_error(error) if isinstance(error, OSError) else error
    if isinstance(error, BenchmarkError):
        for line in str(error).splitlines():
            console.say(f"error: {line}")
        return console.WRONG_CALL if isinstance(error, ConfigurationError) else console.FAILED
    if not isinstance(error, WrongCall):
        raise error
    message = better_call(error, words)
    if message:
        console.say(f"error: {message}")
    return int(getattr(error, "exit_code", console.WRONG_CALL))


if __name__ == "__main__":
    raise SystemExit(main())
