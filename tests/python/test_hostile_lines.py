"""The build of a shop whose ids are attacks, and whose numbers lie at the limits."""

from pathlib import Path

from hostile_lines import IDS, LIMITS


def test_lines_at_the_limits_are_used_or_set_aside_with_a_reason(hostile_net):
    found = {
        row["invoice_number"]: row["reject_reason"]
        for row in hostile_net.rows(
            "select invoice_number, null as reject_reason from marts.fct_invoice_lines "
            "union all "
            "select invoice_number, reject_reason from marts.fct_rejected_lines"
        )
        if (row["invoice_number"] or "").startswith("LIMIT")
    }
    assert found == {
        f"LIMIT{place}": line["reason"] for place, line in enumerate(LIMITS)
    }


def test_ids_arrive_as_they_were_delivered(hostile_net):
    numbers = set(
        hostile_net.values("select invoice_number from marts.fct_invoice_lines")
    )
    codes = set(hostile_net.values("select stock_code from marts.fct_rejected_lines"))
    assert {text.upper() for text in IDS} <= numbers & codes
    assert hostile_net.value("select count(*) from marts.dim_customers") == 3
    assert not Path("CANARY").exists()
