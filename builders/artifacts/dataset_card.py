"""Write dataset cards: front matter that `load_dataset` needs, and a text made of the build's own JSON."""

import json
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import Tables
from builders.artifacts.markdown import render_card
from builders.artifacts.schema import CONFIGS, features


TEMPLATE = Path(__file__).with_name("dataset_card.md")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
TITLES = {
    "expansions": "Query expansions",
    "references": "Self-reference answers",
    "preferences": "Query expansion preferences",
    "triplets": "Expanded queries and hard negatives",
}
LICENCES = {"BSD-3-Clause": "bsd-3-clause", "Apache-2.0": "apache-2.0", "CC BY 4.0": "cc-by-4.0"}


def dataset_card(folder: Path, tables: Tables, build: dict[str, Any], where: str) -> str:
    """The text of `README.md`.

    Args:
        folder (`Path`):
            The rendered folder; its Parquet files are measured.
        tables (`Mapping`):
            Config → split → rows.
        build (`dict`):
            The content of `build.json`.
        where (`str`):
            What the load line loads: a Hub id or a folder.
    """
    return render_card(
        TEMPLATE,
        _front_matter(folder, tables, build),
        build=build,
        tables=tables,
        columns={config: CONFIGS[config] for config in tables},
        examples={config: _example(splits) for config, splits in tables.items()},
        title=_title(build),
        where=where,
        several=_several,
    )


def _title(build: dict[str, Any]) -> str:
    return f"{TITLES[build['kind']]} for {build['collection']['name']}"


def _several(value: Any) -> str:
    """A value that may be a list: one for each temperature."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _example(splits: Any) -> str:
    row = next(rows[0] for rows in splits.values() if rows)
    return json.dumps(row, indent=2, ensure_ascii=False)


def _front_matter(folder: Path, tables: Tables, build: dict[str, Any]) -> Any:
    from datasets.info import DatasetInfo, DatasetInfosDict
    from datasets.splits import SplitDict, SplitInfo
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData

    total = sum(len(rows) for splits in tables.values() for rows in splits.values())
    data = DatasetCardData(
        language=build["collection"]["language"],
        license=LICENCES.get(build["collection"]["licence"], "other"),
        annotations_creators=["machine-generated"],
        task_categories=["text-retrieval" if build["kind"] == "triplets" else "text-generation"],
        size_categories=[next((name for limit, name in SIZES if total < limit), "n>1M")],
        pretty_name=_title(build),
        tags=["sentence-transformers" if build["kind"] == "triplets" else "trl"]
        + ["synthetic", "query-expansion", "information-retrieval"]
        + (["preference"] if build["kind"] == "preferences" else []),
    )
    infos, configs = DatasetInfosDict(), MetadataConfigs()
    for number, (config, splits) in enumerate(tables.items()):
        sizes: SplitDict = SplitDict()
        download = 0
        files = []
        for split, rows in splits.items():
            if not rows:
                continue
            shards = sorted((folder / "data" / config).glob(f"{split}-*.parquet"))
            download += sum(shard.stat().st_size for shard in shards)
            sizes[split] = SplitInfo(name=split, num_bytes=_bytes(config, rows), num_examples=len(rows))
            files.append({"split": split, "path": f"data/{config}/{split}-*"})
        infos[config] = DatasetInfo(
            features=features(config),
            splits=sizes,
            download_size=download,
            dataset_size=sum(info.num_bytes for info in sizes.values()),
        )
        configs[config] = {"data_files": files, **({"default": True} if number == 0 else {})}
    infos.to_dataset_card_data(data)
    configs.to_dataset_card_data(data)
    return data


def _bytes(config: str, rows: Any) -> int:
    from datasets import Dataset

    return int(Dataset.from_list(rows, features=features(config)).data.nbytes)
