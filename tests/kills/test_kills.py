"""Whatever is killed, readers keep what they had, and the next run makes up for it.

More than fifty times a command is ended by SIGKILL at a random moment. What was
published before is still there, whole; the same command run again ends well, and what
it leaves equals what it leaves undisturbed, byte for byte. `make test-kills` prints the
count.
"""

import os
import random
import signal
import time

import pytest
from disturbed_shop import Shop, differing, open_shop

KILLS = {"load": 12, "build": 16, "report": 12, "export": 12, "forget": 4}
# Of the time that the command takes undisturbed: what comes after it has ended is none.
LATEST = 0.98
# The machine may be faster than it was then: too late a kill is tried sooner.
ATTEMPTS = 4


@pytest.fixture(scope="session")
def shops(tmp_path_factory):
    """Find for each command the shop before it, the shop after it, and its seconds."""
    base = tmp_path_factory.mktemp("shops")
    loaded = open_shop(base / "first")
    found = {"load": (loaded, *_undisturbed(loaded, "load", base))}
    before_build = found["load"][1]
    found["build"] = (before_build, *_undisturbed(before_build, "build", base))
    built = found["build"][1]
    for name in ("report", "export"):
        found[name] = (built, *_undisturbed(built, name, base))
    exported = found["export"][1]
    found["forget"] = (exported, *_undisturbed(exported, "forget", base))
    return found


def _undisturbed(shop, name, base):
    after = shop.copy_to(base / name)
    begun = time.monotonic()
    code, said = after.run(name)
    assert code == 0, said
    return after, time.monotonic() - begun


@pytest.mark.parametrize(
    ("name", "number"),
    [(name, number) for name, count in KILLS.items() for number in range(count)],
)
def test_a_killed_command_is_made_up_for(
    name, number, shops, tmp_path, record_property
):
    before, expected, seconds = shops[name]
    published = before.published.read_bytes()
    # Evenly over its time, at another moment each.
    moment = random.Random(f"{name}{number}").uniform(number, number + 1)
    delay = LATEST * seconds * moment / KILLS[name]
    for attempt in range(ATTEMPTS):
        shop = before.copy_to(tmp_path / str(attempt))
        killed = _kill(shop, name, delay / 2**attempt)
        if killed:
            break

    if name != "forget" and shop.published.read_bytes() != published:
        # It came after the swap: then the new build is there as a whole.
        assert name == "build"
        assert differing(shop.tables(), expected.tables()) == []
    for place in ("report", "export"):
        written = shop.written(place)
        assert (
            not written
            or name == "forget"
            or written
            in (
                before.written(place),
                expected.written(place),
            )
        )
    assert shop.landed() in (before.landed(), expected.landed()) or name == "forget"

    code, said = shop.run(name)
    assert code == 0, said
    assert shop.landed() == expected.landed()
    assert differing(shop.tables(), expected.tables()) == []
    for place in ("report", "export"):
        assert shop.written(place) == expected.written(place)
    left = [str(p) for p in shop.folder.rglob("*") if ".unfinished" in p.name]
    assert left == []
    record_property("kills survived", int(killed))


def _kill(shop: Shop, name: str, delay: float) -> bool:
    """Kill a command and all that it started; tell whether it was still at work."""
    process = shop.start(name)
    time.sleep(delay)
    was_running = process.poll() is None
    if was_running:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return was_running
