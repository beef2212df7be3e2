"""Workers that freeze, die, are told to stop, have a wrong clock, or a job that kills them."""

from datetime import timedelta
from threading import Event
from time import time

from chaos.hosts import ATTEMPTS, LEASE, patched
from chaos.invariants import check
from chaos.world import STORES
from support.clock import eventually

from ifood_simulator import Fault

TAKEN_OVER = 90.0 - 60.0 + LEASE.total_seconds()  # design: within 90 s, with a lease of 60


def test_a_worker_freezes_for_longer_than_its_lease_while_the_truth_changes(chaos, recovery):
    frozen, other = chaos.of("worker")
    other.stop()
    chaos.simulator.add_fault(Fault("slow", seconds=1.0))
    before = len(chaos.asked)
    chaos.plan()
    eventually(lambda: len(chaos.asked) > before)
    frozen.running.freeze()

    # Its answers arrive, of a day that is over when it wakes up.
    Event().wait(1.5)
    chaos.simulator.clear_faults()
    chaos.simulator.set_today(chaos.simulator.today + timedelta(days=1))
    recovery.begin()
    other.start()
    # What the frozen worker's memory holds unclaimed comes when it wakes up.
    recovery.until(lambda: chaos.count("success") >= STORES - 4, figure=TAKEN_OVER)
    frozen.running.thaw()
    chaos.finish()
    eventually(lambda: "job.let_go" in frozen.logs())

    check(chaos, frozen=True)


def test_all_workers_are_killed(chaos, recovery):
    chaos.simulator.add_fault(Fault("slow", seconds=3.0))
    chaos.plan()
    eventually(lambda: chaos.count("running") >= 6)
    for host in chaos.of("worker"):
        host.kill()

    recovery.begin()
    chaos.heal()
    recovery.until(chaos.idle, figure=TAKEN_OVER)

    check(chaos)


def test_a_worker_is_told_to_stop_in_the_middle_of_its_jobs(chaos, recovery):
    host, _ = chaos.of("worker")
    chaos.simulator.add_fault(Fault("slow", seconds=1.5))
    begun = time()
    chaos.plan()
    eventually(lambda: chaos.claims(since=begun, host=host) >= 4)

    recovery.begin()
    told = time()
    assert host.stop() == 0
    recovery.until(lambda: True, figure=30)
    # Dramatiq's processes look up once a second.
    assert chaos.claims(since=told + 2, host=host) == 0
    chaos.heal()
    chaos.finish()

    check(chaos, once=True)


def test_a_second_signal_ends_a_worker_at_once(chaos, recovery):
    host, _ = chaos.of("worker")
    chaos.simulator.add_fault(Fault("slow", seconds=5.0, times=4))
    begun = time()
    chaos.plan()
    eventually(lambda: chaos.claims(since=begun, host=host) >= 2)
    before = host.logs().count("Stopping worker process")
    host.running.process.terminate()
    eventually(lambda: host.logs().count("Stopping worker process") > before)

    recovery.begin()
    host.running.process.terminate()
    recovery.until(lambda: host.running.process.poll() is not None, figure=5)
    chaos.heal()
    chaos.finish()

    check(chaos)


def test_a_rolling_restart_under_load_costs_no_attempt(chaos, recovery):
    chaos.plan(over=timedelta(seconds=8))
    for host in chaos.hosts.values():
        eventually(lambda: chaos.count("success") > 0)
        assert host.stop() == 0
        host.start()
    recovery.begin()
    recovery.until(chaos.idle, figure=TAKEN_OVER)

    check(chaos, once=True)


def test_the_clock_of_a_worker_is_an_hour_fast(chaos, recovery):
    host, other = chaos.of("worker")
    with patched([host], "clock_ahead"):
        begun = time()
        chaos.plan()
        recovery.begin()
        recovery.until(lambda: chaos.work(host, other, since=begun), figure=TAKEN_OVER)
        chaos.finish()

        check(chaos, once=True)


def test_a_job_kills_its_process_until_its_attempts_are_used_up(chaos, recovery):
    victim = chaos.simulator.merchants()[0].id
    with patched(chaos.of("worker"), "deadly_merchant", DEADLY_MERCHANT=victim):
        chaos.plan()
        recovery.begin()
        recovery.until(chaos.idle, figure=ATTEMPTS * TAKEN_OVER)

        check(chaos, ends={"success", "failed"})
        [failed] = chaos.jobs("failed")
        assert failed["merchant_id"] == victim
        assert (failed["error_code"], failed["attempts"]) == ("lease_expired", ATTEMPTS)


def test_an_account_is_disabled_in_the_middle_of_the_window(chaos, recovery):
    chaos.plan(over=timedelta(seconds=4))
    last = [job["account_id"] for job in chaos.jobs()[-3:]]
    eventually(lambda: chaos.count("success") > 0)
    chaos.write("UPDATE accounts SET active = false WHERE id = ANY(:ids)", ids=last)
    recovery.begin()
    recovery.until(chaos.idle, figure=TAKEN_OVER)
    chaos.write("UPDATE accounts SET active = true")

    assert chaos.count("cancelled") == len(last)
    check(chaos, ends={"success", "cancelled"})
