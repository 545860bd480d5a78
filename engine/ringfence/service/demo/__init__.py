"""`ringfence serve --demo`: real orders of a past day, replayed through the running guard as if they came now."""

from ringfence.service.demo.data import DemoData, find_demo_data
from ringfence.service.demo.traffic import Traffic

__all__ = ["DemoData", "Traffic", "find_demo_data"]
