"""Plots what each system gains against what it costs: made from the results alone."""

from collections.abc import Mapping
from html import escape

from space.settings import SpaceSettings, System


# Room around the points, as a share of the plot.
MARGIN = 0.12


def costs_html(settings: SpaceSettings) -> str:
    """Gain against milliseconds, and against memory; a system of which a cost was not measured has no dot there."""
    plots = "".join(
        _plot(
            what, unit, {name: system for name, system in settings.measured.items() if getattr(system, field)}, field
        )
        for what, unit, field in (("milliseconds", "ms", "ms_per_query"), ("memory", "MiB", "peak_memory_mib"))
    )
    if not plots:
        return ""
    return (
        "<h2>Gain and cost</h2><p>Each dot is a system: what it changed of nDCG@10 against the plain query, with the "
        "95 % interval, over what writing one expansion cost, several together as in the table.</p>"
        f'<div class="qe-costs">{plots}</div>'
    )


def _plot(what: str, unit: str, systems: Mapping[str, System], field: str) -> str:
    """Points at shares of the plot's width and height: they stay readable at every width."""
    if not systems:
        return ""
    costs: dict[str, float] = {name: getattr(system, field) for name, system in systems.items()}
    low = min(0.0, *(system.delta_ci95[0] for system in systems.values()))
    high = max(0.0, *(system.delta_ci95[1] for system in systems.values()))
    room, marks = MARGIN * ((high - low) or 1.0), {low, 0.0, high}
    low, high, dearest = low - room, high + room, max(costs.values())

    def up(delta: float) -> float:
        return 100 * (delta - low) / (high - low)

    marked = "".join(
        f'<span class="qe-mark" style="bottom:{up(mark):.1f}%">{f"{mark:+.3f}" if mark else "plain query"}</span>'
        for mark in sorted(marks)
        if not mark or abs(up(mark) - up(0)) > 100 * MARGIN
    )
    dots = []
    for name, system in systems.items():
        right = 100 * (1 - MARGIN) * costs[name] / dearest
        bottom, top = map(up, system.delta_ci95)
        # Beside the dot, where there is room.
        side = "left" if right > 50 else "right"
        dots.append(
            f'<i class="qe-range" style="left:{right:.1f}%;bottom:{bottom:.1f}%;height:{top - bottom:.1f}%"></i>'
            f'<b class="qe-dot qe-{side}" style="left:{right:.1f}%;bottom:{up(system.delta_ndcg_at_10):.1f}%">'
            f"<span>{escape(name)}</span></b>"
        )
    told = "; ".join(
        f"{name} {system.delta_ndcg_at_10:+.3f} for {costs[name]:,.0f} {unit}" for name, system in systems.items()
    )
    return (
        f'<figure role="img" aria-label="Gain over {what}: {escape(told)}"><div class="qe-dots">'
        f'<hr style="bottom:{up(0):.1f}%">{marked}{"".join(dots)}</div>'
        f"<figcaption>0 to {dearest:,.0f} {unit} an expansion →</figcaption></figure>"
    )
