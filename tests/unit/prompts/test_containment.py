"""A tool leaves nothing behind, sees nothing of the run above it, and is stopped at its limits, with and without a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest

from ai_dev_tools.benchmark.errors import ConfigurationError, ToolError
from ai_dev_tools.benchmark.prompts import bubblewrap, containment, supervisor, tools
from ai_dev_tools.benchmark.prompts.containment import ContainedProgram, RunLimits, bubblewrap_problem
from ai_dev_tools.benchmark.prompts.run_folder import Sandbox, fresh_run_folder, tool_environment
from ai_dev_tools.benchmark.prompts.tools import installed_version, run_tool
from support.making import tool
from support.repository import ROOT

FILES = {"app.py": "x = 1\n"}
DAEMON = """
import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", MARK])
    os._exit(0)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", MARK], start_new_session=True)
time.sleep(0.3)
"""

LOOK_UP = """
import os
pid, seen = os.getpid(), b""
while pid > 1:
    pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
    try:
        seen += open(f"/proc/{pid}/environ", "rb").read()
    except OSError:  # nobody's, or that of the system's first process
        pass
print(b"PATH=" in seen, b"s3cr3t" in seen)
"""


@pytest.fixture(params=["none", "bubblewrap"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    if request.param == "bubblewrap":
        require_bubblewrap()
    return request.param  # type: ignore[no-any-return]


def require_bubblewrap() -> None:
    """Skip where there is none, but not where everything must be installed."""
    if problem := bubblewrap_problem():
        if os.environ.get("CI_REQUIRE_ALL", "") not in ("", "0"):
            pytest.fail(f"{problem}, although CI_REQUIRE_ALL=1 says that all is installed")
        pytest.skip(problem)


def said(folder: Path, sandbox: Sandbox, code: str, **changed: Any) -> str:
    return run_tool(tool(folder, "-c", code, **changed), FILES, {}, sandbox=sandbox).condensed


def failure(folder: Path, sandbox: Sandbox, code: str, **changed: Any) -> str:
    with pytest.raises(ToolError) as caught:
        said(folder, sandbox, code, **changed)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def living(mark: str) -> list[int]:
    """Processes whose command line names the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and mark in process.cmdline():
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


# --- nothing is left ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hangs", [True, False])
def test_daemons_and_sessions_of_a_tool_do_not_outlive_it(hangs: bool, sandbox: Sandbox, tmp_path: Path) -> None:
    mark = f"mark-{uuid.uuid4()}"
    code = f"MARK = {mark!r}\n{DAEMON}"
    if hangs:
        assert "did not end within 3 s" in failure(tmp_path, sandbox, f"{code}\ntime.sleep(600)", timeout_s=3)
    else:
        assert said(tmp_path, sandbox, f"{code}\nprint('started')") == "started"
    assert living(mark) == []


@pytest.mark.parametrize("sent", ["KILL", "STOP"])
def test_a_tool_that_attacks_what_watches_it_is_a_failure_and_stops_nothing(
    sent: str, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containment, "GRACE_S", 1.0)
    monkeypatch.setattr(containment, "ENDING_S", 30.0 if sent == "STOP" else 0.1)
    lasts_s = 600 if (sent, sandbox) == ("STOP", "none") else 2
    code = f"import os, signal, time; os.kill(os.getppid(), signal.SIG{sent}); time.sleep({lasts_s}); print('on')"
    if sandbox == "none":
        assert "ended its supervisor" in failure(tmp_path, sandbox, code, timeout_s=4)
        if sent == "STOP":
            assert living(code) == [], "woken, it has ended the tool"
    else:
        assert said(tmp_path, sandbox, code) == "on", "the first process of a sandbox cannot be ended from within"


def test_a_tool_ends_with_the_run_that_started_it(sandbox: Sandbox, tmp_path: Path) -> None:
    """Also when that is killed and can end nothing itself."""
    mark = f"mark-{uuid.uuid4()}"
    code = f"""
import sys; sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
from support.making import tool
from ai_dev_tools.benchmark.prompts.tools import run_tool
run_tool(tool(Path({str(tmp_path)!r}), "-c", "import time; time.sleep(600)", {mark!r}), {{}}, {{}}, sandbox={sandbox!r})
"""
    run = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not living(mark):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.kill()
    run.wait()
    while living(mark):
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- the run above it ---------------------------------------------------------------------------------------------


def test_no_process_above_a_tool_shows_it_a_secret(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its parent is the supervisor, and the parent of that is not the run, whose environment may hold tokens."""
    (tmp_path / "look.py").write_text(LOOK_UP)
    code = f"""
import sys; sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
from support.making import tool
from ai_dev_tools.benchmark.prompts.tools import run_tool
print(run_tool(tool(Path({str(tmp_path)!r}), "{{tool_dir}}/look.py"), {{}}, {{}}, sandbox={sandbox!r}).condensed)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "TOKEN": "s3cr3t"}, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "True False", done.stderr


