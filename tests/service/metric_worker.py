"""A worker process of a test: counts as it is told to on its standard input, and publishes that.

usage: metric_worker.py ADDRESS NAME
"""

import sys

from ringfence.runtime.metric_table import one
from ringfence.runtime.metrics import Histogram
from ringfence.service.merged_metrics import Publisher


class Counts:
    """A guard's metrics, as far as these tests need them."""

    def __init__(self) -> None:
        self.values = {"decisions_repeated": 0.0, "working_orders": 0.0, "policy_source_ok": 1.0}
        self.size = 0.0
        self.took = Histogram((0.001, 0.1))

    def metrics(self):
        for name, value in self.values.items():
            yield one(f"ringfence_{name}", value)
        yield one("ringfence_audit_log_bytes", self.size)
        yield one("ringfence_policy_reload_seconds", self.took.value())


def main() -> None:
    address, name = sys.argv[1:]
    counts = Counts()
    publisher = Publisher(address, name, [counts])
    print("ready", flush=True)
    for line in sys.stdin:
        word, _, value = line.strip().partition(" ")
        if word == "observe":
            counts.took.observe(float(value))
        elif word == "size":
            counts.size = float(value)
        elif word in counts.values:
            counts.values[word] = float(value)
        print("done", flush=True)
    publisher.close()


if __name__ == "__main__":
    main()
