"""A run's tables in, the report in every format out."""

from __future__ import annotations

import json
import logging
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from ai_dev_tools.benchmark._util.scratch import scratch_folder
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError
from ai_dev_tools.benchmark.plugins import load_plugins
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.reporting.browser import (
    FOLDER,
    MOST_INLINE_BYTES,
    MOST_INLINE_SAMPLES,
    SCRIPT_HEAD,
    BrowserData,
    browser_data,
    load_prompts,
    read_blocks,
)
from ai_dev_tools.benchmark.reporting.build import SCHEMA_VERSION, build_report
from ai_dev_tools.benchmark.reporting.data import RunData, read_run
from ai_dev_tools.benchmark.reporting.document import Page, Report, Section, Table, Verdicts
from ai_dev_tools.benchmark.reporting.figures.pictures import figure_csv
from ai_dev_tools.benchmark.reporting.formats import badge, console, custom_template, html, junit, markdown, structured
from ai_dev_tools.benchmark.reporting.machine import ReportOrigin
from ai_dev_tools.benchmark.reporting.notebook import PLUGINS, OpenReport, executed, only_shows, tags, with_outputs

if TYPE_CHECKING:
    from nbformat.notebooknode import NotebookNode
    from traitlets.config import Config

MOST_SOCKET_PATH = 80
MOST_FIGURE_ROWS = 5000


@dataclass(frozen=True)
class Payload:
    """Data scripts of a page, and whether it loads more from side files."""

    scripts: str
    side_files: bool


@dataclass(frozen=True)
class Inputs:
    """Files that a report is made from.

    Attributes:
        tables: folder of the run's tables.
        notebook: the report notebook, with a cell tagged `parameters`.
        plans: the plan ledger, if there is one.
        blocks, prompts: block files and prompt files, for the sample browser; what is not there is left out.
        about: what the settings say of the run, if that is known.
        templates: custom Jinja2 templates; `x.md.j2` becomes `x.md` next to the report.
        plugins: as the setting of that name has them; loaded in the notebook, which may draw with their plots.
    """

    tables: Path
    notebook: Path
    plans: Path | None = None
    blocks: Sequence[Path] = ()
    prompts: Sequence[Path] = ()
    about: RunAbout | None = None
    templates: Sequence[Path] = ()
    plugins: Sequence[str] = ()


def render_report(inputs: Inputs, folder: Path, figures: Path) -> Report:
    """Write the report in every format into `folder`, and its pictures and their data into `figures`.

    Writes report.{html,md,json,csv,txt,xml,ipynb}, badges/ and tables/.

    Raises:
        BenchmarkError: a table cannot be read, or a cell of the notebook fails.
    """
    data = read_run(inputs.tables, inputs.about, inputs.plans)
    report = build_report(data)
    _write_texts(report, data, inputs, folder, figures)
    parameters = {
        "tables": str(inputs.tables),
        "plans": str(inputs.plans or ""),
        "figures": str(figures),
        "about": (inputs.about.plain() if inputs.about else {})
        | ({PLUGINS: list(inputs.plugins)} if inputs.plugins else {}),
    }
    load_plugins(inputs.plugins)
    run = OpenReport(data, figures, report)
    execute_notebook(inputs.notebook, folder / "report.ipynb", structured.jsonable(parameters), run)
    _write_page(report, inputs, folder)
    return report


def render_without_kernel(inputs: Inputs, folder: Path, figures: Path, made: ReportOrigin) -> Report:
    """Write the same files in a fraction of the time.

    They are equal byte by byte, except for report.ipynb, which also holds times and parameters.

    Args:
        inputs: with this package's own notebook; no cell of it is run, only what `run.show` would show is put in.
        made: how the report came about that this one is to be like.
    """
    data = read_run(inputs.tables, inputs.about, inputs.plans, made)
    run = OpenReport(data, figures)
    _write_texts(run.report, data, inputs, folder, figures)
    read: Any = nbformat.read
    write: Any = nbformat.write
    write(with_outputs(read(str(inputs.notebook), as_version=4), run), str(folder / "report.ipynb"))
    _write_page(run.report, inputs, folder)
    return run.report


