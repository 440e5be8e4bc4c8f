"""The vectors nearest to another one, by the angle between them (extra ``knowledge``).

Every vector is compared: a hundred thousand of them take a few hundredths of a second, and an
index of another kind would have to be kept, and would sometimes miss the nearest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from finetune_fsm.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DIGITS = 6
"""Of a score. Beyond, the same text at another place of the matrix gets another score, by the order
in which the processor adds; rounded they tie, and ties go by place."""


def demand_library() -> None:
    """Raise `MissingExtra` when numpy is not installed: before an hour of embedding, not after."""
    try:
        import numpy as np  # noqa: F401  # to see whether it is there
    except ImportError as error:
        raise MissingExtra("knowledge", "searching a knowledge base") from error


class Matrix:
    """Vectors, ready to be searched. Safe to use from several threads.

    Args:
        vectors: All of one length; there may be none.
    """

    def __init__(self, vectors: Sequence[Sequence[float]]) -> None:
        demand_library()
        import numpy as np

        lengths = {len(vector) for vector in vectors}
        if len(lengths) > 1:
            raise ValueError("vectors of different lengths do not compare")
        self.length = next(iter(lengths), 0)
        self._count = len(vectors)
        self._rows = _of_length_one(
            np.array(vectors, dtype=np.float32).reshape(self._count, self.length)
        )

    def nearest(self, vector: Sequence[float], count: int) -> list[tuple[int, float]]:
        """Return place and score of the *count* vectors nearest to *vector*, the nearest first.

        The score is -1..1, rounded to `DIGITS`; of equal ones the first place comes first. A
        vector of zeros is as near to any other: 0.

        Raises:
            ValueError: *vector* has another length.
        """
        import numpy as np

        if not self._count:
            return []
        if len(vector) != self.length:
            raise ValueError(f"{len(vector)} numbers do not compare with {self.length}")
        asked = _of_length_one(np.array([vector], dtype=np.float64))[0]
        scores = np.round(self._rows @ asked, DIGITS) + 0.0  # no -0.0
        order = np.argsort(-scores, kind="stable")[:count]
        return [(int(place), float(scores[place])) for place in order]


def _of_length_one(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    import numpy as np

    exact = rows.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    found: npt.NDArray[np.float64] = exact / np.where(lengths == 0, 1.0, lengths)
    return found


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Return how alike two vectors of one length are, -1..1, as `Matrix.nearest` scores. Pure."""
    return Matrix([one]).nearest(other, 1)[0][1]
