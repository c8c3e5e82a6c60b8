"""TLS for the simulator: a certificate made at startup, or the user's own."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import typer

MISSING = (
    "--tls needs trustme to make a certificate, and trustme is not installed. Install it with: "
    "pip install 'xdk-streaming[tls]', or use your own certificate: --tls-cert FILE"
)


class TlsSetup(NamedTuple):
    """The server's TLS context and, if the certificate was made here, the CA file for its clients."""

    context: ssl.SSLContext
    ca_file: Path | None


@contextmanager
def tls_setup(host: str, *, tls: bool, cert: Path | None, key: Path | None) -> Iterator[TlsSetup | None]:
    """Set TLS up as the options say; give None without TLS. A generated CA file is deleted afterwards."""
    if key is not None and cert is None:
        raise typer.BadParameter("requires --tls-cert", param_hint="--tls-key")
    if cert is not None:
        yield TlsSetup(_own(cert, key), None)
    elif tls:
        with TemporaryDirectory(prefix="xdk-streaming-") as folder:
            yield _made(host, Path(folder))
    else:
        yield None


def _own(cert: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except (OSError, ValueError) as refusal:
        reason = str(refusal) or "it contains no certificate"
        raise typer.BadParameter(
            f"{cert} cannot be used: {reason}. Expected PEM: a certificate, with its key in the same file or "
            "in --tls-key FILE, without a password",
            param_hint="--tls-cert",
        ) from refusal
    return context


def _no_password() -> str:
    """Refuse, instead of asking for a password on the terminal."""
    raise ValueError("the key is protected by a password")


def _made(host: str, folder: Path) -> TlsSetup:
    try:
        import trustme
    except ModuleNotFoundError as missing:
        typer.echo(MISSING, err=True)
        raise typer.Exit(1) from missing
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, "localhost", "127.0.0.1").configure_cert(context)
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    return TlsSetup(context, ca_file)