def test_in_a_sandbox_a_tool_sees_no_other_process_no_network_and_cannot_change_the_system(tmp_path: Path) -> None:
    require_bubblewrap()
    (tmp_path / "mine").write_text("kept")
    code = f"""
import json, os, socket
found = {{"processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit())}}
found["interfaces"] = [name for _, name in socket.if_nameindex()]
for name, path in {{"tool": {str(tmp_path / "mine")!r}, "system": "/usr/left"}}.items():
    try:
        open(path, "w")
        found[name] = "written"
    except OSError as error:
        found[name] = error.strerror
for place in (".", "~", "/tmp", os.environ["TMPDIR"]):
    open(os.path.join(os.path.expanduser(place), "left"), "w").write("x")
print(json.dumps(found))
"""
    found = json.loads(said(tmp_path, "bubblewrap", code))
    assert len(found["processes"]) == 2
    assert found["interfaces"] == ["lo"]
    assert found["tool"] == found["system"] == "Read-only file system"
    assert not Path("/tmp/left").exists()


def test_a_tool_that_says_so_keeps_the_network(tmp_path: Path) -> None:
    require_bubblewrap()
    code = "import socket; print(sorted(name for _, name in socket.if_nameindex()))"
    outside = str(sorted(psutil.net_if_addrs()))
    assert said(tmp_path, "bubblewrap", code, network=True) == outside


def test_a_result_says_whether_a_sandbox_was_used(sandbox: Sandbox, tmp_path: Path) -> None:
    assert run_tool(tool(tmp_path, "-c", "print(1)"), FILES, {}, sandbox=sandbox).sandbox == sandbox


def test_a_version_is_asked_for_as_a_tool_is_run(sandbox: Sandbox, tmp_path: Path) -> None:
    """It is the same stranger's program, and asked before every run."""
    mark = f"mark-{uuid.uuid4()}"
    code = f"MARK = {mark!r}\n{DAEMON}\nprint(os.path.basename(os.path.expanduser('~')), os.getcwd() != {str(Path.cwd())!r})"
    spec = tool(tmp_path, "x", version_command=("{python}", "-c", code))
    assert installed_version(spec, sandbox) == "home True"
    assert living(mark) == []


def test_a_sandbox_that_is_demanded_and_does_not_work_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containment, "bubblewrap_problem", lambda: "a trial of bubblewrap failed (no namespaces)")
    with pytest.raises(
        ConfigurationError, match=r"tool_sandbox is bubblewrap, but a trial of bubblewrap failed.*Install"
    ):
        run_tool(tool(tmp_path, "-c", ""), FILES, {}, sandbox="bubblewrap")
    assert run_tool(tool(tmp_path, "-c", "print(1)"), FILES, {}, sandbox="auto").sandbox == "none"


# --- limits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "open('big', 'wb').write(b'x' * 3_000_000)",
        "import os; open(os.path.expanduser('~/big'), 'wb').write(b'x' * 3_000_000)",
        "import tempfile; open(tempfile.mkstemp()[1], 'wb').write(b'x' * 3_000_000)",
        "for n in range(9): open('part%d' % n, 'wb').write(b'x' * 300_000)",
        "import os; os.mkdir('d')\nfor n in range(9): open('d/%d' % n, 'wb').write(b'x' * 300_000)\nos.chmod('d', 0)",
        "for n in range(2): open(str(n), 'wb').truncate(1_500_000)",
        "for n in range(700): open(str(n), 'w')",
    ],
    ids=["file", "home", "temporary", "many", "locked", "sparse", "entries"],
)
def test_a_tool_that_writes_too_much_is_refused(
    code: str, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "MAX_WRITTEN_BYTES", 2_000_000)
    monkeypatch.setattr(tools, "MAX_ENTRIES", 500)
    assert "echo wrote more than 2 MB or 500 files" in failure(tmp_path, sandbox, code)


def test_a_tool_that_goes_on_writing_is_ended_before_its_time_is_up(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "MAX_WRITTEN_BYTES", 1_000_000)
    monkeypatch.setattr(tools, "LOOK_EVERY_S", 0.1)
    code = "import time\nfor n in range(5): open(str(n), 'wb').write(b'x' * 500_000)\ntime.sleep(600)"
    assert "wrote more than 1 MB" in failure(tmp_path, sandbox, code, timeout_s=500)


def test_what_a_case_brings_does_not_count_as_written(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "MAX_WRITTEN_BYTES", 100_000)
    spec = tool(Path(), "-c", "print(len(open('big.py').read()))")
    assert run_tool(spec, {"big.py": "x" * 500_000}, {}, sandbox=sandbox).condensed == "500000"


