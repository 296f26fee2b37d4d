"""`harken keys`: keys of services and of pages, and user tokens for trials."""

from typing import Annotated

import typer
from rich.markup import escape

from harken.config import Settings
from harken.domain.durations import parse_duration
from harken.protocols import presentation
from harken.protocols.cli.running import Json, messages, print_json, tell, with_keys
from harken.protocols.cli.tables import add_names, add_text, make_table, print_table
from harken.services.access.key_store import NewKey
from harken.services.access.keys import StoredKey
from harken.services.access.rights import KeyKind, Scope
from harken.services.access.user_tokens import UserTokens
from harken.services.kblocks.importers.run import printable

keys = typer.Typer(
    help="Make, list, replace and revoke API keys; sign user tokens for trials.",
    no_args_is_help=True,
)

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
    expires: Annotated[str, typer.Option(help="How long the token is valid.")] = "1h",
    as_json: Json = False,
) -> None:
    """Print a user token for trials, signed with HARKEN_TOKEN_SECRET."""
    lifetime = parse_duration("--expires", expires)
    signed = UserTokens.of(Settings.load()).sign(user, lifetime)
    if as_json:
        print_json({"user_id": user, "token": signed})
    else:
        typer.echo(signed)


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
