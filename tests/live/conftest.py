"""Fixtures and hooks of the live tests; what they use is in kit/."""

import asyncio
import inspect
import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parents[1] / "compose")]

from kit import Broker, Deployment, evidence, schemas  # noqa: E402 (needs the path)
from kit.api import Api  # noqa: E402
from kit.backend import Backend  # noqa: E402
from kit.programs import LIBRARIES  # noqa: E402

_TEST_PATIENCE = 600.0  # for one test; ends only what hangs


@pytest.fixture(autouse=True)
def schemas_hold():
    """What clients were told in this test is as the schemas say."""
    yield
    assert schemas.take_faults() == []


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """A RabbitMQ for all tests of this worker; do not stop it."""
    yield from _running_broker(tmp_path_factory.mktemp("broker"))


@pytest.fixture
def own_broker(tmp_path):
    """A RabbitMQ for this test alone, to be stopped, killed or frozen."""
    yield from _running_broker(tmp_path / "broker")


@pytest.fixture
def deployment(broker):
    """Two gateways and two broadcasters."""
    with Deployment(broker) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(warren):
    """The first one of the file's own deployment."""
    return warren.gateways[0]


@pytest.fixture
def api(warren):
    """A door of the API for each gateway of the file's own deployment."""
    apis = [Api(gateway) for gateway in warren.gateways]
    yield apis
    for one in apis:
        one.hang_up()


@pytest.fixture(scope="module")
def server():
    """The file's own backend, for hooks to ask."""
    with Backend() as running:
        yield running


@pytest.fixture
def backend(server):
    """The file's own backend, honest again, and with nothing asked."""
    server.answers.clear()
    server.asked.clear()
    yield server
    server.go_on()


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.__name__)
def program(request, broker):
    """Somebody else's program that listens, with each client library."""
    with request.param(broker, "listener") as one:
        yield one


def _running_broker(folder):
    node = Broker(folder)
    try:
        node.start()
        node.wait_ready()
        yield node
    finally:
        node.remove()


def pytest_configure(config):
    config.addinivalue_line("markers", "proof: judges a promise by chance; never run a second time")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs tests that are coroutines."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames  # pylint: disable=protected-access
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), _TEST_PATIENCE))
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    del item
    evidence.new_test()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the logs of all processes that took part."""
    del item, call
    report = (yield).get_result()
    if report.failed:
        report.sections.extend(evidence.sections())