def test_what_a_sandbox_shows_below_a_folder_of_the_tool_does_not_count_as_written(tmp_path: Path) -> None:
    """An environment below /tmp has tens of thousands of files, which would be looked through twice for every run."""
    shown = tmp_path / "a folder" / "environment"
    shown.mkdir(parents=True)
    (shown / "large").write_bytes(b"x" * 100_000)
    (tmp_path / "own").write_bytes(b"x")
    _, everything = supervisor._written([str(tmp_path)], set())
    _, entries = supervisor._written([str(tmp_path)], {str(shown)})
    assert (everything, entries) == (4, 3)


def test_mount_points_are_read_as_the_kernel_writes_them() -> None:
    assert supervisor._unescaped(rb"/tmp/a\040b\134c") == b"/tmp/a b\\c"
    if sys.platform == "linux":
        assert "/proc" in supervisor._mount_points()


def test_the_time_of_a_tool_is_its_own(sandbox: Sandbox) -> None:
    """What a supervisor and a sandbox take to start is not in it: both are up before the clock runs."""
    with (
        fresh_run_folder() as run_folder,
        open(run_folder.scratch / "out", "w+b") as out,
        open(run_folder.scratch / "err", "w+b") as err,
    ):
        before = time.perf_counter()
        ended = ContainedProgram(
            [sys.executable, "-I", "-S", "-c", "import time; time.sleep(0.2)"],
            run_folder,
            {},
            (out, err),
            RunLimits(60),
            sandbox,
        ).wait()
        outside = time.perf_counter() - before
    assert ended.how == "exit"
    assert 0.2 <= ended.wall_s < outside


def test_a_sandbox_that_cannot_be_made_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where an older bubblewrap lacks an option, or a container forbids namespaces."""
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "bwrap", lambda: str(program))
    assert (
        bubblewrap_problem.__wrapped__()
        == "a trial of bubblewrap failed (bwrap: No permissions to create new namespace)"
    )


# --- programs that are talked with, in an agent's folder ----------------------------------------------------------------


ECHO = "import sys\nfor line in sys.stdin:\n    print('got', line.strip(), flush=True)"


def test_a_program_can_be_talked_with_until_its_input_is_closed(sandbox: Sandbox) -> None:
    to, from_ = os.pipe(), os.pipe()
    with fresh_run_folder() as folder, open(folder.scratch / "err", "w+b") as err:
        with open(to[0], "rb") as stdin, open(from_[1], "wb") as stdout:
            argv = [sys.executable, "-c", ECHO]
            environment = tool_environment(folder, sandbox)
            running = ContainedProgram(argv, folder, environment, (stdout, err), RunLimits(60.0), sandbox, stdin=stdin)
        running.begin()
        os.write(to[1], b"a\n")
        assert os.read(from_[0], 100) == b"got a\n"
        assert running.ended_within(0.0) is None
        os.close(to[1])
        ended = running.ended_within(30.0)
        assert ended is not None and (ended.how, ended.code) == ("exit", 0)
        running.close()
        os.close(from_[0])


def test_a_program_that_is_closed_leaves_nothing_and_says_what_it_cost(sandbox: Sandbox) -> None:
    mark = f"mark-{uuid.uuid4()}"
    with fresh_run_folder() as folder, open(folder.scratch / "out", "w+b") as out:
        code = DAEMON.replace("MARK", repr(mark)) + "\ntime.sleep(600)"
        running = ContainedProgram(
            [sys.executable, "-c", code],
            folder,
            tool_environment(folder, sandbox),
            (out, out),
            RunLimits(600.0),
            sandbox,
        )
        running.begin()
        assert running.ended_within(1.0) is None
        ended = running.close()
    assert ended is not None and ended.how == "abandoned" and ended.wall_s > 0
    assert living(mark) == []


def test_rooms_of_agents_look_alike_in_a_sandbox() -> None:
    require_bubblewrap()
    seen = set()
    for _ in range(2):
        with fresh_run_folder(same_paths=True) as folder, open(folder.scratch / "out", "w+b") as out:
            code = "import os; open('x', 'w'); open(os.path.expanduser('~/y'), 'w'); print(os.getcwd(), os.environ['HOME'])"
            environment = tool_environment(folder, "bubblewrap")
            ContainedProgram(
                [sys.executable, "-c", code], folder, environment, (out, out), RunLimits(30.0), "bubblewrap"
            ).wait()
            out.seek(0)
            text = out.read().decode()
            seen.add(text)
            assert (folder.case / "x").exists() and (folder.home / "y").exists()
            assert folder.without_paths(text) == ". ~\n"
    assert len(seen) == 1
