"""What the tests of kills and disturbances have in common: the count at the end."""

from collections import Counter

import pytest

# A run of all tests in which fewer commands were still at work when killed has not
# shown what it is there for.
KILLS = 50
COUNTED = "kills survived"


def _counts(terminalreporter: pytest.TerminalReporter) -> Counter[str]:
    """Add up what the tests recorded."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        counts.update(dict(report.user_properties))
    return counts


def _is_short(terminalreporter: pytest.TerminalReporter) -> bool:
    """Tell whether kills were tried, as many as would do, and too few of them met."""
    tried = [
        report
        for report in terminalreporter.getreports("passed")
        if COUNTED in dict(report.user_properties)
    ]
    return len(tried) >= KILLS > _counts(terminalreporter)[COUNTED]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts."""
    for name, count in sorted(_counts(terminalreporter).items()):
        terminalreporter.write_line(f"{name}: {count}")
    if _is_short(terminalreporter):
        terminalreporter.write_line(f"kills: fewer than {KILLS}; try a calmer machine")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where too few commands were killed at work."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and _is_short(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
