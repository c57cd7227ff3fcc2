"""Columns that tables of several sections have, so that the same number has the same name everywhere."""

from __future__ import annotations

from ai_dev_tools.benchmark.reporting.document import Column

MODEL, TASK, APPROACH = Column("model", "Model"), Column("task", "Task"), Column("approach", "Approach")
LOW, HIGH = Column("low", "95 % from", "number", 3), Column("high", "95 % to", "number", 3)
PAIRS, CLUSTERS = Column("pairs", "Pairs", "number"), Column("clusters", "Clusters", "number")
NOTE = Column("note", "Note")
SUCCESS, QUALITY = Column("success_rate", "Success", "percent", 1), Column("quality", "Quality", "number", 3)
TOKENS_AND_TIME = (
    Column("input_tokens_mean", "Input tokens", "number", 1),
    Column("output_tokens_mean", "Output tokens", "number", 1),
    Column("total_tokens_mean", "Total tokens", "number", 1),
    Column("duration_mean", "Mean s", "number", 2),
)
SPEED, THROUGHPUT = (
    Column("decode_tokens_per_second", "Written tok/s", "number", 1),
    Column("throughput", "Requests/s", "number", 3),
)
