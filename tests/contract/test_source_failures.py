"""Sources that are not understood, whatever they answer."""

from typing import Any

from harken.services.kblocks.importers.syndication.fetching import Fetcher
from harken.services.sources.refreshing import Refresher, Result
from tests.contract.test_sources import FAST, HOUR, service, site
from tests.support.feeds import page_naming, rss
from tests.support.web import Answer

__all__ = ["service", "site"]


class FailingFetcher(Fetcher):
    """It has a defect, which shows at one address."""

    def __init__(self, url: str) -> None:
        super().__init__(allow_private=True)
        self._url = url

    def get(self, url: str, **options: Any) -> Any:
        if url == self._url:
            raise ZeroDivisionError
        return super().get(url, **options)


async def test_a_source_that_is_not_understood_stops_no_other(service, site):
    urls = [f"{site.url}/{name}" for name in ("feed", "html", "address", "later", "of-harken")]
    for url in urls[1:]:
        site.pages[url.removeprefix(site.url)] = Answer(rss("A blog", url))
    found = [(await service.sources.subscribe(url)).refreshed.source for url in urls]
    site.pages["/feed"] = Answer(rss("Blog", "one", "two", "three"))
    site.pages["/html"] = Answer(b"<!doctype html><html><![if x]><![foo[")
    site.pages["/address"] = page_naming("http://[")
    site.pages["/later"] = Answer(status=503, headers={"Retry-After": "9" * 5_000})
    fetcher = FailingFetcher(urls[-1])
    refresher = Refresher(
        service.sources.store, service.kblocks, fetcher, HOUR, service.sources.refresher._clock,
        politeness=FAST,
    )  # fmt: skip
    came = await refresher.refresh(found)
    assert [each.result for each in came] == [Result.NEWS, *[Result.FAILED] * 4]
    listed, _ = await service.sources.listed(9, 0)
    kept = {each.source.url: each.source for each in listed}
    assert all(kept[url].failures == 1 and kept[url].due_at for url in urls[1:])
    assert "an error of Harken" in kept[urls[-1]].error
