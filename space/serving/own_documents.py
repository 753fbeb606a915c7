"""Reads a visitor's own documents, from a file or the Hub, has them searched, and forgets them."""

import os
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

from builders.artifacts.cache import forget
from builders.collections.assembly import Parts, assemble
from builders.collections.collection import Collection, Document
from builders.collections.files.documents import FileDocuments
from builders.collections.files.language import guess_language
from builders.collections.files.metadata import Metadata
from builders.collections.files.topics import Topics
from builders.collections.hub import HUB
from builders.collections.hub_snapshot import DATA_SUFFIXES
from builders.errors import KitError
from space.engine import Engine
from space.serving.door import MOST_FILE_BYTES


# Switches it on (1) on a Space of the Hub, where it is off, or off (0) elsewhere.
SWITCH = "QUERY_EXPANSION_KIT_OWN_DATA"
MOST_DOCUMENTS = 5_000
KEPT_MINUTES = 30
# So many visitors' documents are kept at once.
MOST_VISITORS = 16
FORMS = (".jsonl", ".csv")

_places = threading.BoundedSemaphore(MOST_VISITORS)


class OwnDocuments:
    """One visitor's documents behind the Space's systems, until they are forgotten.

    Args:
        engine ([`Engine`]):
            The Space's.
        collection ([`Collection`]):
            The documents.
        steps (`Callable`, *optional*):
            Goes through the retrievers while they index, and may say how far it is.

    Raises:
        KitError: too many visitors' documents are kept already, or a retriever cannot index these.
    """

    def __init__(self, engine: Engine, collection: Collection, steps: Callable[..., Iterable[str]] = iter) -> None:
        if not _places.acquire(blocking=False):
            raise KitError(f"The documents of {MOST_VISITORS} visitors are kept already: try again in a few minutes.")
        self.engine: Engine | None = engine.over(collection)
        self._fingerprint = collection.fingerprint
        self._forgetting = threading.Lock()
        self._timer = threading.Timer(60 * KEPT_MINUTES, self.forget)
        self._timer.daemon = True
        try:
            for by in steps(list(engine.retrievers)):
                self.engine.retriever(by)
        except BaseException:
            self.forget()
            raise
        self._timer.start()

    def forget(self) -> None:
        """Let go of the documents, and delete what retrievers kept of them."""
        with self._forgetting:
            if self.engine is None:
                return
            self.engine = None
        self._timer.cancel()
        forget(self._fingerprint)
        _places.release()


def engine_of(own: OwnDocuments | None, query: object) -> Engine:
    """What searches a visitor's own documents.

    Raises:
        KitError: there are none, or none any more; or they are there, and nothing was asked yet.
    """
    engine = own.engine if own else None
    if engine is None:
        raise KitError(
            f"None of your documents are here: add them under Your data. They are kept for {KEPT_MINUTES} minutes, "
            "for the page that is open."
        )
    if query == "":
        raise KitError("Your documents are ready: type what to look for.")
    return engine


def switched_on() -> bool:
    """Whether visitors may search their own documents: on this machine, and on a Space whose owner says so."""
    return os.environ.get(SWITCH, "0" if os.environ.get("SPACE_ID") else "1") == "1"


def read_file(path: Path) -> Collection:
    """The documents of a file, `.jsonl` or `.csv`; the file is deleted.

    Raises:
        KitError: it is neither, too large, damaged, or its rows are no documents.
    """
    try:
        if path.suffix.lower() not in FORMS:
            raise KitError(f"{path}: neither JSONL nor CSV; name it one of {', '.join(f'*{form}' for form in FORMS)}")
        if path.is_file() and path.stat().st_size > MOST_FILE_BYTES:
            raise KitError(f"{path}: larger than {MOST_FILE_BYTES >> 20} MB; give a part of it")
        documents = FileDocuments((path,))
        few = _few(documents, str(path))
        language = guess_language((), (f"{item.title} {item.text}" for item in few))
        stated = Metadata(name=path.name, source="a visitor's file", licence="unknown", judgments="None.")
        return _alone(assemble(Parts(stated, documents, Topics(), (), language)), few)
    except KitError as error:
        raise KitError(str(error).replace(f"{path.parent}{os.sep}", "")) from error
    finally:
        path.unlink(missing_ok=True)


def read_hub(name: str) -> Collection:
    """A public dataset of the Hub in BEIR's form, with its judged queries.

    Raises:
        KitError: there is none of this name, it is too large, or it has another form.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    from huggingface_hub.utils import httpx

    name = name.strip()
    if not HUB.matches(name):
        raise KitError(f"{name!r} names no dataset of the Hub; give OWNER/NAME, such as mteb/nfcorpus")
    repo_id, _, revision = name.partition("@")
    try:
        # Without a token: what only the owner of this Space may read is not shown to visitors.
        told = HfApi(token=False).dataset_info(repo_id, revision=revision or None, files_metadata=True)
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx.HTTPError, OSError) as error:
        raise KitError(f"{name}: no public dataset of the Hub that can be read here; is the name right?") from error
    size = sum(file.size or 0 for file in told.siblings or () if file.rfilename.endswith(DATA_SUFFIXES))
    if size > MOST_FILE_BYTES:
        raise KitError(
            f"{name}: {size >> 20} MB of data, and at most {MOST_FILE_BYTES >> 20} are read; try a smaller one"
        )
    collection = HUB.load(name, None)
    return _alone(collection, _few(collection.documents, name))


def _few(documents: Iterable[Document], where: str) -> list[Document]:
    """All documents, in memory.

    Raises:
        KitError: they are too many.
    """
    few = list(islice(documents, MOST_DOCUMENTS + 1))
    if len(few) > MOST_DOCUMENTS:
        raise KitError(f"{where}: more than {MOST_DOCUMENTS:,} documents; give a part of them")
    return few


def _alone(collection: Collection, documents: list[Document]) -> Collection:
    """With a name that no other collection has, so that forgetting it forgets nothing else."""
    return replace(collection, name=f"{collection.name} {secrets.token_hex(4)}", documents=documents)
