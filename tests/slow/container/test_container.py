"""The container kind with a real engine, and a local image that serves the embedded façade as Ollama's would."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import urllib3
from msgspec.structs import replace

from ai_dev_tools.benchmark.endpoints import EndpointSpec, container, open_endpoint
from ai_dev_tools.benchmark.errors import ConfigurationError, ModelError, StartupTimeoutError
from ai_dev_tools.benchmark.records.endpoint_spec import IMAGE_DIGESTS
from support import container_image
from support.workflow_project import Project

pytestmark = pytest.mark.slow
BROKEN = "localhost/ai-dev-tools-broken:test"
VOLUME = "ai-dev-tools-test"
HOLD = """
import json, sys, time
from ai_dev_tools.benchmark.endpoints import EndpointSpec, open_endpoint
with open_endpoint(EndpointSpec.from_dict(json.loads(sys.argv[1]))):
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def engine(modest_podman: None) -> str:
    container.find_engine.cache_clear()
    try:
        return container.find_engine()
    except ConfigurationError as error:
        pytest.skip(f"no container engine: {error}")


@pytest.fixture(scope="module")
def image(engine: str, weights: Path) -> Iterator[str]:
    yield container_image.build(engine, weights)
    for leftover in (["rmi", "--force", BROKEN, container_image.IMAGE], ["volume", "rm", "--force", VOLUME]):
        subprocess.run([engine, *leftover], capture_output=True, check=False)


