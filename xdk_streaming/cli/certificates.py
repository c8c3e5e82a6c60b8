"""The simulator's TLS: certificates that it makes for itself, or the user's own."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import typer

MISSING = (
    "--tls makes a certificate with trustme, which is not installed. Install it with: "
    "pip install 'xdk-streaming[tls]', or give a certificate of your own: --tls-cert FILE"
)


class Secured(NamedTuple):
    """A server's side of TLS, and the file of what its clients are to trust, if it was made here."""

    context: ssl.SSLContext
    ca_file: Path | None


@contextmanager
def secured(host: str, *, tls: bool, cert: Path | None, key: Path | None) -> Iterator[Secured | None]:
    """TLS as it was asked for: None without. What is made for it is gone afterwards."""
    if key is not None and cert is None:
        raise typer.BadParameter("it is nothing without --tls-cert", param_hint="--tls-key")
    if cert is not None:
        yield Secured(_own(cert, key), None)
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
        reason = str(refusal) or "it holds no certificate"
        raise typer.BadParameter(
            f"{cert} cannot be used: {reason}. Expected PEM: a certificate, and its key there or in "
            "--tls-key FILE, without a password",
            param_hint="--tls-cert",
        ) from refusal
    return context


def _no_password() -> str:
    """Instead of asking for one on the terminal."""
    raise ValueError("its key has a password")


def _made(host: str, folder: Path) -> Secured:
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
    return Secured(context, ca_file)
