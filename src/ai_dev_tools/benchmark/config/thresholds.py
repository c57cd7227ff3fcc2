"""The thresholds of the validity checks: the only settings that tables need.

Apart from `models`, which takes a tenth of a second to import.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ai_dev_tools.benchmark.config.parsing import StrictModel

Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


class ValidityThresholds(StrictModel):
    """When a check flags a sample, and when flags make a verdict invalid."""

    truncated_tokens: Amount = Field(
        16, description="input tokens fewer than the same prompt had elsewhere (and > 2 %)"
    )
    cached_tokens: Amount = Field(48, description="tolerated cached prompt tokens: the prefix of a chat template")
    load_s: Amount = Field(0.5, description="seconds of loading beyond the session's warm loads that flag a request")
    queued_s: Amount = Field(
        0.5, description="seconds in the server's queue below which a request never counts as queued"
    )
    queued_share: Share = Field(0.25, description="and share of the request's time")
    other_cpu_cores: Amount = Field(0.25, description="cores that other processes may use during a request")
    other_cpu_s: Amount = Field(
        0.2, description="CPU seconds of other processes below which contention is never flagged"
    )
    clock_s: Amount = Field(1.0, description="seconds by which a clock may appear to run backwards")
    max_dropped: Share = Field(
        0.10, description="share of pairs lost to infrastructure above which a verdict is invalid"
    )
    max_flagged: Share = Field(0.20, description="share of flagged pairs above which a verdict is invalid")
    max_arm_difference: Share = Field(
        0.10, description="difference between the arms' flagged shares above which a verdict is invalid"
    )
    max_place_difference: Amount = Field(
        0.2, description="places by which one arm may be asked earlier on average in a claim about time"
    )
    min_clusters: Annotated[int, Field(ge=2)] = Field(
        6, description="clusters below which a result is descriptive only"
    )
