"""What the panel shows beyond a device's state: the graph, what was set aside, progress, the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtGui import QColor
from PySide6.QtNetwork import QNetworkInformation
from pytestqt.qtbot import QtBot

from app.status import Difference, Flow, Mend, Progress, SetAside, State
from app.traffic import POINTS
from liblim.errors import LimError
from tests.gui.syncing import (
    LAPTOP,
    FakeService,
    Test,
    device,
    on_qt,
    syncing,
    turn,
    waiting,
)
from ui import theme
from ui.flow_graph import FlowGraph
from ui.network_changes import NetworkChanges
from ui.sync_panel import SyncPanel
from ui.tasks import Tasks

__all__ = ["on_qt"]

ASIDE = SetAside("d" * 32, "Laptop", 3, ("Bread", "Garden"), 1000.0, "a fork")


def _fail(sentence: str) -> None:
    raise AssertionError(sentence)


@pytest.fixture
def service() -> FakeService:
    return FakeService(syncing(), device(), waiting())


@pytest.fixture
def panel(qtbot: QtBot, service: FakeService) -> Iterator[SyncPanel]:
    made = SyncPanel(service.real, Tasks(_fail))
    made.show()
    qtbot.waitExposed(made)
    yield made
    made.close()
    made.deleteLater()
    QCoreApplication.sendPostedEvents(made, QEvent.Type.DeferredDelete)


def flow(*octets: int) -> Flow:
    nothing = (0,) * len(octets)
    return Flow(10.0, (3, *nothing[1:]), nothing, octets, nothing)


# The graph


def colours(graph: FlowGraph) -> list[str]:
    """The colour in the middle of each point's bar, just above the middle line."""
    image = graph.grab().toImage()
    wide = graph.width() / POINTS
    return [
        image.pixelColor(round((at + 0.5) * wide), graph.height() // 2 - 1).name()
        for at in range(POINTS - 4, POINTS)
    ]


def test_the_graph_shows_when_something_came_in(qtbot: QtBot) -> None:
    graph = FlowGraph()
    qtbot.addWidget(graph)
    graph.resize(200, 40)
    graph.show_flow(flow(0, 5, 0, 90_000))
    busy = QColor(theme.colours.busy).name()
    assert [colour == busy for colour in colours(graph)] == [False, True, False, True]
    assert graph.summary.splitlines() == [
        "In the last 1 min",
        "In (above): 3 changes, 90.0 kB",
        "Out (below): 0 changes, 0 B",
    ]
    assert graph.accessibleDescription() == graph.summary
    graph.show_flow(None)
    assert busy not in colours(graph)


# Devices


def test_a_first_sync_is_told_with_its_total(panel: SyncPanel, service: FakeService) -> None:
    far = device(
        state=State.SYNCING, identical=False, we_lack=6588, progress=Progress(3412, 10_000)
    )
    service.devices = (far,)
    panel.refresh()
    assert panel.card(LAPTOP).we_lack.text() == "6,588 of 10,000 changes"


def test_what_differs_is_named_and_counted(panel: SyncPanel, service: FakeService) -> None:
    desk = Difference("a" * 32, "Desk", 3, 0)
    facts: dict[str, Any] = {"they_lack": 3, "differing": (desk,)}
    service.devices = (device(state=State.SYNCING, identical=False, **facts),)
    panel.refresh()
    card = panel.card(LAPTOP)
    assert card.chip.text() == "differs in changes by Desk"
    assert card.chip.more.splitlines()[-1] == "Of Desk: they lack 3 changes"
    assert card.they_lack.text() == "3 changes by Desk"
    heard: dict[str, Any] = {"device": LAPTOP, "confirmed": time.time() - 125}
    service.devices = (replace(waiting(), **facts, **heard),)
    panel.refresh()
    assert not card.chip.isVisible()
    assert card.they_lack.text() == "3 changes by Desk, heard 2 min ago"
    assert card.last_seen.text() == "5 min ago; heard of through others 2 min ago"


def test_a_device_that_has_to_be_paired_again_offers_that(
    qtbot: QtBot, panel: SyncPanel, service: FakeService
) -> None:
    service.devices = (replace(waiting(), device=LAPTOP, mend=Mend.PAIR),)
    panel.refresh()
    button = panel.card(LAPTOP).mend_button
    assert (button.text(), button.accessibleName()) == ("Pair again…", "Pair with Office again")
    with qtbot.waitSignal(panel.pair_wanted):
        button.click()
    assert service.asked == []


def test_what_cannot_be_shown_is_counted(panel: SyncPanel, service: FakeService) -> None:
    unshown = panel.this_device.unshown
    assert not unshown.isVisible()
    service.facts["unshown"] = 2
    panel.refresh()
    assert unshown.text.startswith(
        "2 changes are kept and passed on, and cannot be shown here: an update"
    )
    service.facts["unshown"] = 1
    panel.refresh()
    assert unshown.text.startswith("1 change is kept")
    assert unshown.text.endswith("shows it.")


# What was set aside


def test_what_was_set_aside_is_named_and_issued_again(
    panel: SyncPanel, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    assert not panel.aside.isVisible()
    service.facts["aside"] = (ASIDE,)
    panel.refresh()
    assert panel.aside.isVisible()
    assert "3 changes by Laptop in “Bread” and “Garden”" in panel.aside.text
    assert "Nothing is lost" in panel.aside.more

    async def test() -> None:
        panel.aside.button.click()
        assert not panel.aside.button.isEnabled()
        await turn()

    on_qt(test)
    assert service.asked == ["issue again"]
    assert not panel.aside.isVisible()


def test_issuing_again_that_fails_is_told_where_it_was_asked_for(
    panel: SyncPanel, service: FakeService, on_qt: Callable[[Test], None]
) -> None:
    service.facts["aside"] = (ASIDE,)
    service.refusal = LimError("The disk is full.")
    panel.refresh()

    async def test() -> None:
        panel.aside.button.click()
        await turn()

    on_qt(test)
    assert panel.aside.isVisible()
    assert panel.aside.button.isEnabled()
    assert panel.aside.more.endswith("The disk is full.")
    service.facts["aside"] = ()
    panel.refresh()
    service.facts["aside"] = (ASIDE,)
    panel.refresh()
    assert "full" not in panel.aside.more


# The network


def test_another_network_is_told_once_when_it_has_settled(qtbot: QtBot) -> None:
    told: list[str] = []
    changes = NetworkChanges(lambda: told.append("changed"))
    reach = QNetworkInformation.Reachability
    for reachability in (reach.Local, reach.Online, reach.Online):
        changes.reached(reachability)
    assert told == []
    qtbot.waitUntil(lambda: bool(told))
    assert told == ["changed"]
    changes.reached(reach.Online)
    changes.reached(reach.Disconnected)
    assert not changes.pending
    changes.deleteLater()
