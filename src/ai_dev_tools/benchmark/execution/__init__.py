"""The block runner: ask the missing samples of a block, write each immediately, and reuse the rest.

One job runs one block. A failed request is a sample with an error class. The job itself fails only if the endpoint is
unusable, and keeps what it has.
"""

from __future__ import annotations

import threading
from contextlib import closing

from ai_dev_tools.benchmark._util.clock import duration
from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.endpoints import ReadyEndpoint, open_endpoint
from ai_dev_tools.benchmark.endpoints.chat import Accepted
from ai_dev_tools.benchmark.endpoints.pacing import Pace
from ai_dev_tools.benchmark.endpoints.resource_use import ResourceMonitor
from ai_dev_tools.benchmark.errors import LARGER_BUDGET, BudgetReached, EndpointConnectionError
from ai_dev_tools.benchmark.execution import slots
from ai_dev_tools.benchmark.execution.block_work import (
    BlockWork,
    Log,
    ask_again,
    find_missing,
    require_scores,
    retryable,
)
from ai_dev_tools.benchmark.execution.progress import BlockProgress, samples_kept
from ai_dev_tools.benchmark.execution.provenance import ModelMonitor
from ai_dev_tools.benchmark.execution.request import chat_of, one_token
from ai_dev_tools.benchmark.execution.threads import RequestThreads
from ai_dev_tools.benchmark.execution.warming import is_warm, warm_up
from ai_dev_tools.benchmark.plugins import load_plugins
from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.records.block import Block, in_dialect, named_api
from ai_dev_tools.benchmark.records.sample import Sample

MAX_RESTARTS = 2


def run_block(
    block: Block,
    prompts: dict[tuple[str, str], Prompt],
    log: Log,
    stop: threading.Event,
    only: tuple[str, int] | None = None,
) -> list[Sample]:
    """All samples of a block in the order of sending; see `ask_block`."""
    return list(ask_block(block, prompts, log, stop, only).samples())


def ask_block(
    block: Block,
    prompts: dict[tuple[str, str], Prompt],
    log: Log,
    stop: threading.Event,
    only: tuple[str, int] | None = None,
) -> BlockWork:
    """Have all samples of a block on disk.

    Existing ones that still match are kept; the others are asked now.

    Args:
        prompts: by (case, approach).
        log: called with each line for people.
        stop: set from outside to end early; requests in progress are then not written.
        only: (approach, sample) of a single wanted cell.

    Raises:
        BenchmarkError: the endpoint is unusable; samples that were finished are on disk.
    """
    if block.plugins:
        load_plugins(plugin.name for plugin in block.plugins)
    work = BlockWork(block, prompts)
    find_missing(work, log, only)
    if work.missing:
        _require_means(work)
        with open_endpoint(block.endpoint) as endpoint:
            _settle_dialect(work, endpoint, log)
            _ask_if_model_changed(work, endpoint, log)
            _measure(work, endpoint, log, stop)
    require_scores(work)
    if work.skipped:
        log(f"{block.task}: {plural(work.skipped, 'sample')} skipped, because their corpus is not available")
    return work


def _settle_dialect(work: BlockWork, endpoint: ReadyEndpoint, log: Log) -> None:
    """Ask in the dialect that was found on contact, unless a setting names one.

    Samples that were asked in another one are asked again.
    """
    if named_api(work.block) or endpoint.kind == "replay":
        return
    work.block = in_dialect(work.block, endpoint.api)
    other = {key for key, kept in work.done.items() if kept.asked and kept.api != endpoint.api}
    if other:
        again = plural(len(other), "sample is", "samples are")
        log(f"{work.block.instance}: its server speaks another API than before: {again} asked again")
        ask_again(work, other)


