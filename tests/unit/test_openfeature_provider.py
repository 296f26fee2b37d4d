"""The provider for OpenFeature's SDK: the SDK itself evaluates with it."""

from dataclasses import replace

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from harken.protocols.api.experiments import presentation
from harken.services.experiments.adaptive.versions import Allocation, Allocations
from harken.services.experiments.assignment import arm_of
from harken.services.experiments.definitions import Experiment, State, define
from harken.services.experiments.openfeature_provider import HarkenProvider
from tests.contract.conftest import NOW


def running(**fields):
    definition = define({"metric": "return_7d"} | fields)
    return Experiment(definition, 2, State.RUNNING, NOW)


VALUES = {"boolean": (False, True), "string": (None, "b"), "integer": (1, 2), "float": (0.5, 2)}
FLAGS = [
    running(id=kind, arms=[{"name": "off", "value": off}, {"name": "on", "value": on}])
    for kind, (off, on) in (VALUES | {"object": ({"n": 1}, [2])}).items()
]
SHARED = Experiment(
    define(
        {
            "id": "shared", "kind": "interleaving", "feeds": ["cosmos"],
            "arms": [{"name": "a", "ranking": "trending"}, {"name": "b", "ranking": "attention"}],
        }
    ),
    1, State.RUNNING, NOW,
)  # fmt: skip


@pytest.fixture(params=["objects", "JSON"])
def client(request):
    experiments = [*FLAGS, SHARED]
    if request.param == "JSON":
        provider = HarkenProvider.of([presentation.experiment(each) for each in experiments])
    else:
        provider = HarkenProvider(experiments)
    api.set_provider(provider)
    yield api.get_client()
    api.clear_providers()


def details(client, kind, key, default, unit="ada", **attributes):
    context = EvaluationContext(unit, attributes)
    return getattr(client, f"get_{kind}_details")(key, default, context)


@pytest.mark.parametrize(
    ("kind", "default"),
    [("boolean", True), ("string", "x"), ("integer", 9), ("float", 9.5), ("object", {})],
)
def test_each_kind_of_value(client, kind, default):
    for unit in ("ada", "ben", "\N{GRINNING FACE}"):
        found = details(client, kind, kind, default, unit)
        [experiment] = [each for each in FLAGS if each.id == kind]
        arm = arm_of(f"{kind}:2", unit, experiment.shares)
        value = experiment.definition.arm(arm).value
        assert found.error_code is None
        assert (found.variant, found.value) == (arm, arm if value is None else value)
        assert (found.reason, found.flag_metadata) == ("SPLIT", {"version": 2, "propensity": 0.5})


@pytest.mark.parametrize(
    ("key", "unit", "code"),
    [
        ("gone", "ada", ErrorCode.FLAG_NOT_FOUND),
        ("integer", "ada", ErrorCode.TYPE_MISMATCH),
        ("boolean", None, ErrorCode.TARGETING_KEY_MISSING),
        ("boolean", "x" * 65, ErrorCode.INVALID_CONTEXT),
    ],
)
def test_with_an_error_the_code_gets_its_default(client, key, unit, code):
    found = details(client, "boolean", key, True, unit)
    assert (found.value, found.error_code, found.reason) == (True, code, "ERROR")


def test_testers_name_an_arm(client):
    for arm, value in (("off", False), ("on", True)):
        found = details(client, "boolean", "boolean", True, arm=f"boolean:{arm}")
        assert (found.variant, found.value, found.reason) == (arm, value, "TARGETING_MATCH")
        assert found.flag_metadata == {"version": 2, "forced": True}
    other = details(client, "boolean", "boolean", True, arm="integer:on")
    assert (other.reason, other.error_code) == ("SPLIT", None)
    for wrong in ("boolean:maybe", "on", 5):
        refused = details(client, "boolean", "boolean", True, arm=wrong)
        assert (refused.error_code, refused.value) == (ErrorCode.INVALID_CONTEXT, True)


def test_an_adaptive_experiment_is_refused_but_for_testers_and_who_is_not_in_it():
    first = Allocation(1, {"off": 0.5, "on": 0.5}, NOW, NOW, "the definition", 0)
    fields = {"id": "x", "adaptive": True, "eligibility": {"readers": "named"}}
    arms = [{"name": "off", "value": False}, {"name": "on", "value": True}]
    adaptive = replace(running(arms=arms, **fields), allocations=Allocations((first,)))
    for provider in (
        HarkenProvider([adaptive]), HarkenProvider.of([presentation.experiment(adaptive)]),
    ):  # fmt: skip
        api.set_provider(provider)
        client = api.get_client()
        refused = details(client, "boolean", "x", True)
        assert (refused.value, refused.error_code) == (True, ErrorCode.GENERAL)
        assert "its arms are assigned by the service alone" in refused.error_message
        assert details(client, "boolean", "x", True, arm="x:off").value is False
        assert details(client, "boolean", "x", True, "s1", guest=True).reason == "DEFAULT"
    api.clear_providers()


def test_guests_and_shared_pages(client):
    assert details(client, "string", "shared", "x").value == "interleaved"
    named = running(
        id="named", eligibility={"readers": "named"}, arms=[{"name": "off"}, {"name": "on"}]
    )
    api.set_provider(HarkenProvider([named]))
    outside = details(api.get_client(), "string", "named", "x", "s1", guest=True)
    assert (outside.value, outside.reason, outside.variant) == ("off", "DEFAULT", None)
