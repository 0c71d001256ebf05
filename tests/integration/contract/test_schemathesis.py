"""A few requests of each operation, as schemathesis thinks them up; tests/e2e asks many more."""

from contract.running import run_schemathesis


def test_a_few_requests_of_each_operation(filled_gateway, tmp_path):
    run_schemathesis(filled_gateway, tmp_path, "--phases", "examples,coverage,fuzzing", "--max-examples", "3")
