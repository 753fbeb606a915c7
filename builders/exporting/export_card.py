"""Write the card of an export: front matter, and a text made of `export.json`."""

from pathlib import Path
from typing import Any

from builders.artifacts.markdown import render_card
from builders.publishing.staging.staged_export import RELATIONS


TEMPLATE = Path(__file__).with_name("export_card.md")


def export_card(record: dict[str, Any], folder: Path, repo_id: str | None, adapter_repo_id: str | None) -> str:
    """The text of `README.md`.

    Args:
        record (`dict`):
            The content of `export.json`.
        folder (`Path`), repo_id (`str`, *optional*):
            What the snippet loads: the Hub id, else the folder.
        adapter_repo_id (`str`, *optional*):
            Where the adapter is published.
    """
    from huggingface_hub import ModelCardData

    gguf = next((name for name in record["files"] if name.endswith(".gguf")), None)
    facts = record["card"]
    data = ModelCardData(
        base_model=[record["base"]["model_id"], *([adapter_repo_id] if adapter_repo_id else [])],
        base_model_relation=RELATIONS[record["kind"]],
        library_name="gguf" if gguf else "transformers",
        pipeline_tag="text-generation",
        license=facts["license"],
        language=facts["language"],
        datasets=facts["datasets"],
        tags=["query-expansion", "information-retrieval", *(["gguf"] if gguf else [])],
    )
    return render_card(
        TEMPLATE,
        data,
        name=repo_id or folder.name,
        where=repo_id or folder.as_posix(),
        gguf=gguf,
        record=record,
        training=record["training"],
        # What the last training saw; for DPO its own pairs.
        build=list(record["training"]["data"].values())[-1],
        results=facts["model-index"][0]["results"],
        adapter_repo_id=adapter_repo_id,
    )
