"""Work that runs ahead or behind in a thread: codecs and ONNX Runtime release Python's lock."""

from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")
DEPTH = 4
"""Items between two threads: enough to even out, few enough for frames of 4K."""
POLL_S = 0.1
"""How long a thread waits before it looks whether the other one is still there."""


def ahead(items: Iterable[T], depth: int = DEPTH) -> Generator[T, None, None]:
    """The items in order, made by a thread that is up to `depth` of them ahead.

    An error of `items` is raised here. Closing this generator ends the thread, which closes `items`.

    >>> list(ahead(range(5)))
    [0, 1, 2, 3, 4]
    """
    queue: Queue[tuple[T] | BaseException | None] = Queue(depth)
    stopped = Event()
    thread = Thread(target=_fill, args=(items, queue, stopped), daemon=True)
    thread.start()
    try:
        while (entry := _get(queue)) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        stopped.set()
        thread.join()


def _fill(items: Iterable[T], queue: "Queue[tuple[T] | BaseException | None]", stopped: Event) -> None:
    iterator = iter(items)
    last: BaseException | None = None
    try:
        for item in iterator:
            if not _put(queue, (item,), stopped):
                break
    except BaseException as error:  # raised again where the items are used
        last = error
    finally:
        if hasattr(iterator, "close"):
            iterator.close()
        _put(queue, last, stopped)


def _get(queue: "Queue[T]") -> T:
    while True:  # with a time limit, so that Windows lets Ctrl-C through
        with suppress(Empty):
            return queue.get(timeout=POLL_S)


def _put(queue: "Queue[T]", entry: T, stopped: Event) -> bool:
    while not stopped.is_set():
        with suppress(Full):
            queue.put(entry, timeout=POLL_S)
            return True
    return False


class Behind(Generic[T]):
    """Calls `work` on each item in order, in a thread that is up to `DEPTH` of them behind.

    An error of `work` is raised by `put` and `finish` from then on; later items are dropped.

    >>> done = []
    >>> worker = Behind(done.append)
    >>> worker.put(1); worker.put(2); worker.finish()
    >>> done
    [1, 2]
    """

    def __init__(self, work: Callable[[T], object]) -> None:
        self.work = work
        self._error: BaseException | None = None
        self._queue: Queue[tuple[T] | None] = Queue(DEPTH)
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Queue an item; waits while the queue is full."""
        self._raise()
        _put(self._queue, (item,), Event())

    def finish(self) -> None:
        """Wait until all items are worked on."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        self._raise()

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self.work(entry[0])
                except BaseException as error:  # raised again in the thread that puts
                    self._error = error

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
