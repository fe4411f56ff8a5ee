"""The specification of a backend, as tests."""

from __future__ import annotations

from ._contract_again import AgainPromises
from ._contract_attempts import AttemptPromises
from ._contract_context import ContextPromises
from ._contract_delays import DelayPromises, LimitPromises
from ._contract_durable import DurablePromises
from ._contract_hostile import HostilePromises
from ._contract_input import InputPromises
from ._contract_keeping import KeepingPromises
from ._contract_lives import LifePromises
from ._contract_many import KeptKeyPromises, ManyPromises
from ._contract_metadata import MetadataPromises
from ._contract_observers import ObserverPromises
from ._contract_options import OptionPromises
from ._contract_outcomes import OutcomePromises
from ._contract_pages import PagePromises
from ._contract_processes import ProcessPromises
from ._contract_records import RecordPromises
from ._contract_requeue import RequeuePromises
from ._contract_resisting import ResistingPromises
from ._contract_results import ResultPromises
from ._contract_retries import RetryPromises
from ._contract_running import RunningPromises
from ._contract_shutdown import ShutdownPromises
from ._contract_stopping import StoppingPromises
from ._contract_text import ResultSizePromises, TextPromises
from ._contract_watching import WatchingPromises


class JobQueueContract(
    InputPromises,
    OptionPromises,
    MetadataPromises,
    TextPromises,
    KeptKeyPromises,
    ManyPromises,
    DelayPromises,
    LimitPromises,
    RunningPromises,
    OutcomePromises,
    ResultPromises,
    ResultSizePromises,
    AttemptPromises,
    RetryPromises,
    ContextPromises,
    StoppingPromises,
    ResistingPromises,
    HostilePromises,
    ShutdownPromises,
    LifePromises,
    DurablePromises,
    RequeuePromises,
    ProcessPromises,
    RecordPromises,
    PagePromises,
    KeepingPromises,
    AgainPromises,
    WatchingPromises,
    ObserverPromises,
):
    """All promises of a backend, each as one named test.

    Subclass it in the tests of a backend, with a factory for its queues::

        class TestMyQueue(JobQueueContract):
            async def make_queue(self, handlers, settings, observers):
                return MyQueue(handlers, settings, observers)

    The queue declares what it cannot do by its nature, as in ``capabilities =
    Capabilities(concurrent=False)``. The tests that need it are then skipped, with that name as
    the reason.
    """
