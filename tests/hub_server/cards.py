"""The metadata block of a README.md: reading it, and the checks that the Hub documents.

PyYAML does the parsing (the kit depends on it anyway). The Hub's full schema is not public: see the README.
"""

from __future__ import annotations

import re
from typing import Any

import yaml


# https://huggingface.co/docs/hub/repositories-licenses
LICENSES = frozenset(
    """apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
    afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
    cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0
    lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl
    openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
    fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma
    unknown other""".split()
)
# https://huggingface.co/docs/hub/spaces-config-reference
COLOURS = frozenset("red yellow green blue indigo purple pink gray".split())
SDKS = ("gradio", "docker", "static", "streamlit")
RELATIONS = frozenset({"adapter", "merge", "quantized", "finetune"})
STRINGS = {"pretty_name", "library_name", "pipeline_tag", "license_name", "license_link", "title", "sdk", "app_file"}
LISTS = {"tags", "datasets", "metrics", "task_categories", "task_ids", "size_categories", "models", "source_datasets"}

_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(?P<yaml>.*?)(?:\r?\n)?^---[ \t]*(?:\r?\n|\Z)", re.S | re.M)


class _StrictLoader(yaml.SafeLoader):
    """A loader that refuses a key given twice, as the Hub's does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"duplicated mapping key: {key}", node.start_mark)
        return super().construct_mapping(node, deep)


def read_metadata(content: str) -> Any:
    """The metadata of a card, None when there is no block; raises yaml.YAMLError."""
    match = _FRONT_MATTER.match(content)
    return yaml.load(match["yaml"], _StrictLoader) if match else None


def card_data(content: bytes) -> dict[str, Any]:
    """The metadata of a published card, empty when there is none that can be read."""
    try:
        data = read_metadata(content.decode())
    except (yaml.YAMLError, UnicodeDecodeError, TypeError):
        return {}
    return data if isinstance(data, dict) else {}


def validate(content: str, repo_type: str) -> tuple[list[str], list[str]]:
    """Errors and warnings of a card."""
    try:
        data = read_metadata(content)
    except (yaml.YAMLError, TypeError) as error:
        return [f"YAML metadata is invalid: {' '.join(str(error).split())}"], []
    if data is None:
        return [], ["empty or missing yaml metadata in repo card"]
    if not isinstance(data, dict):
        return ["YAML metadata must be a mapping"], []
    errors, warnings = _common(data)
    errors += {"model": _model, "dataset": _dataset, "space": _space}[repo_type](data)
    if data.get("license") == "other" and not data.get("license_name"):
        warnings.append('"license_name" should be given when "license" is "other"')
    return errors, warnings


def _common(data: dict[str, Any]) -> tuple[list[str], list[str]]:
    errors = [f'"{key}" must be a string' for key in sorted(STRINGS) if not isinstance(data.get(key, ""), str)]
    for key in sorted(LISTS | {"language"}):
        value = data.get(key, [])
        items = [value] if isinstance(value, str) and key not in {"tags"} else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            # YAML reads `no` as false: the commonest way to get here is Norwegian.
            errors.append(f'"{key}" must be a list of strings')
        elif key == "language":
            errors += [f'"language": {item!r} is no code' for item in items if not re.fullmatch("[a-z][a-z-]*", item)]
    if "license" in data:
        values = data["license"] if isinstance(data["license"], list) else [data["license"]]
        if not values or not all(isinstance(value, str) and value in LICENSES for value in values):
            errors.append(f'"license" must be one of the identifiers of the Hub\'s list, not {data["license"]!r}')
    return errors, []


def _model(data: dict[str, Any]) -> list[str]:
    errors = []
    base = data.get("base_model", [])
    for item in base if isinstance(base, list) else [base]:
        if not isinstance(item, str) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", item):
            errors.append(f'"base_model": {item!r} is not the id of a model on the Hub')
    if data.get("base_model_relation", "adapter") not in RELATIONS:
        errors.append(f'"base_model_relation" must be one of {sorted(RELATIONS)}')
    return errors + _model_index(data.get("model-index", []))


def _model_index(index: Any) -> list[str]:
    if not isinstance(index, list):
        return ['"model-index" must be a list']
    errors = []
    for n, model in enumerate(index):
        where = f"model-index[{n}]"
        if not isinstance(model, dict) or not isinstance(model.get("name"), str):
            errors.append(f'"{where}.name" is required')
            continue
        results = model.get("results")
        for m, result in enumerate(results if isinstance(results, list) else [None]):
            errors += _result(result, f"{where}.results[{m}]")
    return errors


def _result(result: Any, where: str) -> list[str]:
    if not isinstance(result, dict):
        return [f'"{where}" must be a mapping']
    needed = [("task", ["type"]), ("dataset", ["type", "name"])]
    errors = []
    for key, names in needed:
        part = result.get(key)
        for name in names:
            if not isinstance(part, dict) or not isinstance(part.get(name), str):
                errors.append(f'"{where}.{key}.{name}" is required')
    metrics = result.get("metrics")
    for n, metric in enumerate(metrics if isinstance(metrics, list) and metrics else [None]):
        if not isinstance(metric, dict) or not isinstance(metric.get("type"), str) or metric.get("value") is None:
            errors.append(f'"{where}.metrics[{n}]" must have a type and a value')
    return errors


def _dataset(data: dict[str, Any]) -> list[str]:
    errors = []
    configs = data.get("configs", [])
    if not isinstance(configs, list):
        return ['"configs" must be a list']
    names = []
    for n, config in enumerate(configs):
        if not isinstance(config, dict) or not isinstance(config.get("config_name"), str):
            errors.append(f'"configs[{n}].config_name" is required')
            continue
        names.append(config["config_name"])
        files = config.get("data_files", [])
        for item in files if isinstance(files, list) else [files]:
            if not isinstance(item, str) and not (isinstance(item, dict) and {"split", "path"} <= set(item)):
                errors.append(f'"configs[{n}].data_files" must name a split and a path')
    if len(set(names)) < len(names):
        errors.append('"configs" names a configuration twice')
    if sum(isinstance(config, dict) and config.get("default") is True for config in configs) > 1:
        errors.append('"configs" has more than one default')
    info = data.get("dataset_info", {})
    if not isinstance(info, dict) and not (isinstance(info, list) and all(isinstance(item, dict) for item in info)):
        errors.append('"dataset_info" must be a mapping or a list of mappings')
    return errors


def _space(data: dict[str, Any]) -> list[str]:
    errors = []
    if data.get("sdk") not in SDKS:
        errors.append(f'"sdk" must be one of {list(SDKS)}')
    for key in ("colorFrom", "colorTo"):
        if key in data and data[key] not in COLOURS:
            errors.append(f'"{key}" must be one of {sorted(COLOURS)}')
    if "emoji" in data and (not isinstance(data["emoji"], str) or re.search(r"[\w\s]", data["emoji"] or " ")):
        errors.append('"emoji" must be an emoji')
    if len(str(data.get("short_description", ""))) > 60:
        errors.append('"short_description" must be at most 60 characters long')
    if "python_version" in data and not re.fullmatch(r"3(\.\d+){1,2}", str(data["python_version"])):
        errors.append('"python_version" must be a version of Python 3')
    if not isinstance(data.get("pinned", False), bool):
        errors.append('"pinned" must be true or false')
    return errors
