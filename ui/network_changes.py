"""Changes of the computer's network, as the system tells them: a reason to try all devices at once."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer
from PySide6.QtNetwork import QNetworkInformation

SETTLE = 500
"""Milliseconds for which changes gather: a network that comes up changes several times."""
_REACHABILITY = QNetworkInformation.Reachability


class NetworkChanges(QObject):
    """Calls ``on_change`` soon after this computer got another network, or got it back.

    Without a system that tells, nothing happens: the clock and the connections themselves tell as well.
    """

    def __init__(self, on_change: Callable[[], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settling = QTimer(self, singleShot=True, interval=SETTLE)
        self._settling.timeout.connect(on_change)
        self.told = QNetworkInformation.loadDefaultBackend()
        """Whether this system tells."""
        information = QNetworkInformation.instance()
        if self.told and information is not None:
            information.reachabilityChanged.connect(self.reached)
            information.transportMediumChanged.connect(self._settling.start)

    @property
    def pending(self) -> bool:
        """Whether a change will be told soon."""
        return self._settling.isActive()

    def reached(self, reachability: QNetworkInformation.Reachability) -> None:
        """There is a network again, or a better one; that it is gone is no reason to try anybody."""
        if reachability == _REACHABILITY.Disconnected:
            self._settling.stop()
        else:
            self._settling.start()
