"""Triangular matrices in blocks: nothing of the triangle is lost, nothing below it is kept."""

import pytest
import torch

from models.networks.blocks import BLOCK, block_columns, block_elements
from models.networks.triangular import inverse_factors, zero_blocks
from tests.blocks import to_blocks, to_matrices

SIZES = [1, BLOCK - 1, BLOCK, BLOCK + 1, 100, 200]


@pytest.mark.parametrize("size", SIZES)
def test_blocks_hold_the_upper_triangle(size: int) -> None:
    matrices = torch.randn(3, size, size, generator=torch.Generator().manual_seed(size))
    assert torch.equal(to_matrices(to_blocks(matrices)), matrices.triu())


@pytest.mark.parametrize("size", SIZES)
def test_the_count_of_numbers_is_that_of_the_blocks(size: int) -> None:
    blocks = zero_blocks(2, size, torch.device("cpu"))
    assert sum(block.numel() for block in blocks) == 2 * block_elements(size)
    assert [block.shape for block in blocks] == [b.shape for b in to_blocks(torch.zeros(2, size, size))]


def test_columns_cover_the_matrix_once() -> None:
    covered = [column for columns in block_columns(100) for column in range(100)[columns]]
    assert covered == list(range(100))


def test_much_less_than_the_whole_is_kept() -> None:
    assert block_elements(200) < 0.6 * 200 * 200


@pytest.mark.parametrize("size", SIZES)
def test_inverse_factors_are_those_of_the_whole_matrices(size: int) -> None:
    samples = torch.randn(3, size + 5, size, generator=torch.Generator().manual_seed(size)).double()
    matrices = samples.mT @ samples + 0.01 * torch.eye(size)
    found = to_matrices(inverse_factors(to_blocks(matrices)))
    expected = torch.linalg.inv(torch.linalg.cholesky(matrices).mT)
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("row", [0, 70])
def test_matrices_without_a_factor_are_refused(value: float, row: int) -> None:
    matrices = torch.eye(100, dtype=torch.float64).repeat(3, 1, 1)
    matrices[1, row, row + 5 if value != -1.0 else row] = value
    with pytest.raises(ArithmeticError, match="positive definite"):
        inverse_factors(to_blocks(matrices))
