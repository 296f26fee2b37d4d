"""`harken evaluate policy`."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from harken.services.providers import close_providers, get_feed_service
from tests.support.interaction_files import write

OPEN_BANDIT = Path(__file__).parents[3] / "shared/data/obd"
RANDOM, BTS = (OPEN_BANDIT / f"{name}_men.csv.gz" for name in ("random", "bts"))

# The configured database is not opened.
of_a_file = pytest.mark.parametrize("database_kind", ["sqlite"])

# Probabilities of a like, by item: the log shows the first item most, which is liked least.
LIKED = {"a": 0.05, "b": 0.2, "c": 0.4}
LOGGED = {"a": 0.6, "b": 0.3, "c": 0.1}


def rows(odds=None, count=3_000, seed=1, **renamed) -> list[dict]:
    odds = odds or LOGGED
    chance = np.random.default_rng(seed)
    names = {name: renamed.get(name, name) for name in ("item", "position", "reward", "propensity")}
    return [
        {
            names["item"]: item, names["position"]: int(chance.integers(2)),
            names["reward"]: int(chance.random() < LIKED[item]), names["propensity"]: odds[item],
            "user_id": f"u{n % 500}",
        }
        for n, item in enumerate(chance.choice(list(odds), count, p=list(odds.values())))
    ]  # fmt: skip


@pytest.fixture
def log(tmp_path):
    return write(tmp_path / "log.csv.gz", rows())


@of_a_file
def test_a_log_against_uniform(harken, log):
    run = harken("evaluate", "policy", "--log", log, "--target", "uniform", "--json")
    assert run.code == 0, run.err
    found = run.json
    assert (found["rows"], found["users"], found["unseen"], found["refused"]) == (3_000, 500, 0, 0)
    assert found["largest_weight"] == pytest.approx(1 / 3 / 0.1)
    assert 1_000 < found["effective_sample_size"] < 2_000
    assert found["logged"]["value"] == pytest.approx(0.13, abs=0.02)
    assert list(found["estimates"]) == ["ips", "snips", "dr", "item-position"]
    for estimate in found["estimates"].values():
        low, high = estimate["interval"]
        assert low < sum(LIKED.values()) / 3 < high
        assert low < estimate["value"] < high
    assert found["columns"]["user"] == "user_id"
    assert found["target"] == {"by": "1 of 3 items at each position", "own": None}


@of_a_file
def test_a_log_against_the_policy_of_another(harken, log, tmp_path):
    """The propensities of a constant policy are its probabilities."""
    other = {"a": 0.2, "b": 0.3, "c": 0.5}
    second = write(tmp_path / "second.csv", rows(other, seed=2))
    run = harken("evaluate", "policy", "--log", log, "--target", second, "--json")
    found = run.json
    assert found["target"]["by"] == "its propensities, which are constant"
    truth = sum(LIKED[item] * other[item] for item in other)
    low, high = found["target"]["own"]["interval"]
    assert low < truth < high
    assert all(
        each["interval"][0] < truth < each["interval"][1] for each in found["estimates"].values()
    )


@of_a_file
def test_a_policy_whose_propensities_change_is_counted(harken, log, tmp_path):
    changing = [row | {"propensity": 0.3 + 0.001 * (n % 7)} for n, row in enumerate(rows(seed=3))]
    second = write(tmp_path / "second.jsonl", changing)
    run = harken("evaluate", "policy", "--log", log, "--target", second, "--json")
    assert run.json["target"]["by"] == "the share of each item at each position"
    assert run.json["estimates"]["ips"]["value"] == pytest.approx(
        run.json["logged"]["value"], rel=0.1
    )


@of_a_file
def test_tables_for_people(harken, log):
    run = harken("evaluate", "policy", "--log", log, "--target", log)
    assert run.code == 0
    for words in (
        "user_id as user", "3000 rows in the log", "Mean reward per row", "logged policy",
        "IPS", "SNIPS", "doubly robust", "item-position", "log of the target", "95 %",
        "Effective sample size: 3000 of 3000. Largest weight: 1.0.",
    ):  # fmt: skip
        assert words in run.out


@of_a_file
def test_wrong_propensities_are_reported(harken, tmp_path):
    wrong = [row | {"propensity": row["propensity"] * 1.5} for row in rows()]
    file = write(tmp_path / "log.csv", wrong)
    run = harken("evaluate", "policy", "--log", file, "--target", "uniform")
    assert "The mean weight is not 1" in run.out


@of_a_file
def test_columns_are_named_and_bad_lines_refused(harken, tmp_path):
    odd = rows(item="story", reward="hit", propensity="p", count=400)
    bad: list[dict] = [{"p": 0}, {"p": 1.5}, {"p": ""}, {"p": "x"}, {"hit": "nan"}, {"story": ""}]
    for n, change in enumerate(bad):
        odd[10 + n] |= change
    file = write(tmp_path / "log.csv", odd)
    asked = ["--column", "item=story", "--column", "reward=hit", "--column", "propensity=p",
             "--target", "uniform", "--least", "10"]  # fmt: skip
    run = harken("evaluate", "policy", "--log", file, *asked, "--json")
    assert run.code == 1
    assert (run.json["rows"], run.json["refused"]) == (394, 6)
    assert [line for line, _ in run.json["refusals"]] == [12, 13, 14, 15, 16, 17]
    run = harken("evaluate", "policy", "--log", file, *asked)
    assert "story as item, hit as reward, p as propensity" in run.out
    assert "line 12: propensity: 0 must be more than 0 and at most 1" in run.err


@of_a_file
def test_a_log_of_items_that_became_numbers(harken, tmp_path):
    """`1.0` and `1` are the same item, and NULL is a missing one."""
    header = "item;reward;propensity"
    lines = [f"{item};{n % 2};0.5" for n in range(200) for item in ("1.0", "1", "2")]
    file = tmp_path / "log.csv"
    file.write_text("\n".join([header, *lines, "NULL;1;0.5", '"2;1;0.5', "2;1"]) + "\n")
    asked = ("evaluate", "policy", "--log", file, "--target", "uniform", "--json")
    found = harken(*asked).json
    assert (found["records"], found["rows"], found["refused"]) == (603, 600, 3)
    assert found["target"]["by"] == "1 of 2 items at each position"
    assert harken(*asked, "--as-written").json["target"]["by"] == "1 of 4 items at each position"


@of_a_file
def test_without_positions_all_rows_are_at_one(harken, tmp_path):
    bare = [{n: row[n] for n in ("item", "reward", "propensity")} for row in rows()]
    file = write(tmp_path / "log.csv", bare)
    run = harken("evaluate", "policy", "--log", file, "--target", "uniform", "--json")
    assert "position" not in run.json["columns"]
    assert run.json["users"] == 3_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"propensity": 1}, "the log is not randomised"),
        ({"propensity": ""}, "without propensities a log cannot estimate other policies"),
        ({"reward": 0}, "reward: is above 0 in only 0 cases; at least 10 are needed"),
        ({"item": ""}, "item: has no value in a column item, item_id"),
    ],
)
@of_a_file
def test_logs_that_cannot_tell(harken, tmp_path, changes, message):
    file = write(tmp_path / "log.csv", [row | changes for row in rows(count=300)])
    run = harken("evaluate", "policy", "--log", file, "--target", "uniform")
    assert run.code == 1
    assert message in run.err


@of_a_file
def test_targets_beyond_the_log(harken, log, tmp_path):
    new = write(tmp_path / "new.csv", [row | {"item": f"{row['item']}2"} for row in rows()])
    run = harken("evaluate", "policy", "--log", log, "--target", new)
    assert (
        "has 100.0% of its probability on items that the log never shows at that position"
        in run.err
    )
    top = write(tmp_path / "top.csv", [row | {"position": 0} for row in rows()])
    run = harken("evaluate", "policy", "--log", log, "--target", top)
    assert "target: has no rows at position 1, where the log has some" in run.err
    run = harken("evaluate", "policy", "--log", log, "--target", "uniform", "--least", "2500")
    assert "(the largest weight is 3.333); at least 2500 is needed" in run.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either --log FILE or --from-slates"),
        (["--from-slates", "--log", "x.csv"], "either --log FILE or --from-slates"),
        (["--log", "x.csv"], "give --target uniform or --target FILE"),
        (["--log", "x.csv", "--target", "uniform", "--temperature", "1"], "no --temperature"),
        (["--log", "x.csv", "--target", "uniform"], "x.csv: No such file"),
        (["--log", "x.txt", "--target", "uniform"], "format: must be one of jsonl, csv"),
        (["--log", "x.csv", "--target", "uniform", "--column", "a=b"], "FIELD of item, position"),
        (["--from-slates"], "either --target uniform or --temperature"),
        (["--from-slates", "--target", "x.csv"], "slates have no scores"),
        (["--from-slates", "--temperature", "0"], "temperature: must be from 0.001"),
        (["--from-slates", "--temperature", "1", "--reward", "dismiss"], "must be engage or view"),
        (
            ["--from-slates", "--temperature", "1", "--column", "item=x"],
            "can be used with --log only",
        ),
    ],
)
@of_a_file
def test_what_is_refused(harken, arguments, message):
    run = harken("evaluate", "policy", *arguments)
    assert run.code == 1
    assert message in run.err


def test_without_slates_there_is_nothing_to_estimate(harken):
    run = harken("evaluate", "policy", "--from-slates", "--temperature", "1")
    assert run.code == 1
    assert "none has propensities" in run.err


async def serve(count: int) -> None:
    """Rank four items repeatedly; the first item gets a like if it is the worst one."""
    service = await get_feed_service()
    try:
        await service.record.record_batch(
            [{"user_id": f"r{n}", "kblock_id": k, "action": "engage"}
             for k, times in {"k1": 8, "k2": 4, "k3": 2}.items() for n in range(times)]
        )  # fmt: skip
        events = []
        for n in range(count):
            page = await service.rank(
                ["k0", "k1", "k2", "k3"], f"u{n % 50}",
                ranking="attention", temperature=0.6, seed=1_000 + n,
            )  # fmt: skip
            if page.kblock_ids[0] == "k0":
                event = {"user_id": f"u{n % 50}", "kblock_id": "k0", "action": "engage"}
                events.append(event | {"request_id": page.request_id, "position": 0})
        await service.rank(["k0", "k1"], "u1", ranking="attention")  # not random: no propensities
        await service.record.record_batch(events)
    finally:
        await close_providers()


def test_slates_tell_what_another_temperature_would_have_earned(harken):
    """The whole order is known, so the slates contain the probability of the first position."""
    asyncio.run(serve(400))
    run = harken("evaluate", "policy", "--from-slates", "--target", "uniform", "--json")
    assert run.code == 0, run.err
    found = run.json
    assert (found["slates"], found["users"], found["left_out"]) == (400, 50, {})
    for estimate in found["estimates"].values():  # each of four items is equally often first
        assert estimate["interval"][0] < 0.25 < estimate["interval"][1]
    assert found["logged"]["value"] < found["estimates"]["rips"]["value"]
    run = harken("evaluate", "policy", "--from-slates", "--temperature", "0.6", "--feed", "rank")
    assert "400 slates of 50 readers" in run.out
    assert "Effective sample size: 400 of 400" in run.out
    assert "RIPS" in run.out
    assert run.out.replace("\n", " ").rstrip().endswith("The intervals overlap.")
    views = ("--temperature", "0.6", "--reward", "view")
    assert "is above 0 in only 0 cases" in harken("evaluate", "policy", "--from-slates", *views).err
    other = ("--temperature", "0.6", "--feed", "cosmos")
    assert "none has propensities" in harken("evaluate", "policy", "--from-slates", *other).err


@pytest.mark.skipif(not OPEN_BANDIT.exists(), reason=f"{OPEN_BANDIT} is not there")
@pytest.mark.parametrize(("log", "target"), [(RANDOM, BTS), (BTS, RANDOM)])
@of_a_file
def test_two_policies_of_one_shop_foretell_each_other(harken, log, target):
    """The first 10,000 rows of two policies of the Open Bandit Dataset."""
    found = harken("evaluate", "policy", "--log", log, "--target", target, "--json").json
    assert (found["rows"], found["unseen"]) == (10_000, 0)
    own = found["target"]["own"]["value"]
    for name, estimate in found["estimates"].items():
        low, high = estimate["interval"]
        assert low < own < high, name
    low, high = found["mean_weight"]["interval"]
    assert low < 1 < high
