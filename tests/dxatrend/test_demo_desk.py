"""The desk of the demonstration starts each time, whatever its passwords are by chance."""

from dxatrend.demo_desk import _password
from pipeline.edge.operations.desk_accounts import FEWEST_DIFFERENT, SHORTEST_PASSWORD


def test_a_password_by_chance_is_one_that_an_account_takes() -> None:
    """Of passwords that are not looked at, one in three hundred has too few different characters."""
    passwords = {_password() for _ in range(10_000)}
    assert min(len(set(password)) for password in passwords) >= FEWEST_DIFFERENT
    assert min(map(len, passwords)) >= SHORTEST_PASSWORD
