"""Draw loss, rewards and validation of one training as a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from train.reports.plot import png, pyplot


CURVES = "curves.png"


def curves_plot(log: Sequence[Mapping[str, Any]], validation: Mapping[str, Any] | None) -> bytes:
    """A PNG with the loss, the rewards (DPO) and the nDCG@10 of the validation queries (where it was measured).

    Args:
        log (`Sequence`):
            What the trainer logged, as in `training.json`.
        validation (`Mapping`, *optional*):
            The checks, and the step whose adapter was kept, as in `training.json`.
    """
    rewards = [entry for entry in log if "rewards/margins" in entry]
    panels = ["loss"] + ["rewards"] * bool(rewards) + ["validation"] * bool(validation)
    figure, axes = pyplot().subplots(
        1, len(panels), figsize=(4.2 * len(panels), 3.2), squeeze=False, layout="constrained"
    )
    for axis, panel in zip(axes[0], panels, strict=True):
        if panel == "loss":
            _line(axis, log, "loss", "training loss", "#30638e")
        elif panel == "rewards":
            for name, colour in (("chosen", "#2a9d5c"), ("rejected", "#d1495b"), ("margins", "#30638e")):
                _line(axis, rewards, f"rewards/{name}", name, colour)
            axis.axhline(0, color="black", linewidth=0.8)
        elif validation:
            checks, kept = validation["checks"], validation["kept_step"]
            _line(axis, checks, "validation_ndcg_at_10", "student", "#30638e", marker="o")
            _line(axis, checks, "validation_plain_ndcg_at_10", "plain query", "#888888", linestyle="--")
            axis.axvline(kept, color="#2a9d5c", linewidth=0.8, label=f"saved (step {kept})")
        axis.set_title({"loss": "loss", "rewards": "rewards", "validation": "nDCG@10, validation"}[panel], fontsize=10)
        axis.set_xlabel("step")
        axis.spines[["top", "right"]].set_visible(False)
        if panel != "loss":
            axis.legend(fontsize=8, frameon=False)
    return png(figure)


def _line(axis: Any, entries: Sequence[Mapping[str, Any]], key: str, label: str, colour: str, **style: Any) -> None:
    axis.plot([e["step"] for e in entries], [e[key] for e in entries], label=label, color=colour, **style)