def _write_texts(report: Report, data: RunData, inputs: Inputs, folder: Path, figures: Path) -> None:
    """Every format that needs neither pictures nor the notebook."""
    folder.mkdir(parents=True, exist_ok=True)
    content = structured.render(report, SCHEMA_VERSION)
    written = {
        "report.md": markdown.render(report, os.path.relpath(figures, folder)),
        "report.json": json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "report.csv": structured.render_csv(report),
        "report.txt": console.render(report, content),
        "report.xml": junit.render(report),
        **{
            custom_template.output_name(path): custom_template.render(path, report, content, data)
            for path in inputs.templates
        },
        **{f"badges/{name}": badge.render(verdict) for name, verdict in badge.file_names(report.verdicts)},
        **{f"tables/{name}.csv": text for name, text in structured.csv_tables(report).items()},
        **{f"tables/{name}.html": text for name, text in table_pages(report).items()},
    }
    for name in ("badges", "tables"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir()
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8", errors="replace")


def _write_page(report: Report, inputs: Inputs, folder: Path) -> None:
    """Write report.html from the notebook in the same folder."""
    payload = page_payload(
        report, browser_data(read_blocks(sorted(inputs.blocks)), load_prompts(inputs.prompts)), folder
    )
    page = html_page(folder / "report.ipynb", report, payload)
    (folder / "report.html").write_text(page, encoding="utf-8", errors="replace")


def table_pages(report: Report) -> dict[str, str]:
    """The verdicts and each table that has rows, as small pages by id, for Snakemake's report."""
    parts: dict[str, Verdicts | Table] = {table.id: table for table in report.tables if table.rows}
    verdicts = next((block for _, block in report.blocks() if isinstance(block, Verdicts)), None)
    if verdicts and verdicts.items:
        parts["verdicts"] = verdicts
    pages = {}
    for name, block in parts.items():
        section = Section(f"part-{name}", block.title if isinstance(block, Table) else "Verdicts", (block,))
        page = Page(section.title, report.header[:2], (section,))
        pages[name] = html.document(page, html.section_html(section, {}), "")
    return pages


def page_payload(report: Report, data: BrowserData, folder: Path) -> Payload:
    """The data inside a page; what is too much for one page is written to side files, as scripts."""
    figures = {f.id: figure_csv(f) for f in report.figures if len(f.data) <= MOST_FIGURE_ROWS}
    scripts = {name: html.script_json(part) for name, part in data.parts.items()}
    side = folder / FOLDER
    if side.exists():
        shutil.rmtree(side)
    side_files = data.samples > MOST_INLINE_SAMPLES or sum(map(len, scripts.values())) > MOST_INLINE_BYTES
    inline = [
        html.data_script("figure-data", figures),
        html.data_script("browser-mode", {"folder": FOLDER if side_files else ""}),
    ]
    if not side_files:
        return Payload(
            "\n".join([*inline, *(html.data_script(f"browser-{n}", part) for n, part in data.parts.items())]), False
        )
    side.mkdir()
    for name, text in scripts.items():
        (side / f"{name}.js").write_text(f'{SCRIPT_HEAD}"{name}",{text});\n', encoding="utf-8")
    return Payload("\n".join(inline), True)


def html_page(notebook: Path, report: Report, payload: Payload) -> str:
    """The executed notebook as one page without its code, in the package's own template."""
    read: Any = nbformat.read
    cells = read(str(notebook), as_version=4)
    body = shown_html(cells)
    return html.document(report, converted(cells) if body is None else body, payload.scripts, payload.side_files)


def shown_html(cells: NotebookNode) -> str | None:
    """What `converted` makes of a notebook that only shows parts of the report.

    None if it shows more.
    """
    parts: list[str] = []
    for cell in cells.cells:
        if cell.cell_type == "markdown" and "report" in tags(cell):
            continue
        if cell.cell_type != "code":
            return None
        for output in cell.outputs:
            if output.output_type != "execute_result" or set(output.data) != {"text/html", "text/plain"}:
                return None
            parts.append(output.data["text/html"])
    return "".join(parts)


def converted(cells: NotebookNode) -> str:
    """An executed notebook as HTML, by nbconvert.

    Importing it takes half a second, which the shipped notebook does not need.
    """
    from nbconvert.exporters import HTMLExporter, TemplateExporter  # takes 0.3 s

    with resources.as_file(
        resources.files("ai_dev_tools.benchmark.reporting") / "templates" / "nbconvert"
    ) as templates:
        make_exporter: Any = HTMLExporter
        exporter = make_exporter(
            template_name="benchmark", extra_template_basedirs=[str(templates)], exclude_input=True
        )
        # HTMLExporter's own method parses the finished page once more, which costs seconds and changes its bytes
        body, _ = TemplateExporter.from_notebook_node(exporter, cells, {})
    return str(body)


def execute_notebook(
    notebook: Path, output: Path, parameters: Mapping[str, object], run: OpenReport | None = None
) -> None:
    """Run a notebook with parameters and write the executed one.

    With papermill, unless it only shows parts of the report.

    Args:
        run: what a notebook that only shows a report is to show; it then needs no kernel.

    Raises:
        ConfigurationError: the notebook does not exist, or the file is not a notebook.
        BenchmarkError: one of its cells fails; names the error.
    """
    if not notebook.exists():
        raise ConfigurationError(
            f"the notebook {notebook} does not exist", remedy="Choose an existing notebook, or restore the file"
        )
    with _quiet_jupyter():
        cells = _require_notebook(notebook)
        if run and only_shows(cells):
            _write_notebook(*executed(cells, run, parameters), notebook, output)
            return
        # these take 0.2 s, and a kernel several, that a report of the shipped notebook does not pay
        import papermill
        from papermill.exceptions import PapermillException

        try:
            papermill.execute_notebook(
                str(notebook),
                str(output),
                dict(parameters),
                request_save_on_cell_execute=False,
                kernel_name="python3",
                progress_bar=False,
                log_output=False,
                config=_transport(Path(os.environ["JUPYTER_RUNTIME_DIR"])),
            )
        except PapermillException as error:
            name, value = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", str(error))
            raise _cell_failed(notebook, output, f"{name}: {value}") from None


def _write_notebook(cells: NotebookNode, failed: str, notebook: Path, output: Path) -> None:
    """Write an executed notebook, and then raise if a cell of it failed."""
    write: Any = nbformat.write
    write(cells, str(output))
    if failed:
        raise _cell_failed(notebook, output, failed)


def _cell_failed(notebook: Path, output: Path, said: str) -> BenchmarkError:
    return BenchmarkError(f"{notebook}: a cell failed: {said}", remedy=f"See {output}")


def _require_notebook(path: Path) -> NotebookNode:
    """The notebook; a file that is not one is refused before anything runs."""
    try:
        read: Any = nbformat.read
        cells: NotebookNode = read(str(path), as_version=4)
        nbformat.validate(cells)
    except Exception as error:  # nbformat raises many kinds of errors for a damaged file
        said = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ConfigurationError(f"{path} is not a notebook ({said})", remedy="Restore it, or name another") from None
    return cells


def _transport(folder: Path) -> Config:
    """Talk to the kernel over sockets in a private folder instead of TCP.

    Only if the folder's name is short enough for a socket.
    """
    from traitlets.config import Config  # takes 0.1 s

    short = len(str(folder)) < MOST_SOCKET_PATH
    return Config({"KernelManager": {"transport": "ipc", "ip": str(folder.parent / "k")}}) if short else Config()


@contextmanager
def _quiet_jupyter() -> Iterator[None]:
    """Keep Jupyter and IPython out of the user's home, which may be read-only.

    Also keep their messages off the console.
    """
    names = (
        "IPYTHONDIR",
        "JUPYTER_RUNTIME_DIR",
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_PLATFORM_DIRS",
        "PYDEVD_DISABLE_FILE_VALIDATION",
    )
    before = {name: os.environ.get(name) for name in names}
    level = logging.root.manager.disable
    with scratch_folder("report") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ.update(
            zip(names, (f"{folder}/ipython", f"{folder}/runtime", f"{folder}/config", "1", "1"), strict=True)
        )
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(level)
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})
