"""Draws a bar chart of CPU time per record from a JSON file of costs."""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

source, target = sys.argv[1:]
table = json.loads(Path(source).read_text())
rows = sorted(table["rows"], key=lambda row: row["cpu_us"])
figure, axes = plt.subplots(figsize=(8, 0.5 * len(rows) + 1.2))
bars = axes.barh(
    [row["name"] for row in rows],
    [row["cpu_us"] for row in rows],
    color=["#ff7a59" if row["is_ours"] else "#7c98b6" for row in rows],
)
axes.bar_label(bars, labels=[f"{row['cpu_us']:,.0f}" for row in rows], padding=4)
axes.set(xlabel="µs of CPU time per record (less is better)", title=table["title"])
axes.invert_yaxis()
axes.margins(x=0.1)
for side in ("top", "right"):
    axes.spines[side].set_visible(False)
figure.tight_layout()
figure.savefig(target, dpi=110)
