"""A server's storage in a PostgreSQL database, which several server processes may share."""

from __future__ import annotations

from liblim.server.postgres.storage import PostgresStorage

__all__ = ["PostgresStorage"]
