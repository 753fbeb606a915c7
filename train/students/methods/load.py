"""List the methods that train students, and train by one; another method is one more record in `METHODS`."""

from train.run_settings import parse_training
from train.students.methods.direct_preference import DPO
from train.students.methods.method import Method
from train.students.methods.supervised import SFT


METHODS: tuple[Method, ...] = (SFT, DPO)


def train_by(method: Method) -> None:
    """Train a student by the recipe and the command line, or take up an interrupted training; save its adapter.

    Raises:
        KitError: the recipe cannot be read or met.
    """
    data, config, model_args = parse_training(method.data, method.types, method.command, method.usage)
    from train.students.training import train_student

    train_student(method, data, config, model_args)
