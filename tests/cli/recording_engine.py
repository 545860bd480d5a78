"""A program `docker` that writes down what it is asked, and answers as Docker and Compose do.

No container runs: of a deployment, that is the one part that a test does not have for real. What it "runs" is kept
in a file, so that a command sees what the ones before did; `fail` there names commands that end with an error,
`health` how a service is once the image of a name runs.
"""

import json
import sys
from pathlib import Path
from typing import Any

_PROGRAM = """#!{python} -IS
import sys
sys.path.insert(0, {tests!r})
from cli.recording_engine import answer
sys.exit(answer({folder!r}, sys.argv[1:]))
"""
OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64
OLD_SET, NEW_SET = "a" * 64, "b" * 64


class RecordingEngine:
    """Puts the program into a folder, and reads what it wrote down.

    Args:
        folder: Goes onto the PATH.
        runs: The image that runs before; empty where nothing does.
    """

    def __init__(self, folder: Path, *, runs: str = "") -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        program = folder / "docker"
        tests = str(Path(__file__).resolve().parents[1])
        program.write_text(_PROGRAM.format(python=sys.executable, tests=tests, folder=str(folder)))
        program.chmod(0o755)
        images = {"ringfence:local": runs} if runs else {}
        self.write(images=images, runs=runs, fail=[], health={}, policy_set=OLD_SET, ports=[])

    def write(self, **state: Any) -> None:
        (self.folder / "state.json").write_text(json.dumps(state))

    def change(self, **state: Any) -> None:
        self.write(**{**self.state, **state})

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return found

    @property
    def asked(self) -> list[str]:
        """Every command so far, in order, without the options before its name."""
        file = self.folder / "asked"
        return file.read_text().splitlines() if file.exists() else []


def answer(folder: str, words: list[str]) -> int:
    """Answer one command; its exit code."""
    place = Path(folder)
    state = json.loads((place / "state.json").read_text())
    if words[:2] == ["compose", "--file"]:
        words = ["compose", *words[3:]]
    with (place / "asked").open("a") as file:
        file.write(" ".join(words) + "\n")
    if any(" ".join(words).startswith(each) for each in state["fail"]):
        print("first line\nno space left on device", file=sys.stderr)
        return 17
    said = _done(state, words)
    (place / "state.json").write_text(json.dumps(state))
    if said:
        print(said)
    return 0


def _done(state: dict[str, Any], words: list[str]) -> str:
    match words:
        case ["version", *_]:
            return "28.1.0"
        case ["compose", "version", *_]:
            return "2.38.1"
        case ["compose", "config", *_]:
            services = {
                "ringfence": {
                    "image": "ringfence:local",
                    "ports": [{"published": str(each)} for each in state.get("published", ())],
                },
                "migrate": {"image": "ringfence:local", "restart": "no"},
                "postgres": {"image": "postgres:17"},
            }
            return json.dumps({"services": services})
        case ["compose", "ps", *_]:
            return "\n".join(json.dumps(each) for each in _containers(state))
        case ["compose", "build", *_]:
            state["images"]["ringfence:local"] = NEW
        case ["compose", "up", *_]:
            state["runs"] = state["images"]["ringfence:local"]
            if state["runs"] == NEW:
                state["policy_set"] = NEW_SET
        case ["compose", "down", *_]:
            state["runs"] = ""
        case ["inspect", *_]:
            return str(state["runs"])
        case ["tag", image, name]:
            state["images"][name] = state["images"].get(image, image)
        case ["compose", "exec", "-T", "ringfence", "ringfence", "reload", *rest]:
            if "--rollback" in rest:
                state["policy_set"] = rest[rest.index("--rollback") + 1]
            return json.dumps({"policy_set": state["policy_set"]})
        case _:
            raise AssertionError(words)
    return ""


def _containers(state: dict[str, Any]) -> list[dict[str, Any]]:
    if not state["runs"]:
        return []
    health = state["health"].get(state["runs"], "healthy")
    main = {
        "Service": "ringfence",
        "ID": "c0ffee",
        "State": "exited" if health == "exited" else "running",
        "Health": "" if health == "exited" else health,
        "ExitCode": 3 if health == "exited" else 0,
        "Publishers": [{"PublishedPort": port} for port in [*state["ports"], 0]],
    }
    return [
        main,
        {"Service": "migrate", "ID": "1", "State": "exited", "Health": "", "ExitCode": 0},
        {"Service": "postgres", "ID": "2", "State": "running", "Health": "healthy"},
    ]
