"""Makes one HTML file of what was measured: nothing runs, so that it needs neither a model nor a server of ours."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from space.about import TITLE, about_html, head_html
from space.pairs import Pairs
from space.recorded import Recorded
from space.settings import SpaceSettings
from space.tabs.pairs_cards import pairs_html
from space.tabs.queries_table import queries_html


HERE = Path(__file__).resolve().parent.parent
# What gradio's theme says elsewhere.
THEME = """\
:root { color-scheme: light dark; --body-text-color: #1e293b; --body-background-fill: #fff;
  --block-background-fill: #fff; --background-fill-primary: #fff; --background-fill-secondary: #f8fafc;
  --border-color-primary: #cbd5e1; --color-accent: #4f46e5; }
@media (prefers-color-scheme: dark) {
  :root { --body-text-color: #f1f5f9; --body-background-fill: #0b0f19; --block-background-fill: #1e293b;
    --background-fill-primary: #0b0f19; --background-fill-secondary: #1e293b; --border-color-primary: #475569; }
  .gradio-container { --qe-accent: #a5b4fc !important; }
}
body { margin: 0; font-family: system-ui, sans-serif; color: var(--body-text-color);
  background: var(--body-background-fill); }
.gradio-container { box-sizing: border-box; padding: 16px; }
"""


def static_html(settings: SpaceSettings, recorded: Sequence[Recorded], pairs: Pairs | None) -> str:
    """The whole file: what was measured, every test query, and preference pairs where there are any."""
    style, script = (HERE / name for name in ("style.css", "table.js"))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(TITLE)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<style>{THEME}{style.read_text(encoding="utf-8")}</style></head><body><main class="gradio-container">'
        f"{head_html(settings)}{about_html(settings)}{queries_html(recorded, settings.student, opens=False)}"
        f"{pairs_html(pairs) if pairs else ''}</main>"
        f"<script>{script.read_text(encoding='utf-8')}</script></body></html>\n"
    )
