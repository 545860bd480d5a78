"""Books that the service halts for how they stand."""

from pathlib import Path
from shutil import copytree
from threading import Event
from typing import Any

import pytest

from service.desks import desk_in, mark_all

pytestmark = pytest.mark.integration


def test_a_loss_halts_its_book_though_no_order_comes(tmp_path: Path) -> None:
    policies = copytree("policies", tmp_path / "policies")
    desk_file = policies / "desk.yaml"
    gate = "rule: daily-loss@1\n"
    desk_file.write_text(desk_file.read_text().replace(gate, gate + "      on_breach: halt\n"))
    set_to, is_set = [], Event()

    def hear(event: Any) -> None:
        if event[0] == "switch":
            set_to.append(event[2:5])
            is_set.set()

    with desk_in(tmp_path / "data", policies) as desk:
        desk.guard.listen(hear)
        mark_all(desk)
        # At a price four times as high as the mark: 2,250,000 USDT are lost at once.
        desk.guard.on_direct_fill("alpha", "", "BTC/USDT", "buy", "15", 200_000)
        assert is_set.wait(30)
    assert set_to == [["account/alpha", "halted", "rule:daily-loss"]]
