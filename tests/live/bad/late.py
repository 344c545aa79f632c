"""Rows that take their time: all of them begin when the place is opened, and wait together."""

from concurrent.futures import ThreadPoolExecutor


class Late:
    """What is done once, in a thread of its own, and asked for when its row has its turn."""

    def __init__(self, do):
        self._do = do
        self._done = None

    def begin(self, place, pool):
        self._done = pool.submit(self._do, place)

    def __call__(self, place):
        return self._done.result()


class _At:
    """The place as the gateway of the late ones sees it, whichever row has its turn."""

    def __init__(self, place, where):
        self._place, self.where = place, where

    @property
    def gateway(self):
        return self._place.gateways[self.where]

    def __getattr__(self, name):
        return getattr(self._place, name)


def _late_of(do):
    if isinstance(do, Late):
        return [do]
    return [late for part in getattr(do, "parts", ()) for late in _late_of(part)]


def begin(place, rows):
    """Begins what is late in these rows of (.., where, words, do, ..)."""
    late = [(where, part) for _, where, _, do, _ in rows for part in _late_of(do)]
    pool = ThreadPoolExecutor(max(len(late), 1))
    for where, do in late:
        do.begin(_At(place, where), pool)
    return pool
