"""From the name of a collection, as commands take it, to the collection."""

from pathlib import Path

from builders.collections import hub, ir_dataset, miracl
from builders.collections.beir import FORM
from builders.collections.collection import Collection
from builders.collections.files.metadata import check_language
from builders.collections.folder import load_path
from builders.collections.pydocs.libraries import is_pydocs
from builders.collections.pydocs.pydocs import load_pydocs
from builders.errors import KitError


MIRACL_PREFIX = "miracl:"


def load_collection(name: str, language: str | None = None) -> Collection:
    """Read the collection that a name means.

    Args:
        name (`str`):
            * `pydocs`, the embedded collection, or `pydocs:PACKAGE,…`, the same of other installed libraries;
            * a path: a folder in BEIR, TREC, MIRACL or open-domain QA form, an archive of one, or a click log;
            * `ir_datasets:ID`, such as `ir_datasets:msmarco-passage/trec-dl-2019/judged`;
            * `miracl:LANGUAGE`, such as `miracl:zh`, from the Hub;
            * `OWNER/NAME` or `OWNER/NAME@REVISION`, a dataset repository of the Hub in BEIR form.
        language (`str`, *optional*):
            ISO 639-1 code of documents and queries; it decides analyzers and prompts. By default what the source
            states, else what the script of the queries suggests.

    Raises:
        KitError: there is no such collection, or it cannot be read.
    """
    if language is not None:
        check_language(language, "--language")
    if is_pydocs(name):
        if language not in (None, "en"):
            raise KitError(f"--language {language}: pydocs is in English")
        return load_pydocs(name)
    if name.startswith(ir_dataset.PREFIX):
        return ir_dataset.load_ir_dataset(name.removeprefix(ir_dataset.PREFIX), language)
    if name.startswith(MIRACL_PREFIX):
        return miracl.load_hub_miracl(name.removeprefix(MIRACL_PREFIX))
    path = Path(name).expanduser()
    if name and path.exists():
        return load_path(path, language)
    if hub.NAME.fullmatch(name):
        return hub.load_hub(name, language)
    raise KitError(
        f"no collection {name!r}: give pydocs, or the path of a folder in BEIR form ({FORM}), of one in TREC, MIRACL "
        "or open-domain QA form or of a click log, or pydocs:PACKAGE, ir_datasets:ID, miracl:LANGUAGE, or OWNER/NAME "
        "of the Hub"
    )
