"""Say at the end how many faults were put in, and how many their gates stopped."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the faults of this run; workers cannot print them themselves."""
    reports = [
        report
        for outcome in ("passed", "failed", "error")
        for report in terminalreporter.getreports(outcome)
        if "test_the_fault_is_stopped_by_its_gate" in report.nodeid
    ]
    injected = {report.nodeid for report in reports}
    missed = {report.nodeid for report in reports if not report.passed}
    terminalreporter.write_line(
        f"faults injected: {len(injected)}, "
        f"stopped by the gate named: {len(injected - missed)}"
    )
