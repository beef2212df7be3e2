from decimal import Decimal

import pytest
import simplejson

from ifood_actors.ledger.bounds import RESULT
from ifood_actors.ledger.job_result import COUNTS, JobResult, result_value


def test_a_result_is_stored_with_its_amount_as_text_to_the_last_digit():
    result = JobResult(rows=2, requests=3, amount=Decimal("10.10"), other_merchant_ids=("a",))

    stored = simplejson.loads(simplejson.dumps(result.to_json()))
    assert (stored["rows"], stored["amount"]) == (2, "10.10")
    assert (stored["complete"], stored["other_merchant_ids"]) == (True, ["a"])


def test_every_count_is_bounded_where_it_is_stored():
    assert all(f"result ->> '{name}' ~" in RESULT for name in COUNTS)
    assert {name for name in JobResult().to_json() if name not in COUNTS} == {
        *("complete", "amount", "other_merchant_ids")
    }


def test_a_value_is_read_by_its_name_and_type_and_an_unknown_one_not_at_all():
    assert result_value("amount") == "CAST(result ->> 'amount' AS numeric)"
    assert result_value("wasted", column="job.result") == "CAST(job.result ->> 'wasted' AS bigint)"
    with pytest.raises(KeyError):
        result_value("orders")
