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
from ai_dev_tools.benchmark.analysis.verdicts import judge, measure_claims
from ai_dev_tools.benchmark.records.plan import Claim, DeclaredPlan

SAMPLES = Path(__file__).parents[1] / "docs/examples/statistics/samples.csv"
MARKED = re.compile(r"(?<=<!-- worked example -->\n).*?(?=<!-- /worked example -->)", re.DOTALL)
FIRST = 16

TEMPLATE = """
Does a tool that condenses files save tokens? In this invented example, the same question is asked about {projects} projects:
once with the project's files (`baseline`), once with the tool's findings (`tools`) and once with neither (`no_context`). All
{samples} samples are in [samples.csv](examples/statistics/samples.csv). They are made up and say nothing about a real tool.
The first plan covers {first} projects.

1. **Samples.** The second project took {base} tokens with its files and {tool} with the findings. The answers scored
   {score} and {score_tool}.
2. **Pairs.** The ratio of this pair is {tool} / {base} = {ratio_one:.3f}, and its logarithm is {log_one:.3f}. On the log
   scale, 0.5 and 2 cancel out.
3. **Estimate.** The mean of the {first} logarithms is {mean:.4f}. This is a ratio of exp({mean:.4f}) = {ratio:.3f}, or
   {saved:.1f} % fewer tokens.
4. **Uncertainty.** The standard deviation of the logarithms is {sd:.3f}, so the standard error is {sd:.3f} / √{first} =
   {se:.4f}. The 95 % *t* interval of the ratio is {t_low:.3f} to {t_high:.3f}. With the wider of the *t* and the bootstrap
   interval on each side, it is {low:.3f} to {high:.3f}.
5. **Margin.** A saving means a ratio below 0.95, and the interval ends below that. The two-sided p-value is {p:.4f}. One claim
   on one model is a family of one, and a first look is tested at {alpha}. So the tool is cheaper.
6. **Answers.** The scores differ by {quality:+.3f} on average, and at worst by {quality_bound:+.3f}. With {first} projects, a
   loss of more than 0.10 cannot be excluded. Guessing can: `baseline` beats `no_context` (p = {floor_p:.1g}), and so does
   `tools`.
7. **Verdict**: *{word}* ({reasons}).

The claim needs more projects. A second plan asks for {projects} and changes nothing else, so it *continues* the first plan.
The {reused} existing samples count, and in return the second look is tested at a smaller level.

8. **Second look.** {projects} pairs give a ratio of {ratio_2:.3f} ({low_2:.3f} to {high_2:.3f}), with p = {p_2:.4f} at a level
   of {alpha_2}. The scores differ by {quality_2:+.3f}, and at worst by {quality_bound_2:+.3f}. The total bill is {bill_2:.3f}
   times that of the baseline.
9. **Verdict**: *{word_2}*. The card says:

> {sentence_2}

"""


def judged(samples: pd.DataFrame, *sizes: int) -> pd.Series[Any]:
    """The verdict at the last of several plans, each of so many samples."""
    cases = list(dict.fromkeys(samples["case"]))
    plans = [
        DeclaredPlan(
            plan=name,
            rules=2,
            profile="example",
            models=("m",),
            tasks={"bugs": tuple(cases)},
            approaches=("baseline", "tools", "no_context"),
            samples=size,
            claims=(Claim(id="tokens:tools", outcome="tokens", approach="tools"),),
        )
        for name, size in zip(("first", "second"), sizes, strict=False)
    ]
    table = judge(measure_claims(samples[samples["sample"] < sizes[-1]], plans)).verdicts
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
