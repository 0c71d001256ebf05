"""A few generated requests per operation; tests/e2e sends many more."""

from contract.running import run_schemathesis


def test_a_few_requests_of_each_operation(filled_gateway, tmp_path):
    run_schemathesis(filled_gateway, tmp_path, "--phases", "examples,coverage,fuzzing", "--max-examples", "3")
