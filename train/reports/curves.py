"""Draw loss, rewards and validation of one training as a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from builders.plots.style import BESIDE, HELPED, HURT, png, subplots


CURVES = "curves.png"
TITLES = {
    **{"loss": "training loss", "rewards": "rewards of DPO", "validation": "nDCG@10 on validation queries"},
    **{"chosen": "chosen", "margins": "chosen less rejected", "rejected": "rejected"},
}


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
    figure, axes = subplots(len(panels), 1, 0.3 + 1.7 * len(panels), sharex=True)
    for (axis,), panel in zip(axes, panels, strict=True):
        if panel == "loss":
            _line(axis, log, "loss", "training loss", HELPED)
        elif panel == "rewards":
            for name, colour, style in (("chosen", HELPED, "--"), ("margins", HELPED, "-"), ("rejected", HURT, "-")):
                _line(axis, rewards, f"rewards/{name}", TITLES[name], colour, linestyle=style)
            axis.axhline(0, color="black", linewidth=0.8)
        elif validation:
            checks, kept = validation["checks"], validation["kept_step"]
            _line(axis, checks, "validation_ndcg_at_10", "student", HELPED, marker="o")
            _line(axis, checks, "validation_plain_ndcg_at_10", "plain query", BESIDE, linestyle="--")
            axis.axvline(kept, color="black", linewidth=0.8, linestyle=":", label=f"kept (step {kept})")
        axis.set_title(TITLES[panel], pad=6 if panel == "loss" else 22)
        if panel != "loss":  # Above the lines, which go anywhere.
            axis.legend(loc="lower left", bbox_to_anchor=(0, 0.97), ncols=3, borderaxespad=0, handlelength=1.5)
    axes[-1][0].set_xlabel("optimizer step")
    axes[-1][0].locator_params(axis="x", integer=True)
    return png(figure)


def _line(axis: Any, entries: Sequence[Mapping[str, Any]], key: str, label: str, colour: str, **style: Any) -> None:
    axis.plot([e["step"] for e in entries], [e[key] for e in entries], label=label, color=colour, **style)