def _ask_if_model_changed(work: BlockWork, endpoint: ReadyEndpoint, log: Log) -> None:
    """Answers from other weights under the same name are not comparable: they are asked again, on contact."""
    stale = {
        key
        for key, kept in work.done.items()
        if kept.model_digest and endpoint.model_digest and kept.model_digest != endpoint.model_digest
    }
    if not stale:
        return
    log(
        f"{work.block.model} has other weights than before: {plural(len(stale), 'sample is', 'samples are')} asked again"
    )
    ask_again(work, stale)


def _require_means(work: BlockWork) -> None:
    """End before a server is started if not even the next request can be paid."""
    if work.account is None:
        return
    cell, block = work.missing[0], work.block
    prompt = work.prompt(cell)
    try:
        work.account.require(chat_of(block, cell, prompt, 0), prompt.timeout_s or block.timeout_s)
    except BudgetReached as error:
        raise _over_budget(work, error) from None


def _over_budget(work: BlockWork, error: BudgetReached) -> BudgetReached:
    """The error that says what of the run is missing."""
    wanted = work.block.run_requests
    kept = min(samples_kept(work.block), wanted)
    return BudgetReached(
        f"{error}: {kept} of {wanted} requests of this run are answered, {wanted - kept} are missing",
        remedy=LARGER_BUDGET,
    )


def _prepare(
    work: BlockWork,
    endpoint: ReadyEndpoint,
    threads: RequestThreads,
    monitor: ModelMonitor,
    log: Log,
    stop: threading.Event,
) -> list[slots.Slots]:
    """Have the model loaded, record as what it is, and find out how much is sent at once to each replica."""
    block, clients = work.block, threads.clients
    loaded = monitor.loaded()
    known = slots.known_slots(block, endpoint, loaded)
    chat = one_token(block, work.most_demanding)
    already = not (clients[0].negotiates or chat.tools) and is_warm(block, endpoint, loaded)
    warm = [True] * len(clients) if already else warm_up(block, chat, clients, endpoint.replicas, log, stop)
    monitor.accepted = clients[0].accepted
    found = slots.find_slots(block, clients, warm, known)
    for line in filter(None, (slots.in_words(one, endpoint, block.instance) for one in found)):
        log(line)
    monitor.slots = slots.to_record(found)
    monitor.check(loaded if already else None)
    return found


def _measure(work: BlockWork, endpoint: ReadyEndpoint, log: Log, stop: threading.Event) -> None:
    """Ask all missing cells; restart our own endpoint if it went away, a limited number of times."""
    progress = BlockProgress(work.block, len(work.missing), log)
    monitor = ModelMonitor(work.block, endpoint, work.session, log)
    accepted = Accepted()
    pace = Pace(
        lambda s: log(f"{work.block.instance}: the server's limits are reached, nothing is sent for {duration(s)}")
    )
    while work.missing and not stop.is_set():
        threads = RequestThreads(work, endpoint, progress, monitor, stop, accepted, pace)
        with closing(ResourceMonitor(endpoint.pid)) as meter:
            found = _prepare(work, endpoint, threads, monitor, log, stop)
            accepted = threads.clients[0].accepted
            meter.rescan()
            threads.run(meter, [one.usable for one in found])
        if threads.over and not stop.is_set():
            raise _over_budget(work, threads.over)
        if not threads.gone or stop.is_set():
            continue
        if not endpoint.can_restart or endpoint.restarts >= MAX_RESTARTS:
            again = retryable(work.done.values(), work.block.retry)
            raise EndpointConnectionError(
                f"the endpoint {endpoint.base_url} stopped answering; "
                f"{plural(len(work.done) - again, 'sample is', 'samples are')} kept, {len(work.missing) + again} still missing",
                instance=work.block.instance,
                remedy="Check the server and run the same command again: only what is missing is asked",
            )
        log(f"{work.block.instance}: the endpoint stopped answering and is restarted")
        endpoint.restart()
        work.missing.extendleft(reversed(threads.lost))
        progress.asked_again(len(threads.lost))
