"""Each fault is stopped by the gate that the list names, and readers notice nothing."""

import dataclasses
import tomllib
from collections.abc import Iterator
from pathlib import Path

import deliveries
import fault_page
import pytest
from conftest import make_once, shared_folder
from retail_segments.landing import LoadError
from retail_segments.load import load_files
from shop import Bench, Fault, Shop

FOLDER = Path(__file__).parent
# dbt would take YAML below tests/ for its own.
LISTS = (
    "deliveries",
    "landing",
    "settings",
    "lines",
    "orders",
    "customers",
    "segments",
    "reports",
)
FAULTS = [
    Fault(**given)
    for name in LISTS
    for given in tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))["fault"]
]
every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.fault)


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Build and publish a shop in which nothing is wrong."""
    folder = shared_folder(tmp_path_factory) / "good"
    return Shop(make_once(folder, lambda made: Shop(made).fill()))


@pytest.fixture(scope="session")
def bench(good: Shop, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Copy the shop for this worker."""
    return Bench(good, tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="session")
def gates(good: Shop) -> dict[str, str]:
    """List what each gate says."""
    return good.gates()


@pytest.fixture
def readers(bench: Bench) -> Iterator[None]:
    """Check that who reads what is published has the build from before the fault."""
    bench.put_back()
    file, figures = bench.shop.digest(), bench.shop.figures()
    yield
    assert bench.shop.digest() == file, "what is published is another build"
    assert bench.shop.figures() == figures


@every_fault
@pytest.mark.usefixtures("readers")
def test_the_fault_is_stopped_by_its_gate(fault, bench, good, tmp_path):
    if fault.delivered:
        landed = sorted(bench.shop.landing.rglob("*"))
        file = getattr(deliveries, fault.delivered)(tmp_path, good.delivered())
        with pytest.raises(LoadError) as refusal:
            load_files([file], landing=bench.shop.landing)
        assert fault.says in str(refusal.value)
        assert sorted(bench.shop.landing.rglob("*")) == landed
    else:
        bench.inject(fault)
        outcome = bench.build(fault)
        assert not outcome.is_green, "every gate is green"
        assert fault.gate in outcome.red
        assert fault.says in outcome.red[fault.gate]


def test_without_a_fault_the_same_build_is_published(bench):
    bench.put_back()
    before = bench.shop.digest()
    harmless = Fault(
        fault="A comment",
        gate="none",
        where="int_lines_classified",
        final="-- Nothing else.\nselect * from final",
    )
    bench.inject(harmless)
    outcome = bench.build(harmless)
    assert outcome.is_green, outcome.red
    assert bench.shop.digest() != before


def test_a_fault_is_listed_once():
    names = [fault.fault for fault in FAULTS]
    assert len(names) == len(set(names))
    changes = [
        dataclasses.astuple(dataclasses.replace(fault, fault="", gate=""))
        for fault in FAULTS
    ]
    assert len(changes) == len({repr(change) for change in changes})


def test_the_page_says_what_the_list_says(gates):
    written = fault_page.to_markdown(FAULTS, gates)
    is_news = fault_page.TARGET.read_text(encoding="utf-8") != written
    fault_page.TARGET.write_text(written, encoding="utf-8")
    assert not is_news, "docs/faults.md was out of date and is written; commit it"
