"""Downloads the prebuilt indexes that pyserini offers, checked against its own list."""

import sys
import tarfile
from contextlib import redirect_stdout
from difflib import get_close_matches
from pathlib import Path

from builders.errors import KitError


def prebuilt_index(name: str) -> Path:
    """The folder of a prebuilt BM25 index, downloaded into pyserini's cache unless it is there.

    The JVM must run (`builders.retrievers.java.start_java`).

    Raises:
        KitError: pyserini knows no such index, or it cannot be downloaded.
    """
    from pyserini.prebuilt_index_info import TF_INDEX_INFO
    from pyserini.util import download_prebuilt_index

    if name not in TF_INDEX_INFO:
        near = get_close_matches(name, TF_INDEX_INFO, n=5, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "names are like msmarco-v1-passage, miracl-v1.0-zh"
        raise KitError(f"pyserini:{name}: no such prebuilt index among the {len(TF_INDEX_INFO)} of pyserini: {hint}")
    # Members of an archive may not leave its folder; pyserini itself does not see to that.
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        # It reports on standard output, which belongs to the commands.
        with redirect_stdout(sys.stderr):
            return Path(download_prebuilt_index(name, verbose=False))
    except (OSError, ValueError, AssertionError, EOFError, tarfile.TarError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise KitError(
            f"pyserini:{name}: the prebuilt index cannot be downloaded ({reason}): check the network and try again, "
            "or index the collection with --retriever pyserini"
        ) from error
