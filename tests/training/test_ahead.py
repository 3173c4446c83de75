"""Work ahead: in order, a little ahead and no more, and a fault comes out where its item would."""

import threading
import time

import pytest

from training.ahead import work_ahead


def test_results_come_in_order_however_long_each_takes() -> None:
    def work(number: int) -> int:
        time.sleep(0.004 if number % 2 else 0.0)
        return 10 * number

    assert list(work_ahead(work, range(9))) == [10 * number for number in range(9)]
    assert list(work_ahead(work, [])) == []


def test_little_is_held_ready_while_nobody_asks() -> None:
    begun: list[int] = []
    several = threading.Semaphore(0)

    def work(number: int) -> int:
        begun.append(number)
        several.release()
        return number

    results = work_ahead(work, range(100))
    assert next(results) == 0
    assert several.acquire(timeout=10)
    time.sleep(0.05)
    assert len(begun) <= 6
    assert list(results) == list(range(1, 100))


def test_a_fault_comes_out_in_its_place() -> None:
    def work(number: int) -> float:
        return 1 / (2 - number)

    results = work_ahead(work, range(5))
    assert [next(results), next(results)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)
