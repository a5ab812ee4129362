"""TLS 1.3 between devices that know each other's certificates.

There are no authorities and no names: a certificate counts because it is pinned.  Dates mean nothing
either, so that a device whose clock is wrong still connects.
"""

from __future__ import annotations

import ssl
from asyncio import StreamWriter
from collections.abc import Iterable

from liblim.trust import Identity

SYNC = "lim/1"
PAIR = "lim-pair/1"

_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which Python has no name."""


def server_context(identity: Identity, certificates: Iterable[bytes]) -> ssl.SSLContext:
    """For connections made to us: a client shows one of these certificates (DER), or none.

    Raises IdentityLocked.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, [SYNC, PAIR])
    context.verify_mode = ssl.CERT_OPTIONAL
    context.num_tickets = 0  # resuming a session would pass by the pins
    identity.load_into(context)
    pin(context, certificates)
    return context


def client_context(identity: Identity | None, peer: bytes | None, alpn: str) -> ssl.SSLContext:
    """For a connection that we make: the server has to show the certificate ``peer`` (DER).

    Without ``peer`` any certificate will do: pairing binds it in another way.  Without ``identity`` we show
    none.  Raises IdentityLocked.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, [alpn])
    context.check_hostname = False
    if peer is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.verify_mode = ssl.CERT_REQUIRED
        pin(context, [peer])
    if identity is not None:
        identity.load_into(context)
    return context


def _context(side: int, protocols: list[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    context.set_alpn_protocols(protocols)
    return context


def pin(context: ssl.SSLContext, certificates: Iterable[bytes]) -> None:
    """Let a context take these certificates (DER), too.  None is ever taken out again."""
    pins = "".join(map(ssl.DER_cert_to_PEM_cert, certificates))
    if pins:
        context.load_verify_locations(cadata=pins)


def certificate_of(writer: StreamWriter) -> bytes | None:
    """The certificate (DER) that the other end showed, ``None`` where it showed none."""
    tls = writer.get_extra_info("ssl_object")
    return tls.getpeercert(binary_form=True) if tls is not None else None


def protocol_of(writer: StreamWriter) -> str:
    """The protocol that both ends chose (ALPN), empty where there is none."""
    tls = writer.get_extra_info("ssl_object")
    return (tls.selected_alpn_protocol() or "") if tls is not None else ""
