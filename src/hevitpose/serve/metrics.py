"""What a service counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_SIZES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """The counters of one service."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers = Counter(
            "hevitpose_answers", "Answers by path and status.", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "hevitpose_pose_seconds", "From head to answer of a pose request.", buckets=SECONDS, registry=self.registry
        )
        self.requests = Gauge(
            "hevitpose_requests", "Pose requests in memory, waiting ones included.", registry=self.registry
        )
        self.batches = Histogram(
            "hevitpose_batch_images", "Images predicted together.", buckets=BATCH_SIZES, registry=self.registry
        )
        self.people = Counter("hevitpose_people", "People found.", registry=self.registry)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)
