"""`harken keys`: keys of services and of pages, user tokens, and links to sign in."""

from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.markup import escape

from harken.config import Settings
from harken.domain.durations import parse_duration
from harken.errors import InvalidInput, Problem, printable
from harken.protocols import presentation
from harken.protocols.cli.running import Json, messages, print_json, tell, with_keys
from harken.protocols.cli.tables import add_names, add_text, make_table, print_table
from harken.services.access.key_store import NewKey
from harken.services.access.keys import StoredKey
from harken.services.access.rights import KeyKind, Scope
from harken.services.access.user_tokens import UserTokens

keys = typer.Typer(
    help="Make, list, replace and revoke API keys; sign user tokens and links for readers.",
    no_args_is_help=True,
)

LINK_LIFETIME = "7d"

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The id of a key: hk_<id>_….")]


def install(app: typer.Typer) -> None:
    """Add the group `keys`."""
    app.add_typer(keys, name="keys")


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Who uses the key, for people.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it opens; repeat it for several.")
    ] = None,
    publishable: Annotated[
        bool, typer.Option("--publishable", help="Make a key for public pages.")
    ] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="A page of a publishable key: https://example.org; repeatable."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="After which time it expires, such as 90d.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it. It is shown this once: only a hash of it is stored."""
    kind = KeyKind.PUBLISHABLE if publishable else KeyKind.SECRET
    lifetime = None if expires is None else parse_duration("--expires", expires)
    new = with_keys(
        lambda ring: ring.store.create(
            name, kind, scopes=scope or (), origins=origin or (), lifetime=lifetime
        )
    )
    _print_new(new, as_json=as_json)


@keys.command("list")
def list_(as_json: Json = False) -> None:
    """List all keys, without their secrets."""
    found = with_keys(lambda ring: ring.store.listed())
    if as_json:
        print_json([presentation.key(each) for each in found])
        return
    table = make_table()
    add_names(table, "Id")
    for heading in ("Name", "Opens", "State", "Last used"):
        add_text(table, heading)
    for key in found:
        opens = ", ".join(sorted(key.scopes) or key.origins)
        cells = key.id, key.name, opens, _state(key), _day(key.last_used_at) or "never"
        table.add_row(*(escape(printable(cell)) for cell in cells))
    print_table(table)


@keys.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[
        str, typer.Option(help="How long the old key stays valid, such as 24h.")
    ] = "0min",
    as_json: Json = False,
) -> None:
    """Replace a key by a new one with the same name and rights, and print the new one."""
    span = parse_duration("--grace", grace)
    _print_new(with_keys(lambda ring: ring.store.rotate(key_id, span)), as_json=as_json)


@keys.command()
def revoke(key_id: KeyId, as_json: Json = False) -> None:
    """Revoke a key: within 5 seconds no server accepts it."""
    with_keys(lambda ring: ring.store.revoke(key_id))
    done = {"id": key_id, "status": "revoked"}
    tell(f"The key {escape(key_id)} is revoked.", done, as_json=as_json)


@keys.command()
def token(
    user: Annotated[str, typer.Argument(metavar="USER", help="The reader's id.")],
    expires: Annotated[
        str | None, typer.Option(help="How long it is valid; by default 1h, and 7d with --link.")
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Print a link by which the reader signs in.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Where readers reach the server: https://feeds.example.org."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print a user token, or a sign-in link with one, signed with HARKEN_TOKEN_SECRET."""
    settings = Settings.load()
    is_link = link or url is not None
    lifetime = parse_duration("--expires", expires or (LINK_LIFETIME if is_link else "1h"))
    signed = UserTokens.of(settings).sign(user, lifetime)
    address = sign_in_link(settings, url, signed) if is_link else None
    if as_json:
        print_json({"user_id": user, "token": signed} | ({"link": address} if address else {}))
        return
    typer.echo(address or signed)
    if address:
        messages.print("Give this link to that reader only: it signs in whoever opens it.")


def sign_in_link(settings: Settings, url: str | None, token: str) -> str:
    """Return a link to the page for signing in. The token is in the fragment, which is not sent.

    Raises InvalidInput for a URL that is none of a server.
    """
    if url is None:
        is_any = settings.host in {"0.0.0.0", "::"}  # nosec B104 # noqa: S104
        host = "127.0.0.1" if is_any else settings.host
        host = f"[{host}]" if ":" in host else host
        url = f"http://{host}:{settings.port}{settings.root_path}"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInput(Problem("--url", "must be the address of a server: https://example.org"))
    return f"{url.rstrip('/')}/sign-in#token={token}"


def _print_new(new: NewKey, *, as_json: bool) -> None:
    if as_json:
        print_json(presentation.key(new.stored) | {"key": new.text})
        return
    typer.echo(new.text)
    messages.print("Keep this key: it is not shown again. A server with keys requires one.")


def _state(key: StoredKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {_day(key.revoked_at)}"
    return "valid" if key.expires_at is None else f"until {_day(key.expires_at)}"


def _day(at: object) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"
