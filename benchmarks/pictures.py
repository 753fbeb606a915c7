"""Draws the pictures of the recorded results anew, each from its JSON alone.

    python benchmarks/pictures.py

`benchmarks/results/NAME-gain.png` shows what each system gains, or what each expander is worth with each retriever;
`pydocs-cost.png` sets the gain against the cost.
"""

import json
import sys
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks/results"
sys.path.insert(0, str(ROOT))

from builders.grading.results_form import in_one_form
from builders.plots.cost_plot import cost_plot
from builders.plots.gain_plot import compared, gain_plot
from builders.plots.grid_plot import interval_plot


# Where systems differ in cost.
COSTS = ("pydocs",)


def main() -> None:
    """Write all of them."""
    drawn = pictures()
    for name, png in drawn.items():
        (RESULTS / name).write_bytes(png)
    print(f"benchmarks/results: {len(drawn)} pictures drawn")


def pictures() -> dict[str, bytes]:
    """File name → PNG, of all recorded evaluations and matrices."""
    drawn = {}
    for path in sorted(RESULTS.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not {"rows", "systems"} & set(content) or "settings" not in content:
            continue  # A benchmark of something else.
        results = in_one_form(content)
        # Baselines search the plain query, and have no formation.
        several = sum(one["formation"] is not None for one in results["retrievers"].values()) > 1
        drawn[f"{path.stem}-gain.png"] = interval_plot(results, []) if several else gain_plot(compared(results))
        if path.stem in COSTS:
            drawn[f"{path.stem}-cost.png"] = cost_plot(compared(results))
    return drawn


if __name__ == "__main__":
    main()
