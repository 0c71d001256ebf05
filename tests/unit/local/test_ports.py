import socket

import pytest

from pikastack.stack.ports import (
    DEFAULT_FRONT_PORT,
    FRONT,
    PORT_NAMES,
    NoFreePort,
    choose_ports,
    is_free,
    reserve,
)


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_somebody_listens_on_is_not_free(taken_port):
    assert not is_free(taken_port)


def test_every_part_gets_a_port_of_its_own_below_the_ephemeral_range(tmp_path):
    ports = choose_ports(tmp_path, {})
    assert set(ports) == set(PORT_NAMES)
    assert len(set(ports.values())) == len(PORT_NAMES)
    assert all(20_000 <= port < 32_768 for name, port in ports.items() if name != FRONT)


def test_the_last_runs_ports_are_kept(tmp_path):
    first = choose_ports(tmp_path, {})
    assert choose_ports(tmp_path, first) == first


def test_a_saved_port_that_is_taken_now_is_moved_and_the_others_stay(tmp_path, taken_port):
    first = choose_ports(tmp_path, {})
    second = choose_ports(tmp_path, first | {"valkey": taken_port})
    assert second["valkey"] != taken_port
    assert {k: v for k, v in second.items() if k != "valkey"} == {
        k: v for k, v in first.items() if k != "valkey"
    }


def test_the_gateway_moves_up_when_its_port_is_taken(tmp_path, taken_port):
    front = choose_ports(tmp_path, {}, front=taken_port)[FRONT]
    assert taken_port < front <= taken_port + 20


def test_a_wished_gateway_beats_the_last_one(tmp_path):
    first = choose_ports(tmp_path, {})
    wished = first["admin_grpc"] + 100
    assert choose_ports(tmp_path, first, front=wished)[FRONT] == wished


def test_two_stacks_do_not_search_from_the_same_port(tmp_path):
    one = choose_ports(tmp_path / "one", {FRONT: DEFAULT_FRONT_PORT})
    two = choose_ports(tmp_path / "two", {FRONT: DEFAULT_FRONT_PORT})
    assert not {p for n, p in one.items() if n != FRONT} & {p for n, p in two.items() if n != FRONT}


def test_no_free_port_says_what_was_tried(tmp_path, monkeypatch):
    monkeypatch.setattr("pikastack.stack.ports.is_free", lambda _port: False)
    with pytest.raises(NoFreePort, match=r"8080\.\.8099"):
        choose_ports(tmp_path, {})


def test_a_gateway_is_reserved_once_and_free_again_afterwards():
    with reserve(64_080):
        assert reserve(64_080) is None
    again = reserve(64_080)
    assert again is not None
    again.close()


def test_what_another_stack_has_reserved_is_passed_over(tmp_path):
    first = choose_ports(tmp_path, {})
    second = choose_ports(tmp_path, first, skip=set(first.values()))
    assert not set(first.values()) & set(second.values())


def test_a_gateway_that_another_stack_has_reserved_is_passed_over(tmp_path):
    first = choose_ports(tmp_path, {})[FRONT]
    assert choose_ports(tmp_path, {}, skip={first})[FRONT] > first


def test_a_port_of_which_the_kernel_remembers_old_connections_can_be_had_again_at_once():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = listener.accept()
        # The side that closes first keeps the connection in TIME_WAIT for a minute.
        accepted.close()
        client.close()
    assert is_free(port)
    with reserve(port):
        pass
