"""How fast something grows: a straight line through what was measured."""

import math


def averaged(samples, seconds):
    """Means of [(second, value)] over spans of so many seconds: neighbours are alike."""
    spans = {}
    for at, value in samples:
        spans.setdefault(int(at // seconds), []).append((at, value))
    return [(sum(at for at, _ in span) / len(span), sum(value for _, value in span) / len(span))
            for _, span in sorted(spans.items())]


def line(samples):
    """(mean, growth a second, its standard error, inf if unknown) of [(second, value)]."""
    count = len(samples)
    mean_at = sum(at for at, _ in samples) / count
    mean = sum(value for _, value in samples) / count
    spread = sum((at - mean_at) ** 2 for at, _ in samples)
    if count < 3 or spread == 0:
        return mean, 0.0, math.inf
    growth = sum((at - mean_at) * (value - mean) for at, value in samples) / spread
    rest = sum((value - mean - growth * (at - mean_at)) ** 2 for at, value in samples)
    return mean, growth, math.sqrt(rest / (count - 2) / spread)