@pytest.fixture
def spec(image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EndpointSpec:
    monkeypatch.chdir(tmp_path)
    return EndpointSpec(
        kind="container",
        image=image,
        log_dir=str(tmp_path / "logs"),
        models_dir=VOLUME,
        instance="test",
        num_ctx=512,
        startup_timeout_s=60,
    )


def ours(engine: str) -> list[str]:
    listing = subprocess.run(
        [engine, "ps", "--all", "--format", "{{.Names}}", "--filter", "label=ai-dev-tools.owner"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return listing.stdout.split()


def empty_within(engine: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while ours(engine) and time.monotonic() < deadline:
        time.sleep(0.2)
    return not ours(engine)


def test_it_is_started_answers_and_is_removed(spec: EndpointSpec, engine: str) -> None:
    with open_endpoint(spec) as endpoint:
        assert endpoint.kind == "container"
        assert endpoint.model_digest
        assert "@sha256:" in endpoint.details["settings"]["image"]
        body = {"model": endpoint.model, "prompt": "Hi", "stream": False, "options": {"num_predict": 2}}
        assert urllib3.request("POST", f"{endpoint.base_url}/api/generate", json=body).json()["eval_count"] == 2
        assert endpoint.pid
        assert psutil.Process(endpoint.pid).memory_info().rss > 100e6
        assert len(ours(engine)) == 1
    assert ours(engine) == []


def test_pulled_models_stay_in_their_volume(spec: EndpointSpec, engine: str) -> None:
    with open_endpoint(spec):
        pass
    volumes = subprocess.run([engine, "volume", "ls", "--quiet"], capture_output=True, text=True, check=True).stdout
    assert VOLUME in volumes.split()


def test_a_killed_server_is_restarted_where_it_was(spec: EndpointSpec) -> None:
    with open_endpoint(spec) as endpoint:
        url = endpoint.base_url
        assert endpoint.pid
        os.kill(endpoint.pid, signal.SIGKILL)
        endpoint.restart()
        assert endpoint.base_url == url
        assert urllib3.request("GET", url).data == b"Ollama is running"


def test_two_instances_start_side_by_side(spec: EndpointSpec, engine: str) -> None:
    def start(name: str) -> str:
        with open_endpoint(replace(spec, instance=name)) as endpoint:
            return endpoint.base_url

    with ThreadPoolExecutor(2) as pool:
        urls = list(pool.map(start, ["one", "two"]))
    assert len(set(urls)) == 2
    assert ours(engine) == []


def test_a_run_that_is_killed_leaves_no_container(spec: EndpointSpec, engine: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, json.dumps(spec.to_dict())], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as run:
        assert run.stdout
        assert run.stdout.readline() == b"ready\n"
        run.kill()
    assert empty_within(engine, 60)


def test_what_a_killed_run_and_guard_left_is_taken_away_by_the_next(spec: EndpointSpec, engine: str) -> None:
    fixed = replace(spec, port=container.free_port("127.0.0.1"))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, json.dumps(fixed.to_dict())], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as run:
        assert run.stdout
        assert run.stdout.readline() == b"ready\n"
        for guard in psutil.Process(run.pid).children():
            with suppress(psutil.NoSuchProcess):
                guard.kill()
        run.kill()
    assert len(ours(engine)) == 1
    with open_endpoint(fixed) as endpoint:
        assert endpoint.model_digest
    assert ours(engine) == []


def test_a_container_of_a_living_run_is_not_taken(spec: EndpointSpec, engine: str) -> None:
    fixed = replace(spec, port=container.free_port("127.0.0.1"))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, json.dumps(fixed.to_dict())], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as run:
        assert run.stdout
        assert run.stdout.readline() == b"ready\n"
        try:
            with pytest.raises(ConfigurationError, match="belongs to a run in progress"), open_endpoint(fixed):
                pass
        finally:
            run.terminate()
    assert empty_within(engine, 60)


def test_an_image_is_pinned_at_its_first_use_and_another_under_its_tag_is_refused(
    spec: EndpointSpec, engine: str
) -> None:
    tag = "localhost/ai-dev-tools-moving:test"
    moving, file = replace(spec, image=tag), Path(IMAGE_DIGESTS)

    def make(label: str) -> None:
        text = f"FROM {spec.image}\nLABEL made={label}\n"
        subprocess.run([engine, "build", "--quiet", "--tag", tag, "-"], input=text.encode(), check=True)

    try:
        make("first")
        with open_endpoint(moving) as endpoint:
            noted = json.loads(file.read_text())
            assert endpoint.details["settings"]["image"] == f"{tag}@{noted[tag]}"
            endpoint.restart()
        assert set(noted) == {tag}
        with open_endpoint(moving), open_endpoint(replace(spec, instance="other")):
            assert set(json.loads(file.read_text())) == {tag, spec.image}
        make("second")
        with pytest.raises(ConfigurationError, match="Delete its line") as caught, open_endpoint(moving):
            pass
        assert noted[tag][:19] in str(caught.value)
        assert json.loads(file.read_text())[tag] == noted[tag]
        assert ours(engine) == []
        file.write_text(json.dumps({}))
        with open_endpoint(moving):
            assert json.loads(file.read_text())[tag] != noted[tag]
    finally:
        subprocess.run([engine, "rmi", "--force", tag], capture_output=True, check=False)


def test_an_image_without_the_server_tells_its_last_words_and_keeps_them(spec: EndpointSpec, engine: str) -> None:
    entry = json.dumps([container_image._python(), "-c", "raise SystemExit('no server in here')"])
    subprocess.run(
        [engine, "build", "--quiet", "--tag", BROKEN, "-"],
        input=f"FROM {spec.image}\nENTRYPOINT {entry}\n".encode(),
        check=True,
    )
    with pytest.raises(ModelError, match="no server in here"), open_endpoint(replace(spec, image=BROKEN)):
        pass
    assert ours(engine) == []
    assert not Path(IMAGE_DIGESTS).exists(), "an image that serves nothing is not pinned"
    assert "no server in here" in next(Path(str(spec.log_dir)).glob("container.*.log")).read_text()


def test_an_image_that_does_not_exist_is_one_line(spec: EndpointSpec) -> None:
    missing = replace(spec, image="localhost/no-such-image:1")
    with (
        pytest.raises(ConfigurationError, match="cannot pull localhost/no-such-image:1") as caught,
        open_endpoint(missing),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_a_server_that_never_answers_is_given_up_and_removed(spec: EndpointSpec, engine: str) -> None:
    with pytest.raises(StartupTimeoutError), open_endpoint(replace(spec, startup_timeout_s=0.1)):
        pass
    assert ours(engine) == []


def test_a_run_through_containers_is_like_any_other(tmp_path: Path, image: str, engine: str) -> None:
    project = Project.create(tmp_path)
    config = project.folder / "config" / "config.yaml"
    text, count = re.subn(r"(?m)^  # image: .*$", f"  image: {image}\n  models_dir: {VOLUME}", config.read_text())
    assert count == 1
    port = container.free_port("127.0.0.1")
    config.write_text(
        f"{text}  boxed:\n    description: in a container\n    samples: 1\n    sizes: [S]\n    endpoint: container\n"
        "    max_concurrent: 1\n    task_timeout: 300\n"
        f"    instances:\n      small: {{model: 'smollm2:135m', host: 127.0.0.1, port: {port}}}\n"
    )
    try:
        project.run("run", profile="boxed", tasks="systematic_fix")
    finally:
        project.clean_up()
    samples = project.sample_files("boxed")
    assert len(samples) == 3
    assert {sample["status"] for sample in samples.values()} == {"completed"}
    assert {sample["endpoint"]["kind"] for sample in samples.values()} == {"container"}
    identity = json.loads((project.folder / "results/boxed/identity/smollm2-135m/systematic_fix.json").read_text())
    assert "@sha256:" in identity["sessions"][0]["endpoint"]["settings"]["image"]
    assert ours(engine) == []
