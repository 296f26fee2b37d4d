"""The store of the learned ranking's models and of their promotions.

Promotions are a stack. The latest promotion without a rollback is in service. A rollback ends it,
and the one before it serves again, if there is one.
"""

import asyncio
import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind, translated
from harken.domain.times import FORESIGHT
from harken.errors import InvalidInput, InvalidModel, NotFound, quoted
from harken.models import FeedModel, FeedPromotion
from harken.models.types import UtcDateTime, table, utc_now
from harken.services.learning.collaborative import Collaborative
from harken.services.learning.factor_candidates import MOST_ITEMS
from harken.services.learning.factorization import Factors
from harken.services.learning.model_storage.archive import (
    FOREIGN,
    archive,
    check_metadata,
    read_object,
)
from harken.services.learning.model_storage.model_files import PortableModel
from harken.services.learning.model_storage.trials import Trials
from harken.services.learning.neighbours import ItemNeighbours
from harken.services.learning.ranker import Model
from harken.services.record.admission.quarantines import later_quarantines
from harken.unreadable_rows import Unreadable

MODELS = table(FeedModel)
PROMOTIONS = table(FeedPromotion)
KIND = "learned"
FACTORS = "factors"
"""The kind of the factors or neighbours that are kept with a model, under its id with a prefix."""
MOST_LISTED = 1_000
ANY: Any = object()
_METADATA = ("data", "features", "metrics", "details")


class StoredModel(NamedTuple):
    """A model's metadata without its trees: training data, features and metrics."""

    id: str
    kind: str
    created_at: datetime
    code_version: str
    data: dict[str, Any]
    features: dict[str, Any]
    metrics: dict[str, Any]
    details: dict[str, Any]
    promoted_at: datetime | None
    in_service: bool
    erasures: int = 0
    """How many erasures removed events that it may have been trained with."""
    quarantines: int = 0
    """How many quarantines set events aside that it may have been trained with."""
    problem: str | None = None
    """Why the metadata cannot be read and the model cannot serve; None if they can."""


class StoredPromotion(NamedTuple):
    """A promotion of a model, with the time of its rollback, if any."""

    model_id: str
    promoted_at: datetime
    rolled_back_at: datetime | None


