use std::sync::{Arc, Mutex, MutexGuard};

use super::*;
use crate::actors::testing::{Probe, all_done, genesis, minute, probe, symbol};
use crate::market::codec;
use crate::market::gbm::PathParams;
use crate::market::time::Span;
use crate::settings::FaultDials;

/// What was published, and what becomes of the next records.
#[derive(Default)]
struct Broker {
    records: Vec<Vec<u8>>,
    refused: Vec<Vec<u8>>,
    refusal: Option<PublishRefused>,
    /// Refuses when it has so many.
    room: Option<usize>,
}

struct Setup {
    producer: Addr<TickProducer>,
    broker: Arc<Mutex<Broker>>,
    failed: Probe<PipelineFailed>,
}

fn route() -> Route {
    Route { topic: "stock_topic.AAPL".into(), partition: Some(0) }
}

/// AAPL, a tick every 5 s of event time from minute 0 on, ten times as fast as real time, this much of it at once.
fn simulation(history: Span, dials: FaultDials) -> Simulation {
    let symbol = symbol("AAPL");
    let interval = Span::from_secs(5);
    let params = PathParams {
        symbol: &symbol,
        seed: 7,
        initial_price: 100.0,
        rate: None,
        volatility: None,
        rate_range: (0.005, 0.05),
        volatility_range: (0.05, 0.4),
        trajectory_ticks: 1_200,
        tick_interval: interval,
        continues_at: None,
    };
    Simulation {
        path: PricePath::new(params),
        schedule: TickSchedule::new(minute(0), interval),
        clock: SimClock::first_start(minute(100_000), minute(100_000) - minute(0), history, 10.0),
        pace: Arc::new(Mutex::new(Pace::new(Span::from_secs(300)))),
        faults: FaultInjector::new(dials, genesis().rules, 7, &symbol, None),
        pause: Duration::from_millis(500),
        symbol,
        past: None,
    }
}

impl Setup {
    fn new(history: Span) -> Self {
        Self::with(simulation(history, FaultDials::default()), Broker::default())
    }

    fn with(simulation: Simulation, broker: Broker) -> Self {
        Self::on(simulation, broker, WallClock::reading(|| minute(100_000)))
    }

    fn on(simulation: Simulation, broker: Broker, wall: WallClock) -> Self {
        tokio::time::pause();
        let broker = Arc::new(Mutex::new(broker));
        let to = broker.clone();
        let publish: PublishTo = Box::new(move |record| {
            let mut broker = to.lock().unwrap();
            assert_eq!(
                (record.topic, record.partition, record.key),
                (&*route().topic, route().partition, &b"AAPL"[..])
            );
            if broker.room.is_some_and(|room| broker.records.len() >= room) {
                broker.refusal = Some(PublishRefused::Full);
            }
            if let Some(refusal) = broker.refusal.clone() {
                broker.refused.push(record.payload.to_vec());
                return Err(refusal);
            }
            broker.records.push(record.payload.to_vec());
            Ok(())
        });
        let (failed, failed_probe) = probe();
        let producer = TickProducer::new(simulation, route(), wall, publish, failed).start();
        Self { producer, broker, failed: failed_probe }
    }

    fn broker(&self) -> MutexGuard<'_, Broker> {
        self.broker.lock().unwrap()
    }

    /// Event seconds since minute 0 and prices of what was published until now.
    fn published(&self) -> Vec<(i64, f64)> {
        let tick = |payload: &Vec<u8>| {
            let tick = codec::decode(payload).unwrap();
            ((tick.event_time - minute(0)).micros() / 1_000_000, tick.price)
        };
        self.broker().records.iter().map(tick).collect()
    }
}

#[actix::test]
async fn ticks_follow_the_path_and_the_schedule_in_order() {
    let setup = Setup::new(Span::from_secs(3_600));
    all_done().await;
    let mut path = simulation(Span::ZERO, FaultDials::default()).path;
    let expected: Vec<_> = (0..=720).map(|n| (5 * n, path.next_price())).collect();
    assert_eq!(setup.published(), expected, "the first hour at once");
}

