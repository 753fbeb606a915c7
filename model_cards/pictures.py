"""Draws the pictures of an adapter's card from the results that measured it."""

from pathlib import Path

from builders.errors import KitError
from builders.grading.comparison import PLAIN
from builders.plots.delta_plot import delta_plot
from builders.plots.gain_plot import gain_plot
from model_cards.measured import QUERIES, measured_system, read_evaluation, read_queries, shown, shown_systems


GAIN, DELTAS = "gain.png", "ndcg_delta.png"


def card_pictures(folder: Path, results_path: Path) -> dict[str, bytes]:
    """Name → PNG: what the adapter gains beside the others of its card, and what it does to each query.

    Args:
        folder (`Path`), results_path (`Path`):
            See [`model_card`].

    Raises:
        KitError: the adapter or the results are missing or broken, or the results are of other weights.
    """
    with shown(folder, results_path):
        results = read_evaluation(results_path)
        system = measured_system(results, folder, results_path)
        beside = {name: results["systems"][name] for name in shown_systems(results, system) if name != PLAIN}
        rows = [row for row in read_queries(results_path, "system", "delta_ndcg_at_10") if row["system"] == system]
        if not rows:
            raise KitError(f"{results_path.with_name(QUERIES)}: no queries of {system}; evaluate again")
        return {GAIN: gain_plot(beside, system), DELTAS: delta_plot({"reference": PLAIN}, rows)}
