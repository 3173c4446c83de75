"""Stacks of upper triangular matrices in the blocks of columns that `models.networks.blocks` describes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.networks.blocks import block_columns


def zero_blocks(count: int, size: int, device: torch.device) -> list[Tensor]:
    """Blocks of `count` matrices of zeros, float32 [count, rows, columns] each."""
    return [
        torch.zeros(count, columns.stop, columns.stop - columns.start, device=device)
        for columns in block_columns(size)
    ]


def inverse_factors(blocks: Sequence[Tensor]) -> list[Tensor]:
    """Blocks of U^-1, U upper triangular, for symmetric matrices U^T U whose upper half `blocks` hold.

    Block by block most of the work is in products of matrices, which run on all cores; the library factors
    and inverts whole matrices one after the other on a single one.

    Raises:
        ArithmeticError: when a matrix is not positive definite, or not finite.
    """
    columns = block_columns(blocks[-1].shape[1])
    found: list[Tensor] = []
    for own, block in zip(columns, blocks, strict=True):
        # U's column of blocks: what is above the diagonal follows from the columns before.
        above = torch.cat(
            [inverse.mT @ block[:, : inverse.shape[1]] for inverse in found] + [block[:, :0]], 1
        )
        corner = _inverse_factor(torch.baddbmm(block[:, own], above.mT, above, alpha=-1))
        whole = torch.zeros_like(block)
        whole[:, own] = corner
        right = above @ corner
        for rows, inverse in zip(columns, found, strict=False):
            whole[:, : rows.stop].baddbmm_(inverse, right[:, rows], alpha=-1)
        found.append(whole)
    return found


def _inverse_factor(matrices: Tensor) -> Tensor:
    upper, failed = torch.linalg.cholesky_ex(matrices, upper=True)
    # What is not finite spoils the diagonal, whatever the library says of it.
    if bool(failed.any()) or not bool(upper.diagonal(dim1=1, dim2=2).isfinite().all()):
        raise ArithmeticError("a matrix is not positive definite, or not finite")
    identity = torch.eye(upper.shape[1], dtype=upper.dtype, device=upper.device)
    inverse: Tensor = torch.linalg.solve_triangular(upper, identity.expand_as(upper), upper=True)
    return inverse