#[actix::test]
async fn then_a_tick_comes_at_the_pace_of_the_settings() {
    let setup = Setup::new(Span::ZERO);
    all_done().await;
    assert_eq!(setup.published().len(), 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let published = setup.published().len();
    assert!((119..=122).contains(&published), "{published}: 5 s of event time every half second");
    assert!(setup.published().is_sorted_by(|a, b| a.0 + 5 == b.0));
}

#[actix::test]
async fn a_refused_record_is_offered_again_before_anything_newer() {
    let setup = Setup::with(
        simulation(Span::from_secs(100), FaultDials::default()),
        Broker { room: Some(5), ..Broker::default() },
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    let refused = std::mem::take(&mut setup.broker().refused);
    assert!(refused.len() > 10, "again and again, but not without a pause: {}", refused.len());
    assert!(refused.len() < 200 && refused.iter().all(|payload| *payload == refused[0]));
    setup.broker().room = None;
    setup.broker().refusal = None;
    all_done().await;
    assert_eq!(setup.broker().records[5], refused[0]);
    assert!(setup.published().is_sorted_by(|a, b| a.0 + 5 == b.0), "none is lost, none doubled");
}

#[actix::test]
async fn what_a_fault_dial_makes_of_a_tick_is_published_as_it_is() {
    let dials = FaultDials { corrupt: 0.5, ..FaultDials::default() };
    let setup = Setup::with(simulation(Span::from_secs(3_600), dials), Broker::default());
    all_done().await;
    let broker = setup.broker();
    let broken = broker.records.iter().filter(|payload| codec::decode(payload).is_err()).count();
    assert_eq!(broker.records.len(), 721);
    assert!((300..420).contains(&broken), "{broken}");
}

#[actix::test]
async fn to_stop_is_heard_in_the_middle_of_a_long_past_and_answered_with_the_last_tick() {
    let setup = Setup::new(Span::from_secs(5_000_000));
    while setup.published().is_empty() {
        tokio::task::yield_now().await;
    }
    let last = setup.producer.send(StopProducing).await.unwrap().unwrap();
    let published = setup.published();
    assert!(published.len() <= 3 * BURST, "{}", published.len());
    let (seconds, price) = *published.last().unwrap();
    assert_eq!(last, LastTick { event_time: minute(0) + Span::from_secs(seconds), price });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(setup.published().len(), published.len());
    assert!(!setup.producer.connected());
}

#[actix::test]
async fn the_last_tick_is_one_that_was_taken() {
    let setup = Setup::with(
        simulation(Span::from_secs(100), FaultDials::default()),
        Broker { room: Some(3), ..Broker::default() },
    );
    all_done().await;
    let last = setup.producer.send(StopProducing).await.unwrap().unwrap();
    assert_eq!(last.event_time, minute(0) + Span::from_secs(10), "the fourth was refused");
}

#[actix::test]
async fn a_producer_that_published_nothing_has_no_last_tick() {
    let broker = Broker { refusal: Some(PublishRefused::Full), ..Broker::default() };
    let setup = Setup::with(simulation(Span::ZERO, FaultDials::default()), broker);
    all_done().await;
    assert_eq!(setup.producer.send(StopProducing).await.unwrap(), None);
}

#[actix::test]
async fn what_cannot_be_published_at_all_fails_the_run_by_the_name_of_the_stock() {
    let broker = Broker { refusal: Some(PublishRefused::Failed("no such topic".into())), ..Broker::default() };
    let mut setup = Setup::with(simulation(Span::ZERO, FaultDials::default()), broker);
    let PipelineFailed(reason) = setup.failed.next().await;
    assert!(reason.contains("AAPL") && reason.contains("no such topic"), "{reason}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(setup.failed.so_far().await.is_empty(), "said once");
    assert_eq!(setup.broker().refused.len(), 1);
}

#[actix::test]
async fn a_long_past_leaves_others_on_the_thread_their_turn() {
    let setup = Setup::new(Span::from_secs(5_000_000));
    let mut turns = 0;
    while setup.published().len() < 10 * BURST {
        tokio::task::yield_now().await;
        turns += 1;
    }
    assert!(turns >= 10, "{turns}");
}

#[actix::test]
async fn a_stock_waits_for_one_that_is_behind_and_for_none_that_has_stopped() {
    let simulation = simulation(Span::from_secs(3_600), FaultDials::default());
    let pace = simulation.pace.clone();
    assert!(pace.lock().unwrap().may_publish(&symbol("SLOW"), minute(2)));
    let setup = Setup::with(simulation, Broker::default());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(setup.published().last().unwrap().0, 7 * 60, "five minutes ahead, no more");
    setup.producer.send(StopProducing).await.unwrap();
    assert!(pace.lock().unwrap().may_publish(&symbol("SLOW"), minute(100)), "it holds nobody up");
}

#[actix::test]
async fn a_producer_that_published_nothing_answers_with_where_the_stock_stood() {
    let past = LastTick { event_time: minute(1), price: 99.0 };
    let mut waiting = simulation(Span::ZERO, FaultDials::default());
    // Its stock is ahead of the clock, as after a higher speed.
    waiting.schedule = TickSchedule::new(minute(10), Span::from_secs(5));
    waiting.past = Some(past);
    let setup = Setup::with(waiting, Broker::default());
    assert_eq!(setup.producer.send(StopProducing).await.unwrap(), Some(past));
}

#[actix::test]
async fn who_slept_an_hour_goes_on_where_it_was_and_leaves_out_no_tick() {
    let setup = Setup::new(Span::ZERO);
    all_done().await;
    tokio::time::advance(Duration::from_secs(3_600)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let published = setup.published();
    assert!(published.len() >= 7_200, "ten hours of event time have passed: {}", published.len());
    assert!(published.is_sorted_by(|a, b| a.0 + 5 == b.0), "in order and without a hole: none can be late");
}

#[actix::test]
async fn f29_a_wall_clock_that_jumps_an_hour_changes_no_tick() {
    let mut published = Vec::new();
    for jump in [0, 60, -60] {
        let minutes = Arc::new(Mutex::new(100_000));
        let shown = minutes.clone();
        let wall = WallClock::reading(move || minute(*shown.lock().unwrap()));
        let setup = Setup::on(simulation(Span::ZERO, FaultDials::default()), Broker::default(), wall);
        tokio::time::sleep(Duration::from_secs(30)).await;
        *minutes.lock().unwrap() += jump;
        tokio::time::sleep(Duration::from_secs(30)).await;
        published.push(setup.published());
        tokio::time::resume();
    }
    let least = published.iter().map(Vec::len).min().unwrap();
    assert!(least >= 119, "{least}");
    assert!(published.iter().all(|ticks| ticks[..least] == published[0][..least]));
}