class ModelStore:
    """The models of one database."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock
        self._unreadable = Unreadable()
        self._trials = Trials()
        self.changes = 0
        """Counts the writes by this object that may have changed the model in service."""

    async def add(
        self,
        model: Model,
        data: Mapping[str, Any],
        metrics: Mapping[str, Any],
        code_version: str,
        *,
        promote: bool = False,
        instead_of: str | None = ANY,
        collaborative: Collaborative | None = None,
    ) -> str:
        """Store a model, and the collaborative model that belongs to it, and return its id.

        With `promote` the same transaction puts it in service, as the method `promote` does. Raises
        InvalidModel if the model could not be restored, or DatabaseUnavailable.
        """
        archived = await asyncio.to_thread(archive, model)
        portable = PortableModel(
            created_at=self._clock(), code_version=code_version,
            sha256=archived.checksum, features=dict(archived.features), text=archived.text,
            data=dict(data), metrics=dict(metrics), details=dict(model.metadata),
        )  # fmt: skip
        packed = None if collaborative is None else await asyncio.to_thread(_packed, collaborative)
        return await self._add(portable, packed, promote=promote, instead_of=instead_of)

    async def import_model(self, name: str, portable: PortableModel) -> str:
        """Store a model of another database, and return its id, which is the same in both.

        `name` is the model's name in errors. Raises InvalidModel, MissingExtra or
        DatabaseUnavailable.
        """
        await self._trials.restore(name, portable.archived, portable.details)
        return await self._add(portable)

    async def _add(
        self, portable: PortableModel, collaborative: str | None = None, *,
        promote: bool = False, instead_of: str | None = ANY,
    ) -> str:  # fmt: skip
        at = portable.created_at
        model_id = f"{KIND}-{at.astimezone(UTC):%Y%m%d-%H%M%S}-{portable.sha256[:4]}"
        insert_new: Any = postgresql.insert if self._database.is_postgresql else sqlite.insert
        row = {
            "model_id": model_id, "kind": KIND, "created_at": at,
            "code_version": portable.code_version, "data": json.dumps(portable.data),
            "features": json.dumps(portable.features), "metrics": json.dumps(portable.metrics),
            "details": json.dumps(portable.details), "checksum": portable.sha256,
            "model": portable.text,
        }  # fmt: skip
        rows = [row]
        if collaborative is not None:
            described = dict.fromkeys(_METADATA, "{}")
            named = {"model_id": _factors_of(model_id), "kind": FACTORS, "model": collaborative}
            rows.append(row | described | named | {"checksum": _checksum(collaborative)})
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                # The same trees at the same second are the same model.
                for each in rows:
                    new = insert_new(MODELS).values(each)
                    await connection.execute(new.on_conflict_do_nothing())
                if promote:
                    await _promote(connection, model_id, instead_of)
        self.changes += 1
        return model_id

    async def listed(self) -> list[StoredModel]:
        """Return the latest 1,000 models, the latest first. Raises DatabaseUnavailable.

        A model that cannot be read is listed with its problem.
        """
        wanted = _described().order_by(MODELS.c.created_at.desc(), MODELS.c.model_id.desc())
        async with self._database.reading(Kind.SNAPSHOT) as connection:
            serving = await _serving(connection)
            rows = (await connection.execute(wanted.limit(MOST_LISTED))).all()
        for row in rows:
            if row.created_at is None:
                self._unreadable.name("model", row.model_id, "its time of creation is invalid")
        return [_listed(row, serving) for row in rows if row.created_at is not None]

    async def get(self, model_id: str) -> StoredModel:
        """Return a model's metadata. Raises NotFound, InvalidModel or DatabaseUnavailable."""
        async with self._database.reading(Kind.SNAPSHOT) as connection:
            serving = await _serving(connection)
            found = await connection.execute(_described().where(MODELS.c.model_id == model_id))
            if (row := found.one_or_none()) is None:
                raise _unknown(model_id)
            return _stored(row, serving)

    async def in_service(self) -> str | None:
        """Return the id of the model in service, or None. Raises DatabaseUnavailable."""
        async with self._database.reading() as connection:
            return await _serving(connection)

    async def promotions(self) -> list[StoredPromotion]:
        """Return all promotions in their order. Raises DatabaseUnavailable."""
        columns = (PROMOTIONS.c[name] for name in StoredPromotion._fields)
        async with self._database.reading() as connection:
            rows = await connection.execute(select(*columns).order_by(PROMOTIONS.c.number))
            return [StoredPromotion(*row) for row in rows if row.promoted_at is not None]

    async def newest(self) -> datetime | None:
        """Return when the newest model was made; None without models. Raises DatabaseUnavailable.

        A model whose time lies far in the future is ignored.
        """
        at = MODELS.c.created_at
        latest = select(func.max(at, type_=UtcDateTime)).where(
            at <= self._clock() + FORESIGHT, MODELS.c.kind == KIND
        )
        async with self._database.reading() as connection:
            found: datetime | None = (await connection.execute(latest)).scalar_one()
        return found

    async def load(self, model_id: str) -> Model:
        """Return a model with its trees.

        Raises NotFound, InvalidModel, MissingExtra or DatabaseUnavailable.
        """
        portable = await self.export(model_id)
        return await self._trials.restore(_name(model_id), portable.archived, portable.details)

    async def collaborative(self, model_id: str) -> Collaborative | None:
        """Return the collaborative model that is kept with a model; None without one.

        Raises InvalidModel or DatabaseUnavailable.
        """
        wanted = select(MODELS.c.model, MODELS.c.checksum).where(
            MODELS.c.model_id == _factors_of(model_id), MODELS.c.kind == FACTORS
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(wanted)).one_or_none()
        if row is None:
            return None
        return await asyncio.to_thread(_unpacked, _factors_of(model_id), row.model, row.checksum)

    async def export(self, model_id: str) -> PortableModel:
        """Return a model in the form of a model file. Raises as `get` does."""
        async with self._database.reading() as connection:
            found = await connection.execute(
                select(MODELS).where(MODELS.c.model_id == model_id, MODELS.c.kind == KIND)
            )
            row = found.one_or_none()
        if row is None:
            raise _unknown(model_id)
        try:
            return PortableModel(
                created_at=row.created_at, code_version=row.code_version,
                sha256=row.checksum, text=row.model, **_metadata(row),
            )  # fmt: skip
        except ValidationError:
            raise InvalidModel(_name(model_id), FOREIGN) from None

    async def promote(self, model_id: str, *, instead_of: str | None = ANY) -> bool:
        """Put a model in service; nothing changes if it already is.

        With `instead_of`, this happens only if that model (or with None, no model) is still in
        service; otherwise it returns False. Raises NotFound, InvalidModel, MissingExtra or
        DatabaseUnavailable.
        """
        await self.load(model_id)
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                promoted = await _promote(connection, model_id, instead_of)
        self.changes += 1
        return promoted

    async def rollback(self) -> tuple[str, str | None]:
        """End the latest promotion; returns the ids of the former and the present model.

        Raises NotFound if no model is in service, or DatabaseUnavailable.
        """
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                latest = _latest().with_only_columns(PROMOTIONS.c.number, PROMOTIONS.c.model_id)
                row = (await connection.execute(latest)).one_or_none()
                if row is None:
                    raise NotFound(
                        "no trained model is in service, so there is nothing to roll back"
                    )
                taken = update(PROMOTIONS).where(PROMOTIONS.c.number == row.number)
                await connection.execute(taken.values(rolled_back_at=utc_now()))
                before: str = row.model_id
                now = await _serving(connection)
        self.changes += 1
        return before, now


