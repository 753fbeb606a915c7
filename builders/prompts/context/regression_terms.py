"""Term regression in a prompt: what a regression, fitted to the train judgments, expects the relevant page to say."""

from collections.abc import Sequence

from builders.collections.collection import Collection, Query
from builders.expanders.term_regression import TermRegressionExpander, TermRegressionOptions
from builders.prompts.context.context import PromptContext


# Words shown, about 30 tokens, and the predicted weight × idf below which a word is as likely to mislead as to help.
WORDS, LEAST_SCORE = 10, 1.5


class RegressionTerms(PromptContext):
    """One line: the terms of highest predicted weight, best first; nothing where the regression is sure of none.

    A train query is answered by a regression that was fitted without it, so that it is asked as an unseen one is.

    Args:
        collection ([`Collection`]), retriever (`str`, *optional*):
            As for [`PromptContext`]; with judged train queries.

    Raises:
        KitError: fewer than two judged train queries, or too many.
    """

    name = "regression"
    shows = "term regression: words that a regression over all judgments expects on the relevant page"

    def __init__(self, collection: Collection, retriever: str = "bm25s") -> None:
        super().__init__(collection, retriever)
        self._regression = TermRegressionExpander(
            collection, TermRegressionOptions(words=WORDS, least_score=LEAST_SCORE)
        )

    def texts(self, queries: Sequence[Query]) -> list[str]:
        """See [`PromptContext.texts`].

        Raises:
            KitError: scikit-learn is missing.
        """
        return self._regression.best_words(queries)
