import threading

import pytest

from hevitpose.inference.overlap import Behind, ahead


def test_an_error_of_the_items_is_raised_where_they_are_used():
    def items():
        yield 1
        raise ValueError("broken")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)


def test_the_thread_stays_a_few_items_ahead_and_closes_them():
    made, closed = [], threading.Event()

    def items():
        try:
            for number in range(100):
                made.append(number)
                yield number
        finally:
            closed.set()

    found = ahead(items(), depth=3)
    assert next(found) == 0
    found.close()
    assert closed.is_set()
    assert len(made) <= 6


def test_an_error_of_the_work_is_raised_and_later_items_are_dropped():
    seen = []

    def work(item):
        seen.append(item)
        raise OSError("full")

    worker = Behind(work)
    worker.put(1)
    worker.put(2)
    with pytest.raises(OSError, match="full"):
        worker.finish()
    with pytest.raises(OSError, match="full"):
        worker.put(3)
    assert seen == [1]
