"""The whole interface, by schemathesis with all its checks: many requests, and sequences of them."""

from contract.running import run_schemathesis


def test_many_requests_of_each_operation(filled_gateway, tmp_path):
    run_schemathesis(filled_gateway, tmp_path, "--max-examples", "10")