def _latest() -> Select[Any]:
    return (
        select(PROMOTIONS.c.model_id)
        .where(PROMOTIONS.c.rolled_back_at.is_(None))
        .order_by(PROMOTIONS.c.number.desc())
        .limit(1)
    )


async def _serving(connection: AsyncConnection) -> str | None:
    found: str | None = (await connection.execute(_latest())).scalar_one_or_none()
    return found


async def _promote(connection: AsyncConnection, model_id: str, instead_of: str | None) -> bool:
    serving = await _serving(connection)
    if instead_of is not ANY and serving != instead_of:
        return False
    if serving != model_id:
        new = insert(PROMOTIONS).values(model_id=model_id, promoted_at=utc_now())
        await connection.execute(new)
    return True


def _described() -> Select[Any]:
    """Select models without their trees, with the time of each one's latest promotion."""
    promoted = (
        select(func.max(PROMOTIONS.c.promoted_at))
        .where(PROMOTIONS.c.model_id == MODELS.c.model_id)
        .scalar_subquery()
    )
    aside = later_quarantines(MODELS)
    metadata = (column for column in MODELS.c if column.name not in {"model", "checksum"})
    columns = promoted.label("promoted_at"), aside.label("quarantines")
    return select(*metadata, *columns).where(MODELS.c.kind == KIND)


def _listed(row: Row[Any], serving: str | None) -> StoredModel:
    try:
        return _stored(row, serving)
    except InvalidModel as error:
        return _stored_model(row, serving, {name: {} for name in _METADATA}, str(error))


def _stored(row: Row[Any], serving: str | None) -> StoredModel:
    return _stored_model(row, serving, _metadata(row))


def _stored_model(
    row: Row[Any], serving: str | None, metadata: Mapping[str, Any], problem: str | None = None
) -> StoredModel:
    return StoredModel(
        id=row.model_id,
        kind=row.kind,
        created_at=row.created_at,
        code_version=row.code_version,
        **metadata,
        promoted_at=row.promoted_at,
        in_service=row.model_id == serving,
        erasures=row.erasures,
        quarantines=row.quarantines,
        problem=problem,
    )


def _metadata(row: Row[Any]) -> dict[str, dict[str, Any]]:
    """Parse a model's metadata; raises InvalidModel."""
    name = _name(row.model_id)
    if row.created_at is None:
        raise InvalidModel(name, "has an invalid time of creation")
    metadata = {column: read_object(name, getattr(row, column)) for column in _METADATA}
    check_metadata(name, metadata["data"], metadata["metrics"])
    return metadata


def _factors_of(model_id: str) -> str:
    return f"{FACTORS}-of-{model_id}"


def _packed(collaborative: Collaborative) -> str:
    return b64encode(collaborative.to_bytes()).decode()


def _unpacked(name: str, text: str, checksum: str) -> Collaborative:
    """Restore a collaborative model; nothing in the text is executed. Raises InvalidModel."""
    if _checksum(text) != checksum:
        raise InvalidModel(name, "was cut off or changed since it was written")
    try:
        found = Collaborative.from_bytes(b64decode(text, validate=True), name)
    except (ValueError, InvalidInput) as error:
        raise InvalidModel(name, f"cannot be read ({error})") from None
    if not isinstance(found.method, Factors | ItemNeighbours) or len(found.items) > MOST_ITEMS:
        raise InvalidModel(name, "has no factors or neighbours of K-Blocks, or too many")
    return found


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _name(model_id: str) -> str:
    """Return a model's name in errors."""
    return f"model {model_id}"


def _unknown(model_id: str) -> NotFound:
    return NotFound(f"there is no model {quoted(model_id)}")
