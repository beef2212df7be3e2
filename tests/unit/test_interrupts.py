"""Threads that begin and end a delivery while their worker stops."""

from threading import get_ident

from dramatiq.middleware import Shutdown
from dramatiq.middleware import shutdown as of_dramatiq

from ifood_actors.delivery.middleware import Interrupts


def test_every_thread_with_a_delivery_is_interrupted_although_others_end_meanwhile(monkeypatch):
    interrupts = Interrupts()
    threads = interrupts.manager.notifications  # type: ignore[attr-defined] # as in the product
    threads |= {1, 2, 3}
    interrupted = []

    def raise_in(thread, error):
        assert error is Shutdown
        interrupted.append(thread)
        threads.discard(thread)  # its delivery has ended,
        threads.add(thread + 10)  # and another's has begun

    monkeypatch.setattr(of_dramatiq, "raise_thread_exception", raise_in)

    interrupts.before_worker_shutdown(None, None)

    assert sorted(interrupted) == [1, 2, 3]


def test_a_thread_without_a_delivery_is_left_alone():
    interrupts = Interrupts()

    interrupts.after_process_message(None, None)

    threads = interrupts.manager.notifications  # type: ignore[attr-defined] # as above
    assert get_ident() not in threads
