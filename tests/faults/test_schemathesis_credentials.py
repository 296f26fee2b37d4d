"""Whatever the OpenAPI document allows is answered as it says, with every kind of credentials.

Each generated request is sent with no key, a wrong one, a key of each scope, and tokens of readers.
"""

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tests.faults import SOAK
from tests.faults.test_schemathesis import CONFIG
from tests.support.access import TOKEN_SECRET, as_key, as_page, as_reader, make_keys
from tests.support.server import HarkenServer

EXAMPLES = 100 if SOAK else 2
SECONDS = 7_200 if SOAK else 300
DATABASES = ["sqlite", "postgresql"] if SOAK else ["sqlite"]
REFUSED = ("none", "wrong key", "wrong token")


def credentials(keys):
    """Return the headers of each kind of credentials."""
    wrong = as_reader("ada")["Authorization"]
    return {
        "none": {},
        "wrong key": as_key(keys["read"][:-1] + "?"),
        "wrong token": {"Authorization": f"{wrong[:-8]}AAAAAAAA"},
        **{scope: as_key(keys[scope]) for scope in ("ingest", "read", "items", "admin")},
        "publishable": as_page(keys["publishable"]),
        "publishable + token": as_page(keys["publishable"], "ada"),
        "token": as_reader("ada"),
    }


@pytest.mark.slow
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("database_kind", DATABASES)
async def test_every_kind_of_credentials_is_answered_as_the_document_says(
    database_kind, database_url, session_factory
):
    keys = await make_keys(session_factory)
    kinds = credentials(keys)
    load_all_checks()
    statuses: dict[str, set[int]] = {kind: set() for kind in kinds}
    with (
        HarkenServer(database_url, HARKEN_TOKEN_SECRET=TOKEN_SECRET) as server,
        requests.Session() as session,
    ):
        session.trust_env = False
        schema = schemathesis.openapi.from_url(
            f"{server.url}/openapi.json",
            config=SchemathesisConfig.from_path(CONFIG),
            headers=as_key(keys["read"]),
        )

        def check(case):
            for kind, headers in kinds.items():
                answer = case.call(session=session, headers=headers, timeout=60)
                is_refused = answer.status_code in {401, 403}
                # Credentials are compared here: no request is sent once more without them.
                left_out = [ignored_auth, *([positive_data_acceptance] if is_refused else [])]
                case.validate_response(answer, headers=headers, excluded_checks=left_out)
                if case.operation.path != "/healthz":
                    statuses[kind].add(answer.status_code)

        operations = list(schema.get_all_operations())
        assert len(operations) == schema.statistic.operations.total
        for operation in operations:
            assert isinstance(operation, Ok), operation
            _many(operation.ok().as_strategy(), check)
        assert "Traceback" not in server.output, server.output[-5_000:]
    for kind, found in statuses.items():
        if kind in REFUSED:
            assert found == {401}, kind
        else:
            assert 401 not in found, kind
            assert 403 in found, kind  # none opens everything
            assert found & {200, 201, 204}, kind


def _many(strategy, check):
    """Run a check with generated requests; the same ones each time, unless there is time."""
    run = given(strategy)(check)
    run = settings(
        max_examples=EXAMPLES, deadline=None, database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )(run)  # fmt: skip
    (run if SOAK else seed(1)(run))()
