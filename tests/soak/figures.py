"""What soaks saw, kept beside one another in `build/soak.json`."""

import json
from pathlib import Path
from typing import Any

FIGURES = Path("build/soak.json")


def told(name: str, **figures: Any) -> None:
    """Say what was seen, and keep it."""
    FIGURES.parent.mkdir(exist_ok=True)
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    FIGURES.write_text(json.dumps(known | {name: figures}, indent=2) + "\n")
    print(f"\n{name}: {figures}", flush=True)
