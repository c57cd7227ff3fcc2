"""The worked example of docs/statistics.md: its numbers, from docs/examples/statistics/samples.csv.

python benchmarks/worked_example.py                              # prints the section
python benchmarks/worked_example.py --write docs/statistics.md   # replaces it there
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.analysis.verdicts import verdicts

SAMPLES = Path(__file__).parents[1] / "docs/examples/statistics/samples.csv"
MARKED = re.compile(r"(?<=<!-- worked example -->\n).*?(?=<!-- /worked example -->)", re.DOTALL)
FIRST = 16

TEMPLATE = """
Does a tool that condenses files save tokens? {projects} invented projects were asked about, each once with its files
(`baseline`), once with the tool's findings (`tools`) and once with neither (`no_context`). All {samples} samples are in
[samples.csv](examples/statistics/samples.csv); nothing in them is a result. The plan was {first} projects first.

1. **Samples.** The second project took {base} tokens with its files and {tool} with the findings; the answers scored
   {score} and {score_tool}.
2. **Pairs.** Its ratio is {tool} / {base} = {ratio_one:.3f}, its logarithm {log_one:.3f}. In logarithms 0.5 and 2 cancel.
3. **Estimate.** The mean of the {first} logarithms is {mean:.4f}: a ratio of exp({mean:.4f}) = {ratio:.3f}, or
   {saved:.1f} % fewer tokens.
4. **How sure.** Their standard deviation is {sd:.3f}, so the standard error is {sd:.3f} / √{first} = {se:.4f}. The 95 % *t*
   interval of the ratio is {t_low:.3f} to {t_high:.3f}; with the bootstrap the wider end on each side {low:.3f} to {high:.3f}.
5. **The margin.** Saving means a ratio below 0.95. The interval ends below it. The two-sided p-value is {p:.4f}, one claim on one
   model is a family of one, and a first look allows {alpha}: cheaper.
6. **The answers.** Their scores differ by {quality:+.3f} on average, which could be {quality_bound:+.3f} at worst. A loss of more
   than 0.10 is not excluded by {first} projects. Guessing is: `baseline` beats `no_context` (p = {floor_p:.1g}),
   and so does `tools`.
7. **The word** is *{word}*: {reasons}.

The claim needs more projects, and may have them. The second plan asks for {projects} and changes nothing else, so it
*continues* the first: the {reused} samples that are there count, and the second look is paid for with a smaller level.

8. **Second look.** {projects} pairs give a ratio of {ratio_2:.3f} ({low_2:.3f} to {high_2:.3f}), p = {p_2:.4f} at a level of
   {alpha_2}; scores differ by {quality_2:+.3f}, at worst {quality_bound_2:+.3f}. The whole bill is {bill_2:.3f} of the baseline's.
9. **The word** is *{word_2}*. The card says:

> {sentence_2}

"""


def judged(samples: pd.DataFrame, *sizes: int) -> pd.Series[Any]:
    """The verdict at the last of several plans, each of so many samples."""
    cases = list(dict.fromkeys(samples["case"]))
    claim = {"id": "tokens:tools", "endpoint": "tokens", "approach": "tools"}
    plans = [
        {
            "plan": name,
            "rules": 2,
            "profile": "example",
            "models": ["m"],
            "tasks": {"bugs": cases},
            "approaches": ["baseline", "tools", "no_context"],
            "samples": size,
            "claims": [claim],
        }
        for name, size in zip(("first", "second"), sizes, strict=False)
    ]
    table = verdicts(samples[samples["sample"] < sizes[-1]], plans)
    return table[table["task"] == ALL].iloc[0]


def text() -> str:
    """The section, with every number computed."""
    samples = pd.read_csv(SAMPLES)
    tokens = samples["input_tokens"] + samples["output_tokens"]
    wide = samples.assign(tokens=tokens).pivot(index="sample", columns="approach", values=["tokens", "score"])
    logs = np.log(wide["tokens"]["tools"] / wide["tokens"]["baseline"]).to_numpy()[:FIRST]
    error = logs.std(ddof=1) / np.sqrt(FIRST)
    ends = np.exp(stats.t.interval(0.95, FIRST - 1, logs.mean(), error))
    one, two = judged(samples, FIRST), judged(samples, FIRST, len(wide))
    return TEMPLATE.format(
        projects=len(wide), samples=len(samples), first=FIRST, reused=3 * FIRST,
        base=f"{wide['tokens']['baseline'][1]:.0f}", tool=f"{wide['tokens']['tools'][1]:.0f}",
        score=wide["score"]["baseline"][1], score_tool=wide["score"]["tools"][1], ratio_one=np.exp(logs[1]), log_one=logs[1],
        mean=logs.mean(), ratio=one["ratio"], saved=one["change_percent"], sd=logs.std(ddof=1), se=error,
        t_low=ends[0], t_high=ends[1], low=one["low"], high=one["high"], p=one["p_adjusted"], alpha=one["alpha"],
        quality=one["quality_difference"], quality_bound=one["quality_bound"], floor_p=one["floor_p"],
        word=one["verdict"], reasons=one["reasons"],
        ratio_2=two["ratio"], low_2=two["low"], high_2=two["high"], p_2=two["p_adjusted"], alpha_2=two["alpha"],
        quality_2=two["quality_difference"], quality_bound_2=two["quality_bound"], bill_2=two["bill_ratio"],
        word_2=two["verdict"], sentence_2=two["sentence"],
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="a Markdown page with the markers")
    page = parser.parse_args().write
    if page is None:
        print(text())
        return
    page.write_text(MARKED.sub(lambda _: text(), page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
