"""How every command of the kit parses its settings and ends: one clear line and exit code 2 instead of a traceback."""

import argparse
import difflib
import errno
import io
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from builders.errors import KitError
from builders.masking import masked_text
from builders.recipe_file import is_text, read_recipe, refuse_endpoints, typed
from builders.setting_bounds import require_bounds


# What a path of the user's own can be wrong in.
_NO_SUCH_PLACE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO, errno.EIO)


def parse(dataclass_types: Any, argv: Sequence[str] | None, prog: str, description: str) -> tuple[Any, ...]:
    """Read dataclasses from a YAML recipe (`--config`) and the command line, which overrides the recipe.

    Options are written out: a shortened one would not be found again among the settings that a training records.

    Raises:
        KitError: trl is not installed; an option is unknown, or a value of another type than its option; the recipe
            cannot be read (see [`read_recipe`]), holds a key that no dataclass knows, or would send something to a
            server of its own choice.
    """
    try:
        from trl import TrlParser
    except ImportError as error:
        raise KitError("commands need trl: pip install 'query-expansion-kit[train]'") from error

    class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
        """Shows defaults, and descriptions as they are written."""

    class Parser(TrlParser):  # type: ignore[misc]
        """Ends in one line."""

        def error(self, message: str) -> NoReturn:
            raise KitError(f"{message}; see --help")

        def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
            found, spare = super().parse_known_args(args, namespace)
            if spare:
                near = difflib.get_close_matches(spare[0], self._option_string_actions, 1)
                meant = f"; did you mean {near[0]}?" if near else ""
                raise KitError(f"no such option: {' '.join(spare)}{meant or '; see --help'}")
            return found, spare

    types = list(dataclass_types) if isinstance(dataclass_types, Sequence) else [dataclass_types]
    parser = Parser(types, prog=prog, description=description, formatter_class=Formatter, allow_abbrev=False)
    arguments = list(sys.argv[1:] if argv is None else argv)
    for argument in arguments:
        if not is_text(argument):
            raise KitError(f"{argument!a}: no text in UTF-8, which all that the kit writes is in")
    where = ""
    try:
        if "--config" in arguments:
            index = arguments.index("--config")
            if not arguments[index + 1 :]:
                raise KitError("--config needs the path of a YAML recipe")
            path = arguments[index + 1]
            where = f"{path}: "
            # Not by TrlParser, which would set environment variables from it.
            recipe = read_recipe(path)
            refuse_endpoints(path, recipe, arguments)
            parser.set_defaults_with_config(**typed(path, recipe, types))
            del arguments[index : index + 2]
        parsed = tuple(parser.parse_args_into_dataclasses(args=arguments, look_for_args_file=False))
    except (ValueError, TypeError, ImportError, LookupError, AttributeError, ArithmeticError) as error:
        raise KitError(f"{where}{' '.join(str(error).split())}") from error
    for one in parsed:
        require_bounds(one)
    return parsed


def chosen_command(usage: str, known: Mapping[str, str]) -> str | None:
    """The command that the command line begins with, of those known; `None` once these are told, as `--help` asks."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name not in (*known, "-h", "--help"):
        fail(f"unknown command {name!r}: give one of {', '.join(known)}")
    if name in known:
        return name
    lines = [f"usage: {usage} <command> [--config RECIPE.yaml] [--help] …\n", *(f"  {n:<14}{known[n]}" for n in known)]
    sys.stdout.write("\n".join([*lines, ""]))
    return None


def run(main: Callable[[], None]) -> None:
    """Run a command's `main` and turn what the user can mend into one line on standard error.

    Exit codes: 0 done, 2 something to put right, 130 interrupted (the same command continues where it was).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A terminal or a file without this letter gets another.
            stream.reconfigure(errors="replace")
    try:
        main()
    except KitError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: run the same command again to continue\n")
        sys.stderr.flush()
        # Non-daemon threads of the libraries underneath must not keep an interrupted command alive.
        os._exit(130)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            fail(f"no space left on the device{_at(error)}: free some, then run the same command again to continue")
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            unread = os.path.isfile(str(error.filename)) and not os.access(str(error.filename), os.R_OK)
            what, remedy = ("read", "") if unread else ("write", "; choose another --output_dir")
            fail(f"cannot {what}{_at(error)}: {error.strerror}{remedy}")
        if error.errno in _NO_SUCH_PLACE and error.filename:
            fail(f"{error.filename}: {error.strerror}")
        raise
    except RuntimeError as error:
        if "Symlink loop" in str(error):  # As Path.resolve says it before Python 3.13.
            fail(f"{error}: a link that leads to itself")
        raise


def console_command() -> str:
    """How `qexpand` is called in the shell that started this: by its name, by its path beside Python, or as a module.

    Example:

        >>> console_command().endswith("qexpand")
        True
    """
    if shutil.which("qexpand"):
        return "qexpand"
    beside, here = Path(sys.executable).with_name("qexpand"), Path.cwd()
    if beside.is_file():
        return str(beside.relative_to(here) if beside.is_relative_to(here) else beside)
    return "python -m qexpand"


def fail(message: str) -> None:
    """Print one error line and exit with code 2."""
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    sys.exit(2)


def say(message: str) -> None:
    """Progress for the person at the terminal, on standard error, so that standard output stays usable."""
    sys.stderr.write(f"{masked_text(message)}\n")
    sys.stderr.flush()


def _at(error: OSError) -> str:
    return f" ({error.filename})" if error.filename else ""
