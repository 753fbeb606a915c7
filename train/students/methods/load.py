"""Find a method by its name and train with it; another method is one more record in `METHODS`."""

from builders.errors import KitError
from train.run_settings import parse_training
from train.students.methods.direct_preference import DPO
from train.students.methods.method import Method
from train.students.methods.supervised import SFT


METHODS: tuple[Method, ...] = (SFT, DPO)


def load_method(name: str) -> Method:
    """The method of that name.

    Raises:
        KitError: there is none.
    """
    methods = {method.name: method for method in METHODS}
    if name not in methods:
        raise KitError(f"unknown training method {name!r}: give one of {', '.join(methods)}")
    return methods[name]


def train_by(name: str) -> None:
    """Train a student by the recipe and the command line, or take up an interrupted training; save its adapter.

    Raises:
        KitError: the recipe cannot be read or met.
    """
    method = load_method(name)
    data, config, model_args = parse_training(method.data, method.types, method.command, method.usage)
    from train.students.training import train_student

    train_student(method, data, config, model_args)
