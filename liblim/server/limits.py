"""What a server allows, so that no device and no library takes from the others what they need."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """All can be chosen."""

    octets: int = 4 * 2**30
    """Bytes that a library may take."""
    replicas: int = 200_000
    """Replicas of a library: a device begins one each time its program starts."""
    devices: int = 1000
    """Devices of a library, also those that were removed."""
    connections: int = 500
    """Connections of one library at a time."""
    all_connections: int = 4000
    """Connections in all."""
    changes: float = 2000.0
    """Changes a second of one device, on the average; more are not refused, but read later."""
    burst: int = 10_000
    """Changes beyond that which may come at once."""
    libraries: int = 5000
    all_devices: int = 5000
    """Devices in all, removed ones too, beyond which no new library comes: each makes handshakes slower."""
