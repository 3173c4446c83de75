"""How upper triangular matrices are cut into blocks of columns: what lies below the blocks is not kept.

Block j of a d x d matrix holds the columns `block_columns(d)[j]`, from the first row down to the diagonal:
in all about (1 + BLOCK / d) / 2 of the matrix.
"""

# Columns per block: fewer save little more memory, and make more and smaller matrix products.
BLOCK = 32


def block_columns(size: int) -> list[slice]:
    """The columns of each block of a matrix with `size` columns; a block's rows end where its columns end."""
    return [slice(first, min(first + BLOCK, size)) for first in range(0, size, BLOCK)]


def block_elements(size: int) -> int:
    """Numbers kept of one matrix with `size` columns."""
    return sum(columns.stop * (columns.stop - columns.start) for columns in block_columns(size))
