"""Which engines there are, and which one runs a model."""

from builders.errors import KitError
from builders.expanders.engines.generation_engine import AUTO, Engine, LocalModel
from builders.expanders.engines.openvino_engine import OpenVINOEngine
from builders.expanders.engines.transformers_engine import TransformersEngine


# `auto` takes the first that suits. The last one runs everything.
ENGINES: tuple[type[Engine], ...] = (OpenVINOEngine, TransformersEngine)


def engine_help() -> str:
    """What `--engine` takes, for `--help`."""
    each = "; ".join(f"`{one.name}`: {one.help}" for one in ENGINES)
    return f"`{AUTO}`: the first that can run the model here; {each}."


def load_engine(name: str, model: LocalModel) -> Engine:
    """The engine that runs a model; the model itself is loaded later.

    Args:
        name (`str`):
            As `--engine` takes it.
        model ([`LocalModel`]):
            What is to be run.

    Raises:
        KitError: there is no such engine, or it cannot run this model here.
    """
    if name == AUTO:
        return next(kind for kind in ENGINES if kind.suits(model))(model)
    kind = next((kind for kind in ENGINES if kind.name == name), None)
    if kind is None:
        raise KitError(f"unknown --engine {name!r}: give {AUTO}, {', '.join(one.name for one in ENGINES)}")
    if refusal := kind.refusal(model):
        raise KitError(f"--engine {name}: {refusal}")
    return kind(model)
